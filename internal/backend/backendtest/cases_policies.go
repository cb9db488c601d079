package backendtest

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	. "github.com/onsi/gomega" //nolint:staticcheck // matchers read best without a qualifier
	"golang.org/x/sync/errgroup"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"mockup.dev/mockup/internal/backend/backendtest/guest"
	"mockup.dev/mockup/manifests"
)

// otherPort is a port on which the workloads of policyCases serve beside guest.Port.
const otherPort = 8081

var policyCases = []Case{{ //nolint:gochecknoglobals // a table that nothing writes to
	Name:    "pods of one network reach each other when its policy says no more than that",
	Without: needsPolicies,
	run: func(e *env) {
		set := e.set(e.neighbours()...)
		e.ready(set)
		e.reach(set, allPairs()...)
	},
}, {
	Name:    "a pod that a policy selects is reached by those that are allowed, on those ports, and by nobody else",
	Without: needsPolicies,
	run: func(e *env) {
		set := manifests.Set{Owner: e.owner, Objects: append([]manifests.Object{
			e.closed(),
			e.admits("api", []string{"web"}, intstr.FromInt32(guest.Port)),
			e.admits("db", []string{"api", "web"}, intstr.FromString("other")),
		}, e.neighbours()...)}
		e.ready(set)
		e.reach(set, "web api 8080", "api db 8081", "web db 8081")
	},
}, {
	Name:    "a pod reaches only what the policies of its own direction allow",
	Without: needsPolicies,
	run: func(e *env) {
		egress := e.about("web")
		egress.Name += "-egress"
		egress.Spec.PolicyTypes = []networkingv1.PolicyType{networkingv1.PolicyTypeEgress}
		egress.Spec.Egress = []networkingv1.NetworkPolicyEgressRule{{
			To: []networkingv1.NetworkPolicyPeer{e.peer("api")}, Ports: []networkingv1.NetworkPolicyPort{port(intstr.FromString("http"))},
		}}
		set := e.set(append([]manifests.Object{egress}, e.neighbours()...)...)
		e.ready(set)
		forbidden := []string{"web api 8081", "web db 8080", "web db 8081"}
		e.reach(set, slices.DeleteFunc(allPairs(), func(p string) bool { return slices.Contains(forbidden, p) })...)
	},
}, {
	Name:    "a policy that comes, changes or goes takes effect without a new pod",
	Without: needsPolicies,
	run: func(e *env) {
		neighbours := e.neighbours()
		open := e.set(neighbours...)
		e.ready(open)
		before, _ := e.policyIDs()
		admits := e.admits("api", []string{"web"}, intstr.FromInt32(guest.Port))
		some := manifests.Set{Owner: e.owner, Objects: append([]manifests.Object{e.closed(), admits}, neighbours...)}
		e.reach(some, "web api 8080")
		changed := some
		changed.Objects = slices.Clone(some.Objects)
		changed.Objects[1] = e.admits("api", []string{"db"}, intstr.FromInt32(otherPort))
		e.reach(changed, "db api 8081")
		e.reach(open, allPairs()...)
		after, all := e.policyIDs()
		e.Expect(after).To(Equal(before), "pods were touched: %v", all)
	},
}, {
	Name:    "a pod that comes later is held to the policies, and reached by those that may",
	Without: needsPolicies,
	run: func(e *env) {
		set := manifests.Set{Owner: e.owner, Objects: append([]manifests.Object{
			e.closed(), e.admits("api", []string{"web"}, intstr.FromInt32(guest.Port)),
		}, e.neighbours()...)}
		e.ready(set)
		for _, name := range []string{"web", "api"} {
			e.must("removing a pod", e.world.RemovePod(e.Context(), e.onlyPod(manifests.RefOf(e.deployment(name)))))
			e.ready(set)
			e.reach(set, "web api 8080")
		}
	},
}}

func needsPolicies(h Harness) string {
	return lacks(h.Can.Policies, "NetworkPolicies are not enforced in this world")
}

func neighbourNames() []string { return []string{"web", "api", "db"} }

