package main

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"

	. "github.com/onsi/ginkgo/v2" //nolint:revive // specs read best without a qualifier
	. "github.com/onsi/gomega"    //nolint:revive // specs read best without a qualifier

	"mockup.dev/mockup/workloads/internal/problem"
	"mockup.dev/mockup/workloads/internal/servicetest"
)

const png = "\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR and more"

var _ = Describe("Storing and fetching", func() {
	var dir string
	var service *servicetest.Process
	BeforeEach(func() {
		dir = dataDir()
		service = start(dir, "MAX_UPLOAD_BYTES=1000")
	})

	It("returns what was put, with type and digest", func() {
		stored := put(service.URL+"/files/picture.txt", png)
		Expect(stored.StatusCode).To(Equal(http.StatusCreated))
		Expect(stored.Header.Get("Location")).To(Equal("/files/picture.txt"))
		Expect(stored.info().Type).To(Equal("image/png"))
		Expect(stored.info().SHA256).To(Equal(digest([]byte(png))))

		fetched := get(service.URL + "/files/picture.txt")
		Expect(fetched.StatusCode).To(Equal(http.StatusOK))
		Expect(string(fetched.body)).To(Equal(png))
		Expect(fetched.Header.Get("Content-Type")).To(Equal("image/png"))
		Expect(fetched.Header.Get("X-Content-Sha256")).To(Equal(digest([]byte(png))))
		raw, _ := hex.DecodeString(digest([]byte(png)))
		Expect(fetched.Header.Get("Repr-Digest")).To(Equal("sha-256=:" + base64.StdEncoding.EncodeToString(raw) + ":"))
		Expect(fetched.Header.Get("ETag")).To(Equal(`"sha256-` + digest([]byte(png)) + `"`))
		Expect(fetched.Header.Get("X-Content-Type-Options")).To(Equal("nosniff"))

		head := call(http.MethodHead, service.URL+"/files/picture.txt", nil)
		Expect(head.StatusCode).To(Equal(http.StatusOK))
		Expect(head.ContentLength).To(BeNumerically("==", len(png)))
		Expect(head.body).To(BeEmpty())
	})

	It("takes a form, a raw body with a name, and names with folders and any letters", func() {
		Expect(form(service.URL+"/files", "a.txt", "one").StatusCode).To(Equal(http.StatusCreated))
		Expect(form(service.URL+"/files/?name=b.txt", "ignored", "two").info().Name).To(Equal("b.txt"))
		Expect(call(http.MethodPost, service.URL+"/files?name=c.txt", strings.NewReader("three")).StatusCode).To(Equal(http.StatusCreated))
		Expect(put(service.URL+"/files/2026/11/r%C3%A9sum%C3%A9%20(1)%3F.txt", "four").StatusCode).To(Equal(http.StatusCreated))
		Expect(put(service.URL+"/files/2026%2F12%2Fd.txt", "five").StatusCode).To(Equal(http.StatusCreated))
		Expect(inventory(service.URL)).To(And(HaveLen(5), HaveKey("a.txt"), HaveKey("b.txt"), HaveKey("c.txt"),
			HaveKey("2026/11/résumé (1)?.txt"), HaveKey("2026/12/d.txt")))
		fetched := get(service.URL + "/files/2026/11/r%C3%A9sum%C3%A9%20(1)%3F.txt?download")
		Expect(string(fetched.body)).To(Equal("four"))
		kind, parameters, err := mime.ParseMediaType(fetched.Header.Get("Content-Disposition"))
		Expect(err).NotTo(HaveOccurred())
		Expect(kind).To(Equal("attachment"))
		Expect(parameters["filename"]).To(Equal("résumé (1)?.txt"))
	})

	It("replaces by PUT and deletes", func() {
		put(service.URL+"/files/a.txt", "one")
		replaced := put(service.URL+"/files/a.txt", "two, longer")
		Expect(replaced.StatusCode).To(Equal(http.StatusOK))
		Expect(string(get(service.URL + "/files/a.txt").body)).To(Equal("two, longer"))
		Expect(call(http.MethodDelete, service.URL+"/files/a.txt", nil).StatusCode).To(Equal(http.StatusNoContent))
		Expect(get(service.URL + "/files/a.txt").StatusCode).To(Equal(http.StatusNotFound))
		Expect(call(http.MethodDelete, service.URL+"/files/a.txt", nil).StatusCode).To(Equal(http.StatusNotFound))
		Expect(onDisk(dir)).To(BeEmpty())
	})

	It("never lets a POST replace a file", func() {
		url := service.URL + "/files?name=a.txt"
		post := func(content, conflict string) reply {
			return call(http.MethodPost, url+"&conflict="+conflict, strings.NewReader(content))
		}
		Expect(post("one", "").StatusCode).To(Equal(http.StatusCreated))
		Expect(post("two", "").StatusCode).To(Equal(http.StatusConflict))
		Expect(post("two", "refuse").StatusCode).To(Equal(http.StatusConflict))
		Expect(post("two", "nonsense").StatusCode).To(Equal(http.StatusBadRequest))
		numbered := post("two", "number")
		Expect(numbered.StatusCode).To(Equal(http.StatusCreated))
		Expect(numbered.info().Name).To(Equal("a (2).txt"))
		Expect(numbered.Header.Get("Location")).To(Equal("/files/a%20%282%29.txt"))
		again := post("two", "number")
		Expect(again.StatusCode).To(Equal(http.StatusOK), "the same content is stored once")
		Expect(again.info().Name).To(Equal("a (2).txt"))
		Expect(string(get(service.URL + "/files/a.txt").body)).To(Equal("one"))
		Expect(onDisk(dir)).To(ConsistOf("a.txt", "a (2).txt"))
	})

	It("gives each of many uploads of one name a place of its own", func() {
		var group sync.WaitGroup
		names := make([]string, 20)
		for i := range names {
			group.Go(func() {
				defer GinkgoRecover()
				answer := call(http.MethodPost, service.URL+"/files?name=a.txt&conflict=number", strings.NewReader(fmt.Sprint("content ", i)))
				Expect(answer.StatusCode).To(Equal(http.StatusCreated))
				names[i] = answer.info().Name
			})
		}
		group.Wait()
		for i, name := range names {
			Expect(string(get(service.URL + "/files/" + name).body)).To(Equal(fmt.Sprint("content ", i)))
		}
		Expect(inventory(service.URL)).To(HaveLen(20))
	})

	It("takes files up to the limit and answers 413 beyond it, however they come", func() {
		fits, tooBig := strings.Repeat("x", 1000), strings.Repeat("x", 1001)
		unknownLength := func(content string) io.Reader { return io.MultiReader(strings.NewReader(content)) }
		Expect(put(service.URL+"/files/fits", fits).StatusCode).To(Equal(http.StatusCreated))
		Expect(call(http.MethodPut, service.URL+"/files/fits2", unknownLength(fits)).StatusCode).To(Equal(http.StatusCreated))
		Expect(form(service.URL+"/files", "fits3", fits).StatusCode).To(Equal(http.StatusCreated))
		for _, answer := range []reply{
			put(service.URL+"/files/big", tooBig),
			call(http.MethodPut, service.URL+"/files/big", unknownLength(tooBig)),
			form(service.URL+"/files", "big", tooBig),
			form(service.URL+"/files", "big", strings.Repeat("x", 3<<20)),
		} {
			Expect(answer.StatusCode).To(Equal(http.StatusRequestEntityTooLarge))
			Expect(answer.Header.Get("Content-Type")).To(Equal(problem.ContentType))
			Expect(string(answer.body)).To(ContainSubstring("1000 bytes"))
		}
		Expect(onDisk(dir)).To(ConsistOf("fits", "fits2", "fits3"))
	})

	It("stores nothing of a request that is not whole or not clear", func() {
		Expect(form(service.URL + "/files").StatusCode).To(Equal(http.StatusBadRequest))
		Expect(form(service.URL+"/files", "a", "1", "b", "2").StatusCode).To(Equal(http.StatusBadRequest))
		Expect(call(http.MethodPost, service.URL+"/files", strings.NewReader("nameless")).StatusCode).To(Equal(http.StatusBadRequest))
		Expect(call(http.MethodPut, service.URL+"/files/a", strings.NewReader("--x--"), "Content-Type", "multipart/form-data; boundary=x").StatusCode).
			To(Equal(http.StatusBadRequest))
		cut := "--x\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a\"\r\n\r\nhalf of"
		Expect(call(http.MethodPost, service.URL+"/files", strings.NewReader(cut), "Content-Type", "multipart/form-data; boundary=x").StatusCode).
			To(Equal(http.StatusBadRequest))
		Expect(onDisk(dir)).To(BeEmpty())
	})

	It("takes nothing that a page of another site sends", func() {
		url := service.URL + "/files?name=a"
		Expect(call(http.MethodPost, url, strings.NewReader("x"), "Sec-Fetch-Site", "cross-site")).To(beProblem(http.StatusForbidden))
		Expect(call(http.MethodPost, url, strings.NewReader("x"), "Origin", "https://evil.example")).To(beProblem(http.StatusForbidden))
		Expect(call(http.MethodPost, url, strings.NewReader("x"), "Sec-Fetch-Site", "same-origin").StatusCode).To(Equal(http.StatusCreated))
		Expect(get(service.URL+"/files/a", "Sec-Fetch-Site", "cross-site").StatusCode).To(Equal(http.StatusOK))
	})

	It("answers problems as documents", func() {
		put(service.URL+"/files/a", "1")
		Expect(get(service.URL + "/nowhere")).To(beProblem(http.StatusNotFound))
		Expect(get(service.URL + "/files/missing")).To(beProblem(http.StatusNotFound))
		Expect(put(service.URL+"/files/a/b", "2")).To(beProblem(http.StatusConflict))
		put(service.URL+"/files/folder/b", "2")
		Expect(put(service.URL+"/files/folder", "2")).To(beProblem(http.StatusConflict))
		Expect(get(service.URL + "/files/folder")).To(beProblem(http.StatusNotFound))
		wrongMethod := call(http.MethodPatch, service.URL+"/files/a", nil)
		Expect(wrongMethod).To(beProblem(http.StatusMethodNotAllowed))
		Expect(wrongMethod.Header.Get("Allow")).To(ContainSubstring("PUT"))
	})

	DescribeTable("keeps stored pages from running script in the site", func(name, content, mediaType, disposition string, sandboxed bool) {
		put(service.URL+"/files/"+name, content)
		fetched := get(service.URL + "/files/" + name)
		Expect(fetched.Header.Get("Content-Type")).To(Equal(mediaType))
		Expect(fetched.Header.Get("Content-Disposition")).To(HavePrefix(disposition))
		Expect(fetched.Header.Get("X-Content-Type-Options")).To(Equal("nosniff"))
		policy := fetched.Header.Get("Content-Security-Policy")
		Expect(strings.HasSuffix(policy, "; sandbox")).To(Equal(sandboxed), policy)
	},
		Entry("HTML", "a.html", "<html><script>alert(1)</script>", "text/html; charset=utf-8", "attachment", true),
		Entry("HTML under another name", "a.txt", "<html><script>alert(1)</script>", "text/html; charset=utf-8", "attachment", true),
		Entry("SVG", "a.svg", `<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>`, "image/svg+xml", "attachment", true),
		Entry("XML", "a.xml", `<?xml version="1.0"?><a/>`, "text/xml; charset=utf-8", "attachment", true),
		Entry("picture", "a.png", png, "image/png", "inline", true),
		Entry("text", "a.txt", "words", "text/plain; charset=utf-8", "inline", true),
		Entry("PDF, which browsers do not show in a sandbox", "a.pdf", "%PDF-1.7\n", "application/pdf", "inline", false),
	)
})

