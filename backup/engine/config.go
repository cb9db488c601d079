// Package engine makes backups of folders in a Kopia repository, proves them by comparison and restores them.
//
// Beside each snapshot it keeps a record: what the source looked like to the very reader that stored it. A restored tree
// is compared with the record, so that neither the repository nor the code that reads it has to be believed.
package engine

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// Config says what is to be done, to which volumes, and where the repository is. Secrets are files that it names.
type Config struct {
	// Source names whose volumes these are, e.g. a namespace and stack. Snapshots of others in the repository are left alone.
	Source string `json:"source"`
	// Repository is where snapshots are kept.
	Repository Location `json:"repository"`
	// MustExist says that there is a repository already: none is made in its place.
	MustExist bool `json:"mustExist,omitempty"`
	// RepositoryID that it must have, as the result of a run says; "" for any.
	RepositoryID string `json:"repositoryID,omitempty"`
	// NoPruning keeps whatever there is: snapshots, archives, and what a copy has beyond the repository.
	NoPruning bool `json:"noPruning,omitempty"`
	// Copies of the repository, each made equal to it at the end of a run.
	Copies []Copy `json:"copies,omitempty"`
	// From is the name of the copy that is read in place of the repository, for all that only reads.
	From string `json:"from,omitempty"`
	// PasswordFile holds the password that encrypts the repository; a line end after it is not part of it.
	PasswordFile string `json:"passwordFile"`
	// Volumes are the folders that are backed up, or restored into.
	Volumes []Volume `json:"volumes"`
	// Compression is zstd, zstd-fastest, zstd-better-compression, s2-default or none; the default is zstd.
	Compression string `json:"compression,omitempty"`
	// Include are the paths in the volumes that are backed up with all that is below; none means everything.
	Include []string `json:"include,omitempty"`
	// Exclude are patterns of what is not, in the manner of .gitignore.
	Exclude []string `json:"exclude,omitempty"`
	// BytesPerSecond is the most that is written to the repository or read from it in a second, for copies as well; 0 for
	// no limit.
	BytesPerSecond int64 `json:"bytesPerSecond,omitempty"`
	// TimeZone in which days and hours of Retention begin; the default is UTC.
	TimeZone  string    `json:"timeZone,omitempty"`
	Retention Retention `json:"retention,omitzero"`
	Verify    Verify    `json:"verify,omitzero"`
	Restore   Restore   `json:"restore,omitzero"`
	// Archives are portable copies of snapshots.
	Archives Archives `json:"archives,omitzero"`
	// Now is the time of snapshots; nil is the system's clock. Kopia itself looks at that alone.
	Now func() time.Time `json:"-"`
}

// Volume is a folder with a name.
type Volume struct {
	Name string `json:"name"`
	Path string `json:"path"`
}

// Location of a repository: exactly one of Path and S3.
type Location struct {
	// Path of a folder.
	Path string `json:"path,omitempty"`
	S3   *S3    `json:"s3,omitempty"`
}

// S3 is a bucket of a server that speaks the protocol of Amazon S3.
type S3 struct {
	// Endpoint is a URL; http is without encryption on the way.
	Endpoint string `json:"endpoint"`
	Bucket   string `json:"bucket"`
	Prefix   string `json:"prefix,omitempty"`
	Region   string `json:"region,omitempty"`
	// AccessKeyFile, SecretKeyFile hold the credentials, CAFile the certificates to trust beside the system's.
	AccessKeyFile string `json:"accessKeyFile"`
	SecretKeyFile string `json:"secretKeyFile"`
	CAFile        string `json:"caFile,omitempty"`

	patience time.Duration // of a test
}

// Copy of the repository somewhere else.
type Copy struct {
	Name string `json:"name"`
	Location
}

// Verify says how a verification looks.
type Verify struct {
	// Mode is quick (everything that snapshots need is there), sample (some contents are read as well) or full (all are).
	Mode string `json:"mode,omitempty"`
	// Percent of the files that a sample reads.
	Percent float64 `json:"percent,omitempty"`
}

