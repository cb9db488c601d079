package e2e

import (
	"bytes"
	"crypto/rand"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	. "github.com/onsi/ginkgo/v2" //nolint:revive // specs read best without a qualifier
	. "github.com/onsi/gomega"    //nolint:revive // matchers read best without a qualifier
	"github.com/onsi/gomega/gbytes"
	"github.com/onsi/gomega/gexec"
)

var _ = Describe("the sample stack", Ordered, func() {
	picture := append([]byte("\x89PNG\r\n\x1a\n"), noise(1<<20)...)

	BeforeAll(func() { up(sample) })

	It("shows its page over TLS and redirects plain HTTP to it", func() {
		resp, body := get(page + "/")
		Expect(resp.StatusCode).To(Equal(http.StatusOK))
		Expect(resp.Header.Get("Content-Type")).To(HavePrefix("text/html"))
		Expect(string(body)).To(ContainSubstring("<html"))
		resp, _ = get("http://localhost:8080/some/path?x=1")
		Expect(resp.StatusCode).To(BeNumerically("~", 301, 10))
		Expect(resp.Header.Get("Location")).To(Equal(page + "/some/path?x=1"))
		resp, ca := get("http://localhost:8080/.well-known/mockup/ca.crt")
		Expect(resp.StatusCode).To(Equal(http.StatusOK))
		Expect(ca).To(Equal(must2(os.ReadFile(filepath.Join(state, "ca.crt")))))
		Expect(must("bin/mockup", "ca")).To(Equal(strings.TrimSpace(string(ca))))
	})

	It("gives an uploaded file back as it was, with its type", func() {
		resp, body, err := fetch(http.MethodPut, page+"/files/picture", bytes.NewReader(picture))
		Expect(err).NotTo(HaveOccurred())
		Expect(resp.StatusCode).To(Equal(http.StatusCreated), string(body))
		sameFile(picture, "image/png")
		resp, body = get(page + "/intranet/api/v1/stats")
		Expect(resp.StatusCode).To(Equal(http.StatusOK))
		Expect(string(body)).To(ContainSubstring(`"image/png"`))
	})

	It("has its addresses", func() {
		for _, pair := range []string{"gateway 172.18.0.3", "mime-server 172.18.0.4", "mime-server 172.19.0.5", "public-app 172.18.0.5", "intranet-api 172.18.0.6"} {
			component, ip, _ := strings.Cut(pair, " ")
			interfaces, err := inside(podOf(component), "ip", "-4", "-o", "address")
			Expect(err).NotTo(HaveOccurred())
			Expect(interfaces).To(ContainSubstring(" "+ip+"/16 "), component)
			Expect(kubectl("get", "mockupstack", "mockup", "-o", "jsonpath={.status}")).To(ContainSubstring("="+ip+`"`), component)
		}
		Expect(reach(podOf("gateway"), "172.18.0.4:8000")).To(BeTrue(), "a fixed address is not reached")
	})

	It("answers kubectl as a cluster does", func() {
		kubectl("wait", "--for=condition=Ready", "mockupstack/mockup", "--timeout=30s")
		Expect(kubectl("get", "stack")).To(MatchRegexp(`(?m)^mockup\s+True\s+Ready\s+4/4\s+https://localhost:8443/`))
		Expect(kubectl("explain", "mockupstack.spec.services.replicas")).To(ContainSubstring("replicas wanted"))
		Expect(kubectl("get", "events")).To(ContainSubstring("mockupstack/mockup"))
		watch := exec.Command("kubectl", "--kubeconfig", kubeconfig(), "get", "mockupstack", "-w", "-o", "name")
		session, err := gexec.Start(watch, nil, nil)
		Expect(err).NotTo(HaveOccurred())
		defer session.Kill()
		Eventually(session.Out, patience).Should(gbytes.Say("mockupstack.mockup.dev/mockup"))
	})

	It("prints its status for people and for scripts", func() {
		Expect(must("bin/mockup", "status")).To(And(ContainSubstring("mime-server"), ContainSubstring(page)))
		Expect(must("bin/mockup", "status", "-o", "json")).To(ContainSubstring(`"name": "mockup"`))
		Expect(must("bin/mockup", "logs", "mime-server")).To(ContainSubstring(`"service":"mime-server"`))
	})

	It("is left alone when the same file is applied again", func() {
		before, since := containers(), time.Now()
		kubectl("apply", "-f", sample)
		up(sample)
		waitReady("default", "mockup")
		Expect(containers()).To(Equal(before))
		Expect(happened(since)).To(BeEmpty())
	})

	It("changes only what was changed", func() {
		before := containers()
		apply(edited(sample, "MIME_SERVER_URL\n      value: http://mime-server:8000\n    probes:\n      readiness:\n        httpGet:\n          path: /readyz\n          port: 5000",
			"MIME_SERVER_URL\n      value: http://mime-server:8000\n    - name: COLOUR\n      value: green\n    probes:\n      readiness:\n        httpGet:\n          path: /readyz\n          port: 5000"))
		waitReady("default", "mockup")
		after := containers()
		for name, id := range before {
			if strings.Contains(name, "public-app") {
				Eventually(containers, patience).ShouldNot(ContainElement(id), name) // when it has been drained
			} else {
				Expect(after[name]).To(Equal(id), name)
			}
		}
	})

	It("removes a service that is no longer named, and brings it again", func() {
		whole := string(must2(os.ReadFile(filepath.Join(root, sample))))
		without := strings.Replace(whole[:strings.Index(whole, "  - name: intranet-api")],
			"    - path: /intranet/\n      stripPath: true\n      service: intranet-api\n      allowFrom: [127.0.0.0/8, 172.18.0.0/16]\n", "", 1)
		apply(without)
		waitReady("default", "mockup")
		Eventually(containers, patience).ShouldNot(HaveKey(ContainSubstring("intranet-api")))
		resp, _ := get(page + "/intranet/api/v1/stats")
		Expect(resp.StatusCode).To(Equal(http.StatusNotFound))
		apply(whole)
		waitReady("default", "mockup")
		sameFile(picture, "image/png")
	})

	DescribeTable("comes back by itself", func(harm func()) {
		before := containers()
		harm()
		Eventually(servesFor(3*time.Second, picture), patience, 100*time.Millisecond).Should(Succeed())
		waitReady("default", "mockup")
		Expect(containers()).To(HaveLen(len(before)))
		sameFile(picture, "image/png")
	},
		Entry("after kill -9 of a service", func() { kill(mainPID("mime-server")) }),
		Entry("after the removal of a pod", func() { must("podman", "pod", "rm", "-f", "-t", "0", podOf("public-app")) }),
		Entry("after the death of an infra container", func() {
			infra := must("podman", "pod", "inspect", podOf("mime-server"), "--format", "{{.InfraContainerID}}")
			kill(number(must("podman", "inspect", infra, "--format", "{{.State.Pid}}")))
		}),
		Entry("after somebody flushed the host's firewall", func() { must("iptables", "-t", "nat", "-F") }),
		Entry("after a restart of the Podman service", restartPodman),
		Entry("after kill -9 of the operator", func() { killProcess("operator") }),
		Entry("after kill -9 of the control plane", func() { killProcess("controlplane") }),
	)

	It("works on after the operator was killed", func() {
		killProcess("operator")
		must("podman", "pod", "rm", "-f", "-t", "0", podOf("intranet-api"))
		Eventually(containers, patience, 200*time.Millisecond).Should(HaveKey(ContainSubstring("intranet-api")))
		waitReady("default", "mockup")
	})

	It("keeps its files over down and up", func() {
		must("bin/mockup", "down")
		Expect(containers()).To(BeEmpty())
		_, _, err := fetch(http.MethodGet, page+"/", nil)
		Expect(err).To(HaveOccurred())
		up(sample)
		sameFile(picture, "image/png")
	})

	It("goes with kubectl delete, all but its retained volume", func() {
		kubectl("delete", "mockupstack", "mockup", "--timeout=60s")
		Expect(containers()).To(BeEmpty())
		Expect(must("podman", "pod", "ps", "-q")).To(BeEmpty())
		Expect(must("podman", "network", "ls", "-q")).NotTo(ContainSubstring("mockup"))
		Expect(strings.Fields(must("podman", "volume", "ls", "-q"))).To(And(ContainElement("default-mockup-mime-storage"), HaveEach(HaveSuffix("-mime-storage"))))
		up(sample)
		sameFile(picture, "image/png")
	})
})

