package observability

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"maps"
	"math"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"mockup.dev/mockup/api/v1alpha1"
	"mockup.dev/mockup/test/stacktest"
)

// The known mix of requests: those that are slow take longer than what is agreed, a second.
const (
	mixGood    = 38
	mixFailing = 2
	mixSlow    = 20
	slowness   = 1200 * time.Millisecond
)

// addBroken adds a route to a service without pods: whoever takes it gets 502.
func addBroken(s *v1alpha1.MockupStack) {
	none := int32(0)
	broken := *mimeServer(s).DeepCopy()
	broken.Name, broken.Replicas, broken.MetricsPort, broken.Env, broken.VolumeMounts = "broken", &none, 0, nil, nil
	broken.Networks = []v1alpha1.NetworkAttachment{{Name: "public"}}
	s.Spec.Services = append(s.Spec.Services, broken)
	s.Spec.Gateway.Routes = append(s.Spec.Gateway.Routes, v1alpha1.Route{Path: "/broken", Service: "broken"})
}

// counter of the answers that a client got, by code.
type counter struct {
	http.RoundTripper
	mu    sync.Mutex
	codes map[string]int
}

// count what client gets from now on.
func count(client *http.Client) *counter {
	c := &counter{RoundTripper: client.Transport, codes: map[string]int{}}
	client.Transport = c
	return c
}

// RoundTrip implements http.RoundTripper.
func (c *counter) RoundTrip(r *http.Request) (*http.Response, error) {
	resp, err := c.RoundTripper.RoundTrip(r)
	if err == nil {
		c.mu.Lock()
		c.codes[strconv.Itoa(resp.StatusCode)]++
		c.mu.Unlock()
	}
	return resp, err
}

func (c *counter) all() map[string]int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return maps.Clone(c.codes)
}

// ask the gateway, and forget the answer.
func (w *watched) ask(ctx context.Context, method, path string, body io.Reader) error {
	req, err := http.NewRequestWithContext(ctx, method, stacktest.URL+path, body)
	if err != nil {
		return err
	}
	resp, err := w.visitor.Do(req)
	if err != nil {
		return err
	}
	_, err = io.Copy(io.Discard, resp.Body)
	_ = resp.Body.Close()
	return err
}

// slowBody is there at once but for its end.
type slowBody struct {
	io.Reader
	late bool
}

func (b *slowBody) Read(p []byte) (int, error) {
	n, err := b.Reader.Read(p)
	if err == io.EOF && !b.late {
		b.late = true
		time.Sleep(slowness) // it is what is slow
	}
	return n, err
}

// counted is what Prometheus has read of the gateway's requests, by code.
func counted() (map[string]float64, error) {
	found, err := series(`sum by (code) (http_requests_total{service="gateway"})`)
	byCode := map[string]float64{}
	for labels, n := range found {
		byCode[strings.TrimPrefix(labels, "code=")] = n
	}
	return byCode, err
}

// mix sends the requests, and finds each of them counted.
func (w *watched) mix(t *testing.T) {
	one := func(method, path string, body io.Reader) { must(t, w.ask(t.Context(), method, path, body)) }
	// A rate begins with the second look at a series, so each code is there before.
	one(http.MethodGet, "broken", nil)
	one(http.MethodPut, "files/first", strings.NewReader("x"))
	var before map[string]float64
	sent := w.sent.all()
	eventually(t, "each code to be counted", patience, func() error {
		var err error
		before, err = counted()
		for code, n := range sent {
			if err == nil && before[code] < float64(n) {
				err = fmt.Errorf("%s was sent %d times, counted are %v", code, n, before)
			}
		}
		return err
	})
	eventually(t, "mime-server to tell of the first", patience, func() error {
		found, err := series(`http_requests_total{service="mime-server",method="PUT"}`)
		if err == nil && len(found) == 0 {
			err = fmt.Errorf("it does not")
		}
		return err
	})
	var all sync.WaitGroup
	for i := range mixSlow {
		all.Go(func() {
			if err := w.ask(t.Context(), http.MethodPut, fmt.Sprintf("files/slow-%d", i), &slowBody{Reader: bytes.NewReader(make([]byte, 1024))}); err != nil {
				t.Error(err)
			}
		})
	}
	for range mixGood {
		one(http.MethodGet, "", nil)
	}
	for range mixFailing {
		one(http.MethodGet, "broken", nil)
	}
	all.Wait()
	if now := w.sent.all(); now["502"]-sent["502"] != mixFailing || now["200"]-sent["200"] != mixGood || now["201"]-sent["201"] != mixSlow {
		t.Fatalf("answers before %v, after %v", sent, now)
	}
	eventually(t, "mime-server to tell of the slow ones", patience, func() error {
		found, err := series(fmt.Sprintf(`sum(http_request_duration_seconds_count{service="mime-server"}) - ignoring (le) sum(http_request_duration_seconds_bucket{service="mime-server",le="1.0"}) >= %d`, mixSlow))
		if err == nil && len(found) == 0 {
			err = fmt.Errorf("it does not")
		}
		return err
	})
	eventually(t, "each request to be counted once", patience, func() error {
		now, err := counted()
		for code, n := range w.sent.all() {
			if more := now[code] - before[code]; err == nil && more != float64(n-sent[code]) {
				err = fmt.Errorf("%s was sent %d times, and counted %v times", code, n-sent[code], more)
			}
		}
		return err
	})
}

