package engine

import (
	"errors"
	"io"
	"net"
	"os"
	"slices"
	"strings"
	"syscall"

	"github.com/kopia/kopia/repo"
	"github.com/kopia/kopia/repo/blob"
)

// Why something failed, in words that do not change.
const (
	// ReasonConfiguration: what is asked for makes no sense.
	ReasonConfiguration = "ConfigurationInvalid"
	// ReasonPassword: the repository is encrypted by another password.
	ReasonPassword = "WrongPassword"
	// ReasonUnavailable: the repository or a copy can't be reached, or denies itself.
	ReasonUnavailable = "RepositoryUnavailable"
	// ReasonNoRepository: there is none where it should be.
	ReasonNoRepository = "RepositoryMissing"
	// ReasonOther: there is another repository where this one should be.
	ReasonOther = "OtherRepository"
	// ReasonNotEmpty: there is something in the folder that is restored into.
	ReasonNotEmpty = "VolumeNotEmpty"
	// ReasonNoSpace: there is no space left where something is restored to.
	ReasonNoSpace = "VolumeFull"
	// ReasonFull: there is no space left for the repository.
	ReasonFull = "RepositoryFull"
	// ReasonBusy: another program works on the repository.
	ReasonBusy = "RepositoryBusy"
	// ReasonDamaged: a blob that is needed is missing or not what was stored.
	ReasonDamaged = "RepositoryDamaged"
	// ReasonDifferent: a restored tree is not what was recorded.
	ReasonDifferent = "RestoreDiffers"
	// ReasonNoSnapshot: there is no such snapshot.
	ReasonNoSnapshot = "SnapshotMissing"
	// ReasonSource: a file of a volume could not be read.
	ReasonSource = "SourceUnreadable"
	// ReasonCopy: the repository is well, and a copy of it is not.
	ReasonCopy = "CopyFailed"
	// ReasonClock: the clock of this machine and that of the repository are apart, so that nothing is cleaned up: what is
	// young could be taken for old.
	ReasonClock = "ClockSkewed"
	// ReasonFailed: anything else.
	ReasonFailed = "Failed"
)

// Failure is an error with its reason.
type Failure struct {
	Reason string
	Err    error
}

func (f *Failure) Error() string { return f.Err.Error() }

// Unwrap returns what went wrong.
func (f *Failure) Unwrap() error { return f.Err }

// ReasonOf an error, ReasonFailed if nothing better is known.
func ReasonOf(err error) string {
	var f *Failure
	var path *os.PathError
	var network net.Error
	switch {
	case err == nil:
		return ""
	case errors.As(err, &f) && f.Reason != ReasonFailed:
		return f.Reason
	case noSpace(err):
		return ReasonFull
	case f != nil:
		return f.Reason
	case errors.Is(err, repo.ErrInvalidPassword):
		return ReasonPassword
	case errors.Is(err, repo.ErrRepositoryNotInitialized):
		return ReasonNoRepository
	case errors.Is(err, blob.ErrBlobNotFound), strings.Contains(err.Error(), "invalid checksum"): // Kopia has no error of its own for it
		return ReasonDamaged
	case says(err, "RequestTimeTooSkewed", "request time and the server's time"):
		return ReasonClock
	case says(err, "XMinioStorageFull", "free drive threshold", "QuotaExceeded", "Insufficient Storage"):
		return ReasonFull
	case errors.As(err, &network), errors.Is(err, blob.ErrInvalidCredentials), errors.Is(err, io.ErrUnexpectedEOF), denied(err):
		return ReasonUnavailable
	case errors.As(err, &path):
		return ReasonFailed
	}
	return ReasonFailed
}

// noSpace tells whether a disk is full.
func noSpace(err error) bool { return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) }

// denied tells whether a server of buckets said no.
func denied(err error) bool {
	return says(err, "AccessDenied", "Access Denied", "InvalidAccessKeyId", "SignatureDoesNotMatch", "NoSuchBucket",
		"bucket does not exist", "connection refused", "no such host", "Service Unavailable", "SlowDown", "i/o timeout")
}

// says tells whether any of texts is in an error. Kopia keeps only the words of what minio's client returns.
func says(err error, texts ...string) bool {
	said := err.Error()
	return slices.ContainsFunc(texts, func(text string) bool { return strings.Contains(said, text) })
}
