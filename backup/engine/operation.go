package engine

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/kopia/kopia/repo/blob"
)

// Result of an operation, printed as the last line: {"result": {...}}.
type Result struct {
	Operation string    `json:"operation"`
	Began     time.Time `json:"began"`
	Ended     time.Time `json:"ended"`
	Succeeded bool      `json:"succeeded"`
	// Reason and Error say why not.
	Reason string `json:"reason,omitempty"`
	Error  string `json:"error,omitempty"`
	// Made are the snapshots of this run, Snapshots all that there are, oldest first.
	Made      []Snapshot `json:"made,omitempty"`
	Snapshots []Snapshot `json:"snapshots,omitempty"`
	// Repository as it is now.
	Repository   *Size         `json:"repository,omitempty"`
	Verification *Verification `json:"verification,omitempty"`
	Restored     []Restored    `json:"restored,omitempty"`
	InPlace      *InPlace      `json:"inPlace,omitempty"`
	Pruned       *Pruned       `json:"pruned,omitempty"`
	Copies       []Copied      `json:"copies,omitempty"`
	Archives     []Archive     `json:"archives,omitempty"`
	// Entries that were printed.
	Entries int `json:"entries,omitempty"`
}

// Size of a repository.
type Size struct {
	// ID that it was made with and keeps.
	ID    string `json:"id,omitempty"`
	Blobs int64  `json:"blobs"`
	Bytes int64  `json:"bytes"`
	// Free and Capacity of what it is on, in bytes; 0 where nobody knows.
	Free     int64 `json:"free,omitempty"`
	Capacity int64 `json:"capacity,omitempty"`
}

func (r *repository) size(ctx context.Context) (Size, error) {
	out := Size{ID: r.id()}
	err := r.storage.ListBlobs(ctx, "", func(m blob.Metadata) error {
		out.Blobs++
		out.Bytes += m.Length
		return nil
	})
	if err != nil {
		return out, fmt.Errorf("listing the blobs: %w", err)
	}
	if c, err := r.storage.GetCapacity(ctx); err == nil {
		out.Free, out.Capacity = int64(c.FreeB), int64(c.SizeB)
	}
	return out, nil
}

// operations by name.
var operations = map[string]func(*operation) error{ //nolint:gochecknoglobals // a table that nothing writes to
	"run": (*operation).run, "verify": (*operation).verify, "restore": (*operation).restore,
	"test-restore": (*operation).testRestore, "export": (*operation).export, "list": (*operation).list,
	"browse": (*operation).browse, "prune": (*operation).prune, "copy": (*operation).copies,
}

// Operations are the names of what Run can do.
func Operations() []string {
	return []string{"run", "verify", "restore", "test-restore", "export", "list", "browse", "prune", "copy"}
}

// operation that goes on.
type operation struct {
	*repository
	ctx    context.Context //nolint:containedctx // it lives as long as the call
	report *Reporter
	out    io.Writer
	result *Result
}

// RunFile is Run with the configuration in a file, to which change, if not nil, adds what is asked for this time.
func RunFile(ctx context.Context, name, file string, change func(*Config), out io.Writer) (Result, error) {
	c, err := ReadConfig(file)
	if err != nil {
		return perform(ctx, name, &Config{}, err, out)
	}
	if change != nil {
		change(c)
	}
	return Run(ctx, name, c, out)
}

// Run an operation. Progress goes to out as it is made, and the result as the last line, in any case. The error is that of
// the result.
func Run(ctx context.Context, name string, c *Config, out io.Writer) (Result, error) {
	return perform(ctx, name, c, c.check(name), out)
}

func perform(ctx context.Context, name string, c *Config, err error, out io.Writer) (Result, error) {
	result := Result{Operation: name, Began: c.now().UTC().Truncate(time.Second)}
	if err == nil {
		err = run(ctx, name, c, out, &result)
	}
	result.Ended, result.Succeeded = c.now().UTC().Truncate(time.Second), err == nil
	if err != nil {
		result.Reason, result.Error = ReasonOf(err), err.Error()
	}
	if printErr := json.NewEncoder(out).Encode(map[string]Result{"result": result}); err == nil && printErr != nil {
		err = fmt.Errorf("printing the result: %w", printErr)
	}
	return result, err
}

