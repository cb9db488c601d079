package main

import (
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	. "github.com/onsi/ginkgo/v2" //nolint:revive // specs read best without a qualifier
	. "github.com/onsi/gomega"    //nolint:revive // specs read best without a qualifier
)

var _ = Describe("A folder that was there before", func() {
	var dir string
	write := func(name, content string) {
		GinkgoHelper()
		path := filepath.Join(dir, name)
		Expect(os.MkdirAll(filepath.Dir(path), 0o755)).To(Succeed())
		Expect(os.WriteFile(path, []byte(content), 0o644)).To(Succeed())
	}
	BeforeEach(func() {
		dir = dataDir()
		write("letter.txt", "Dear all")
		write("photos/2019/beach", png)
		write(".DS_Store", "x")
		Expect(os.Symlink("letter.txt", filepath.Join(dir, "link"))).To(Succeed())
		Expect(syscall.Mkfifo(filepath.Join(dir, "pipe"), 0o644)).To(Succeed())
		write("bad\nname", "x")
	})

	It("is listed and served as it is, and what cannot be served is named", func() {
		service := start(dir)
		answer := get(service.URL + "/files")
		var list listing
		Expect(json.Unmarshal(answer.body, &list)).To(Succeed())
		Expect(list.Bytes).To(BeNumerically("==", len("Dear all")+len(png)))
		Expect(list.MaxUploadBytes).To(BeNumerically("==", defaultMaxUpload))
		skipped := []string{}
		for _, s := range list.Skipped {
			skipped = append(skipped, s.Name+": "+s.Reason)
		}
		Expect(skipped).To(ConsistOf("link: is not a regular file", "pipe: is not a regular file", ContainSubstring("control character")))

		files := inventory(service.URL)
		Expect(files).To(HaveLen(2))
		Expect(files["photos/2019/beach"].Type).To(Equal("image/png"))
		Expect(files["photos/2019/beach"].SHA256).To(BeEmpty(), "listing must not read whole files")
		fetched := get(service.URL + "/files/photos/2019/beach")
		Expect(string(fetched.body)).To(Equal(png))
		Expect(fetched.Header.Get("X-Content-Sha256")).To(Equal(digest([]byte(png))))
		Expect(inventory(service.URL)["photos/2019/beach"].SHA256).To(Equal(digest([]byte(png))))
		Expect(get(service.URL + "/files/pipe").StatusCode).To(Equal(http.StatusNotFound))
		Expect(get(service.URL + "/files/.DS_Store").StatusCode).To(Equal(http.StatusBadRequest))
		Expect(os.ReadFile(filepath.Join(dir, "letter.txt"))).To(Equal([]byte("Dear all")))
	})

	It("has its digests remembered over a restart, and none believed of a file that changed", func() {
		service := start(dir)
		get(service.URL + "/files/letter.txt")
		get(service.URL + "/files/photos/2019/beach")
		Expect(service.Stop()).To(Equal(0))
		// Same length, same modification time, other content.
		path := filepath.Join(dir, "letter.txt")
		before, err := os.Stat(path)
		Expect(err).NotTo(HaveOccurred())
		Expect(os.WriteFile(path, []byte("Dear ALL"), 0o644)).To(Succeed())
		Expect(os.Chtimes(path, time.Time{}, before.ModTime())).To(Succeed())

		service = start(dir)
		files := inventory(service.URL)
		Expect(files["photos/2019/beach"].SHA256).To(Equal(digest([]byte(png))))
		Expect(files["letter.txt"].SHA256).To(BeEmpty())
		Expect(get(service.URL + "/files/letter.txt").Header.Get("X-Content-Sha256")).To(Equal(digest([]byte("Dear ALL"))))
	})

	It("works without what was remembered, or with it spoilt", func() {
		write(".mime-server-cache.json", `{"letter.txt": {"sha256": "half`)
		service := start(dir)
		Expect(inventory(service.URL)).To(HaveLen(2))
		Expect(get(service.URL + "/files/letter.txt").Header.Get("X-Content-Sha256")).To(Equal(digest([]byte("Dear all"))))
	})

	It("makes the service unready, with the reason, where it cannot write", func() {
		Expect(os.Chmod(dir, 0o555)).To(Succeed())
		service := start(dir)
		ready := get(service.URL + "/readyz")
		Expect(ready.StatusCode).To(Equal(http.StatusServiceUnavailable))
		Expect(string(ready.body)).To(And(ContainSubstring("cannot write to "+dir), ContainSubstring("permission denied")))
		Expect(get(service.URL + "/healthz").StatusCode).To(Equal(http.StatusOK))
		Expect(string(get(service.URL + "/files/letter.txt").body)).To(Equal("Dear all"))
		failed := put(service.URL+"/files/new", "x")
		Expect(failed).To(beProblem(http.StatusInternalServerError))
		Expect(string(failed.body)).NotTo(ContainSubstring(dir), "the inside of the service is not the client's business")

		By("logging it so that a query for errors finds it")
		Eventually(func() int { return strings.Count(service.Output(), `"msg":"request"`) }).Should(Equal(2), "one for each but the probes")
		failed500 := func() int {
			failures := 0
			for _, line := range service.Logs() {
				Expect(line).To(And(HaveKey("level"), HaveKey("status"), HaveKeyWithValue("service", "mime-server")))
				Expect(line["status"] == "error").To(Equal(line["level"] == "error"))
				if line["msg"] == "request" {
					Expect(line).To(And(HaveKey("trace_id"), HaveKey("span_id"), HaveKey("request_id"), HaveKey("code"), HaveKey("duration_seconds")))
				}
				if line["status"] == "error" && line["msg"] == "request" {
					failures++
					Expect(line["code"]).To(BeNumerically("==", 500))
					Expect(line["route"]).To(Equal("/files/{name...}"))
				}
			}
			return failures
		}
		Eventually(failed500).Should(Equal(1), "a line may be seen before it is whole")
		Expect(strings.Count(service.Output(), "permission denied")).To(BeNumerically(">", 0), "the log must say why")
	})
})
