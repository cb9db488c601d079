package manifests

import (
	"cmp"
	"fmt"
	"strconv"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"

	"mockup.dev/mockup/api/v1alpha1"
)

// Where things are in the container of a Job.
const (
	backupConfigDir  = "/etc/mockup/backup"
	backupConfigFile = "config.json"
	backupVolumes    = "/volumes"    // what is backed up, each volume under its name
	backupRepository = "/repository" // the repository and archives
	backupCopies     = "/copies"     // copies on the host, each under its name
	backupArchiveDir = "/archives"   // archives, where they are not beside the repository
	backupTarget     = "/restore"
	backupScratch    = "/scratch"
)

// pod that does what is asked for.
func (r *backupRenderer) pod(config string) corev1.PodSpec {
	resources := completed(r.policy.Spec.Program.Resources.ToCore(), backupResources())
	pod := corev1.PodSpec{
		RestartPolicy: corev1.RestartPolicyNever, SecurityContext: restrictedPod(),
		TerminationGracePeriodSeconds: ptr[int64](terminationGracePeriodSecond),
		EnableServiceLinks:            ptr(false), AutomountServiceAccountToken: ptr(false),
		Containers: []corev1.Container{{
			Name:            ComponentBackup,
			Image:           r.facts.mapped(cmp.Or(r.policy.Spec.Program.Image, ImageBackup)),
			ImagePullPolicy: corev1.PullIfNotPresent,
			Args:            r.args(),
			Env:             []corev1.EnvVar{memoryTarget(resources)},
			Resources:       resources,
			SecurityContext: r.security(),
		}},
	}
	mount(&pod, configVolume("config", config, 0o444), backupConfigDir, true)
	mount(&pod, emptyDir(emptyDirName(r.owner.Name, ComponentBackup, "tmp"), tmpSize()), "/tmp", false)
	r.places(&pod)
	switch r.request.Operation {
	case v1alpha1.BackupRunNow:
		for _, v := range r.policy.Spec.Volumes {
			mount(&pod, claimVolumeOf(ClaimName(r.stack.Name, string(v))), backupVolumes+"/"+string(v), true)
		}
	case v1alpha1.BackupRestore:
		mount(&pod, claimVolumeOf(BackupRestoredClaim(r.policy, r.request)), backupTarget, false)
	case v1alpha1.BackupTestRestore:
		mount(&pod, emptyDir(emptyDirName(r.owner.Name, ComponentBackup, "scratch"), nil), backupScratch, false)
	}
	return pod
}

// places are the volumes of the repository and its copies. Only what writes to them may: a run and what cleans up. An
// archive is beside the repository.
func (r *backupRenderer) places(pod *corev1.PodSpec) {
	repository := &r.policy.Spec.Repository
	switch {
	case repository.Size != nil:
		mount(pod, claimVolumeOf(BackupRepositoryName(r.policy.Name)), backupRepository, false)
	case repository.HostPath != "":
		mount(pod, hostFolder("repository", repository.HostPath), backupRepository, false)
	}
	if a := r.policy.Spec.Archives; a != nil && a.HostPath != "" {
		mount(pod, hostFolder("archives", a.HostPath), backupArchiveDir, false)
	}
	for _, c := range r.policy.Spec.Copies {
		if c.HostPath != "" {
			mount(pod, hostFolder("copy-"+c.Name, c.HostPath), backupCopies+"/"+c.Name, false)
		}
	}
}

func hostFolder(name, path string) corev1.Volume {
	return corev1.Volume{Name: name, VolumeSource: corev1.VolumeSource{HostPath: &corev1.HostPathVolumeSource{Path: path}}}
}

// security is the one exception to workloads that run without privileges: what is backed up belongs to anybody, and what is
// restored gets back its owner. It is root with no more capabilities than that takes: a run may read everything, a restore
// also write everywhere and give away.
func (r *backupRenderer) security() *corev1.SecurityContext {
	s := restrictedContainer()
	s.RunAsUser, s.RunAsGroup, s.RunAsNonRoot = ptr[int64](0), ptr[int64](0), ptr(false)
	s.Capabilities.Add = []corev1.Capability{"DAC_READ_SEARCH"}
	switch r.request.Operation {
	case v1alpha1.BackupRestore, v1alpha1.BackupTestRestore:
		s.Capabilities.Add = append(s.Capabilities.Add, "CHOWN", "DAC_OVERRIDE", "FOWNER", "FSETID")
	}
	return s
}

// args tell the program what is asked for; what it is asked of stands in its configuration.
func (r *backupRenderer) args() []string {
	q := r.request
	args := []string{string(q.Operation), "--config", backupConfigDir + "/" + backupConfigFile}
	add := func(flag, value string) {
		if value != "" {
			args = append(args, "--"+flag, value)
		}
	}
	add("volume", q.Volume)
	add("snapshot", q.Snapshot)
	if q.AsOf != nil {
		add("as-of", q.AsOf.UTC().Format(time.RFC3339))
	}
	for _, p := range q.Paths {
		add("path", p)
	}
	add("from", q.From)
	switch q.Operation {
	case v1alpha1.BackupVerify:
		switch {
		case q.Percent >= 100:
			add("mode", "full")
		case q.Percent > 0:
			add("mode", "sample")
			add("percent", strconv.Itoa(int(q.Percent)))
		}
	case v1alpha1.BackupRestore:
		add("into", backupTarget)
		if q.InPlace {
			add("in-place", RestoreToken(r.restore))
			if r.restore.RollBack {
				args = append(args, "--roll-back")
			}
		}
	case v1alpha1.BackupTestRestore:
		add("scratch", backupScratch)
	}
	return args
}

func backupResources() corev1.ResourceRequirements { return amounts("50m", "64Mi", "1", "512Mi") }

// BackupDeadline is how long the Jobs of p may take.
func BackupDeadline(p *v1alpha1.BackupPolicy) time.Duration {
	d, err := time.ParseDuration(p.Spec.Deadline)
	if err != nil {
		d = 6 * time.Hour // the default; validation has refused what is no duration
	}
	return d
}

// BackupHookTimeout is how long a hook may take.
func BackupHookTimeout(h *v1alpha1.BackupHook) time.Duration {
	d, err := time.ParseDuration(h.Timeout)
	if err != nil {
		d = time.Minute // the default; validation has refused what is no duration
	}
	return d
}

// Keys of Secrets.
const (
	// KeyBackupPassword of the Secret that the operator makes.
	KeyBackupPassword = "password"
	// KeyAccess and KeySecret are the credentials of a bucket.
	KeyAccess = "access-key"
	KeySecret = "secret-key"
)

// ComponentBackup is the name of the program's container, and the component of what belongs to a policy.
const ComponentBackup = "backup"

// BackupPasswordName is the name of the Secret with the password when the operator makes it.
func BackupPasswordName(policy string) string { return policy + "-backup" }

// BackupRepositoryName is the name of the claim of a policy's own repository.
func BackupRepositoryName(policy string) string { return policy + "-repository" }

// BackupTargetName is the name of the claim that a restore fills.
func BackupTargetName(policy, into string) string { return policy + "-" + into }

// BackupJobName is the name of the Job that does what q asks for.
func BackupJobName(policy string, q *v1alpha1.BackupRequest) string {
	return fmt.Sprintf("%s-%s-%s", policy, q.Operation, q.ID)
}

// bytesOf a quantity; 0 for none.
func bytesOf(q *resource.Quantity) int64 {
	if q == nil {
		return 0
	}
	return q.Value()
}
