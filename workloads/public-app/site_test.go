package main

import (
	"fmt"
	"html"
	"io"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"syscall"
	"time"

	. "github.com/onsi/ginkgo/v2" //nolint:revive // specs read best without a qualifier
	. "github.com/onsi/gomega"    //nolint:revive // specs read best without a qualifier

	"mockup.dev/mockup/workloads/internal/servicetest"
)

const png = "\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR and more"

var _ = Describe("The page", func() {
	It("takes files, lists them newest first, and gives them back", func() {
		app, _ := startBoth()
		Expect(get(app.URL + "/").body).To(ContainSubstring("Nothing here yet"))
		answer := upload(app.URL, script, "one.txt", "1", "two.png", png)
		Expect(stored(answer)).To(HaveLen(2))
		Expect(stored(upload(app.URL, script, "folder.tar/../three & more.txt", "3"))[0].Name).To(Equal("three & more.txt"))
		page := get(app.URL + "/")
		Expect(page.Header.Get("Content-Type")).To(Equal("text/html; charset=utf-8"))
		Expect(strings.Index(page.body, "three &amp; more.txt")).To(BeNumerically("<", strings.Index(page.body, "one.txt")))
		Expect(page.body).To(And(ContainSubstring("3 files"), ContainSubstring("image/png"), ContainSubstring("Up to 100 MB a file.")))
		Expect(get(app.URL + "/list").body).NotTo(ContainSubstring("<html"))

		fetched := get(app.URL + "/download/two.png")
		Expect(fetched.body).To(Equal(png))
		Expect(fetched.Header.Get("Content-Disposition")).To(HavePrefix("attachment"))
		Expect(get(app.URL + "/download/three%20&%20more.txt").body).To(Equal("3"))
	})

	It("works without script", func() {
		app, _ := startBoth()
		answer := upload(app.URL, nil, "a b&c.txt", "1")
		Expect(answer.StatusCode).To(Equal(http.StatusSeeOther))
		Expect(answer.Header.Get("Location")).To(Equal("./?stored=a+b%26c.txt"))
		Expect(get(app.URL + "/?stored=a+b%26c.txt").body).To(ContainSubstring("Stored as <strong>a b&amp;c.txt</strong>"))
		Expect(upload(app.URL, nil).StatusCode).To(Equal(http.StatusBadRequest))
	})

	It("never replaces a file", func() {
		app, _ := startBoth()
		upload(app.URL, script, "a.txt", "1")
		Expect(stored(upload(app.URL, script, "a.txt", "2"))[0].Name).To(Equal("a (2).txt"))
		Expect(get(app.URL + "/download/a.txt").body).To(Equal("1"))
	})

	It("searches and divides into pages", func() {
		app, files := startBoth()
		for i := range 120 {
			call(http.MethodPut, fmt.Sprintf("%s/files/file-%03d.txt", files.URL, i), strings.NewReader("x"))
		}
		first, second := get(app.URL+"/").body, get(app.URL+"/?page=2").body
		Expect(strings.Count(first, `class="row"`)).To(Equal(100))
		Expect(strings.Count(second, `class="row"`)).To(Equal(20))
		Expect(first).To(ContainSubstring("page 1 of 2"))
		Expect(links(html.UnescapeString(first))).To(ContainElement("./?page=2"))
		Expect(strings.Count(get(app.URL+"/?q=FILE-01").body, `class="row"`)).To(Equal(10))
		Expect(get(app.URL + "/?q=%3Cb%3E").body).To(ContainSubstring("No file has “&lt;b&gt;”"))
		Expect(get(app.URL + "/?page=99").body).To(ContainSubstring("page 2 of 2"))
		Expect(get(app.URL + "/?page=-1").StatusCode).To(Equal(http.StatusOK))
	})

	It("shows names as text, whatever they are", func() {
		app, files := startBoth()
		name := `<img src=x onerror=alert(1)>"'.txt`
		Expect(call(http.MethodPut, files.URL+"/files/"+url.PathEscape(name), strings.NewReader("x")).StatusCode).To(Equal(http.StatusCreated))
		for _, path := range []string{"/", "/view/" + url.PathEscape(name), "/?q=" + url.QueryEscape("<img"), "/?stored=" + url.QueryEscape(name)} {
			page := get(app.URL + path)
			Expect(page.StatusCode).To(Equal(http.StatusOK))
			Expect(page.body).NotTo(ContainSubstring("<img src=x"), path)
			Expect(page.Header.Get("Content-Security-Policy")).To(And(ContainSubstring("script-src 'self';"), Not(ContainSubstring("unsafe"))))
		}
	})

	It("serves its assets to be kept for ever under the address that the page names", func() {
		app, _ := startBoth()
		for _, link := range links(get(app.URL + "/").body) {
			if !strings.Contains(link, "assets/") {
				continue
			}
			asset := get(app.URL + strings.TrimPrefix(link, "."))
			Expect(asset.StatusCode).To(Equal(http.StatusOK), link)
			Expect(asset.Header.Get("Cache-Control")).To(ContainSubstring("immutable"))
			Expect(asset.Header.Get("Content-Type")).To(MatchRegexp(`^(text/css|text/javascript|image/svg\+xml)`))
		}
		Expect(get(app.URL + "/assets/missing.js").StatusCode).To(Equal(http.StatusNotFound))
		Expect(get(app.URL + "/assets/app.js").Header.Get("Cache-Control")).NotTo(ContainSubstring("immutable"))
	})

	It("works under any path that a gateway takes off, and names nothing outside", func() {
		app, files := startBoth()
		call(http.MethodPut, files.URL+"/files/folder/a.txt", strings.NewReader("content"))
		target, _ := url.Parse(app.URL)
		gateway := httptest.NewServer(http.StripPrefix("/deep/path", httputil.NewSingleHostReverseProxy(target)))
		defer gateway.Close()
		start, _ := url.Parse(gateway.URL + "/deep/path/")
		seen := map[string]bool{}
		queue := []*url.URL{start}
		for len(queue) > 0 {
			page := queue[0]
			queue = queue[1:]
			answer := get(page.String())
			Expect(answer.StatusCode).To(Equal(http.StatusOK), page.String())
			if !strings.HasPrefix(answer.Header.Get("Content-Type"), "text/html") {
				continue
			}
			for _, link := range links(html.UnescapeString(answer.body)) {
				Expect(link).NotTo(MatchRegexp(`^(/|[a-z]+:)`), "every link is relative")
				next, err := page.Parse(link)
				Expect(err).NotTo(HaveOccurred())
				Expect(next.Path).To(HavePrefix("/deep/path/"))
				if !seen[next.Path] && !strings.HasSuffix(next.Path, "/upload") {
					seen[next.Path] = true
					queue = append(queue, next)
				}
			}
		}
		Expect(seen).To(And(HaveKey("/deep/path/view/folder/a.txt"), HaveKey("/deep/path/download/folder/a.txt"), HaveKey("/deep/path/list")))
	})
})

