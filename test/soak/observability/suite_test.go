// Package observability measures what it costs to watch a stack, at rest and under load, and whether each of many log lines
// arrives.
//
//	hack/sandbox go test ./test/soak/observability -v -idle 5m
package observability

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/api/resource"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"mockup.dev/mockup/api/v1alpha1"
	"mockup.dev/mockup/manifests"
	"mockup.dev/mockup/test/stacktest"
)

var (
	settle = flag.Duration("settle", time.Minute, "how long the programs have to come to rest")
	idle   = flag.Duration("idle", 2*time.Minute, "how long they are watched at rest; at least 1m counts")
	busy   = flag.Duration("busy", 10*time.Minute, "how long they are watched under 10 requests/s")
)

// patience bounds what should come about by itself.
const patience = 3 * time.Minute

// Where the sample exposes programs.
const (
	prometheus = "http://127.0.0.1:9090"
	loki       = "http://127.0.0.1:3100"
	grafana    = "http://127.0.0.1:3000"
)

func TestCosts(t *testing.T) {
	if *idle < time.Minute || *busy < time.Minute {
		t.Error("less than a minute: the figures are no evidence")
	}
	s, err := stacktest.New()
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if t.Failed() {
			t.Log(s.Logs())
		}
		if err := s.Purge(context.WithoutCancel(t.Context())); err != nil {
			t.Error(err)
		}
	}()
	must(t, s.Up(t.Context()))
	must(t, s.Edit(t.Context(), stacktest.Name, addWriter))
	content, err := os.ReadFile(filepath.Join(s.Root(), "config", "samples", "observability.yaml"))
	must(t, err)
	addon := &v1alpha1.ObservabilityAddon{}
	must(t, yaml.UnmarshalStrict(content, addon))
	must(t, s.API.Create(t.Context(), addon))
	eventually(t, "stack and addon to be ready", func() error {
		must(t, s.API.Get(t.Context(), stacktest.Name, addon))
		stack, err := s.Get(t.Context())
		if err == nil && (!stacktest.Ready(stack) || !meta.IsStatusConditionTrue(addon.Status.Conditions, v1alpha1.ConditionReady)) {
			err = fmt.Errorf("stack: %s; addon: %v", stacktest.Describe(stack), addon.Status.Conditions)
		}
		return err
	})
	t.Run("password", func(t *testing.T) { generatedPassword(t, s) })
	time.Sleep(*settle) // nothing tells that a program rests
	t.Run("at rest", func(t *testing.T) { atRest(t, s) })
	t.Run("under load", func(t *testing.T) { underLoad(t, s) })
	t.Run("many lines", func(t *testing.T) { manyLines(t, s) })
}

// generatedPassword lets admin in to Grafana, since the sample names no Secret with another.
func generatedPassword(t *testing.T, s *stacktest.Stack) {
	secret := &corev1.Secret{}
	must(t, s.API.Get(t.Context(), client.ObjectKey{Namespace: stacktest.Name.Namespace, Name: "mockup-grafana-admin"}, secret))
	for password, want := range map[string]int{string(secret.Data[manifests.KeyAdminPassword]): http.StatusOK, "admin": http.StatusUnauthorized} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, grafana+"/api/org", nil)
		must(t, err)
		req.SetBasicAuth("admin", password)
		resp, err := http.DefaultClient.Do(req)
		must(t, err)
		_ = resp.Body.Close()
		if resp.StatusCode != want {
			t.Errorf("Grafana answers %s, want %d", resp.Status, want)
		}
	}
}

// Lines that the writer writes, and in how many at a time.
const (
	lineCount = 300_000
	lineBatch = 500
	lineRate  = 5000 // per second, at least
)

