package controllers

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"mockup.dev/mockup/api/v1alpha1"
	"mockup.dev/mockup/internal/backend"
	"mockup.dev/mockup/manifests"
)

// What the program of backups prints, as far as it is read: lines of JSON, of which the last is the result.
type (
	backupLine struct {
		Progress *backupProgress `json:"progress"`
		Result   *backupResult   `json:"result"`
	}
	backupProgress struct {
		v1alpha1.BackupProgress
		// Stage of a restore in place.
		Stage string `json:"stage"`
	}
	backupResult struct {
		Succeeded bool              `json:"succeeded"`
		Reason    string            `json:"reason"`
		Error     string            `json:"error"`
		Made      []snapshotResult  `json:"made"`
		Snapshots *[]snapshotResult `json:"snapshots"`

		Repository *struct {
			ID    string `json:"id"`
			Bytes int64  `json:"bytes"`
			Free  int64  `json:"free"`
		} `json:"repository"`
		Verification *struct {
			Mode                               string
			Files, Bytes, FilesRead, BytesRead int64
		} `json:"verification"`
		Restored []struct {
			Files, Bytes int64
		} `json:"restored"`
		InPlace *struct {
			Phase, Snapshot, Safety string
		} `json:"inPlace"`
		Pruned *struct {
			Snapshots    []string
			Blobs, Bytes int64
		} `json:"pruned"`
		Archives []struct {
			File  string
			Bytes int64
		} `json:"archives"`
	}
	snapshotResult struct {
		ID       string    `json:"id"`
		Volume   string    `json:"volume"`
		Time     time.Time `json:"time"`
		Files    int64     `json:"files"`
		Bytes    int64     `json:"bytes"`
		NewBytes int64     `json:"newBytes"`
		Unstable []string  `json:"unstable"`
		Kept     []string  `json:"kept"`
	}
)

// startGrace is how long a Job may take to start, for which the backend tries again and again, and how long beyond its own
// deadline, which begins with its pod, before it is given up.
const startGrace = 5 * time.Minute

// hopeless tells whether a Job is given up: one that can't be started, for want of a folder of the host or an image, would
// keep the policy from everything else until its deadline.
func hopeless(state backend.State, startedAt time.Time, deadline time.Duration, now time.Time) bool {
	patience := deadline + startGrace
	if state.Phase == backend.Failed {
		patience = startGrace
	}
	return now.After(startedAt.Add(patience))
}

// heard is what is known of the Job that goes on.
type heard struct {
	state backend.State
	line  backupLine
	// over is true when it will not be tried again.
	over bool
	// unheard is true when its log could not be read, and is read again.
	unheard bool
}

// hear how far what goes on has come; found is false as long as its Job is not there.
func (r *PolicyReconciler) hear(ctx context.Context, policy *v1alpha1.BackupPolicy, pass *policyPass) (h heard, found bool) {
	run := pass.status.Run
	if h.state, found = pass.seen.Find(manifests.Ref{Kind: "Job", Name: run.Job}); !found {
		return h, false
	}
	h.over = h.state.Phase == backend.Succeeded ||
		h.state.Phase == backend.Failed && (h.state.Reason == backend.ReasonBackoffLimit || h.state.Reason == backend.ReasonJobDeadline)
	if n := len(h.state.Pods); n > 0 {
		run.Pod = h.state.Pods[n-1].Name
		h.line, h.unheard = r.listen(ctx, policy, run.Pod, h.over)
	}
	if h.over {
		h.line.Result = explained(h.line.Result, h.state, manifests.BackupDeadline(policy))
	}
	if h.line.Progress != nil && !r.young(run) {
		run.Progress = &h.line.Progress.BackupProgress
	}
	if h.state.Phase == backend.Failed && !h.over {
		pass.trouble = h.state.Reason + ": " + h.state.Message
	}
	return h, true
}

// startOf the Job: that of the run, or the end of the hooks before it.
func startOf(run *v1alpha1.BackupRun) time.Time {
	if n := len(run.Hooks); n > 0 {
		return run.Hooks[n-1].EndedAt.Time
	}
	return run.StartedAt.Time
}