var _ = Describe("Previews", func() {
	DescribeTable("fit the content", func(name, content, want string) {
		app, files := startBoth()
		call(http.MethodPut, files.URL+"/files/"+name, strings.NewReader(content))
		page := get(app.URL + "/view/" + name)
		Expect(page.StatusCode).To(Equal(http.StatusOK))
		Expect(page.body).To(ContainSubstring(want))
		Expect(page.body).NotTo(ContainSubstring("<script>alert"))
	},
		Entry("image", "a.png", png, `<img src="../raw/a.png" alt="a.png">`),
		Entry("SVG, as an image, in which no script runs", "a.svg", `<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>`, `<img src="../raw/a.svg"`),
		Entry("text", "a.txt", "a < b", "<pre tabindex=\"0\">a &lt; b</pre>"),
		Entry("HTML, as it is written", "a.html", "<html><script>alert(1)</script>", "&lt;script&gt;alert(1)"),
		Entry("JSON", "a.json", `{"a":1}`, "<pre tabindex=\"0\">{&#34;a&#34;:1}</pre>"),
		Entry("PDF", "a.pdf", "%PDF-1.7\n", `<iframe src="../raw/a.pdf"`),
		Entry("text in another encoding", "a.txt", "\xff\xfeh\x00i\x00", `<iframe sandbox src="../raw/a.txt"`),
		Entry("nothing", "a.txt", "", "This file is empty."),
		Entry("anything else", "a.bin", "\x00\x01\x02", "There is no preview"),
		Entry("in a folder", "folder/b.png", png, `<img src="../../raw/folder/b.png"`),
	)

	It("show the beginning of a long text, whole letters only", func() {
		app, files := startBoth()
		call(http.MethodPut, files.URL+"/files/long.txt", strings.NewReader("x"+strings.Repeat("é", maxText)))
		page := get(app.URL + "/view/long.txt").body
		Expect(page).To(ContainSubstring("This is the beginning of the file."))
		Expect(page).To(ContainSubstring("éé</pre>"))
		Expect(page).To(ContainSubstring("<dd>256 KB</dd>"))
	})

	It("pass ranges, conditions and the rules for the browser on", func() {
		app, files := startBoth()
		call(http.MethodPut, files.URL+"/files/a.html", strings.NewReader("<html>0123456789"))
		whole := get(app.URL + "/raw/a.html")
		Expect(whole.Header.Get("Content-Security-Policy")).To(HaveSuffix("; sandbox"))
		Expect(whole.Header.Get("Content-Disposition")).To(HavePrefix("attachment"))
		Expect(whole.Header.Get("X-Content-Type-Options")).To(Equal("nosniff"))
		Expect(whole.Header.Get("X-Content-Sha256")).To(HaveLen(64))
		part := get(app.URL+"/raw/a.html", "Range", "bytes=6-8")
		Expect(part.StatusCode).To(Equal(http.StatusPartialContent))
		Expect(part.body).To(Equal("012"))
		Expect(get(app.URL+"/raw/a.html", "If-None-Match", whole.Header.Get("ETag")).StatusCode).To(Equal(http.StatusNotModified))
		Expect(get(app.URL+"/raw/a.html", "Range", "bytes=99-").StatusCode).To(Equal(http.StatusRequestedRangeNotSatisfiable))
		head := call(http.MethodHead, app.URL+"/raw/a.html", nil)
		Expect(head.ContentLength).To(BeNumerically("==", 16))
	})
})

