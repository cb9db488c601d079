package podman

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
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
	"mockup.dev/mockup/internal/backend/podman/node"
	"mockup.dev/mockup/manifests"
)

// wanted is a set in Podman's terms: what should be there, and what of the manifests has no meaning here.
type wanted struct {
	owner    manifests.Owner
	policies *policies
	remove   bool
	networks []wantedNetwork
	// borrowed networks belong to another owner: pods join them when they are there.
	borrowed []wantedNetwork
	claims   []wantedClaim
	// lent volumes belong to another owner: pods mount them when they are there, and nobody makes them for this one.
	lent      []string
	workloads []wantedWorkload
	services  []wantedService
	// nodeServices lead to the node itself.
	nodeServices []node.Service
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
	// lender is whose a borrowed network is.
	lender string
}

type wantedClaim struct {
	ref    manifests.Ref
	volume string
	// adopted volumes were there before; they are never created, labelled or removed.
	adopted bool
	retain  bool
	labels  map[string]string
	// size that was asked for, in bytes; 0 for none. It is not enforced.
	size int64
}

type wantedService struct {
	ref      manifests.Ref
	selector labels.Selector
	// unready pods bear the name too.
	unready bool
}

type wantedWorkload struct {
	ref      manifests.Ref
	replicas int
	rollout  rollout
	// pod is what each of its pods is but for the name, and what is named after it; named makes one.
	pod   wantedPod
	named func(name string) wantedPod
	// main is the name of the container whose state and image are the workload's.
	main string
	// job is set for a Job, whose pod ends.
	job *wantedJob
	// broken says why the workload can't be played; what runs of it stays.
	broken error
}

type wantedPod struct {
	name string
	// hash is the digest of all that its pods depend on, but for what a running one can take up.
	hash    string
	request playRequest
	labels  map[string]string
	// services lead to the pod by their names.
	services []string
	images   []wantedImage
	// volumes are created, labelled, before the play; kube play fills those of ConfigMaps and Secrets.
	volumes []volumeInfo
	// written are the volumes that its containers write to, each with the first that does.
	written []writtenVolume
	// claims are the Podman volumes of claims that must be there first.
	claims []string
	// attachments are the networks it joins.
	attachments []attachment
	containers  map[string]wantedContainer
	probes      map[string]probes
	// initial containers run before the others and are gone when they have ended.
	initial map[string]bool
	ports   []corev1.ContainerPort
	grace   time.Duration
	reload  *reload
}

// wantedContainer is what the backend does for a container beside playing it.
type wantedContainer struct {
	// memory limit in bytes; 0 for none.
	memory int64
}

// attachment of a pod to a network, with the fixed address there that it bears beside its own, or none.
type attachment struct {
	network string
	fixed   netip.Addr
}

type wantedImage struct {
	ref    string
	policy corev1.PullPolicy
}

// probes of one container.
type probes struct {
	Startup   *corev1.Probe `json:"startup,omitempty"`
	Readiness *corev1.Probe `json:"readiness,omitempty"`
	Liveness  *corev1.Probe `json:"liveness,omitempty"`
}

// translator gathers what a set's objects say about each other.
type translator struct {
	set        manifests.Set
	out        wanted
	configMaps map[string]*corev1.ConfigMap
	secrets    map[string]*corev1.Secret
	claims     map[string]string
	// shared claims may be written to by many pods.
	shared map[string]bool
	// podLogs is the folder that stands for a kubelet's kubeletPodLogs.
	podLogs string
}