// look how far what goes on has come, and finish it when it has ended.
func (r *PolicyReconciler) look(ctx context.Context, policy *v1alpha1.BackupPolicy, pass *policyPass) {
	run := pass.status.Run
	h, found := r.hear(ctx, policy, pass)
	if !found || h.over && h.unheard || h.over && h.line.Result != nil && r.lingers(policy, run) {
		return
	}
	switch {
	case h.over && h.line.Result != nil:
		r.conclude(policy, pass, h.line.Result)
	case h.over && h.state.Phase == backend.Succeeded:
		r.settle(policy, pass, v1alpha1.BackupOutcome{Succeeded: true, Message: "done; its log is gone"})
	case h.over:
		r.settle(policy, pass, v1alpha1.BackupOutcome{Reason: h.state.Reason, Message: "the Job failed without a result: " + h.state.Message})
	case hopeless(h.state, startOf(run), manifests.BackupDeadline(policy), r.Clock()):
		r.settle(policy, pass, v1alpha1.BackupOutcome{Reason: h.state.Reason, Message: "the Job was given up: " + h.state.Message})
	}
}

// lingering is how long what an operation has printed can be read.
const lingering = 30 * time.Second

// lingers tells whether an operation that printed something has to wait to be read: for a while, and not while another one
// is asked for.
func (r *PolicyReconciler) lingers(policy *v1alpha1.BackupPolicy, run *v1alpha1.BackupRun) bool {
	if run.Operation != v1alpha1.BackupBrowse {
		return false
	}
	if run.EndedAt == nil {
		at := metav1.NewTime(r.Clock().Truncate(time.Second))
		run.EndedAt = &at
	}
	return policy.Annotations[manifests.AnnotationBackupRequest] == policy.Status.HandledRequest && r.Clock().Before(run.EndedAt.Add(lingering))
}

// lastLine of a pod's log with something in it. Of a pod that has ended the result is looked for, which may be long.
func (r *PolicyReconciler) lastLine(ctx context.Context, policy *v1alpha1.BackupPolicy, pod string, over bool) (backupLine, error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	tail := 5
	if over {
		tail = 200
	}
	ref := backend.PodRef{Owner: manifests.BackupOwner(policy), Pod: pod}
	log, err := r.Backend.Pods().Logs(ctx, ref, backend.LogOptions{Tail: tail})
	if err != nil {
		return backupLine{}, err
	}
	defer log.Close()
	return lastOf(log)
}

func lastOf(log io.Reader) (last backupLine, err error) {
	lines := bufio.NewReader(log)
	for {
		text, err := lines.ReadBytes('\n')
		var line backupLine
		if json.Unmarshal(text, &line) == nil {
			if line.Progress != nil {
				last.Progress = line.Progress
			}
			if line.Result != nil {
				last.Result = line.Result
			}
		}
		if errors.Is(err, io.EOF) {
			return last, nil
		}
		if err != nil {
			return last, fmt.Errorf("reading a log: %w", err)
		}
	}
}

// explained is a result with the reason why the program was ended, of which it knows nothing: it prints that it was.
func explained(result *backupResult, state backend.State, deadline time.Duration) *backupResult {
	if result == nil || result.Succeeded || state.Reason != backend.ReasonJobDeadline || damaging(result.Reason) {
		return result
	}
	out := *result
	out.Reason = state.Reason
	out.Error = fmt.Sprintf("it was ended at its deadline of %s (%s)", deadline, result.Error)
	return &out
}

// conclude takes a result over into the status.
func (r *PolicyReconciler) conclude(policy *v1alpha1.BackupPolicy, pass *policyPass, result *backupResult) {
	out := v1alpha1.BackupOutcome{Succeeded: result.Succeeded, Reason: result.Reason, Message: result.Error}
	for _, s := range result.Made {
		out.Files, out.Bytes, out.NewBytes = out.Files+s.Files, out.Bytes+s.Bytes, out.NewBytes+s.NewBytes
	}
	for _, restored := range result.Restored {
		out.Files, out.Bytes = out.Files+restored.Files, out.Bytes+restored.Bytes
	}
	if v := result.Verification; v != nil && v.FilesRead > 0 {
		out.Coverage = fmt.Sprintf("%d of %d files, %s of %s", v.FilesRead, v.Files, human(v.BytesRead), human(v.Bytes))
	}
	run := pass.status.Run
	if run.Operation == v1alpha1.BackupRestore {
		out.Volume = manifests.BackupRestoredClaim(policy, &run.BackupRequest)
	}
	if in := result.InPlace; in != nil {
		out.SafetySnapshot = in.Safety
	}
	if out.Succeeded {
		out.Message = summary(run, result, out)
	}
	if run.From == "" { // else it speaks of a copy
		listSnapshots(&pass.status, run, result)
		if lost(out) && pass.status.FirstSuccess != nil {
			out.Message += "; " + beginAnew
		}
	}
	r.settle(policy, pass, out)
}

