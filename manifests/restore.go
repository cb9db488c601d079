package manifests

import (
	"cmp"
	"fmt"
	"slices"

	"mockup.dev/mockup/api/v1alpha1"
)

// Restoring is a volume of a stack that is restored in place, so that nobody else may mount it.
type Restoring struct {
	// Volume as in the specification of the stack.
	Volume string
	// Policy that does it, and Token of the restore.
	Policy, Token string
	Phase         v1alpha1.RestorePhase
}

// For is the restore in the words of VolumeStatus.ReleasedFor.
func (r Restoring) For() string { return r.Policy + "/" + r.Token }

// RestoringAmong are the volumes of s that policies restore in place now, by the policies' own statuses.
func RestoringAmong(s *v1alpha1.MockupStack, policies []v1alpha1.BackupPolicy) []Restoring {
	var out []Restoring
	for i := range policies {
		p := &policies[i]
		r := p.Status.Restore
		if p.Namespace != s.Namespace || p.Spec.StackRef.Name != s.Name || r == nil || r.Phase.Over() {
			continue
		}
		out = append(out, Restoring{Volume: r.Volume, Policy: p.Name, Token: RestoreToken(r), Phase: r.Phase})
	}
	slices.SortFunc(out, func(a, b Restoring) int {
		return cmp.Or(cmp.Compare(a.Volume, b.Volume), cmp.Compare(a.Policy, b.Policy))
	})
	return out
}

// StoppedBy is the restore in place for which a service must not run; nil if it may.
func StoppedBy(s *v1alpha1.Service, restoring []Restoring) *Restoring {
	for i := range restoring {
		if slices.ContainsFunc(s.VolumeMounts, func(m v1alpha1.VolumeMount) bool { return m.Volume == restoring[i].Volume }) {
			return &restoring[i]
		}
	}
	return nil
}

// RestoreToken tells restores in place apart, even those of which somebody chose the same ID.
func RestoreToken(r *v1alpha1.InPlaceRestore) string {
	return fmt.Sprintf("%s-%d", r.ID, r.StartedAt.Unix())
}

// RestoreJobName is the name of the Job of an attempt to restore in place.
func RestoreJobName(policy string, q *v1alpha1.BackupRequest, r *v1alpha1.InPlaceRestore) string {
	name := BackupJobName(policy, q)
	if r.Attempts > 1 {
		name += fmt.Sprintf("-%d", r.Attempts)
	}
	return name
}

// BackupRestoredClaim is the claim that a restore fills: a new one, or the stack's own.
func BackupRestoredClaim(p *v1alpha1.BackupPolicy, q *v1alpha1.BackupRequest) string {
	if q.InPlace {
		return ClaimName(p.Spec.StackRef.Name, q.Volume)
	}
	return BackupTargetName(p.Name, q.Into)
}

// SharedVolume is another stack that has the same volume as the one of s, since it adopted it, or both did; nil if none has.
// A backend may know a claim by its own name or with the namespace before it.
func SharedVolume(s *v1alpha1.MockupStack, volume string, all []v1alpha1.MockupStack) *v1alpha1.MockupStack {
	mine := volumeNames(s, volume)
	for i := range all {
		other := &all[i]
		if other.Namespace == s.Namespace && other.Name == s.Name {
			continue
		}
		for _, v := range other.Spec.Volumes {
			for name := range volumeNames(other, v.Name) {
				if mine[name] {
					return other
				}
			}
		}
	}
	return nil
}

// volumeNames under which a backend may know a volume of s.
func volumeNames(s *v1alpha1.MockupStack, volume string) map[string]bool {
	namespace := StackOwner(s).Namespace
	for _, v := range s.Spec.Volumes {
		if v.Name == volume && v.Existing != "" {
			return map[string]bool{v.Existing: true, namespace + "-" + v.Existing: true}
		}
	}
	claim := ClaimName(s.Name, volume)
	return map[string]bool{namespace + "-" + claim: true}
}