var _ = Describe("Ranges and conditions", func() {
	var url, tag string
	BeforeEach(func() {
		url = start(dataDir()).URL + "/files/a.txt"
		tag = put(url, "0123456789").Header.Get("ETag")
	})

	DescribeTable("answers ranges", func(header string, status int, content, contentRange string) {
		answer := get(url, "Range", header)
		Expect(answer.StatusCode).To(Equal(status))
		Expect(answer.Header.Get("Content-Range")).To(Equal(contentRange))
		if status < 400 {
			Expect(string(answer.body)).To(Equal(content))
		}
	},
		Entry("from the start", "bytes=0-3", 206, "0123", "bytes 0-3/10"),
		Entry("in the middle", "bytes=4-5", 206, "45", "bytes 4-5/10"),
		Entry("to the end", "bytes=7-", 206, "789", "bytes 7-9/10"),
		Entry("the last bytes", "bytes=-2", 206, "89", "bytes 8-9/10"),
		Entry("more than there is", "bytes=8-99", 206, "89", "bytes 8-9/10"),
		Entry("beyond the end", "bytes=10-", 416, "", "bytes */10"),
		Entry("another unit", "lines=1-2", 416, "", ""),
	)

	It("answers several ranges in parts", func() {
		answer := get(url, "Range", "bytes=0-1,8-9")
		Expect(answer.StatusCode).To(Equal(http.StatusPartialContent))
		_, parameters, err := mime.ParseMediaType(answer.Header.Get("Content-Type"))
		Expect(err).NotTo(HaveOccurred())
		parts := multipart.NewReader(bytes.NewReader(answer.body), parameters["boundary"])
		for _, want := range []string{"01", "89"} {
			part, err := parts.NextPart()
			Expect(err).NotTo(HaveOccurred())
			Expect(io.ReadAll(part)).To(Equal([]byte(want)))
		}
	})

	It("continues a download only of the same content", func() {
		Expect(get(url, "Range", "bytes=5-", "If-Range", tag).StatusCode).To(Equal(http.StatusPartialContent))
		put(url, "another file")
		whole := get(url, "Range", "bytes=5-", "If-Range", tag)
		Expect(whole.StatusCode).To(Equal(http.StatusOK))
		Expect(string(whole.body)).To(Equal("another file"))
	})

	It("answers 304 as long as the content is the same", func() {
		Expect(get(url, "If-None-Match", tag).StatusCode).To(Equal(http.StatusNotModified))
		Expect(get(url, "If-None-Match", `"other", `+tag).StatusCode).To(Equal(http.StatusNotModified))
		put(url, "0123456789")
		Expect(get(url, "If-None-Match", tag).StatusCode).To(Equal(http.StatusNotModified), "the same bytes have the same tag")
		put(url, "9876543210")
		Expect(get(url, "If-None-Match", tag).StatusCode).To(Equal(http.StatusOK))
	})

	It("changes a file only if it is the one expected", func() {
		Expect(put(url, "x", "If-None-Match", "*").StatusCode).To(Equal(http.StatusPreconditionFailed))
		Expect(put(url, "x", "If-Match", `"other"`).StatusCode).To(Equal(http.StatusPreconditionFailed))
		Expect(call(http.MethodDelete, url, nil, "If-Match", `"other"`).StatusCode).To(Equal(http.StatusPreconditionFailed))
		Expect(string(get(url).body)).To(Equal("0123456789"))
		Expect(put(url, "x", "If-Match", tag).StatusCode).To(Equal(http.StatusOK))
		Expect(call(http.MethodDelete, url, nil, "If-Match", tag).StatusCode).To(Equal(http.StatusPreconditionFailed))
		Expect(call(http.MethodDelete, url, nil, "If-Match", "*").StatusCode).To(Equal(http.StatusNoContent))
		Expect(put(url, "x", "If-Match", "*").StatusCode).To(Equal(http.StatusPreconditionFailed))
		Expect(put(url, "x", "If-None-Match", "*").StatusCode).To(Equal(http.StatusCreated))
	})
})

