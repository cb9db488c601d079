package memory

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

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

	running bool
	ready   bool
	// readySince and started are of the last time.
	readySince time.Time
	started    time.Time
	server     guest.Server
	// loaded and refused are the digests of the configuration that its program has taken up, and of one that it did not, with what it
	// said of that.
	loaded  string
	refused string
	said    string

	restarts int32
	// exitCode of the main container when it has ended.
	exitCode *int32
	// over names the container that has ended and is to be started again at the time next, having ended so often.
	over    string
	crashes int
	next    time.Time
	// tried: a Job has counted its end.
	tried bool

	terminating bool
	leave       *leave
	drained     bool
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
		once:      w.job != nil,
		template:  w.template.DeepCopy(),
		volumes:   map[string]map[string][]byte{},
		loaded:    w.configuration(),
		addresses: map[string]string{},
	}
	for _, v := range w.template.Spec.Volumes {
		p.volumes[v.Name] = volumes[v.Name]
		if v.PersistentVolumeClaim == nil { // only claims are shared
			p.volumes[v.Name] = maps.Clone(volumes[v.Name])
		}
	}
	s.addresses(p)
	s.tenant.pods = append(s.tenant.pods, p)
	s.wrote()
}

// addresses for a pod that no other has had.
func (w *World) addresses(p *pod) {
	for _, network := range networks(p.template) {
		w.serial++
		p.addresses[network] = fmt.Sprintf("10.0.%d.%d", w.serial/250%250, w.serial%250+2)
	}
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
	// Env of the main container.
	Env []corev1.EnvVar
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
			Env: slices.Clone(p.main().Env),
		})
	}
	return pods
}
