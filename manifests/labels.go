package manifests

// Labels on rendered objects.
const (
	// LabelManagedBy, LabelPartOf and LabelName are the recommended labels of Kubernetes.
	LabelManagedBy = "app.kubernetes.io/managed-by"
	LabelPartOf    = "app.kubernetes.io/part-of"
	LabelName      = "app.kubernetes.io/name"
	// ManagedBy is the value of LabelManagedBy.
	ManagedBy = "mockup"

	// LabelOwner holds Owner.String on every object, pod, volume, network and secret that belongs to it.
	LabelOwner = "mockup.dev/owner"
	// LabelWorkload holds the name of the Deployment, DaemonSet or Job on its pods.
	LabelWorkload = "mockup.dev/workload"
	// LabelComponent holds the name of a service, network or volume, or "gateway", as in the specification.
	LabelComponent = "mockup.dev/component"
	// LabelReclaim is Retain or Delete on a claim and on its volume.
	LabelReclaim = "mockup.dev/reclaim"
	// LabelRevisionOf holds the name of the stack on each ConfigMap that keeps a specification of it, and LabelRevision the
	// number of that revision.
	LabelRevisionOf = "mockup.dev/revision-of"
	LabelRevision   = "mockup.dev/revision"
	// LabelNetworkPrefix + network name is "true" on pods that join it.
	LabelNetworkPrefix = "network.mockup.dev/"
)

// Annotations on rendered objects.
const (
	// AnnotationSubnet and AnnotationInternal on a NetworkPolicy make it a network of the stack.
	AnnotationSubnet   = "network.mockup.dev/subnet"
	AnnotationInternal = "network.mockup.dev/internal"
	// AnnotationIPPrefix + network name on a pod template is its fixed address there.
	AnnotationIPPrefix = "ip.network.mockup.dev/"
	// AnnotationExisting on a claim names the Podman volume that it adopts.
	AnnotationExisting = "volume.mockup.dev/existing"
	// AnnotationNodePort on a Service of type ExternalName is a TCP port at which a program of the node is reached under the
	// Service's name, where there is no cluster: Podman's node agent answers the name with the node's own address on
	// the asker's network, and leads connections to that port on. A cluster follows spec.externalName.
	AnnotationNodePort = "mockup.dev/node-port"
	// AnnotationConfigPrefix + object name on a pod template is a digest of a ConfigMap or Secret that the pod mounts
	// under a stable name: a change of it is a change of the template.
	AnnotationConfigPrefix = "config.mockup.dev/"
	// AnnotationRestartPrefix + the name of a service, or "gateway", on a stack asks for a restart of that workload: each
	// new value, by habit the time in RFC 3339, rolls its pods once. Names that the stack does not have are ignored.
	AnnotationRestartPrefix = "restart.mockup.dev/"
	// AnnotationRestartedAt on a pod template is that value, under the name that `kubectl rollout restart` uses.
	AnnotationRestartedAt = "kubectl.kubernetes.io/restartedAt"
	// AnnotationChangeCause on a stack, and on the revisions made of it, is what somebody says of a change, under the name
	// that `kubectl rollout history` reads.
	AnnotationChangeCause = "kubernetes.io/change-cause"
	// AnnotationBackupRequest on a BackupPolicy asks for something to be done now: a BackupRequest as JSON, or any other text,
	// which asks for a run. Each new value is taken up once.
	AnnotationBackupRequest = "backup.mockup.dev/request"
	// AnnotationReload on a pod template is how the main container's program takes up changed configuration without a
	// restart: a command as a JSON array, {"httpPost":{"port":9090,"path":"/-/reload"}}, {"signal":"SIGHUP"} or
	// {"watched":true}, see Reload. AnnotationReloadTest is the command that tests it first. On a template that has them,
	// they take up everything that has a digest there.
	AnnotationReload     = "mockup.dev/reload"
	AnnotationReloadTest = "mockup.dev/reload-test"
)

// objectLabels are on every object of an owner.
func objectLabels(owner Owner, component string) map[string]string {
	return map[string]string{
		LabelManagedBy: ManagedBy,
		LabelPartOf:    owner.Name,
		LabelName:      component,
		LabelComponent: component,
		LabelOwner:     owner.String(),
	}
}

// podLabels are on every pod of a component, beside one label for each of its networks.
func podLabels(owner Owner, component string) map[string]string {
	labels := objectLabels(owner, component)
	labels[LabelWorkload] = WorkloadName(owner.Name, component)
	return labels
}

// selectorLabels find the pods of a component. They are few and independent of the owner's form, since a Deployment's
// selector can never change.
func selectorLabels(owner Owner, component string) map[string]string {
	return map[string]string{LabelPartOf: owner.Name, LabelComponent: component}
}
