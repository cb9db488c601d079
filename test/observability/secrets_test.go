package observability

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// secrets are nowhere but in Secrets and in the pods' own copies of them.
func (w *watched) secrets(t *testing.T) {
	credentials := map[string]string{
		"the webhook of #alerts": hookOfAlerts, "the webhook of #ops-critical": hookOfOps, "PagerDuty's routing key": routingKey, "the mail server's password": mailPassword,
		"Grafana's password of admin": passwordOfAdmin, "Grafana's password of ann": passwordOfAnn, "Grafana's password of bob": passwordOfBob,
	}
	looked, copies := 0, 0
	look := func(where string, text []byte) {
		looked++
		for what, secret := range credentials {
			for _, form := range forms(secret) {
				if bytes.Contains(text, []byte(form)) {
					t.Errorf("%s has %s", where, what)
				}
			}
		}
	}
	for _, kind := range []string{"container", "pod", "volume", "network"} {
		for _, one := range w.inspected(t, kind) {
			look(kind+" "+one.Name, one.whole)
			if kind == "volume" {
				if _, use, _ := strings.Cut(one.Name, "."); strings.HasPrefix(use, "secret-") {
					copies += copiesIn(t, one.Mountpoint, credentials)
					continue
				}
				lookInto(t, one.Mountpoint, look)
			}
		}
	}
	kinds := strings.Fields(w.kubectl(t, "api-resources", "--verbs=list", "--output=name"))
	kinds = slices.DeleteFunc(kinds, func(kind string) bool { return kind == "secrets" })
	for _, one := range w.resources(t, kinds) {
		look(one.Kind+" "+one.Metadata.Name, one.whole)
	}
	before := looked
	lookInto(t, filepath.Join(w.Dir, "state", "logs"), look)
	lookInto(t, filepath.Join(w.graphRoot(t), "mockup-pod-logs"), look)
	if logs := looked - before; logs < 10 { // of the operator, the control plane, and whoever of the containers has said something
		t.Errorf("there are %d logs", logs)
	}
	arguments, err := filepath.Glob("/proc/[0-9]*/cmdline")
	must(t, err)
	for _, file := range arguments {
		line, _ := os.ReadFile(file) // processes come and go
		if !slices.Contains(strings.Split(string(line), "\x00"), "-test.testlogfile") {
			look(file, line)
		}
	}
	// Else the scan would find nothing because it does not look, or not for what is there.
	if copies != 5 || looked < 400 {
		t.Errorf("%d places were looked at, and %d credentials are in copies of Secrets, want 5", looked, copies)
	}
	t.Logf("%d places have no credential", looked)
}

// inspected is something of Podman's as Podman shows it.
type inspected struct {
	Name, Mountpoint string
	whole            []byte
}

// inspected is all of a kind, by one command since each takes its time.
func (w *watched) inspected(t *testing.T, kind string) (all []inspected) {
	t.Helper()
	list := []string{kind, "ls", "--quiet"}
	if kind == "container" {
		list = []string{"ps", "--all", "--quiet"}
	}
	var found []json.RawMessage
	must(t, json.Unmarshal([]byte(w.podman(t, append([]string{kind, "inspect"}, strings.Fields(w.podman(t, list...))...)...)), &found))
	for _, text := range found {
		one := inspected{whole: text}
		must(t, json.Unmarshal(text, &one))
		all = append(all, one)
	}
	return all
}

// apiObject is what the API server shows of one.
type apiObject struct {
	Kind     string
	Metadata struct{ Name string }
	whole    []byte
}

// resources of some kinds, all of them.
func (w *watched) resources(t *testing.T, kinds []string) (all []apiObject) {
	t.Helper()
	var found struct{ Items []json.RawMessage }
	must(t, json.Unmarshal([]byte(w.kubectl(t, "get", strings.Join(kinds, ","), "--all-namespaces", "--output=json")), &found))
	for _, text := range found.Items {
		one := apiObject{whole: text}
		must(t, json.Unmarshal(text, &one))
		all = append(all, one)
	}
	return all
}

// forms in which a credential may be somewhere: as it is, in an address, in JSON, and in base64, where what stands before it
// says how it is cut.
func forms(secret string) []string {
	quoted, _ := json.Marshal(secret) // a string always encodes
	all := []string{secret, url.QueryEscape(secret), url.PathEscape(secret), strings.Trim(string(quoted), `"`)}
	for before := range 3 {
		for _, encoding := range []*base64.Encoding{base64.RawStdEncoding, base64.RawURLEncoding} {
			whole := encoding.EncodeToString([]byte(strings.Repeat("x", before) + secret))
			// The first and the last letters hold bits of what is beside it.
			begin, end := (before*8+5)/6, (before+len(secret))*8/6
			all = append(all, whole[begin:end])
		}
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// TestForms finds a credential in each of its forms, whatever is beside it.
func TestForms(t *testing.T) {
	const secret = "T0/B0/pass word?+\"<"
	inside := "before " + secret + " after"
	for what, text := range map[string]string{
		"as it is": inside, "in a query": url.Values{"a": {inside}}.Encode(), "in a path": url.PathEscape(inside),
		"in JSON":   `{"a":"before T0/B0/pass word?+\"\u003c after"}`,
		"in base64": base64.StdEncoding.EncodeToString([]byte(inside)), "one further": base64.StdEncoding.EncodeToString([]byte("x" + inside)),
		"two further": base64.URLEncoding.EncodeToString([]byte("xx" + inside)), "alone": base64.StdEncoding.EncodeToString([]byte(secret)),
	} {
		if !slices.ContainsFunc(forms(secret), func(form string) bool { return strings.Contains(text, form) }) {
			t.Errorf("%s it is not found: %s", what, text)
		}
	}
	if slices.ContainsFunc(forms(secret), func(form string) bool { return strings.Contains("T0/B0/password", form) || len(form) < len(secret) }) {
		t.Errorf("what is another is found by %q", forms(secret))
	}
}

// lookInto every file of a folder.
func lookInto(t *testing.T, folder string, look func(where string, text []byte)) {
	t.Helper()
	err := filepath.WalkDir(folder, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || !entry.Type().IsRegular() {
			return nil // files come and go
		}
		if text, err := os.ReadFile(path); err == nil {
			look(path, text)
		}
		return nil
	})
	must(t, err)
}

// copiesIn counts the credentials that the files of a folder are.
func copiesIn(t *testing.T, folder string, credentials map[string]string) int {
	t.Helper()
	n := 0
	for _, secret := range credentials {
		found := false
		lookInto(t, folder, func(_ string, text []byte) { found = found || bytes.Contains(text, []byte(secret)) })
		if found {
			n++
		}
	}
	return n
}