var _ = Describe("What goes wrong", func() {
	It("is told in plain words", func() {
		app, _ := startBoth("MAX_UPLOAD_BYTES=1048576")
		big := strings.Repeat("x", 2<<20)
		for range 2 { // before and after the limit is known
			answer := upload(app.URL, script, "big", big)
			Expect(answer.StatusCode).To(Equal(http.StatusRequestEntityTooLarge))
			Expect(answer.Header.Get("Content-Type")).To(Equal("application/problem+json"))
			Expect(answer.body).To(ContainSubstring("This file is too big"))
			get(app.URL + "/")
		}
		page := upload(app.URL, nil, "big", big)
		Expect(page.StatusCode).To(Equal(http.StatusRequestEntityTooLarge))
		Expect(page.body).To(And(ContainSubstring("<html"), ContainSubstring("The limit is 1 MB a file.")))
		Expect(get(app.URL + "/view/missing").body).To(ContainSubstring("There is no such file"))
		Expect(get(app.URL + "/download/missing").StatusCode).To(Equal(http.StatusNotFound))
		Expect(get(app.URL + "/nowhere").StatusCode).To(Equal(http.StatusNotFound))
		Expect(upload(app.URL, script, ".env", "x").body).To(ContainSubstring("begins with a dot"))
	})

	It("is refused where another site is behind it", func() {
		app, _ := startBoth()
		Expect(upload(app.URL, []string{"Sec-Fetch-Site", "cross-site"}, "a", "x").StatusCode).To(Equal(http.StatusForbidden))
		Expect(upload(app.URL, []string{"Origin", "https://evil.example"}, "a", "x").StatusCode).To(Equal(http.StatusForbidden))
		Expect(upload(app.URL, []string{"Sec-Fetch-Site", "same-origin"}, "a", "x").StatusCode).To(Equal(http.StatusSeeOther))
	})

	It("passes when mime-server comes back, and never makes the page unready", func() {
		app, files := startBoth()
		up := func() string {
			_, after, _ := strings.Cut(get(app.MetricsURL).body, `dependency_up{dependency="mime-server"} `)
			return strings.SplitN(after, "\n", 2)[0]
		}
		Eventually(up).Should(Equal("1"))
		files.Kill()
		page := get(app.URL + "/")
		Expect(page.StatusCode).To(Equal(http.StatusServiceUnavailable))
		Expect(page.body).To(And(ContainSubstring("Share a file"), ContainSubstring("The file store is not answering")))
		Expect(page.body).NotTo(ContainSubstring("127.0.0.1"), "addresses are not for visitors")
		Expect(upload(app.URL, script, "a.txt", "x").body).To(ContainSubstring("not answering"))
		Expect(get(app.URL + "/raw/a").StatusCode).To(Equal(http.StatusServiceUnavailable))
		Eventually(up).WithTimeout(10 * time.Second).Should(Equal("0"))
		ready := get(app.URL + "/readyz")
		Expect(ready.StatusCode).To(Equal(http.StatusOK))
		Expect(ready.body).To(And(ContainSubstring(`"mime-server":{"up":false`), Not(ContainSubstring("127.0.0.1"))))

		startMimeServer("PORT=" + files.Port)
		Expect(get(app.URL + "/").StatusCode).To(Equal(http.StatusOK))
		Expect(stored(upload(app.URL, script, "a.txt", "x"))).To(HaveLen(1))
		Eventually(up).WithTimeout(10 * time.Second).Should(Equal("1"))
		Eventually(func() string { return get(app.URL + "/readyz").body }).Should(ContainSubstring(`"mime-server":{"up":true`))
	})

	It("cuts a download off rather than passing half a file for a whole one", func() {
		fake := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/plain")
			_, _ = io.WriteString(w, strings.Repeat("x", 100_000))
			panic(http.ErrAbortHandler)
		}))
		defer fake.Close()
		app := start("public-app", "MIME_SERVER_URL="+fake.URL)
		response, err := servicetest.Client.Get(app.URL + "/raw/a")
		Expect(err).NotTo(HaveOccurred())
		defer response.Body.Close()
		_, err = io.ReadAll(response.Body)
		Expect(err).To(HaveOccurred())
	})

	It("leaves nothing stored when the visitor goes away in the middle", func() {
		app, files := startBoth()
		body, content := io.Pipe()
		form := multipart.NewWriter(content)
		request, err := http.NewRequest(http.MethodPost, app.URL+"/upload", body)
		Expect(err).NotTo(HaveOccurred())
		request.Header.Set("Content-Type", form.FormDataContentType())
		go func() {
			if response, err := visitor.Do(request); err == nil {
				response.Body.Close()
			}
		}()
		part, err := form.CreateFormFile("file", "half.txt")
		Expect(err).NotTo(HaveOccurred())
		_, err = io.WriteString(part, strings.Repeat("x", 1<<20))
		Expect(err).NotTo(HaveOccurred())
		_ = content.CloseWithError(io.ErrUnexpectedEOF)
		Eventually(func() string { return files.Output() }).Should(ContainSubstring(`"method":"POST"`))
		Expect(get(files.URL + "/files").body).To(ContainSubstring(`"count":0`))
	})
})

