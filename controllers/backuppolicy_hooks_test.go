package controllers_test

import (
	"bytes"
	"context"
	"strings"

	. "github.com/onsi/ginkgo/v2" //nolint:revive // specs read best without a qualifier
	. "github.com/onsi/gomega"    //nolint:revive // matchers read best without a qualifier
	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"mockup.dev/mockup/api/v1alpha1"
	"mockup.dev/mockup/internal/backend"
	"mockup.dev/mockup/internal/backend/backendtest/guest"
	"mockup.dev/mockup/internal/backend/memory"
	"mockup.dev/mockup/manifests"
)

// The pods of the memory backend run the guest program, and the Job of a run goes on until it is killed.
var _ = Describe("the hooks of a BackupPolicy", func() {
	ctx := context.Background()
	hook := func(command ...string) v1alpha1.BackupHook {
		return v1alpha1.BackupHook{Service: "web", Command: append([]string{guest.Path}, command...)}
	}
	notes := func(text string) v1alpha1.BackupHook { return hook("append", "/data/notes", text) }
	ignored := func(h v1alpha1.BackupHook) v1alpha1.BackupHook {
		h.OnError = v1alpha1.BackupHookContinue
		return h
	}
	within := func(timeout string, h v1alpha1.BackupHook) v1alpha1.BackupHook {
		h.Timeout = timeout
		return h
	}
	var stack *v1alpha1.MockupStack
	var p *v1alpha1.BackupPolicy
	of := func() *v1alpha1.BackupPolicy {
		out := &v1alpha1.BackupPolicy{}
		if err := k8s.Get(ctx, client.ObjectKeyFromObject(p), out); err != nil {
			return &v1alpha1.BackupPolicy{}
		}
		return out
	}
	noted := func() string {
		var out bytes.Buffer
		for _, pod := range world.Pods(manifests.StackOwner(stack)) {
			ref := backend.PodRef{Owner: manifests.StackOwner(stack), Pod: pod.Name}
			_, _ = memory.New(world).Pods().Exec(ctx, ref, backend.ExecRequest{Container: "web", Command: []string{guest.Path, "cat", "/data/notes"}, Stdout: &out})
		}
		return strings.Join(strings.Fields(out.String()), " ")
	}
	jobs := func() []string {
		var out []string
		for _, pod := range world.Pods(manifests.BackupOwner(p)) {
			out = append(out, pod.Name)
		}
		return out
	}
	history := func() []v1alpha1.BackupOutcome { return of().Status.History }
	events := func() (out []string) {
		var all eventsv1.EventList
		Expect(k8s.List(ctx, &all, client.InNamespace(p.Namespace))).To(Succeed())
		for _, e := range all.Items {
			if e.Reason == v1alpha1.ReasonHookFailed && !strings.HasPrefix(e.Note, "run ") { // which tells how the run ended
				out = append(out, e.Note)
			}
		}
		return out
	}
	// runs a policy with hooks. Every policy has a service of its own.
	runs := func(name string, hooks v1alpha1.BackupHooks) {
		stack = newStack(name)
		Expect(k8s.Create(ctx, stack)).To(Succeed())
		p = &v1alpha1.BackupPolicy{
			ObjectMeta: metav1.ObjectMeta{Name: "files", Namespace: stack.Namespace, Annotations: map[string]string{manifests.AnnotationBackupRequest: "now"}},
			Spec: v1alpha1.BackupPolicySpec{
				StackRef: v1alpha1.StackRef{Name: stack.Name}, Volumes: []v1alpha1.VolumeName{"files"}, Hooks: hooks,
				Repository: v1alpha1.BackupRepository{Size: new(resource.MustParse("1Gi"))},
			},
		}
		Expect(k8s.Create(ctx, p)).To(Succeed())
	}

	It("run before the Job and after it, once each and in order, also when it failed", func() {
		runs("hooked", v1alpha1.BackupHooks{Pre: []v1alpha1.BackupHook{notes("one"), notes("two")}, Post: []v1alpha1.BackupHook{notes("three")}})
		Eventually(jobs, patience).Should(HaveLen(1))
		Expect(noted()).To(Equal("one two"), "the Job began before the hooks had ended, or they ran more often")
		Expect(of().Status.Run.Hooks).To(HaveLen(2))
		Consistently(noted, "1s").Should(Equal("one two"))
		Expect(world.Kill(p.Namespace, jobs()[0])).To(Succeed())
		Eventually(history, patience).Should(HaveLen(1))
		Expect(noted()).To(Equal("one two three"))
		Expect(history()[0]).To(And(HaveField("Succeeded", false), HaveField("Reason", backend.ReasonBackoffLimit)))
		Expect(events()).To(BeEmpty())
	})

	It("keep a run from beginning when one fails, and those after it run all the same", func() {
		runs("stopped", v1alpha1.BackupHooks{
			Pre:  []v1alpha1.BackupHook{notes("one"), hook("exit", "3"), notes("never")},
			Post: []v1alpha1.BackupHook{notes("last")},
		})
		Eventually(history, patience).Should(HaveLen(1))
		Expect(jobs()).To(BeEmpty())
		Expect(noted()).To(Equal("one last"))
		Expect(history()[0]).To(And(HaveField("Succeeded", false), HaveField("Reason", v1alpha1.ReasonHookFailed),
			HaveField("Message", "pre hook in service web failed: exit code 3; nothing was backed up")))
		Eventually(func() string {
			c := meta.FindStatusCondition(of().Status.Conditions, v1alpha1.ConditionReady)
			return c.Reason + " " + c.Message
		}, patience).Should(And(HavePrefix(v1alpha1.ReasonBackupFailed), ContainSubstring("exit code 3")))
		Eventually(events, patience).Should(ConsistOf("pre hook in service web failed: exit code 3"))
	})

	It("may fail where nobody minds, and have to end in time", func() {
		runs("minded", v1alpha1.BackupHooks{
			Pre:  []v1alpha1.BackupHook{ignored(hook("exit", "4")), ignored(within("1s", hook("sleep", "1h"))), notes("on")},
			Post: []v1alpha1.BackupHook{within("1s", hook("sleep", "1h"))},
		})
		Eventually(jobs, patience).Should(HaveLen(1))
		Expect(noted()).To(Equal("on"))
		Eventually(events, patience).Should(ConsistOf("pre hook in service web failed: exit code 4", HavePrefix("pre hook in service web failed: it took longer than 1s")))
		Expect(world.Kill(p.Namespace, jobs()[0])).To(Succeed())
		Eventually(history, patience).Should(HaveLen(1))
		Expect(history()[0].Message).To(And(ContainSubstring("post hook in service web failed: it took longer than 1s"), ContainSubstring("exit code 4")))
	})

	It("run after a run that ends with its policy, and wait no longer than they may for a pod", func() {
		runs("ended", v1alpha1.BackupHooks{Post: []v1alpha1.BackupHook{notes("bye")}})
		Eventually(jobs, patience).Should(HaveLen(1))
		Expect(k8s.Delete(ctx, p)).To(Succeed())
		Eventually(func() string { return of().Name }, patience).Should(BeEmpty())
		Expect(noted()).To(Equal("bye"))

		before := stack.Spec.Services[0].Image
		world.Hold(before, true)
		defer world.Hold(before, false)
		runs("unready", v1alpha1.BackupHooks{Pre: []v1alpha1.BackupHook{within("2s", notes("x"))}})
		Eventually(history, patience).Should(HaveLen(1))
		Expect(history()[0].Message).To(ContainSubstring("no pod was ready within 2s"))
	})

	It("tell the end of what they print, without secrets", func() {
		runs("chatty", v1alpha1.BackupHooks{})
		Eventually(jobs, patience).Should(HaveLen(1))
		secret := &corev1.Secret{}
		Expect(k8s.Get(ctx, client.ObjectKey{Namespace: p.Namespace, Name: manifests.BackupPasswordName(p.Name)}, secret)).To(Succeed())
		password := string(secret.Data[manifests.KeyBackupPassword])
		Expect(k8s.Delete(ctx, p)).To(Succeed())
		Eventually(func() string { return of().Name }, patience).Should(BeEmpty())
		p.ResourceVersion, p.UID = "", ""
		p.Spec.Hooks.Pre = []v1alpha1.BackupHook{hook("say", "500", guest.Then, "append", "/data/notes", password, guest.Then, "cat", "/data/notes", guest.Then, "exit", "1")}
		Expect(k8s.Create(ctx, p)).To(Succeed())
		Eventually(history, patience).Should(HaveLen(1))
		Expect(history()[0].Message).To(And(ContainSubstring("line 499"), ContainSubstring("***"), Not(ContainSubstring(password)), Not(ContainSubstring("line 400"))))
		Expect(len(history()[0].Message)).To(BeNumerically("<", 500))
	})

	It("are refused where the stack has no such service", func() {
		runs("lonely", v1alpha1.BackupHooks{Pre: []v1alpha1.BackupHook{{Service: "database", Command: []string{"sync"}}}})
		Eventually(func() string {
			c := meta.FindStatusCondition(of().Status.Conditions, v1alpha1.ConditionStalled)
			if c == nil {
				return ""
			}
			return c.Reason + " " + c.Message
		}, patience).Should(And(HavePrefix(v1alpha1.ReasonInvalidSpec), ContainSubstring(`spec.hooks.pre[0].service: "database" is no service of stack lonely`)))
	})
})
