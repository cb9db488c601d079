package manifests

import (
	"encoding/json"
	"strings"

	"mockup.dev/mockup/api/v1alpha1"
)

// What the program of backups is told, as its own module reads it (engine.Config); it refuses fields that it does not know.
type (
	backupProgramConfig struct {
		Source         string                `json:"source"`
		Repository     backupLocation        `json:"repository"`
		Copies         []backupLocation      `json:"copies,omitempty"`
		PasswordFile   string                `json:"passwordFile"`
		Volumes        []backupSource        `json:"volumes"`
		Compression    string                `json:"compression,omitempty"`
		Include        []v1alpha1.BackupPath `json:"include,omitempty"`
		Exclude        []string              `json:"exclude,omitempty"`
		BytesPerSecond int64                 `json:"bytesPerSecond,omitempty"`
		TimeZone       string                `json:"timeZone,omitempty"`
		Retention      backupRules           `json:"retention"`
		Archives       *backupArchives       `json:"archives,omitempty"`
		MustExist      bool                  `json:"mustExist,omitempty"`
		RepositoryID   string                `json:"repositoryID,omitempty"`
		NoPruning      bool                  `json:"noPruning,omitempty"`
		Restore        *backupRestore        `json:"restore,omitempty"`
	}
	backupLocation struct {
		Name string        `json:"name,omitempty"`
		Path string        `json:"path,omitempty"`
		S3   *backupBucket `json:"s3,omitempty"`
	}
	backupBucket struct {
		Endpoint      string `json:"endpoint"`
		Bucket        string `json:"bucket"`
		Prefix        string `json:"prefix,omitempty"`
		Region        string `json:"region,omitempty"`
		AccessKeyFile string `json:"accessKeyFile"`
		SecretKeyFile string `json:"secretKeyFile"`
		CAFile        string `json:"caFile,omitempty"`
	}
	backupSource struct {
		Name string `json:"name"`
		Path string `json:"path"`
	}
	backupRules struct {
		KeepLatest  int32 `json:"keepLatest,omitempty"`
		KeepHourly  int32 `json:"keepHourly,omitempty"`
		KeepDaily   int32 `json:"keepDaily,omitempty"`
		KeepWeekly  int32 `json:"keepWeekly,omitempty"`
		KeepMonthly int32 `json:"keepMonthly,omitempty"`
		KeepAnnual  int32 `json:"keepAnnual,omitempty"`
	}
	backupRestore struct {
		OnlyEmpty bool `json:"onlyEmpty"`
	}
	backupArchives struct {
		Dir  string `json:"dir"`
		Keep int32  `json:"keep,omitempty"`
	}
)

// programConfig is what the program is told. What it is asked for this time stands in its arguments, as far as there are any.
func (r *backupRenderer) programConfig() string {
	p, spec := r.policy, &r.policy.Spec
	c := backupProgramConfig{
		Source:    backupSourceName(BackupOwner(p).Namespace, spec.StackRef.Name),
		MustExist: r.known.MustExist, RepositoryID: r.known.RepositoryID, NoPruning: r.known.NoPruning,
		Repository:   backupPlace(spec.Repository.S3, backupRepository+"/kopia"),
		PasswordFile: passwordFile(p), Compression: spec.Compression, Include: spec.Include,
		BytesPerSecond: bytesOf(spec.Bandwidth), Retention: backupRetention(spec.Retention),
	}
	for _, v := range spec.Volumes {
		c.Volumes = append(c.Volumes, backupSource{Name: string(v), Path: backupVolumes + "/" + string(v)})
	}
	for _, other := range spec.Copies {
		place := backupPlace(other.S3, backupCopies+"/"+other.Name)
		place.Name = other.Name
		c.Copies = append(c.Copies, place)
	}
	for _, e := range spec.Exclude {
		c.Exclude = append(c.Exclude, string(e))
	}
	if spec.Schedule != nil {
		c.TimeZone = spec.Schedule.TimeZone
	}
	if dir := archivesDir(p); dir != "" {
		c.Archives = &backupArchives{Dir: dir}
		if spec.Archives != nil {
			c.Archives.Keep = spec.Archives.Keep
		}
	}
	if q := r.request; q != nil && q.Operation == v1alpha1.BackupRestore && !q.InPlace {
		c.Restore = &backupRestore{OnlyEmpty: true}
	}
	text, _ := json.MarshalIndent(c, "", "  ") // always has a JSON form
	return string(text) + "\n"
}

// backupSourceName is what the snapshots of a stack bear in a repository, as the name of their host. It is the same for no two: a
// namespace has no dot, and where it has a "-", that would not tell where it ends.
func backupSourceName(namespace, stack string) string {
	if strings.Contains(namespace, "-") {
		return namespace + "." + stack
	}
	return namespace + "-" + stack
}

// archivesDir is the folder of archives in the container; empty where there is no place for them.
func archivesDir(p *v1alpha1.BackupPolicy) string {
	switch {
	case p.Spec.Archives != nil && p.Spec.Archives.HostPath != "":
		return backupArchiveDir
	case p.Spec.Repository.S3 == nil:
		return backupRepository + "/archives"
	}
	return ""
}

func passwordFile(p *v1alpha1.BackupPolicy) string {
	ref := backupPassword(p)
	return secretFile(v1alpha1.KeyRef{Name: ref.Name, Key: ref.Keys[0]})
}

func backupPlace(s *v1alpha1.S3Bucket, path string) backupLocation {
	if s == nil {
		return backupLocation{Path: path}
	}
	b := &backupBucket{
		Endpoint: s.Endpoint, Bucket: s.Bucket, Prefix: s.Prefix, Region: s.Region,
		AccessKeyFile: secretFile(v1alpha1.KeyRef{Name: s.CredentialsSecretName, Key: KeyAccess}),
		SecretKeyFile: secretFile(v1alpha1.KeyRef{Name: s.CredentialsSecretName, Key: KeySecret}),
	}
	if s.CASecret != nil {
		b.CAFile = secretFile(*s.CASecret)
	}
	return backupLocation{S3: b}
}

func backupRetention(r *v1alpha1.BackupRetention) backupRules {
	if r == nil {
		return backupRules{KeepLatest: 7, KeepDaily: 14, KeepWeekly: 8, KeepMonthly: 12}
	}
	return backupRules{r.KeepLatest, r.KeepHourly, r.KeepDaily, r.KeepWeekly, r.KeepMonthly, r.KeepAnnual}
}
