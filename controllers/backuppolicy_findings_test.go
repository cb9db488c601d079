package controllers

import (
	"strings"
	"testing"
	"time"

	. "github.com/onsi/gomega"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"mockup.dev/mockup/api/v1alpha1"
)

// story is a policy to which one thing after the other happens.
type story struct {
	*WithT
	r *PolicyReconciler
	p *v1alpha1.BackupPolicy
}

func newStory(t *testing.T) *story {
	p := scheduled("0 2 * * *", "")
	p.Spec.Copies = []v1alpha1.BackupCopy{{Name: "offsite", HostPath: "/srv/copies"}}
	s := &story{WithT: NewWithT(t), p: p}
	clock := at("2026-02-14T02:00:00Z")
	s.r = &PolicyReconciler{base: base{Options: Options{Clock: func() time.Time { clock = clock.Add(time.Minute); return clock }}}}
	return s
}

// ends has an operation end as the program says, which is reason if it failed, and tells the condition.
func (s *story) ends(q v1alpha1.BackupRequest, reason string) string {
	result := &backupResult{Succeeded: reason == "", Reason: reason}
	if reason != "" {
		result.Error = "blob p1 is what failed"
	}
	return s.concludes(q, result)
}

func (s *story) concludes(q v1alpha1.BackupRequest, result *backupResult) string {
	pass := &policyPass{status: *s.p.Status.DeepCopy()}
	pass.status.Run = &v1alpha1.BackupRun{BackupRequest: q, StartedAt: metav1.NewTime(s.r.Clock())}
	s.r.conclude(s.p, pass, result)
	judgePolicy(s.p, pass, nil, s.r.Clock())
	s.p.Status = pass.status
	c := meta.FindStatusCondition(s.p.Status.Conditions, v1alpha1.ConditionReady)
	return string(c.Status) + "/" + c.Reason
}

func (s *story) message() string {
	return meta.FindStatusCondition(s.p.Status.Conditions, v1alpha1.ConditionReady).Message
}

const ready, damage = "True/Ready", "False/VerificationFailed"

func verify(percent int32) v1alpha1.BackupRequest {
	return v1alpha1.BackupRequest{ID: "v", Operation: v1alpha1.BackupVerify, Percent: percent}
}

// What was found by reading is cleared by nothing that reads less.
func TestDamageStaysUntilNoLessIsFoundWell(t *testing.T) {
	run, test := v1alpha1.BackupRequest{ID: "r", Operation: v1alpha1.BackupRunNow}, v1alpha1.BackupRequest{ID: "t", Operation: v1alpha1.BackupTestRestore}
	for name, c := range map[string]struct {
		by     v1alpha1.BackupRequest
		reason string
		not    []v1alpha1.BackupRequest
		clears v1alpha1.BackupRequest
	}{
		"everything was read": {verify(100), reasonDamaged, []v1alpha1.BackupRequest{run, verify(0), verify(5), verify(99), test}, verify(100)},
		"a part was read":     {verify(5), reasonDamaged, []v1alpha1.BackupRequest{verify(0), verify(5), run, test}, verify(100)},
		"it was restored":     {test, reasonDamaged, []v1alpha1.BackupRequest{verify(50), test}, verify(100)},
		"it was looked at":    {verify(0), reasonDamaged, []v1alpha1.BackupRequest{run, test}, verify(0)},
		"it came back different": {test, reasonDiffers, []v1alpha1.BackupRequest{
			verify(100), {ID: "o", Operation: v1alpha1.BackupTestRestore, Snapshot: "older"}, {ID: "c", Operation: v1alpha1.BackupTestRestore, From: "offsite"},
		}, test},
		"one volume of several": {verify(100), reasonDamaged, []v1alpha1.BackupRequest{{ID: "x", Operation: v1alpha1.BackupVerify, Percent: 100, Volume: "other"}}, verify(100)},
	} {
		t.Run(name, func(t *testing.T) {
			s := newStory(t)
			s.Expect(s.ends(run, "")).To(Equal(ready))
			s.Expect(s.ends(c.by, c.reason)).To(Equal(damage))
			s.Expect(s.message()).To(ContainSubstring("blob p1 is what failed"))
			s.Expect(damaged(&s.p.Status)).To(BeTrue())
			for _, other := range c.not {
				s.Expect(s.ends(other, "")).To(Equal(damage), "%s %d cleared it", other.Operation, other.Percent)
			}
			s.Expect(s.ends(c.clears, "")).To(Equal(ready), s.message())
			s.Expect(damaged(&s.p.Status)).To(BeFalse())
		})
	}
}

