package podman

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"mockup.dev/mockup/internal/backend/backendtest/guest"
	"mockup.dev/mockup/manifests"
)

// guestImage runs the program of package guest.
const guestImage = "localhost/mockup/traps:1"

var (
	//nolint:gochecknoglobals // names and subnets must differ over all tests of the process
	stackSerial atomic.Int64
	//nolint:gochecknoglobals // one image for all tests of the process
	guestOnce sync.Once
)

// stack builds the objects of one owner, which has a namespace and a network of its own.
type stack struct {
	owner  manifests.Owner
	subnet string
}

func newStack() *stack {
	n := stackSerial.Add(1)
	return &stack{
		owner:  manifests.Owner{Kind: "MockupStack", Namespace: fmt.Sprintf("ns%d", n), Name: "demo"},
		subnet: fmt.Sprintf("10.%d.%d", 150+n/256, n%256),
	}
}

func (s *stack) set(objects ...manifests.Object) manifests.Set {
	return manifests.Set{Owner: s.owner, Objects: append([]manifests.Object{s.network("public", s.subnet+".0/24")}, objects...)}
}

func (s *stack) meta(name string) metav1.ObjectMeta {
	return metav1.ObjectMeta{Name: name, Namespace: s.owner.Namespace, Labels: map[string]string{manifests.LabelOwner: s.owner.String()}}
}

func typeOf(version, kind string) metav1.TypeMeta {
	return metav1.TypeMeta{APIVersion: version, Kind: kind}
}

// network that all pods of the owner join.
func (s *stack) network(name, subnet string) *networkingv1.NetworkPolicy {
	p := &networkingv1.NetworkPolicy{TypeMeta: typeOf("networking.k8s.io/v1", "NetworkPolicy"), ObjectMeta: s.meta(name)}
	p.Spec.PodSelector.MatchLabels = map[string]string{manifests.LabelOwner: s.owner.String()}
	p.Annotations = map[string]string{manifests.AnnotationSubnet: subnet}
	return p
}

func (s *stack) template(name string, args []string) corev1.PodTemplateSpec {
	return corev1.PodTemplateSpec{
		ObjectMeta: metav1.ObjectMeta{
			Labels:      map[string]string{manifests.LabelOwner: s.owner.String(), "app": name},
			Annotations: map[string]string{},
		},
		Spec: corev1.PodSpec{
			TerminationGracePeriodSeconds: new(int64(2)),
			Containers:                    []corev1.Container{{Name: "guest", Image: guestImage, ImagePullPolicy: corev1.PullIfNotPresent, Args: args}},
		},
	}
}

// deployment of the guest program, which serves unless args say otherwise.
func (s *stack) deployment(name string, args ...string) *appsv1.Deployment {
	if len(args) == 0 {
		args = []string{"serve"}
	}
	d := &appsv1.Deployment{TypeMeta: typeOf("apps/v1", "Deployment"), ObjectMeta: s.meta(name)}
	d.Spec = appsv1.DeploymentSpec{
		Replicas: new(int32(1)), Template: s.template(name, args),
		Selector: &metav1.LabelSelector{MatchLabels: map[string]string{"app": name}},
	}
	mainOf(d).Ports = []corev1.ContainerPort{{Name: "http", ContainerPort: guest.Port}}
	mainOf(d).ReadinessProbe = &corev1.Probe{PeriodSeconds: 1, ProbeHandler: corev1.ProbeHandler{
		HTTPGet: &corev1.HTTPGetAction{Path: "/readyz", Port: intstr.FromString("http")},
	}}
	return d
}

// quiet is a deployment whose program serves nothing: it is ready as soon as it runs.
func (s *stack) quiet(name string, args ...string) *appsv1.Deployment {
	d := s.deployment(name, append([]string{"sleep", "1h"}, args...)...)
	mainOf(d).ReadinessProbe, mainOf(d).Ports = nil, nil
	return d
}

func (s *stack) job(name string, args ...string) *batchv1.Job {
	j := &batchv1.Job{TypeMeta: typeOf("batch/v1", "Job"), ObjectMeta: s.meta(name)}
	j.Spec.Template = s.template(name, args)
	j.Spec.Template.Spec.RestartPolicy = corev1.RestartPolicyNever
	return j
}