// Restore says what is brought back, and where to.
type Restore struct {
	// Snapshot is the ID of one; the default is the newest.
	Snapshot string `json:"snapshot,omitempty"`
	// AsOf chooses the newest that was begun no later.
	AsOf time.Time `json:"asOf,omitzero"`
	// Paths in the volume, with all that is below; none means everything.
	Paths []string `json:"paths,omitempty"`
	// Exact removes from the folder what the snapshot does not have. It goes with no Paths.
	Exact bool `json:"exact,omitempty"`
	// OnlyEmpty restores into a folder in which nothing is, or what a restore that did not end has left.
	OnlyEmpty bool `json:"onlyEmpty,omitempty"`
	// Scratch is the folder into which a test restore goes, one volume after the other.
	Scratch string `json:"scratch,omitempty"`
	// InPlace is the ID of a request to replace what is in the volume, which nobody else mounts. Whoever is called with the same
	// one goes on with it.
	InPlace string `json:"inPlace,omitempty"`
	// RollBack has a restore in place that has begun restore its safety snapshot, and go no further.
	RollBack bool `json:"rollBack,omitempty"`
	// owned are the paths in the folder that may be removed if the snapshot does not have them; see Config.backedUp.
	owned func(context.Context) (map[string]bool, error)
}

// Archives are portable copies of snapshots, <volume>-backup-YYYYMMDD_HHMMSS.tar.gz.
type Archives struct {
	Dir string `json:"dir,omitempty"`
	// Keep so many of each volume.
	Keep int `json:"keep,omitempty"`
}

// ReadConfig reads a file. Unknown fields are errors; whether the known ones make sense is told by Run.
func ReadConfig(file string) (*Config, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, &Failure{Reason: ReasonConfiguration, Err: fmt.Errorf("reading the configuration: %w", err)}
	}
	defer f.Close()
	d := json.NewDecoder(f)
	d.DisallowUnknownFields()
	c := &Config{}
	if err := d.Decode(c); err != nil {
		return nil, &Failure{Reason: ReasonConfiguration, Err: fmt.Errorf("reading the configuration %s: %w", file, err)}
	}
	if d.Decode(&struct{}{}) != io.EOF {
		return nil, &Failure{Reason: ReasonConfiguration, Err: fmt.Errorf("reading the configuration %s: there is something behind its end", file)}
	}
	return c, nil
}

// check names every field that makes no sense.
func (c *Config) check(operation string) error {
	var wrong []error
	bad := func(field, reason string) {
		wrong = append(wrong, &Failure{Reason: ReasonConfiguration, Err: fmt.Errorf("%s %s", field, reason)})
	}
	if c.Source == "" {
		bad("source", "must name whose volumes these are")
	}
	if c.PasswordFile == "" {
		bad("passwordFile", "must name the file of the password")
	}
	c.Repository.check("repository", bad)
	names := map[string]bool{}
	for i, other := range c.Copies {
		other.check(fmt.Sprintf("copies[%d]", i), bad)
		if other.Name == "" || names[other.Name] {
			bad(fmt.Sprintf("copies[%d].name", i), "must be there and differ from the others")
		}
		names[other.Name] = true
	}
	if c.From != "" && !names[c.From] {
		bad("from", fmt.Sprintf("%q is none of the copies", c.From))
	}
	c.checkVolumes(bad)
	if _, ok := compressors[c.Compression]; !ok {
		bad("compression", fmt.Sprintf("%q must be one of zstd, zstd-fastest, zstd-better-compression, s2-default, none", c.Compression))
	}
	if _, err := time.LoadLocation(c.TimeZone); err != nil {
		bad("timeZone", fmt.Sprintf("%q is no time zone, e.g. Europe/Rome", c.TimeZone))
	}
	if c.BytesPerSecond < 0 {
		bad("bytesPerSecond", "must not be negative")
	}
	c.Retention.check(bad)
	c.checkOperation(operation, bad)
	return errors.Join(wrong...)
}

