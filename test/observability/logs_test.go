package observability

import (
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"mockup.dev/mockup/test/stacktest"
)

// lines that a query of logs finds within the last hour.
func lines(query string) ([]string, error) {
	var answer struct {
		Data struct {
			Result []struct{ Values [][2]string }
		}
	}
	now := time.Now()
	err := get(loki+"/loki/api/v1/query_range", url.Values{
		"query": {query}, "limit": {"1000"}, "start": {strconv.FormatInt(now.Add(-time.Hour).UnixNano(), 10)}, "end": {strconv.FormatInt(now.UnixNano(), 10)},
	}, &answer)
	var found []string
	for _, r := range answer.Data.Result {
		for _, v := range r.Values {
			found = append(found, v[1])
		}
	}
	return found, err
}

// numbers that a query of logs gives, by the value of a label.
func numbers(query, label string) (map[string]float64, error) {
	var answer struct {
		Data struct {
			Result []struct {
				Metric map[string]string
				Value  [2]any
			}
		}
	}
	err := get(loki+"/loki/api/v1/query", url.Values{"query": {query}}, &answer)
	found := map[string]float64{}
	for _, r := range answer.Data.Result {
		text, _ := r.Value[1].(string)
		n, err := strconv.ParseFloat(text, 64)
		if err != nil {
			return nil, err
		}
		found[r.Metric[label]] = n
	}
	return found, err
}

func (w *watched) logs(t *testing.T) {
	for _, query := range []string{
		`{container="mockup-gateway"} | json | level="warn"`,
		`{service="public-app"}`, `{service="intranet-api"}`, `{service="prometheus"}`, `{service="grafana"}`,
	} {
		eventually(t, query, patience, func() error {
			found, err := lines(query)
			if err == nil && len(found) == 0 {
				err = fmt.Errorf("nothing is found")
			}
			return err
		})
	}
	w.labels(t)
	w.errors(t)
}

// labels of the stack's containers say whose lines they are.
func (w *watched) labels(t *testing.T) {
	for service, container := range map[string]string{
		"mime-server": "mime-server", "public-app": "public-app", "intranet-api": "intranet-api", "gateway": "mockup-gateway", "loki": "loki",
	} {
		pod := strings.Split(w.container(t, container), ".")[0]
		want := map[string]string{"service": service, "container": container, "stack": "mockup", "namespace": "default", "pod": pod}
		eventually(t, "lines of "+service+" with their labels", patience, func() error {
			var answer struct{ Data []map[string]string }
			err := get(loki+"/loki/api/v1/series", url.Values{"match[]": {fmt.Sprintf("{service=%q}", service)}}, &answer)
			if err == nil && !slices.ContainsFunc(answer.Data, func(labels map[string]string) bool { return maps.Equal(labels, want) }) {
				err = fmt.Errorf("there are %v, want %v", answer.Data, want)
			}
			return err
		})
	}
}

// container of a name that runs, by the name that Podman knows it by: POD.NAME.
func (w *watched) container(t *testing.T, name string) string {
	t.Helper()
	var found []string
	eventually(t, "one container "+name, patience, func() error { // one before it may be leaving
		if found = strings.Fields(w.podman(t, "ps", "--filter", "name=[.]"+name+"$", "--format", "{{.Names}}")); len(found) != 1 {
			return fmt.Errorf("there are %v", found)
		}
		return nil
	})
	return found[0]
}

// serverErrors is how often mime-server is made to fail. Each time, it tells of the cause, and of the request.
const serverErrors = 3

// errors of mime-server are found, each of them, and counted by service over an hour.
func (w *watched) errors(t *testing.T) {
	const failed, byService = `{service="mime-server"} | json | status="error"`, `sum by (service) (count_over_time({stack="mockup"} | json | status="error" [1h]))`
	before, err := numbers(byService, "service")
	must(t, err)
	w.failServer(t)
	eventually(t, failed, patience, func() error {
		found, err := lines(failed + ` | msg="request" | code="500" | path="/files/unreadable"`)
		if err == nil && len(found) != serverErrors {
			err = fmt.Errorf("there are %d requests that failed, want %d: %v", len(found), serverErrors, found)
		}
		return err
	})
	eventually(t, byService, patience, func() error {
		after, err := numbers(byService, "service")
		if err == nil && after["mime-server"]-before["mime-server"] != 2*serverErrors {
			err = fmt.Errorf("they were %v and are %v, want %d more of mime-server", before, after, 2*serverErrors)
		}
		for _, healthy := range []string{"public-app", "intranet-api"} {
			if err == nil && after[healthy] != before[healthy] {
				err = fmt.Errorf("%s had %v and has %v errors", healthy, before[healthy], after[healthy])
			}
		}
		return err
	})
}

// failServer asks mime-server for a file that it may not read. It is asked itself, since what the gateway answers is counted
// elsewhere.
func (w *watched) failServer(t *testing.T) {
	t.Helper()
	const name = "unreadable"
	_, err := stacktest.Upload(t.Context(), w.visitor, name, []byte("secret"))
	must(t, err)
	folder := w.podman(t, "volume", "inspect", "--format", "{{.Mountpoint}}", "default-mockup-mime-storage")
	file := filepath.Join(folder, name)
	must(t, os.Chmod(file, 0))
	defer func() { must(t, os.Remove(file)) }()
	for range serverErrors {
		resp, err := http.Get("http://" + mimeServerAddress + "/files/" + name)
		must(t, err)
		_ = resp.Body.Close()
		if resp.StatusCode != http.StatusInternalServerError {
			t.Fatalf("mime-server answers %s", resp.Status)
		}
	}
}

// mimeServerAddress is where the sample has it.
const mimeServerAddress = "172.18.0.4:8000"
