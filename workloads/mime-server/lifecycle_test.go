package main

import (
	"bytes"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	. "github.com/onsi/ginkgo/v2" //nolint:revive // specs read best without a qualifier
	. "github.com/onsi/gomega"    //nolint:revive // specs read best without a qualifier

	"mockup.dev/mockup/workloads/internal/servicetest"
)

// command runs the binary with arguments and returns exit code and output.
func command(env []string, arguments ...string) (int, string) {
	GinkgoHelper()
	run := exec.Command(binary, arguments...)
	run.Env = env
	output, err := run.CombinedOutput()
	if run.ProcessState == nil {
		Expect(err).NotTo(HaveOccurred())
	}
	return run.ProcessState.ExitCode(), string(output)
}

var _ = Describe("Shutting down", func() {
	It("loses no request in flight", func() {
		dir := dataDir()
		service := start(dir, "DRAIN_DELAY=300ms")
		big := bytes.Repeat([]byte("0123456789abcdef"), 4<<20/16*4)
		Expect(put(service.URL+"/files/big", string(big)).StatusCode).To(Equal(http.StatusCreated))

		By("beginning an upload and a download that last beyond the signal")
		body, content := io.Pipe()
		uploaded := make(chan reply, 1)
		go func() {
			defer GinkgoRecover()
			uploaded <- call(http.MethodPut, service.URL+"/files/slow", body)
		}()
		_, err := io.WriteString(content, "before, ")
		Expect(err).NotTo(HaveOccurred())
		Eventually(func() []string { return temporary(dir) }).Should(HaveLen(1))
		download, err := http.Get(service.URL + "/files/big")
		Expect(err).NotTo(HaveOccurred())
		defer download.Body.Close()

		Expect(service.Signal(syscall.SIGTERM)).To(Succeed())
		By("turning unready but answering at first")
		Eventually(func() int { return get(service.URL + "/readyz").StatusCode }).Should(Equal(http.StatusServiceUnavailable))
		during, err := http.Get(service.URL + "/files/big") // by a client that would keep it
		Expect(err).NotTo(HaveOccurred())
		Expect(during.Body.Close()).To(Succeed())
		Expect(during.StatusCode).To(Equal(http.StatusOK))
		Expect(during.Close).To(BeTrue(), "the connection must not be kept")
		By("then refusing new connections")
		Eventually(func() error {
			connection, err := net.DialTimeout("tcp", "127.0.0.1:"+service.Port, time.Second)
			if err == nil {
				connection.Close()
			}
			return err
		}).WithTimeout(5 * time.Second).Should(MatchError(ContainSubstring("refused")))

		By("and ending what was begun")
		_, err = io.WriteString(content, "after")
		Expect(err).NotTo(HaveOccurred())
		Expect(content.Close()).To(Succeed())
		Expect((<-uploaded).StatusCode).To(Equal(http.StatusCreated))
		got, err := io.ReadAll(download.Body)
		Expect(err).NotTo(HaveOccurred())
		Expect(bytes.Equal(got, big)).To(BeTrue())
		Expect(service.Wait()).To(Equal(0))
		Expect(os.ReadFile(filepath.Join(dir, "slow"))).To(Equal([]byte("before, after")))
	})

	It("cuts off what does not end in time, and says so", func() {
		dir := dataDir()
		service := start(dir, "DRAIN_DELAY=0s", "SHUTDOWN_TIMEOUT=300ms")
		body, content := io.Pipe()
		defer content.Close()
		request, err := http.NewRequest(http.MethodPut, service.URL+"/files/slow", body)
		Expect(err).NotTo(HaveOccurred())
		go func() {
			if response, err := servicetest.Client.Do(request); err == nil {
				response.Body.Close()
			}
		}()
		_, err = io.WriteString(content, "for ever")
		Expect(err).NotTo(HaveOccurred())
		Eventually(func() []string { return temporary(dir) }).Should(HaveLen(1))
		Expect(service.Stop()).To(Equal(1))
		Expect(service.Output()).To(ContainSubstring("did not end within 300ms"))
	})
})

