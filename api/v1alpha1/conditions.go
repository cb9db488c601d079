package v1alpha1

// Condition types, as kstatus reads them: Ready says that the whole resource is usable as specified, Reconciling that
// work towards it goes on, Stalled that no progress is possible without a change from outside.
const (
	ConditionReady       = "Ready"
	ConditionReconciling = "Reconciling"
	ConditionStalled     = "Stalled"
)

// Reasons of the conditions above.
const (
	// ReasonReady: every object that was asked for is there and ready.
	ReasonReady = "Ready"
	// ReasonProgressing: objects are being created, changed or waited for.
	ReasonProgressing = "Progressing"
	// ReasonDeleting: the resource is going and its objects are being removed.
	ReasonDeleting = "Deleting"
	// ReasonWorkloadNotReady: a workload that was ready is not at the moment.
	ReasonWorkloadNotReady = "WorkloadNotReady"
	// ReasonWorkloadFailed: a workload can't be run as specified; the message names it and the cause.
	ReasonWorkloadFailed = "WorkloadFailed"
	// ReasonRolloutFailed: a change of a workload could not be rolled out; the message names it, the cause, and whether the
	// previous revision still serves.
	ReasonRolloutFailed = "RolloutFailed"
	// ReasonConfigurationRejected: a program refused its changed configuration and runs on with its last good one.
	ReasonConfigurationRejected = "ConfigurationRejected"
	// ReasonImageUnavailable: an image is neither there nor to be had.
	ReasonImageUnavailable = "ImageUnavailable"
	// ReasonBackendUnavailable: Podman or the cluster does not answer.
	ReasonBackendUnavailable = "BackendUnavailable"
	// ReasonInvalidSpec: the specification contradicts itself in a way the schema can't see.
	ReasonInvalidSpec = "InvalidSpec"
	// ReasonNameTaken: another owner already holds a name that this resource needs.
	ReasonNameTaken = "NameTaken"
	// ReasonSubnetInUse: a network's subnet overlaps one that the host already has.
	ReasonSubnetInUse = "SubnetInUse"
	// ReasonPortInUse: a host port is held by another program.
	ReasonPortInUse = "PortInUse"
	// ReasonStackNotFound: there is no stack of the name that stackRef has, or it is being deleted.
	ReasonStackNotFound = "StackNotFound"
	// ReasonUsersNotMade: Grafana's users and teams could not be made as specified; the message says why.
	ReasonUsersNotMade = "UsersNotMade"
	// ReasonReferenceMissing: a Secret or ConfigMap, or a key in it, does not exist.
	ReasonReferenceMissing = "ReferenceMissing"
	// ReasonBackupFailed: the newest backup failed; the message says why. The next one is tried as scheduled.
	ReasonBackupFailed = "BackupFailed"
	// ReasonHookFailed: a hook of a backup failed; the message says which and why.
	ReasonHookFailed = "HookFailed"
	// ReasonRestoreInProgress: a volume is restored in place, and the services that mount it are stopped until it is whole.
	ReasonRestoreInProgress = "RestoreInProgress"
	// ReasonRestoreFailed: the newest restore in place failed, and the volume is what it was before; the message says why.
	ReasonRestoreFailed = "RestoreFailed"
	// ReasonVerificationFailed: what is kept is not what was stored; the message names what is damaged or differs.
	ReasonVerificationFailed = "VerificationFailed"
	// ReasonVerificationIncomplete: the newest verification or test restore could not be done; the message says why. What is kept
	// may be well.
	ReasonVerificationIncomplete = "VerificationIncomplete"
	// ReasonRepositoryMissing: there is no repository where it was, or another one; the message says what to do.
	ReasonRepositoryMissing = "RepositoryMissing"
	// ReasonRepositoryShared: another policy backs up the same volume of the stack to the same repository.
	ReasonRepositoryShared = "RepositoryShared"
)
