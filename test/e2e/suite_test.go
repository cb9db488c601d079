// Package e2e drives the product as a user does, by its commands, kubectl, podman and HTTPS, on a real Podman in a sandbox
// of its own: hack/sandbox go test ./test/e2e. It needs bin/mockup and the images (make build images).
package e2e

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	. "github.com/onsi/ginkgo/v2" //nolint:revive // specs read best without a qualifier
	. "github.com/onsi/gomega"    //nolint:revive // matchers read best without a qualifier
)

const (
	// page is the gateway of the sample.
	page = "https://localhost:8443"
	// patience bounds whatever should come about by itself; it is generous, since machines may be loaded.
	patience = 60 * time.Second
)

var (
	root  string // of the repository
	state string // folder of the local control plane
)

func TestEndToEnd(t *testing.T) {
	RegisterFailHandler(Fail)
	RunSpecs(t, "a stack on Podman, end to end")
}

var _ = BeforeSuite(func() {
	Expect(os.Getenv("CONTAINER_HOST")).To(HavePrefix("unix://"), "no Podman service: run this suite by hack/sandbox")
	var err error
	root, err = filepath.Abs("../..")
	Expect(err).NotTo(HaveOccurred())
	for _, built := range []string{"bin/mockup", "bin/images.yaml"} {
		Expect(filepath.Join(root, built)).To(BeAnExistingFile(), "run `make build images` first")
	}
	state = GinkgoT().TempDir()
	Expect(os.Setenv("MOCKUP_STATE_DIR", state)).To(Succeed())
	DeferCleanup(func() {
		out, err := run("bin/mockup", "down", "--purge", "--yes")
		Expect(err).NotTo(HaveOccurred(), out)
	})
})

// run a command in the root of the repository and return what it prints.
func run(name string, args ...string) (string, error) {
	return runWith("", name, args...)
}

func runWith(stdin, name string, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	if strings.HasPrefix(name, "bin/") {
		name = filepath.Join(root, name)
	}
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir = root
	cmd.Stdin = strings.NewReader(stdin)
	var out, errOut bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errOut
	if err := cmd.Run(); err != nil {
		return out.String() + errOut.String(), fmt.Errorf("%s %s: %w\n%s%s", filepath.Base(name), strings.Join(args, " "), err, out.String(), errOut.String())
	}
	return strings.TrimSpace(out.String()), nil
}

// must is run for commands that have to succeed.
func must(name string, args ...string) string {
	GinkgoHelper()
	out, err := run(name, args...)
	Expect(err).NotTo(HaveOccurred())
	return out
}

func up(files ...string) string {
	GinkgoHelper()
	args := []string{"up", "--image-map", "bin/images.yaml"}
	for _, f := range files {
		args = append(args, "-f", f)
	}
	return must("bin/mockup", args...)
}

const sample = "config/samples/mockup.yaml"

func kubeconfig() string { return filepath.Join(state, "controlplane", "kubeconfig") }

func kubectl(args ...string) string {
	GinkgoHelper()
	return must("kubectl", append([]string{"--kubeconfig", kubeconfig()}, args...)...)
}

// apply hands a manifest to kubectl.
func apply(manifest string) {
	GinkgoHelper()
	_, err := runWith(manifest, "kubectl", "--kubeconfig", kubeconfig(), "apply", "-f", "-")
	Expect(err).NotTo(HaveOccurred())
}

func waitReady(namespace, name string) {
	GinkgoHelper()
	Eventually(func() string { return readiness(namespace, name) }, patience, 50*time.Millisecond).Should(Equal("True"), func() string {
		out, _ := run("kubectl", "--kubeconfig", kubeconfig(), "-n", namespace, "get", "mockupstack", name, "-o", "yaml")
		return out
	})
}

// readiness is the status of the condition Ready if it speaks of the current generation.
func readiness(namespace, name string) string {
	const path = `{.metadata.generation} {.status.observedGeneration} {.status.conditions[?(@.type=="Ready")].status}`
	out, err := run("kubectl", "--kubeconfig", kubeconfig(), "-n", namespace, "get", "mockupstack", name, "-o", "jsonpath="+path)
	if err != nil {
		return err.Error()
	}
	f := strings.Fields(out)
	if len(f) != 3 || f[0] != f[1] {
		return out
	}
	return f[2]
}

// containers of running pods: ID by name, infra containers left out.
func containers() map[string]string {
	GinkgoHelper()
	out := map[string]string{}
	for _, line := range strings.Split(must("podman", "ps", "--no-trunc", "--format", "{{.Names}} {{.ID}}"), "\n") {
		if name, id, ok := strings.Cut(line, " "); ok && !strings.HasSuffix(name, "-infra") {
			out[name] = id
		}
	}
	return out
}

// podOf a component of the sample: of two, while one takes over from the other, the newer.
func podOf(component string) string {
	GinkgoHelper()
	pods := strings.Fields(must("podman", "pod", "ps", "--sort", "created", "--format", "{{.Name}}",
		"--filter", "label=mockup.dev/owner=MockupStack.default.mockup", "--filter", "label=mockup.dev/component="+component))
	Expect(pods).NotTo(BeEmpty(), component)
	return pods[0]
}

// client trusts the stack's own authority and nothing else.
func client() *http.Client {
	GinkgoHelper()
	ca, err := os.ReadFile(filepath.Join(state, "ca.crt"))
	Expect(err).NotTo(HaveOccurred())
	pool := x509.NewCertPool()
	Expect(pool.AppendCertsFromPEM(ca)).To(BeTrue())
	return &http.Client{
		Timeout:       10 * time.Second,
		Transport:     &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}, DisableKeepAlives: true},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

func fetch(method, url string, body io.Reader) (*http.Response, []byte, error) {
	req, err := http.NewRequest(method, url, body)
	if err != nil {
		return nil, nil, err
	}
	resp, err := client().Do(req)
	if err != nil {
		return nil, nil, err
	}
	defer func() { _ = resp.Body.Close() }()
	data, err := io.ReadAll(resp.Body)
	return resp, data, err
}

// get must be answered.
func get(url string) (*http.Response, []byte) {
	GinkgoHelper()
	resp, data, err := fetch(http.MethodGet, url, nil)
	Expect(err).NotTo(HaveOccurred())
	return resp, data
}