func run(ctx context.Context, name string, c *Config, out io.Writer, result *Result) error {
	do, ok := operations[name]
	if !ok {
		return &Failure{Reason: ReasonConfiguration, Err: fmt.Errorf("there is no operation %q", name)}
	}
	writes := c.writes(name)
	unlock, err := c.location().lock(c.MustExist)
	if err != nil && (writes || ReasonOf(err) == ReasonBusy) {
		return err
	}
	if err == nil {
		defer unlock()
	}
	if writes {
		if err := c.location().tidy(); err != nil {
			return err
		}
	}
	r, err := c.open(ctx, name == "run")
	if err != nil {
		return err
	}
	defer r.close(ctx)
	working, end := r.storage.reachable(ctx)
	defer end()
	o := &operation{repository: r, ctx: working, report: NewReporter(out), out: out, result: result}
	err = told(working, ctx, do(o))
	if writes && ReasonOf(err) == ReasonFull {
		err = errors.Join(err, r.relieve(ctx))
	}
	if size, sizeErr := r.size(ctx); sizeErr == nil {
		result.Repository = &size
	} else if err == nil {
		err = sizeErr
	}
	return err
}

// run is a backup: snapshots, a check of them, and only then what removes anything; archives and copies at last.
func (o *operation) run() error {
	var made []string
	for _, v := range o.config.Volumes {
		s, err := o.snapshot(o.ctx, v, o.report)
		if err != nil {
			return err
		}
		o.result.Made, made = append(o.result.Made, s), append(made, s.ID)
	}
	synced := make(chan error, 1)
	go func() { synced <- o.storage.sync() }()
	if err := errors.Join(o.check(Verify{Mode: VerifyQuick}, made), <-synced); err != nil {
		if o.result.Verification.only(inventoryID) { // no snapshot needs it, and the next run has it again
			err = errors.Join(err, o.takeInventory(o.ctx, false))
		}
		return err
	}
	// What goes wrong from here on touches no snapshot, and the rest is done all the same.
	errs := []error{o.pruned(false)}
	if o.config.Archives.Keep > 0 {
		errs = append(errs, o.archives(), o.config.keepArchives())
	}
	errs = append(errs, o.list(), o.copies())
	return errors.Join(errs...)
}

func (o *operation) check(how Verify, only []string) error {
	found, err := o.repository.verify(o.ctx, how, only, o.report)
	o.result.Verification = &found
	if err != nil {
		return fmt.Errorf("verifying: %w", err)
	}
	return found.failure()
}

func (o *operation) verify() error {
	if err := o.check(o.config.Verify, nil); err != nil {
		return err
	}
	return o.list()
}

// pruned removes what no rule keeps, or only takes stock if nothing is to be removed.
func (o *operation) pruned(thorough bool) error {
	if o.config.NoPruning {
		return errors.Join(o.takeInventory(o.ctx, false), o.storage.sync())
	}
	gone, err := o.repository.prune(o.ctx, thorough, o.report)
	o.result.Pruned = &gone
	if err != nil {
		return err
	}
	return o.storage.sync()
}

// prune removes nothing unless the newest snapshot of each volume is well.
func (o *operation) prune() error {
	if o.config.NoPruning {
		return &Failure{Reason: ReasonDamaged, Err: errors.New("nothing is removed as long as the last verification or test restore has failed")}
	}
	var newest []string
	for _, v := range o.config.Volumes {
		all, err := o.snapshots(o.ctx, v.Name)
		if err != nil {
			return err
		}
		all = slices.DeleteFunc(all, isSafety) // what was verified are backups
		if all = o.config.present(all); len(all) > 0 {
			newest = append(newest, string(all[len(all)-1].ID))
		}
	}
	if err := o.check(Verify{Mode: VerifyQuick}, newest); err != nil {
		return err
	}
	if err := o.pruned(true); err != nil {
		return err
	}
	return o.list()
}

// list what there is, and by which rules it is kept.
func (o *operation) list() error {
	o.result.Snapshots = nil
	for _, v := range o.config.Volumes {
		all, err := o.snapshots(o.ctx, v.Name)
		if err != nil {
			return err
		}
		kept := o.config.kept(all)
		for i, m := range all {
			s := described(v.Name, m)
			s.Kept = kept[i]
			o.result.Snapshots = append(o.result.Snapshots, s)
		}
	}
	return nil
}

