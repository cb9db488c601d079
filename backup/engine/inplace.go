package engine

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/kopia/kopia/fs"
	"github.com/kopia/kopia/fs/ignorefs"
	"github.com/kopia/kopia/repo/blob"
	"github.com/kopia/kopia/snapshot"
)

// Phases of a restore in place. The first three go on, and are gone on with by whoever is started next for the same request;
// the others are its ends.
const (
	PhaseSafety      = "TakingSafetySnapshot"
	PhaseRestoring   = "Restoring"
	PhaseRollingBack = "RollingBack"
	// PhaseSucceeded: the volume is what was backed up.
	PhaseSucceeded = "Succeeded"
	// PhaseRolledBack: it could not be restored, and is again what it was before.
	PhaseRolledBack = "RolledBack"
	// PhaseFailed: nothing in the volume was touched.
	PhaseFailed = "Failed"
)

// InPlace is how far a restore in place has come.
type InPlace struct {
	Phase string `json:"phase"`
	// Snapshot that is restored, and Safety, which holds what was there before.
	Snapshot string `json:"snapshot,omitempty"`
	Safety   string `json:"safety,omitempty"`
}

// journal of the newest restore in place of a volume, a blob of ours. It is there before anything in the volume is touched:
// who finds the one of its own request takes no other safety snapshot, which would be one of a half-restored volume.
type journal struct {
	ID string `json:"id"`
	InPlace
	// Reason and Error say why it is rolled back.
	Reason string `json:"reason,omitempty"`
	Error  string `json:"error,omitempty"`
}

func (j *journal) over() bool { return j.Phase == PhaseSucceeded || j.Phase == PhaseRolledBack }

func (r *repository) journalID(volume string) blob.ID {
	return blob.ID("mockup.restore." + r.config.Source + "." + volume)
}

// journal of a request. That of another one is over, since a volume is restored once at a time.
func (r *repository) journal(ctx context.Context, volume, id string) (*journal, error) {
	fresh := &journal{ID: id, InPlace: InPlace{Phase: PhaseSafety}}
	var b buffer
	if err := r.storage.GetBlob(ctx, r.journalID(volume), 0, -1, &b); errors.Is(err, blob.ErrBlobNotFound) {
		return fresh, nil
	} else if err != nil {
		return nil, fmt.Errorf("reading the journal of the restore: %w", err)
	}
	found := &journal{}
	if err := json.Unmarshal(b.Bytes(), found); err != nil {
		return nil, &Failure{Reason: ReasonDamaged, Err: fmt.Errorf("reading the journal of the restore: %w", err)}
	}
	if found.ID != id {
		return fresh, nil
	}
	return found, nil
}

// note the journal down, so that it is there when the machine goes down.
func (r *repository) note(ctx context.Context, volume string, j *journal) error {
	text, err := json.Marshal(j)
	if err != nil {
		return fmt.Errorf("writing the journal of the restore: %w", err)
	}
	var b buffer
	b.Write(text)
	if err := r.storage.PutBlob(ctx, r.journalID(volume), &b, blob.PutOptions{}); err != nil {
		return fmt.Errorf("writing the journal of the restore: %w", err)
	}
	return r.storage.sync()
}

// restoreInPlace makes a volume that nobody else mounts what a snapshot says: a safety snapshot first, which is read again
// from its first byte to its last, then the restore and its comparison. What fails from then on restores the safety snapshot.
// It may be killed at any moment and called again. The result says how the volume is: only one of the ends leaves it whole.
func (o *operation) restoreInPlace() error {
	v, want := o.config.Volumes[0], o.config.Restore
	j, err := o.journal(o.ctx, v.Name, want.InPlace)
	if err != nil {
		return err
	}
	o.result.InPlace = &j.InPlace
	if j.Safety == "" && want.RollBack {
		return o.untouched(j, &Failure{Reason: ReasonFailed, Err: errors.New("it was given up before anything was touched")})
	}
	if j.Safety == "" {
		if err := o.prepare(v, j); err != nil {
			return o.untouched(j, err)
		}
	}
	if !j.over() && j.Phase != PhaseRollingBack {
		if err := o.forward(v, j); err != nil {
			return err
		}
	}
	if j.Phase == PhaseRollingBack {
		if err := o.back(v, j); err != nil {
			return err
		}
	}
	if j.Phase == PhaseRolledBack {
		return &Failure{Reason: j.Reason, Err: fmt.Errorf("%s; volume %s is what it was before", j.Error, v.Name)}
	}
	return nil
}

// untouched is the end of a restore that failed before anything in the volume was touched. One that was only interrupted has
// not failed.
func (o *operation) untouched(j *journal, err error) error {
	if o.ctx.Err() == nil {
		j.Phase = PhaseFailed
	}
	return err
}

