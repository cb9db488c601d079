package podman

import (
	"fmt"
	"net/netip"
	"strings"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"

	"mockup.dev/mockup/internal/backend"
	"mockup.dev/mockup/manifests"
)

// wanted is a set in Podman's terms: what should be there, and what of the manifests has no meaning here.
type wanted struct {
	owner     manifests.Owner
	remove    bool
	networks  []wantedNetwork
	claims    []wantedClaim
	workloads []wantedWorkload
	services  []wantedService
	// passive objects have no existence of their own on Podman: they live in the pods that use them.
	passive []manifests.Ref
	refused []backend.Refusal
}

type wantedNetwork struct {
	ref manifests.Ref
	networkInfo
	selector labels.Selector
	// short is the network's name in the specification.
	short string
}

type wantedClaim struct {
	ref    manifests.Ref
	volume string
	// adopted volumes were there before; they are never created, labelled or removed.
	adopted bool
	retain  bool
	labels  map[string]string
}

type wantedService struct {
	ref      manifests.Ref
	selector labels.Selector
}

type wantedWorkload struct {
	ref  manifests.Ref
	pods []wantedPod
	// recreate allows all pods to be down at once.
	recreate bool
	// main is the name of the container whose state and image are the workload's.
	main string
	// once marks a Job: its pod ends.
	once bool
	// broken says why the workload can't be played; what runs of it stays.
	broken error
}

type wantedPod struct {
	name    string
	hash    string
	request playRequest
	// services lead to the pod by their names.
	services []string
	images   []wantedImage
	// volumes are created, labelled, before the play; kube play fills those of ConfigMaps and Secrets.
	volumes []volumeInfo
	// claims are the Podman volumes of claims that must be there first.
	claims []string
	// attachments are the networks it joins, aliases the names it bears there.
	attachments []attachment
	aliases     []string
	probes      map[string]probes
	grace       time.Duration
}

// attachment of a pod to a network, with its fixed address there or none.
type attachment struct {
	network string
	addr    netip.Addr
	mac     string
}

type wantedImage struct {
	ref    string
	policy corev1.PullPolicy
}

// probes of one container.
type probes struct{ startup, readiness, liveness *corev1.Probe }

// translator gathers what a set's objects say about each other.
type translator struct {
	set        manifests.Set
	out        wanted
	configMaps map[string]*corev1.ConfigMap
	secrets    map[string]*corev1.Secret
	claims     map[string]string
}

// translate is pure. A workload that refers to what is not in the set comes out as broken; the others are not its hostages.
func translate(set manifests.Set) (wanted, error) {
	t := &translator{
		set: set, out: wanted{owner: set.Owner, remove: set.Remove},
		configMaps: map[string]*corev1.ConfigMap{}, secrets: map[string]*corev1.Secret{}, claims: map[string]string{},
	}
	for _, cm := range set.ConfigMaps {
		t.configMaps[cm.Name] = cm
	}
	for _, s := range set.Secrets {
		t.secrets[s.Name] = s
	}
	for _, o := range set.Objects {
		if err := t.collect(o); err != nil {
			return wanted{}, err
		}
	}
	if set.Remove {
		return t.out, nil
	}
	for _, o := range set.Objects {
		if err := t.workload(o); err != nil {
			return wanted{}, err
		}
	}
	return t.out, nil
}

// collect takes in every object that pods may refer to.
func (t *translator) collect(o manifests.Object) error {
	ref := manifests.RefOf(o)
	switch o := o.(type) {
	case *corev1.ConfigMap:
		t.configMaps[o.Name] = o
		t.out.passive = append(t.out.passive, ref)
	case *corev1.Secret:
		t.secrets[o.Name] = o
		t.out.passive = append(t.out.passive, ref)
	case *corev1.Service:
		t.out.services = append(t.out.services, wantedService{ref: ref, selector: serviceSelector(o)})
	case *corev1.ServiceAccount, *rbacv1.Role, *rbacv1.RoleBinding:
		// They speak to a cluster's API server, which Podman's pods have no use for.
		t.out.passive = append(t.out.passive, ref)
	case *corev1.PersistentVolumeClaim:
		t.claim(ref, o)
	case *networkingv1.NetworkPolicy:
		return t.network(ref, o)
	case *appsv1.Deployment, *appsv1.DaemonSet, *batchv1.Job:
	default:
		t.refuse(ref, "", "Podman has nothing that corresponds to this kind")
	}
	return nil
}

func (t *translator) refuse(ref manifests.Ref, path, reason string) {
	t.out.refused = append(t.out.refused, backend.Refusal{Ref: ref, Path: path, Reason: reason})
}

func (t *translator) claim(ref manifests.Ref, o *corev1.PersistentVolumeClaim) {
	c := wantedClaim{ref: ref, volume: claimVolumeName(t.set.Owner.Namespace, o.Name), retain: o.Labels[manifests.LabelReclaim] != "Delete"}
	if name := o.Annotations[manifests.AnnotationExisting]; name != "" {
		c.volume, c.adopted, c.retain = name, true, true
	} else {
		c.labels = ownerLabels(t.set.Owner)
		c.labels[labelClaim] = o.Name
		c.labels[manifests.LabelReclaim] = o.Labels[manifests.LabelReclaim]
		t.refuse(ref, "spec.resources.requests.storage", "a Podman volume has no size limit: the size is not enforced")
	}
	t.claims[o.Name] = c.volume
	t.out.claims = append(t.out.claims, c)
}