// must2 is for calls that can't fail in a sane tree.
func must2(b []byte, err error) []byte {
	GinkgoHelper()
	Expect(err).NotTo(HaveOccurred())
	return b
}

func noise(n int) []byte {
	b := make([]byte, n)
	_, _ = rand.Read(b) // never fails
	return b
}

func sameFile(want []byte, contentType string) {
	GinkgoHelper()
	resp, body := get(page + "/files/picture")
	Expect(resp.StatusCode).To(Equal(http.StatusOK))
	Expect(resp.Header.Get("Content-Type")).To(Equal(contentType))
	Expect(bytes.Equal(body, want)).To(BeTrue(), "the file is not what was uploaded")
}

// serves tells whether the file is to be had and the page and the internal API answer.
func serves(want []byte) error {
	for _, path := range []string{"/files/picture", "/", "/intranet/api/v1/stats"} {
		resp, body, err := fetch(http.MethodGet, page+path, nil)
		if err != nil {
			return err
		}
		if resp.StatusCode != http.StatusOK || path == "/files/picture" && !bytes.Equal(body, want) {
			return &answerError{path, resp.Status}
		}
	}
	return nil
}

// servesFor complains until everything has been answered for a while: harm may show its effect late.
func servesFor(d time.Duration, want []byte) func() error {
	since := time.Now()
	return func() error {
		if err := serves(want); err != nil {
			since = time.Now()
			return err
		}
		if steady := time.Since(since); steady < d {
			return &answerError{"everything", "answered for " + steady.Round(time.Millisecond).String() + " only"}
		}
		return nil
	}
}

