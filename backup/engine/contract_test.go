package engine

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	. "github.com/onsi/gomega"
)

// What the product tells the program stands in its golden files: every field is known, and makes sense.
func TestConfigurationsOfTheProductAreUnderstood(t *testing.T) {
	g := NewWithT(t)
	files, err := filepath.Glob("../../manifests/testdata/backup/*.golden.yaml")
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(len(files)).To(BeNumerically(">=", 4))
	for _, file := range files {
		text, err := os.ReadFile(file)
		g.Expect(err).NotTo(HaveOccurred())
		_, block, ok := strings.Cut(string(text), "  config.json: |\n")
		g.Expect(ok).To(BeTrue(), file)
		block, _, _ = strings.Cut(block, "\nkind: ConfigMap")
		config := filepath.Join(t.TempDir(), "config.json")
		g.Expect(os.WriteFile(config, []byte(block), 0o600)).To(Succeed())
		c, err := ReadConfig(config)
		g.Expect(err).NotTo(HaveOccurred(), file)
		g.Expect(c.check("run")).To(Succeed(), file)
		g.Expect(c.Volumes).NotTo(BeEmpty())
	}
}

func TestConfigurationsThatMakeNoSense(t *testing.T) {
	g := NewWithT(t)
	bucket := func() *S3 {
		return &S3{Endpoint: "https://s3.example.com", Bucket: "b", AccessKeyFile: "a", SecretKeyFile: "s"}
	}
	for field, c := range map[string]struct {
		operation string
		change    func(*Config)
	}{
		"source":                 {"run", func(c *Config) { c.Source = "" }},
		"passwordFile":           {"run", func(c *Config) { c.PasswordFile = "" }},
		"repository must":        {"run", func(c *Config) { c.Repository = Location{} }},
		"repository.s3.endpoint": {"run", func(c *Config) { c.Repository = Location{S3: bucket()}; c.Repository.S3.Endpoint = "s3.example.com" }},
		"repository.s3.bucket":   {"run", func(c *Config) { c.Repository = Location{S3: bucket()}; c.Repository.S3.Bucket = "" }},
		"copies[0] must":         {"run", func(c *Config) { c.Copies = []Copy{{Name: "a", Location: Location{Path: "/a", S3: bucket()}}} }},
		"copies[1].name": {"run", func(c *Config) {
			c.Copies = []Copy{{Name: "a", Location: Location{Path: "/a"}}, {Name: "a", Location: Location{Path: "/b"}}}
		}},
		"from":              {"list", func(c *Config) { c.From = "nowhere" }},
		"volumes must":      {"run", func(c *Config) { c.Volumes = nil }},
		"volumes[0].name":   {"run", func(c *Config) { c.Volumes = []Volume{{Name: "a/b"}} }},
		"compression":       {"run", func(c *Config) { c.Compression = "gzip" }},
		"include[0]":        {"run", func(c *Config) { c.Include = []string{"../x"} }},
		"timeZone":          {"run", func(c *Config) { c.TimeZone = "Europe/Nowhere" }},
		"bytesPerSecond":    {"run", func(c *Config) { c.BytesPerSecond = -1 }},
		"retention":         {"run", func(c *Config) { c.Retention.KeepDaily = -1 }},
		"archives.dir":      {"run", func(c *Config) { c.Archives.Keep = 1 }},
		"verify.mode":       {"verify", func(c *Config) { c.Verify.Mode = "some" }},
		"verify.percent":    {"verify", func(c *Config) { c.Verify = Verify{Mode: VerifySample, Percent: 101} }},
		"restore.exact":     {"restore", func(c *Config) { c.Restore = Restore{Exact: true, Paths: []string{"a"}} }},
		"restore.paths[0]":  {"restore", func(c *Config) { c.Restore.Paths = []string{"/a"} }},
		"restore.scratch":   {"test-restore", func(*Config) {}},
		"archives.dir must": {"export", func(*Config) {}},
	} {
		config := &Config{Source: "s", PasswordFile: "p", Repository: Location{Path: "/r"}, Volumes: []Volume{{Name: "v", Path: "/v"}}}
		g.Expect(config.check("run")).To(Succeed())
		c.change(config)
		err := config.check(c.operation)
		g.Expect(err).To(MatchError(ContainSubstring(field)))
		g.Expect(ReasonOf(err)).To(Equal(ReasonConfiguration), field)
	}
}

func TestPathsThatLeadElsewhereAreNoNames(t *testing.T) {
	g := NewWithT(t)
	for _, name := range []string{"caf\xe9", "\xff\xfe", ".mockup-name:x", "plain", "ünïcödé", "a%2Fb"} {
		g.Expect(original(stored(name))).To(Equal(name))
	}
	for _, evil := range []string{escaped + "..%2F..%2Fetc", escaped + "%2E%2E", escaped + "a%2Fb", escaped + "a%00b"} {
		g.Expect(original(evil)).To(Equal(evil), "it leads out of the folder")
	}
}