// growth is by how much the series of a range, e.g. a[5m], have grown within it.
func growth(t *testing.T, query string) float64 {
	t.Helper()
	var answer struct {
		Data struct {
			Result []struct{ Values [][2]any }
		}
	}
	must(t, get(prometheus+"/api/v1/query", url.Values{"query": {query}}, &answer))
	sum := 0.0
	for _, r := range answer.Data.Result {
		last, first := number(t, r.Values[len(r.Values)-1]), number(t, r.Values[0])
		if last < first {
			t.Fatalf("%s: a counter went back from %v to %v", query, first, last)
		}
		sum += last - first
	}
	return sum
}

func number(t *testing.T, sample [2]any) float64 {
	t.Helper()
	text, _ := sample[1].(string)
	n, err := strconv.ParseFloat(text, 64)
	must(t, err)
	return n
}

// figures of objectives are what arithmetic makes of the requests that were counted, in Prometheus, and on the dashboard by
// Grafana's own way to it.
func (w *watched) figures(t *testing.T) {
	const all, buckets = `http_requests_total{service="gateway"}`, `http_request_duration_seconds_bucket{service="gateway",le="%s"}`
	requests := growth(t, all+"[1h]")
	failed := growth(t, `http_requests_total{service="gateway",code=~"5.."}[1h]`)
	late := requests - growth(t, fmt.Sprintf(buckets, "0.5")+"[1h]")
	if failed != mixFailing || late < mixSlow || late > mixSlow+2 {
		t.Fatalf("of %v requests, %v failed, want %d, and %v were late, want %d", requests, failed, mixFailing, late, mixSlow)
	}
	t.Logf("%v requests, of which %v failed and %v were late", requests, failed, late)
	// Prometheus takes a series to have begun up to half an interval before its first look, which counts more for those that
	// began later, as that of failures did. What is compared is what failed: it is little beside a hundred.
	const tolerance = 0.05
	for query, want := range map[string]float64{
		`100 - availability_percentage{service="gateway"}`:                       100 * failed / requests,
		`error_rate_percentage{service="gateway"}`:                               100 * failed / requests,
		`100 - error_budget_remaining_percent{objective="gateway-availability"}`: 100 * failed / requests / 0.0005,
		`100 - error_budget_remaining_percent{objective="gateway-errors"}`:       100 * failed / requests / 0.0001,
		`100 - error_budget_remaining_percent{objective="gateway-latency"}`:      100 * late / requests / 0.05,
		`sla:sli_error:ratio_rate5m{objective="gateway-latency"} > bool 0.05`:    1,
	} {
		eventually(t, query, patience, func() error {
			found, err := series(query)
			for _, got := range found {
				if math.Abs(got-want) > tolerance*math.Abs(want) {
					err = fmt.Errorf("it is %v, want %v", got, want)
				}
			}
			if err == nil && len(found) != 1 {
				err = fmt.Errorf("it is %v, want one, %v", found, want)
			}
			return err
		})
	}
	w.percentile(t)
	w.asGrafanaSays(t)
}

// percentile of the last five minutes, between the bounds of the histogram as Prometheus puts it.
func (w *watched) percentile(t *testing.T) {
	bounds := []string{"0.5", "1.0", "2.5", "5.0"}
	eventually(t, "95 of 100 requests to take as long as they do", patience, func() error {
		var below []float64
		for _, le := range bounds {
			below = append(below, growth(t, fmt.Sprintf(`http_request_duration_seconds_bucket{service="gateway",le=%q}[5m]`, le)))
		}
		rank := 0.95 * growth(t, `http_request_duration_seconds_bucket{service="gateway",le="+Inf"}[5m]`)
		i := slices.IndexFunc(below, func(n float64) bool { return n >= rank })
		if i < 1 {
			return fmt.Errorf("counted by bounds %v are %v, which tells nothing", bounds, below)
		}
		low, _ := strconv.ParseFloat(bounds[i-1], 64)
		high, _ := strconv.ParseFloat(bounds[i], 64)
		want := low + (high-low)*(rank-below[i-1])/(below[i]-below[i-1])
		found, err := series(`latency_p95_seconds{service="gateway"}`)
		if err == nil && (len(found) != 1 || want < 1) {
			err = fmt.Errorf("found %v, want %v", found, want)
		}
		for _, got := range found {
			if math.Abs(got-want) > 0.1*want {
				err = fmt.Errorf("they take %v s, want %v", got, want)
			}
		}
		return err
	})
}

// violations are counted: of the moments, five minutes apart, those at which more failed than is agreed.
func (w *watched) violations(t *testing.T) {
	for objective, budget := range map[string]float64{"gateway-availability": 0.001, "gateway-errors": 0.001, "gateway-latency": 0.05} {
		// A moment may be five minutes away.
		eventually(t, "the violations of "+objective+" to be counted", 5*time.Minute+patience, func() error {
			found, err := series(fmt.Sprintf(`sla_violations_total{objective=%q,service="gateway"}`, objective))
			if err != nil {
				return err
			}
			want := violated(t, objective, budget)
			for _, n := range found {
				if n != want || n < 1 {
					err = fmt.Errorf("they are %v, want %v, at least 1", n, want)
				}
			}
			if err == nil && len(found) != 1 {
				err = fmt.Errorf("there are %v", found)
			}
			return err
		})
	}
}

// violated is at how many moments a larger part of the requests failed an objective than its budget.
func violated(t *testing.T, objective string, budget float64) float64 {
	t.Helper()
	var answer struct {
		Data struct {
			Result []struct{ Values [][2]any }
		}
	}
	must(t, get(prometheus+"/api/v1/query", url.Values{"query": {fmt.Sprintf(`sla:sli_error:ratio_rate5m{objective=%q}[2h:5m]`, objective)}}, &answer))
	n := 0.0
	for _, r := range answer.Data.Result {
		for _, v := range r.Values {
			if number(t, v) > budget {
				n++
			}
		}
	}
	return n
}