// prepare chooses the snapshot and takes the safety snapshot. The journal is noted down when both are known to be good.
func (o *operation) prepare(v Volume, j *journal) error {
	o.report.stage(PhaseSafety)
	m, err := o.chosen(o.ctx, v.Name)
	if err != nil {
		return err
	}
	if err := o.restorable(m); err != nil {
		return err
	}
	if err := o.sound(Verify{Mode: VerifyQuick}, string(m.ID)); err != nil {
		return err
	}
	safety, err := o.whole().take(o.ctx, v, o.report, safetyTag)
	if err != nil {
		return fmt.Errorf("taking the safety snapshot: %w", err)
	}
	if len(safety.Unstable) > 0 {
		return &Failure{Reason: ReasonSource, Err: fmt.Errorf("file %s was written to while nobody should mount volume %s", safety.Unstable[0], v.Name)}
	}
	if err := o.storage.sync(); err != nil {
		return err
	}
	// Contents that the repository had already are not stored again, and may have been damaged since.
	if err := o.sound(Verify{Mode: VerifyFull}, safety.ID); err != nil {
		return fmt.Errorf("the safety snapshot can't be relied on: %w", err)
	}
	o.result.Verification = nil // it is of what was there before, and all is well
	j.Phase, j.Snapshot, j.Safety = PhaseRestoring, string(m.ID), safety.ID
	if err := o.note(o.ctx, v.Name, j); err != nil {
		j.Snapshot, j.Safety = "", ""
		return err
	}
	return nil
}

// sound is an error if something that a snapshot needs is damaged. What others have lost keeps nobody from being restored.
func (o *operation) sound(how Verify, snapshot string) error {
	found, err := o.repository.verify(o.ctx, how, []string{snapshot}, o.report)
	if err != nil {
		return fmt.Errorf("verifying: %w", err)
	}
	found.Damaged = slices.DeleteFunc(found.Damaged, func(d Damage) bool { return !slices.Contains(d.Snapshots, snapshot) })
	o.result.Verification = &found
	return found.failure()
}

// restorable tells whether a snapshot has what is asked for, and something to compare it with.
func (o *operation) restorable(m *snapshot.Manifest) error {
	record, err := o.recordOf(o.ctx, m)
	if errors.Is(err, errNoRecord) {
		return &Failure{Reason: ReasonDifferent, Err: fmt.Errorf("snapshot %s has no record to compare with: restore it into a new volume", m.ID)}
	}
	if err != nil {
		return err
	}
	paths := o.config.Restore.Paths
	if len(paths) > 0 && !slices.ContainsFunc(record, func(e Entry) bool { return within(originalPath(e.Path), paths) }) {
		return &Failure{Reason: ReasonNoSnapshot, Err: fmt.Errorf("snapshot %s has none of the paths %s", m.ID, strings.Join(paths, ", "))}
	}
	return nil
}

// forward restores. A failure turns it back; an interruption leaves it to the next.
func (o *operation) forward(v Volume, j *journal) error {
	err := error(&Failure{Reason: ReasonFailed, Err: errors.New("it was given up")})
	if !o.config.Restore.RollBack {
		o.report.stage(PhaseRestoring)
		owned := func(ctx context.Context) (map[string]bool, error) { return o.config.backedUp(ctx, v.Path) }
		err = o.bringBack(o.repository, j.Snapshot, v, Restore{Paths: o.config.Restore.Paths, owned: owned})
	}
	if o.ctx.Err() != nil {
		return o.ctx.Err()
	}
	if err != nil {
		j.Reason, j.Error = ReasonOf(err), err.Error()
		return o.reach(v, j, PhaseRollingBack)
	}
	return o.reach(v, j, PhaseSucceeded)
}

// reach a phase. One that could not be noted down is not reached.
func (o *operation) reach(v Volume, j *journal, phase string) error {
	before := j.Phase
	j.Phase = phase
	if err := o.note(o.ctx, v.Name, j); err != nil {
		j.Phase = before
		return err
	}
	return nil
}

// back restores the safety snapshot, all of it, whatever the policy backs up.
func (o *operation) back(v Volume, j *journal) error {
	o.report.stage(PhaseRollingBack)
	all := o.whole()
	owned := func(ctx context.Context) (map[string]bool, error) { return all.config.backedUp(ctx, v.Path) }
	if err := o.bringBack(all, j.Safety, v, Restore{owned: owned}); err != nil {
		return fmt.Errorf("restoring the safety snapshot %s after this failed: %s: %w", j.Safety, j.Error, err)
	}
	return o.reach(v, j, PhaseRolledBack)
}

// bringBack a snapshot by its ID, and compare.
func (o *operation) bringBack(r *repository, id string, v Volume, how Restore) error {
	how.Snapshot = id
	config := *r.config
	config.Restore = how
	with := *r
	with.config = &config
	m, err := with.chosen(o.ctx, v.Name)
	if err != nil {
		return err
	}
	restored, err := with.restore(o.ctx, m, v.Name, v.Path, o.report)
	o.result.Restored = []Restored{restored}
	return err
}

// whole is the repository for snapshots of everything in a volume.
func (r *repository) whole() *repository {
	config := *r.config
	config.Include, config.Exclude = nil, nil
	out := *r
	out.config = &config
	return &out
}

// backedUp are the paths in a folder that a backup has, as they are stored. What none has, since it is excluded, or a socket, a
// pipe or a device, is nobody's to remove.
func (c *Config) backedUp(ctx context.Context, root string) (map[string]bool, error) {
	dir, err := newSource(root, c.Include).directory()
	if err != nil {
		return nil, err
	}
	out := map[string]bool{}
	err = walk(ctx, ignorefs.New(dir, c.snapshotPolicy()), ".", func(p string, _ fs.Entry) error {
		out[p] = true
		return nil
	})
	return out, err
}
