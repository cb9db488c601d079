package main

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"mockup.dev/mockup/api/v1alpha1"
	"mockup.dev/mockup/manifests"
)

// backupPeriod is the pause between two looks at an operation.
const backupPeriod = 500 * time.Millisecond

// have an operation done, and wait for its end. Progress goes to standard error. For an operation that prints something, the end
// is when that can be read.
func (a *app) have(ctx context.Context, w *waitOptions, args []string, q v1alpha1.BackupRequest) (client.WithWatch, *v1alpha1.BackupPolicy, v1alpha1.BackupOutcome, error) {
	var none v1alpha1.BackupOutcome
	c, s, err := a.reachSubject(ctx, w.namespace, policyKind, args)
	if err != nil {
		return nil, nil, none, err
	}
	policy := s.Object.(*v1alpha1.BackupPolicy)
	q.ID = "c" + strings.ToLower(rand.Text()[:10]) // of the command line, unlike any of the schedule
	if q.Volume == "" && len(policy.Spec.Volumes) == 1 {
		q.Volume = string(policy.Spec.Volumes[0])
		if q.Operation != v1alpha1.BackupRestore && q.Operation != v1alpha1.BackupExport && q.Operation != v1alpha1.BackupBrowse {
			q.Volume = ""
		}
	}
	if err := manifests.ValidateBackupRequest(policy, &q); err != nil {
		return nil, nil, none, &exitError{exitUsage, err}
	}
	ctx, cancel := context.WithTimeout(ctx, w.timeout)
	defer cancel()
	progress := &backupProgress{w: a.err}
	if err := ask(ctx, c, policy, q, progress); err != nil {
		return nil, nil, none, err
	}
	policy, outcome, err := awaitBackup(ctx, c, policy, q, progress)
	return c, policy, outcome, err
}

// ask for an operation by an annotation, when the one before has been taken up: there is room for one.
func ask(ctx context.Context, c client.Client, policy *v1alpha1.BackupPolicy, q v1alpha1.BackupRequest, progress *backupProgress) error {
	text, err := json.Marshal(q)
	if err != nil {
		return fmt.Errorf("writing the request: %w", err)
	}
	ticker := time.NewTicker(backupPeriod)
	defer ticker.Stop()
	for {
		done, err := askOnce(ctx, c, policy, string(text), progress)
		if done || err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("asking backup %s for %s: another request is still waiting to be taken up, and would be lost: %w", keyOf(policy), q.Operation, ctx.Err())
		case <-ticker.C:
		}
	}
}

// askOnce tells whether the request is written down. It is not where another one waits, or somebody else was faster.
func askOnce(ctx context.Context, c client.Client, policy *v1alpha1.BackupPolicy, text string, progress *backupProgress) (bool, error) {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	if err := c.Get(ctx, client.ObjectKeyFromObject(policy), policy); err != nil {
		return false, fmt.Errorf("reading backup %s: %w", keyOf(policy), err)
	}
	if waiting := policy.Annotations[manifests.AnnotationBackupRequest]; waiting != "" && waiting != policy.Status.HandledRequest {
		progress.say("waiting for another request to be taken up")
		return false, nil
	}
	before := policy.DeepCopy()
	if policy.Annotations == nil {
		policy.Annotations = map[string]string{}
	}
	policy.Annotations[manifests.AnnotationBackupRequest] = text
	patch := client.MergeFromWithOptions(before, client.MergeFromWithOptimisticLock{})
	err := c.Patch(ctx, policy, patch, client.FieldOwner(fieldManager))
	if apierrors.IsConflict(err) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("annotating backup %s: %w", keyOf(policy), err)
	}
	return true, nil
}

