package observability

import (
	"fmt"
	"io"
	"net/http"
	"net/url"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// inGrafana is the address of a path of Grafana, as admin.
func inGrafana(path string) string {
	return asUser("admin", passwordOfAdmin) + path
}

func asUser(login, password string) string {
	address, _ := url.Parse(grafana)
	address.User = url.UserPassword(login, password)
	return address.String()
}

func (w *watched) dashboards(t *testing.T) {
	if found := w.boards(t); len(found) < 8 {
		t.Errorf("there are %d dashboards: %v", len(found), found)
	}
	var sources []struct{ UID string }
	must(t, get(inGrafana("/api/datasources"), nil, &sources))
	for _, uid := range []string{"prometheus", "loki", "jaeger", "alertmanager"} {
		if !slices.ContainsFunc(sources, func(s struct{ UID string }) bool { return s.UID == uid }) {
			t.Errorf("there is no data source %s: %v", uid, sources)
		}
	}
	resp, err := http.Get(grafana + "/api/search")
	must(t, err)
	_, _ = io.Copy(io.Discard, resp.Body)
	_ = resp.Body.Close()
	if resp.StatusCode != http.StatusUnauthorized {
		t.Errorf("without a password, Grafana answers %s", resp.Status)
	}
}

// board is a dashboard as Grafana has it.
type board struct {
	UID, Title string
	Links      []struct {
		Type string
		Tags []string
	}
	Panels []struct {
		Title   string
		Targets []target
	}
	Templating struct {
		List []struct {
			Name       string
			Query      any
			Datasource struct{ UID string }
		}
	}
}

// target is a query of a panel.
type target struct {
	Expr, QueryType string
	Datasource      struct{ UID string }
}

func (w *watched) boards(t *testing.T) []board {
	t.Helper()
	var found []struct{ UID string }
	must(t, get(inGrafana("/api/search?type=dash-db"), nil, &found))
	var all []board
	for _, f := range found {
		all = append(all, w.board(t, f.UID))
	}
	return all
}

func (w *watched) board(t *testing.T, uid string) board {
	t.Helper()
	var answer struct{ Dashboard board }
	must(t, get(inGrafana("/api/dashboards/uid/"+uid), nil, &answer))
	return answer.Dashboard
}

// chosen fills in what Grafana's page would: the variables of a dashboard, all services chosen.
var chosen = strings.NewReplacer("$__rate_interval", "1m", "$__auto", "1m", "$stack", "mockup", "$service", ".+")

// proxied asks a data source by Grafana's proxy, and returns what it found.
func (w *watched) proxied(t *testing.T, q target) (found int, err error) {
	t.Helper()
	now := time.Now()
	begin := now.Add(-30 * time.Minute)
	path, query := "/api/v1/query_range", url.Values{}
	query.Set("query", chosen.Replace(q.Expr))
	query.Set("start", strconv.FormatInt(begin.Unix(), 10))
	query.Set("end", strconv.FormatInt(now.Unix(), 10))
	query.Set("step", "15")
	switch {
	case q.Datasource.UID == "loki":
		path = "/loki" + path
	case q.QueryType == "search":
		path, query = "/api/traces", url.Values{"service": {"mime-server"}, "limit": {"50"}, "lookback": {"1h"}}
	case q.QueryType == "dependencyGraph":
		path, query = "/api/dependencies", url.Values{"endTs": {strconv.FormatInt(now.UnixMilli(), 10)}, "lookback": {"3600000"}}
	}
	var answer struct{ Data any }
	err = get(inGrafana("/api/datasources/proxy/uid/"+q.Datasource.UID+path), query, &answer)
	data := answer.Data
	if whole, ok := data.(map[string]any); ok {
		data = whole["result"]
	}
	list, _ := data.([]any)
	return len(list), err
}

// panels has every query of every panel answered without an error, and with something.
func (w *watched) panels(t *testing.T) {
	asked := 0
	for _, b := range w.boards(t) {
		for _, p := range b.Panels {
			for _, q := range p.Targets {
				asked++
				eventually(t, fmt.Sprintf("%s, %s: %s%s", b.Title, p.Title, q.Expr, q.QueryType), patience, func() error {
					found, err := w.proxied(t, q)
					if err == nil && found == 0 {
						err = fmt.Errorf("nothing is found")
					}
					return err
				})
			}
		}
		for _, v := range b.Templating.List {
			w.choices(t, b.Title, v.Name, v.Datasource.UID, v.Query)
		}
	}
	if asked < 40 {
		t.Errorf("there are %d queries", asked)
	}
}

var labelValues = regexp.MustCompile(`^label_values\((.+), (\w+)\)$`)

// choices of a variable have the sample's stack, or its services, among them.
func (w *watched) choices(t *testing.T, title, name, source string, query any) {
	t.Helper()
	path, values := "", url.Values{}
	switch q := query.(type) {
	case string:
		m := labelValues.FindStringSubmatch(q)
		if m == nil {
			t.Errorf("%s, %s: %q is no query of values", title, name, q)
			return
		}
		path = "/api/v1/label/" + m[2] + "/values"
		values.Set("match[]", chosen.Replace(m[1]))
	case map[string]any:
		path = fmt.Sprintf("/loki/api/v1/label/%s/values", q["label"])
		if stream, _ := q["stream"].(string); stream != "" {
			values.Set("query", chosen.Replace(stream))
		}
	}
	var answer struct{ Data []string }
	must(t, get(inGrafana("/api/datasources/proxy/uid/"+source+path), values, &answer))
	want := map[string]string{"stack": "mockup", "service": "mime-server"}[name]
	if want == "" || !slices.Contains(answer.Data, want) {
		t.Errorf("%s: %s may be chosen among %v, want %q", title, name, answer.Data, want)
	}
}

// asGrafanaSays compares the figures of the dashboard, by its own queries and Grafana's proxy, with what Prometheus says.
func (w *watched) asGrafanaSays(t *testing.T) {
	at := strconv.FormatInt(time.Now().Add(-scrapePause).Unix(), 10)
	compared := 0
	for _, p := range w.board(t, "mockup-levels").Panels {
		for _, q := range p.Targets {
			query := url.Values{"query": {chosen.Replace(q.Expr)}, "time": {at}}
			var direct, shown struct{ Data struct{ Result []any } }
			must(t, get(prometheus+"/api/v1/query", query, &direct))
			must(t, get(inGrafana("/api/datasources/proxy/uid/prometheus/api/v1/query"), query, &shown))
			if len(shown.Data.Result) == 0 || !reflect.DeepEqual(direct, shown) {
				t.Errorf("%s: Grafana shows %v, Prometheus has %v", p.Title, shown, direct)
			}
			compared++
		}
	}
	if compared < 8 {
		t.Errorf("%d figures were compared", compared)
	}
}

// scrapePause is longer than it takes until what was true at a time is recorded.
const scrapePause = 10 * time.Second

// links lead from a line to its trace and back, from a sample to its trace, from a trace to what was measured, from an alert to
// its dashboard and its runbook, and from a dashboard to the others.
func (w *watched) links(t *testing.T) {
	source := func(uid string) map[string]any {
		var answer struct{ JSONData map[string]any }
		must(t, get(inGrafana("/api/datasources/uid/"+uid), nil, &answer))
		return answer.JSONData
	}
	field := source("loki")["derivedFields"].([]any)[0].(map[string]any)
	found, err := lines(`{service="mime-server"} | json | trace_id!=""`)
	must(t, err)
	if len(found) == 0 {
		t.Fatal("no line has a trace")
	}
	m := regexp.MustCompile(field["matcherRegex"].(string)).FindStringSubmatch(found[0])
	if m == nil {
		t.Fatalf("%v finds no trace in %s", field["matcherRegex"], found[0])
	}
	proxy := "/api/datasources/proxy/uid/"
	var traces struct{ Data []trace }
	must(t, get(inGrafana(proxy+field["datasourceUid"].(string)+"/api/traces/"+m[1]), nil, &traces))
	if len(traces.Data) != 1 {
		t.Errorf("trace %s is there %d times", m[1], len(traces.Data))
	}
	jaeger := source("jaeger")
	back := jaeger["tracesToLogsV2"].(map[string]any)
	query := strings.NewReplacer("${__tags}", `service="mime-server"`, "${__trace.traceId}", m[1]).Replace(back["query"].(string))
	if found, err := w.proxied(t, target{Expr: query, Datasource: struct{ UID string }{back["datasourceUid"].(string)}}); err != nil || found == 0 {
		t.Errorf("%s: found %d (%v)", query, found, err)
	}
	measured := jaeger["tracesToMetrics"].(map[string]any)
	for _, q := range measured["queries"].([]any) {
		query := strings.ReplaceAll(q.(map[string]any)["query"].(string), "$__tags", `service="mime-server"`)
		if found, err := w.proxied(t, target{Expr: query, Datasource: struct{ UID string }{measured["datasourceUid"].(string)}}); err != nil || found == 0 {
			t.Errorf("%s: found %d (%v)", query, found, err)
		}
	}
	var alerts struct {
		Data struct {
			Groups []struct {
				Rules []struct {
					Type        string
					Annotations map[string]string
				}
			}
		}
	}
	must(t, get(prometheus+"/api/v1/rules?type=alert", nil, &alerts))
	seen := map[string]bool{}
	for _, g := range alerts.Data.Groups {
		for _, r := range g.Rules {
			for kind, follow := range map[string]func(*testing.T, string){"dashboard": w.toDashboard, "runbook_url": w.toRunbook} {
				if link := r.Annotations[kind]; !seen[link] {
					seen[link] = true
					follow(t, link)
				}
			}
		}
	}
	if len(seen) < 20 {
		t.Errorf("alerts lead to %v", seen)
	}
	w.exemplars(t, source("prometheus"))
	w.dropDown(t)
}

// exemplars are samples that lead to a trace, as the data source says.
func (w *watched) exemplars(t *testing.T, prometheus map[string]any) {
	t.Helper()
	destination := prometheus["exemplarTraceIdDestinations"].([]any)[0].(map[string]any)
	proxy := inGrafana("/api/datasources/proxy/uid/")
	var answer struct {
		Data []struct {
			Exemplars []struct{ Labels map[string]string }
		}
	}
	now := time.Now()
	must(t, get(proxy+"prometheus/api/v1/query_exemplars", url.Values{
		"query": {`http_request_duration_seconds_bucket{service="mime-server"}`},
		"start": {strconv.FormatInt(now.Add(-time.Hour).Unix(), 10)}, "end": {strconv.FormatInt(now.Unix(), 10)},
	}, &answer))
	followed := map[string]bool{}
	for _, s := range answer.Data {
		for _, e := range s.Exemplars {
			id := e.Labels[destination["name"].(string)]
			if followed[id] || len(followed) == 3 {
				continue
			}
			followed[id] = true
			var traces struct{ Data []trace }
			must(t, get(proxy+destination["datasourceUid"].(string)+"/api/traces/"+id, nil, &traces))
			if len(traces.Data) != 1 || !slices.Contains(traces.Data[0].services(), "mime-server") {
				t.Errorf("a sample leads to trace %q, which is %+v", id, traces.Data)
			}
		}
	}
	if len(followed) == 0 {
		t.Error("no sample leads to a trace")
	}
}

// dropDown of each dashboard lists all of them.
func (w *watched) dropDown(t *testing.T) {
	t.Helper()
	all := w.boards(t)
	for _, b := range all {
		if len(b.Links) != 1 || b.Links[0].Type != "dashboards" || len(b.Links[0].Tags) == 0 {
			t.Errorf("%s has links %+v", b.Title, b.Links)
			continue
		}
		var listed []struct{ UID string }
		must(t, get(inGrafana("/api/search?type=dash-db&"+url.Values{"tag": b.Links[0].Tags}.Encode()), nil, &listed))
		if len(listed) != len(all) {
			t.Errorf("%s leads to %d of %d dashboards", b.Title, len(listed), len(all))
		}
	}
}
