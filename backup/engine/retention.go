package engine

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/kopia/kopia/repo"
	"github.com/kopia/kopia/repo/maintenance"
	"github.com/kopia/kopia/repo/manifest"
	"github.com/kopia/kopia/snapshot"
	"github.com/kopia/kopia/snapshot/snapshotmaintenance"
)

// Retention says which snapshots are kept. A snapshot that any rule keeps is kept. With no rule at all, every one is.
type Retention struct {
	// KeepLatest is the number of newest snapshots.
	KeepLatest int `json:"keepLatest,omitempty"`
	// The others keep the newest snapshot of each of so many hours, days, weeks (from Monday), months and years that have
	// one, counted from the newest backwards.
	KeepHourly  int `json:"keepHourly,omitempty"`
	KeepDaily   int `json:"keepDaily,omitempty"`
	KeepWeekly  int `json:"keepWeekly,omitempty"`
	KeepMonthly int `json:"keepMonthly,omitempty"`
	KeepAnnual  int `json:"keepAnnual,omitempty"`
}

func (r Retention) check(bad func(field, reason string)) {
	for field, n := range map[string]int{
		"keepLatest": r.KeepLatest, "keepHourly": r.KeepHourly, "keepDaily": r.KeepDaily,
		"keepWeekly": r.KeepWeekly, "keepMonthly": r.KeepMonthly, "keepAnnual": r.KeepAnnual,
	} {
		if n < 0 {
			bad("retention."+field, "must not be negative")
		}
	}
}

// Kept tells by which rules each of times is kept, e.g. "daily"; none for those that may go. A period begins and ends by
// the clock of zone. The newest is always kept.
func (r Retention) Kept(times []time.Time, zone *time.Location) [][]string {
	out := make([][]string, len(times))
	newest := make([]int, len(times))
	for i := range newest {
		newest[i] = i
	}
	slices.SortStableFunc(newest, func(a, b int) int { return times[b].Compare(times[a]) })
	if r == (Retention{}) {
		r.KeepLatest = len(times)
	}
	for _, rule := range r.rules() {
		seen := map[string]bool{}
		for n, i := range newest {
			period := rule.period(times[i].In(zone), n)
			if seen[period] || len(seen) >= rule.keep {
				continue
			}
			seen[period] = true
			out[i] = append(out[i], rule.name)
		}
	}
	if len(newest) > 0 && len(out[newest[0]]) == 0 {
		out[newest[0]] = []string{"newest"}
	}
	return out
}

type retentionRule struct {
	name   string
	keep   int
	period func(t time.Time, n int) string
}

func (r Retention) rules() []retentionRule {
	layout := func(l string) func(time.Time, int) string {
		return func(t time.Time, _ int) string { return t.Format(l) }
	}
	week := func(t time.Time, _ int) string {
		year, week := t.ISOWeek()
		return fmt.Sprintf("%d-%d", year, week)
	}
	return []retentionRule{
		{"latest", r.KeepLatest, func(_ time.Time, n int) string { return fmt.Sprint(n) }},
		{"hourly", r.KeepHourly, layout("2006-01-02T15Z07")}, // the hour that a change of the clock repeats is two
		{"daily", r.KeepDaily, layout("2006-01-02")},
		{"weekly", r.KeepWeekly, week},
		{"monthly", r.KeepMonthly, layout("2006-01")},
		{"annual", r.KeepAnnual, layout("2006")},
	}
}

// Pruned is what was taken out of the repository.
type Pruned struct {
	Snapshots []string `json:"snapshots,omitempty"`
	// Blobs and Bytes that were removed; what snapshots of the last day may still have been about to use stays for a day.
	Blobs int64 `json:"blobs"`
	Bytes int64 `json:"bytes"`
}

