package manifests

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/util/validation"

	"mockup.dev/mockup/api/v1alpha1"
)

// validateBackup checks what rendering relies on, as validateStack does for a stack; q is nil while nothing is being done.
func validateBackup(p *v1alpha1.BackupPolicy, stack *v1alpha1.MockupStack, q *v1alpha1.BackupRequest, restore *v1alpha1.InPlaceRestore) error {
	v := &validator{stack: stack, names: map[string]string{}}
	owner := BackupOwner(p)
	v.serviceName("metadata.name", owner.Name)
	if reasons := validation.IsDNS1123Label(owner.Namespace); len(reasons) > 0 {
		v.reject("metadata.namespace", owner.Namespace, reasons[0])
	}
	if n := len(owner.String()); n > maxLabel {
		v.reject("metadata.name", owner.Name, fmt.Sprintf("is %d characters too long: with its namespace it makes a label of at most %d", n-maxLabel, maxLabel))
	}
	if len(p.Spec.Volumes) == 0 {
		v.reject("spec.volumes", "", "must name one at least")
	}
	for i, name := range p.Spec.Volumes {
		if !hasVolume(stack, string(name)) {
			v.reject(fmt.Sprintf("spec.volumes[%d]", i), string(name), "is no volume of stack "+stack.Name)
		}
	}
	v.backupPlaces(p)
	v.backupHooks("spec.hooks.pre", p.Spec.Hooks.Pre)
	v.backupHooks("spec.hooks.post", p.Spec.Hooks.Post)
	if _, err := time.ParseDuration(p.Spec.Deadline); p.Spec.Deadline != "" && err != nil {
		v.reject("spec.deadline", p.Spec.Deadline, "is no duration, e.g. 90m")
	}
	for _, ref := range BackupReferences(p) {
		v.reference(ref)
	}
	v.resources("spec.program.resources", p.Spec.Program.Resources)
	if q != nil {
		v.errs = append(v.errs, ValidateBackupRequest(p, q))
		if q.InPlace && restore == nil {
			v.reject("request.inPlace", "true", "needs a restore that has begun")
		}
	}
	return errors.Join(v.errs...)
}

func (v *validator) backupHooks(field string, hooks []v1alpha1.BackupHook) {
	for i, h := range hooks {
		field := fmt.Sprintf("%s[%d]", field, i)
		if !slices.ContainsFunc(v.stack.Spec.Services, func(s v1alpha1.Service) bool { return s.Name == h.Service }) {
			v.reject(field+".service", h.Service, "is no service of stack "+v.stack.Name)
		}
		if len(h.Command) == 0 {
			v.reject(field+".command", "", "must name a program")
		}
		if d, err := time.ParseDuration(h.Timeout); h.Timeout != "" && (err != nil || d <= 0) {
			v.reject(field+".timeout", h.Timeout, "is no duration, e.g. 90s")
		}
		if h.OnError != "" && h.OnError != v1alpha1.BackupHookFail && h.OnError != v1alpha1.BackupHookContinue {
			v.reject(field+".onError", h.OnError, "must be fail or continue")
		}
	}
}

func hasVolume(stack *v1alpha1.MockupStack, name string) bool {
	return slices.ContainsFunc(stack.Spec.Volumes, func(v v1alpha1.Volume) bool { return v.Name == name })
}

func (v *validator) backupPlaces(p *v1alpha1.BackupPolicy) {
	places := 0
	for _, there := range []bool{p.Spec.Repository.Size != nil, p.Spec.Repository.HostPath != "", p.Spec.Repository.S3 != nil} {
		if there {
			places++
		}
	}
	if places != 1 {
		v.reject("spec.repository", "", "must have exactly one of size, hostPath and s3")
	}
	if p.Spec.Archives != nil && archivesDir(p) == "" {
		v.reject("spec.archives", "", "need a hostPath where the repository is in a bucket")
	}
	taken := map[string]string{BackupPlace(p.Spec.Repository.S3, p.Spec.Repository.HostPath): "is where the repository itself is"}
	for i, c := range p.Spec.Copies {
		field := fmt.Sprintf("spec.copies[%d]", i)
		v.label(field+".name", c.Name)
		v.unique("name of a copy", c.Name, field+".name")
		if (c.HostPath == "") == (c.S3 == nil) {
			v.reject(field, "", "must have exactly one of hostPath and s3")
		}
		place, at, value := BackupPlace(c.S3, c.HostPath), field+".hostPath", c.HostPath
		if c.S3 != nil {
			at, value = field+".s3", fmt.Sprintf("%s %s %s", c.S3.Endpoint, c.S3.Bucket, c.S3.Prefix)
		}
		if how, is := taken[place]; is && place != "" {
			v.reject(at, value, how)
		}
		taken[place] = "is where copy " + c.Name + " is"
	}
}

