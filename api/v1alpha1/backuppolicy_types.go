package v1alpha1

import (
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// BackupPolicy backs up volumes of a stack on schedule, and proves the backups by restoring them. What it keeps stays when
// the policy, or the stack, is deleted.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:path=backuppolicies,shortName=backup;backups,categories=mockup
// +kubebuilder:printcolumn:name="Ready",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].status`
// +kubebuilder:printcolumn:name="Reason",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].reason`
// +kubebuilder:printcolumn:name="Last success",type=date,JSONPath=`.status.lastSuccess`
// +kubebuilder:printcolumn:name="Next run",type=string,JSONPath=`.status.nextRun`
// +kubebuilder:printcolumn:name="Verified",type=date,JSONPath=`.status.lastVerified`
// +kubebuilder:printcolumn:name="Snapshots",type=integer,JSONPath=`.status.snapshots`
// +kubebuilder:printcolumn:name="Size",type=string,JSONPath=`.status.size`
// +kubebuilder:printcolumn:name="Ratio",type=string,JSONPath=`.status.ratio`
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
// +kubebuilder:printcolumn:name="Doing",type=string,priority=1,JSONPath=`.status.run.operation`
// +kubebuilder:printcolumn:name="Message",type=string,priority=1,JSONPath=`.status.conditions[?(@.type=="Ready")].message`
// +kubebuilder:validation:XValidation:rule=`self.metadata.name.matches('^[a-z]([a-z0-9-]{0,30}[a-z0-9])?$')`,fieldPath=`.metadata`,messageExpression=`'the name "' + self.metadata.name + '" must have at most 32 lower-case letters, digits and "-", begin with a letter and not end with "-"'`
// +kubebuilder:validation:XValidation:rule=`!self.metadata.name.matches('^[0-9a-f]+$')`,fieldPath=`.metadata`,messageExpression=`'the name "' + self.metadata.name + '" must not consist of the digits 0-9 and a-f alone, which Podman could take for an ID'`
type BackupPolicy struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// spec is what should be backed up, when, and where to.
	// +required
	Spec BackupPolicySpec `json:"spec"`
	// status is what has been backed up, and what is being done.
	// +optional
	Status BackupPolicyStatus `json:"status,omitzero"`
}

// BackupPolicyList is a list of policies.
//
// +kubebuilder:object:root=true
type BackupPolicyList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []BackupPolicy `json:"items"`
}

