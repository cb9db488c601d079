package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	. "github.com/onsi/ginkgo/v2" //nolint:revive // specs read best without a qualifier
	. "github.com/onsi/gomega"    //nolint:revive // specs read best without a qualifier

	"mockup.dev/mockup/workloads/internal/servicetest"
)

// nobody is the user that the services run as in their images.
const nobody = 65532

var binaries string

func TestIntranetAPI(t *testing.T) {
	RegisterFailHandler(Fail)
	RunSpecs(t, "intranet-api")
}

var _ = BeforeSuite(func() {
	dir, err := os.MkdirTemp("", "intranet-api-test-")
	Expect(err).NotTo(HaveOccurred())
	DeferCleanup(os.RemoveAll, dir)
	Expect(servicetest.Build(dir, "mime-server", "intranet-api")).To(Succeed())
	binaries = dir
})

func start(service string, env ...string) *servicetest.Process {
	GinkgoHelper()
	process, err := servicetest.Start(filepath.Join(binaries, service), nobody, env...)
	Expect(err).NotTo(HaveOccurred())
	DeferCleanup(process.Kill)
	return process
}

// document decodes the JSON of an answer with the status and type wanted.
func document(method, url string, status int, mediaType string, headers ...string) map[string]any {
	GinkgoHelper()
	request, err := http.NewRequest(method, url, nil)
	Expect(err).NotTo(HaveOccurred())
	for i := 0; i < len(headers); i += 2 {
		request.Header.Set(headers[i], headers[i+1])
	}
	response, err := servicetest.Client.Do(request)
	Expect(err).NotTo(HaveOccurred())
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	Expect(err).NotTo(HaveOccurred())
	Expect(response.StatusCode).To(Equal(status), "%s", body)
	Expect(response.Header.Get("Content-Type")).To(Equal(mediaType))
	var decoded map[string]any
	if len(body) > 0 {
		Expect(json.Unmarshal(body, &decoded)).To(Succeed())
	}
	return decoded
}

func getJSON(url string, headers ...string) map[string]any {
	GinkgoHelper()
	return document(http.MethodGet, url, http.StatusOK, "application/json", headers...)
}