func TestDamageOfACopyIsTheCopys(t *testing.T) {
	s := newStory(t)
	copied := verify(100)
	copied.From = "offsite"
	s.Expect(s.ends(copied, reasonDamaged)).To(Equal(damage))
	s.Expect(s.message()).To(And(HavePrefix("copy offsite: "), ContainSubstring(`"mockup backup verify --percent 100 --from offsite"`)))
	s.Expect(damaged(&s.p.Status)).To(BeFalse(), "the repository is well")
	s.Expect(s.ends(verify(100), "")).To(Equal(damage))
	s.p.Spec.Copies = nil
	s.Expect(s.ends(verify(5), "")).To(Equal(ready), "the copy is no more")
}

// What could not be looked at says nothing of what is kept, and clears nothing.
func TestWhatCouldNotBeLookedAtIsNoDamage(t *testing.T) {
	s := newStory(t)
	s.Expect(s.ends(verify(5), "RepositoryUnavailable")).To(Equal("False/VerificationIncomplete"))
	s.Expect(s.p.Status.Findings).To(BeEmpty())
	s.Expect(s.ends(verify(5), "")).To(Equal(ready))
	s.Expect(s.ends(verify(5), reasonDamaged)).To(Equal(damage))
	s.Expect(s.ends(verify(100), "RepositoryUnavailable")).To(Equal(damage))
	s.Expect(s.ends(verify(100), "")).To(Equal(ready))
}

func TestFindingsAreBounded(t *testing.T) {
	s := newStory(t)
	for i := range 2 * mostFindings {
		for range 2 {
			s.ends(v1alpha1.BackupRequest{ID: "t", Operation: v1alpha1.BackupTestRestore, Snapshot: strings.Repeat("a", i+1)}, reasonDiffers)
		}
	}
	s.Expect(s.p.Status.Findings).To(HaveLen(mostFindings))
}

// The repository of the first run is known by its ID from then on. One that is not there is told apart from one that never was.
func TestTheRepositoryIsKnownAgain(t *testing.T) {
	s := newStory(t)
	run := v1alpha1.BackupRequest{ID: "r", Operation: v1alpha1.BackupRunNow}
	s.Expect(s.ends(run, "RepositoryMissing")).To(Equal("False/RepositoryMissing"))
	s.Expect(s.message()).NotTo(ContainSubstring("begin anew"))
	found := func(id string, well bool) *backupResult {
		line, _ := lastOf(strings.NewReader(`{"result":{"succeeded":true,"repository":{"id":"` + id + `","bytes":1}}}`))
		line.Result.Succeeded = well
		return line.Result
	}
	s.concludes(run, found("0a", false))
	s.Expect(s.p.Status.RepositoryID).To(BeEmpty(), "it is not known to hold anything")
	s.Expect(s.concludes(run, found("0a", true))).To(Equal(ready))
	s.Expect(s.p.Status.RepositoryID).To(Equal("0a"))
	s.concludes(run, found("0b", true))
	s.Expect(s.p.Status.RepositoryID).To(Equal("0a"))
	for _, reason := range []string{"RepositoryMissing", "OtherRepository"} {
		s.Expect(s.ends(run, reason)).To(Equal("False/RepositoryMissing"))
		s.Expect(meta.IsStatusConditionTrue(s.p.Status.Conditions, v1alpha1.ConditionStalled)).To(BeTrue())
		s.Expect(s.message()).To(And(ContainSubstring(reason), ContainSubstring("is its disk mounted?"), ContainSubstring("delete the policy and apply it again")))
	}
	s.Expect(s.ends(verify(5), "RepositoryMissing")).To(Equal("False/RepositoryMissing"))
	s.Expect(s.ends(run, "")).To(Equal(ready))
}
