package rollout

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"k8s.io/apimachinery/pkg/api/resource"

	"mockup.dev/mockup/api/v1alpha1"
	"mockup.dev/mockup/test/load"
	"mockup.dev/mockup/test/stacktest"
)

// again is another tag of the images of the services: to Podman and to us, another image.
const again = ":again"

// serviceChange is rolled out.
type serviceChange struct {
	what, service string
	edit          func(*v1alpha1.Service)
	// scales is true if the pods that are there stay.
	scales bool
}

// serviceChanges are ten, after which everything is as before but the value of a variable and, for odd rounds, the image.
func serviceChanges(round int, sample *v1alpha1.MockupStackSpec) []serviceChange {
	colour := func(n int) func(*v1alpha1.Service) {
		return func(s *v1alpha1.Service) {
			s.Env = slices.DeleteFunc(s.Env, func(e v1alpha1.EnvVar) bool { return e.Name == "COLOUR" })
			s.Env = append(s.Env, v1alpha1.EnvVar{Name: "COLOUR", Value: strconv.Itoa(100*round + n)})
		}
	}
	image := func(s *v1alpha1.Service) {
		original := service(sample, s.Name).Image
		if s.Image == original {
			s.Image = "localhost/mockup/" + s.Name + again
		} else {
			s.Image = original
		}
	}
	// Only one pod can have a fixed address.
	replicas := func(n int32, fixed bool) func(*v1alpha1.Service) {
		return func(s *v1alpha1.Service) {
			for i := range s.Networks {
				s.Networks[i].IP = ""
			}
			if fixed {
				s.Networks = slices.Clone(service(sample, s.Name).Networks)
			}
			s.Replicas = &n
		}
	}
	return []serviceChange{
		{"environment", "public-app", colour(1), false},
		{"environment", "intranet-api", colour(2), false},
		{"image", "public-app", image, false},
		{"image", "intranet-api", image, false},
		{"no fixed address, and 3 replicas", "public-app", replicas(3, false), false},
		{"no fixed address, and 2 replicas", "intranet-api", replicas(2, false), false},
		{"environment of 3 replicas", "public-app", colour(3), false},
		{"1 replica", "intranet-api", replicas(1, false), true},
		{"1 replica with a fixed address", "public-app", replicas(1, true), false},
		{"fixed address", "intranet-api", replicas(1, true), false},
	}
}

// routeChange is reloaded in place; status is the answer to path from then on.
type routeChange struct {
	what   string
	edit   func(*v1alpha1.Gateway)
	path   string
	body   int // bytes that are sent, if any
	status int
}

func routeChanges() []routeChange {
	extra := func(g *v1alpha1.Gateway) *v1alpha1.Route { return &g.Routes[len(g.Routes)-1] }
	whole := resource.MustParse("100Mi")
	little := resource.MustParse("1Ki")
	return []routeChange{
		{"another route", func(g *v1alpha1.Gateway) {
			g.Routes = append(g.Routes, v1alpha1.Route{Path: "/extra/", StripPath: true, Service: "mime-server", MaxBodySize: &whole})
		}, "extra/files", 0, http.StatusOK},
		{"a route to another service", func(g *v1alpha1.Gateway) { extra(g).Service = "public-app" }, "extra/", 0, http.StatusOK},
		{"a smaller body on a route", func(g *v1alpha1.Gateway) { extra(g).MaxBodySize = &little }, "extra/upload", 4 << 10, http.StatusRequestEntityTooLarge},
		{"a route for others only", func(g *v1alpha1.Gateway) { extra(g).AllowFrom = []string{"192.0.2.0/24"} }, "extra/", 0, http.StatusForbidden},
		{"the route gone", func(g *v1alpha1.Gateway) { g.Routes = g.Routes[:len(g.Routes)-1] }, "extra/", 0, http.StatusNotFound},
	}
}