func (s *stack) service(name string) *corev1.Service {
	o := &corev1.Service{TypeMeta: typeOf("v1", "Service"), ObjectMeta: s.meta(name)}
	o.Spec.Selector = map[string]string{"app": name}
	o.Spec.Ports = []corev1.ServicePort{{Port: guest.Port}}
	return o
}

func (s *stack) claim(name, reclaim string) *corev1.PersistentVolumeClaim {
	c := &corev1.PersistentVolumeClaim{TypeMeta: typeOf("v1", "PersistentVolumeClaim"), ObjectMeta: s.meta(name)}
	c.Labels[manifests.LabelReclaim] = reclaim
	c.Spec.AccessModes = []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce}
	return c
}

func (s *stack) config(name string, data map[string]string) *corev1.ConfigMap {
	return &corev1.ConfigMap{TypeMeta: typeOf("v1", "ConfigMap"), ObjectMeta: s.meta(name), Data: data}
}

func (s *stack) secret(name string, data map[string]string) *corev1.Secret {
	return &corev1.Secret{TypeMeta: typeOf("v1", "Secret"), ObjectMeta: s.meta(name), StringData: data}
}

func mainOf(d *appsv1.Deployment) *corev1.Container { return &d.Spec.Template.Spec.Containers[0] }

// mounts puts a volume at path into the main container.
func mounts(d *appsv1.Deployment, name, path string, source corev1.VolumeSource) {
	spec := &d.Spec.Template.Spec
	spec.Volumes = append(spec.Volumes, corev1.Volume{Name: name, VolumeSource: source})
	spec.Containers[0].VolumeMounts = append(spec.Containers[0].VolumeMounts, corev1.VolumeMount{Name: name, MountPath: path})
}

func fromClaim(name string) corev1.VolumeSource {
	return corev1.VolumeSource{PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: name}}
}

func fromConfig(name string, items ...corev1.KeyToPath) corev1.VolumeSource {
	return corev1.VolumeSource{ConfigMap: &corev1.ConfigMapVolumeSource{LocalObjectReference: corev1.LocalObjectReference{Name: name}, Items: items}}
}

func emptyDir() corev1.VolumeSource {
	return corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{}}
}

// variable sets an environment variable: a change of the template.
func variable(d *appsv1.Deployment, name, value string) {
	for i, e := range mainOf(d).Env {
		if e.Name == name {
			mainOf(d).Env[i].Value = value
			return
		}
	}
	mainOf(d).Env = append(mainOf(d).Env, corev1.EnvVar{Name: name, Value: value})
}

// takesUp has the program of d take up c, mounted at /config: it refuses "broken", and copies anything else to /scratch.
func takesUp(d *appsv1.Deployment, c *corev1.ConfigMap) {
	mounts(d, "config", "/config", fromConfig(c.Name))
	mounts(d, "scratch", "/scratch", emptyDir())
	mainOf(d).Command = []string{guest.Path}
	command := func(words ...string) string {
		b, _ := json.Marshal(append([]string{guest.Path}, words...)) // strings have a JSON form
		return string(b)
	}
	maps.Copy(d.Spec.Template.Annotations, map[string]string{
		manifests.AnnotationReloadTest: command("reject", "/config/message", "broken"),
		manifests.AnnotationReload:     command("copy", "/config/message", "/scratch/loaded"),
	})
	configure(d, c, c.Data["message"])
}

// configure changes the message in c, and notes it in the template of d as rendering does.
func configure(d *appsv1.Deployment, c *corev1.ConfigMap, message string) {
	c.Data["message"] = message
	d.Spec.Template.Annotations[manifests.ConfigAnnotation(c.Name)] = message
}

// makeGuest builds the image, once.
func makeGuest(t *testing.T) {
	t.Helper()
	guestOnce.Do(func() {
		dir := t.TempDir()
		file := "FROM scratch\nCOPY guest /guest\nENTRYPOINT [\"/guest\"]\n"
		if err := os.WriteFile(filepath.Join(dir, "Containerfile"), []byte(file), 0o600); err != nil {
			t.Fatal(err)
		}
		run(t, "go", "build", "-o", filepath.Join(dir, "guest"), "mockup.dev/mockup/internal/backend/backendtest/guest/cmd")
		run(t, "podman", "build", "--quiet", "--tag", guestImage, dir)
	})
}

// run a command and return what it prints.
func run(t *testing.T, name string, args ...string) string {
	t.Helper()
	out, err := exec.Command(name, args...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
	return string(out)
}
