package manifests

import (
	"cmp"
	"fmt"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"mockup.dev/mockup/api/v1alpha1"
)

// BackupFacts are what rendering a policy needs to know beside the policy itself.
type BackupFacts struct {
	// Stack is the one that stackRef names. Without it nothing is rendered.
	Stack *v1alpha1.MockupStack
	// Images maps an image reference to the one that is really run; what is not in it runs as it is.
	Images map[string]string
	// Secrets that the policy refers to and that exist, by name.
	Secrets map[string]*corev1.Secret
	// Request is what is being done; nil while nothing is.
	Request *v1alpha1.BackupRequest
	// Restore is how far it has come, of a restore in place.
	Restore *v1alpha1.InPlaceRestore
	// Known is what was found out about the repository before.
	Known BackupKnown
}

// BackupKnown is what the program of backups is told of what was found out before.
type BackupKnown struct {
	// MustExist tells whether the repository was there: an empty place is another disk then, or one that is not mounted, and no new
	// repository is made in it.
	MustExist bool
	// RepositoryID is the unique ID of the repository; empty as long as it is not known.
	RepositoryID string
	// NoPruning keeps everything, since something is damaged: what looks like surplus may be needed to mend it.
	NoPruning bool
}

// BackupOwner is the owner of what Backup renders for p.
func BackupOwner(p *v1alpha1.BackupPolicy) Owner {
	return Owner{Kind: "BackupPolicy", Namespace: cmp.Or(p.Namespace, defaultNamespace), Name: p.Name, UID: p.UID}
}

// Backup renders p: the volume of its repository, what its program is told, and, while something is being done, a Job that
// does it. p and f are left as they are.
//
// The error is an *InvalidError, several of them joined, or a *MissingError. With the latter the set is whole but for the
// copies and digests of what is missing: fit to be looked at, not to be applied.
func Backup(p *v1alpha1.BackupPolicy, f BackupFacts) (Set, error) {
	stack, err := renderedStack(p.Spec.StackRef.Name, f.Stack)
	if err != nil {
		return Set{}, err
	}
	if err := validateBackup(p, f.Stack, f.Request, f.Restore); err != nil {
		return Set{}, err
	}
	r := &backupRenderer{
		policy: p, stack: f.Stack, owner: BackupOwner(p), request: f.Request, restore: f.Restore,
		facts: StackFacts{Images: f.Images, Secrets: f.Secrets}, known: f.Known,
	}
	set := Set{Owner: r.owner, Networks: networksOf(stack)}
	if claim := r.repository(); claim != nil {
		set.Objects = append(set.Objects, claim)
	}
	config := r.config()
	set.Objects = append(set.Objects, config)
	if f.Request != nil {
		if claim := r.target(); claim != nil {
			set.Objects = append(set.Objects, claim)
		}
		set.Claims = r.sources(stack)
		set.Objects = append(set.Objects, r.job(config.Name))
	}
	refs := BackupReferences(p)
	if err := ownNames(set, refs); err != nil {
		return Set{}, err
	}
	for _, o := range set.Objects {
		for _, other := range stack.Objects {
			if RefOf(o) != RefOf(other) {
				continue
			}
			field, value := "metadata.name", p.Name
			if q := f.Request; q != nil && o.GetName() == BackupTargetName(p.Name, q.Into) {
				field, value = requestField+"into", q.Into
			}
			return Set{}, &InvalidError{Field: field, Value: value, Reason: fmt.Sprintf("makes a %s, which stack %s has itself", RefOf(o), f.Stack.Name)}
		}
	}
	set.Secrets, _ = r.facts.copies(refs)
	return set, r.facts.missing(refs)
}

// BackupRemoval is the set that takes everything of p away but its repository.
func BackupRemoval(p *v1alpha1.BackupPolicy) Set {
	r := &backupRenderer{policy: p, stack: &v1alpha1.MockupStack{}, owner: BackupOwner(p)}
	set := Removal(r.owner)
	if claim := r.repository(); claim != nil {
		set.Objects = append(set.Objects, claim)
	}
	return set
}

// BackupReferences lists what a caller must gather before it renders p, in the order of the specification.
func BackupReferences(p *v1alpha1.BackupPolicy) []Reference {
	refs := []Reference{backupPassword(p)}
	if s := p.Spec.Repository.S3; s != nil {
		refs = append(refs, bucketReferences(s, "spec.repository.s3")...)
	}
	for i, c := range p.Spec.Copies {
		if c.S3 != nil {
			refs = append(refs, bucketReferences(c.S3, fmt.Sprintf("spec.copies[%d].s3", i))...)
		}
	}
	return refs
}

func backupPassword(p *v1alpha1.BackupPolicy) Reference {
	if k := p.Spec.Encryption.PasswordSecret; k != nil {
		return keyReference(*k, "spec.encryption.passwordSecret")
	}
	return Reference{Kind: "Secret", Name: BackupPasswordName(p.Name), Keys: []string{KeyBackupPassword}, Field: "spec.encryption", Generated: true}
}

