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
	out := wantedPod{name: name, containers: map[string]wantedContainer{}, probes: map[string]probes{}, grace: defaultGrace}
	out.labels = ownerLabels(t.set.Owner)
	maps.Copy(out.labels, template.Labels)
	maps.Copy(out.labels, ownerLabels(t.set.Owner))
	if err := t.attach(&out, &template); err != nil {
		return wantedPod{}, err
	}
	if s := spec.TerminationGracePeriodSeconds; s != nil {
		out.grace = time.Duration(*s) * time.Second
	}
	sidecars(spec)
	v := podVolumes{translator: t, pod: &out, renamed: map[string]string{}, security: spec.SecurityContext}
	if err := v.translate(spec, reloadable(template.Annotations)); err != nil {
		return wantedPod{}, err
	}
	if err := out.labelled(ref, &template); err != nil {
		return wantedPod{}, err
	}
	out.initial = map[string]bool{}
	for _, c := range spec.InitContainers {
		out.initial[c.Name] = true
	}
	for _, list := range [][]corev1.Container{spec.InitContainers, spec.Containers} {
		for i := range list {
			if err := t.container(&out, &v, &list[i]); err != nil {
				return wantedPod{}, fmt.Errorf("container %s: %w", list[i].Name, err)
			}
		}
	}
	if err := out.noteProbes(); err != nil {
		return wantedPod{}, err
	}
	if spec.Hostname == "" {
		spec.Hostname = strings.TrimRight(name[:min(len(name), maxHostname)], "-")
	}
	t.resolveNames(&out, spec)
	if ref.Kind == "Job" {
		spec.RestartPolicy = corev1.RestartPolicyNever // what failed is tried again as another pod
	}
	if err := out.sign(template, v.versions, v.keys); err != nil {
		return wantedPod{}, err
	}
	if err := out.reloads(&template, spec, &v); err != nil {
		return wantedPod{}, err
	}
	document := &corev1.Pod{
		TypeMeta:   metav1.TypeMeta{APIVersion: "v1", Kind: "Pod"},
		ObjectMeta: metav1.ObjectMeta{Name: name, Labels: out.labels},
		Spec:       *spec,
	}
	var err error
	out.request.document, err = encode(document, v.configMaps)
	return out, err
}

// labelled gives the pod, beside the template's labels and the owner's, those by which this backend knows its pods.
func (p *wantedPod) labelled(ref manifests.Ref, template *corev1.PodTemplateSpec) error {
	p.labels[manifests.LabelWorkload], p.labels[labelKind] = ref.Name, ref.Kind
	p.labels[labelGrace] = strconv.Itoa(int(p.grace.Seconds()))
	p.labels[labelServices] = strings.Join(p.services, ",")
	if ports := hostPortsOf(&template.Spec); ports != "" {
		p.labels[labelHostPorts] = ports
	}
	hooks, err := preStopLabel(&template.Spec)
	if hooks != "" {
		p.labels[labelPreStop] = hooks
	}
	return err
}

// noteProbes writes the probes down, so that a pod goes on being probed in its own way when its template has changed.
func (p *wantedPod) noteProbes() error {
	text, err := json.Marshal(p.probes)
	if err != nil {
		return fmt.Errorf("writing down the probes of pod %s: %w", p.name, err)
	}
	p.labels[labelProbes] = string(text)
	return nil
}

// sidecars are init containers that go on running. To kube play, which would wait for their end for ever
// (libpod/pod_api.go:35), they are containers like the others.
func sidecars(spec *corev1.PodSpec) {
	init := spec.InitContainers
	spec.InitContainers = nil
	for _, c := range init {
		if c.RestartPolicy != nil && *c.RestartPolicy == corev1.ContainerRestartPolicyAlways {
			c.RestartPolicy = nil
			spec.Containers = append(spec.Containers, c) // the first one stays the main one
		} else {
			spec.InitContainers = append(spec.InitContainers, c)
		}
	}
}

// What a kubelet writes into resolv.conf (pkg/kubelet/network/dns).
const (
	clusterDomain = "cluster.local"
	clusterNdots  = "5"
)