// translate is pure. A workload that refers to what is not in the set comes out as broken; the others are not its hostages.
// podLogs is the folder that has the pods' logs.
func translate(set manifests.Set, podLogs string) (wanted, error) {
	t := &translator{
		set: set, podLogs: podLogs, out: wanted{owner: set.Owner, remove: set.Remove},
		configMaps: map[string]*corev1.ConfigMap{}, secrets: map[string]*corev1.Secret{}, claims: map[string]string{}, shared: map[string]bool{},
	}
	for _, cm := range set.ConfigMaps {
		t.configMaps[cm.Name] = cm
	}
	for _, s := range set.Secrets {
		t.secrets[s.Name] = s
	}
	for _, o := range set.Objects {
		t.out.refused = append(t.out.refused, unsupported(o)...)
		if err := t.collect(o); err != nil {
			return wanted{}, err
		}
	}
	if set.Remove {
		return t.out, nil
	}
	for _, claim := range set.Claims {
		volume := cmp.Or(claim.Annotations[manifests.AnnotationExisting], claimVolumeName(set.Owner.Namespace, claim.Name))
		t.mountable(claim, volume)
		t.out.lent = append(t.out.lent, volume)
	}
	policed := slices.Clone(set.Objects)
	for _, n := range set.Networks {
		if err := t.borrow(n); err != nil {
			return wanted{}, err
		}
		policed = append(policed, n)
	}
	var err error
	if t.out.policies, err = newPolicies(policed); err != nil {
		return wanted{}, err
	}
	for _, o := range set.Objects {
		t.workload(o)
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
		if port, ok := nodePortOf(o); ok {
			t.out.nodeServices = append(t.out.nodeServices, node.Service{Name: o.Name, Port: port})
			t.out.passive = append(t.out.passive, ref)
			return nil
		}
		t.out.services = append(t.out.services, wantedService{ref: ref, selector: serviceSelector(o), unready: o.Spec.PublishNotReadyAddresses})
	case *corev1.ServiceAccount, *rbacv1.Role, *rbacv1.RoleBinding:
		// They speak to a cluster's API server, which Podman's pods have no use for.
		t.out.passive = append(t.out.passive, ref)
	case *corev1.PersistentVolumeClaim:
		t.claim(ref, o)
	case *networkingv1.NetworkPolicy:
		return t.network(ref, o)
	}
	return nil
}

func (t *translator) refuse(ref manifests.Ref, path, reason string) {
	t.out.refused = append(t.out.refused, backend.Refusal{Ref: ref, Path: path, Reason: reason})
}

func (t *translator) claim(ref manifests.Ref, o *corev1.PersistentVolumeClaim) {
	c := wantedClaim{ref: ref, volume: claimVolumeName(t.set.Owner.Namespace, o.Name), retain: o.Labels[manifests.LabelReclaim] != "Delete"}
	c.size = o.Spec.Resources.Requests.Storage().Value()
	if name := o.Annotations[manifests.AnnotationExisting]; name != "" {
		c.volume, c.adopted, c.retain = name, true, true
	} else {
		c.labels = ownerLabels(t.set.Owner)
		c.labels[labelClaim] = o.Name
		c.labels[manifests.LabelReclaim] = o.Labels[manifests.LabelReclaim]
	}
	t.mountable(o, c.volume)
	t.out.claims = append(t.out.claims, c)
}

// mountable tells which volume pods mount by a claim, of the set or of another owner.
func (t *translator) mountable(o *corev1.PersistentVolumeClaim, volume string) {
	t.claims[o.Name] = volume
	t.shared[o.Name] = slices.Contains(o.Spec.AccessModes, corev1.ReadWriteMany)
}

// network takes a policy with a subnet for a network, too; as a policy it is enforced like any other.
func (t *translator) network(ref manifests.Ref, o *networkingv1.NetworkPolicy) error {
	if _, ok := o.Annotations[manifests.AnnotationSubnet]; !ok {
		t.out.passive = append(t.out.passive, ref)
		return nil
	}
	n, err := t.networkOf(ref, o)
	if err != nil {
		return err
	}
	n.labels = ownerLabels(t.set.Owner)
	n.labels[labelNetwork] = o.Name
	t.out.networks = append(t.out.networks, n)
	return nil
}

// borrow takes a policy of another owner for the network that it is there.
func (t *translator) borrow(o *networkingv1.NetworkPolicy) error {
	ref := manifests.RefOf(o)
	n, err := t.networkOf(ref, o)
	if err != nil {
		return fmt.Errorf("borrowed %w", err)
	}
	n.lender = o.Labels[manifests.LabelOwner]
	if n.lender == "" || n.lender == t.set.Owner.String() {
		return fmt.Errorf("borrowed %s: label %s is %q: it must name another owner", ref, manifests.LabelOwner, n.lender)
	}
	t.out.borrowed = append(t.out.borrowed, n)
	return nil
}

// networkOf reads the annotations that make a policy a network.
func (t *translator) networkOf(ref manifests.Ref, o *networkingv1.NetworkPolicy) (wantedNetwork, error) {
	subnet, err := netip.ParsePrefix(o.Annotations[manifests.AnnotationSubnet])
	if err != nil {
		return wantedNetwork{}, fmt.Errorf("%s: annotation %s: %w", ref, manifests.AnnotationSubnet, err)
	}
	selector, err := metav1.LabelSelectorAsSelector(&o.Spec.PodSelector)
	if err != nil {
		return wantedNetwork{}, fmt.Errorf("%s: spec.podSelector: %w", ref, err)
	}
	n := wantedNetwork{ref: ref, selector: selector, short: shortNetworkName(o)}
	n.networkInfo = networkInfo{name: networkName(t.set.Owner.Namespace, o.Name), subnet: subnet, internal: o.Annotations[manifests.AnnotationInternal] == "true"}
	return n, nil
}

