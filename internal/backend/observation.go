package backend

import "mockup.dev/mockup/manifests"

// Observation is what a backend sees of an owner: every live object, and everything it was asked for but does not do.
type Observation struct {
	Objects []State
	Refused []Refusal
}

// Find returns the state of ref, and whether it is there.
func (o Observation) Find(ref manifests.Ref) (State, bool) {
	for _, s := range o.Objects {
		if s.Ref == ref {
			return s, true
		}
	}
	return State{}, false
}

// Phase of an object.
type Phase string

// The phases. Terminating objects are on their way out and in no set any more.
const (
	// Pending: not there yet, or there and not started.
	Pending Phase = "Pending"
	// Progressing: a change is being rolled out or a pod is not ready for the first time.
	Progressing Phase = "Progressing"
	// Ready: as wanted and usable.
	Ready Phase = "Ready"
	// NotReady: as wanted, was ready, is not at the moment.
	NotReady Phase = "NotReady"
	// Failed: can't be as wanted without a change from outside; Reason and Message say why.
	Failed Phase = "Failed"
	// Succeeded: a Job that ran to its end.
	Succeeded Phase = "Succeeded"
	// Terminating: being removed.
	Terminating Phase = "Terminating"
)

// Reasons of states, beside those that come from a cluster as they are.
const (
	ReasonImagePull    = "ImagePullBackOff" // the image is not there and can't be had
	ReasonPulling      = "PullingImage"
	ReasonNameTaken    = "NameTaken"   // another owner, or nobody known, holds the name
	ReasonSubnetInUse  = "SubnetInUse" // the host or another network has an overlapping subnet
	ReasonPortInUse    = "PortInUse"   // a host port is held
	ReasonAddressInUse = "AddressInUse"
	ReasonMissing      = "ReferenceMissing" // a volume to adopt, a Secret or ConfigMap is not there
	ReasonStartFailed  = "StartFailed"
	ReasonUnready      = "ReadinessProbeFailed"
	ReasonExited       = "ContainerExited"
	ReasonCreating     = "Creating"
	ReasonStarting     = "Starting"
	ReasonRetained     = "Retained"                 // a claim that stays when its owner goes
	ReasonImmutable    = "Immutable"                // a change that only a new object could take up
	ReasonCrashLoop    = "CrashLoopBackOff"         // a container ends again and again, and is held back
	ReasonOOMKilled    = "OOMKilled"                // the container needed more memory than its limit
	ReasonDeadline     = "ProgressDeadlineExceeded" // a roll-out made no progress in time
	ReasonBackoffLimit = "BackoffLimitExceeded"     // a Job failed as often as it may
	ReasonJobDeadline  = "DeadlineExceeded"         // a Job took longer than it may
	ReasonReload       = "ReloadFailed"             // the program refused its changed configuration and runs on with the old
	ReasonRollingOut   = "RollingOut"
)

// State of one live object.
type State struct {
	Ref     manifests.Ref
	Phase   Phase
	Reason  string
	Message string
	// Desired and Ready count the pods of a workload.
	Desired int32
	Ready   int32
	// Updated counts the pods that are as wanted now, ready or not; the others are from before the last change.
	Updated int32
	// Restarts of the containers of the live pods together.
	Restarts int32
	// ExitCode of the main container when it has ended.
	ExitCode *int32
	// Image that the main container runs.
	Image string
	// Pods of a workload.
	Pods []Pod
	// Passing counts the pods of a workload beside those: being made, or on their way out and maybe still running. Nothing of a
	// workload that wants no pods runs any more when it is Ready, with none of either kind.
	Passing int32
}

// Pod of a workload.
type Pod struct {
	Name  string
	Ready bool
	// Addresses by network name as in the specification; on a cluster under the empty name.
	Addresses map[string]string
}

// Refusal is one thing asked for that the backend does not do as written.
type Refusal struct {
	Ref    manifests.Ref
	Path   string
	Reason string
}