// neighbours are workloads on one network that serve on two ports.
func (e *env) neighbours() []manifests.Object {
	var all []manifests.Object
	for _, name := range neighbourNames() {
		d := e.deployment(name, "serve", "-also", fmt.Sprint(otherPort))
		ports := &d.Spec.Template.Spec.Containers[0].Ports
		*ports = append(*ports, (*ports)[0])
		(*ports)[1].Name, (*ports)[1].ContainerPort = "other", otherPort
		all = append(all, d)
	}
	return all
}

// allPairs of neighbours and ports, as "from to port".
func allPairs() []string {
	var all []string
	for _, from := range neighbourNames() {
		for _, to := range neighbourNames() {
			for _, port := range []int{guest.Port, otherPort} {
				if from != to {
					all = append(all, fmt.Sprintf("%s %s %d", from, to, port))
				}
			}
		}
	}
	return all
}

// closed is the owner's network with nobody allowed to reach anybody.
func (e *env) closed() *networkingv1.NetworkPolicy {
	p := e.policy()
	p.Spec.Ingress = nil
	return p
}

// about is a policy for the pods of a component.
func (e *env) about(component string) *networkingv1.NetworkPolicy {
	return &networkingv1.NetworkPolicy{
		TypeMeta:   typed("networking.k8s.io/v1", "NetworkPolicy"),
		ObjectMeta: e.meta(component),
		Spec: networkingv1.NetworkPolicySpec{
			PodSelector: metav1.LabelSelector{MatchLabels: e.selector(component)},
			PolicyTypes: []networkingv1.PolicyType{networkingv1.PolicyTypeIngress},
		},
	}
}

// admits lets others reach a component on a port.
func (e *env) admits(component string, from []string, to intstr.IntOrString) *networkingv1.NetworkPolicy {
	p := e.about(component)
	rule := networkingv1.NetworkPolicyIngressRule{Ports: []networkingv1.NetworkPolicyPort{port(to)}}
	for _, name := range from {
		rule.From = append(rule.From, e.peer(name))
	}
	p.Spec.Ingress = []networkingv1.NetworkPolicyIngressRule{rule}
	return p
}

func (e *env) peer(component string) networkingv1.NetworkPolicyPeer {
	return networkingv1.NetworkPolicyPeer{PodSelector: &metav1.LabelSelector{MatchLabels: e.selector(component)}}
}

func port(number intstr.IntOrString) networkingv1.NetworkPolicyPort {
	return networkingv1.NetworkPolicyPort{Port: &number}
}

// reach applies set until exactly these pairs of neighbours reach each other, and all of them once more after that: a rule
// that is on its way could still take one away.
func (e *env) reach(set manifests.Set, pairs ...string) {
	e.Helper()
	slices.Sort(pairs)
	for range 2 {
		e.eventually(func() error {
			if err := isSettled(set, e.apply(set)); err != nil {
				return err
			}
			if have := e.connections(); !slices.Equal(have, pairs) {
				return fmt.Errorf("these reach each other: %v, not %v", have, pairs)
			}
			return nil
		})
	}
}

// connections are the pairs of neighbours that reach each other, in order. They are tried side by side, since whoever is not
// let in waits for nothing.
func (e *env) connections() []string {
	e.Helper()
	pods := map[string]Pod{}
	for _, name := range neighbourNames() {
		pods[name] = e.onlyPod(manifests.RefOf(e.deployment(name)))
	}
	var group errgroup.Group
	pairs := allPairs()
	for i, pair := range pairs {
		words := strings.Fields(pair)
		port, err := strconv.Atoi(words[2])
		e.must("reading a port", err)
		group.Go(func() error {
			open, err := e.world.Connect(e.Context(), pods[words[0]], pods[words[1]], port)
			if err == nil && !open {
				pairs[i] = ""
			}
			return err
		})
	}
	e.must("connecting pods", group.Wait())
	pairs = slices.DeleteFunc(pairs, func(pair string) bool { return pair == "" })
	slices.Sort(pairs)
	return pairs
}

// policyIDs are the identities of the neighbours, together and each.
func (e *env) policyIDs() ([]string, map[string][]string) {
	e.Helper()
	all, each := []string{}, map[string][]string{}
	for _, name := range neighbourNames() {
		each[name] = e.ids(manifests.RefOf(e.deployment(name)))
		all = append(all, each[name]...)
	}
	return all, each
}
