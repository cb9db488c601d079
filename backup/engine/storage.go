package engine

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/kopia/kopia/repo/blob"
	folder "github.com/kopia/kopia/repo/blob/filesystem"
	"github.com/kopia/kopia/repo/blob/s3"
	"golang.org/x/sys/unix"
	"golang.org/x/time/rate"
)

// address is host and port of the endpoint, and whether it is encrypted.
func (s *S3) address() (host string, encrypted bool, err error) {
	u, err := url.Parse(s.Endpoint)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" || strings.Trim(u.Path, "/") != "" || u.RawQuery != "" || u.User != nil {
		return "", false, fmt.Errorf("%q must be the URL of a server, e.g. https://s3.example.com", s.Endpoint)
	}
	return u.Host, u.Scheme == "https", nil
}

// String names a location for people; it has no secret in it.
func (l Location) String() string {
	if l.S3 == nil {
		return l.Path
	}
	return strings.TrimSuffix(l.S3.Endpoint, "/") + "/" + l.S3.Bucket + "/" + l.S3.Prefix
}

// storage opens the place of blobs; a folder is made if create.
func (l Location) storage(ctx context.Context, create bool) (blob.Storage, error) {
	if l.S3 != nil {
		return l.S3.storage(ctx)
	}
	if create {
		if err := os.MkdirAll(l.Path, 0o700); err != nil {
			return nil, fmt.Errorf("making the folder of the repository: %w", err)
		}
	}
	if _, err := os.Stat(l.Path); errors.Is(err, os.ErrNotExist) {
		return nil, missing(l)
	}
	st, err := folder.New(ctx, &folder.Options{Path: l.Path, DirectoryMode: 0o700}, create)
	if err != nil {
		return nil, fmt.Errorf("opening %s: %w", l, err)
	}
	fs, ok := st.(filesystem)
	if !ok {
		return nil, fmt.Errorf("opening %s: it does not tell where blobs are", l)
	}
	opened, err := os.Open(l.Path)
	if err != nil {
		return nil, fmt.Errorf("opening the folder of the repository: %w", err)
	}
	return &written{fs, opened}, nil
}

func missing(l Location) error {
	return &Failure{Reason: ReasonNoRepository, Err: fmt.Errorf("there is no repository at %s", l)}
}

// written is a folder of which the kernel is told to write down each blob as soon as it is stored, so that at the end there is
// little left to wait for. To sync the folder now and then would hold up all who make files in it meanwhile.
type written struct {
	filesystem
	// folder is open from the beginning: what can't be written down is told to those only who had something open then.
	folder *os.File
}

// filesystem is Kopia's storage in a folder.
type filesystem interface {
	blob.Storage
	// GetShardedPathAndFilePath of a blob.
	GetShardedPathAndFilePath(ctx context.Context, id blob.ID) (folder, file string, err error)
}

// PutBlob implements blob.Storage.
func (w *written) PutBlob(ctx context.Context, id blob.ID, data blob.Bytes, o blob.PutOptions) error {
	if err := w.filesystem.PutBlob(ctx, id, data, o); err != nil {
		return err
	}
	if _, file, err := w.GetShardedPathAndFilePath(ctx, id); err == nil && data.Length() >= worthBeginning {
		go beginWriting(file)
	}
	return nil
}

// worthBeginning to write at once, in bytes.
const worthBeginning = 1 << 20

// beginWriting of what the kernel holds of a file. Whether that goes well is told by sync.
func beginWriting(file string) {
	f, err := os.Open(file)
	if err != nil {
		return
	}
	defer f.Close()
	_ = unix.SyncFileRange(int(f.Fd()), 0, 0, unix.SYNC_FILE_RANGE_WRITE)
}

// sync waits until all is on disk, and tells what is not: Kopia leaves that to the kernel's pleasure.
func (w *written) sync() error {
	if err := unix.Syncfs(int(w.folder.Fd())); err != nil {
		return fmt.Errorf("writing the repository to disk: %w", err)
	}
	return nil
}

// Close implements blob.Storage.
func (w *written) Close(ctx context.Context) error {
	return errors.Join(w.filesystem.Close(ctx), w.folder.Close())
}

// synced waits until what was stored is on disk. Of a server, nothing is known but that it has said so.
func synced(st blob.Storage) error {
	if w, ok := st.(interface{ sync() error }); ok {
		return w.sync()
	}
	return nil
}