// BackupPolicySpec is what should be backed up, when, and where to.
//
// +kubebuilder:validation:XValidation:rule=`!has(self.archives) || !has(self.repository.s3) || has(self.archives.hostPath)`,fieldPath=`.archives`,message=`need a hostPath where the repository is in a bucket`
type BackupPolicySpec struct {
	// stackRef names the stack whose volumes are backed up, in the policy's namespace. It can not be changed later.
	// +required
	// +kubebuilder:validation:XValidation:rule=`self.name == oldSelf.name`,reason=FieldValueForbidden,message=`can not be changed; remove the policy and add one for the other stack`,messageExpression=`'can not be changed; it was ' + oldSelf.name`
	StackRef StackRef `json:"stackRef"`
	// volumes of the stack, by name. Each run makes a snapshot of each.
	// +required
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=16
	Volumes []VolumeName `json:"volumes"`
	// schedule of the runs. Without one, backups are made only when somebody asks, e.g. by "mockup backup now".
	// +optional
	Schedule *BackupSchedule `json:"schedule,omitempty"`
	// suspend keeps everything that is scheduled from being done. What goes on goes on, and what somebody asks for is done.
	// +optional
	Suspend bool `json:"suspend,omitempty"`
	// deadline in which a run, or a verification, has to be done; it is ended then and has failed. The default is 6h.
	// +optional
	// +kubebuilder:validation:MaxLength=8
	// +kubebuilder:validation:XValidation:rule=`self.matches('^[1-9][0-9]{0,4}[smh]$') && duration(self) >= duration('1m') && duration(self) <= duration('168h')`,message=`must be from 1m to 168h, e.g. 90m`
	Deadline string `json:"deadline,omitempty"`
	// repository is where snapshots are kept, encrypted and each content once. It can not be changed later, but for how a bucket is
	// reached: its server may move, and what is found there is the same repository or is left alone.
	// +required
	Repository BackupRepository `json:"repository"`
	// copies of the repository elsewhere, made equal to it at the end of each run.
	// +optional
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MaxItems=4
	Copies []BackupCopy `json:"copies,omitempty"`
	// encryption of the repository and its copies.
	// +optional
	Encryption BackupEncryption `json:"encryption,omitzero"`
	// compression of what is stored from now on. The default is zstd.
	// +optional
	// +kubebuilder:validation:Enum=zstd;zstd-fastest;zstd-better-compression;s2-default;none
	Compression string `json:"compression,omitempty"`
	// include are the paths in the volumes that are backed up, with all that is below; the default is everything.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=64
	Include []BackupPath `json:"include,omitempty"`
	// exclude are patterns of what is not backed up, in the manner of .gitignore, e.g. "*.tmp" or "/cache/".
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=64
	Exclude []BackupPattern `json:"exclude,omitempty"`
	// hooks are run in services around each run, e.g. to have a database write down what it holds.
	// +optional
	Hooks BackupHooks `json:"hooks,omitzero"`
	// bandwidth is the most that is written to the repository and its copies in a second, and read from them, in bytes, e.g. 10Mi.
	// +optional
	// +kubebuilder:validation:XIntOrString
	// +kubebuilder:validation:MaxLength=20
	// +kubebuilder:validation:XValidation:rule=`quantity(string(self)).isInteger() && quantity(string(self)).compareTo(quantity('64Ki')) >= 0`,message=`must be a whole number of bytes in a second and at least 64Ki; is the unit missing?`
	Bandwidth *resource.Quantity `json:"bandwidth,omitempty"`
	// retention says which snapshots are kept. One that any rule keeps is kept. The default is the latest 7, and one for
	// each of 14 days, 8 weeks and 12 months. Nothing is removed while the newest snapshot has not passed its check.
	// +optional
	Retention *BackupRetention `json:"retention,omitempty"`
	// verification of what is kept, beside the check of structure that follows each run.
	// +optional
	Verification BackupVerification `json:"verification,omitzero"`
	// archives are portable copies of each volume, <volume>-backup-YYYYMMDD_HHMMSS.tar.gz, beside the repository or in a folder of
	// the host. They are not encrypted.
	// +optional
	Archives *BackupArchives `json:"archives,omitempty"`
	// historyLimit is the number of operations that status remembers. The default is 10.
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=50
	HistoryLimit int32 `json:"historyLimit,omitempty"`
	// program that makes backups: its image and resources. The default is our own, with up to one CPU and 512Mi.
	// +optional
	Program Agent `json:"program,omitzero"`
}

// VolumeName is the name of one of a stack's volumes.
//
// +kubebuilder:validation:MaxLength=24
// +kubebuilder:validation:XValidation:rule=`self.matches('^[a-z]([a-z0-9-]*[a-z0-9])?$')`,message=`must be the name of a volume of the stack: lower-case letters, digits and "-"`
type VolumeName string

// BackupPath is a path in a volume.
//
// +kubebuilder:validation:MaxLength=512
// +kubebuilder:validation:XValidation:rule=`size(self) > 0 && !self.startsWith('/') && !self.endsWith('/') && !self.contains('//') && !self.matches('(^|/)[.]{1,2}(/|$)') && !self.matches('[[:cntrl:]]')`,message=`must be a relative path without "//", "." and "..", e.g. uploads/2026`
type BackupPath string

// BackupPattern is a pattern of paths.
//
// +kubebuilder:validation:MaxLength=512
// +kubebuilder:validation:XValidation:rule=`size(self) > 0 && !self.matches('[[:cntrl:]]') && !self.matches('^[ #]')`,message=`must be a pattern, e.g. *.tmp, that does not begin with a space or "#"`
type BackupPattern string

// BackupSchedule says when something is done.
type BackupSchedule struct {
	// cron is five fields (minute, hour, day of the month, month, day of the week), or @hourly, @daily, @weekly or @monthly,
	// which are spread by the policy's name so that not all begin at once: @daily is at some minute from 0:00 to 5:59. A time
	// that was missed is made up for once.
	// +required
	Cron Cron `json:"cron"`
	// timeZone of cron, e.g. Europe/Rome. The default is UTC.
	// +optional
	// +kubebuilder:validation:MaxLength=64
	// +kubebuilder:validation:XValidation:rule=`self.matches('^[A-Za-z][A-Za-z0-9_+-]*(/[A-Za-z0-9_+-]+)*$') && self != 'Local'`,message=`must be the name of a time zone, e.g. Europe/Rome`
	TimeZone string `json:"timeZone,omitempty"`
}