var _ = Describe("Names", func() {
	const secret = "not for you"
	var dir string
	var service *servicetest.Process
	BeforeEach(func() {
		dir = dataDir()
		outer := filepath.Dir(dir)
		Expect(os.WriteFile(filepath.Join(outer, "secret"), []byte(secret), 0o644)).To(Succeed())
		Expect(os.Symlink("../secret", filepath.Join(dir, "link"))).To(Succeed())
		Expect(os.Symlink(outer, filepath.Join(dir, "linked-folder"))).To(Succeed())
		Expect(os.WriteFile(filepath.Join(dir, ".hidden"), []byte(secret), 0o644)).To(Succeed())
		service = start(dir)
	})

	// The path goes to the service exactly as it is written here.
	DescribeTable("never lead out of the data folder, to hidden files or to two meanings", func(name string) {
		before := onDisk(filepath.Dir(dir))
		for _, method := range []string{http.MethodGet, http.MethodPut, http.MethodDelete} {
			request, err := http.NewRequest(method, service.URL, strings.NewReader("intruder"))
			Expect(err).NotTo(HaveOccurred())
			request.Host = "127.0.0.1"
			request.URL.Host = "127.0.0.1:" + service.Port
			request.URL.Opaque = "/files/" + name
			answer := send(request)
			Expect(answer.StatusCode).To(BeElementOf(http.StatusBadRequest, http.StatusNotFound, http.StatusConflict,
				http.StatusMethodNotAllowed), "%s %s: %s", method, name, answer.body)
			Expect(string(answer.body)).NotTo(ContainSubstring(secret))
		}
		Expect(onDisk(filepath.Dir(dir))).To(Equal(before))
	},
		Entry("parent", "..%2fsecret"),
		Entry("parent, dots escaped", "%2e%2e%2fsecret"),
		Entry("parent, plain", "../data/../../secret"),
		Entry("parent from within", "a%2f..%2f..%2fsecret"),
		Entry("two parents", "..%2f..%2fetc%2fpasswd"),
		Entry("absolute", "%2fetc%2fpasswd"),
		Entry("current folder, escaped", "%2e"),
		Entry("parent itself", "%2e%2e"),
		Entry("dot inside", "a%2f.%2fb"),
		Entry("empty part", "a%2f%2fb"),
		Entry("slash at the end", "a%2f"),
		Entry("NUL", "a%00b"),
		Entry("NUL before a suffix", "..%2fsecret%00.txt"),
		Entry("line break", "a%0ab"),
		Entry("delete character", "a%7f"),
		Entry("not UTF-8", "a%ff"),
		Entry("overlong dots", "%c0%ae%c0%ae%2fsecret"),
		Entry("hidden", ".hidden"),
		Entry("hidden folder", ".git%2fconfig"),
		Entry("our own cache", ".mime-server-cache.json"),
		Entry("an upload under way", ".upload-X"),
		Entry("through a linked folder", "linked-folder%2fsecret"),
		Entry("too long a part", strings.Repeat("x", 256)),
		Entry("too long a name", strings.Repeat("x%2f", 600)+"x"),
	)

	It("treats a link as no file, and a backslash as a letter", func() {
		Expect(get(service.URL + "/files/link").StatusCode).To(Equal(http.StatusNotFound))
		Expect(put(service.URL+"/files/..%5c..%5cx", "1").StatusCode).To(Equal(http.StatusBadRequest))
		Expect(put(service.URL+"/files/a%5cb", "1").StatusCode).To(Equal(http.StatusCreated))
		Expect(string(get(service.URL + "/files/a%5cb").body)).To(Equal("1"))
	})

	It("takes only the last part of a form's file name", func() {
		Expect(form(service.URL+"/files", "../../etc/cron.d/x", "1").info().Name).To(Equal("x"))
		Expect(onDisk(filepath.Dir(dir))).To(ContainElement("data/x"))
	})
})

// beProblem matches a problem document of a status.
func beProblem(status int) OmegaMatcher {
	return WithTransform(func(r reply) string {
		return fmt.Sprint(r.StatusCode, " ", r.Header.Get("Content-Type"), " ", bytes.Contains(r.body, fmt.Appendf(nil, `"status":%d`, status)))
	}, Equal(fmt.Sprint(status, " ", problem.ContentType, " true")))
}
