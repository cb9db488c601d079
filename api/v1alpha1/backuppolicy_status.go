package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// BackupPolicyStatus is what has been backed up, and what is being done.
type BackupPolicyStatus struct {
	// observedGeneration is the metadata.generation that this status speaks of.
	// +optional
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`
	// conditions are Ready, Reconciling and Stalled.
	// +optional
	// +listType=map
	// +listMapKey=type
	Conditions []metav1.Condition `json:"conditions,omitempty"`
	// lastSuccess is when the newest backup that succeeded was begun.
	// +optional
	LastSuccess *metav1.Time `json:"lastSuccess,omitempty"`
	// firstSuccess is when the first backup that succeeded was begun.
	// +optional
	FirstSuccess *metav1.Time `json:"firstSuccess,omitempty"`
	// nextRun is when the next one is due; absent without a schedule, and while it is suspended.
	// +optional
	NextRun *metav1.Time `json:"nextRun,omitempty"`
	// lastVerified is when contents were last read, by a sample or by a restore, and all was well.
	// +optional
	LastVerified *metav1.Time `json:"lastVerified,omitempty"`
	// snapshots that there are.
	// +optional
	Snapshots int32 `json:"snapshots,omitempty"`
	// size of the repository, e.g. 358Mi.
	// +optional
	Size string `json:"size,omitempty"`
	// bytes of the repository.
	// +optional
	Bytes int64 `json:"bytes,omitempty"`
	// free bytes of what the repository is on; absent where nobody knows.
	// +optional
	Free int64 `json:"free,omitempty"`
	// ratio of the bytes of all snapshots to those of the repository, e.g. "7.2".
	// +optional
	Ratio string `json:"ratio,omitempty"`
	// repositoryID is the unique ID of the repository, as the first run found or made it. Another one in its place is left alone.
	// +optional
	RepositoryID string `json:"repositoryID,omitempty"`
	// passwordSecret names the Secret with the password that encrypts the repository.
	// +optional
	PasswordSecret string `json:"passwordSecret,omitempty"`
	// handledRequest is the newest request, an annotation of the policy, that was taken up.
	// +optional
	HandledRequest string `json:"handledRequest,omitempty"`
	// run is what is being done.
	// +optional
	Run *BackupRun `json:"run,omitempty"`
	// restore is the newest restore in place. Until it has ended, nobody else mounts the volume: the services that do are
	// stopped, with the reason RestoreInProgress.
	// +optional
	Restore *InPlaceRestore `json:"restore,omitempty"`
	// last is how the newest operation of each kind ended, apart for the repository and each of its copies.
	// +optional
	// +listType=atomic
	Last []BackupOutcome `json:"last,omitempty"`
	// findings are damage, and files that came back otherwise, that were found and not cleared yet by a verification that looks at
	// no less. As long as there are any of the repository itself, nothing is removed from it and its copies.
	// +optional
	// +listType=atomic
	Findings []BackupFinding `json:"findings,omitempty"`
	// history of operations, newest first.
	// +optional
	// +listType=atomic
	History []BackupOutcome `json:"history,omitempty"`
	// list of snapshots, newest first, at most 200.
	// +optional
	// +listType=atomic
	List []BackupSnapshot `json:"list,omitempty"`
	// refusals are the fields that the backend can't honour as written, or honours with a caveat.
	// +optional
	// +listType=atomic
	Refusals []Refusal `json:"refusals,omitempty"`
}

// BackupOperation is something that is done to a repository. What is asked for may be none; the operator says so.
type BackupOperation string

// The operations.
const (
	BackupRunNow      BackupOperation = "run"
	BackupVerify      BackupOperation = "verify"
	BackupRestore     BackupOperation = "restore"
	BackupTestRestore BackupOperation = "test-restore"
	BackupExport      BackupOperation = "export"
	BackupPrune       BackupOperation = "prune"
	BackupBrowse      BackupOperation = "browse"
)

// BackupRequest is what is asked for: by a schedule, or by somebody with an annotation of the policy.
type BackupRequest struct {
	// id tells requests apart; the name of the Job ends with it.
	ID string `json:"id"`
	// operation that is asked for.
	Operation BackupOperation `json:"operation"`
	// percent of the files that a verification reads; 0 looks at the structure only, 100 reads everything.
	// +optional
	Percent int32 `json:"percent,omitempty"`
	// volume of a restore, an export or a look; the default is each that the policy has.
	// +optional
	Volume string `json:"volume,omitempty"`
	// snapshot by its ID; the default is the newest.
	// +optional
	Snapshot string `json:"snapshot,omitempty"`
	// asOf chooses the newest snapshot that was begun no later.
	// +optional
	AsOf *metav1.Time `json:"asOf,omitempty"`
	// paths in the volume; the default is everything.
	// +optional
	// +listType=atomic
	Paths []string `json:"paths,omitempty"`
	// into is the name of the new volume of a restore. A restore has either this or inPlace.
	// +optional
	Into string `json:"into,omitempty"`
	// inPlace restores into the volume itself: its services are stopped, what is there is kept in a safety snapshot, and comes
	// back if anything fails.
	// +optional
	InPlace bool `json:"inPlace,omitempty"`
	// from is the copy that is read in place of the repository.
	// +optional
	From string `json:"from,omitempty"`
}

// BackupRun is an operation that goes on.
type BackupRun struct {
	BackupRequest `json:",inline"`
	// startedAt is when it began to go on.
	StartedAt metav1.Time `json:"startedAt"`
	// job that does it.
	// +optional
	Job string `json:"job,omitempty"`
	// pod of the job, whose log has everything.
	// +optional
	Pod string `json:"pod,omitempty"`
	// endedAt is when it ended, of what printed something: that can be read for half a minute, or until the next request.
	// +optional
	EndedAt *metav1.Time `json:"endedAt,omitempty"`
	// progress as last heard of.
	// +optional
	Progress *BackupProgress `json:"progress,omitempty"`
	// hooks that have been run.
	// +optional
	// +listType=atomic
	Hooks []BackupHookOutcome `json:"hooks,omitempty"`
	// outcome of what was done, while the hooks after it are run.
	// +optional
	Outcome *BackupOutcome `json:"outcome,omitempty"`
}

// BackupHookOutcome is how a hook ended.
type BackupHookOutcome struct {
	// stage is pre or post.
	Stage string `json:"stage"`
	// service that it was run in.
	Service string `json:"service"`
	// endedAt is when it ended.
	EndedAt metav1.Time `json:"endedAt"`
	// succeeded tells whether its exit code was 0.
	Succeeded bool `json:"succeeded"`
	// ignored tells whether its failure does not count.
	// +optional
	Ignored bool `json:"ignored,omitempty"`
	// message says why not, with the end of what was printed, in which values of Secrets that stack and policy refer to are
	// covered.
	// +optional
	// +kubebuilder:validation:MaxLength=1024
	Message string `json:"message,omitempty"`
}

// RestorePhase is how far a restore in place has come.
//
// +kubebuilder:validation:Enum=StoppingServices;TakingSafetySnapshot;Restoring;Comparing;RollingBack;Succeeded;RolledBack;Failed
type RestorePhase string

// The phases. The last three are ends.
const (
	// RestoreStoppingServices: nothing has been touched, and it is waited for the last pod that mounts the volume to go.
	RestoreStoppingServices RestorePhase = "StoppingServices"
	// RestoreTakingSafetySnapshot: what is in the volume is backed up, and the backup read again.
	RestoreTakingSafetySnapshot RestorePhase = "TakingSafetySnapshot"
	// RestoreRestoring: the volume is half restored.
	RestoreRestoring RestorePhase = "Restoring"
	// RestoreComparing: what was restored is compared with what was backed up.
	RestoreComparing RestorePhase = "Comparing"
	// RestoreRollingBack: something failed, and the safety snapshot is restored; as often as it takes.
	RestoreRollingBack RestorePhase = "RollingBack"
	// RestoreSucceeded: the volume is what was backed up.
	RestoreSucceeded RestorePhase = "Succeeded"
	// RestoreRolledBack: something failed, and the volume is what it was before.
	RestoreRolledBack RestorePhase = "RolledBack"
	// RestoreFailed: something failed before the volume was touched.
	RestoreFailed RestorePhase = "Failed"
)

// Over tells whether a phase is an end, after which the volume is whole and served again.
func (p RestorePhase) Over() bool {
	return p == RestoreSucceeded || p == RestoreRolledBack || p == RestoreFailed
}

// InPlaceRestore is a restore of a volume into itself.
type InPlaceRestore struct {
	// id of the request.
	ID string `json:"id"`
	// volume of the stack.
	Volume string `json:"volume"`
	// claim is the name of its PersistentVolumeClaim, or of the adopted volume.
	Claim string `json:"claim"`
	// adopted tells which of both.
	// +optional
	Adopted bool `json:"adopted,omitempty"`
	// phase is StoppingServices, TakingSafetySnapshot, Restoring, Comparing or RollingBack; it ends with Succeeded, RolledBack
	// (the volume is what it was before) or Failed (it was not touched).
	Phase RestorePhase `json:"phase"`
	// startedAt is when the services were first asked to stop.
	StartedAt metav1.Time `json:"startedAt"`
	// endedAt is when they could start again.
	// +optional
	EndedAt *metav1.Time `json:"endedAt,omitempty"`
	// snapshot that is restored.
	// +optional
	Snapshot string `json:"snapshot,omitempty"`
	// safetySnapshot has what was in the volume before. It can be restored by its ID, to undo a restore.
	// +optional
	SafetySnapshot string `json:"safetySnapshot,omitempty"`
	// attempts that were begun, each a Job; 0 as long as services are being stopped.
	// +optional
	Attempts int32 `json:"attempts,omitempty"`
	// attemptedAt is when the newest was begun.
	// +optional
	AttemptedAt *metav1.Time `json:"attemptedAt,omitempty"`
	// nextAttempt is when the next is begun, after one that came to no end.
	// +optional
	NextAttempt *metav1.Time `json:"nextAttempt,omitempty"`
	// rollBack has the next attempts restore the safety snapshot only.
	// +optional
	RollBack bool `json:"rollBack,omitempty"`
	// abandoned before the volume was touched: it has failed as soon as its Job is gone.
	// +optional
	Abandoned bool `json:"abandoned,omitempty"`
	// message says why it failed, or what it waits for.
	// +optional
	// +kubebuilder:validation:MaxLength=2048
	Message string `json:"message,omitempty"`
}

// BackupProgress of an operation.
type BackupProgress struct {
	// phase is backup, verify, restore, compare, copy, export or prune.
	Phase string `json:"phase"`
	// subject is the volume or copy that it is done to.
	// +optional
	Subject string `json:"subject,omitempty"`
	// files that are done.
	Files int64 `json:"files"`
	// bytes that are done.
	Bytes int64 `json:"bytes"`
	// totalFiles and totalBytes are absent as long as they are not known.
	// +optional
	TotalFiles int64 `json:"totalFiles,omitempty"`
	// totalBytes to do.
	// +optional
	TotalBytes int64 `json:"totalBytes,omitempty"`
	// bytesPerSecond since the phase began.
	// +optional
	BytesPerSecond int64 `json:"bytesPerSecond,omitempty"`
	// remainingSeconds at that rate.
	// +optional
	RemainingSeconds *int64 `json:"remainingSeconds,omitempty"`
}

// BackupOutcome is how an operation ended.
type BackupOutcome struct {
	// operation that was done.
	Operation BackupOperation `json:"operation"`
	// id of the request.
	ID string `json:"id"`
	// from is the copy that was read in place of the repository.
	// +optional
	From string `json:"from,omitempty"`
	// inPlace tells whether a restore was one into the volume itself.
	// +optional
	InPlace bool `json:"inPlace,omitempty"`
	// startedAt is when it began.
	StartedAt metav1.Time `json:"startedAt"`
	// endedAt is when it ended.
	EndedAt metav1.Time `json:"endedAt"`
	// succeeded tells whether all is well.
	Succeeded bool `json:"succeeded"`
	// reason why not, in one word.
	// +optional
	Reason string `json:"reason,omitempty"`
	// message for a person: what was done, or why it failed.
	// +optional
	// +kubebuilder:validation:MaxLength=2048
	Message string `json:"message,omitempty"`
	// files and bytes that were backed up, read or restored.
	// +optional
	Files int64 `json:"files,omitempty"`
	// bytes of those files.
	// +optional
	Bytes int64 `json:"bytes,omitempty"`
	// newBytes that were added to the repository.
	// +optional
	NewBytes int64 `json:"newBytes,omitempty"`
	// coverage of a verification: how much of what there is was read, e.g. "120 of 2400 files, 5 MB of 100 MB".
	// +optional
	Coverage string `json:"coverage,omitempty"`
	// volume that was restored into, as the backend calls its claim.
	// +optional
	Volume string `json:"volume,omitempty"`
	// safetySnapshot has what was there before a restore in place.
	// +optional
	SafetySnapshot string `json:"safetySnapshot,omitempty"`
}

// BackupFinding is damage of what is kept, or a difference from what was backed up.
type BackupFinding struct {
	// operation that found it.
	Operation BackupOperation `json:"operation"`
	// id of the request.
	ID string `json:"id"`
	// from is the copy that was read; empty for the repository.
	// +optional
	From string `json:"from,omitempty"`
	// volume that was looked at; empty for all.
	// +optional
	Volume string `json:"volume,omitempty"`
	// snapshot that was restored; empty for the newest, or where it does not matter.
	// +optional
	Snapshot string `json:"snapshot,omitempty"`
	// foundAt is when.
	FoundAt metav1.Time `json:"foundAt"`
	// reason is RepositoryDamaged or RestoreDiffers.
	Reason string `json:"reason"`
	// message names what is damaged or differs.
	// +optional
	// +kubebuilder:validation:MaxLength=2048
	Message string `json:"message,omitempty"`
	// clearedBy is what has to find all well, as one tells the command line, e.g. "verify --percent 100".
	ClearedBy string `json:"clearedBy"`
}

// BackupSnapshot is one that there is.
type BackupSnapshot struct {
	// id by which it is restored.
	ID string `json:"id"`
	// volume that it is of.
	Volume string `json:"volume"`
	// time when it was begun.
	Time metav1.Time `json:"time"`
	// files in it.
	Files int64 `json:"files"`
	// bytes of those.
	Bytes int64 `json:"bytes"`
	// kept by these rules of retention.
	// +optional
	// +listType=atomic
	Kept []string `json:"kept,omitempty"`
}
