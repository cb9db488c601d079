// Package load sends requests at times fixed beforehand, whatever becomes of those before: an open model, in which a service
// that stalls meets all who would have come meanwhile. Latency counts from the time when a request was due, so that a stall
// can't hide behind a sender that waits for it (coordinated omission), and the sender reports how late it was itself.
//
// It never sends a request twice, opens a connection for each, stops by itself, and talks to this machine alone.
package load

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"
)

// Options of Start. All are required.
type Options struct {
	// Rate is how many requests are sent in a second.
	Rate int
	// Timeout of a request, from when it is sent until its answer has been read and checked.
	Timeout time.Duration
	// AtMost is the time after which no more are sent, although nobody called Stop.
	AtMost time.Duration
	// Client of all requests, as of NewClient.
	Client *http.Client
}

// Kind of request.
type Kind struct {
	Name string
	// Share of all requests; it is set against the sum of all kinds'.
	Share int
	// Do sends the request with the given number, which is unique in a run, and checks the answer. An error is a failure.
	Do func(ctx context.Context, client *http.Client, number int) error
}

// Run is load under way.
type Run struct {
	options Options
	turns   []int // of kinds, by the number of a request modulo their count
	kinds   []Kind
	begin   time.Time
	stop    context.CancelFunc
	sending sync.WaitGroup

	mu      sync.Mutex
	results []Result
}

// Result of one request.
type Result struct {
	// Kind is the index among the kinds.
	Kind   int
	Number int
	// Due is when it was to be sent, after the beginning of the run; Late how much later it was sent.
	Due, Late time.Duration
	// Latency counts from Due.
	Latency time.Duration
	Err     error
}

// Start sends requests until Stop, the end of ctx, or o.AtMost.
func Start(ctx context.Context, o Options, kinds ...Kind) (*Run, error) {
	if o.Rate <= 0 || o.Timeout <= 0 || o.AtMost <= 0 || o.Client == nil {
		return nil, fmt.Errorf("starting load: rate, timeout, longest time and client must be given, got %+v", o)
	}
	turns := takeTurns(kinds)
	if len(turns) == 0 {
		return nil, errors.New("starting load: no kind of request has a share")
	}
	ctx, cancel := context.WithTimeout(ctx, o.AtMost)
	r := &Run{options: o, kinds: kinds, turns: turns, begin: time.Now(), stop: cancel}
	r.sending.Go(func() { r.send(ctx) })
	return r, nil
}

// takeTurns mixes the kinds evenly: each turn goes to the one that is furthest behind its share.
func takeTurns(kinds []Kind) []int {
	total := 0
	for _, k := range kinds {
		total += k.Share
	}
	owed := make([]int, len(kinds))
	turns := make([]int, 0, total)
	for range total {
		most := 0
		for i, k := range kinds {
			owed[i] += k.Share
			if owed[i] > owed[most] {
				most = i
			}
		}
		owed[most] -= total
		turns = append(turns, most)
	}
	return turns
}

// send starts each request when it is due, or at once when it is overdue.
func (r *Run) send(ctx context.Context) {
	var requests sync.WaitGroup
	defer requests.Wait()
	for number := 0; ; number++ {
		due := time.Duration(number) * time.Second / time.Duration(r.options.Rate)
		if !sleepUntil(ctx, r.begin.Add(due)) {
			return
		}
		requests.Go(func() { r.one(number, due) })
	}
}

func sleepUntil(ctx context.Context, at time.Time) bool {
	wait := time.Until(at)
	if wait <= 0 {
		return ctx.Err() == nil
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
		return ctx.Err() == nil
	case <-ctx.Done():
		return false
	}
}

// one request, which outlives the end of the run: it was sent, so its answer counts.
func (r *Run) one(number int, due time.Duration) {
	kind := r.turns[number%len(r.turns)]
	result := Result{Kind: kind, Number: number, Due: due, Late: time.Since(r.begin) - due}
	ctx, cancel := context.WithTimeout(context.Background(), r.options.Timeout)
	defer cancel()
	result.Err = r.kinds[kind].Do(ctx, r.options.Client, number)
	result.Latency = time.Since(r.begin) - due
	r.mu.Lock()
	defer r.mu.Unlock()
	r.results = append(r.results, result)
}

// Elapsed since the beginning of the run, to tell what happened when.
func (r *Run) Elapsed() time.Duration { return time.Since(r.begin) }

// Failed is how many requests have failed so far.
func (r *Run) Failed() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	n := 0
	for _, result := range r.results {
		if result.Err != nil {
			n++
		}
	}
	return n
}

// Stop sends no more, waits for all answers, and reports.
func (r *Run) Stop() Report {
	r.stop()
	lasted := r.Elapsed()
	r.sending.Wait()
	r.mu.Lock()
	defer r.mu.Unlock()
	return newReport(r.options, r.kinds, min(lasted, r.options.AtMost), r.results)
}