// Cron says when something is done.
//
// +kubebuilder:validation:MaxLength=100
// +kubebuilder:validation:XValidation:rule=`self in ['@hourly', '@daily', '@weekly', '@monthly'] || self.matches('^[0-9*/,-]+ [0-9*/,?-]+ [0-9*/,?-]+ [0-9A-Za-z*/,-]+ [0-9A-Za-z*/,?-]+$')`,message=`must be five fields (minute, hour, day of the month, month, day of the week), e.g. "0 2 * * *", or @hourly, @daily, @weekly or @monthly`
type Cron string

// BackupRepository is a place of snapshots: exactly one of size, hostPath and s3.
//
// +kubebuilder:validation:XValidation:rule=`(has(self.size) ? 1 : 0) + (has(self.hostPath) ? 1 : 0) + (has(self.s3) ? 1 : 0) == 1`,message=`exactly one of size, hostPath and s3 must be set`
// +kubebuilder:validation:XValidation:rule=`has(self.size) == has(oldSelf.size) && (!has(self.hostPath) ? !has(oldSelf.hostPath) : has(oldSelf.hostPath) && self.hostPath == oldSelf.hostPath)`,reason=FieldValueForbidden,message=`can not be moved; add a copy, or a policy with another repository`
// +kubebuilder:validation:XValidation:rule=`!has(self.size) || !has(oldSelf.size) || quantity(string(self.size)).compareTo(quantity(string(oldSelf.size))) >= 0`,fieldPath=`.size`,reason=FieldValueForbidden,message=`can not shrink`,messageExpression=`'can not shrink; it was ' + string(oldSelf.size)`
// +kubebuilder:validation:XValidation:rule=`has(self.s3) == has(oldSelf.s3) && (!has(self.s3) || (self.s3.bucket == oldSelf.s3.bucket && has(self.s3.prefix) == has(oldSelf.s3.prefix) && (!has(self.s3.prefix) || self.s3.prefix == oldSelf.s3.prefix)))`,fieldPath=`.s3`,reason=FieldValueForbidden,message=`can not be moved; add a copy, or a policy with another repository`
type BackupRepository struct {
	// size of a volume of the policy's own, which is retained when the policy is deleted.
	// +optional
	// +kubebuilder:validation:XIntOrString
	// +kubebuilder:validation:MaxLength=20
	// +kubebuilder:validation:XValidation:rule=`quantity(string(self)).isInteger() && quantity(string(self)).compareTo(quantity('16Mi')) >= 0`,message=`must be a whole number of bytes and at least 16Mi; is the unit missing?`
	Size *resource.Quantity `json:"size,omitempty"`
	// hostPath is a folder of the host, which has to be there.
	// +optional
	// +kubebuilder:validation:MaxLength=512
	// +kubebuilder:validation:XValidation:rule=`self.startsWith('/') && self != '/' && !self.contains('//') && !self.endsWith('/') && !self.matches('(^|/)[.]{1,2}(/|$)') && !self.matches('[[:cntrl:]:]')`,message=`must be an absolute path without "//", ".", "..", ":" and a "/" at its end, e.g. /srv/backups`
	HostPath string `json:"hostPath,omitempty"`
	// s3 is a bucket of a server that speaks the protocol of Amazon S3.
	// +optional
	S3 *S3Bucket `json:"s3,omitempty"`
}

