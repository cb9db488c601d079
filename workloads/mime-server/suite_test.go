package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io"
	"mime/multipart"
	"net/http"
	"os"
	"path/filepath"
	"testing"

	. "github.com/onsi/ginkgo/v2" //nolint:revive // specs read best without a qualifier
	. "github.com/onsi/gomega"    //nolint:revive // specs read best without a qualifier

	"mockup.dev/mockup/workloads/internal/servicetest"
	"mockup.dev/mockup/workloads/mime-server/internal/store"
)

// nobody is the user that the service runs as in its image.
const nobody = 65532

var binary string

func TestMimeServer(t *testing.T) {
	RegisterFailHandler(Fail)
	RunSpecs(t, "mime-server")
}

var _ = BeforeSuite(func() {
	dir, err := os.MkdirTemp("", "mime-server-test-")
	Expect(err).NotTo(HaveOccurred())
	DeferCleanup(os.RemoveAll, dir)
	Expect(servicetest.Build(dir, "mime-server")).To(Succeed())
	binary = filepath.Join(dir, "mime-server")
})

// dataDir makes an empty data folder inside a folder of its own, so that a test
// can look at what lies beside it.
func dataDir() string {
	outer, err := os.MkdirTemp("", "mime-server-data-")
	Expect(err).NotTo(HaveOccurred())
	DeferCleanup(os.RemoveAll, outer)
	dir := filepath.Join(outer, "data")
	Expect(os.Mkdir(dir, 0o755)).To(Succeed())
	Expect(os.Chmod(outer, 0o755)).To(Succeed())
	if os.Getuid() == 0 {
		Expect(os.Chown(dir, nobody, nobody)).To(Succeed())
	}
	return dir
}

// start runs the service over dir, as the user of the image, until the spec ends.
func start(dir string, env ...string) *servicetest.Process {
	GinkgoHelper()
	process, err := servicetest.Start(binary, nobody, append([]string{"DATA_DIR=" + dir}, env...)...)
	Expect(err).NotTo(HaveOccurred())
	DeferCleanup(process.Kill)
	return process
}

// reply is a response, read to its end.
type reply struct {
	*http.Response
	body []byte
}

func (r reply) info() (info store.Info) {
	GinkgoHelper()
	Expect(json.Unmarshal(r.body, &info)).To(Succeed(), "%s", r.body)
	return info
}

func send(request *http.Request) reply {
	GinkgoHelper()
	response, err := servicetest.Client.Do(request)
	Expect(err).NotTo(HaveOccurred())
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	Expect(err).NotTo(HaveOccurred())
	return reply{response, body}
}

// call sends a request; headers are pairs of key and value.
func call(method, url string, body io.Reader, headers ...string) reply {
	GinkgoHelper()
	request, err := http.NewRequest(method, url, body)
	Expect(err).NotTo(HaveOccurred())
	for i := 0; i < len(headers); i += 2 {
		request.Header.Set(headers[i], headers[i+1])
	}
	return send(request)
}

func get(url string, headers ...string) reply {
	GinkgoHelper()
	return call(http.MethodGet, url, nil, headers...)
}

func put(url, content string, headers ...string) reply {
	GinkgoHelper()
	return call(http.MethodPut, url, bytes.NewBufferString(content), headers...)
}

// form posts files, pairs of name and content, as a browser does.
func form(url string, files ...string) reply {
	GinkgoHelper()
	var body bytes.Buffer
	writer := multipart.NewWriter(&body)
	Expect(writer.WriteField("comment", "not a file")).To(Succeed())
	for i := 0; i < len(files); i += 2 {
		part, err := writer.CreateFormFile("file", files[i])
		Expect(err).NotTo(HaveOccurred())
		_, err = io.WriteString(part, files[i+1])
		Expect(err).NotTo(HaveOccurred())
	}
	Expect(writer.Close()).To(Succeed())
	return call(http.MethodPost, url, &body, "Content-Type", writer.FormDataContentType())
}

// inventory lists the service's files by name.
func inventory(url string) map[string]store.Info {
	GinkgoHelper()
	answer := get(url + "/files")
	Expect(answer.StatusCode).To(Equal(http.StatusOK))
	var list listing
	Expect(json.Unmarshal(answer.body, &list)).To(Succeed())
	Expect(list.Count).To(Equal(len(list.Files)))
	files := map[string]store.Info{}
	for _, file := range list.Files {
		files[file.Name] = file
	}
	return files
}

// onDisk lists every file in dir, hidden ones too, but for the cache.
func onDisk(dir string) []string {
	GinkgoHelper()
	names := []string{}
	Expect(filepath.WalkDir(dir, func(path string, entry os.DirEntry, err error) error {
		if err == nil && !entry.IsDir() && entry.Name() != ".mime-server-cache.json" {
			name, _ := filepath.Rel(dir, path)
			names = append(names, name)
		}
		return err
	})).To(Succeed())
	return names
}

func digest(content []byte) string {
	sum := sha256.Sum256(content)
	return hex.EncodeToString(sum[:])
}
