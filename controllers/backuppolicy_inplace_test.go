package controllers_test

import (
	"context"
	"fmt"
	"slices"
	"strings"

	. "github.com/onsi/ginkgo/v2" //nolint:revive // specs read best without a qualifier
	. "github.com/onsi/gomega"    //nolint:revive // matchers read best without a qualifier
	eventsv1 "k8s.io/api/events/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"mockup.dev/mockup/api/v1alpha1"
	"mockup.dev/mockup/internal/backend/memory"
	"mockup.dev/mockup/manifests"
)

// inPlaceRig is a stack with a service that mounts its volume, one that does not, and a policy.
type inPlaceRig struct {
	stack  *v1alpha1.MockupStack
	policy *v1alpha1.BackupPolicy
}

func newInPlaceRig(name string) *inPlaceRig {
	r := &inPlaceRig{stack: newStack(name)}
	r.stack.Spec.Services = append(r.stack.Spec.Services, v1alpha1.Service{
		Name: "bystander", Image: "localhost/mockup/web:1", Port: 8080, Networks: []v1alpha1.NetworkAttachment{{Name: "public"}},
	})
	r.policy = &v1alpha1.BackupPolicy{
		ObjectMeta: metav1.ObjectMeta{Name: "files", Namespace: r.stack.Namespace},
		Spec: v1alpha1.BackupPolicySpec{
			StackRef: v1alpha1.StackRef{Name: name}, Volumes: []v1alpha1.VolumeName{"files"},
			Repository: v1alpha1.BackupRepository{Size: new(resource.MustParse("1Gi"))},
		},
	}
	return r
}

func (r *inPlaceRig) up() *inPlaceRig {
	GinkgoHelper()
	Expect(k8s.Create(context.Background(), r.stack)).To(Succeed())
	Expect(k8s.Create(context.Background(), r.policy)).To(Succeed())
	r.served()
	return r
}

func (r *inPlaceRig) served() {
	GinkgoHelper()
	Eventually(condition(r.stack, v1alpha1.ConditionReady), patience).Should(Equal("True/Ready"))
	Expect(r.serving("web")).To(Equal(1))
}

func (r *inPlaceRig) now() *v1alpha1.BackupPolicy {
	out := &v1alpha1.BackupPolicy{}
	if err := k8s.Get(context.Background(), client.ObjectKeyFromObject(r.policy), out); err != nil {
		return &v1alpha1.BackupPolicy{}
	}
	return out
}

func (r *inPlaceRig) phase() v1alpha1.RestorePhase {
	if restore := r.now().Status.Restore; restore != nil {
		return restore.Phase
	}
	return ""
}

func (r *inPlaceRig) ask(id string) {
	GinkgoHelper()
	p := r.now()
	before := p.DeepCopy()
	p.Annotations = map[string]string{manifests.AnnotationBackupRequest: fmt.Sprintf(`{"id":%q,"operation":"restore","volume":"files","inPlace":true}`, id)}
	Expect(k8s.Patch(context.Background(), p, client.MergeFrom(before))).To(Succeed())
}

// serving pods of a service, those on their way out among them.
func (r *inPlaceRig) serving(service string) int {
	return len(slices.DeleteFunc(world.Pods(manifests.StackOwner(r.stack)), func(p memory.Pod) bool {
		return !strings.Contains(p.Name, "-"+service+"-")
	}))
}

// job waits for the pod of an attempt. At no time is there one beside one of the service.
func (r *inPlaceRig) job(attempt int32) string {
	GinkgoHelper()
	var name string
	Eventually(func(g Gomega) {
		pods := world.Pods(manifests.BackupOwner(r.policy))
		if len(pods) > 0 {
			Expect(r.serving("web")).To(BeZero(), "the volume is restored while a service mounts it")
		}
		restore := r.now().Status.Restore
		g.Expect(restore).NotTo(BeNil())
		g.Expect(restore.Attempts).To(Equal(attempt))
		g.Expect(pods).To(HaveLen(1))
		g.Expect(pods[0].Terminating).To(BeFalse())
		name = pods[0].Name
	}, patience, "20ms").Should(Succeed())
	return name
}

func (r *inPlaceRig) finish(pod string, code int, result string) {
	GinkgoHelper()
	Expect(world.Finish(r.stack.Namespace, pod, code, `{"result":`+result+`}`)).To(Succeed())
}

func (r *inPlaceRig) stopped() {
	GinkgoHelper()
	Eventually(condition(r.stack, v1alpha1.ConditionReady), patience).Should(Equal("False/RestoreInProgress"))
	Consistently(func() int { return r.serving("web") }, "1500ms").Should(BeZero())
}

const restoredWell = `{"succeeded":true,"restored":[{"files":3,"bytes":30}],"inPlace":{"phase":"Succeeded","snapshot":"s1","safety":"s2"}}`