func (l Location) check(field string, bad func(field, reason string)) {
	if (l.Path == "") == (l.S3 == nil) {
		bad(field, "must have either path or s3")
		return
	}
	if l.S3 == nil {
		return
	}
	if _, _, err := l.S3.address(); err != nil {
		bad(field+".s3.endpoint", err.Error())
	}
	for name, value := range map[string]string{"bucket": l.S3.Bucket, "accessKeyFile": l.S3.AccessKeyFile, "secretKeyFile": l.S3.SecretKeyFile} {
		if value == "" {
			bad(field+".s3."+name, "must be there")
		}
	}
}

func (c *Config) checkVolumes(bad func(field, reason string)) {
	if len(c.Volumes) == 0 {
		bad("volumes", "must have one at least")
	}
	seen := map[string]bool{}
	for i, v := range c.Volumes {
		if v.Name == "" || strings.ContainsAny(v.Name, "/\\") || seen[v.Name] {
			bad(fmt.Sprintf("volumes[%d].name", i), "must be there, without slashes, and differ from the others")
		}
		seen[v.Name] = true
	}
	for i, p := range c.Include {
		if !filepath.IsLocal(p) {
			bad(fmt.Sprintf("include[%d]", i), fmt.Sprintf("%q must be a relative path without ..", p))
		}
	}
}

func (c *Config) checkOperation(operation string, bad func(field, reason string)) {
	switch operation {
	case "run":
		if c.From != "" {
			bad("from", "is for reading only")
		}
		if c.Archives.Keep > 0 && c.Archives.Dir == "" {
			bad("archives.dir", "must name a folder")
		}
	case "verify":
		switch c.Verify.Mode {
		case "", VerifyQuick, VerifyFull:
		case VerifySample:
			if c.Verify.Percent <= 0 || c.Verify.Percent > 100 {
				bad("verify.percent", "must be more than 0 and at most 100")
			}
		default:
			bad("verify.mode", fmt.Sprintf("%q must be quick, sample or full", c.Verify.Mode))
		}
	case "restore":
		if c.Restore.OnlyEmpty && c.Restore.InPlace != "" {
			bad("restore.onlyEmpty", "goes with no restore in place")
		}
		if c.Restore.Exact && len(c.Restore.Paths) > 0 {
			bad("restore.exact", "goes with no paths")
		}
		c.checkInPlace(bad)
		for i, p := range c.Restore.Paths {
			if !filepath.IsLocal(p) {
				bad(fmt.Sprintf("restore.paths[%d]", i), fmt.Sprintf("%q must be a relative path without ..", p))
			}
		}
	case "test-restore":
		if c.Restore.Scratch == "" {
			bad("restore.scratch", "must name a folder")
		}
	case "export":
		if c.Archives.Dir == "" {
			bad("archives.dir", "must name a folder")
		}
	}
}

func (c *Config) checkInPlace(bad func(field, reason string)) {
	if c.Restore.InPlace == "" {
		if c.Restore.RollBack {
			bad("restore.rollBack", "is for a restore in place")
		}
		return
	}
	if len(c.Volumes) != 1 {
		bad("restore.inPlace", "is for one volume")
	}
	if c.From != "" {
		bad("from", "goes with no restore in place, for which a safety snapshot is written")
	}
}

// writes tells whether an operation changes the repository.
func (c *Config) writes(operation string) bool {
	return operation == "run" || operation == "prune" || operation == "restore" && c.Restore.InPlace != ""
}

// location that is read or written.
func (c *Config) location() Location {
	for _, other := range c.Copies {
		if other.Name == c.From {
			return other.Location
		}
	}
	return c.Repository
}

func (c *Config) zone() *time.Location {
	zone, err := time.LoadLocation(c.TimeZone)
	if err != nil {
		return time.UTC // check has said so
	}
	return zone
}

func (c *Config) now() time.Time {
	if c.Now != nil {
		return c.Now()
	}
	return time.Now()
}

// secret reads a file of a secret.
func secret(file string) (string, error) {
	b, err := os.ReadFile(file)
	if err != nil {
		return "", &Failure{Reason: ReasonConfiguration, Err: fmt.Errorf("reading a secret: %w", err)}
	}
	return strings.TrimRight(string(b), "\r\n"), nil
}
