package controllers

import (
	"fmt"
	"slices"
	"time"

	"mockup.dev/mockup/api/v1alpha1"
)

// Reasons of the program of backups that say something of what is kept, and not of whether it could be looked at.
const (
	reasonDamaged = "RepositoryDamaged"
	reasonDiffers = "RestoreDiffers"
)

// mostFindings stand in the status. There are as many only if somebody restores many snapshots that all differ.
const mostFindings = 64

func damaging(reason string) bool { return reason == reasonDamaged || reason == reasonDiffers }

// find takes an outcome over into the findings: it adds one, or clears those of which it looked at no less. It is pure.
func find(status *v1alpha1.BackupPolicyStatus, q *v1alpha1.BackupRequest, out v1alpha1.BackupOutcome) {
	kept := slices.Clone(status.Findings)
	switch {
	case out.Succeeded:
		kept = slices.DeleteFunc(kept, func(f v1alpha1.BackupFinding) bool { return clears(q, &f) })
	case damaging(out.Reason):
		f := finding(q, out)
		kept = slices.DeleteFunc(kept, func(old v1alpha1.BackupFinding) bool {
			return old.From == f.From && old.Volume == f.Volume && old.Snapshot == f.Snapshot && old.ClearedBy == f.ClearedBy
		})
		if len(kept) < mostFindings {
			kept = append(kept, f)
		}
	}
	if len(kept) == 0 {
		kept = nil
	}
	status.Findings = kept
}

// What clears a finding. Whoever reads part of the files reads others each time, so that what was found by reading is
// cleared by nothing less than reading everything.
const (
	byLooking   = "verify"
	byReading   = "verify --percent 100"
	byRestoring = "test"
)

func finding(q *v1alpha1.BackupRequest, out v1alpha1.BackupOutcome) v1alpha1.BackupFinding {
	f := v1alpha1.BackupFinding{
		Operation: q.Operation, ID: q.ID, From: q.From, Volume: q.Volume, FoundAt: out.EndedAt, Reason: out.Reason, Message: out.Message, ClearedBy: byReading,
	}
	switch {
	case out.Reason == reasonDiffers:
		f.ClearedBy, f.Snapshot = byRestoring, chosenSnapshot(q)
	case q.Operation == v1alpha1.BackupRunNow, q.Operation == v1alpha1.BackupPrune, q.Operation == v1alpha1.BackupVerify && q.Percent == 0:
		f.ClearedBy = byLooking
	}
	return f
}

// chosenSnapshot of a request; empty for the newest.
func chosenSnapshot(q *v1alpha1.BackupRequest) string {
	if q.Snapshot == "" && q.AsOf != nil {
		return q.AsOf.UTC().Format(time.RFC3339)
	}
	return q.Snapshot
}

// clears tells whether what was done, and succeeded, has looked at all that f is about.
func clears(q *v1alpha1.BackupRequest, f *v1alpha1.BackupFinding) bool {
	if q.From != f.From || q.Volume != "" && q.Volume != f.Volume {
		return false
	}
	switch f.ClearedBy {
	case byLooking:
		return q.Operation == v1alpha1.BackupVerify
	case byReading:
		return q.Operation == v1alpha1.BackupVerify && q.Percent >= 100
	}
	compares := q.Operation == v1alpha1.BackupTestRestore || q.Operation == v1alpha1.BackupRestore && len(q.Paths) == 0
	return compares && chosenSnapshot(q) == f.Snapshot
}

// damaged tells whether something is known to be wrong with the repository itself.
func damaged(status *v1alpha1.BackupPolicyStatus) bool {
	return slices.ContainsFunc(status.Findings, func(f v1alpha1.BackupFinding) bool { return f.From == "" })
}

// findingText says what was found, and how it is over.
func findingText(f *v1alpha1.BackupFinding) string {
	text := fmt.Sprintf("%s of %s failed: %s: %s", f.Operation, f.FoundAt.UTC().Format(time.RFC3339), f.Reason, f.Message)
	by := "mockup backup " + f.ClearedBy
	if f.ClearedBy == byRestoring && f.Snapshot != "" {
		by += " --snapshot " + f.Snapshot
	}
	if f.From != "" {
		text, by = "copy "+f.From+": "+text, by+" --from "+f.From
	}
	return bounded(text) + `; it is over when "` + by + `" finds all well`
}

// forgetCopies that the policy has no more.
func forgetCopies(p *v1alpha1.BackupPolicy, status *v1alpha1.BackupPolicyStatus) {
	gone := func(from string) bool {
		return from != "" && !slices.ContainsFunc(p.Spec.Copies, func(c v1alpha1.BackupCopy) bool { return c.Name == from })
	}
	status.Last = slices.DeleteFunc(slices.Clone(status.Last), func(o v1alpha1.BackupOutcome) bool { return gone(o.From) })
	status.Findings = slices.DeleteFunc(slices.Clone(status.Findings), func(f v1alpha1.BackupFinding) bool { return gone(f.From) })
}
