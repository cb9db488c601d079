package repair

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	appsv1 "k8s.io/api/apps/v1"
	"sigs.k8s.io/yaml"

	"mockup.dev/mockup/test/load"
)

const (
	aloneNetwork   = "alone"
	aloneSubnet    = "10.99.0.0/24"
	aloneFirstPort = 15000
	// lost are two more pods: one is removed, of one the infra container is killed.
	lost = 2
)

// pods of the sample's public-app under plain kube play, which Podman alone looks after.
type pods struct {
	files   []string
	visitor *http.Client
}

func playAlone(ctx SpecContext, n int) *pods {
	GinkgoHelper()
	rendered, err := host.Mockup(ctx, "render", "-f", host.Sample(), "--image-map", host.ImageMap(), "--new-secrets", filepath.Join(host.Dir, "secrets.yaml"))
	Expect(err).NotTo(HaveOccurred())
	deployment := &appsv1.Deployment{}
	for document := range strings.SplitSeq(rendered, "\n---\n") {
		d := &appsv1.Deployment{}
		if yaml.Unmarshal([]byte(document), d) == nil && d.Kind == "Deployment" && strings.HasSuffix(d.Name, "-public-app") {
			deployment = d
		}
	}
	Expect(deployment.Name).NotTo(BeEmpty(), "the rendered sample has no Deployment of public-app")
	deployment.Spec.Template.Labels = nil // by which the operator would take the pods for its own, and too many
	_, err = host.Podman(ctx, "network", "create", "--subnet", aloneSubnet, aloneNetwork)
	Expect(err).NotTo(HaveOccurred())
	p := &pods{}
	p.visitor, err = load.NewClient(nil, "")
	Expect(err).NotTo(HaveOccurred())
	for i := range n + lost {
		d := deployment.DeepCopy()
		d.Name = fmt.Sprintf("alone-%d", i)
		text, err := yaml.Marshal(d)
		Expect(err).NotTo(HaveOccurred())
		p.files = append(p.files, filepath.Join(host.Dir, d.Name+".yaml"))
		Expect(os.WriteFile(p.files[i], text, 0o600)).To(Succeed())
		_, err = host.Podman(ctx, "kube", "play", "--network", aloneNetwork, "--publish", p.address(i)+":5000", p.files[i])
		Expect(err).NotTo(HaveOccurred())
		Eventually(p.answers).WithArguments(i).WithContext(ctx).WithTimeout(patience).Should(Succeed())
	}
	return p
}

func (p *pods) address(i int) string { return fmt.Sprintf("127.0.0.1:%d", aloneFirstPort+i) }

func podOf(i int) string { return fmt.Sprintf("alone-%d-pod", i) }

func (p *pods) answers(ctx context.Context, i int) error {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	_, err := load.Ask(ctx, p.visitor, http.StatusOK, http.MethodGet, "http://"+p.address(i)+"/healthz", nil)
	return err
}

// kill the i-th and return how long it takes until it answers again.
func (p *pods) kill(ctx SpecContext, i int) time.Duration {
	GinkgoHelper()
	victim := only(ctx, podOf(i), false)
	Expect(syscall.Kill(victim.Pid, syscall.SIGKILL)).To(Succeed())
	death := time.Now()
	gone(victim.Pid)
	Expect(p.back(ctx, i, patience)).To(BeTrue(), "Podman starts a container again that ended")
	return time.Since(death)
}

func (p *pods) back(ctx context.Context, i int, within time.Duration) bool {
	for begin := time.Now(); time.Since(begin) < within; time.Sleep(lookPeriod) {
		if p.answers(ctx, i) == nil {
			return true
		}
	}
	return false
}

// others looks at the deaths that Podman does nothing about.
func (p *pods) others(ctx SpecContext) {
	GinkgoHelper()
	removedPod, headless := len(p.files)-1, len(p.files)-2
	victim := only(ctx, podOf(headless), true)
	Expect(syscall.Kill(victim.Pid, syscall.SIGKILL)).To(Succeed())
	_, err := host.Podman(ctx, "pod", "rm", "--force", "--time", "0", podOf(removedPod))
	Expect(err).NotTo(HaveOccurred())
	var both sync.WaitGroup
	words := func(i int) string {
		if begin := time.Now(); p.back(ctx, i, *alone) {
			return "back after " + round(time.Since(begin)).String()
		}
		return "not back after " + alone.String()
	}
	var afterRemoval, afterInfra string
	both.Go(func() { afterRemoval = words(removedPod) })
	both.Go(func() { afterInfra = words(headless) })
	both.Wait()
	figures.note("Podman alone: "+removed, afterRemoval)
	figures.note("Podman alone: "+infra, afterInfra)
}

func (p *pods) remove(ctx SpecContext) {
	for _, file := range p.files {
		_, err := host.Podman(ctx, "kube", "down", file)
		Expect(err).NotTo(HaveOccurred())
	}
	_, err := host.Podman(ctx, "network", "rm", "--force", aloneNetwork)
	Expect(err).NotTo(HaveOccurred())
}
