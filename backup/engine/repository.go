package engine

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/kopia/kopia/repo"
	"github.com/kopia/kopia/repo/blob"
	"github.com/kopia/kopia/repo/content"
	"github.com/kopia/kopia/repo/format"
	"github.com/kopia/kopia/repo/maintenance"
	"github.com/kopia/kopia/snapshot"
	"github.com/kopia/kopia/snapshot/policy"
)

// user under which snapshots are stored; the host is the configuration's source.
const user = "mockup"

// repository that is open.
type repository struct {
	repo.DirectRepository
	storage *named
	config  *Config
	closed  context.CancelFunc // what Kopia began when it was opened
	dir     string             // of Kopia's file that says where the repository is
}

// open the repository, made if it is not there and create is true.
func (c *Config) open(ctx context.Context, create bool) (*repository, error) {
	password, err := secret(c.PasswordFile)
	if err != nil {
		return nil, err
	}
	if password == "" {
		return nil, &Failure{Reason: ReasonConfiguration, Err: fmt.Errorf("the password in %s is empty", c.PasswordFile)}
	}
	st, err := c.location().storage(ctx, create && !c.MustExist)
	if err != nil {
		return nil, err
	}
	return c.openStorage(ctx, st, password, create)
}

func (c *Config) openStorage(ctx context.Context, st blob.Storage, password string, create bool) (*repository, error) {
	r := &repository{config: c, storage: opened().add(st, c.BytesPerSecond)}
	var err error
	if r.dir, err = os.MkdirTemp("", "kopia-"); err != nil {
		return nil, fmt.Errorf("making a folder for the connection: %w", err)
	}
	err = r.connect(ctx)
	made := false
	if errors.Is(err, repo.ErrRepositoryNotInitialized) && create && !c.MustExist {
		if err = initialize(ctx, st, password); err == nil {
			err, made = r.connect(ctx), true
		}
	}
	if err == nil {
		var opening context.Context
		opening, r.closed = r.storage.reachable(ctx)
		r.DirectRepository, err = r.opened(opening, password)
		err = told(opening, ctx, err)
	}
	if err == nil {
		err = r.expected()
	}
	if err == nil && (made || create) {
		err = errors.Join(r.settle(ctx), r.seal(ctx), r.nameIt(ctx))
	}
	if err != nil {
		err = r.refused(ctx, err)
		r.close(ctx)
		return nil, err
	}
	return r, nil
}

// expected is an error if the repository is not the one that is meant.
func (r *repository) expected() error {
	if want := r.config.RepositoryID; want != "" && want != r.id() {
		return &Failure{Reason: ReasonOther, Err: fmt.Errorf("its ID is %s, and the backups were made into %s", r.id(), want)}
	}
	return nil
}

// sealID is a blob of ours with the digest of the one that opens the repository: to Kopia, that one damaged looks like a
// wrong password.
const sealID blob.ID = "mockup.seal"

func (r *repository) digest(ctx context.Context) (string, error) {
	var b buffer
	if err := r.storage.GetBlob(ctx, format.KopiaRepositoryBlobID, 0, -1, &b); err != nil {
		return "", err
	}
	return fmt.Sprintf("%x", sha256.Sum256(b.Bytes())), nil
}

// seal a repository that has just been opened.
func (r *repository) seal(ctx context.Context) error {
	want, err := r.digest(ctx)
	if err != nil {
		return err
	}
	var have buffer
	if err := r.storage.GetBlob(ctx, sealID, 0, -1, &have); err == nil && have.String() == want {
		return nil
	}
	var b buffer
	b.WriteString(want)
	return r.storage.PutBlob(ctx, sealID, &b, blob.PutOptions{})
}

// broken tells whether the seal is there and not that of what opens the repository.
func (r *repository) broken(ctx context.Context) bool {
	var seal buffer
	if err := r.storage.GetBlob(ctx, sealID, 0, -1, &seal); err != nil {
		return false
	}
	have, err := r.digest(ctx)
	return err == nil && have != seal.String()
}

