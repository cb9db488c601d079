package backendtest

import (
	"fmt"
	"slices"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	networkingv1 "k8s.io/api/networking/v1"

	. "github.com/onsi/gomega" //nolint:staticcheck // matchers read best without a qualifier

	"mockup.dev/mockup/internal/backend"
	"mockup.dev/mockup/internal/backend/backendtest/guest"
	"mockup.dev/mockup/manifests"
)

// Networks that are lent are what lets a watcher see the services of a stack without being part of it.
var networkCases = []Case{{ //nolint:gochecknoglobals // a table that nothing writes to
	Name:    "pods join the network of another owner, by whose names they reach its pods",
	Without: needsNames,
	run: func(e *env) {
		web, service := e.deployment("web"), e.service("web")
		lender := e.drive(e.set(web, service))
		lender.ready()
		before := e.snapshot([]manifests.Ref{manifests.RefOf(web)})
		guests := e.sibling(e.h.Namespaces[0])
		client := e.guestOf(guests)
		borrower := guests.drive(guests.borrowing(e, client))
		borrower.ready()
		e.eventually(func() error { return guests.leads(client, service.Name, e.pods(manifests.RefOf(web))) })
		if e.h.Can.Policies {
			e.eventually(func() error {
				ok, err := e.world.Connect(e.Context(), guests.onlyPod(manifests.RefOf(client)), e.onlyPod(manifests.RefOf(web)), guest.Port)
				if err == nil && !ok {
					err = fmt.Errorf("a member of the network is not let in")
				}
				return err
			})
		}
		e.Expect(e.snapshot([]manifests.Ref{manifests.RefOf(web)})).To(Equal(before), "the guest's set touched the lender's pods")
	},
}, {
	Name: "a borrowed network is its owner's: it stays when the guest goes",
	Without: func(h Harness) string {
		return lacks(slices.Contains(h.Can.Things, "NetworkPolicy"), "networks can't be looked at in this world")
	},
	run: func(e *env) {
		web := e.deployment("web")
		e.ready(e.set(web))
		network := manifests.RefOf(e.policy())
		there, found := e.find(network)
		e.Expect(found).To(BeTrue())
		guests := e.sibling(e.h.Namespaces[0])
		guests.ready(guests.borrowing(e, e.guestOf(guests)))
		guests.settle(manifests.Removal(guests.owner), onlyRetained)
		now, _ := e.find(network)
		e.Expect(now).To(Equal(there), "the lender's network was touched")
		e.ready(e.set(web))
	},
}, {
	Name:    "a name that is published for pods that are not ready leads to them, the other does not",
	Without: needsNames,
	run: func(e *env) {
		lame, client, ready, all := e.deployment("lame", "serve", "-never-ready"), e.deployment("client"), e.service("lame"), e.service("lame")
		all.Name, all.Spec.PublishNotReadyAddresses, all.Spec.ClusterIP = ready.Name+"-pods", true, "None"
		d := e.drive(e.set(lame, client, ready, all))
		d.until(func(o backend.Observation) error {
			if state, _ := o.Find(manifests.RefOf(lame)); len(state.Pods) == 0 {
				return fmt.Errorf("no pod of %s yet", lame.Name)
			}
			return nil
		})
		e.eventually(func() error { return e.leads(client, all.Name, e.pods(manifests.RefOf(lame))) })
		e.lookFor(time.Second, func() {
			e.Expect(e.resolve(client, ready.Name)).To(BeEmpty(), "a pod that was never ready bears the other name")
		})
	},
}}

// guestOf is a deployment of guests that joins e's network.
func (e *env) guestOf(guests *env) *appsv1.Deployment {
	client := guests.deployment("client")
	labels := client.Spec.Template.Labels
	labels[manifests.LabelPartOf] = e.owner.Name
	client.Spec.Selector.MatchLabels = e.selector("client")
	return client
}

// borrowing is a set of e's that lives on the network of lender alone.
func (e *env) borrowing(lender *env, objects ...manifests.Object) manifests.Set {
	return manifests.Set{Owner: e.owner, Objects: objects, Networks: []*networkingv1.NetworkPolicy{lender.policy()}}
}
