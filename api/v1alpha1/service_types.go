package v1alpha1

import (
	corev1 "k8s.io/api/core/v1"
)

// Service is one program of the stack, in one or more equal pods behind one name.
//
// +kubebuilder:validation:XValidation:rule=`!has(self.metricsPort) || self.metricsPort != self.port`,fieldPath=`.metricsPort`,message=`must differ from port`
// +kubebuilder:validation:XValidation:rule=`self.?replicas.orValue(1) <= 1 || !self.networks.exists(a, has(a.ip))`,fieldPath=`.replicas`,message=`must be 1 for a service with a fixed address`,messageExpression=`'must be 1 for a service with a fixed address; this one has %s'.format([self.networks.filter(a, has(a.ip)).map(a, a.ip)])`
// +kubebuilder:validation:XValidation:rule=`self.?replicas.orValue(1) <= 1 || !(has(self.volumeMounts) && self.volumeMounts.exists(m, !m.?readOnly.orValue(false)))`,fieldPath=`.replicas`,message=`must be 1 for a service that writes to a volume; set readOnly in its volumeMounts`
// +kubebuilder:validation:XValidation:rule=`self.?updateStrategy.type.orValue('Recreate') == 'Recreate' || !(has(self.volumeMounts) && self.volumeMounts.exists(m, !m.?readOnly.orValue(false)))`,fieldPath=`.updateStrategy.type`,message=`must be Recreate for a service that writes to a volume, since two pods would write during an update`
// +kubebuilder:validation:XValidation:rule=`!(has(self.updateStrategy) && (has(self.updateStrategy.maxSurge) || has(self.updateStrategy.maxUnavailable))) || (has(self.updateStrategy.type) ? self.updateStrategy.type != 'Recreate' : !(has(self.volumeMounts) && self.volumeMounts.exists(m, !m.?readOnly.orValue(false))))`,fieldPath=`.updateStrategy`,message=`maxSurge and maxUnavailable are for RollingUpdate; a service that writes to a volume is updated by Recreate`
// +kubebuilder:validation:XValidation:rule=`self.?progressDeadlineSeconds.orValue(300) < 1 || self.?progressDeadlineSeconds.orValue(300) > self.?minReadySeconds.orValue(0)`,fieldPath=`.progressDeadlineSeconds`,message=`must be greater than minReadySeconds, else no roll-out is ever done in time`,messageExpression=`'must be greater than minReadySeconds, which is %d; it is %d'.format([self.?minReadySeconds.orValue(0), self.?progressDeadlineSeconds.orValue(300)])`
// +kubebuilder:validation:XValidation:rule=`self.?preStop.sleepSeconds.orValue(0) == 0 || self.?preStop.sleepSeconds.orValue(0) < self.?terminationGracePeriodSeconds.orValue(30)`,fieldPath=`.preStop.sleepSeconds`,message=`must be less than terminationGracePeriodSeconds, after which the container is killed`,messageExpression=`'must be less than terminationGracePeriodSeconds, which is %d'.format([self.?terminationGracePeriodSeconds.orValue(30)])`
type Service struct {
	// name of the service: other pods of its networks reach it as http://NAME:PORT.
	// +required
	// +kubebuilder:validation:MaxLength=24
	// +kubebuilder:validation:XValidation:rule=`self.matches('^[a-z]([a-z0-9-]*[a-z0-9])?$')`,message=`must consist of lower-case letters, digits and "-", begin with a letter and not end with "-"`
	// +kubebuilder:validation:XValidation:rule=`!self.matches('^[0-9a-f]+$')`,message=`must not consist of the digits 0-9 and a-f alone, which Podman could take for an ID`,messageExpression=`'must not consist of the digits 0-9 and a-f alone, which Podman could take for an ID; "' + self + '-1" would do'`
	// +kubebuilder:validation:XValidation:rule=`!(self in ['gateway', 'localhost'])`,reason=FieldValueForbidden,message=`must not be gateway or localhost, which are taken`
	Name string `json:"name"`
	// image that is run. An image map given to the operator may put another in its place.
	// +required
	// +kubebuilder:validation:MaxLength=512
	// +kubebuilder:validation:XValidation:rule=`self.matches('^([a-zA-Z0-9]([a-zA-Z0-9.-]*[a-zA-Z0-9])?(:[0-9]{1,5})?/)?[a-z0-9]+(([.]|_{1,2}|-+)[a-z0-9]+)*(/[a-z0-9]+(([.]|_{1,2}|-+)[a-z0-9]+)*)*(:[a-zA-Z0-9_][a-zA-Z0-9_.-]{0,127})?(@sha256:[0-9a-f]{64})?$')`,message=`must be an image reference without scheme or spaces, e.g. docker.io/library/nginx:1.29`
	Image string `json:"image"`
	// imagePullPolicy is Always, IfNotPresent or Never; the default is IfNotPresent.
	// +optional
	// +kubebuilder:validation:Enum=Always;IfNotPresent;Never
	ImagePullPolicy corev1.PullPolicy `json:"imagePullPolicy,omitempty"`
	// command in place of the image's entrypoint. $(VAR) is expanded from env.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=64
	Command []string `json:"command,omitempty"`
	// args in place of the image's command. $(VAR) is expanded from env.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=256
	Args []string `json:"args,omitempty"`
	// env are environment variables.
	// +optional
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MaxItems=128
	Env []EnvVar `json:"env,omitempty"`
	// envFrom takes every key of a Secret or ConfigMap as an environment variable.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=16
	EnvFrom []EnvFromSource `json:"envFrom,omitempty"`
	// port on which the service listens.
	// +required
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=65535
	Port int32 `json:"port"`
	// metricsPort on which the service offers /metrics; the default is none.
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=65535
	MetricsPort int32 `json:"metricsPort,omitempty"`
	// networks that the service's pods join.
	// +required
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=8
	Networks []NetworkAttachment `json:"networks"`
	// replicas wanted; the default is 1, and a service with a fixed address or a volume that it writes to has no more.
	// +optional
	// +kubebuilder:default=1
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=32
	Replicas *int32 `json:"replicas,omitempty"`
	// resources of the container; the default is a small service's.
	// +optional
	Resources *Resources `json:"resources,omitempty"`
	// probes that tell whether a container has started, is ready, and lives. Without a readiness probe, a TCP
	// connection to port is one.
	// +optional
	Probes Probes `json:"probes,omitzero"`
	// volumeMounts put the stack's volumes into the container.
	// +optional
	// +listType=map
	// +listMapKey=mountPath
	// +kubebuilder:validation:MaxItems=16
	VolumeMounts []VolumeMount `json:"volumeMounts,omitempty"`
	// updateStrategy says how a change is rolled out.
	// +optional
	UpdateStrategy UpdateStrategy `json:"updateStrategy,omitzero"`
	// minReadySeconds that a new pod must be ready without a break before it counts as available, and an old one is
	// retired for it; the default is 0.
	// +optional
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=3600
	MinReadySeconds int32 `json:"minReadySeconds,omitempty"`
	// progressDeadlineSeconds within which a roll-out must make some progress, else it has failed and the stack is
	// stalled with the reason RolloutFailed; what still serves goes on serving. It is greater than minReadySeconds; the
	// default is 300.
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=86400
	ProgressDeadlineSeconds *int32 `json:"progressDeadlineSeconds,omitempty"`
	// preStop is what happens in a pod between the moment when its name is withdrawn and SIGTERM. It is part of
	// terminationGracePeriodSeconds. The default is {sleepSeconds: 3} for a service that is rolled, since clients that
	// hold its address need a moment, and none for one that is recreated or whose termination grace is 3 seconds or less.
	// +optional
	PreStop *PreStop `json:"preStop,omitempty"`
	// security is what the container may do.
	// +optional
	Security Security `json:"security,omitzero"`
	// terminationGracePeriodSeconds from the beginning of a pod's end, preStop included, to SIGKILL; the default is 30.
	// +optional
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=3600
	TerminationGracePeriodSeconds *int64 `json:"terminationGracePeriodSeconds,omitempty"`
}

