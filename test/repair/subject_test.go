package repair

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"slices"
	"strings"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"mockup.dev/mockup/test/load"
	"mockup.dev/mockup/test/stacktest"
)

// subject is a stack of its own: the n-th variant of the sample.
type subject struct {
	key     client.ObjectKey
	address string
	visitor *http.Client
}

// paths that lead through the gateway to each component.
var paths = map[string]string{"gateway": "", "public-app": "", "mime-server": "files", "intranet-api": "intranet/readyz"}

// components in the order in which they die.
var components = []string{"public-app", "intranet-api", "mime-server", "gateway"}

func create(ctx SpecContext, n int) *subject {
	GinkgoHelper()
	variant, err := host.Variant(n)
	Expect(err).NotTo(HaveOccurred())
	Expect(host.CreateIn(ctx, variant)).To(Succeed())
	return &subject{key: client.ObjectKeyFromObject(variant), address: fmt.Sprintf("127.0.0.1:%d", variant.Spec.Gateway.HTTPS.HostPort)}
}

// arrive waits until the stack is ready, and visits it.
func (s *subject) arrive(ctx SpecContext) {
	GinkgoHelper()
	s.settle(ctx)
	s.store(ctx, "before", []byte("here before anything died\n"))
	for component := range paths {
		Expect(s.answers(ctx, component)).To(Succeed(), "the stack said that it was ready")
	}
}

// settle waits until the stack is ready.
func (s *subject) settle(ctx SpecContext) {
	GinkgoHelper()
	limited, cancel := context.WithTimeout(ctx, 2*time.Minute)
	defer cancel()
	_, err := statuses.await(limited, s.key, time.Now(), func(x sighting) bool { return x.ready })
	Expect(err).NotTo(HaveOccurred())
	var secrets corev1.SecretList
	Expect(host.API.List(ctx, &secrets, client.InNamespace(s.key.Namespace))).To(Succeed())
	i := slices.IndexFunc(secrets.Items, func(x corev1.Secret) bool { return len(x.Data["ca.crt"]) > 0 })
	Expect(i).To(BeNumerically(">=", 0), "%s has no certificate authority", s.key)
	s.visitor, err = load.NewClient(secrets.Items[i].Data["ca.crt"], s.address)
	Expect(err).NotTo(HaveOccurred())
}

func (s *subject) store(ctx context.Context, name string, content []byte) {
	GinkgoHelper()
	_, err := load.Ask(ctx, s.visitor, http.StatusCreated, http.MethodPut, stacktest.URL+"files/"+name, bytes.NewReader(content))
	Expect(err).NotTo(HaveOccurred())
}

// answers is nil when the gateway answers for the component.
func (s *subject) answers(ctx context.Context, component string) error {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	_, err := load.Ask(ctx, s.visitor, http.StatusOK, http.MethodGet, stacktest.URL+paths[component], nil)
	return err
}

// container as `podman ps` lists it.
type container struct {
	Names   []string
	PodName string
	Pid     int
	IsInfra bool
}

// find the main or the infra container of the first pod of a component.
func (s *subject) find(ctx SpecContext, component string, infra bool) container {
	GinkgoHelper()
	return only(ctx, fmt.Sprintf("%s-%s-%s-0", s.key.Namespace, s.key.Name, component), infra)
}

func only(ctx SpecContext, pod string, infra bool) container {
	GinkgoHelper()
	out, err := host.Podman(ctx, "ps", "--pod", "--filter", "pod="+pod, "--format", "json")
	Expect(err).NotTo(HaveOccurred())
	var found []container
	Expect(json.Unmarshal([]byte(out), &found)).To(Succeed(), out)
	found = slices.DeleteFunc(found, func(c container) bool { return c.PodName != pod || c.IsInfra != infra })
	Expect(found).To(HaveLen(1), "containers of pod %s: %s", pod, out)
	Expect(found[0].Pid).To(BeNumerically(">", 1))
	return found[0]
}

// again returns how long after death the resource said that it was ready again and the gateway answered for the component.
// A death that the resource never speaks of is an error: what says nothing can't say that it is over.
func (s *subject) again(ctx SpecContext, component string, before sighting, death time.Time) time.Duration {
	GinkgoHelper()
	limited, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	disturbed, err := statuses.await(limited, s.key, death, func(x sighting) bool {
		return x.at.After(death) && (!x.ready || x.restarts[component] > before.restarts[component])
	})
	Expect(err).NotTo(HaveOccurred(), "the status does not tell of the death")
	_, err = statuses.await(limited, s.key, disturbed.at, func(x sighting) bool { return !x.at.Before(disturbed.at) && x.ready })
	Expect(err).NotTo(HaveOccurred())
	for err = s.answers(limited, component); err != nil; err = s.answers(limited, component) {
		Expect(limited.Err()).NotTo(HaveOccurred(), "it said that it was ready, but: %v", err)
		time.Sleep(lookPeriod)
	}
	return time.Since(death)
}

const lookPeriod = 5 * time.Millisecond

// now is the newest sighting of the stack, which must be ready.
func (s *subject) now(ctx SpecContext) sighting {
	GinkgoHelper()
	limited, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	found, err := statuses.await(limited, s.key, time.Now(), func(x sighting) bool { return x.ready })
	Expect(err).NotTo(HaveOccurred())
	return found
}

// gone waits until a process is no more, and returns when that was.
func gone(pid int) time.Time {
	GinkgoHelper()
	for begin := time.Now(); time.Since(begin) < patience; time.Sleep(time.Millisecond) {
		if stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid)); err != nil || strings.Contains(string(stat), ") Z ") {
			return time.Now()
		}
	}
	Fail(fmt.Sprintf("process %d does not end", pid))
	return time.Time{}
}