// network takes a policy with a subnet for a network. Its rules say that the pods of a network reach each other and
// nothing else inside the stack, which is what an isolated bridge does.
func (t *translator) network(ref manifests.Ref, o *networkingv1.NetworkPolicy) error {
	text, ok := o.Annotations[manifests.AnnotationSubnet]
	if !ok {
		if opensOnly(o) {
			t.out.passive = append(t.out.passive, ref) // host ports are open on Podman
		} else {
			t.refuse(ref, "spec", "only policies that describe a network of the stack are enforced on Podman")
		}
		return nil
	}
	subnet, err := netip.ParsePrefix(text)
	if err != nil {
		return fmt.Errorf("%s: annotation %s: %w", ref, manifests.AnnotationSubnet, err)
	}
	selector, err := metav1.LabelSelectorAsSelector(&o.Spec.PodSelector)
	if err != nil {
		return fmt.Errorf("%s: spec.podSelector: %w", ref, err)
	}
	n := wantedNetwork{ref: ref, selector: selector, short: shortNetworkName(o)}
	n.networkInfo = networkInfo{name: networkName(t.set.Owner.Namespace, o.Name), subnet: subnet, internal: o.Annotations[manifests.AnnotationInternal] == "true", labels: ownerLabels(t.set.Owner)}
	n.labels[labelNetwork] = o.Name
	t.out.networks = append(t.out.networks, n)
	return nil
}

// opensOnly tells whether a policy does nothing but let everyone in.
func opensOnly(o *networkingv1.NetworkPolicy) bool {
	for _, rule := range o.Spec.Ingress {
		if len(rule.From) > 0 {
			return false
		}
	}
	return len(o.Spec.Egress) == 0 && len(o.Spec.Ingress) > 0
}

func shortNetworkName(o *networkingv1.NetworkPolicy) string {
	for key := range o.Spec.PodSelector.MatchLabels {
		if name, ok := strings.CutPrefix(key, manifests.LabelNetworkPrefix); ok {
			return name
		}
	}
	return o.Name
}

func (t *translator) workload(o manifests.Object) error {
	ref := manifests.RefOf(o)
	w := wantedWorkload{ref: ref}
	var template corev1.PodTemplateSpec
	replicas := 1
	switch o := o.(type) {
	case *appsv1.Deployment:
		template = o.Spec.Template
		if o.Spec.Replicas != nil {
			replicas = int(*o.Spec.Replicas)
		}
		w.recreate = o.Spec.Strategy.Type == appsv1.RecreateDeploymentStrategyType
		if !w.recreate && replicas == 1 {
			t.refuse(ref, "spec.strategy", "the single pod is replaced in place: a change interrupts it for about a second")
		}
	case *appsv1.DaemonSet:
		template = o.Spec.Template
	case *batchv1.Job:
		template, w.once = o.Spec.Template, true
	default:
		return nil
	}
	w.main = template.Spec.Containers[0].Name
	for n := range replicas {
		pod, err := t.pod(ref, podName(t.set.Owner.Namespace, o.GetName(), n), template)
		if err != nil {
			w.broken, w.pods = err, nil
			break
		}
		w.pods = append(w.pods, pod)
	}
	t.refusePodFields(ref, &template.Spec)
	t.out.workloads = append(t.out.workloads, w)
	return nil
}

// serviceSelector selects nothing when the Service has no selector.
func serviceSelector(s *corev1.Service) labels.Selector {
	if len(s.Spec.Selector) == 0 {
		return labels.Nothing()
	}
	return labels.SelectorFromSet(s.Spec.Selector)
}

// attach finds the networks of a pod, and its addresses and names there.
func (t *translator) attach(p *wantedPod, template *corev1.PodTemplateSpec) error {
	podLabels := labels.Set(template.Labels)
	for _, s := range t.out.services {
		if s.selector.Matches(podLabels) {
			p.services = append(p.services, s.ref.Name)
			p.aliases = append(p.aliases, serviceAliases(s.ref.Name, t.set.Owner.Namespace)...)
		}
	}
	for _, n := range t.out.networks {
		if !n.selector.Matches(podLabels) {
			continue
		}
		a := attachment{network: n.name}
		if ip := template.Annotations[manifests.AnnotationIPPrefix+n.short]; ip != "" {
			var err error
			if a.addr, err = netip.ParseAddr(ip); err != nil {
				return fmt.Errorf("annotation %s: %w", manifests.AnnotationIPPrefix+n.short, err)
			}
			a.mac = hardwareAddress(a.addr)
		}
		p.attachments = append(p.attachments, a)
		p.request.networks = append(p.request.networks, a.option(p.aliases))
	}
	return nil
}

// option is the attachment in the notation of kube play, with the names that the pod bears there.
func (a attachment) option(aliases []string) string {
	var options []string
	if a.addr.IsValid() {
		options = append(options, "ip="+a.addr.String(), "mac="+a.mac)
	}
	for _, alias := range aliases {
		options = append(options, "alias="+alias)
	}
	return strings.TrimSuffix(a.network+":"+strings.Join(options, ","), ":")
}