// ValidateBackupRequest tells what is wrong with a request for something to be done with the backups of p; nil if nothing is.
func ValidateBackupRequest(p *v1alpha1.BackupPolicy, q *v1alpha1.BackupRequest) error {
	v := &validator{}
	known := []v1alpha1.BackupOperation{
		v1alpha1.BackupRunNow, v1alpha1.BackupVerify, v1alpha1.BackupRestore, v1alpha1.BackupTestRestore,
		v1alpha1.BackupExport, v1alpha1.BackupPrune, v1alpha1.BackupBrowse,
	}
	if !slices.Contains(known, q.Operation) {
		v.reject("request.operation", string(q.Operation), fmt.Sprintf("must be one of %v", known))
	}
	if reasons := validation.IsDNS1123Label(q.ID); len(reasons) > 0 || len(q.ID) > 20 {
		v.reject("request.id", q.ID, `must be at most 20 lower-case letters, digits and "-"`)
	}
	if q.Volume != "" && !slices.Contains(p.Spec.Volumes, v1alpha1.VolumeName(q.Volume)) {
		v.reject("request.volume", q.Volume, fmt.Sprintf("is none of the volumes that the policy backs up: %v", p.Spec.Volumes))
	}
	if q.From != "" && !slices.ContainsFunc(p.Spec.Copies, func(c v1alpha1.BackupCopy) bool { return c.Name == q.From }) {
		v.reject("request.from", q.From, "is none of the policy's copies")
	}
	for i, path := range q.Paths {
		if path == "" || strings.HasPrefix(path, "/") || slices.Contains(strings.Split(path, "/"), "..") {
			v.reject(fmt.Sprintf("request.paths[%d]", i), path, `must be a relative path without ".."`)
		}
	}
	if q.Operation == v1alpha1.BackupExport && archivesDir(p) == "" {
		v.reject("request.operation", string(q.Operation), "needs spec.archives.hostPath where the repository is in a bucket: the archive is put there")
	}
	v.restoreRequest(p, q)
	return errors.Join(v.errs...)
}

func (v *validator) restoreRequest(p *v1alpha1.BackupPolicy, q *v1alpha1.BackupRequest) {
	if q.Operation != v1alpha1.BackupRestore {
		if q.InPlace {
			v.reject("request.inPlace", "true", "is for a restore")
		}
		return
	}
	if q.Volume == "" {
		v.reject("request.volume", "", "must name one of the volumes")
	}
	if q.InPlace {
		v.inPlaceRequest(q)
		return
	}
	target := BackupTargetName(p.Name, q.Into)
	if reasons := validation.IsDNS1123Label(q.Into); len(reasons) > 0 || len(target) > maxLabel {
		v.reject("request.into", q.Into, `must be the name of a new volume: lower-case letters, digits and "-"`)
	}
	if target == BackupRepositoryName(p.Name) {
		v.reject("request.into", q.Into, "is the volume of the repository")
	}
}

// maxInPlaceID leaves room for the number of the attempt in the name of a Job.
const maxInPlaceID = 16

func (v *validator) inPlaceRequest(q *v1alpha1.BackupRequest) {
	if q.Into != "" {
		v.reject("request.into", q.Into, "goes with no restore in place: it is either into a new volume or in place")
	}
	if q.From != "" {
		v.reject("request.from", q.From, "goes with no restore in place: restore from a copy into a new volume")
	}
	if len(q.ID) > maxInPlaceID {
		v.reject("request.id", q.ID, fmt.Sprintf("must be at most %d characters for a restore in place", maxInPlaceID))
	}
}