var _ = Describe("a restore in place", func() {
	ctx := context.Background()

	It("stops who mounts the volume, begins when the last has gone, and lets them start when it has ended", func() {
		r := newInPlaceRig("inplace").up()
		r.ask("one")
		pod := r.job(1)
		r.stopped()
		Expect(message(r.stack)).To(ContainSubstring("/files restores volume files in place"))
		Expect(message(r.stack)).To(HaveSuffix("these are stopped: web"))
		Expect(r.serving("bystander")).To(Equal(1))
		Expect(r.serving("gateway")).To(Equal(1))
		Expect(fetch(r.stack).Status.Services[0]).To(And(HaveField("Reason", v1alpha1.ReasonRestoreInProgress), HaveField("Phase", "NotReady")))

		Expect(world.Finish(r.stack.Namespace, pod, 0, `{"progress":{"phase":"compare","stage":"Restoring","files":1,"bytes":1}}`, `{"result":`+restoredWell+`}`)).To(Succeed())
		Eventually(r.phase, patience).Should(Equal(v1alpha1.RestoreSucceeded))
		r.served()
		status := r.now().Status
		Expect(status.Restore).To(And(HaveField("SafetySnapshot", "s2"), HaveField("Snapshot", "s1"), HaveField("EndedAt", Not(BeNil()))))
		Expect(status.Run).To(BeNil())
		Expect(status.History[0]).To(And(HaveField("Succeeded", true), HaveField("InPlace", true), HaveField("Volume", "inplace-files"), HaveField("SafetySnapshot", "s2")))
		Expect(meta.IsStatusConditionTrue(status.Conditions, v1alpha1.ConditionReady)).To(BeTrue())
		Eventually(func() (reasons []string) {
			var all eventsv1.EventList
			Expect(k8s.List(ctx, &all, client.InNamespace(r.stack.Namespace))).To(Succeed())
			for _, e := range all.Items {
				reasons = append(reasons, e.Regarding.Kind+" "+e.Type+" "+e.Reason)
			}
			return reasons
		}, patience).Should(ContainElements("MockupStack Normal RestoreInProgress", "BackupPolicy Normal RestoreInProgress", "BackupPolicy Normal BackupDone"))

		r.ask("two") // whatever stood there of the first does not count for the second
		r.finish(r.job(1), 0, restoredWell)
		Eventually(r.phase, patience).Should(Equal(v1alpha1.RestoreSucceeded))
		r.served()
	})

	It("goes on after a Job that was killed, and says clearly what was rolled back until something succeeds", func() {
		r := newInPlaceRig("killed").up()
		r.ask("one")
		Expect(world.Kill(r.stack.Namespace, r.job(1))).To(Succeed())
		pod := r.job(2)
		r.stopped()
		r.finish(pod, 1, `{"succeeded":false,"reason":"RepositoryUnavailable","error":"no way back","inPlace":{"phase":"RollingBack","snapshot":"s1","safety":"s2"}}`)
		pod = r.job(3)
		r.stopped()
		Expect(r.phase()).To(Equal(v1alpha1.RestoreRollingBack), "a volume that is half restored is no end")
		r.finish(pod, 0, `{"succeeded":false,"reason":"RepositoryUnavailable","error":"a blob is gone; volume files is what it was before","inPlace":{"phase":"RolledBack","snapshot":"s1","safety":"s2"}}`)
		Eventually(r.phase, patience).Should(Equal(v1alpha1.RestoreRolledBack))
		r.served()
		ready := meta.FindStatusCondition(r.now().Status.Conditions, v1alpha1.ConditionReady)
		Expect(ready.Reason).To(Equal(v1alpha1.ReasonRestoreFailed))
		Expect(ready.Message).To(ContainSubstring("is what it was before"))

		r.ask("two")
		r.finish(r.job(1), 0, restoredWell)
		Eventually(func() bool { return meta.IsStatusConditionTrue(r.now().Status.Conditions, v1alpha1.ConditionReady) }, patience).Should(BeTrue())
		r.served()
	})

	It("fails, and touches nothing, when its first Job says so or could not look", func() {
		r := newInPlaceRig("untouched").up()
		for id, result := range map[string]string{
			"one": `{"succeeded":false,"reason":"SnapshotMissing","error":"there is no snapshot","inPlace":{"phase":"Failed"}}`,
			"two": `{"succeeded":false,"reason":"WrongPassword","error":"another password"}`,
		} {
			r.ask(id)
			r.finish(r.job(1), 1, result)
			Eventually(func() string {
				if restore := r.now().Status.Restore; restore != nil && restore.ID == id {
					return string(restore.Phase)
				}
				return ""
			}, patience).Should(Equal("Failed"))
			r.served()
		}
	})

	It("is given up with its policy as long as nothing is touched", func() {
		r := newInPlaceRig("early")
		r.stack.Spec.Services[0].PreStop = &v1alpha1.PreStop{SleepSeconds: new(int64(8))}
		r.stack.Spec.Services[0].TerminationGracePeriodSeconds = new(int64(20))
		r.up()
		r.ask("one")
		Eventually(condition(r.stack, v1alpha1.ConditionReady), patience).Should(Equal("False/RestoreInProgress"))
		Expect(r.phase()).To(Equal(v1alpha1.RestoreStoppingServices))
		Consistently(func() int { return len(world.Pods(manifests.BackupOwner(r.policy))) }, "2s").Should(BeZero(), "a pod that mounts the volume is still there")
		Expect(k8s.Delete(ctx, r.policy)).To(Succeed())
		Eventually(func() string { return r.now().Name }, patience).Should(BeEmpty())
		Eventually(condition(r.stack, v1alpha1.ConditionReady), "40s").Should(Equal("True/Ready"))
	})

	It("is brought to an end before its policy goes", func() {
		r := newInPlaceRig("late").up()
		r.ask("one")
		pod := r.job(1)
		Expect(k8s.Delete(ctx, r.policy)).To(Succeed())
		r.stopped()
		Expect(r.now().Finalizers).NotTo(BeEmpty())
		Expect(world.Kill(r.stack.Namespace, pod)).To(Succeed())
		r.finish(r.job(2), 0, restoredWell)
		Eventually(func() string { return r.now().Name }, patience).Should(BeEmpty())
		r.served()
	})

	It("goes on before anybody mounts the volume when its stack has gone in the middle and comes back", func() {
		r := newInPlaceRig("phoenix").up()
		r.ask("one")
		r.job(1)
		Expect(k8s.Delete(ctx, r.stack)).To(Succeed())
		Eventually(func() string { return fetch(r.stack).Name }, patience).Should(BeEmpty())
		Eventually(func() int { return len(world.Pods(manifests.BackupOwner(r.policy))) }, patience).Should(BeZero())
		stalled := meta.FindStatusCondition(r.now().Status.Conditions, v1alpha1.ConditionStalled)
		Expect(stalled.Reason).To(Equal(v1alpha1.ReasonStackNotFound))
		Expect(r.now().Status.Restore.Message).To(ContainSubstring("may be half restored"))

		again := newStack("phoenix")
		again.Namespace = r.stack.Namespace
		r.stack = again
		Expect(k8s.Create(ctx, again)).To(Succeed())
		pod := r.job(2)
		r.stopped()
		r.finish(pod, 0, restoredWell)
		Eventually(r.phase, patience).Should(Equal(v1alpha1.RestoreSucceeded))
		r.served()
	})

	It("lets no service run for ever without its policy, whoever took the finalizer away", func() {
		r := newInPlaceRig("forced").up()
		r.ask("one")
		r.job(1)
		Expect(k8s.Delete(ctx, r.policy)).To(Succeed())
		p := r.now()
		before := p.DeepCopy()
		p.Finalizers = nil
		Expect(k8s.Patch(ctx, p, client.MergeFrom(before))).To(Succeed())
		Eventually(condition(r.stack, v1alpha1.ConditionReady), patience).Should(Equal("True/Ready"))
	})

	It("keeps other policies away from its volume", func() {
		r := newInPlaceRig("alone").up()
		r.ask("one")
		pod := r.job(1)
		other := r.policy.DeepCopy()
		other.ObjectMeta = metav1.ObjectMeta{Name: "other", Namespace: r.stack.Namespace, Annotations: map[string]string{manifests.AnnotationBackupRequest: "now"}}
		Expect(k8s.Create(ctx, other)).To(Succeed())
		running := func() bool {
			now := &v1alpha1.BackupPolicy{}
			Expect(k8s.Get(ctx, client.ObjectKeyFromObject(other), now)).To(Succeed())
			return now.Status.Run != nil
		}
		Consistently(running, "2s").Should(BeFalse(), "a volume that is half restored is backed up")
		r.finish(pod, 0, restoredWell)
		Eventually(running, patience).Should(BeTrue())
		r.ask("two")
		Consistently(r.phase, "2s").Should(Equal(v1alpha1.RestoreSucceeded), "a volume is restored while it is backed up")
	})

	It("stops the services of another stack that has the volume, too, and waits for them", func() {
		r := newInPlaceRig("lender").up()
		borrower := newStack("borrower")
		borrower.Namespace = r.stack.Namespace
		borrower.Spec.Services[0].Name, borrower.Spec.Gateway.Routes[0].Service = "reader", "reader"
		borrower.Spec.Volumes[0] = v1alpha1.Volume{Name: "lent", Existing: "lender-files"}
		borrower.Spec.Services[0].VolumeMounts[0].Volume = "lent"
		Expect(k8s.Create(ctx, borrower)).To(Succeed())
		readers := func() int { return (&inPlaceRig{stack: borrower}).serving("reader") }
		Eventually(readers, patience).Should(Equal(1))
		r.ask("one")
		pod := r.job(1)
		Expect(readers()).To(BeZero(), "another stack serves the volume")
		Expect(condition(borrower, v1alpha1.ConditionReady)()).To(Equal("False/RestoreInProgress"))
		r.finish(pod, 0, restoredWell)
		r.served()
		Eventually(readers, patience).Should(Equal(1))
	})
})