// prune forgets the snapshots that no rule keeps, and cleans up when it is due, or at once if thorough.
func (r *repository) prune(ctx context.Context, thorough bool, report *Reporter) (Pruned, error) {
	report.begin("prune", "", 0, 0)
	var out Pruned
	before, err := r.size(ctx)
	if err != nil {
		return out, err
	}
	if err := r.takeInventory(ctx, true); err != nil {
		return out, err
	}
	for _, v := range r.config.Volumes {
		gone, err := r.forget(ctx, v.Name)
		out.Snapshots = append(out.Snapshots, gone...)
		if err != nil {
			return out, err
		}
	}
	mode := maintenance.ModeAuto
	if thorough {
		mode = maintenance.ModeFull
	}
	err = repo.DirectWriteSession(ctx, r, repo.WriteSessionOptions{Purpose: "maintenance"}, func(ctx context.Context, w repo.DirectRepositoryWriter) error {
		return snapshotmaintenance.Run(ctx, w, mode, true, maintenance.SafetyFull)
	})
	if err != nil {
		reason := ReasonOf(err)
		if strings.Contains(err.Error(), "clock skew") {
			reason = ReasonClock
		}
		return out, &Failure{Reason: reason, Err: fmt.Errorf("cleaning up the repository: %w", err)}
	}
	if err := r.takeInventory(ctx, false); err != nil {
		return out, err
	}
	after, err := r.size(ctx)
	out.Blobs, out.Bytes = max(0, before.Blobs-after.Blobs), max(0, before.Bytes-after.Bytes)
	return out, err
}

// relieve a folder that became full of what the run stored until then: no snapshot needs it, and the next run would find no
// room. Kopia waits a day with that, for others who may be about to use it; whoever holds the lock is alone.
func (r *repository) relieve(ctx context.Context) error {
	if r.config.Repository.S3 != nil {
		return nil
	}
	if err := r.config.Repository.tidy(); err != nil {
		return err
	}
	if err := r.Refresh(ctx); err != nil {
		return fmt.Errorf("making room: %w", err)
	}
	err := repo.DirectWriteSession(ctx, r, repo.WriteSessionOptions{Purpose: "room"}, func(ctx context.Context, w repo.DirectRepositoryWriter) error {
		_, err := maintenance.DeleteUnreferencedPacks(ctx, w, maintenance.DeleteUnreferencedPacksOptions{}, maintenance.SafetyNone)
		return err
	})
	if err != nil {
		return fmt.Errorf("making room: %w", err)
	}
	return nil
}

// forget snapshots of a volume, and records that belong to none.
func (r *repository) forget(ctx context.Context, volume string) ([]string, error) {
	all, err := r.snapshots(ctx, volume)
	if err != nil {
		return nil, err
	}
	records, err := snapshot.ListSnapshots(ctx, r, r.source(recordPath, volume))
	if err != nil {
		return nil, fmt.Errorf("listing the records of %s: %w", volume, err)
	}
	var gone []manifest.ID
	needed := map[manifest.ID]bool{}
	for i, kept := range r.config.kept(all) {
		if len(kept) == 0 {
			gone = append(gone, all[i].ID)
		} else {
			needed[manifest.ID(all[i].Tags[recordTag])] = true
		}
	}
	snapshots := len(gone)
	for _, m := range records {
		if !needed[m.ID] {
			gone = append(gone, m.ID)
		}
	}
	if len(gone) == 0 {
		return nil, nil
	}
	err = repo.WriteSession(ctx, r, repo.WriteSessionOptions{Purpose: "retention"}, func(ctx context.Context, w repo.RepositoryWriter) error {
		for _, id := range gone {
			if err := w.DeleteManifest(ctx, id); err != nil {
				return fmt.Errorf("forgetting snapshot %s of %s: %w", id, volume, err)
			}
		}
		return nil
	})
	var out []string
	for _, id := range gone[:snapshots] {
		out = append(out, string(id))
	}
	return out, err
}

// kept tells by which rules each of the snapshots of a volume is kept. Safety snapshots take no part in the rules: the newest
// is kept, as long as there is no other.
func (c *Config) kept(all []*snapshot.Manifest) [][]string {
	out := make([][]string, len(all))
	var usual []*snapshot.Manifest
	newest := -1
	for i, m := range all {
		switch {
		case !isSafety(m):
			usual = append(usual, m)
		case newest < 0 || m.StartTime > all[newest].StartTime:
			newest = i
		}
	}
	if newest >= 0 {
		out[newest] = []string{"safety"}
	}
	rules := c.ruled(usual)
	for i, m := range all {
		if !isSafety(m) {
			out[i], rules = rules[0], rules[1:]
		}
	}
	return out
}

func timesOf(all []*snapshot.Manifest) []time.Time {
	out := make([]time.Time, len(all))
	for i, m := range all {
		out[i] = m.StartTime.ToTime()
	}
	return out
}