// BackupCopy is a copy of the repository: exactly one of hostPath and s3.
//
// +kubebuilder:validation:XValidation:rule=`has(self.hostPath) != has(self.s3)`,message=`exactly one of hostPath and s3 must be set`
type BackupCopy struct {
	// name of the copy, by which restores choose it.
	// +required
	// +kubebuilder:validation:MaxLength=24
	// +kubebuilder:validation:XValidation:rule=`self.matches('^[a-z]([a-z0-9-]*[a-z0-9])?$')`,message=`must consist of lower-case letters, digits and "-", begin with a letter and not end with "-"`
	Name string `json:"name"`
	// hostPath is a folder of the host, which has to be there.
	// +optional
	// +kubebuilder:validation:MaxLength=512
	// +kubebuilder:validation:XValidation:rule=`self.startsWith('/') && self != '/' && !self.contains('//') && !self.endsWith('/') && !self.matches('(^|/)[.]{1,2}(/|$)') && !self.matches('[[:cntrl:]:]')`,message=`must be an absolute path without "//", ".", "..", ":" and a "/" at its end, e.g. /srv/backups`
	HostPath string `json:"hostPath,omitempty"`
	// s3 is a bucket of a server that speaks the protocol of Amazon S3.
	// +optional
	S3 *S3Bucket `json:"s3,omitempty"`
}

// S3Bucket is a place in a bucket.
type S3Bucket struct {
	// endpoint is the URL of the server. With http, nothing but the repository's own encryption protects what is sent. Buckets are
	// named in the path, but in the host name for the clouds that want it so, e.g. Amazon's: no field has to say which.
	// +required
	// +kubebuilder:validation:MaxLength=253
	// +kubebuilder:validation:XValidation:rule=`self.matches('^https?://[a-zA-Z0-9.-]+(:[1-9][0-9]{0,4})?/?$')`,message=`must be the URL of a server without a path, e.g. https://s3.example.com`
	Endpoint string `json:"endpoint"`
	// bucket has to be there.
	// +required
	// +kubebuilder:validation:MaxLength=63
	// +kubebuilder:validation:XValidation:rule=`self.matches('^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$')`,message=`must be the name of a bucket: 3 to 63 lower-case letters, digits, "." and "-"`
	Bucket string `json:"bucket"`
	// prefix of the names of objects, e.g. "mockup/".
	// +optional
	// +kubebuilder:validation:MaxLength=512
	// +kubebuilder:validation:XValidation:rule=`self.matches('^([a-zA-Z0-9._-]+/)+$')`,message=`must be path elements of letters, digits, ".", "_" and "-", each with a "/" behind it, e.g. mockup/`
	Prefix string `json:"prefix,omitempty"`
	// region as the server calls it.
	// +optional
	// +kubebuilder:validation:MaxLength=64
	// +kubebuilder:validation:XValidation:rule=`self.matches('^[a-zA-Z0-9-]+$')`,message=`must be the name of a region, e.g. eu-south-1`
	Region string `json:"region,omitempty"`
	// credentialsSecretName names a Secret with the keys access-key and secret-key.
	// +required
	// +kubebuilder:validation:MaxLength=253
	// +kubebuilder:validation:XValidation:rule=`self.matches('^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$')`,message=`must be the name of a Secret`
	CredentialsSecretName string `json:"credentialsSecretName"`
	// caSecret is the key of a Secret with the certificates of authorities that are trusted beside the usual ones.
	// +optional
	CASecret *KeyRef `json:"caSecret,omitempty"`
}

// BackupEncryption is how the repository is encrypted.
type BackupEncryption struct {
	// passwordSecret is the key of a Secret with the password. Without it, the operator makes one, once, in the Secret
	// POLICY-backup, which is not deleted with the policy. Keep a copy elsewhere: nobody can read a backup without it.
	// +optional
	PasswordSecret *KeyRef `json:"passwordSecret,omitempty"`
}

// BackupHooks are run in services around each run, one after the other. One that goes on while the operator is killed is run
// again.
type BackupHooks struct {
	// pre are run before anything is read. When one fails whose onError is fail, nothing is backed up.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=8
	Pre []BackupHook `json:"pre,omitempty"`
	// post are run when the run has ended, also one that failed, or was kept from beginning by a hook: what pre has stopped
	// goes on again.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=8
	Post []BackupHook `json:"post,omitempty"`
}

