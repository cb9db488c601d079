package rollout

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/yaml"

	"mockup.dev/mockup/test/load"
)

const (
	plainNetwork = "plain"
	plainSubnet  = "10.99.0.0/24"
	plainAddress = "127.0.0.1:15000"
	// replacements are how often plain kube play replaces the service.
	replacements = 3
)

var _ = Describe("Plain kube play --replace of the same service", func() {
	It("loses what comes for about a second each time", func(ctx SpecContext) {
		p := newPlain(ctx)
		DeferCleanup(p.remove, NodeTimeout(time.Minute))
		p.play(ctx, 0)
		c, err := load.NewClient(nil, plainAddress)
		Expect(err).NotTo(HaveOccurred())
		visit := load.Kind{Name: "GET /healthz", Share: 1, Do: func(ctx context.Context, c *http.Client, _ int) error {
			_, err := load.Ask(ctx, c, http.StatusOK, http.MethodGet, "http://"+plainAddress+"/healthz", nil)
			return err
		}}
		Eventually(func(ctx SpecContext) error { return visit.Do(ctx, c, 0) }).
			WithContext(ctx).WithTimeout(patience).WithPolling(lookPeriod).Should(Succeed())
		run := start(ctx, 3*time.Minute, c, visit)
		var begins []time.Duration
		for n := range replacements {
			begins = append(begins, run.Elapsed())
			p.play(ctx, n+1)
			time.Sleep(2 * calm)
		}
		end := run.Elapsed()
		said := run.Stop()
		Expect(said.Kept()).To(Succeed())
		for n, begin := range begins {
			until := append(begins, end)[n+1]
			part := said.Between(begin, until)
			fmt.Printf("plain kube play --replace of public-app, %d of %d: %d of %d requests failed, was away %.2f s\n",
				n+1, replacements, len(part.Failures()), len(part.Results), part.Gap().Seconds())
		}
		// That it is worse than ours, which loses none, is what the comparison rests on.
		Expect(said.Failures()).NotTo(BeEmpty(), "plain kube play has learnt to replace without loss: compare anew")
	}, NodeTimeout(5*time.Minute))
})

// plain is public-app as it is rendered, run by kube play alone.
type plain struct {
	file       string
	deployment *appsv1.Deployment
}

func newPlain(ctx SpecContext) *plain {
	GinkgoHelper()
	rendered, err := stack.Mockup(ctx, "render", "-f", stack.Sample(), "--image-map", stack.ImageMap(), "--new-secrets", filepath.Join(stack.Dir, "secrets.yaml"))
	Expect(err).NotTo(HaveOccurred())
	for document := range strings.SplitSeq(rendered, "\n---\n") {
		d := &appsv1.Deployment{}
		if yaml.Unmarshal([]byte(document), d) == nil && d.Kind == "Deployment" && strings.HasSuffix(d.Name, "-public-app") {
			d.Spec.Template.Labels = nil // by which the operator would take the pod for one of its own, and one too many
			_, err := stack.Podman(ctx, "network", "create", "--subnet", plainSubnet, plainNetwork)
			Expect(err).NotTo(HaveOccurred())
			return &plain{file: filepath.Join(stack.Dir, "plain.yaml"), deployment: d}
		}
	}
	Fail("the rendered sample has no Deployment of public-app")
	return nil
}

// play plays the n-th form of it, in place of the one before.
func (p *plain) play(ctx SpecContext, n int) {
	GinkgoHelper()
	d := p.deployment.DeepCopy()
	c := &d.Spec.Template.Spec.Containers[0]
	c.Env = append(c.Env, corev1.EnvVar{Name: "COLOUR", Value: strconv.Itoa(n)})
	text, err := yaml.Marshal(d)
	Expect(err).NotTo(HaveOccurred())
	Expect(os.WriteFile(p.file, text, 0o600)).To(Succeed())
	_, err = stack.Podman(ctx, "kube", "play", "--replace", "--network", plainNetwork, "--publish", plainAddress+":5000", p.file)
	Expect(err).NotTo(HaveOccurred())
}

func (p *plain) remove(ctx SpecContext) {
	_, err := stack.Podman(ctx, "kube", "down", p.file)
	Expect(err).NotTo(HaveOccurred())
	_, err = stack.Podman(ctx, "network", "rm", plainNetwork)
	Expect(err).NotTo(HaveOccurred())
}
