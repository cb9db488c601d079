package backendtest

import (
	"fmt"
	"time"

	. "github.com/onsi/gomega" //nolint:staticcheck // matchers read best without a qualifier
	corev1 "k8s.io/api/core/v1"

	"mockup.dev/mockup/internal/backend"
	"mockup.dev/mockup/manifests"
)

// Claims that are lent are what lets a backup read the volumes of a stack without being part of it.
var lentCases = []Case{{ //nolint:gochecknoglobals // a table that nothing writes to
	Name: "pods mount the claim of another owner that is lent to them, and it stays when they go",
	Without: func(h Harness) string {
		return lacks(h.Can.Jobs, "pods of this world do not run")
	},
	run: func(e *env) {
		claim, writer := e.claim("data", "1Gi", "Delete"), e.deployment("web")
		mountClaim(writer, claim, "/data")
		set := e.set(claim, writer)
		e.ready(set)
		e.write(manifests.RefOf(writer), "/data/file", "precious")
		before, _ := e.find(manifests.RefOf(claim))

		guests := e.sibling(e.h.Namespaces[0])
		reader := guests.deployment("reader")
		mountClaim(reader, claim, "/lent")
		reader.Spec.Template.Spec.Containers[0].VolumeMounts[0].ReadOnly = true
		borrowing := guests.set(reader)
		borrowing.Claims = []*corev1.PersistentVolumeClaim{claim}
		guests.ready(borrowing)
		e.Expect(guests.execute(manifests.RefOf(reader), "cat", "/lent/file")).To(Equal("precious"))
		guests.settle(manifests.Removal(guests.owner), onlyRetained)
		after, found := e.find(manifests.RefOf(claim))
		e.Expect(found).To(BeTrue(), "the lender's claim went with the guest")
		e.Expect(after).To(Equal(before), "the lender's claim was touched")
		e.ready(set)
		e.Expect(e.execute(manifests.RefOf(writer), "cat", "/data/file")).To(Equal("precious"))
	},
}, {
	Name: "a claim that is lent is waited for, and not made for the guest",
	Without: func(h Harness) string {
		return lacks(h.Can.Jobs, "pods of this world do not run")
	},
	run: func(e *env) {
		guests := e.sibling(e.h.Namespaces[0])
		claim, reader := e.claim("data", "1Gi", "Delete"), guests.deployment("reader")
		mountClaim(reader, claim, "/lent")
		reader.Spec.Template.Spec.Containers[0].VolumeMounts[0].ReadOnly = true
		borrowing := guests.set(reader)
		borrowing.Claims = []*corev1.PersistentVolumeClaim{claim}
		d := guests.drive(borrowing)
		guests.lookFor(2*time.Second, func() {
			if _, found := e.find(manifests.RefOf(claim)); found {
				guests.Fatalf("the claim was made for the guest")
			}
		})
		web := e.deployment("web")
		e.ready(e.set(claim, web))
		d.change(borrowing) // the lender's changes are told to the lender; whoever lends looks again
		d.until(func(o backend.Observation) error {
			if state, _ := o.Find(manifests.RefOf(reader)); state.Phase != backend.Ready {
				return fmt.Errorf("%s is %s: %s", reader.Name, state.Phase, state.Message)
			}
			return nil
		})
	},
}}
