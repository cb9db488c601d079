package controllers_test

import (
	"context"
	"errors"
	"strings"
	"time"

	. "github.com/onsi/ginkgo/v2" //nolint:revive // specs read best without a qualifier
	. "github.com/onsi/gomega"    //nolint:revive // matchers read best without a qualifier
	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"mockup.dev/mockup/api/v1alpha1"
	"mockup.dev/mockup/manifests"
)

const patience = 15 * time.Second

// newStack is a small stack of its own names in a namespace of its own.
func newStack(name string) *v1alpha1.MockupStack {
	size := resource.MustParse("1Gi")
	return &v1alpha1.MockupStack{
		ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: newNamespace()},
		Spec: v1alpha1.MockupStackSpec{
			Networks: []v1alpha1.Network{{Name: "public", Subnet: "172.18.0.0/16"}},
			Volumes:  []v1alpha1.Volume{{Name: "files", Size: &size}},
			Gateway: &v1alpha1.Gateway{
				Networks: []v1alpha1.NetworkAttachment{{Name: "public"}},
				HTTPS:    v1alpha1.GatewayPort{HostPort: 8443},
				TLS:      v1alpha1.GatewayTLS{SelfSigned: &v1alpha1.SelfSigned{DNSNames: []string{"localhost"}}},
				Routes:   []v1alpha1.Route{{Path: "/", Service: "web"}},
			},
			Services: []v1alpha1.Service{{
				Name: "web", Image: "localhost/mockup/web:1", Port: 8080,
				Networks:     []v1alpha1.NetworkAttachment{{Name: "public"}},
				VolumeMounts: []v1alpha1.VolumeMount{{Volume: "files", MountPath: "/data"}},
			}},
		},
	}
}

func newNamespace() string {
	ns := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: "t"}}
	ExpectWithOffset(2, k8s.Create(context.Background(), ns)).To(Succeed())
	return ns.Name
}

func fetch(s *v1alpha1.MockupStack) *v1alpha1.MockupStack {
	out := &v1alpha1.MockupStack{}
	if err := k8s.Get(context.Background(), client.ObjectKeyFromObject(s), out); err != nil {
		return &v1alpha1.MockupStack{}
	}
	return out
}

// condition as "Status/Reason" of the current generation.
func condition(s *v1alpha1.MockupStack, kind string) func() string {
	return func() string {
		now := fetch(s)
		c := meta.FindStatusCondition(now.Status.Conditions, kind)
		if c == nil || c.ObservedGeneration != now.Generation {
			return "none"
		}
		return string(c.Status) + "/" + c.Reason
	}
}

func message(s *v1alpha1.MockupStack) string {
	c := meta.FindStatusCondition(fetch(s).Status.Conditions, v1alpha1.ConditionReady)
	if c == nil {
		return ""
	}
	return c.Message
}

func owner(s *v1alpha1.MockupStack) manifests.Owner {
	return manifests.Owner{Kind: "MockupStack", Namespace: s.Namespace, Name: s.Name}
}

func update(s *v1alpha1.MockupStack, change func(*v1alpha1.MockupStack)) {
	EventuallyWithOffset(1, func() error {
		now := fetch(s)
		change(now)
		return k8s.Update(context.Background(), now)
	}, patience).Should(Succeed())
}