func (s *S3) storage(ctx context.Context) (blob.Storage, error) {
	host, encrypted, err := s.address()
	if err != nil {
		return nil, &Failure{Reason: ReasonConfiguration, Err: err}
	}
	o := &s3.Options{BucketName: s.Bucket, Prefix: s.Prefix, Endpoint: host, DoNotUseTLS: !encrypted, Region: s.Region}
	if o.AccessKeyID, err = secret(s.AccessKeyFile); err != nil {
		return nil, err
	}
	if o.SecretAccessKey, err = secret(s.SecretKeyFile); err != nil {
		return nil, err
	}
	if s.CAFile != "" {
		ca, err := secret(s.CAFile)
		if err != nil {
			return nil, err
		}
		o.RootCA = append([]byte(ca+"\n"), systemCAs()...) // Kopia takes them in place of the usual ones
	}
	opening, cancel := (&guarded{patience: s.patience}).within(ctx, 0) // it asks whether the bucket is there
	defer cancel()
	st, err := s3.New(opening, o, false)
	if err != nil {
		reason := ReasonOf(err)
		if reason == ReasonFailed {
			reason = ReasonUnavailable
		}
		return nil, &Failure{Reason: reason, Err: fmt.Errorf("opening %s: %w", Location{S3: s}, err)}
	}
	return &guarded{st, Location{S3: s}, s.patience}, nil
}

// caFiles are where systems, and our image, have the certificates that they trust.
var caFiles = []string{"/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/cert.pem"} //nolint:gochecknoglobals // where they are differs, and tests have their own

func systemCAs() []byte {
	for _, name := range caFiles {
		if b, err := os.ReadFile(name); err == nil {
			return b
		}
	}
	return nil
}