var _ = Describe("A stack under a steady load", func() {
	It("loses no request while services and routes change", func(ctx SpecContext) {
		tag(ctx)
		found, err := stack.Get(ctx)
		Expect(err).NotTo(HaveOccurred())
		uploads := &acknowledged{files: map[string]int{}}
		run := start(ctx, time.Duration(*rounds)*10*time.Minute, client, visits(uploads)...)
		DeferCleanup(func() { // a run that something else ended is told of, too
			if said := run.Stop(); CurrentSpecReport().Failed() {
				said.Print(os.Stdout)
			}
		})
		gateway := containers(ctx, "gateway")
		services, routes := 0, 0
		for round := range *rounds {
			changes := serviceChanges(round, &found.Spec)
			for i, r := range routeChanges() {
				for _, c := range changes[2*i : 2*i+2] {
					c.make(ctx, run)
					services++
				}
				r.make(ctx, run)
				routes++
			}
			uploads.verify(ctx)
		}
		time.Sleep(time.Second) // under load, for what comes late
		said := run.Stop()
		said.Print(os.Stdout)
		fmt.Printf("%d changes of services, %d of routes; longest time without a success %s\n", services, routes, said.Gap())
		Expect(containers(ctx, "gateway")).To(Equal(gateway), "routes are changed in place")
		Expect(said.Kept()).To(Succeed())
		Expect(len(said.Failures())).To(BeZero(), "requests failed")
		uploads.verify(ctx)
	}, NodeTimeout(30*time.Minute))
})

// tag gives the images of the services that are rolled a second name.
func tag(ctx SpecContext) {
	GinkgoHelper()
	for _, name := range []string{"public-app", "intranet-api"} {
		_, err := stack.Podman(ctx, "tag", "localhost/mockup/"+name+":v0.1.0", "localhost/mockup/"+name+again)
		Expect(err).NotTo(HaveOccurred())
	}
}

func (c serviceChange) make(ctx SpecContext, run *load.Run) {
	GinkgoHelper()
	before, begin, failed := containers(ctx, c.service), run.Elapsed(), run.Failed()
	replicas := 0
	change(ctx, func(spec *v1alpha1.MockupStackSpec) {
		s := service(spec, c.service)
		c.edit(s)
		replicas = int(*s.Replicas)
	})
	settled(ctx)
	took := run.Elapsed() - begin
	Eventually(func() error { return c.made(before, containers(ctx, c.service), replicas) }).
		WithTimeout(patience).WithPolling(lookPeriod).Should(Succeed())
	told(begin, took, c.service+": "+c.what, run.Failed()-failed)
}

// made is nil if the wanted pods are there, and new ones unless the change only scales.
func (c serviceChange) made(before, now []string, replicas int) error {
	fresh := slices.DeleteFunc(slices.Clone(now), func(id string) bool { return slices.Contains(before, id) })
	if c.scales && len(now) == replicas || !c.scales && len(fresh) == replicas {
		return nil
	}
	return fmt.Errorf("%s of %s: %d pods run, %d of them new; want %d", c.what, c.service, len(now), len(fresh), replicas)
}

func (r routeChange) make(ctx SpecContext, run *load.Run) {
	GinkgoHelper()
	begin, failed := run.Elapsed(), run.Failed()
	change(ctx, func(spec *v1alpha1.MockupStackSpec) { r.edit(spec.Gateway) })
	Eventually(func(ctx context.Context) error {
		method, body := http.MethodGet, strings.Repeat("x", r.body)
		if body != "" {
			method = http.MethodPost
		}
		_, err := load.Ask(ctx, client, r.status, method, stacktest.URL+r.path, strings.NewReader(body))
		return err
	}).WithContext(ctx).WithTimeout(patience).WithPolling(lookPeriod).Should(Succeed())
	settled(ctx)
	told(begin, run.Elapsed()-begin, "gateway: "+r.what, run.Failed()-failed)
}

// told prints what was done, so that failures can be laid beside it.
func told(at, took time.Duration, what string, failed int) {
	fmt.Printf("%7.2fs  %-48s ready after %5.2f s, %d failed\n", at.Seconds(), what, took.Seconds(), failed)
}