// joinable are the networks that pods may join, its own and the borrowed ones.
func (w *wanted) joinable() []wantedNetwork { return slices.Concat(w.networks, w.borrowed) }

func shortNetworkName(o *networkingv1.NetworkPolicy) string {
	for key := range o.Spec.PodSelector.MatchLabels {
		if name, ok := strings.CutPrefix(key, manifests.LabelNetworkPrefix); ok {
			return name
		}
	}
	return o.Name
}

// workload takes in what runs as pods.
func (t *translator) workload(o manifests.Object) {
	w := wantedWorkload{ref: manifests.RefOf(o), replicas: 1}
	var template corev1.PodTemplateSpec
	switch o := o.(type) {
	case *appsv1.Deployment:
		template = o.Spec.Template
		if o.Spec.Replicas != nil {
			w.replicas = int(*o.Spec.Replicas)
		}
		w.rollout = deploymentRollout(&o.Spec, w.replicas)
	case *appsv1.DaemonSet:
		template, w.rollout = o.Spec.Template, daemonSetRollout(&o.Spec)
	case *batchv1.Job:
		template, w.job = o.Spec.Template, jobOf(o)
	default:
		return
	}
	w.main = template.Spec.Containers[0].Name
	if why := single(&template.Spec, t.shared); why != "" && w.rollout.recreate {
		w.rollout.why = why
	} else if why != "" && w.job == nil {
		w.rollout.recreate, w.rollout.why = true, why
		t.refuse(w.ref, w.rollout.path, why+": it is replaced as with Recreate, which interrupts it for a second or two")
	}
	first := podName(t.set.Owner.Namespace, o.GetName(), 0)
	if w.pod, w.broken = t.pod(w.ref, first, template); w.broken == nil {
		w.named = func(name string) wantedPod {
			pod, _ := t.pod(w.ref, name, template) // which has just been made under another name
			return pod
		}
	}
	t.out.workloads = append(t.out.workloads, w)
}

// nodePortOf is the port of a Service that leads to the node itself.
func nodePortOf(s *corev1.Service) (uint16, bool) {
	text, ok := s.Annotations[manifests.AnnotationNodePort]
	port, err := strconv.ParseUint(text, 10, 16)
	return uint16(port), ok && s.Spec.Type == corev1.ServiceTypeExternalName && err == nil && port != 0 && port != dnsPort
}

// dnsPort of the node is the name server's.
const dnsPort = 53

// serviceSelector selects nothing when the Service has no selector.
func serviceSelector(s *corev1.Service) labels.Selector {
	if len(s.Spec.Selector) == 0 {
		return labels.Nothing()
	}
	return labels.SelectorFromSet(s.Spec.Selector)
}

// attach finds the networks and Services of a pod.
func (t *translator) attach(p *wantedPod, template *corev1.PodTemplateSpec) error {
	podLabels := labels.Set(p.labels)
	p.services = t.out.servicesOf(p.labels)
	for _, n := range t.out.joinable() {
		if !n.selector.Matches(podLabels) {
			continue
		}
		a := attachment{network: n.name}
		if ip := template.Annotations[manifests.AnnotationIPPrefix+n.short]; ip != "" {
			var err error
			if a.fixed, err = netip.ParseAddr(ip); err != nil {
				return fmt.Errorf("annotation %s: %w", manifests.AnnotationIPPrefix+n.short, err)
			}
		}
		p.attachments = append(p.attachments, a)
		p.request.networks = append(p.request.networks, n.name)
	}
	return nil
}

// servicesOf names the Services that select pods with these labels.
func (w *wanted) servicesOf(podLabels map[string]string) []string {
	return w.servicesWhere(podLabels, func(wantedService) bool { return true })
}

// unreadyServicesOf names those of them whose names lead to pods that are not ready, too.
func (w *wanted) unreadyServicesOf(podLabels map[string]string) []string {
	return w.servicesWhere(podLabels, func(s wantedService) bool { return s.unready })
}

func (w *wanted) servicesWhere(podLabels map[string]string, counts func(wantedService) bool) []string {
	var names []string
	for _, s := range w.services {
		if counts(s) && s.selector.Matches(labels.Set(podLabels)) {
			names = append(names, s.ref.Name)
		}
	}
	return names
}
