package memory

import (
	"fmt"
	"path"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"mockup.dev/mockup/internal/backend/backendtest/guest"
	"mockup.dev/mockup/manifests"
)

// pod is an instance of a workload.
type pod struct {
	name      string
	namespace string
	id        string
	workload  manifests.Ref
	hash      string
	once      bool
	template  *corev1.PodTemplateSpec
	// volumes are the files of each volume, by the volume's name in the template.
	volumes   map[string]map[string][]byte
	addresses map[string]string
	logs      []string

	running     bool
	ready       bool
	terminating bool
	drained     bool
	restarts    int32
	exitCode    *int32
}

func (p *pod) main() *corev1.Container { return &p.template.Spec.Containers[0] }

func (t *tenant) podsOf(workload manifests.Ref) []*pod {
	var pods []*pod
	for _, p := range t.pods {
		if p.workload == workload {
			pods = append(pods, p)
		}
	}
	return pods
}

func (t *tenant) removePod(gone *pod) {
	t.pods = slices.DeleteFunc(t.pods, func(p *pod) bool { return p == gone })
}

func (w *World) findPod(namespace, name string) (*tenant, *pod) {
	for _, t := range w.tenants {
		for _, p := range t.pods {
			if p.namespace == namespace && p.name == name {
				return t, p
			}
		}
	}
	return nil, nil
}

func (s *step) create(th *thing, w workload, hash string, volumes map[string]map[string][]byte) {
	th.count++
	p := &pod{
		name:      fmt.Sprintf("%s-%d", th.key.ref.Name, th.count),
		namespace: s.set.Owner.Namespace,
		id:        s.nextID("pod"),
		workload:  th.key.ref,
		hash:      hash,
		once:      w.once,
		template:  w.template.DeepCopy(),
		volumes:   volumes,
		addresses: map[string]string{},
	}
	for _, network := range networks(w.template) {
		s.serial++
		p.addresses[network] = fmt.Sprintf("10.0.%d.%d", s.serial/250%250, s.serial%250+2)
	}
	s.tenant.pods = append(s.tenant.pods, p)
	s.wrote()
}

// networks that the labels of a template name; the empty one when there are none.
func networks(template *corev1.PodTemplateSpec) []string {
	var names []string
	for label, value := range template.Labels {
		if name, found := strings.CutPrefix(label, manifests.LabelNetworkPrefix); found && value == "true" {
			names = append(names, name)
		}
	}
	if len(names) == 0 {
		return []string{""}
	}
	slices.Sort(names)
	return names
}

// grantAddresses gives a pod the fixed addresses that no other pod of the tenant has at the moment.
func (w *World) grantAddresses(t *tenant, p *pod) bool {
	changed := false
	for annotation, address := range p.template.Annotations {
		network, found := strings.CutPrefix(annotation, manifests.AnnotationIPPrefix)
		if !found || p.addresses[network] == address {
			continue
		}
		held := slices.ContainsFunc(t.pods, func(other *pod) bool { return other.addresses[network] == address })
		if !held {
			p.addresses[network] = address
			changed = true
		}
	}
	return changed
}

// run starts a pod that does not run, and tells whether that changed anything.
func (w *World) run(p *pod) bool {
	fate := fateOf(p.main())
	ready := fate.Ready && !w.held[p.main().Image]
	switch {
	case p.running:
		changed := p.ready != ready
		p.ready = ready
		return changed
	case p.once && p.exitCode != nil:
		return false
	case fate.Exits && p.exitCode != nil:
		// It would end again and again; once is enough to be seen.
		return false
	case fate.Exits:
		p.exitCode = new(int32(fate.ExitCode))
	default:
		if p.exitCode != nil {
			p.restarts++
			p.exitCode = nil
		}
		p.running = true
		p.logs = append(p.logs, guest.Banner)
	}
	return true
}

// fateOf a container: the guest does what its arguments say, any other program serves.
func fateOf(c *corev1.Container) guest.Behaviour {
	if !strings.Contains(c.Image, "/guest:") {
		return guest.Behaviour{Ready: true}
	}
	return guest.Foretell(c.Args)
}

func (p *pod) uses(ref manifests.Ref) bool {
	if p.workload == ref {
		return true
	}
	for _, v := range p.template.Spec.Volumes {
		switch {
		case v.ConfigMap != nil && ref == manifests.Ref{Kind: "ConfigMap", Name: v.ConfigMap.Name},
			v.Secret != nil && ref == manifests.Ref{Kind: "Secret", Name: v.Secret.SecretName},
			v.PersistentVolumeClaim != nil &&
				ref == manifests.Ref{Kind: "PersistentVolumeClaim", Name: v.PersistentVolumeClaim.ClaimName}:
			return true
		}
	}
	return ref.Kind == "NetworkPolicy"
}

// file finds the volume that holds a path of the main container, and the name of the file in it.
func (p *pod) file(name string) (map[string][]byte, string, error) {
	for _, m := range p.main().VolumeMounts {
		if rest, found := strings.CutPrefix(name, path.Clean(m.MountPath)+"/"); found {
			return p.volumes[m.Name], rest, nil
		}
	}
	return nil, "", fmt.Errorf("open %s: no such file or directory", name)
}

// Pod of the world, as a second client sees it.
type Pod struct {
	Name        string
	Namespace   string
	ID          string
	Workload    manifests.Ref
	Labels      map[string]string
	Addresses   map[string]string
	Ready       bool
	Terminating bool
	Restarts    int32
}

// Pods of an owner, the oldest first.
func (w *World) Pods(owner manifests.Owner) []Pod {
	w.mu.Lock()
	defer w.mu.Unlock()
	t := w.tenants[owner.String()]
	if t == nil {
		return nil
	}
	var pods []Pod
	for _, p := range t.pods {
		pods = append(pods, Pod{
			Name: p.name, Namespace: p.namespace, ID: p.id, Workload: p.workload, Labels: p.template.Labels,
			Addresses: copyOf(p.addresses), Ready: p.ready, Terminating: p.terminating, Restarts: p.restarts,
		})
	}
	return pods
}
