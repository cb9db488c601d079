package manifests

import (
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/apimachinery/pkg/util/validation"

	"mockup.dev/mockup/api/v1alpha1"
)

func configData(o Object) map[string]string { return o.(*corev1.ConfigMap).Data }

// nasty means something to YAML, nginx, shells and terminals.
const nasty = "nasty\x00\"}; $(é)"

// TestRandomStacks renders a thousand random stacks. Enough of them must be valid for the test to mean something.
func TestRandomStacks(t *testing.T) {
	rendered := 0
	for seed := range uint64(1000) {
		if checkRandomStack(t, seed, nasty) {
			rendered++
		}
	}
	if rendered < 300 {
		t.Errorf("only %d of 1000 random stacks were valid", rendered)
	}
}

// FuzzStack does so for as long as there is time: go test ./manifests -run=none -fuzz=FuzzStack.
func FuzzStack(f *testing.F) {
	f.Add(uint64(1), nasty)
	f.Fuzz(func(t *testing.T, seed uint64, text string) { checkRandomStack(t, seed, text) })
}

// checkRandomStack renders one stack, which must not panic, and tells whether it was valid. Then names are kept apart.
func checkRandomStack(t *testing.T, seed uint64, text string) bool {
	t.Helper()
	s, facts := (&stackMaker{rand: rand.New(rand.NewPCG(seed, 0)), text: text}).stack()
	StackReferences(s)
	StackRemoval(s) // which a stack must allow that was never valid
	set, err := Stack(s, facts)
	var invalid *InvalidError
	var missing *MissingError
	switch {
	case errors.As(err, &invalid):
		return false
	case err != nil && !errors.As(err, &missing):
		t.Fatalf("neither invalid nor missing: %v", err)
	}
	if err := Print(io.Discard, set, PrintOptions{}); err != nil {
		t.Fatal(err)
	}
	checkUniqueNames(t, set)
	return true
}

// checkUniqueNames finds names that a cluster would refuse, or that Podman would give twice.
func checkUniqueNames(t *testing.T, set Set) {
	t.Helper()
	refs, containers, volumes := map[Ref]bool{}, map[string]bool{}, map[string]string{}
	for _, o := range set.Objects {
		if refs[RefOf(o)] || len(validation.IsDNS1123Subdomain(o.GetName())) > 0 {
			t.Errorf("%s is there twice or has no name", RefOf(o))
		}
		refs[RefOf(o)] = true
		for _, v := range o.GetLabels() {
			if reasons := validation.IsValidLabelValue(v); len(reasons) > 0 {
				t.Errorf("%s has label value %q: %v", RefOf(o), v, reasons)
			}
		}
		d, ok := o.(*appsv1.Deployment)
		if !ok {
			continue
		}
		if c := mainContainer(d).Name; containers[c] || len(validation.IsDNS1123Label(c)) > 0 {
			t.Errorf("container %s is there twice or has no name", c)
		}
		containers[mainContainer(d).Name] = true
		var inPod []string
		for _, v := range pod(d).Volumes {
			name, content := podmanVolume(t, d, v)
			if other, taken := volumes[name]; taken && other != content {
				t.Errorf("volume %s is %s and %s", name, other, content)
			}
			volumes[name] = content
			if slices.Contains(inPod, v.Name) || len(validation.IsDNS1123Label(v.Name)) > 0 {
				t.Errorf("%s has volume %s twice, or it has no name", d.Name, v.Name)
			}
			inPod = append(inPod, v.Name)
		}
	}
}

// stackMaker makes stacks from small pools, so that names meet and references are often right.
type stackMaker struct {
	rand *rand.Rand
	text string
}

func (m *stackMaker) some(n int) int { return m.rand.IntN(n) }

// often is true nine times in ten, rarely one time in sixty.
func (m *stackMaker) often() bool  { return m.some(10) > 0 }
func (m *stackMaker) rarely() bool { return m.some(60) == 0 }

func (m *stackMaker) pick(pool ...string) string {
	if m.some(200) == 0 {
		return m.text
	}
	return pool[m.some(len(pool))]
}

func (m *stackMaker) name() string {
	return m.pick("a", "b", "app", "web", "a-tmp", "app-tmp", "gateway-x", "one-app", "a-env", "x9")
}