var _ = Describe("The API", func() {
	var api, files *servicetest.Process
	store := func(name, content string) {
		GinkgoHelper()
		request, err := http.NewRequest(http.MethodPut, files.URL+"/files/"+name, strings.NewReader(content))
		Expect(err).NotTo(HaveOccurred())
		response, err := servicetest.Client.Do(request)
		Expect(err).NotTo(HaveOccurred())
		response.Body.Close()
		Expect(response.StatusCode).To(Equal(http.StatusCreated))
	}
	names := func(page map[string]any) []string {
		found := []string{}
		for _, item := range page["items"].([]any) {
			found = append(found, item.(map[string]any)["name"].(string))
		}
		return found
	}
	BeforeEach(func() {
		dir, err := os.MkdirTemp("", "intranet-api-data-")
		Expect(err).NotTo(HaveOccurred())
		DeferCleanup(os.RemoveAll, dir)
		if os.Getuid() == 0 {
			Expect(os.Chown(dir, nobody, nobody)).To(Succeed())
		}
		files = start("mime-server", "DATA_DIR="+dir)
		api = start("intranet-api", "MIME_SERVER_URL="+files.URL)
		store("a.txt", "one")
		store("B.txt", "three")
		store("photos/Beach.bin", "\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR")
		store("page.html", "<html></html>")
	})

	It("lists all files, in pages", func() {
		page := getJSON(api.URL + "/api/v1/inventory")
		Expect(names(page)).To(Equal([]string{"B.txt", "a.txt", "page.html", "photos/Beach.bin"}))
		Expect(page["total"]).To(BeNumerically("==", 4))
		Expect(page["bytes"]).To(BeNumerically("==", 3+5+16+13))
		page = getJSON(api.URL + "/api/v1/inventory?limit=2&offset=1")
		Expect(names(page)).To(Equal([]string{"a.txt", "page.html"}))
		Expect(page["total"]).To(BeNumerically("==", 4))
		Expect(names(getJSON(api.URL + "/api/v1/inventory?offset=9"))).To(BeEmpty())
	})

	It("counts by type", func() {
		stats := getJSON(api.URL + "/api/v1/stats")
		Expect(stats["count"]).To(BeNumerically("==", 4))
		lines := []string{}
		for _, each := range stats["types"].([]any) {
			line := each.(map[string]any)
			lines = append(lines, fmt.Sprint(line["type"], " ", line["count"], " ", line["bytes"]))
		}
		Expect(lines).To(Equal([]string{"image/png 1 16", "text/html 1 13", "text/plain 2 8"}))
	})

	DescribeTable("finds", func(query string, want ...string) {
		Expect(names(getJSON(api.URL + "/api/v1/search?" + query))).To(Equal(want))
	},
		Entry("by a part of the name, in any case", "q=b.t", "B.txt"),
		Entry("in folders", "q=BEACH", "photos/Beach.bin"),
		Entry("by type", "type=text/plain", "B.txt", "a.txt"),
		Entry("by half a type", "type=text", "B.txt", "a.txt", "page.html"),
		Entry("by half a type with a star", "type=image/*", "photos/Beach.bin"),
		Entry("by both", "q=a&type=text/plain", "a.txt"),
		Entry("a page", "type=text&limit=1&offset=1", "a.txt"),
	)

	It("deletes, once", func() {
		document(http.MethodDelete, api.URL+"/api/v1/files/a.txt", http.StatusNoContent, "")
		document(http.MethodDelete, api.URL+"/api/v1/files/photos%2FBeach.bin", http.StatusNoContent, "")
		Expect(names(getJSON(api.URL + "/api/v1/inventory"))).To(Equal([]string{"B.txt", "page.html"}))
		problemOf(http.MethodDelete, api.URL+"/api/v1/files/a.txt", http.StatusNotFound)
		Eventually(api.Output).Should(ContainSubstring(`"msg":"file deleted"`))
	})

	It("answers every error as a problem document", func() {
		problemOf(http.MethodGet, api.URL+"/api/v1/search", http.StatusBadRequest)
		problemOf(http.MethodGet, api.URL+"/api/v1/inventory?limit=0", http.StatusBadRequest)
		problemOf(http.MethodGet, api.URL+"/api/v1/inventory?limit=10001", http.StatusBadRequest)
		problemOf(http.MethodGet, api.URL+"/api/v1/search?q=a&offset=x", http.StatusBadRequest)
		problemOf(http.MethodDelete, api.URL+"/api/v1/files/", http.StatusBadRequest)
		problemOf(http.MethodDelete, api.URL+"/api/v1/files/..%2fx", http.StatusBadRequest)
		problemOf(http.MethodDelete, api.URL+"/api/v1/files/%2e%2e", http.StatusBadRequest)
		problemOf(http.MethodGet, api.URL+"/nowhere", http.StatusNotFound)
		problemOf(http.MethodPost, api.URL+"/api/v1/stats", http.StatusMethodNotAllowed)
	})

	It("deletes nothing for a page of another site", func() {
		document(http.MethodDelete, api.URL+"/api/v1/files/a.txt", http.StatusForbidden, "application/problem+json", "Origin", "https://evil.example")
		Expect(names(getJSON(api.URL + "/api/v1/inventory"))).To(ContainElement("a.txt"))
	})

	It("stays ready, and says so, when mime-server is away", func() {
		files.Kill()
		problemOf(http.MethodGet, api.URL+"/api/v1/stats", http.StatusServiceUnavailable)
		problemOf(http.MethodDelete, api.URL+"/api/v1/files/a.txt", http.StatusServiceUnavailable)
		Eventually(func() string {
			response, err := servicetest.Client.Get(api.MetricsURL)
			Expect(err).NotTo(HaveOccurred())
			defer response.Body.Close()
			text, _ := io.ReadAll(response.Body)
			return string(text)
		}).WithTimeout(10 * time.Second).Should(ContainSubstring(`dependency_up{dependency="mime-server"} 0`))
		Expect(getJSON(api.URL + "/readyz")["status"]).To(Equal("ready"))
	})

	It("describes itself as the gateway offers it", func() {
		servers := func(prefix string) string {
			return fmt.Sprint(getJSON(api.URL+"/openapi.json", "X-Forwarded-Prefix", prefix)["servers"])
		}
		Expect(servers("")).To(Equal("[map[url:/]]"))
		Expect(servers("/intranet/")).To(Equal("[map[url:/intranet]]"))
		Expect(servers("/a/b")).To(Equal("[map[url:/a/b]]"))
		for _, bad := range []string{"//evil.example", "https://evil.example", `/"><script>`, "/a b", "/" + strings.Repeat("x", 300)} {
			Expect(servers(bad)).To(Equal("[map[url:/]]"), bad)
		}
		Expect(getJSON(api.URL+"/", "X-Forwarded-Prefix", "/intranet/")["openapi"]).To(Equal("/intranet/openapi.json"))
	})

	It("answers as its description says", func() {
		description := getJSON(api.URL + "/openapi.json")
		Expect(description["openapi"]).To(HavePrefix("3.1."))
		for path, operation := range map[string]string{
			"/": "/", "/api/v1/inventory": "/api/v1/inventory", "/api/v1/stats": "/api/v1/stats", "/api/v1/search?q=a": "/api/v1/search",
		} {
			schema := dig(description, "paths", operation, "get", "responses", "200", "content", "application/json", "schema")
			Expect(faults(description, schema, getJSON(api.URL+path), path)).To(BeEmpty())
		}
		problemSchema := dig(description, "components", "schemas", "Problem")
		answer := document(http.MethodGet, api.URL+"/api/v1/search", http.StatusBadRequest, "application/problem+json")
		Expect(faults(description, problemSchema, answer, "problem")).To(BeEmpty())
	})
})