// resolveNames points the pod to the node agent's name server as a kubelet points it to the cluster's, unless it wants
// none or has no network to reach it by.
func (t *translator) resolveNames(p *wantedPod, spec *corev1.PodSpec) {
	server := t.nameServer(p)
	if server == "" || spec.DNSPolicy == corev1.DNSNone || spec.DNSPolicy == corev1.DNSDefault {
		return
	}
	ndots := clusterNdots
	config := &corev1.PodDNSConfig{
		Nameservers: []string{server},
		Searches:    []string{t.set.Owner.Namespace + ".svc." + clusterDomain, "svc." + clusterDomain, clusterDomain},
		Options:     []corev1.PodDNSConfigOption{{Name: "ndots", Value: &ndots}},
	}
	if own := spec.DNSConfig; own != nil {
		config.Nameservers = append(config.Nameservers, own.Nameservers...)
		config.Searches = append(config.Searches, own.Searches...)
		config.Options = append(config.Options, own.Options...)
	}
	spec.DNSPolicy, spec.DNSConfig = corev1.DNSNone, config
}

// nameServer is the node's address on one of the pod's networks: one that has a way out, so that the names of the world
// resolve too, else any.
func (t *translator) nameServer(p *wantedPod) string {
	found := ""
	for _, a := range p.attachments {
		for _, n := range t.out.joinable() {
			if n.name == a.network && (found == "" || !n.internal) {
				found = gatewayOf(n.subnet).String()
				if !n.internal {
					return found
				}
			}
		}
	}
	return found
}

// container adapts one container: names, probes, environment and mounts.
func (t *translator) container(out *wantedPod, v *podVolumes, c *corev1.Container) error {
	// Probes are run from outside: Podman would run them in the container by curl or nc, and on systemd's timers only.
	p := probes{Startup: c.StartupProbe, Readiness: c.ReadinessProbe, Liveness: c.LivenessProbe}
	if err := p.resolvePorts(c.Ports); err != nil {
		return err
	}
	c.StartupProbe, c.ReadinessProbe, c.LivenessProbe, c.Lifecycle = nil, nil, nil, nil
	out.probes[c.Name] = p
	out.containers[c.Name] = wantedContainer{memory: c.Resources.Limits.Memory().Value()}
	out.ports = append(out.ports, c.Ports...)
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
	v.writes(v.security, c)
	c.Name = containerName(out.name, c.Name)
	return nil
}

// translation is the version of what this package makes of a template; raise it when equal templates must be played anew.
const translation = "2"

// sign hashes all that the pod depends on, as it was asked for. Secrets enter by identity and version only: a digest of
// their content would let a weak one be guessed. Of what a program reloads, the names of the files alone enter.
func (p *wantedPod) sign(template corev1.PodTemplateSpec, versions map[string]string, keys []string) error {
	if len(keys) > 0 {
		template = *template.DeepCopy()
		maps.DeleteFunc(template.Annotations, func(k, _ string) bool { return strings.HasPrefix(k, manifests.AnnotationConfigPrefix) })
	}
	hash := sha256.New()
	for _, part := range []any{translation, template, p.request.networks, p.services, versions, keys} {
		b, err := json.Marshal(part)
		if err != nil {
			return fmt.Errorf("hashing pod %s: %w", p.name, err)
		}
		hash.Write(b)
	}
	p.hash = hex.EncodeToString(hash.Sum(nil))[:16]
	p.labels[labelHash] = p.hash
	return nil
}

// encode writes a play's document.
func encode(pod *corev1.Pod, configMaps []*corev1.ConfigMap) ([]byte, error) {
	var stream strings.Builder
	for _, cm := range configMaps {
		b, err := yaml.Marshal(cm)
		if err != nil {
			return nil, fmt.Errorf("encoding ConfigMap %s: %w", cm.Name, err)
		}
		stream.Write(b)
		stream.WriteString("---\n")
	}
	b, err := yaml.Marshal(pod)
	if err != nil {
		return nil, fmt.Errorf("encoding pod %s: %w", pod.Name, err)
	}
	stream.Write(b)
	return []byte(stream.String()), nil
}
