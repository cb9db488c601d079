package controllers_test

import (
	"context"
	"fmt"
	"strings"
	"time"

	. "github.com/onsi/ginkgo/v2" //nolint:revive // specs read best without a qualifier
	. "github.com/onsi/gomega"    //nolint:revive // matchers read best without a qualifier
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"mockup.dev/mockup/api/v1alpha1"
	"mockup.dev/mockup/manifests"
)

// revisions that are kept of a stack as "1=image 3=image", oldest first, and the number in status.
func revisions(s *v1alpha1.MockupStack) func() string {
	return func() string {
		var list corev1.ConfigMapList
		if err := k8s.List(context.Background(), &list, client.InNamespace(s.Namespace), client.MatchingLabels(manifests.RevisionLabels(s.Name))); err != nil {
			return err.Error()
		}
		now := fetch(s)
		var kept []string
		for _, r := range manifests.ParseRevisions(now, list.Items) {
			kept = append(kept, fmt.Sprintf("%d=%s", r.Number, strings.TrimPrefix(r.Spec.Services[0].Image, "localhost/mockup/web:")))
		}
		return fmt.Sprintf("%s, now %d", strings.Join(kept, " "), now.Status.Revision)
	}
}

func setImage(s *v1alpha1.MockupStack, tag string) {
	update(s, func(s *v1alpha1.MockupStack) { s.Spec.Services[0].Image = "localhost/mockup/web:" + tag })
}

var _ = Describe("the revisions of a MockupStack", func() {
	ctx := context.Background()

	It("are kept within their limit, and one that comes back moves to the top", func() {
		s := newStack("revised")
		two := int32(2)
		s.Spec.RevisionHistoryLimit = &two
		Expect(k8s.Create(ctx, s)).To(Succeed())
		Eventually(revisions(s), patience).Should(Equal("1=1, now 1"))
		for i, want := range []string{"1=1 2=2, now 2", "1=1 2=2 3=3, now 3", "2=2 3=3 4=4, now 4"} {
			setImage(s, fmt.Sprint(i+2))
			Eventually(revisions(s), patience).Should(Equal(want))
		}
		setImage(s, "2")
		Eventually(revisions(s), patience).Should(Equal("3=3 4=4 5=2, now 5"))
		Consistently(revisions(s), time.Second).Should(Equal("3=3 4=4 5=2, now 5"), "the writing of a revision leads to another")
	})

	It("belong to the stack, are not a backend's, and tell why", func() {
		s := newStack("owned")
		s.Annotations = map[string]string{manifests.AnnotationChangeCause: "the first of all"}
		Expect(k8s.Create(ctx, s)).To(Succeed())
		Eventually(revisions(s), patience).Should(Equal("1=1, now 1"))
		c := &corev1.ConfigMap{}
		Expect(k8s.Get(ctx, client.ObjectKey{Namespace: s.Namespace, Name: "owned-revision-1"}, c)).To(Succeed())
		Expect(metav1.IsControlledBy(c, fetch(s))).To(BeTrue())
		Expect(c.Labels).NotTo(HaveKey(manifests.LabelOwner), "the cluster backend would remove it")
		Expect(c.Annotations).To(HaveKeyWithValue(manifests.AnnotationChangeCause, "the first of all"))
		Expect(c.Labels).To(HaveKeyWithValue("mockup.dev/revision-of", "owned"))
		Expect(c.Labels).To(HaveKeyWithValue("mockup.dev/revision", "1"))
	})

	It("leave a name alone that a user has", func() {
		s := newStack("taken")
		users := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: s.Namespace, Name: "taken-revision-1"}, Data: map[string]string{"a": "b"}}
		Expect(k8s.Create(ctx, users)).To(Succeed())
		Expect(k8s.Create(ctx, s)).To(Succeed())
		Eventually(revisions(s), patience).Should(Equal("2=1, now 2"))
		Expect(k8s.Get(ctx, client.ObjectKeyFromObject(users), users)).To(Succeed())
		Expect(users.Data).To(Equal(map[string]string{"a": "b"}))
	})

	It("are made of valid specifications only", func() {
		s := newStack("spoiled")
		Expect(k8s.Create(ctx, s)).To(Succeed())
		Eventually(revisions(s), patience).Should(Equal("1=1, now 1"))
		update(s, func(s *v1alpha1.MockupStack) {
			s.Spec.Services[0].EnvFrom = []v1alpha1.EnvFromSource{{ConfigMapRef: &v1alpha1.ObjectRef{Name: "spoiled-gateway-config"}}}
		})
		Eventually(condition(s, v1alpha1.ConditionStalled), patience).Should(Equal("True/InvalidSpec"))
		Expect(revisions(s)()).To(Equal("1=1, now 0"))
	})

	It("are made of a specification whose references are missing", func() {
		s := newStack("waiting-revision")
		s.Spec.Services[0].EnvFrom = []v1alpha1.EnvFromSource{{ConfigMapRef: &v1alpha1.ObjectRef{Name: "settings"}}}
		Expect(k8s.Create(ctx, s)).To(Succeed())
		Eventually(condition(s, v1alpha1.ConditionStalled), patience).Should(Equal("True/ReferenceMissing"))
		Expect(revisions(s)()).To(Equal("1=1, now 1"))
	})
})

var _ = Describe("a restart of a MockupStack", func() {
	It("rolls the workload that is named and no other", func() {
		s := newStack("restarted")
		Expect(k8s.Create(context.Background(), s)).To(Succeed())
		Eventually(condition(s, v1alpha1.ConditionReady), patience).Should(Equal("True/Ready"), func() string { return message(s) })
		before := podIDs(s)
		Expect(before).To(HaveLen(2))
		update(s, func(s *v1alpha1.MockupStack) {
			s.Annotations = map[string]string{"restart.mockup.dev/web": "2026-11-23T18:00:00Z", "restart.mockup.dev/nobody": "x"}
		})
		Eventually(func() string { return fetch(s).Status.Services[0].RestartedAt }, patience).Should(Equal("2026-11-23T18:00:00Z"))
		Eventually(condition(s, v1alpha1.ConditionReady), patience).Should(Equal("True/Ready"), func() string { return message(s) })
		after := podIDs(s)
		Expect(after).To(HaveLen(2))
		Expect(after["gateway"]).To(Equal(before["gateway"]), "the gateway was not to be restarted")
		Expect(after["web"]).NotTo(Equal(before["web"]), "web was to be restarted")
		Expect(fetch(s).Status.Services[0].Updated).To(Equal("1/1"))
		Expect(revisions(s)()).To(Equal("1=1, now 1"), "a restart is no revision")
	})
})

// podIDs are the pods that run, by their component.
func podIDs(s *v1alpha1.MockupStack) map[string]string {
	out := map[string]string{}
	for _, p := range world.Pods(owner(s)) {
		out[p.Labels[manifests.LabelComponent]] += p.ID
	}
	return out
}