// lock keeps others off the repository for as long as this process lives, which is all that a lock may outlive: it is the
// kernel's, on a file beside the blobs. Of a bucket there is none; who starts the runs sees to it that there is one at a time.
// A folder that must be there is not made.
func (l Location) lock(mustExist bool) (unlock func(), err error) {
	if l.S3 != nil {
		return func() {}, nil
	}
	if !mustExist {
		err = os.MkdirAll(l.Path, 0o700)
	} else if _, err = os.Stat(l.Path); errors.Is(err, os.ErrNotExist) {
		return nil, missing(l)
	}
	if err != nil {
		return nil, fmt.Errorf("making the folder of the repository: %w", err)
	}
	f, err := os.OpenFile(filepath.Join(l.Path, ".lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("locking the repository: %w", err)
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		f.Close()
		return nil, &Failure{Reason: ReasonBusy, Err: fmt.Errorf("another program works on the repository %s", l)}
	}
	return func() { f.Close() }, nil
}

// tidy removes the unfinished files of a program that was killed. Only who holds the lock may.
func (l Location) tidy() error {
	if l.S3 != nil {
		return nil
	}
	return filepath.WalkDir(l.Path, func(path string, d os.DirEntry, err error) error {
		if err == nil && !d.IsDir() && strings.Contains(d.Name(), ".f.tmp.") {
			err = os.Remove(path)
		}
		if err != nil {
			return fmt.Errorf("removing unfinished files: %w", err)
		}
		return nil
	})
}

// Kopia opens a repository by a file that says where it is, credentials included. Ours says only the key under which an
// open storage is found in this process, so that no secret is written anywhere.
const storageType = "mockup"

type storageKey struct {
	Key string `json:"key"`
}

type storages struct {
	mu    sync.Mutex
	next  int
	known map[string]blob.Storage
}

var opened = sync.OnceValue(func() *storages { //nolint:gochecknoglobals // Kopia's own registry is global
	all := &storages{known: map[string]blob.Storage{}}
	blob.AddSupportedStorage(storageType, storageKey{}, func(_ context.Context, o *storageKey, _ bool) (blob.Storage, error) {
		all.mu.Lock()
		defer all.mu.Unlock()
		st, ok := all.known[o.Key]
		if !ok {
			return nil, fmt.Errorf("storage %q is not open in this process", o.Key)
		}
		return st, nil
	})
	return all
})

// named is a storage that Kopia finds by its key. It remembers which blob was read last, since Kopia does not say which
// one it could make no sense of.
type named struct {
	blob.Storage
	key  string
	last atomic.Pointer[blob.ID]
	// lost is told of what could not be stored, gone of a repository that could not be reached for reading.
	lost, gone listener
	// limit of bytes in a second; nil for none. Kopia's own takes each blob whose size it does not know for one of 20 MB, so
	// that it is half a minute until a repository is open.
	limit *rate.Limiter
}

// pass waits until so many bytes may have gone by.
func (n *named) pass(ctx context.Context, bytes int) error {
	for ; n.limit != nil && bytes > 0; bytes -= n.limit.Burst() {
		if err := n.limit.WaitN(ctx, min(bytes, n.limit.Burst())); err != nil {
			return fmt.Errorf("keeping to the bandwidth: %w", err)
		}
	}
	return nil
}

// PutBlob implements blob.Storage.
func (n *named) PutBlob(ctx context.Context, id blob.ID, data blob.Bytes, o blob.PutOptions) error {
	err := n.pass(ctx, data.Length())
	if err == nil {
		err = n.Storage.PutBlob(ctx, id, data, o)
	}
	if err != nil {
		n.lost.tell(fmt.Errorf("storing a blob: %w", err))
	}
	return err
}

// read tells of an error in reading if it says that the repository can't be reached.
func (n *named) read(err error) error {
	if err != nil && ReasonOf(err) == ReasonUnavailable {
		n.gone.tell(fmt.Errorf("reading the repository: %w", err))
	}
	return err
}

func (n *named) sync() error { return synced(n.Storage) }

// vital is a context that ends with the first blob that could not be stored, whatever Kopia's own retries did about it. Else it
// would try each further one as long, for a snapshot that is none.
func (n *named) vital(ctx context.Context) (context.Context, context.CancelFunc) {
	return n.lost.within(ctx)
}

// reachable is a context that ends when the repository can't be reached, whatever Kopia's own patience: it looks for indexes again
// and again, for ever longer, until it is told to stop.
func (n *named) reachable(ctx context.Context) (context.Context, context.CancelFunc) {
	return n.gone.within(ctx)
}

// listener is whoever is told of a failure, if anybody is.
type listener struct {
	atomic.Pointer[context.CancelCauseFunc]
}

// within is a context that ends when a failure is told.
func (l *listener) within(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancelCause(ctx)
	before := l.Swap(&cancel)
	return ctx, func() {
		l.Store(before)
		cancel(nil)
	}
}

func (l *listener) tell(err error) {
	if cancel := l.Load(); cancel != nil {
		(*cancel)(err)
	}
}

// told is what was told within a context, if an error is the consequence; else the error.
func told(within, outer context.Context, err error) error {
	if cause := context.Cause(within); err != nil && cause != nil && outer.Err() == nil {
		return cause
	}
	return err
}

// GetBlob implements blob.Storage.
func (n *named) GetBlob(ctx context.Context, id blob.ID, offset, length int64, out blob.OutputBuffer) error {
	n.last.Store(&id)
	if err := n.Storage.GetBlob(ctx, id, offset, length, out); err != nil {
		return n.read(err)
	}
	return n.pass(ctx, out.Length())
}

// GetMetadata implements blob.Storage.
func (n *named) GetMetadata(ctx context.Context, id blob.ID) (blob.Metadata, error) {
	m, err := n.Storage.GetMetadata(ctx, id)
	return m, n.read(err)
}

// ListBlobs implements blob.Storage.
func (n *named) ListBlobs(ctx context.Context, prefix blob.ID, each func(blob.Metadata) error) error {
	return n.read(n.Storage.ListBlobs(ctx, prefix, each))
}

// suspect is the blob that an error is about: the one that was read last, unless the error names one itself.
func (n *named) suspect(err error) error {
	if last := n.last.Load(); last != nil && !strings.Contains(err.Error(), string(*last)) {
		return fmt.Errorf("blob %s: %w", *last, err)
	}
	return err
}

// ConnectionInfo implements blob.Storage.
func (n *named) ConnectionInfo() blob.ConnectionInfo {
	return blob.ConnectionInfo{Type: storageType, Config: &storageKey{Key: n.key}}
}

func (s *storages) add(st blob.Storage, bytesPerSecond int64) *named {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.next++
	n := &named{Storage: st, key: fmt.Sprint(s.next)}
	if bytesPerSecond > 0 {
		n.limit = rate.NewLimiter(rate.Limit(bytesPerSecond), int(bytesPerSecond))
	}
	s.known[n.key] = n
	return n
}

func (s *storages) drop(n *named) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.known, n.key)
}