// awaitBackup waits until an operation has ended.
func awaitBackup(ctx context.Context, c client.Reader, policy *v1alpha1.BackupPolicy, q v1alpha1.BackupRequest, progress *backupProgress) (*v1alpha1.BackupPolicy, v1alpha1.BackupOutcome, error) {
	key := client.ObjectKeyFromObject(policy)
	ticker := time.NewTicker(backupPeriod)
	defer ticker.Stop()
	for {
		now := &v1alpha1.BackupPolicy{}
		if err := c.Get(ctx, key, now); err != nil && ctx.Err() == nil {
			return nil, v1alpha1.BackupOutcome{}, fmt.Errorf("reading backup %s: %w", key, err)
		}
		for _, o := range now.Status.History {
			if o.ID == q.ID {
				return now, o, nil
			}
		}
		if run := now.Status.Run; run != nil && run.ID == q.ID {
			if run.EndedAt != nil {
				return now, v1alpha1.BackupOutcome{Operation: q.Operation, ID: q.ID, Succeeded: true}, nil
			}
			progress.show(run, now.Status.Restore)
		} else {
			progress.wait(now)
		}
		select {
		case <-ctx.Done():
			return nil, v1alpha1.BackupOutcome{}, fmt.Errorf("waiting for %s %s: %w; it goes on, see: mockup status", q.Operation, q.ID, ctx.Err())
		case <-ticker.C:
		}
	}
}

// backupProgress prints a line for each change of what goes on.
type backupProgress struct {
	w    io.Writer
	last string
}

func (p *backupProgress) say(line string) {
	if line != p.last {
		p.last = line
		fmt.Fprintln(p.w, line)
	}
}

func (p *backupProgress) wait(policy *v1alpha1.BackupPolicy) {
	stalled := meta.FindStatusCondition(policy.Status.Conditions, v1alpha1.ConditionStalled)
	found := []string{v1alpha1.ReasonVerificationFailed, v1alpha1.ReasonRepositoryMissing} // keep nothing from being done
	switch run := policy.Status.Run; {
	case run != nil:
		p.say(fmt.Sprintf("waiting for %s %s to end", run.Operation, run.ID))
	case stalled != nil && stalled.Status == metav1.ConditionTrue && !slices.Contains(found, stalled.Reason):
		p.say("waiting: " + stalled.Message)
	default:
		p.say("waiting for the operator")
	}
}

// show how far an operation has come; restore is that of one in place.
func (p *backupProgress) show(run *v1alpha1.BackupRun, restore *v1alpha1.InPlaceRestore) {
	switch line := progressLine(run); {
	case run.InPlace && restore != nil:
		p.say(restoreLine(restore, line))
	case line == "":
		p.say(string(run.Operation) + " begins")
	default:
		p.say(line)
	}
}

// restoreLine has the phase, what went wrong before, and how far the phase has come.
func restoreLine(restore *v1alpha1.InPlaceRestore, line string) string {
	text := string(restore.Phase)
	if restore.Message != "" {
		text += fmt.Sprintf(" (attempt %d: %s)", restore.Attempts, restore.Message)
	}
	if line != "" && restore.Phase != v1alpha1.RestoreStoppingServices {
		text += ": " + line
	}
	return text
}

// progressLine is empty as long as nothing is known.
func progressLine(run *v1alpha1.BackupRun) string {
	now := run.Progress
	if now == nil {
		return ""
	}
	line := now.Phase
	if now.Subject != "" {
		line += " " + now.Subject
	}
	line += fmt.Sprintf(": %d", now.Files)
	if now.TotalFiles > 0 {
		line += fmt.Sprintf(" of %d", now.TotalFiles)
	}
	line += fmt.Sprintf(" files, %.1f", float64(now.Bytes)/1e6)
	if now.TotalBytes > 0 {
		line += fmt.Sprintf(" of %.1f", float64(now.TotalBytes)/1e6)
	}
	line += " MB"
	if now.BytesPerSecond > 0 {
		line += fmt.Sprintf(", %.1f MB/s", float64(now.BytesPerSecond)/1e6)
	}
	if now.RemainingSeconds != nil {
		line += fmt.Sprintf(", %s left", time.Duration(*now.RemainingSeconds)*time.Second)
	}
	return line
}