func (m *stackMaker) stack() (*v1alpha1.MockupStack, StackFacts) {
	s := &v1alpha1.MockupStack{ObjectMeta: metav1.ObjectMeta{Name: m.pick("one", "a", "app"), Namespace: m.pick("", "default", "team")}}
	networks := []string{"public", "private", "x"}[:1+m.some(3)]
	for i, n := range networks {
		s.Spec.Networks = append(s.Spec.Networks, v1alpha1.Network{Name: n, Subnet: fmt.Sprintf("10.%d.0.0/24", i), Internal: m.some(2) == 0})
	}
	for range m.some(3) {
		s.Spec.Volumes = append(s.Spec.Volumes, m.volume())
	}
	for range 1 + m.some(3) {
		s.Spec.Services = append(s.Spec.Services, m.service(networks, s.Spec.Volumes))
	}
	if m.some(2) == 0 {
		s.Spec.Gateway = m.gateway(networks, s.Spec.Services)
	}
	facts := StackFacts{Images: map[string]string{"i": "j"}, Secrets: map[string]*corev1.Secret{}, ConfigMaps: map[string]*corev1.ConfigMap{"x": nil}}
	facts.Secrets["s"] = &corev1.Secret{Data: map[string][]byte{"k": nil}}
	facts.ConfigMaps["s"] = &corev1.ConfigMap{Data: map[string]string{"k": m.text}, BinaryData: map[string][]byte{"l": nil}}
	return s, facts
}

func (m *stackMaker) volume() v1alpha1.Volume {
	v := v1alpha1.Volume{Name: m.name(), Existing: m.pick("", "", "old_volume")}
	if m.often() {
		v.Size = resource.NewQuantity(int64(m.some(100)+1), resource.BinarySI)
	}
	return v
}

func (m *stackMaker) attachments(networks []string) []v1alpha1.NetworkAttachment {
	a := v1alpha1.NetworkAttachment{Name: networks[m.some(len(networks))]}
	if m.some(4) == 0 {
		a.IP = m.pick("10.0.0.2", "10.0.0.3", "10.1.0.2")
	}
	return []v1alpha1.NetworkAttachment{a}
}

func (m *stackMaker) service(networks []string, volumes []v1alpha1.Volume) v1alpha1.Service {
	s := v1alpha1.Service{Name: m.name(), Image: m.pick("i", "k:1"), Port: int32(m.some(70)) + 1, Networks: m.attachments(networks)}
	if m.some(3) == 0 {
		s.Replicas = ptr(int32(m.some(3)))
	}
	s.Args = []string{m.pick("$(A)", "$(B", "$$", "x"), m.text}
	s.Env = []v1alpha1.EnvVar{{Name: "A", Value: m.pick("", "x", "$(A)", "$$")}}
	if m.some(3) == 0 {
		s.Env = append(s.Env, v1alpha1.EnvVar{Name: "B", ValueFrom: &v1alpha1.EnvVarSource{SecretKeyRef: &v1alpha1.KeyRef{Name: m.pick("s", "t"), Key: m.pick("k", "l")}}})
	}
	if m.some(3) == 0 {
		s.EnvFrom = []v1alpha1.EnvFromSource{{ConfigMapRef: &v1alpha1.ObjectRef{Name: m.pick("s", "x")}}}
	}
	if m.rarely() {
		s.Env = append(s.Env, v1alpha1.EnvVar{Name: "C", ValueFrom: &v1alpha1.EnvVarSource{}})
	}
	if m.some(4) == 0 {
		s.UpdateStrategy.MaxSurge = ptr(intstr.Parse(m.pick("1", "0", "25%", "100%")))
		s.UpdateStrategy.MaxUnavailable = ptr(intstr.Parse(m.pick("1", "2", "0%")))
	}
	if m.some(4) == 0 {
		s.PreStop = &v1alpha1.PreStop{SleepSeconds: ptr(int64(m.some(31)))}
	}
	for _, v := range volumes {
		if m.some(2) == 0 {
			s.VolumeMounts = append(s.VolumeMounts, v1alpha1.VolumeMount{Volume: v.Name, MountPath: m.pick("/data", "/x/"+v.Name), ReadOnly: m.some(2) == 0})
		}
	}
	return s
}

func (m *stackMaker) gateway(networks []string, services []v1alpha1.Service) *v1alpha1.Gateway {
	g := &v1alpha1.Gateway{Networks: m.attachments(networks), HTTPS: v1alpha1.GatewayPort{HostPort: 443}}
	if m.some(2) == 0 {
		g.HTTP = &v1alpha1.GatewayPort{HostPort: int32(m.some(3)) + 80}
	}
	g.TLS.SecretName = m.pick("", "s", "t")
	if g.TLS.SecretName == "" || m.rarely() {
		g.TLS.SelfSigned = &v1alpha1.SelfSigned{}
	}
	g.Timeouts.Read = &metav1.Duration{Duration: time.Duration(m.some(100)) * time.Second}
	for range 1 + m.some(3) {
		g.Routes = append(g.Routes, v1alpha1.Route{
			Host: m.pick("", "a.example", "*.example"), Path: m.pick("/", "/a", "/a/", "/a/b/"), Service: services[m.some(len(services))].Name,
			AllowFrom: []string{m.pick("10.0.0.0/8", "::/0")},
		})
	}
	return g
}
