package load

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"slices"
	"text/tabwriter"
	"time"
)

// What a sender may be late by before its figures are no evidence: a stall of the sender hides one of the service that is as
// long at most.
const (
	mostLate = time.Second
	lateOf99 = 250 * time.Millisecond // 99 of 100 requests
	mostLost = 0.01                   // share of the requests that were to be sent
)

// Report of a run.
type Report struct {
	Rate int
	// Begin is when the first request was due, after the beginning of the run.
	Begin, Lasted time.Duration
	Kinds         []Kind
	// Results of all requests, in the order in which they were due.
	Results []Result
}

func newReport(o Options, kinds []Kind, lasted time.Duration, results []Result) Report {
	sorted := slices.SortedFunc(slices.Values(results), func(a, b Result) int { return cmp.Compare(a.Due, b.Due) })
	return Report{Rate: o.Rate, Lasted: lasted, Kinds: kinds, Results: sorted}
}

// Failures are the results with an error.
func (r Report) Failures() []Result {
	return slices.DeleteFunc(slices.Clone(r.Results), func(x Result) bool { return x.Err == nil })
}

// Gap is the longest time within which no request that was due then succeeded: about the pause between two requests when
// nothing failed.
func (r Report) Gap() time.Duration {
	longest, last := time.Duration(0), r.Begin
	for _, x := range r.Results {
		if x.Err == nil {
			longest, last = max(longest, x.Due-last), x.Due
		}
	}
	if len(r.Results) > 0 {
		longest = max(longest, r.Results[len(r.Results)-1].Due-last)
	}
	return longest
}

// Between keeps the requests that were due in the given time after the beginning.
func (r Report) Between(from, to time.Duration) Report {
	r.Results = slices.DeleteFunc(slices.Clone(r.Results), func(x Result) bool { return x.Due < from || x.Due > to })
	r.Begin, r.Lasted = from, to-from
	return r
}

// Kept is nil if the rate was kept and the sender was in time; else the figures say less than they seem to.
func (r Report) Kept() error {
	late := percentiles(r.Results, func(x Result) time.Duration { return x.Late })
	wanted := float64(r.Rate) * r.Lasted.Seconds()
	var broken []error
	if float64(len(r.Results)) < (1-mostLost)*wanted-1 {
		broken = append(broken, fmt.Errorf("%d requests were sent in %s, not %.0f", len(r.Results), r.Lasted, wanted))
	}
	if late.of99 > lateOf99 || late.most > mostLate {
		broken = append(broken, fmt.Errorf("the sender was late: %s for 99 of 100 requests, %s at most; allowed are %s and %s",
			round(late.of99), round(late.most), lateOf99, mostLate))
	}
	return errors.Join(broken...)
}

type figures struct{ of50, of95, of99, most time.Duration }

func percentiles(results []Result, of func(Result) time.Duration) figures {
	if len(results) == 0 {
		return figures{}
	}
	values := make([]time.Duration, 0, len(results))
	for _, r := range results {
		values = append(values, of(r))
	}
	slices.Sort(values)
	at := func(share int) time.Duration { return values[min(len(values)-1, len(values)*share/100)] }
	return figures{at(50), at(95), at(99), values[len(values)-1]}
}

// Print writes a table: latency by kind, the sender's lateness, and the first failures.
func (r Report) Print(out io.Writer) {
	t := tabwriter.NewWriter(out, 0, 0, 3, ' ', tabwriter.AlignRight)
	row := func(name string, sent, failed int, f figures) {
		fmt.Fprintf(t, "%s\t%d\t%d\t%s\t%s\t%s\t%s\t\n", name, sent, failed, round(f.of50), round(f.of95), round(f.of99), round(f.most))
	}
	fmt.Fprintf(t, "%d requests/s for %s\tsent\tfailed\tmedian\t95%%\t99%%\tworst\t\n", r.Rate, r.Lasted.Round(time.Second))
	latency := func(x Result) time.Duration { return x.Latency }
	for i, kind := range r.Kinds {
		of := slices.DeleteFunc(slices.Clone(r.Results), func(x Result) bool { return x.Kind != i })
		failed := slices.DeleteFunc(slices.Clone(of), func(x Result) bool { return x.Err == nil })
		row(kind.Name, len(of), len(failed), percentiles(of, latency))
	}
	row("all", len(r.Results), len(r.Failures()), percentiles(r.Results, latency))
	late := percentiles(r.Results, func(x Result) time.Duration { return x.Late })
	fmt.Fprintf(t, "the sender's lateness\t\t\t%s\t%s\t%s\t%s\t\n", round(late.of50), round(late.of95), round(late.of99), round(late.most))
	_ = t.Flush() // an error of out is nobody's concern here
	for i, x := range r.Failures() {
		if i == mostShown {
			fmt.Fprintf(out, "... and %d more\n", len(r.Failures())-i)
			break
		}
		fmt.Fprintf(out, "at %s, after %s, %s: %v\n", round(x.Due), round(x.Latency), r.Kinds[x.Kind].Name, x.Err)
	}
}

// mostShown of the failures are printed.
const mostShown = 20

func round(d time.Duration) time.Duration { return d.Round(100 * time.Microsecond) }
