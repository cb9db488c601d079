package engine

import (
	"encoding/json"
	"io"
	"sync"
	"time"

	"github.com/kopia/kopia/snapshot/upload"
)

// Progress of an operation, printed as a line of JSON once in a second at most: {"progress": {...}}.
type Progress struct {
	// Phase is what is being done: backup, verify, restore, compare, copy, export, prune.
	Phase string `json:"phase"`
	// Stage of a restore in place: TakingSafetySnapshot, Restoring or RollingBack.
	Stage string `json:"stage,omitempty"`
	// Volume or copy that it is done to.
	Subject string `json:"subject,omitempty"`
	Files   int64  `json:"files"`
	Bytes   int64  `json:"bytes"`
	// TotalFiles and TotalBytes are 0 as long as they are not known.
	TotalFiles int64 `json:"totalFiles,omitempty"`
	TotalBytes int64 `json:"totalBytes,omitempty"`
	// BytesPerSecond since the phase began.
	BytesPerSecond int64 `json:"bytesPerSecond,omitempty"`
	// RemainingSeconds at that rate; absent when the total is not known.
	RemainingSeconds *int64 `json:"remainingSeconds,omitempty"`
}

// Reporter prints progress.
type Reporter struct {
	mu      sync.Mutex
	out     *json.Encoder
	now     Progress
	began   time.Time
	printed time.Time
}

// NewReporter prints to w.
func NewReporter(w io.Writer) *Reporter { return &Reporter{out: json.NewEncoder(w)} }

// begin a phase.
func (r *Reporter) begin(phase, subject string, totalFiles, totalBytes int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.began = time.Now()
	r.now = Progress{Phase: phase, Stage: r.now.Stage, Subject: subject, TotalFiles: totalFiles, TotalBytes: totalBytes}
	r.print()
}

// stage of a restore in place that the phases from now on belong to.
func (r *Reporter) stage(name string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.now.Stage = name
}

// add to what has been done.
func (r *Reporter) add(files, bytes int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.now.Files += files
	r.now.Bytes += bytes
	if time.Since(r.printed) >= time.Second {
		r.print()
	}
}

func (r *Reporter) expect(files, bytes int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.now.TotalFiles, r.now.TotalBytes = files, bytes
}

func (r *Reporter) print() {
	r.printed = time.Now()
	p := r.now
	if took := time.Since(r.began).Seconds(); took > 0.5 {
		p.BytesPerSecond = int64(float64(p.Bytes) / took)
	}
	if left := p.TotalBytes - p.Bytes; p.BytesPerSecond > 0 && p.TotalBytes > 0 && left >= 0 {
		seconds := left / p.BytesPerSecond
		p.RemainingSeconds = &seconds
	}
	_ = r.out.Encode(map[string]Progress{"progress": p}) // who does not listen misses it
}

// uploading tells Kopia's progress, and keeps what could not be read.
type uploading struct {
	upload.NullUploadProgress
	*Reporter
	// known is true when the last snapshot says about how much there is.
	known  bool
	mu     sync.Mutex
	failed []uploadError
}

type uploadError struct {
	path string
	err  error
}

// Enabled implements upload.Progress. If so, Kopia lists all folders for an estimate, beside the backup.
func (u *uploading) Enabled() bool { return !u.known }

// EstimationParameters implements upload.Progress.
func (*uploading) EstimationParameters() upload.EstimationParameters {
	return upload.EstimationParameters{Type: upload.EstimationTypeClassic}
}

// EstimatedDataSize implements upload.Progress.
func (u *uploading) EstimatedDataSize(files, bytes int64) { u.expect(files, bytes) }

// CachedFile implements upload.Progress.
func (u *uploading) CachedFile(_ string, size int64) { u.add(1, size) }

// FinishedHashingFile implements upload.Progress.
func (u *uploading) FinishedHashingFile(string, int64) { u.add(1, 0) }

// HashedBytes implements upload.Progress.
func (u *uploading) HashedBytes(n int64) { u.add(0, n) }

// Error implements upload.Progress.
func (u *uploading) Error(path string, err error, _ bool) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.failed = append(u.failed, uploadError{path, err})
}
