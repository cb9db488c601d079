package main

import (
	"bytes"
	"encoding/json"
	"io"
	"mime/multipart"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"testing"

	. "github.com/onsi/ginkgo/v2" //nolint:revive // specs read best without a qualifier
	. "github.com/onsi/gomega"    //nolint:revive // specs read best without a qualifier

	"mockup.dev/mockup/workloads/internal/fileclient"
	"mockup.dev/mockup/workloads/internal/servicetest"
)

// nobody is the user that the services run as in their images.
const nobody = 65532

var binaries string

func TestPublicApp(t *testing.T) {
	RegisterFailHandler(Fail)
	RunSpecs(t, "public-app")
}

var _ = BeforeSuite(func() {
	dir, err := os.MkdirTemp("", "public-app-test-")
	Expect(err).NotTo(HaveOccurred())
	DeferCleanup(os.RemoveAll, dir)
	Expect(servicetest.Build(dir, "mime-server", "public-app")).To(Succeed())
	binaries = dir
})

// start runs a service until the spec ends.
func start(service string, env ...string) *servicetest.Process {
	GinkgoHelper()
	process, err := servicetest.Start(filepath.Join(binaries, service), nobody, env...)
	Expect(err).NotTo(HaveOccurred())
	DeferCleanup(process.Kill)
	return process
}

func startMimeServer(env ...string) *servicetest.Process {
	GinkgoHelper()
	dir, err := os.MkdirTemp("", "public-app-data-")
	Expect(err).NotTo(HaveOccurred())
	DeferCleanup(os.RemoveAll, dir)
	if os.Getuid() == 0 {
		Expect(os.Chown(dir, nobody, nobody)).To(Succeed())
	}
	return start("mime-server", append([]string{"DATA_DIR=" + dir}, env...)...)
}

// startBoth runs public-app over a mime-server of its own.
func startBoth(env ...string) (app, files *servicetest.Process) {
	GinkgoHelper()
	files = startMimeServer(env...)
	return start("public-app", append([]string{"MIME_SERVER_URL=" + files.URL}, env...)...), files
}

type reply struct {
	*http.Response
	body string
}

// visitor does not follow redirects.
var visitor = &http.Client{
	Transport:     servicetest.Client.Transport,
	CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
}

// call sends a request; headers are pairs of key and value.
func call(method, url string, body io.Reader, headers ...string) reply {
	GinkgoHelper()
	request, err := http.NewRequest(method, url, body)
	Expect(err).NotTo(HaveOccurred())
	for i := 0; i < len(headers); i += 2 {
		request.Header.Set(headers[i], headers[i+1])
	}
	response, err := visitor.Do(request)
	Expect(err).NotTo(HaveOccurred())
	defer response.Body.Close()
	content, err := io.ReadAll(response.Body)
	Expect(err).NotTo(HaveOccurred())
	return reply{response, string(content)}
}

func get(url string, headers ...string) reply {
	GinkgoHelper()
	return call(http.MethodGet, url, nil, headers...)
}

// upload posts files, pairs of name and content, as the page's form does.
func upload(url string, headers []string, files ...string) reply {
	GinkgoHelper()
	var body bytes.Buffer
	writer := multipart.NewWriter(&body)
	for i := 0; i < len(files); i += 2 {
		part, err := writer.CreateFormFile("file", files[i])
		Expect(err).NotTo(HaveOccurred())
		_, err = io.WriteString(part, files[i+1])
		Expect(err).NotTo(HaveOccurred())
	}
	Expect(writer.Close()).To(Succeed())
	return call(http.MethodPost, url+"/upload", &body, append(headers, "Content-Type", writer.FormDataContentType())...)
}

// script is how the page's script asks.
var script = []string{"Accept", "application/json"}

func stored(answer reply) []fileclient.File {
	GinkgoHelper()
	Expect(answer.StatusCode).To(Equal(http.StatusCreated), answer.body)
	var body struct{ Files []fileclient.File }
	Expect(json.Unmarshal([]byte(answer.body), &body)).To(Succeed())
	return body.Files
}

// links are the addresses that a page refers to.
func links(page string) (found []string) {
	for _, match := range regexp.MustCompile(`(?:href|src|action|data-src)="([^"]*)"`).FindAllStringSubmatch(page, -1) {
		found = append(found, match[1])
	}
	return found
}