// BackupHook is a program that is run in a service.
type BackupHook struct {
	// service of the stack. The program is run in one of its pods that are ready, and waits for one.
	// +required
	// +kubebuilder:validation:MaxLength=24
	// +kubebuilder:validation:XValidation:rule=`self.matches('^[a-z]([a-z0-9-]*[a-z0-9])?$')`,message=`must be the name of a service of the stack: lower-case letters, digits and "-"`
	Service string `json:"service"`
	// command and its arguments; no shell is around it.
	// +required
	// +listType=atomic
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=64
	// +kubebuilder:validation:items:MaxLength=4096
	Command []string `json:"command"`
	// timeout after which the hook has failed, with the wait for a pod. The default is 1m.
	// +optional
	// +kubebuilder:validation:MaxLength=8
	// +kubebuilder:validation:XValidation:rule=`self.matches('^[1-9][0-9]{0,4}[smh]$') && duration(self) <= duration('6h')`,message=`must be from 1s to 6h, e.g. 90s`
	Timeout string `json:"timeout,omitempty"`
	// onError says what becomes of the run when the hook fails: fail, which is the default, or continue, which only tells
	// of it.
	// +optional
	// +kubebuilder:validation:Enum=fail;continue
	OnError string `json:"onError,omitempty"`
}

// What becomes of a run when a hook fails.
const (
	BackupHookFail     = "fail"
	BackupHookContinue = "continue"
)

// BackupRetention says which snapshots are kept.
//
// +kubebuilder:validation:XValidation:rule=`self.?keepLatest.orValue(0) + self.?keepHourly.orValue(0) + self.?keepDaily.orValue(0) + self.?keepWeekly.orValue(0) + self.?keepMonthly.orValue(0) + self.?keepAnnual.orValue(0) > 0`,message=`must keep something`
type BackupRetention struct {
	// keepLatest is the number of newest snapshots that are kept.
	// +optional
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=1000
	KeepLatest int32 `json:"keepLatest,omitempty"`
	// keepHourly is the number of hours of which the newest snapshot is kept; hours without one do not count.
	// +optional
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=1000
	KeepHourly int32 `json:"keepHourly,omitempty"`
	// keepDaily is the number of days of which the newest snapshot is kept. Days begin in the time zone of the schedule.
	// +optional
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=1000
	KeepDaily int32 `json:"keepDaily,omitempty"`
	// keepWeekly is the number of weeks, which begin on Monday, of which the newest snapshot is kept.
	// +optional
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=1000
	KeepWeekly int32 `json:"keepWeekly,omitempty"`
	// keepMonthly is the number of months of which the newest snapshot is kept.
	// +optional
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=1000
	KeepMonthly int32 `json:"keepMonthly,omitempty"`
	// keepAnnual is the number of years of which the newest snapshot is kept.
	// +optional
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=1000
	KeepAnnual int32 `json:"keepAnnual,omitempty"`
}

// BackupVerification is how backups are proven.
type BackupVerification struct {
	// sample reads and decrypts part of the files that snapshots have.
	// +optional
	Sample *BackupSample `json:"sample,omitempty"`
	// restore brings the newest snapshot of each volume back into a scratch volume and compares it file by file with what was
	// there when it was backed up: content, mode, owner, times and links.
	// +optional
	Restore *BackupSchedule `json:"restore,omitempty"`
}

// BackupSample is a verification that reads part of the files.
type BackupSample struct {
	BackupSchedule `json:",inline"`
	// percent of the files that are read each time, chosen anew. 100 reads everything. The default is 5.
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=100
	Percent int32 `json:"percent,omitempty"`
}

// BackupArchives are portable copies of snapshots.
//
// +kubebuilder:validation:XValidation:rule=`has(self.keep) || has(self.hostPath)`,message=`must have keep, hostPath or both`
type BackupArchives struct {
	// keep has each run make an archive of each volume, and is the number of newest ones that are kept. Without it, archives are made
	// when somebody asks, and all are kept.
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=1000
	Keep int32 `json:"keep,omitempty"`
	// hostPath is a folder of the host for them, which has to be there. The default is the folder archives beside the repository. A
	// repository in a bucket has no such place, so that there are archives of it only with a hostPath.
	// +optional
	// +kubebuilder:validation:MaxLength=512
	// +kubebuilder:validation:XValidation:rule=`self.startsWith('/') && self != '/' && !self.contains('//') && !self.endsWith('/') && !self.matches('(^|/)[.]{1,2}(/|$)') && !self.matches('[[:cntrl:]:]')`,message=`must be an absolute path without "//", ".", "..", ":" and a "/" at its end, e.g. /srv/archives`
	HostPath string `json:"hostPath,omitempty"`
}