type answerError struct{ path, status string }

func (e *answerError) Error() string { return e.path + ": " + e.status }

// edited is a file with old replaced by new, which must be in it once.
func edited(file, old, with string) string {
	GinkgoHelper()
	text := string(must2(os.ReadFile(filepath.Join(root, file))))
	Expect(strings.Count(text, old)).To(Equal(1), "the sample has changed: %s", old)
	return strings.Replace(text, old, with, 1)
}

// happened lists what was done to pods and containers since then.
func happened(since time.Time) []string {
	GinkgoHelper()
	out := must("podman", "events", "--stream=false", "--since", since.Format(time.RFC3339Nano), "--format", "{{.Type}} {{.Status}} {{.Name}}")
	var acts []string
	for _, line := range strings.Split(out, "\n") {
		for _, act := range []string{" create ", " start ", " remove ", " died ", " restart ", " stop "} {
			if strings.Contains(line, act) && !strings.HasPrefix(line, "image") {
				acts = append(acts, line)
			}
		}
	}
	return acts
}

func number(text string) int {
	GinkgoHelper()
	n, err := strconv.Atoi(text)
	Expect(err).NotTo(HaveOccurred())
	return n
}

func mainPID(component string) int {
	GinkgoHelper()
	return number(must("podman", "ps", "--filter", "pod=default-mockup-"+component+"-0", "--filter", "name=[.]"+component+"$", "--format", "{{.Pid}}"))
}

func kill(pid int) {
	GinkgoHelper()
	Expect(pid).To(BeNumerically(">", 1))
	Expect(syscall.Kill(pid, syscall.SIGKILL)).To(Succeed())
}

// killProcess ends one of our own background processes and sees that it is gone.
func killProcess(name string) {
	GinkgoHelper()
	file := filepath.Join(state, "run", name+".pid")
	fields := strings.Fields(string(must2(os.ReadFile(file))))
	Expect(fields).NotTo(BeEmpty())
	kill(number(fields[0]))
}

// restartPodman ends the sandbox's Podman service and starts another on the same socket.
func restartPodman() {
	GinkgoHelper()
	socket := strings.TrimPrefix(os.Getenv("CONTAINER_HOST"), "unix://")
	pidFile := filepath.Join(filepath.Dir(socket), "podman.pid")
	old := number(strings.TrimSpace(string(must2(os.ReadFile(pidFile)))))
	kill(old)
	Eventually(func() error { return syscall.Kill(old, 0) }, patience).ShouldNot(Succeed())
	_ = os.Remove(socket)
	service := exec.Command("podman", "system", "service", "--time=0", "unix://"+socket)
	// With it, podman would be a client of the service that it is to be.
	service.Env = slices.DeleteFunc(os.Environ(), func(v string) bool { return strings.HasPrefix(v, "CONTAINER_HOST=") })
	Expect(service.Start()).To(Succeed())
	Expect(os.WriteFile(pidFile, []byte(strconv.Itoa(service.Process.Pid)), 0o600)).To(Succeed())
	go func() { _ = service.Wait() }()
	Eventually(func() error { _, err := run("podman", "version"); return err }, patience).Should(Succeed())
}
