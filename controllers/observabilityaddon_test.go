package controllers_test

import (
	"context"
	"fmt"
	"time"

	. "github.com/onsi/ginkgo/v2" //nolint:revive // specs read best without a qualifier
	. "github.com/onsi/gomega"    //nolint:revive // matchers read best without a qualifier
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/util/retry"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"

	"mockup.dev/mockup/api/v1alpha1"
	"mockup.dev/mockup/manifests"
)

var _ = Describe("an ObservabilityAddon", func() {
	ctx := context.Background()
	newAddon := func(stack *v1alpha1.MockupStack) *v1alpha1.ObservabilityAddon {
		return &v1alpha1.ObservabilityAddon{
			ObjectMeta: metav1.ObjectMeta{Name: "watch", Namespace: stack.Namespace},
			Spec:       v1alpha1.ObservabilityAddonSpec{StackRef: v1alpha1.StackRef{Name: stack.Name}},
		}
	}
	of := func(a *v1alpha1.ObservabilityAddon) *v1alpha1.ObservabilityAddon {
		out := &v1alpha1.ObservabilityAddon{}
		if err := k8s.Get(ctx, client.ObjectKeyFromObject(a), out); err != nil {
			return &v1alpha1.ObservabilityAddon{}
		}
		return out
	}
	is := func(a *v1alpha1.ObservabilityAddon, kind string) func() string {
		return func() string {
			now := of(a)
			if c := meta.FindStatusCondition(now.Status.Conditions, kind); c != nil && c.ObservedGeneration == now.Generation {
				return string(c.Status) + "/" + c.Reason
			}
			return "none"
		}
	}
	owner := func(a *v1alpha1.ObservabilityAddon) manifests.Owner {
		return manifests.Owner{Kind: "ObservabilityAddon", Namespace: a.Namespace, Name: a.Name}
	}

	It("waits for its stack, becomes Ready with it, stops when it goes, and keeps its data", func() {
		stack := newStack("watched")
		a := newAddon(stack)
		Expect(k8s.Create(ctx, a)).To(Succeed())
		Eventually(is(a, v1alpha1.ConditionStalled), patience).Should(Equal("True/StackNotFound"))
		Expect(world.Pods(owner(a))).To(BeEmpty())

		Expect(k8s.Create(ctx, stack)).To(Succeed())
		Eventually(is(a, v1alpha1.ConditionReady), patience).Should(Equal("True/Ready"))
		now := of(a)
		Expect(now.Status.Ready).To(Equal("7/7"))
		Expect(now.Status.Components).To(HaveLen(7))
		Expect(now.Status.Components[0]).To(And(HaveField("Name", "prometheus"), HaveField("Endpoint", "http://127.0.0.1:9090")))
		admin := &corev1.Secret{}
		Expect(k8s.Get(ctx, client.ObjectKey{Namespace: a.Namespace, Name: manifests.GrafanaAdminName(a.Name)}, admin)).To(Succeed())
		Expect(admin.Data[manifests.KeyAdminPassword]).NotTo(BeEmpty())
		Expect(admin.OwnerReferences).To(BeEmpty())

		Expect(k8s.Delete(ctx, stack)).To(Succeed())
		Eventually(is(a, v1alpha1.ConditionStalled), patience).Should(Equal("True/StackNotFound"))
		Eventually(func() int { return len(world.Pods(owner(a))) }, patience).Should(BeZero())
		Expect(of(a).Status.Ready).To(Equal("0/7"))
		Expect(of(a).Status.Components).To(BeEmpty())
		Eventually(func() bool {
			return apierrors.IsNotFound(k8s.Get(ctx, client.ObjectKeyFromObject(stack), &v1alpha1.MockupStack{}))
		}, patience).Should(BeTrue(), "the addon keeps its stack from going")
	})

	It("keeps the password of Grafana's admin as long as Grafana's data", func() {
		stack := newStack("kept")
		Expect(k8s.Create(ctx, stack)).To(Succeed())
		password := func(a *v1alpha1.ObservabilityAddon) string {
			admin := &corev1.Secret{}
			if err := k8s.Get(ctx, client.ObjectKey{Namespace: a.Namespace, Name: manifests.GrafanaAdminName(a.Name)}, admin); err != nil {
				return ""
			}
			return string(admin.Data[manifests.KeyAdminPassword])
		}
		comeAndGo := func(a *v1alpha1.ObservabilityAddon) (made string) {
			Expect(k8s.Create(ctx, a)).To(Succeed())
			Eventually(is(a, v1alpha1.ConditionReady), patience).Should(Equal("True/Ready"))
			made = password(a)
			Expect(k8s.Delete(ctx, a)).To(Succeed())
			Eventually(func() string { return of(a).Name }, patience).Should(BeEmpty())
			return made
		}
		// As it was made before, it went with the addon.
		first := newAddon(stack)
		Expect(k8s.Create(ctx, first)).To(Succeed())
		Eventually(func() string { return password(first) }, patience).ShouldNot(BeEmpty())
		owned := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: first.Namespace, Name: manifests.GrafanaAdminName(first.Name)}}
		Expect(retry.RetryOnConflict(retry.DefaultRetry, func() error { // the controller writes it, too
			if err := k8s.Get(ctx, client.ObjectKeyFromObject(owned), owned); err != nil {
				return err
			}
			owned.Labels = nil
			if err := controllerutil.SetControllerReference(first, owned, k8s.Scheme()); err != nil {
				return err
			}
			return k8s.Update(ctx, owned)
		})).To(Succeed())
		before := password(first)
		Expect(k8s.Delete(ctx, first)).To(Succeed())
		Eventually(func() string { return of(first).Name }, patience).Should(BeEmpty())

		Consistently(func() string { return password(first) }, 2*time.Second).Should(Equal(before))
		Expect(comeAndGo(newAddon(stack))).To(Equal(before))

		last := newAddon(stack)
		last.Spec.Dashboards.Storage.ReclaimPolicy = v1alpha1.ReclaimDelete
		Expect(comeAndGo(last)).To(Equal(before))
		Eventually(func() string { return password(last) }, patience).Should(BeEmpty())
	})

	It("tells the services of its stack where traces go, and no longer when it is gone", func() {
		stack := newStack("traced")
		Expect(k8s.Create(ctx, stack)).To(Succeed())
		traced := func() bool {
			for _, p := range world.Pods(manifests.Owner{Kind: "MockupStack", Namespace: stack.Namespace, Name: stack.Name}) {
				for _, e := range p.Env {
					if e.Name == "OTEL_EXPORTER_OTLP_ENDPOINT" && !p.Terminating {
						return true
					}
				}
			}
			return false
		}
		a := newAddon(stack)
		Expect(k8s.Create(ctx, a)).To(Succeed())
		Eventually(traced, patience).Should(BeTrue())
		Expect(k8s.Delete(ctx, a)).To(Succeed())
		Eventually(traced, patience).Should(BeFalse())
		Eventually(func() bool { return of(a).Name == "" }, patience).Should(BeTrue())
	})

	It("is not ready while Grafana does not know its users", func() {
		stack := newStack("peopled")
		a := newAddon(stack)
		a.Spec.Dashboards.Users = []v1alpha1.DashboardUser{{Login: "ann", PasswordSecret: v1alpha1.KeyRef{Name: "ann", Key: "password"}}}
		password := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: stack.Namespace, Name: "ann"}, StringData: map[string]string{"password": "of-ann-alone"}}
		Expect(k8s.Create(ctx, password)).To(Succeed())
		Expect(k8s.Create(ctx, stack)).To(Succeed())
		Expect(k8s.Create(ctx, a)).To(Succeed())
		Eventually(is(a, v1alpha1.ConditionReady), patience).Should(Equal("False/UsersNotMade")) // there is no Grafana
		Expect(of(a).Status.Ready).To(Equal("7/7"))
		Expect(fmt.Sprint(of(a))).NotTo(ContainSubstring("of-ann-alone"))
	})
})