var _ = Describe("a MockupStack", func() {
	ctx := context.Background()
	becomesReady := func(s *v1alpha1.MockupStack) {
		EventuallyWithOffset(1, condition(s, v1alpha1.ConditionReady), patience).Should(Equal("True/Ready"), func() string { return message(s) })
	}

	It("becomes Ready and says where it is reached", func() {
		s := newStack("one")
		Expect(k8s.Create(ctx, s)).To(Succeed())
		becomesReady(s)
		now := fetch(s)
		Expect(now.Status.Workloads).To(Equal("2/2"))
		Expect(now.Status.URL).To(Equal("https://localhost:8443/"))
		Expect(now.Status.Services).To(HaveLen(1))
		Expect(now.Status.Services[0].Endpoints).To(Equal([]string{"http://web:8080/"}))
		Expect(now.Status.ObservedGeneration).To(Equal(now.Generation))
		Expect(condition(s, v1alpha1.ConditionReconciling)()).To(HavePrefix("False/"))
		Expect(condition(s, v1alpha1.ConditionStalled)()).To(HavePrefix("False/"))
		Expect(world.Pods(owner(s))).To(HaveLen(2))
	})

	It("makes its certificate once, owned, and keeps it", func() {
		s := newStack("certified")
		Expect(k8s.Create(ctx, s)).To(Succeed())
		becomesReady(s)
		secret := &corev1.Secret{}
		key := client.ObjectKey{Namespace: s.Namespace, Name: manifests.GatewayTLSName(s.Name)}
		Expect(k8s.Get(ctx, key, secret)).To(Succeed())
		Expect(metav1.IsControlledBy(secret, fetch(s))).To(BeTrue())
		before := secret.DeepCopy()
		update(s, func(s *v1alpha1.MockupStack) { s.Spec.Gateway.Routes[0].Path = "/app" })
		becomesReady(s)
		Expect(k8s.Get(ctx, key, secret)).To(Succeed())
		Expect(secret.Data).To(Equal(before.Data))
		update(s, func(s *v1alpha1.MockupStack) { s.Spec.Gateway.TLS.SelfSigned.DNSNames = []string{"example.com"} })
		Eventually(func() map[string][]byte {
			Expect(k8s.Get(ctx, key, secret)).To(Succeed())
			return secret.Data
		}, patience).ShouldNot(Equal(before.Data), "a certificate for other names is needed")
	})

	It("stays as it is when nothing changes", func() {
		s := newStack("still")
		Expect(k8s.Create(ctx, s)).To(Succeed())
		becomesReady(s)
		version := fetch(s).ResourceVersion
		update(s, func(s *v1alpha1.MockupStack) { s.Annotations = map[string]string{"touched": "1"} })
		Consistently(condition(s, v1alpha1.ConditionReady), time.Second).Should(Equal("True/Ready"))
		Expect(fetch(s).ResourceVersion).NotTo(Equal(version), "the annotation itself is written")
		after := fetch(s).ResourceVersion
		Consistently(func() string { return fetch(s).ResourceVersion }, time.Second).Should(Equal(after), "the status is written again and again")
	})

	It("says which reference is missing and goes on when it is there", func() {
		s := newStack("waiting")
		s.Spec.Services[0].Env = []v1alpha1.EnvVar{{Name: "PASSWORD", ValueFrom: &v1alpha1.EnvVarSource{SecretKeyRef: &v1alpha1.KeyRef{Name: "db", Key: "password"}}}}
		Expect(k8s.Create(ctx, s)).To(Succeed())
		Eventually(condition(s, v1alpha1.ConditionStalled), patience).Should(Equal("True/ReferenceMissing"))
		Expect(message(s)).To(ContainSubstring("db"))
		secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: "db", Namespace: s.Namespace}, StringData: map[string]string{"password": "x"}}
		Expect(k8s.Create(ctx, secret)).To(Succeed())
		becomesReady(s)
	})

	It("names the service and the cause when an image can't be had", func() {
		world.Missing("localhost/mockup/gone:1", true)
		s := newStack("imageless")
		s.Spec.Services[0].Image = "localhost/mockup/gone:1"
		Expect(k8s.Create(ctx, s)).To(Succeed())
		Eventually(condition(s, v1alpha1.ConditionReady), patience).Should(Equal("False/ImageUnavailable"))
		Expect(message(s)).To(And(ContainSubstring("imageless-web"), ContainSubstring("localhost/mockup/gone:1")))
		world.Missing("localhost/mockup/gone:1", false)
		becomesReady(s)
	})

	It("is stalled while an older stack of the namespace holds a Service name, and not for longer", func() {
		first := newStack("first")
		Expect(k8s.Create(ctx, first)).To(Succeed())
		becomesReady(first)
		second := newStack("second")
		second.Namespace = first.Namespace
		Expect(k8s.Create(ctx, second)).To(Succeed())
		Eventually(condition(second, v1alpha1.ConditionStalled), patience).Should(Equal("True/NameTaken"))
		Expect(message(second)).To(And(ContainSubstring("spec.services[0].name"), ContainSubstring("first")))
		Expect(k8s.Delete(ctx, first)).To(Succeed())
		becomesReady(second)
	})

	It("is reconciled when its pods change behind its back", func() {
		s := newStack("disturbed")
		Expect(k8s.Create(ctx, s)).To(Succeed())
		becomesReady(s)
		pod := world.Pods(owner(s))[0]
		Expect(world.RemovePod(pod.Namespace, pod.Name)).To(Succeed())
		Eventually(func() int { return len(world.Pods(owner(s))) }, patience).Should(Equal(2))
		becomesReady(s)
	})

	It("is told to be ready again, however soon it is", func() {
		s := newStack("quick")
		Expect(k8s.Create(ctx, s)).To(Succeed())
		becomesReady(s)
		for range 10 {
			pod := world.Pods(owner(s))[0]
			Expect(world.RemovePod(pod.Namespace, pod.Name)).To(Succeed())
			Eventually(func() int { return len(world.Pods(owner(s))) }, patience).Should(Equal(2))
			becomesReady(s)
			time.Sleep(2 * lag) // so that the cache knows of it
		}
	})

	It("reports a backend that does not answer, and recovers", func() {
		s := newStack("unreachable")
		stop := failing(errors.New("connection refused"))
		Expect(k8s.Create(ctx, s)).To(Succeed())
		Eventually(condition(s, v1alpha1.ConditionReady), patience).Should(Equal("False/BackendUnavailable"))
		stop()
		becomesReady(s)
		Eventually(func() []string { return eventReasons(s) }, patience).Should(ContainElement("BackendUnavailable"))
	})

	It("leaves nothing but retained volumes when it is deleted", func() {
		s := newStack("leaving")
		Expect(k8s.Create(ctx, s)).To(Succeed())
		becomesReady(s)
		Expect(k8s.Delete(ctx, s)).To(Succeed())
		Eventually(func() bool {
			return apierrors.IsNotFound(k8s.Get(ctx, client.ObjectKeyFromObject(s), &v1alpha1.MockupStack{}))
		}, patience).Should(BeTrue(), "the stack is still there")
		Expect(world.Pods(owner(s))).To(BeEmpty())
		var kept []string
		for _, th := range world.Things(owner(s)) {
			kept = append(kept, th.Ref.String())
		}
		Expect(kept).To(Equal([]string{"PersistentVolumeClaim/leaving-files"}))
	})

	It("tells of transitions by events", func() {
		s := newStack("eventful")
		Expect(k8s.Create(ctx, s)).To(Succeed())
		becomesReady(s)
		Eventually(func() []string { return eventReasons(s) }, patience).Should(ContainElement("Ready"))
	})
})

// failing makes every Apply fail, whoever's it is, until it is stopped.
func failing(err error) (stop func()) {
	fail := func(err error) {
		for next := range 20 { // more than there can be in a moment
			world.FailApply(next+1, err)
		}
	}
	done, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		for {
			select {
			case <-done:
				fail(nil)
				return
			default:
				fail(err)
				time.Sleep(time.Millisecond)
			}
		}
	}()
	return func() {
		close(done)
		<-stopped
	}
}

// eventReasons of the events about a stack.
func eventReasons(s *v1alpha1.MockupStack) []string {
	var list eventsv1.EventList
	if err := k8s.List(context.Background(), &list, client.InNamespace(s.Namespace)); err != nil {
		return []string{err.Error()}
	}
	var out []string
	for _, e := range list.Items {
		if strings.HasPrefix(e.Regarding.Name, s.Name) {
			out = append(out, e.Reason)
		}
	}
	return out
}
