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
	// Policy that does it, as namespace/name, and Token of the restore.
	Policy, Token string
	Phase         v1alpha1.RestorePhase
}

// For is the restore in the words of VolumeStatus.ReleasedFor.
func (r Restoring) For() string { return r.Policy + "/" + r.Token }

// RestoringAmong are the volumes of s that policies restore in place now, by the policies' own statuses. They may be another
// stack's, too: oneHost says whether a name means the same volume in every namespace.
func RestoringAmong(s *v1alpha1.MockupStack, policies []v1alpha1.BackupPolicy, oneHost bool) []Restoring {
	var out []Restoring
	for i := range policies {
		p := &policies[i]
		r := p.Status.Restore
		if r == nil || r.Phase.Over() {
			continue
		}
		for _, v := range s.Spec.Volumes {
			if VolumeID(s, v.Name, oneHost) == RestoredID(p, oneHost) {
				out = append(out, Restoring{Volume: v.Name, Policy: BackupOwner(p).Namespace + "/" + p.Name, Token: RestoreToken(r), Phase: r.Phase})
			}
		}
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

// VolumeID is the same for volumes of stacks that are one. On one host, an adopted volume is named as the host has it, and a
// claim's with its namespace before it; on a cluster, both are claims of their namespace.
func VolumeID(s *v1alpha1.MockupStack, volume string, oneHost bool) string {
	claim, adopted := StackClaim(s, volume)
	return claimID(StackOwner(s).Namespace, claim, adopted, oneHost)
}

// RestoredID is the VolumeID of what p restores in place.
func RestoredID(p *v1alpha1.BackupPolicy, oneHost bool) string {
	r := p.Status.Restore
	return claimID(BackupOwner(p).Namespace, r.Claim, r.Adopted, oneHost)
}

// StackClaim is the claim of a volume of s, or the name of the one that it adopts.
func StackClaim(s *v1alpha1.MockupStack, volume string) (claim string, adopted bool) {
	for _, v := range s.Spec.Volumes {
		if v.Name == volume && v.Existing != "" {
			return v.Existing, true
		}
	}
	return ClaimName(s.Name, volume), false
}

func claimID(namespace, claim string, adopted, oneHost bool) string {
	switch {
	case !oneHost:
		return namespace + "/" + claim
	case adopted:
		return claim
	}
	return namespace + "-" + claim
}
