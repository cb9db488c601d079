package observability

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// retention of a Loki by the configuration that is rendered, but for what makes it wait: lines that are too old go, others
// stay. Prometheus and Jaeger are asked what they were told.
func (w *watched) retention(t *testing.T) {
	if err := says(prometheus+"/api/v1/status/flags", "storage.tsdb.retention.time:31d"); err != nil {
		t.Error(err)
	}
	// Jaeger tells nobody.
	if told := w.configOf(t, "jaeger", "jaeger.yaml"); !strings.Contains(told, "ttl: {spans: 48h}") {
		t.Errorf("Jaeger is told:\n%s", told)
	}
	l := w.ownLoki(t)
	l.start(t)
	days := []int{9, 8, 6, 0} // the sample keeps 7
	now := time.Now()
	for _, ago := range days {
		l.push(t, ago, now.AddDate(0, 0, -ago))
	}
	must(t, call(http.MethodPost, l.url+"/flush", nil, nil)) // of what is old it looks in its store alone
	l.eventuallyHas(t, days)
	l.stop(t) // it then hands over the index, too
	l.start(t)
	eventually(t, "chunks of old lines to be removed", patience, func() error {
		if n := l.chunks(t); n != 2 {
			return fmt.Errorf("there are %d", n)
		}
		return nil
	})
	l.stop(t)
	l.start(t) // without what it remembers of the index
	l.eventuallyHas(t, []int{6, 0})
	l.stop(t)
}

// configOf a running program.
func (w *watched) configOf(t *testing.T, component, file string) string {
	t.Helper()
	folder := w.podman(t, "volume", "inspect", "--format", "{{.Mountpoint}}", "default-mockup-"+component+"-0.config")
	content, err := os.ReadFile(filepath.Join(folder, file))
	must(t, err)
	return string(content)
}

// ownLoki is the program beside the one that is watched.
type ownLoki struct {
	program, config, dir, url string
	process                   *exec.Cmd
}

// ownLoki with the running one's configuration. A minute is the shortest after which it removes anything. Its ports are below those
// that the kernel gives to clients.
func (w *watched) ownLoki(t *testing.T) *ownLoki {
	t.Helper()
	tools := os.Getenv("MOCKUP_TOOLS")
	if tools == "" {
		t.Fatal("MOCKUP_TOOLS is not set, which is where loki is; run: MOCKUP_TOOLS=$(hack/images --tools) hack/sandbox go test ./test/observability")
	}
	l := &ownLoki{program: filepath.Join(tools, "loki"), dir: t.TempDir(), url: "http://127.0.0.1:23100"}
	rendered := w.configOf(t, "loki", "loki.yaml")
	for _, change := range [][2]string{
		{"http_listen_port: 3100", "http_listen_port: 23100"}, {"grpc_listen_port: 9095", "grpc_listen_port: 29095"},
		{"path_prefix: /loki", "path_prefix: " + l.dir}, {": /loki/", ": " + l.dir + "/"},
		{"compaction_interval: 10m", "compaction_interval: 2s"}, {"retention_delete_delay: 1h", "retention_delete_delay: 1s"},
	} {
		if !strings.Contains(rendered, change[0]) {
			t.Fatalf("it has no %q:\n%s", change[0], rendered)
		}
		rendered = strings.ReplaceAll(rendered, change[0], change[1])
	}
	l.config = filepath.Join(l.dir, "loki.yaml")
	must(t, os.WriteFile(l.config, []byte(rendered), 0o600))
	t.Cleanup(func() {
		if l.process != nil {
			_ = l.process.Process.Kill()
		}
	})
	return l
}

func (l *ownLoki) start(t *testing.T) {
	t.Helper()
	l.process = exec.CommandContext(context.WithoutCancel(t.Context()), l.program, "-config.file="+l.config)
	var said bytes.Buffer
	l.process.Stderr = &said
	must(t, l.process.Start())
	eventually(t, "Loki to be ready", patience, func() error {
		resp, err := http.Get(l.url + "/ready")
		if err != nil {
			return fmt.Errorf("%w\n%s", err, said.String())
		}
		defer resp.Body.Close()
		if resp.StatusCode != http.StatusOK {
			return fmt.Errorf("it says %s", resp.Status)
		}
		return nil
	})
}

func (l *ownLoki) stop(t *testing.T) {
	t.Helper()
	must(t, l.process.Process.Signal(syscall.SIGTERM))
	_ = l.process.Wait() // how it says good-bye is its own affair
	l.process = nil
}

// push a line that was written some days ago. Each is a stream of its own, since whole chunks are removed.
func (l *ownLoki) push(t *testing.T, ago int, at time.Time) {
	t.Helper()
	stream := map[string]any{
		"stream": map[string]string{"service": "retained", "pod": fmt.Sprintf("pod-%d", ago)},
		"values": [][2]string{{strconv.FormatInt(at.UnixNano(), 10), strconv.Itoa(ago)}},
	}
	must(t, call(http.MethodPost, l.url+"/loki/api/v1/push", map[string]any{"streams": []any{stream}}, nil))
}

// eventuallyHas exactly the lines of some days.
func (l *ownLoki) eventuallyHas(t *testing.T, days []int) {
	t.Helper()
	eventually(t, fmt.Sprintf("Loki to have the lines of %v days ago", days), patience, func() error {
		var answer struct {
			Data struct {
				Result []struct{ Values [][2]string }
			}
		}
		now := time.Now()
		err := get(l.url+"/loki/api/v1/query_range", url.Values{
			"query": {`{service="retained"}`}, "start": {strconv.FormatInt(now.AddDate(0, 0, -20).UnixNano(), 10)}, "end": {strconv.FormatInt(now.UnixNano(), 10)},
		}, &answer)
		found := map[string]int{}
		for _, r := range answer.Data.Result {
			for _, v := range r.Values {
				found[v[1]]++
			}
		}
		want := map[string]int{}
		for _, d := range days {
			want[strconv.Itoa(d)] = 1
		}
		if err == nil && fmt.Sprint(found) != fmt.Sprint(want) {
			err = fmt.Errorf("it has %v", found)
		}
		return err
	})
}

// chunks that are on disk.
func (l *ownLoki) chunks(t *testing.T) (n int) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(l.dir, "chunks", "fake", "*", "*"))
	must(t, err)
	return len(files)
}