func bucketReferences(s *v1alpha1.S3Bucket, field string) []Reference {
	refs := []Reference{{Kind: "Secret", Name: s.CredentialsSecretName, Keys: []string{KeyAccess, KeySecret}, Field: field + ".credentialsSecretName"}}
	if s.CASecret != nil {
		refs = append(refs, keyReference(*s.CASecret, field+".caSecret"))
	}
	return refs
}

// backupRenderer holds what the objects of a policy are rendered from.
type backupRenderer struct {
	policy  *v1alpha1.BackupPolicy
	stack   *v1alpha1.MockupStack
	owner   Owner
	request *v1alpha1.BackupRequest
	restore *v1alpha1.InPlaceRestore
	facts   StackFacts
	known   BackupKnown
}

func (r *backupRenderer) meta(name string) metav1.ObjectMeta {
	return metav1.ObjectMeta{Name: name, Namespace: r.owner.Namespace, Labels: r.labels()}
}

// labels make pods part of the stack, whose networks they join; their owner is the policy.
func (r *backupRenderer) labels() map[string]string {
	labels := objectLabels(r.owner, ComponentBackup)
	labels[LabelPartOf] = r.policy.Spec.StackRef.Name
	return labels
}

// repository is the claim of the policy's own volume, which outlives it.
func (r *backupRenderer) repository() *corev1.PersistentVolumeClaim {
	if r.policy.Spec.Repository.Size == nil {
		return nil
	}
	return r.claim(BackupRepositoryName(r.policy.Name), claimSpec(*r.policy.Spec.Repository.Size))
}

func (r *backupRenderer) claim(name string, spec corev1.PersistentVolumeClaimSpec) *corev1.PersistentVolumeClaim {
	claim := &corev1.PersistentVolumeClaim{TypeMeta: typeMeta("v1", "PersistentVolumeClaim"), ObjectMeta: r.meta(name), Spec: spec}
	claim.Labels[LabelReclaim] = string(v1alpha1.ReclaimRetain)
	return claim
}

// target is the claim of the new volume that a restore fills.
func (r *backupRenderer) target() *corev1.PersistentVolumeClaim {
	if r.request.Operation != v1alpha1.BackupRestore || r.request.InPlace {
		return nil
	}
	size := nominalClaimSize()
	for _, v := range r.stack.Spec.Volumes {
		if v.Name == r.request.Volume && v.Size != nil {
			size = v.Size
		}
	}
	return r.claim(BackupTargetName(r.policy.Name, r.request.Into), claimSpec(*size))
}

// sources are the stack's claims that a run reads, or that a restore in place writes to.
func (r *backupRenderer) sources(stack Set) []*corev1.PersistentVolumeClaim {
	var names []v1alpha1.VolumeName
	switch {
	case r.request.Operation == v1alpha1.BackupRunNow:
		names = r.policy.Spec.Volumes
	case r.request.InPlace:
		names = []v1alpha1.VolumeName{v1alpha1.VolumeName(r.request.Volume)}
	}
	var out []*corev1.PersistentVolumeClaim
	for _, name := range names {
		for _, o := range stack.Objects {
			if claim, ok := o.(*corev1.PersistentVolumeClaim); ok && claim.Name == ClaimName(r.stack.Name, string(name)) {
				out = append(out, claim)
			}
		}
	}
	return out
}

func (r *backupRenderer) config() *corev1.ConfigMap {
	files := map[string]string{backupConfigFile: r.programConfig()}
	name := digestedName(r.owner.Name, ComponentBackup, "config", files)
	return &corev1.ConfigMap{TypeMeta: typeMeta("v1", "ConfigMap"), ObjectMeta: r.meta(name), Data: files}
}

// job does what is asked for, once: whether it is tried again is for the schedule to say.
func (r *backupRenderer) job(config string) *batchv1.Job {
	name := r.jobName()
	labels := r.labels()
	labels[LabelWorkload] = name
	if n := firstWayOut(r.stack); n != "" {
		labels[LabelNetworkPrefix+n] = "true"
	}
	annotations := map[string]string{}
	pod := r.pod(config)
	for _, s := range merged(BackupReferences(r.policy)) {
		mount(&pod, secretVolume("secret-"+digest(s.Name), s.Name, s.Keys), secretDir(s.Name), true)
		annotateConfig(annotations, s.Name, r.facts.digest(s.Kind, s.Name))
	}
	return &batchv1.Job{
		TypeMeta: typeMeta("batch/v1", "Job"), ObjectMeta: r.meta(name),
		Spec: batchv1.JobSpec{
			BackoffLimit: ptr[int32](0), ActiveDeadlineSeconds: ptr(int64(BackupDeadline(r.policy).Seconds())),
			Template: corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: labels, Annotations: annotations}, Spec: pod},
		},
	}
}

func (r *backupRenderer) jobName() string {
	if r.request.InPlace {
		return RestoreJobName(r.policy.Name, r.request, r.restore)
	}
	return BackupJobName(r.policy.Name, r.request)
}

// firstWayOut is the first network of a stack that has one, or the first.
func firstWayOut(s *v1alpha1.MockupStack) string {
	r := &addonRenderer{stack: s}
	for _, n := range r.joined(&program{}) {
		return n
	}
	return ""
}