// summary of what was done, for a person.
func summary(run *v1alpha1.BackupRun, result *backupResult, out v1alpha1.BackupOutcome) string {
	switch run.Operation {
	case v1alpha1.BackupRunNow:
		text := fmt.Sprintf("backed up %d files of %s, %s of it new", out.Files, human(out.Bytes), human(out.NewBytes))
		unstable := 0
		for _, s := range result.Made {
			unstable += len(s.Unstable)
		}
		if unstable > 0 {
			text += fmt.Sprintf("; %d files were written to meanwhile", unstable)
		}
		return text
	case v1alpha1.BackupVerify:
		if out.Coverage == "" {
			return "everything that snapshots need is there"
		}
		return "all is well; read " + out.Coverage
	case v1alpha1.BackupTestRestore:
		return fmt.Sprintf("restored %d files of %s, which are what was backed up", out.Files, human(out.Bytes))
	case v1alpha1.BackupRestore:
		if run.InPlace {
			return fmt.Sprintf("restored %d files of %s in volume %s, in place; what was there before is in snapshot %s", out.Files, human(out.Bytes), run.Volume, out.SafetySnapshot)
		}
		return fmt.Sprintf("restored %d files of %s into volume %s", out.Files, human(out.Bytes), out.Volume)
	case v1alpha1.BackupExport:
		text := "exported"
		for _, a := range result.Archives {
			text += fmt.Sprintf(" %s (%s)", a.File, human(a.Bytes))
		}
		return text
	case v1alpha1.BackupPrune:
		if result.Pruned != nil {
			return fmt.Sprintf("removed %d snapshots and %s", len(result.Pruned.Snapshots), human(result.Pruned.Bytes))
		}
	}
	return "done"
}

// lost tells whether the repository was not there, or was another one.
func lost(o v1alpha1.BackupOutcome) bool {
	return o.From == "" && (o.Reason == "RepositoryMissing" || o.Reason == "OtherRepository")
}

// beginAnew says what to do when the repository is not there.
const beginAnew = "bring it back to where it was (is its disk mounted?), then \"mockup backup now\"; to begin anew on purpose, delete the policy and apply it again"

// mostListed snapshots stand in the status.
const mostListed = 200

// listSnapshots takes over what there is now.
func listSnapshots(status *v1alpha1.BackupPolicyStatus, run *v1alpha1.BackupRun, result *backupResult) {
	if result.Repository != nil {
		status.Bytes, status.Size, status.Free = result.Repository.Bytes, human(result.Repository.Bytes), result.Repository.Free
		if result.Succeeded && status.RepositoryID == "" {
			status.RepositoryID = result.Repository.ID
		}
	}
	listed := result.Snapshots != nil && run.Volume == "" && run.Operation != v1alpha1.BackupBrowse
	if !listed {
		return
	}
	all := *result.Snapshots
	status.Snapshots, status.List = int32(len(all)), nil //nolint:gosec // there are never so many
	var total int64
	for _, s := range all {
		total += s.Bytes
	}
	for _, s := range newestOfEach(all, mostListed) {
		status.List = append(status.List, v1alpha1.BackupSnapshot{
			ID: s.ID, Volume: s.Volume, Time: metav1.NewTime(s.Time), Files: s.Files, Bytes: s.Bytes, Kept: s.Kept,
		})
	}
	if status.Ratio = ""; status.Bytes > 0 {
		status.Ratio = fmt.Sprintf("%.1f", float64(total)/float64(status.Bytes))
	}
}

// newestOfEach volume, newest first, and no more than most in all: where there are more, each volume has as many as any other
// that has more.
func newestOfEach(all []snapshotResult, most int) []snapshotResult {
	all = slices.Clone(all)
	slices.Reverse(all) // of one moment, the later one is first
	slices.SortStableFunc(all, func(a, b snapshotResult) int { return b.Time.Compare(a.Time) })
	there := map[string]int{}
	for _, s := range all {
		there[s.Volume]++
	}
	limit := func(each int) (n int) {
		for _, has := range there {
			n += min(has, each)
		}
		return n
	}
	each := 0
	for each < most && limit(each+1) <= most {
		each++
	}
	taken := map[string]int{}
	return slices.DeleteFunc(all, func(s snapshotResult) bool {
		taken[s.Volume]++
		return taken[s.Volume] > each
	})
}

// human is a number of bytes for people, e.g. 358Mi.
func human(n int64) string {
	const units = "KMGTPE"
	if n < 1024 {
		return fmt.Sprint(n)
	}
	value, unit := float64(n), -1
	for value >= 1024 && unit < len(units)-1 {
		value /= 1024
		unit++
	}
	if value < 10 {
		return fmt.Sprintf("%.1f%ci", value, units[unit])
	}
	return fmt.Sprintf("%.0f%ci", value, units[unit])
}