// refused is an error of opening in the words of this package.
func (r *repository) refused(ctx context.Context, err error) error {
	where := r.config.location()
	switch reason := ReasonOf(err); {
	case errors.Is(err, repo.ErrRepositoryNotInitialized):
		if err := unopened(ctx, r.storage); err != nil {
			return err
		}
		return missing(where)
	case errors.Is(err, repo.ErrInvalidPassword) && r.broken(ctx):
		return &Failure{Reason: ReasonDamaged, Err: fmt.Errorf("blob %s of the repository at %s is not what was stored", format.KopiaRepositoryBlobID, where)}
	case errors.Is(err, repo.ErrInvalidPassword):
		return &Failure{Reason: ReasonPassword, Err: fmt.Errorf("the repository at %s is encrypted by another password", where)}
	case reason == ReasonFailed && !isSystem(err):
		return &Failure{Reason: ReasonDamaged, Err: fmt.Errorf("opening the repository at %s: %w", where, r.storage.suspect(err))}
	default:
		return &Failure{Reason: reason, Err: fmt.Errorf("opening the repository at %s: %w", where, err)}
	}
}

func isSystem(err error) bool {
	var path *os.PathError
	return errors.As(err, &path) || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded)
}

// connect writes Kopia's file that says where the repository is. Kopia's own Connect opens the repository to try it out, and
// to make the key of the password, which is meant to take long, takes most of the time of a run with nothing to do.
func (r *repository) connect(ctx context.Context) error {
	var opens buffer
	if err := r.storage.GetBlob(ctx, format.KopiaRepositoryBlobID, 0, -1, &opens); errors.Is(err, blob.ErrBlobNotFound) {
		return repo.ErrRepositoryNotInitialized
	} else if err != nil {
		return fmt.Errorf("reading blob %s: %w", format.KopiaRepositoryBlobID, err)
	}
	where := r.storage.ConnectionInfo()
	client := repo.ClientOptions{
		Hostname: r.config.Source, Username: user, Description: "mockup", FormatBlobCacheDuration: 15 * time.Minute,
	}
	text, err := json.Marshal(repo.LocalConfig{Storage: &where, Caching: &content.CachingOptions{}, ClientOptions: client})
	if err != nil {
		return fmt.Errorf("writing down where the repository is: %w", err)
	}
	if err := os.WriteFile(r.file(), text, 0o600); err != nil {
		return fmt.Errorf("writing down where the repository is: %w", err)
	}
	return nil
}

func (r *repository) file() string { return filepath.Join(r.dir, "repository.config") }

func (r *repository) opened(ctx context.Context, password string) (repo.DirectRepository, error) {
	rep, err := repo.Open(ctx, r.file(), password, &repo.Options{
		DisableRepositoryLog: true, OnFatalError: func(error) {}, DoNotWaitForUpgrade: true,
	})
	if err != nil {
		return nil, err
	}
	direct, ok := rep.(repo.DirectRepository)
	if !ok {
		return nil, errors.New("the repository is behind a server")
	}
	return direct, nil
}

// initialize makes an empty repository. One that was interrupted in being made has nothing but the first of its two blobs,
// with which Kopia neither opens nor makes it.
func initialize(ctx context.Context, st blob.Storage, password string) error {
	if err := unopened(ctx, st); err != nil {
		return err
	}
	if err := st.DeleteBlob(ctx, format.KopiaBlobCfgBlobID); err != nil && !errors.Is(err, blob.ErrBlobNotFound) {
		return err
	}
	return repo.Initialize(ctx, st, &repo.NewRepositoryOptions{}, password)
}

