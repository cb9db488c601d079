package engine

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	. "github.com/onsi/gomega"
)

// keeps is another reading of the rules: a snapshot is kept by a rule of n periods if it is the newest of its period and
// fewer than n later periods have a snapshot. A period is told by where it begins.
func keeps(times []time.Time, i, n int, begins func(time.Time) time.Time) bool {
	mine := begins(times[i])
	later := map[int64]bool{}
	for j, t := range times {
		at := begins(t)
		if at.Equal(mine) && (t.After(times[i]) || t.Equal(times[i]) && j < i) {
			return false
		}
		if at.After(mine) {
			later[at.UnixNano()] = true
		}
	}
	return len(later) < n
}

func beginnings(zone *time.Location) map[string]func(time.Time) time.Time {
	date := func(t time.Time, y, m, d int) time.Time { return time.Date(y, time.Month(m), d, 0, 0, 0, 0, zone) }
	return map[string]func(time.Time) time.Time{
		"hourly": func(t time.Time) time.Time {
			t = t.In(zone)
			return t.Add(-time.Duration(t.Minute())*time.Minute - time.Duration(t.Second())*time.Second - time.Duration(t.Nanosecond()))
		},
		"daily": func(t time.Time) time.Time { t = t.In(zone); return date(t, t.Year(), int(t.Month()), t.Day()) },
		"weekly": func(t time.Time) time.Time {
			t = t.In(zone)
			return date(t, t.Year(), int(t.Month()), t.Day()-(int(t.Weekday())+6)%7)
		},
		"monthly": func(t time.Time) time.Time { t = t.In(zone); return date(t, t.Year(), int(t.Month()), 1) },
		"annual":  func(t time.Time) time.Time { t = t.In(zone); return date(t, t.Year(), 1, 1) },
	}
}

func TestRetentionIsWhatItsRulesSay(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	steps := []time.Duration{time.Minute, 20 * time.Minute, time.Hour, 7 * time.Hour, 24 * time.Hour, 9 * 24 * time.Hour, 40 * 24 * time.Hour}
	for range 400 {
		zone, err := time.LoadLocation([]string{"UTC", "Europe/Rome", "America/St_Johns", "Pacific/Apia", "Asia/Kathmandu"}[random.IntN(5)])
		if err != nil {
			t.Fatal(err)
		}
		var times []time.Time
		at := time.Date(2020+random.IntN(6), time.Month(1+random.IntN(12)), 1+random.IntN(28), random.IntN(24), 0, 0, 0, time.UTC)
		for range random.IntN(60) {
			at = at.Add(time.Duration(random.Int64N(int64(steps[random.IntN(len(steps))]))))
			times = append(times, at)
		}
		random.Shuffle(len(times), func(i, j int) { times[i], times[j] = times[j], times[i] })
		n := func() int { return random.IntN(3) * random.IntN(5) }
		r := Retention{n(), n(), n(), n(), n(), n()}
		counts := map[string]int{"hourly": r.KeepHourly, "daily": r.KeepDaily, "weekly": r.KeepWeekly, "monthly": r.KeepMonthly, "annual": r.KeepAnnual}
		kept := r.Kept(times, zone)
		for i := range times {
			newer := 0
			for j, other := range times {
				if other.After(times[i]) || other.Equal(times[i]) && j < i {
					newer++
				}
			}
			want := map[string]bool{"latest": newer < r.KeepLatest}
			for rule, begins := range beginnings(zone) {
				want[rule] = keeps(times, i, counts[rule], begins)
			}
			if r == (Retention{}) {
				want["latest"] = true
			}
			for rule, is := range want {
				if is != slices.Contains(kept[i], rule) {
					t.Fatalf("seed %d: %+v in %s of %v: %s %s: kept by %v, and %t is right", seed, r, zone, times, times[i], rule, kept[i], is)
				}
			}
			if newer == 0 && len(kept[i]) == 0 {
				t.Fatalf("seed %d: the newest is not kept", seed)
			}
		}
	}
}

func TestRetentionByExample(t *testing.T) {
	day := func(d int) time.Time { return time.Date(2026, 2, d, 2, 0, 0, 0, time.UTC) }
	times := []time.Time{day(20), day(21), day(22), day(23), day(24)} // the 23rd is a Monday
	NewWithT(t).Expect(Retention{KeepLatest: 2, KeepWeekly: 2}.Kept(times, time.UTC)).To(Equal([][]string{
		nil, nil, {"weekly"}, {"latest"}, {"latest", "weekly"},
	}))
}
