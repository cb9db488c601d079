package load

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// TestStall has a service answer nobody for a while: all who came meanwhile must show it, not one of them.
func TestStall(t *testing.T) {
	const stall = 300 * time.Millisecond
	var begin atomic.Pointer[time.Time]
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		now := time.Now()
		begin.CompareAndSwap(nil, &now)
		time.Sleep(time.Until(begin.Load().Add(stall)))
		if !r.Close {
			t.Error("a connection was to serve a second request")
		}
	}))
	defer server.Close()
	r := run(t, 100, time.Second, 500*time.Millisecond, func(ctx context.Context, c *http.Client, _ int) error {
		_, err := Ask(ctx, c, http.StatusOK, http.MethodGet, server.URL, nil)
		return err
	})
	slow := 0
	for _, x := range r.Results {
		if x.Latency > stall/2 {
			slow++
		}
	}
	if slow < 12 || len(r.Failures()) > 0 {
		t.Errorf("%d requests were slow, want about 15; failures: %v", slow, r.Failures())
	}
}

// TestGap has a service fail for a while.
func TestGap(t *testing.T) {
	r := run(t, 100, time.Second, 600*time.Millisecond, func(_ context.Context, _ *http.Client, number int) error {
		if number >= 10 && number < 30 {
			return errors.New("away")
		}
		return nil
	})
	if len(r.Failures()) != 20 {
		t.Errorf("%d requests failed, want 20", len(r.Failures()))
	}
	if gap := r.Gap(); gap < 200*time.Millisecond || gap > 220*time.Millisecond {
		t.Errorf("the gap is %s, want 210ms", gap)
	}
	if n := len(r.Between(100*time.Millisecond, 190*time.Millisecond).Failures()); n != 10 {
		t.Errorf("%d of the failures were due in the first half of the gap, want 10", n)
	}
	if gap := r.Between(250*time.Millisecond, 500*time.Millisecond).Gap(); gap < 40*time.Millisecond || gap > 60*time.Millisecond {
		t.Errorf("the gap from 250 ms on is %s, want 50ms", gap)
	}
	var text strings.Builder
	r.Print(&text)
	if !strings.Contains(text.String(), "at 100ms") || !strings.Contains(text.String(), "away") {
		t.Errorf("the report does not tell of the first failure:\n%s", text.String())
	}
}

// TestTimeout gives up on a request that is never answered.
func TestTimeout(t *testing.T) {
	r := run(t, 10, 50*time.Millisecond, 150*time.Millisecond, func(ctx context.Context, _ *http.Client, _ int) error {
		<-ctx.Done()
		return ctx.Err()
	})
	if len(r.Failures()) != len(r.Results) || len(r.Results) == 0 {
		t.Errorf("of %d requests that were never answered %d failed", len(r.Results), len(r.Failures()))
	}
}

// TestStopsByItself is a run that nobody ends.
func TestStopsByItself(t *testing.T) {
	var sent atomic.Int64
	r, err := Start(t.Context(), Options{Rate: 100, Timeout: time.Second, AtMost: 100 * time.Millisecond, Client: http.DefaultClient},
		Kind{Name: "any", Share: 1, Do: func(context.Context, *http.Client, int) error { sent.Add(1); return nil }})
	if err != nil {
		t.Fatal(err)
	}
	r.sending.Wait()
	if n := sent.Load(); n < 8 || n > 30 { // a busy machine ends it late
		t.Errorf("%d requests were sent in 100 ms at 100/s, want 10", n)
	}
}

// TestLate finds out a sender that does not keep its rate.
func TestLate(t *testing.T) {
	good := Report{Rate: 100, Lasted: time.Second, Results: make([]Result, 100)}
	if err := good.Kept(); err != nil {
		t.Errorf("100 requests in time are complained of: %v", err)
	}
	few := good
	few.Results = good.Results[:97]
	late := Report{Rate: 100, Lasted: time.Second, Results: make([]Result, 100)}
	late.Results[50].Late = 2 * mostLate
	for what, r := range map[string]Report{"97 of 100 requests": few, "one sent late": late} {
		if r.Kept() == nil {
			t.Errorf("%s: nobody noticed", what)
		}
	}
}

func TestTurns(t *testing.T) {
	got := takeTurns([]Kind{{Share: 3}, {Share: 1}, {Share: 0}})
	if len(got) != 4 || got[0] != 0 || got[1]+got[2] != 1 || got[3] != 0 {
		t.Errorf("turns are %v, want the second kind once in the middle", got)
	}
}

// TestOnlyHere must not send a single packet elsewhere.
func TestOnlyHere(t *testing.T) {
	c, err := NewClient(nil, "")
	if err != nil {
		t.Fatal(err)
	}
	_, err = Ask(t.Context(), c, http.StatusOK, http.MethodGet, "http://192.0.2.1/", nil) // RFC 5737
	if err == nil || !strings.Contains(err.Error(), "this machine only") {
		t.Errorf("connecting to a foreign address: %v", err)
	}
}

func run(t *testing.T, rate int, timeout, lasting time.Duration, do func(context.Context, *http.Client, int) error) Report {
	t.Helper()
	c, err := NewClient(nil, "")
	if err != nil {
		t.Fatal(err)
	}
	r, err := Start(t.Context(), Options{Rate: rate, Timeout: timeout, AtMost: time.Minute, Client: c}, Kind{Name: "any", Share: 1, Do: do})
	if err != nil {
		t.Fatal(err)
	}
	time.Sleep(lasting) // it is what is measured
	return r.Stop()
}
