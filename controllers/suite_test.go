package controllers_test

import (
	"context"
	"testing"
	"time"

	. "github.com/onsi/ginkgo/v2" //nolint:revive // specs read best without a qualifier
	. "github.com/onsi/gomega"    //nolint:revive // matchers read best without a qualifier
	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	"k8s.io/apimachinery/pkg/runtime"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/config"
	"sigs.k8s.io/controller-runtime/pkg/log"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"

	"mockup.dev/mockup/api/v1alpha1"
	"mockup.dev/mockup/config/rbac"
	"mockup.dev/mockup/controllers"
	"mockup.dev/mockup/internal/backend/memory"
	"mockup.dev/mockup/internal/controlplane/controlplanetest"
)

func TestControllers(t *testing.T) {
	RegisterFailHandler(Fail)
	RunSpecs(t, "controllers on a real API server and the memory backend")
}

var (
	world *memory.World
	k8s   client.Client
)

var _ = BeforeSuite(func() {
	log.SetLogger(GinkgoLogr)
	rest, stop, err := controlplanetest.Start(GinkgoT().TempDir())
	Expect(err).NotTo(HaveOccurred())
	DeferCleanup(stop)
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{corev1.AddToScheme, eventsv1.AddToScheme, v1alpha1.AddToScheme} {
		Expect(add(scheme)).To(Succeed())
	}
	k8s, err = client.New(rest, client.Options{Scheme: scheme})
	Expect(err).NotTo(HaveOccurred())

	world = memory.NewWorld()
	unique := true
	manager, err := rbac.AsManager(context.Background(), rest)
	Expect(err).NotTo(HaveOccurred())
	mgr, err := ctrl.NewManager(manager, ctrl.Options{
		Scheme: scheme, NewClient: newLagging, Metrics: metricsserver.Options{BindAddress: "0"}, Controller: config.Controller{SkipNameValidation: &unique},
	})
	Expect(err).NotTo(HaveOccurred())
	Expect(controllers.Setup(mgr, controllers.Options{Backend: memory.New(world)})).To(Succeed())
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- mgr.Start(ctx) }()
	DeferCleanup(func() {
		cancel()
		Eventually(done, 10*time.Second).Should(Receive(Succeed()))
	})
})