// addWriter adds a service that writes lines when it is told to, by a file: 5,000 or a little more in a second.
func addWriter(s *v1alpha1.MockupStack) {
	pause := time.Second / (lineRate / lineBatch) * 8 / 10 // writing takes time, too
	script := fmt.Sprintf(`until [ -e /tmp/go ]; do usleep 100000; done
awk 'BEGIN { while (n < %d) { for (i = 0; i < %d; i++) printf "{\"seq\":%%d,\"level\":\"info\",\"msg\":\"a line about as long as those that services write\"}\n", ++n
fflush(); system("usleep %d") } }'
exec sleep 100000`, lineCount, lineBatch, pause.Microseconds())
	core, memory := resource.MustParse("1"), resource.MustParse("64Mi")
	s.Spec.Services = append(s.Spec.Services, v1alpha1.Service{
		Name: "writer", Image: manifests.ImageNginx, Command: []string{"/bin/sh", "-c", script}, Port: 8000,
		Networks:  []v1alpha1.NetworkAttachment{{Name: "public"}},
		Resources: &v1alpha1.Resources{Limits: v1alpha1.ResourceAmounts{CPU: &core, Memory: &memory}},
		Probes:    v1alpha1.Probes{Readiness: &v1alpha1.Probe{Exec: &v1alpha1.ExecProbe{Command: []string{"/bin/true"}}}},
	})
}

// ask a program for a JSON document.
func ask(address string, query url.Values, into any) error {
	resp, err := http.Get(address + "?" + query.Encode())
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err == nil {
		err = json.Unmarshal(text, into)
	}
	if err != nil {
		return fmt.Errorf("%s: %w: %.500s", query, err, text)
	}
	return nil
}

// counted is the number that a query of logs gives.
func counted(query string) (float64, error) {
	var answer struct {
		Data struct{ Result []struct{ Value [2]any } }
	}
	if err := ask(loki+"/loki/api/v1/query", url.Values{"query": {query}}, &answer); err != nil {
		return 0, err
	}
	if len(answer.Data.Result) != 1 {
		return 0, fmt.Errorf("%s: there are %d numbers", query, len(answer.Data.Result))
	}
	text, _ := answer.Data.Result[0].Value[1].(string)
	return strconv.ParseFloat(text, 64)
}

// writtenAt is when the first of the lines that a query finds was written, or the last.
func writtenAt(t *testing.T, query, direction string) time.Time {
	t.Helper()
	var answer struct {
		Data struct {
			Result []struct{ Values [][2]string }
		}
	}
	must(t, ask(loki+"/loki/api/v1/query_range", url.Values{"query": {query}, "limit": {"1"}, "direction": {direction}}, &answer))
	ns, err := strconv.ParseInt(answer.Data.Result[0].Values[0][0], 10, 64)
	must(t, err)
	return time.Unix(0, ns)
}

// manyLines has each line arrive once: their count is right, and the sum of their numbers.
func manyLines(t *testing.T, s *stacktest.Stack) {
	before, begin := sample(t, s), time.Now()
	writer, err := s.Podman(t.Context(), "ps", "--filter", "name=[.]writer$", "--format", "{{.Names}}")
	must(t, err)
	_, err = s.Podman(t.Context(), "exec", writer, "touch", "/tmp/go")
	must(t, err)
	const lines = `{service="writer"} |= "a line about as long"`
	eventually(t, "each line to be there once", func() error {
		time.Sleep(time.Second) // the question is not cheap
		n, err := counted(`sum(count_over_time(` + lines + ` [1h]))`)
		if err == nil && n != lineCount {
			err = fmt.Errorf("%v of %d lines are", n, lineCount)
		}
		return err
	})
	arrived := time.Since(begin)
	sum, err := counted(`sum(sum_over_time(` + lines + ` | json | unwrap seq [1h]))`)
	must(t, err)
	if want := float64(lineCount) * (lineCount + 1) / 2; sum != want {
		t.Errorf("the sum of the lines' numbers is %v, want %v", sum, want)
	}
	wrote := writtenAt(t, lines, "backward").Sub(writtenAt(t, lines, "forward"))
	fmt.Printf("%d lines: written within %s, all there after %s\n", lineCount, wrote.Round(time.Second), arrived.Round(time.Second))
	if wrote > lineCount/lineRate*time.Second*11/10 {
		t.Errorf("they were written at a lower rate than %d/s", lineRate)
	}
	report("while they were written", []costs{before, sample(t, s)})
}

func eventually(t *testing.T, what string, check func() error) {
	t.Helper()
	for deadline := time.Now().Add(patience); ; time.Sleep(500 * time.Millisecond) {
		err := check()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("waited %s for %s: %v", patience, what, err)
		}
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