// Security is what a container may do. By default it may not write to its root file system and has no privileges.
type Security struct {
	// runAsUser is the user ID; the default is the image's.
	// +optional
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=4294967294
	RunAsUser *int64 `json:"runAsUser,omitempty"`
	// runAsGroup is the group ID; the default is the image's.
	// +optional
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=4294967294
	RunAsGroup *int64 `json:"runAsGroup,omitempty"`
	// writableRootFilesystem lets the container write to its own root file system. /tmp is always writable.
	// +optional
	WritableRootFilesystem bool `json:"writableRootFilesystem,omitempty"`
	// addCapabilities are Linux capabilities that the container gets, by their names without CAP_, e.g. NET_BIND_SERVICE;
	// the default is none.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=16
	// +kubebuilder:validation:items:Enum=AUDIT_CONTROL;AUDIT_READ;AUDIT_WRITE;BLOCK_SUSPEND;BPF;CHECKPOINT_RESTORE;CHOWN;DAC_OVERRIDE;DAC_READ_SEARCH;FOWNER;FSETID;IPC_LOCK;IPC_OWNER;KILL;LEASE;LINUX_IMMUTABLE;MAC_ADMIN;MAC_OVERRIDE;MKNOD;NET_ADMIN;NET_BIND_SERVICE;NET_BROADCAST;NET_RAW;PERFMON;SETFCAP;SETGID;SETPCAP;SETUID;SYSLOG;SYS_ADMIN;SYS_BOOT;SYS_CHROOT;SYS_MODULE;SYS_NICE;SYS_PACCT;SYS_PTRACE;SYS_RAWIO;SYS_RESOURCE;SYS_TIME;SYS_TTY_CONFIG;WAKE_ALARM
	AddCapabilities []string `json:"addCapabilities,omitempty"`
}