var _ = Describe("The command line", func() {
	It("checks the health of the service beside it", func() {
		dir := dataDir()
		service := start(dir)
		env := []string{"PORT=" + service.Port}
		check := func(want int, hint string, arguments ...string) {
			GinkgoHelper()
			code, output := command(env, append([]string{"healthcheck"}, arguments...)...)
			Expect(code).To(Equal(want), output)
			Expect(output).To(ContainSubstring(hint))
		}
		check(0, "")
		check(0, "", "--ready")
		Expect(os.Chmod(dir, 0o555)).To(Succeed())
		check(0, "")
		check(1, "permission denied", "--ready")
		service.Kill()
		check(1, "refused")
		check(2, "usage", "--wrong")
	})

	It("helps", func() {
		code, output := command(nil, "--help")
		Expect(code).To(Equal(0))
		Expect(output).To(And(ContainSubstring("Example:"), ContainSubstring("MAX_UPLOAD_BYTES"), ContainSubstring("METRICS_PORT")))
		code, output = command(nil, "version")
		Expect(code).To(Equal(0))
		Expect(output).To(HavePrefix("mime-server "))
		code, output = command(nil, "srve")
		Expect(code).To(Equal(2))
		Expect(output).To(ContainSubstring("--help"))
	})

	DescribeTable("refuses settings that make no sense", func(setting, hint string) {
		code, output := command([]string{"DATA_DIR=" + dataDir(), "METRICS_PORT=0", "PORT=0", setting})
		Expect(code).To(Equal(2))
		Expect(output).To(And(ContainSubstring(strings.SplitN(setting, "=", 2)[0]), ContainSubstring(hint), ContainSubstring(`"status":"error"`)))
	},
		Entry("port", "PORT=http", "a whole number"),
		Entry("port out of range", "PORT=65536", "65535"),
		Entry("size", "MAX_UPLOAD_BYTES=100Mi", "a whole number"),
		Entry("no size", "MAX_UPLOAD_BYTES=0", "from 1"),
		Entry("level", "LOG_LEVEL=loud", "debug, info"),
		Entry("duration", "SHUTDOWN_TIMEOUT=25", "25s"),
	)

	It("ends at once where the data folder is missing or a port is taken", func() {
		code, output := command([]string{"DATA_DIR=/nowhere", "PORT=0", "METRICS_PORT=0"})
		Expect(code).To(Equal(1))
		Expect(output).To(ContainSubstring("/nowhere"))
		service := start(dataDir())
		code, output = command([]string{"DATA_DIR=" + dataDir(), "PORT=" + service.Port, "METRICS_PORT=0"})
		Expect(code).To(Equal(1))
		Expect(output).To(ContainSubstring("listening on port " + service.Port))
	})
})

var _ = Describe("Metrics", func() {
	It("count requests by method, route and code, and what is stored", func() {
		service := start(dataDir())
		put(service.URL+"/files/a.txt", "12345")
		get(service.URL + "/files/a.txt")
		get(service.URL + "/files/a.txt")
		get(service.URL + "/files/missing")
		get(service.URL + "/" + strings.Repeat("x", 50))
		get(service.URL + "/healthz")
		metrics := string(get(service.MetricsURL).body)
		for _, line := range []string{
			`http_requests_total{code="200",method="GET",route="/files/{name...}"} 2`,
			`http_requests_total{code="404",method="GET",route="/files/{name...}"} 1`,
			`http_requests_total{code="201",method="PUT",route="/files/{name...}"} 1`,
			`http_requests_total{code="404",method="GET",route="unmatched"} 1`,
			`http_request_duration_seconds_count{code="200",method="GET",route="/files/{name...}"} 2`,
			`http_request_duration_seconds_bucket{code="200",method="GET",route="/files/{name...}",le="0.5"} 2`,
			`http_request_duration_seconds_bucket{code="200",method="GET",route="/files/{name...}",le="1"} 2`,
			`http_requests_in_flight 0`,
			`mime_server_files 1`,
			`mime_server_files_bytes 5`,
			`mime_server_stored_bytes_total 5`,
			`build_info{goversion="go`,
			`go_goroutines `,
			`process_resident_memory_bytes `,
		} {
			Expect(metrics).To(ContainSubstring("\n" + line))
		}
		Expect(metrics).NotTo(ContainSubstring("healthz"))
		Expect(get(service.URL+"/metrics").StatusCode).To(Equal(http.StatusNotFound), "metrics are not for the public port")
	})
})
