package podman

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"strconv"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"

	"mockup.dev/mockup/manifests"
)

// defaultGrace is Kubernetes' default of terminationGracePeriodSeconds.
const defaultGrace = 30 * time.Second

// maxHostname is the kernel's limit of a host name, __NEW_UTS_LEN less one as Kubernetes has it.
const maxHostname = 63

// pod turns a template into one pod of its own, as it is played.
func (t *translator) pod(ref manifests.Ref, name string, template corev1.PodTemplateSpec) (wantedPod, error) {
	spec := template.Spec.DeepCopy()
	out := wantedPod{name: name, probes: map[string]probes{}, grace: defaultGrace}
	if err := t.attach(&out, &template); err != nil {
		return wantedPod{}, err
	}
	if s := spec.TerminationGracePeriodSeconds; s != nil {
		out.grace = time.Duration(*s) * time.Second
	}
	v := podVolumes{translator: t, pod: &out, renamed: map[string]string{}}
	if err := v.translate(spec); err != nil {
		return wantedPod{}, err
	}
	for _, list := range [][]corev1.Container{spec.InitContainers, spec.Containers} {
		for i := range list {
			if err := t.container(&out, &v, &list[i]); err != nil {
				return wantedPod{}, fmt.Errorf("container %s: %w", list[i].Name, err)
			}
		}
	}
	if spec.Hostname == "" {
		spec.Hostname = strings.TrimRight(name[:min(len(name), maxHostname)], "-")
	}
	document := &corev1.Pod{
		TypeMeta:   metav1.TypeMeta{APIVersion: "v1", Kind: "Pod"},
		ObjectMeta: metav1.ObjectMeta{Name: name, Labels: t.podLabels(ref, &out, template.Labels)},
		Spec:       *spec,
	}
	if err := out.sign(template, v.versions); err != nil {
		return wantedPod{}, err
	}
	return out, out.encode(document, v.configMaps)
}

// podLabels are the template's and those by which this backend knows its pods.
func (t *translator) podLabels(ref manifests.Ref, p *wantedPod, template map[string]string) map[string]string {
	out := ownerLabels(t.set.Owner)
	maps.Copy(out, template)
	maps.Copy(out, ownerLabels(t.set.Owner))
	out[manifests.LabelWorkload], out[labelKind] = ref.Name, ref.Kind
	out[labelGrace] = strconv.Itoa(int(p.grace.Seconds()))
	out[labelServices] = strings.Join(p.services, ",")
	return out
}

// container adapts one container: names, probes, environment and mounts.
func (t *translator) container(out *wantedPod, v *podVolumes, c *corev1.Container) error {
	if c.LivenessProbe != nil || c.ReadinessProbe != nil || c.StartupProbe != nil {
		// Run from outside: Podman would run them in the container by curl or nc, and on systemd's timers only.
		p := probes{startup: c.StartupProbe, readiness: c.ReadinessProbe, liveness: c.LivenessProbe}
		if err := p.resolvePorts(c.Ports); err != nil {
			return err
		}
		out.probes[c.Name] = p
		c.StartupProbe, c.ReadinessProbe, c.LivenessProbe = nil, nil, nil
	}
	out.images = append(out.images, wantedImage{ref: c.Image, policy: c.ImagePullPolicy})
	// The image was looked for before; the play itself must neither pull nor ask a registry.
	c.ImagePullPolicy = corev1.PullNever
	env, err := t.environment(c, v)
	if err != nil {
		return err
	}
	c.Env, c.EnvFrom = env, nil
	for i := range c.VolumeMounts {
		m := &c.VolumeMounts[i]
		if name, ok := v.renamed[m.Name]; ok {
			m.ReadOnly = m.ReadOnly || v.readOnly(m.Name)
			m.Name = name
		}
	}
	c.Name = containerName(out.name, c.Name)
	return nil
}

// translation is the version of what this package makes of a template; raise it when equal templates must be played anew.
const translation = "1"

// sign hashes all that the pod depends on, as it was asked for. Secrets enter by identity and version only: a digest of
// their content would let a weak one be guessed.
func (p *wantedPod) sign(template corev1.PodTemplateSpec, versions map[string]string) error {
	hash := sha256.New()
	for _, part := range []any{translation, p.name, template, p.request.networks, p.services, versions} {
		b, err := json.Marshal(part)
		if err != nil {
			return fmt.Errorf("hashing pod %s: %w", p.name, err)
		}
		hash.Write(b)
	}
	p.hash = hex.EncodeToString(hash.Sum(nil))[:16]
	return nil
}

// encode writes the play's document.
func (p *wantedPod) encode(document *corev1.Pod, configMaps []*corev1.ConfigMap) error {
	document.Labels[labelHash] = p.hash
	var stream strings.Builder
	for _, cm := range configMaps {
		b, err := yaml.Marshal(cm)
		if err != nil {
			return fmt.Errorf("encoding ConfigMap %s: %w", cm.Name, err)
		}
		stream.Write(b)
		stream.WriteString("---\n")
	}
	b, err := yaml.Marshal(document)
	if err != nil {
		return fmt.Errorf("encoding pod %s: %w", p.name, err)
	}
	stream.Write(b)
	p.request.document = []byte(stream.String())
	return nil
}