var _ = Describe("The description", func() {
	It("names exactly the routes that there are", func() {
		var description map[string]any
		Expect(json.Unmarshal(openAPI, &description)).To(Succeed())
		described := []string{}
		for path, operations := range description["paths"].(map[string]any) {
			for method := range operations.(map[string]any) {
				described = append(described, strings.ToUpper(method)+" "+path)
			}
		}
		routes := []string{}
		for _, route := range (&api{}).routes() {
			routes = append(routes, route.Method+" "+route.Path)
			pattern := strings.NewReplacer("...}", "}", "{$}", "").Replace(route.Pattern)
			Expect(pattern).To(Equal(route.Path))
		}
		Expect(described).To(ConsistOf(routes))
	})
})

func problemOf(method, url string, status int) {
	GinkgoHelper()
	problem := document(method, url, status, "application/problem+json")
	Expect(problem["status"]).To(BeNumerically("==", status))
	Expect(problem["title"]).To(Equal(http.StatusText(status)))
	Expect(problem["detail"]).NotTo(BeEmpty())
}

func dig(from any, keys ...string) map[string]any {
	GinkgoHelper()
	for _, key := range keys {
		Expect(from).To(HaveKey(key))
		from = from.(map[string]any)[key]
	}
	return from.(map[string]any)
}

// faults says where value differs from its schema: as much of JSON Schema as
// the description uses.
func faults(description, schema map[string]any, value any, where string) (found []string) {
	if reference, ok := schema["$ref"].(string); ok {
		schema = dig(description, strings.Split(strings.TrimPrefix(reference, "#/"), "/")...)
	}
	switch schema["type"] {
	case "object":
		object, ok := value.(map[string]any)
		if !ok {
			return []string{where + " is no object"}
		}
		properties, _ := schema["properties"].(map[string]any)
		required, _ := schema["required"].([]any)
		for _, name := range required {
			if _, ok := object[name.(string)]; !ok {
				found = append(found, fmt.Sprint(where, " lacks ", name))
			}
		}
		for name, part := range object {
			property, ok := properties[name].(map[string]any)
			if !ok {
				found = append(found, where+" has the unknown "+name)
				continue
			}
			found = append(found, faults(description, property, part, where+"."+name)...)
		}
	case "array":
		items, ok := value.([]any)
		if !ok {
			return []string{where + " is no array"}
		}
		for i, item := range items {
			found = append(found, faults(description, schema["items"].(map[string]any), item, fmt.Sprint(where, "[", i, "]"))...)
		}
	case "integer":
		if number, ok := value.(float64); !ok || number != float64(int64(number)) {
			found = append(found, where+" is no integer")
		}
	case "string":
		if _, ok := value.(string); !ok {
			found = append(found, where+" is no string")
		}
	default:
		found = append(found, where+" has a schema that this test does not know")
	}
	return slices.Clip(found)
}