// unopened is an error if there is a repository that has lost what opens it.
func unopened(ctx context.Context, st blob.Storage) error {
	others := 0
	err := st.ListBlobs(ctx, "", func(m blob.Metadata) error {
		if m.BlobID != format.KopiaBlobCfgBlobID && !ours(m.BlobID) {
			others++
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("listing the blobs: %w", err)
	}
	if others == 0 {
		return nil
	}
	return &Failure{Reason: ReasonDamaged, Err: fmt.Errorf("blob %s is missing, without which the %d others can't be read", format.KopiaRepositoryBlobID, others)}
}

// settle writes down, once, who maintains the repository, and that Kopia's own rules delete no snapshot: it applies them
// at checkpoints of a long upload, and its defaults are not those of our configuration.
func (r *repository) settle(ctx context.Context) error {
	params, err := maintenance.GetParams(ctx, r)
	if err != nil {
		return err
	}
	global, err := policy.GetDefinedPolicy(ctx, r, policy.GlobalPolicySourceInfo)
	if err == nil && params.Owner == r.ClientOptions().UsernameAtHost() && global.RetentionPolicy.KeepLatest.OrDefault(0) == keepAll {
		return nil
	}
	return repo.WriteSession(ctx, r, repo.WriteSessionOptions{Purpose: "set-up"}, func(ctx context.Context, w repo.RepositoryWriter) error {
		params.Owner = r.ClientOptions().UsernameAtHost()
		if err := maintenance.SetParams(ctx, w, params); err != nil {
			return err
		}
		all := policy.OptionalInt(keepAll)
		return policy.SetPolicy(ctx, w, policy.GlobalPolicySourceInfo, &policy.Policy{RetentionPolicy: policy.RetentionPolicy{KeepLatest: &all}})
	})
}

// keepAll is more than there will ever be.
const keepAll = 1 << 30

func (r *repository) close(ctx context.Context) {
	if r.DirectRepository != nil {
		_ = r.Close(ctx) // everything that counts has been flushed
	}
	if r.closed != nil {
		r.closed()
	}
	opened().drop(r.storage)
	_ = os.RemoveAll(r.dir) // in the container's scratch space, and nothing secret is in it
}

// Kinds of snapshots in a repository: of volumes, and of the records of such snapshots.
const (
	volumePath = "/volumes/"
	recordPath = "/records/"
	recordTag  = "tag:record" // of a snapshot: the ID of its record
	safetyTag  = "tag:safety" // of a snapshot that was taken before a restore in place
)

// isSafety tells safety snapshots from backups: they are restored by their ID alone.
func isSafety(m *snapshot.Manifest) bool { return m.Tags[safetyTag] != "" }

func (r *repository) source(path, volume string) snapshot.SourceInfo {
	return snapshot.SourceInfo{Host: r.config.Source, UserName: user, Path: path + volume}
}

// snapshots of a volume that are complete, oldest first.
func (r *repository) snapshots(ctx context.Context, volume string) ([]*snapshot.Manifest, error) {
	all, err := snapshot.ListSnapshots(ctx, r, r.source(volumePath, volume))
	if err != nil {
		return nil, fmt.Errorf("listing the snapshots of %s: %w", volume, err)
	}
	var out []*snapshot.Manifest
	for _, m := range snapshot.SortByTime(all, false) {
		if m.IncompleteReason == "" {
			out = append(out, m)
		}
	}
	return out, nil
}

// chosen is the snapshot that the configuration asks for.
func (r *repository) chosen(ctx context.Context, volume string) (*snapshot.Manifest, error) {
	all, err := r.snapshots(ctx, volume)
	if err != nil {
		return nil, err
	}
	want := r.config.Restore
	if want.Snapshot == "" && want.AsOf.IsZero() {
		all = r.config.present(all)
	}
	for i := len(all) - 1; i >= 0; i-- {
		m := all[i]
		if (want.Snapshot == "" && !isSafety(m) || string(m.ID) == want.Snapshot) && (want.AsOf.IsZero() || !m.StartTime.ToTime().After(want.AsOf)) {
			return m, nil
		}
	}
	what := "there is no snapshot of volume " + volume
	if want.Snapshot != "" {
		what += " with the ID " + want.Snapshot
	}
	if !want.AsOf.IsZero() {
		what += " from " + want.AsOf.Format(time.RFC3339) + " or before"
	}
	return nil, &Failure{Reason: ReasonNoSnapshot, Err: errors.New(what)}
}