var _ = Describe("Big files", func() {
	It("stream through without being held in memory", func() {
		app, files := startBoth("MAX_UPLOAD_BYTES=1073741824")
		const size = 256 << 20
		body, content := io.Pipe()
		form := multipart.NewWriter(content)
		go func() {
			defer GinkgoRecover()
			part, err := form.CreateFormFile("file", "big.bin")
			Expect(err).NotTo(HaveOccurred())
			_, err = io.CopyN(part, zeros{}, size)
			Expect(err).NotTo(HaveOccurred())
			Expect(form.Close()).To(Succeed())
			Expect(content.Close()).To(Succeed())
		}()
		answer := call(http.MethodPost, app.URL+"/upload", body, append(script, "Content-Type", form.FormDataContentType())...)
		Expect(stored(answer)[0].Size).To(BeNumerically("==", size))
		response, err := servicetest.Client.Get(app.URL + "/download/big.bin")
		Expect(err).NotTo(HaveOccurred())
		defer response.Body.Close()
		Expect(io.Copy(io.Discard, response.Body)).To(BeNumerically("==", size))
		for _, process := range []interface{ PeakMemory() (int64, error) }{app, files} {
			peak, err := process.PeakMemory()
			Expect(err).NotTo(HaveOccurred())
			GinkgoWriter.Println("peak", peak>>20, "MiB")
			Expect(peak).To(BeNumerically("<", 64<<20))
		}
	})

	It("in flight survive the shutdown", func() {
		app, _ := startBoth("DRAIN_DELAY=0s")
		body, content := io.Pipe()
		form := multipart.NewWriter(content)
		done := make(chan reply, 1)
		go func() {
			defer GinkgoRecover()
			done <- call(http.MethodPost, app.URL+"/upload", body, append(script, "Content-Type", form.FormDataContentType())...)
		}()
		part, err := form.CreateFormFile("file", "a.txt")
		Expect(err).NotTo(HaveOccurred())
		_, err = io.WriteString(part, strings.Repeat("before ", 100_000))
		Expect(err).NotTo(HaveOccurred())
		Expect(app.WaitInFlight()).To(Succeed())
		Expect(app.Signal(syscall.SIGTERM)).To(Succeed())
		Eventually(func() string { return app.Output() }).Should(ContainSubstring(`"msg":"draining"`))
		_, err = io.WriteString(part, "after")
		Expect(err).NotTo(HaveOccurred())
		Expect(form.Close()).To(Succeed())
		Expect(content.Close()).To(Succeed())
		Expect(stored(<-done)[0].Size).To(BeNumerically("==", 700_005))
		Expect(app.Wait()).To(Equal(0))
	})
})

type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}
