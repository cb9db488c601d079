package observability

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"mockup.dev/mockup/test/stacktest"
)

// use the site as people do: a file by the page, which goes on to mime-server, and the inventory, which asks it, too; and
// something that is not there.
func (w *watched) use(t *testing.T) {
	t.Helper()
	_, err := stacktest.Upload(t.Context(), w.visitor, "observed.txt", []byte("seen"))
	must(t, err)
	for path, code := range map[string]int{"intranet/api/v1/stats": http.StatusOK, "files/there-is-none": http.StatusNotFound} {
		resp, err := w.visitor.Get(stacktest.URL + path)
		must(t, err)
		_ = resp.Body.Close()
		if resp.StatusCode != code {
			t.Fatalf("GET /%s: %s", path, resp.Status)
		}
	}
}

// series that a query finds, by its labels in the order of their names, with the values.
func series(query string) (map[string]float64, error) {
	var answer struct {
		Data struct {
			Result []struct {
				Metric map[string]string
				Value  [2]any
			}
		}
	}
	if err := get(prometheus+"/api/v1/query", url.Values{"query": {query}}, &answer); err != nil {
		return nil, err
	}
	found := map[string]float64{}
	for _, r := range answer.Data.Result {
		var labels []string
		for k, v := range r.Metric {
			labels = append(labels, k+"="+v)
		}
		slices.Sort(labels)
		text, _ := r.Value[1].(string)
		value, err := strconv.ParseFloat(text, 64)
		if err != nil {
			return nil, err
		}
		found[strings.Join(labels, ",")] = value
	}
	return found, nil
}

// targetsUp complains unless every target is up, and all that should be watched is a target.
func (w *watched) targetsUp() error {
	up, err := series("sum by (job) (up)")
	if err != nil {
		return err
	}
	for _, job := range []string{
		"mime-server", "public-app", "intranet-api", "gateway-exporter", "prometheus", "alertmanager", "loki", "promtail", "jaeger",
		"grafana", "mockup-operator",
	} {
		if up["job="+job] != 1 {
			return fmt.Errorf("job %s has %v targets that are up; all: %v", job, up["job="+job], up)
		}
	}
	down, err := series("up == 0")
	if err == nil && len(down) > 0 {
		err = fmt.Errorf("down are %v", down)
	}
	return err
}

func (w *watched) metrics(t *testing.T) {
	for what, query := range map[string]string{
		"requests of the gateway, counted from its log": `sum(http_requests_total{service="gateway",code="404"}) >= 1`,
		"durations of them":                             `sum(http_request_duration_seconds_count{service="gateway"}) >= 3`,
		"requests of a service":                         `sum(http_requests_total{service="mime-server"}) >= 2`,
		"connections of nginx":                          `nginx_up == 1`,
		"memory of a container":                         `container_memory_working_set_bytes{namespace="default",container="mime-server"} > 1e6`,
		"processor time of a container":                 `container_cpu_usage_seconds_total{namespace="default",container="mime-server"} > 0`,
		"restarts":                                      `kube_pod_container_status_restarts_total{namespace="default",container="mime-server"} >= 0`,
		"a volume's use against its size":               `kubelet_volume_stats_used_bytes{persistentvolumeclaim="mockup-mime-storage"} / kubelet_volume_stats_capacity_bytes < 1`,
		"the end of the certificate":                    `mockup_certificate_expiry_timestamp_seconds{stack="mockup"} - time() > 86400`,
		"availability":                                  `availability_percentage{service="gateway"} == 100`,
		"error rate":                                    `error_rate_percentage{service="gateway"} == 0`,
		"latency":                                       `latency_p95_seconds{service="gateway"} < 1`,
		"error budget":                                  `error_budget_remaining_percent{service="gateway"} == 100`,
		"violations":                                    `sla_violations_total{service="gateway"} == 0`,
	} {
		looks := 0
		eventually(t, what+": "+query, patience, func() error {
			found, err := series(query)
			if err == nil && len(found) == 0 {
				if looks++; looks%10 == 1 {
					w.use(t) // a rate needs a second look
				}
				err = fmt.Errorf("nothing is found")
			}
			return err
		})
	}
	var answer struct {
		Data struct {
			Groups []struct {
				Name  string
				Rules []struct{ Name, Health, LastError string }
			}
		}
	}
	must(t, get(prometheus+"/api/v1/rules", nil, &answer))
	rules := 0
	for _, g := range answer.Data.Groups {
		for _, r := range g.Rules {
			if rules++; r.Health != "ok" {
				t.Errorf("rule %s of %s is %s: %s", r.Name, g.Name, r.Health, r.LastError)
			}
		}
	}
	if rules == 0 {
		t.Error("there are no rules")
	}
}

// trace is one of Jaeger's.
type trace struct {
	TraceID   string
	Processes map[string]struct{ ServiceName string }
}

func (t trace) services() []string {
	var all []string
	for _, p := range t.Processes {
		all = append(all, p.ServiceName)
	}
	slices.Sort(all)
	return slices.Compact(all)
}

func (w *watched) traces(t *testing.T) {
	for _, service := range []string{"public-app", "intranet-api"} {
		eventually(t, "a trace from "+service+" to mime-server", patience, func() error {
			var answer struct{ Data []trace }
			if err := get(jaeger+"/api/traces", url.Values{"service": {service}, "limit": {"20"}, "lookback": {"1h"}}, &answer); err != nil {
				return err
			}
			for _, one := range answer.Data {
				if s := one.services(); slices.Contains(s, service) && slices.Contains(s, "mime-server") {
					// The way back: the gateway's log has the trace, and its request.
					found, err := lines(fmt.Sprintf(`{service="gateway"} | json | trace_id=%q | request_id!=""`, one.TraceID))
					if err == nil && len(found) == 0 {
						err = fmt.Errorf("no line of the gateway's log has trace %s", one.TraceID)
					}
					return err
				}
			}
			return fmt.Errorf("none of %d traces has both", len(answer.Data))
		})
	}
}

// dependencies are who asks whom, by the traces.
func (w *watched) dependencies(t *testing.T) {
	for _, parent := range []string{"public-app", "intranet-api"} {
		eventually(t, "the graph to show that "+parent+" asks mime-server", patience, func() error {
			var answer struct {
				Data []struct {
					Parent, Child string
					CallCount     int
				}
			}
			query := url.Values{"endTs": {strconv.FormatInt(time.Now().UnixMilli(), 10)}, "lookback": {strconv.FormatInt(time.Hour.Milliseconds(), 10)}}
			if err := get(jaeger+"/api/dependencies", query, &answer); err != nil {
				return err
			}
			for _, d := range answer.Data {
				if d.Parent == parent && d.Child == "mime-server" && d.CallCount > 0 {
					return nil
				}
			}
			return fmt.Errorf("it has %+v", answer.Data)
		})
	}
}

func (w *watched) status(t *testing.T) {
	eventually(t, "the status to tell of targets, logs, traces and versions", patience, func() error {
		s := w.addon(t).Status
		up, all, _ := strings.Cut(s.Targets, "/")
		if s.Ready != "7/7" || up != all || up == "" || s.LastLogTime == nil || s.LastTraceTime == nil {
			return fmt.Errorf("ready %q, targets %q, last log %v, last trace %v", s.Ready, s.Targets, s.LastLogTime, s.LastTraceTime)
		}
		for _, c := range s.Components {
			if c.Version == "" || c.Endpoint == "" {
				return fmt.Errorf("%s has version %q and endpoint %q", c.Name, c.Version, c.Endpoint)
			}
		}
		return nil
	})
}
