package controllers_test

import (
	"context"
	"fmt"

	. "github.com/onsi/ginkgo/v2" //nolint:revive // specs read best without a qualifier
	. "github.com/onsi/gomega"    //nolint:revive // matchers read best without a qualifier
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"mockup.dev/mockup/api/v1alpha1"
	"mockup.dev/mockup/manifests"
)

// The pods of the memory backend run no backups: what they do is told by test/backup, on Podman.
var _ = Describe("a BackupPolicy", func() {
	ctx := context.Background()
	newPolicy := func(stack *v1alpha1.MockupStack, name string) *v1alpha1.BackupPolicy {
		return &v1alpha1.BackupPolicy{
			ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: stack.Namespace},
			Spec: v1alpha1.BackupPolicySpec{
				StackRef: v1alpha1.StackRef{Name: stack.Name}, Volumes: []v1alpha1.VolumeName{"store"},
				Repository: v1alpha1.BackupRepository{Size: new(resource.MustParse("1Gi"))},
			},
		}
	}
	withVolume := func(stack *v1alpha1.MockupStack) *v1alpha1.MockupStack {
		stack.Spec.Volumes = append(stack.Spec.Volumes, v1alpha1.Volume{Name: "store", Size: new(resource.MustParse("1Gi"))})
		return stack
	}
	of := func(p *v1alpha1.BackupPolicy) *v1alpha1.BackupPolicy {
		out := &v1alpha1.BackupPolicy{}
		if err := k8s.Get(ctx, client.ObjectKeyFromObject(p), out); err != nil {
			return &v1alpha1.BackupPolicy{}
		}
		return out
	}
	is := func(p *v1alpha1.BackupPolicy, kind string) func() string {
		return func() string {
			now := of(p)
			if c := meta.FindStatusCondition(now.Status.Conditions, kind); c != nil && c.ObservedGeneration == now.Generation {
				return string(c.Status) + "/" + c.Reason
			}
			return "none"
		}
	}
	asks := func(p *v1alpha1.BackupPolicy, request string) {
		now := of(p)
		before := now.DeepCopy()
		now.Annotations = map[string]string{manifests.AnnotationBackupRequest: request}
		Expect(k8s.Patch(ctx, now, client.MergeFrom(before))).To(Succeed())
	}
	history := func(p *v1alpha1.BackupPolicy) func() []v1alpha1.BackupOutcome {
		return func() []v1alpha1.BackupOutcome { return of(p).Status.History }
	}

	It("waits for its stack, makes a password once that outlives it, and says when the stack is gone", func() {
		stack := withVolume(newStack("saved"))
		p := newPolicy(stack, "files")
		p.Spec.Schedule = &v1alpha1.BackupSchedule{Cron: "0 2 * * *", TimeZone: "Europe/Rome"}
		Expect(k8s.Create(ctx, p)).To(Succeed())
		Eventually(is(p, v1alpha1.ConditionStalled), patience).Should(Equal("True/StackNotFound"))
		Expect(k8s.Create(ctx, stack)).To(Succeed())
		Eventually(is(p, v1alpha1.ConditionReady), patience).Should(Equal("True/Ready"))
		Expect(of(p).Status.NextRun).NotTo(BeNil())
		secret := &corev1.Secret{}
		name := client.ObjectKey{Namespace: p.Namespace, Name: manifests.BackupPasswordName(p.Name)}
		Expect(k8s.Get(ctx, name, secret)).To(Succeed())
		Expect(secret.OwnerReferences).To(BeEmpty(), "the password would go with the policy, and the repository stays")
		Expect(of(p).Status.PasswordSecret).To(Equal(secret.Name))

		Expect(k8s.Delete(ctx, secret)).To(Succeed())
		Eventually(is(p, v1alpha1.ConditionStalled), patience).Should(Equal("True/ReferenceMissing"))
		Consistently(func() bool { return apierrors.IsNotFound(k8s.Get(ctx, name, secret)) }, "1s").Should(BeTrue(), "another password was made, which opens nothing")
		secret.ResourceVersion, secret.UID = "", ""
		secret.ObjectMeta = metav1.ObjectMeta{Namespace: name.Namespace, Name: name.Name}
		secret.Data = map[string][]byte{manifests.KeyBackupPassword: []byte("from the safe")}
		Expect(k8s.Create(ctx, secret)).To(Succeed())
		Eventually(is(p, v1alpha1.ConditionReady), patience).Should(Equal("True/Ready"))

		Expect(k8s.Delete(ctx, stack)).To(Succeed())
		Eventually(is(p, v1alpha1.ConditionStalled), patience).Should(Equal("True/StackNotFound"))
		Expect(k8s.Delete(ctx, p)).To(Succeed())
		Eventually(func() string { return of(p).Name }, patience).Should(BeEmpty())
		Expect(k8s.Get(ctx, name, secret)).To(Succeed())
	})

	It("takes up a request once, says what goes on before it does, and does one thing at a time", func() {
		stack := withVolume(newStack("asked"))
		Expect(k8s.Create(ctx, stack)).To(Succeed())
		p := newPolicy(stack, "files")
		Expect(k8s.Create(ctx, p)).To(Succeed())
		Eventually(is(p, v1alpha1.ConditionReady), patience).Should(Equal("True/Ready"))
		owner := manifests.BackupOwner(p)
		Expect(world.Pods(owner)).To(BeEmpty())
		asks(p, "now")
		Eventually(func() *v1alpha1.BackupRun { return of(p).Status.Run }, patience).ShouldNot(BeNil())
		Expect(of(p).Status.HandledRequest).To(Equal("now"))
		run := of(p).Status.Run
		Expect(run).To(And(HaveField("Operation", v1alpha1.BackupRunNow), HaveField("Job", ContainSubstring("files-run-"))))
		Eventually(func() int { return len(world.Pods(owner)) }, patience).Should(Equal(1))
		asks(p, "again")
		Consistently(func() string { return of(p).Status.Run.ID }, "2s").Should(Equal(run.ID), "two things are done at once")
		Expect(of(p).Status.HandledRequest).To(Equal("now"))
		Expect(world.Pods(owner)).To(HaveLen(1))

		Expect(k8s.Delete(ctx, stack)).To(Succeed())
		Eventually(history(p), patience).Should(HaveLen(1))
		Expect(of(p).Status.History[0]).To(And(HaveField("ID", run.ID), HaveField("Succeeded", false), HaveField("Reason", v1alpha1.ReasonStackNotFound)))
		Eventually(func() int { return len(world.Pods(owner)) }, patience).Should(BeZero())
	})

	It("lets one policy at a time work on a repository", func() {
		stack := withVolume(newStack("shared"))
		Expect(k8s.Create(ctx, stack)).To(Succeed())
		var both []*v1alpha1.BackupPolicy
		for name, volume := range map[string]v1alpha1.VolumeName{"one": "store", "two": "files"} {
			p := newPolicy(stack, name)
			p.Spec.Volumes = []v1alpha1.VolumeName{volume}
			p.Spec.Repository = v1alpha1.BackupRepository{HostPath: "/srv/shared"}
			p.Annotations = map[string]string{manifests.AnnotationBackupRequest: "now"}
			Expect(k8s.Create(ctx, p)).To(Succeed())
			both = append(both, p)
		}
		running := func() (n int) {
			for _, p := range both {
				if of(p).Status.Run != nil {
					n++
				}
			}
			return n
		}
		Eventually(running, patience).Should(Equal(1))
		Consistently(running, "6s").Should(Equal(1))
		for _, p := range both {
			if of(p).Status.Run != nil {
				Expect(k8s.Delete(ctx, p)).To(Succeed())
				Eventually(func() string { return of(p).Name }, patience).Should(BeEmpty())
			}
		}
		Eventually(running, patience).Should(Equal(1), "the other one waits for ever")
	})

	It("waits until the older one of two that would remove each other's snapshots has gone", func() {
		stack := withVolume(newStack("rivals"))
		Expect(k8s.Create(ctx, stack)).To(Succeed())
		older := newPolicy(stack, "a-older")
		older.Spec.Repository = v1alpha1.BackupRepository{HostPath: "/srv/rivals"}
		Expect(k8s.Create(ctx, older)).To(Succeed())
		Eventually(is(older, v1alpha1.ConditionReady), patience).Should(Equal("True/Ready"))
		younger := newPolicy(stack, "b-younger")
		younger.Spec.Repository, younger.Annotations = older.Spec.Repository, map[string]string{manifests.AnnotationBackupRequest: "now"}
		Expect(k8s.Create(ctx, younger)).To(Succeed())
		Eventually(is(younger, v1alpha1.ConditionStalled), patience).Should(Equal("True/RepositoryShared"))
		Expect(meta.FindStatusCondition(of(younger).Status.Conditions, v1alpha1.ConditionReady).Message).To(And(
			ContainSubstring("/a-older, which is older, backs up volume store of the same stack"), HavePrefix("spec.repository: ")))
		Expect(of(younger).Status.Run).To(BeNil())
		Expect(is(older, v1alpha1.ConditionReady)()).To(Equal("True/Ready"))
		Expect(k8s.Delete(ctx, older)).To(Succeed())
		Eventually(func() *v1alpha1.BackupRun { return of(younger).Status.Run }, patience).ShouldNot(BeNil())
	})

	It("reads a log again that could not be read at once", func() {
		stack := withVolume(newStack("muffled"))
		Expect(k8s.Create(ctx, stack)).To(Succeed())
		p := newPolicy(stack, "files")
		p.Annotations = map[string]string{manifests.AnnotationBackupRequest: "now"}
		Expect(k8s.Create(ctx, p)).To(Succeed())
		owner := manifests.BackupOwner(p)
		Eventually(func() int { return len(world.Pods(owner)) }, patience).Should(Equal(1))
		world.FailLogs(owner, 3)
		Expect(world.Finish(p.Namespace, world.Pods(owner)[0].Name, 0, `{"result":{"succeeded":true,"made":[{"id":"s1","files":7,"bytes":70}]}}`)).To(Succeed())
		Eventually(history(p), "60s").Should(HaveLen(1))
		Expect(history(p)()[0]).To(And(HaveField("Succeeded", true), HaveField("Files", int64(7))), "the result was lost")
		Expect(world.FailLogs(owner, 0)).To(BeZero(), "nobody has tried so often")
	})

	It("restores into nothing that is somebody's", func() {
		stack := withVolume(newStack("owner"))
		stack.Spec.Volumes = append(stack.Spec.Volumes, v1alpha1.Volume{Name: "adopted", Existing: "owner-yesterday"})
		Expect(k8s.Create(ctx, stack)).To(Succeed())
		p, other := newPolicy(stack, "owner"), newPolicy(stack, "owner-b")
		Expect(k8s.Create(ctx, p)).To(Succeed())
		Expect(k8s.Create(ctx, other)).To(Succeed())
		Eventually(is(p, v1alpha1.ConditionReady), patience).Should(Equal("True/Ready"))
		Eventually(is(other, v1alpha1.ConditionReady), patience).Should(Equal("True/Ready"))
		for i, c := range []struct{ into, reason string }{
			{"store", "volume owner-store, which is volume store of stack owner"},
			{"yesterday", "volume owner-yesterday, which is volume adopted of stack owner"},
			{"b-repository", "volume owner-b-repository, which is the repository of policy owner-b"},
		} {
			asks(p, fmt.Sprintf(`{"id":"r%d","operation":"restore","volume":"store","into":%q}`, i, c.into))
			Eventually(history(p), patience).Should(HaveLen(i+1), c.into)
			Expect(of(p).Status.History[0].Message).To(And(ContainSubstring("request.into"), ContainSubstring(c.reason)), c.into)
			Expect(of(p).Status.History[0].Reason).To(Equal(v1alpha1.ReasonInvalidSpec))
			Eventually(is(p, v1alpha1.ConditionReady), patience).Should(Equal("True/Ready"), "a request is not the policy")
		}
		asks(p, `{"id":"well","operation":"restore","volume":"store","into":"today"}`)
		Eventually(func() *v1alpha1.BackupRun { return of(p).Status.Run }, patience).ShouldNot(BeNil())
		now := fetch(stack)
		before := now.DeepCopy()
		now.Spec.Volumes = append(now.Spec.Volumes, v1alpha1.Volume{Name: "today", Size: new(resource.MustParse("1Gi"))})
		Expect(k8s.Patch(ctx, now, client.MergeFrom(before))).To(Succeed())
		Eventually(history(p), patience).Should(HaveLen(4), "a policy is blocked by a request")
		Expect(of(p).Status.History[0].Message).To(ContainSubstring("request.into"))
	})

	It("refuses requests that make no sense, with the reason", func() {
		stack := withVolume(newStack("misled"))
		Expect(k8s.Create(ctx, stack)).To(Succeed())
		p := newPolicy(stack, "files")
		p.Spec.Copies, p.Spec.HistoryLimit = []v1alpha1.BackupCopy{{Name: "disk", HostPath: "/srv/copies"}}, 50
		Expect(k8s.Create(ctx, p)).To(Succeed())
		Eventually(is(p, v1alpha1.ConditionReady), patience).Should(Equal("True/Ready"))
		for i, c := range []struct{ request, reason string }{
			{`{"id":"a","operation":"erase"}`, "request.operation"},
			{`{"id":"b","operation":"restore","into":"x"}`, "request.volume: must name one"},
			{`{"id":"c","operation":"restore","volume":"store"}`, "request.into"},
			{`{"id":"d","operation":"restore","volume":"other","into":"x"}`, "none of the volumes"},
			{`{"id":"e","operation":"restore","volume":"store","into":"repository"}`, "volume of the repository"},
			{`{"id":"f","operation":"browse","paths":["../x"]}`, "request.paths[0]"},
			{`{"id":"g","operation":"browse","from":"offsite"}`, "none of the policy's copies"},
			{`{"id":"A B","operation":"run"}`, "request.id"},
			{`{"id":"h","op":"run"}`, "unknown field"},
			{`{"id":"i","operation":"restore","volume":"store","into":"x","inPlace":true}`, "request.into: \"x\" goes with no restore in place"},
			{`{"id":"j","operation":"restore","volume":"store","inPlace":true,"from":"disk"}`, "request.from: \"disk\" goes with no restore in place"},
			{`{"id":"k","operation":"run","inPlace":true}`, "request.inPlace: \"true\" is for a restore"},
			{`{"id":"l","operation":"restore","inPlace":true}`, "request.volume: must name one"},
			{`{"id":"seventeen-letters","operation":"restore","volume":"store","inPlace":true}`, "at most 16 characters"},
		} {
			asks(p, c.request)
			Eventually(history(p), patience).Should(HaveLen(i+1), c.request)
			Expect(of(p).Status.History[0].Message).To(ContainSubstring(c.reason), c.request)
			Expect(of(p).Status.History[0].Reason).To(Equal(v1alpha1.ReasonInvalidSpec))
		}
		Eventually(is(p, v1alpha1.ConditionReady), patience).Should(Equal("True/Ready"), "a request is not the policy")
	})

	It("says which volume the stack does not have", func() {
		stack := newStack("bare")
		Expect(k8s.Create(ctx, stack)).To(Succeed())
		p := newPolicy(stack, "files")
		Expect(k8s.Create(ctx, p)).To(Succeed())
		Eventually(is(p, v1alpha1.ConditionStalled), patience).Should(Equal("True/InvalidSpec"))
		Expect(meta.FindStatusCondition(of(p).Status.Conditions, v1alpha1.ConditionStalled).Message).To(ContainSubstring(`spec.volumes[0]: "store" is no volume of stack bare`))
	})
})