// batch is the number of entries in a line.
const batch = 100

// browse prints the entries of a snapshot, without digests, some in a line: {"entries": "..."}, lines of JSON that are
// compressed by gzip, since logs are bounded.
func (o *operation) browse() error {
	for _, v := range o.config.Volumes {
		m, err := o.chosen(o.ctx, v.Name)
		if err != nil {
			return err
		}
		record, err := o.recordOf(o.ctx, m)
		if err != nil {
			return err
		}
		record = slices.DeleteFunc(record, func(e Entry) bool { return !within(originalPath(e.Path), o.config.Restore.Paths) })
		for some := range slices.Chunk(record, batch) {
			if err := o.printEntries(some); err != nil {
				return fmt.Errorf("printing: %w", err)
			}
		}
		o.result.Entries += len(record)
		o.result.Snapshots = append(o.result.Snapshots, described(v.Name, m))
	}
	return nil
}

func (o *operation) printEntries(some []Entry) error {
	var packed bytes.Buffer
	compressed := gzip.NewWriter(&packed)
	lines := json.NewEncoder(compressed)
	for _, e := range some {
		e.Digest = ""
		if err := lines.Encode(e); err != nil {
			return err
		}
	}
	if err := compressed.Close(); err != nil {
		return err
	}
	return json.NewEncoder(o.out).Encode(map[string][]byte{"entries": packed.Bytes()})
}

func (o *operation) restore() error {
	if o.config.Restore.InPlace != "" {
		return o.restoreInPlace()
	}
	for _, v := range o.config.Volumes {
		m, err := o.chosen(o.ctx, v.Name)
		if err != nil {
			return err
		}
		restored, err := o.repository.restore(o.ctx, m, v.Name, v.Path, o.report)
		o.result.Restored = append(o.result.Restored, restored)
		if err != nil {
			return err
		}
	}
	return nil
}

// testRestore restores into a folder that is emptied before and after.
func (o *operation) testRestore() error {
	dir := filepath.Join(o.config.Restore.Scratch, "mockup-test-restore")
	o.config.Restore.Exact = true
	for _, v := range o.config.Volumes {
		m, err := o.chosen(o.ctx, v.Name)
		if err != nil {
			return err
		}
		if err := os.RemoveAll(dir); err != nil {
			return fmt.Errorf("emptying the scratch folder: %w", err)
		}
		restored, err := o.repository.restore(o.ctx, m, v.Name, dir, o.report)
		o.result.Restored = append(o.result.Restored, restored)
		if err != nil {
			return err
		}
		if !restored.Compared {
			return &Failure{Reason: ReasonDifferent, Err: fmt.Errorf("snapshot %s has no record to compare with", m.ID)}
		}
	}
	if err := os.RemoveAll(dir); err != nil {
		return fmt.Errorf("emptying the scratch folder: %w", err)
	}
	return o.list()
}

// export what is asked for. It stays until somebody removes it.
func (o *operation) export() error {
	if err := o.archives(); err != nil {
		return err
	}
	for _, a := range o.result.Archives {
		if err := o.config.keepArchive(a.File); err != nil {
			return err
		}
	}
	return nil
}

func (o *operation) archives() error {
	for _, v := range o.config.Volumes {
		m, err := o.chosen(o.ctx, v.Name)
		if err != nil {
			return err
		}
		archive, err := o.repository.export(o.ctx, m, v.Name, o.report)
		if err != nil {
			return err
		}
		o.result.Archives = append(o.result.Archives, archive)
	}
	return nil
}

// copies makes all of them equal to the repository. One that fails does not keep the others from it.
func (o *operation) copies() error {
	var wrong []string
	for _, c := range o.config.Copies {
		copied, err := o.copyTo(o.ctx, c, o.report)
		if err != nil {
			copied.Reason, copied.Error = ReasonOf(err), err.Error()
			wrong = append(wrong, err.Error())
		}
		o.result.Copies = append(o.result.Copies, copied)
	}
	if len(wrong) > 0 {
		return &Failure{Reason: ReasonCopy, Err: errors.New(strings.Join(wrong, "; "))}
	}
	return nil
}
