package controllers

import (
	"fmt"
	"testing"
	"time"

	. "github.com/onsi/gomega"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"mockup.dev/mockup/api/v1alpha1"
	"mockup.dev/mockup/internal/backend"
)

func bucketAt(endpoint, prefix string) *v1alpha1.S3Bucket {
	return &v1alpha1.S3Bucket{Endpoint: endpoint, Bucket: "backups", Prefix: prefix}
}

// placed is a policy of volume files of a stack.
func placed(namespace, name, stack string, repository v1alpha1.BackupRepository, copies ...v1alpha1.BackupCopy) *v1alpha1.BackupPolicy {
	return &v1alpha1.BackupPolicy{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name},
		Spec: v1alpha1.BackupPolicySpec{
			StackRef: v1alpha1.StackRef{Name: stack}, Volumes: []v1alpha1.VolumeName{"files"}, Repository: repository, Copies: copies,
		},
	}
}

func TestPoliciesThatComeInEachOthersWay(t *testing.T) {
	g := NewWithT(t)
	in := func(s *v1alpha1.S3Bucket) v1alpha1.BackupRepository { return v1alpha1.BackupRepository{S3: s} }
	first := placed("default", "first", "mockup", in(bucketAt("https://s3.example.com", "a/")), v1alpha1.BackupCopy{Name: "disk", HostPath: "/srv/copies"})
	for want, other := range map[string]*v1alpha1.BackupPolicy{
		"spec.repository backs up volume files of the same stack to the same repository": placed("default", "second", "mockup", in(bucketAt("https://S3.example.com:443/", "a/"))),
		"spec.repository has its copy disk there":                                        placed("a", "third", "other", v1alpha1.BackupRepository{HostPath: "/srv/copies"}),
		"spec.copies[1] has its repository there": placed("a", "fourth", "other", v1alpha1.BackupRepository{HostPath: "/srv/a"},
			v1alpha1.BackupCopy{Name: "x", HostPath: "/srv/b"}, v1alpha1.BackupCopy{Name: "y", S3: bucketAt("https://s3.example.com/", "a/")}),
	} {
		field, how := clash(other, first)
		g.Expect(field + " " + how).To(Equal(want))
	}
	for _, well := range []*v1alpha1.BackupPolicy{
		placed("default", "second", "other", in(bucketAt("https://s3.example.com", "a/"))),
		placed("a", "second", "mockup", in(bucketAt("https://s3.example.com", "a/"))),
		placed("default", "second", "mockup", in(bucketAt("https://s3.example.com", "b/"))),
		placed("default", "second", "mockup", in(bucketAt("https://s3.example.com:9000", "a/"))),
		placed("default", "second", "mockup", v1alpha1.BackupRepository{}),
	} {
		_, how := clash(well, first)
		g.Expect(how).To(BeEmpty(), "%+v", well.Spec)
	}
	same := first.DeepCopy()
	same.Spec.Volumes = []v1alpha1.VolumeName{"others"}
	_, how := clash(same, first)
	g.Expect(how).To(BeEmpty(), "snapshots of another volume")
}

// What an adopting stack backs up is the volume of another one.
func TestAVolumeIsReadUnderAnyName(t *testing.T) {
	g := NewWithT(t)
	p := placed("b", "files", "borrower", v1alpha1.BackupRepository{})
	p.Status.Run = &v1alpha1.BackupRun{BackupRequest: v1alpha1.BackupRequest{Operation: v1alpha1.BackupRunNow}}
	borrower := v1alpha1.MockupStack{ObjectMeta: metav1.ObjectMeta{Namespace: "b", Name: "borrower"}}
	borrower.Spec.Volumes = []v1alpha1.Volume{{Name: "files", Existing: "a-lender-store"}}
	g.Expect(reads(p, []v1alpha1.MockupStack{borrower}, "a-lender-store", true)).To(BeTrue())
	g.Expect(reads(p, []v1alpha1.MockupStack{borrower}, "b-borrower-files", true)).To(BeFalse())
	p.Status.Run.Operation = v1alpha1.BackupVerify
	g.Expect(reads(p, []v1alpha1.MockupStack{borrower}, "a-lender-store", true)).To(BeFalse())
}

// While a run goes on, the next one is that after it, whether or not it takes longer than an alert waits.
func TestARunThatGoesOnIsNotMissed(t *testing.T) {
	g := NewWithT(t)
	p := scheduled("0 2 * * *", "")
	began(p, v1alpha1.BackupRunNow, "2026-02-14T02:00:00Z")
	pass := &policyPass{status: p.Status}
	pass.status.Run = &v1alpha1.BackupRun{BackupRequest: v1alpha1.BackupRequest{Operation: v1alpha1.BackupRunNow}, StartedAt: metav1.NewTime(at("2026-02-15T02:00:01Z"))}
	judgePolicy(p, pass, nil, at("2026-02-15T05:00:00Z"))
	g.Expect(pass.status.NextRun.Time).To(BeTemporally("==", at("2026-02-16T02:00:00Z")))
	pass.status.Run.Operation = v1alpha1.BackupVerify
	judgePolicy(p, pass, nil, at("2026-02-15T05:00:00Z"))
	g.Expect(pass.status.NextRun.Time).To(BeTemporally("==", at("2026-02-15T02:00:00Z")), "it waits for something else")
}

// The repository is sampled each time, its copies in turn.
func TestCopiesAreSampledInTurn(t *testing.T) {
	g := NewWithT(t)
	p := scheduled("0 2 31 12 *", "")
	p.Spec.Verification.Sample = &v1alpha1.BackupSample{BackupSchedule: v1alpha1.BackupSchedule{Cron: "0 3 * * *"}, Percent: 7}
	p.Spec.Copies = []v1alpha1.BackupCopy{{Name: "one"}, {Name: "two"}}
	began(p, v1alpha1.BackupRunNow, "2026-02-13T12:00:00Z")
	var looked []string
	for day := 14; day < 18; day++ {
		now := at(fmt.Sprintf("2026-02-%dT03:00:00Z", day))
		for {
			request, _, err := next(p, now)
			g.Expect(err).NotTo(HaveOccurred())
			if request == nil {
				break
			}
			g.Expect(request).To(And(HaveField("Operation", v1alpha1.BackupVerify), HaveField("Percent", int32(7))))
			looked = append(looked, request.From)
			record(p, &p.Status, v1alpha1.BackupOutcome{Operation: request.Operation, From: request.From, StartedAt: metav1.NewTime(now)})
			now = now.Add(time.Minute)
		}
	}
	g.Expect(looked).To(Equal([]string{"", "one", "", "two", "", "one", "", "two"}))
}

func TestNewestSnapshotsOfEachVolumeAreListed(t *testing.T) {
	g := NewWithT(t)
	var all []snapshotResult
	for _, v := range []struct {
		name string
		n    int
	}{{"a", 300}, {"b", 300}, {"c", 10}} {
		for i := range v.n { // oldest first, as the program lists them
			all = append(all, snapshotResult{ID: fmt.Sprint(v.name, i), Volume: v.name, Time: at("2026-02-14T02:00:00Z").Add(time.Duration(i) * time.Hour)})
		}
	}
	listed := newestOfEach(all, 200)
	count := map[string]int{}
	for i, s := range listed {
		count[s.Volume]++
		g.Expect(i == 0 || !s.Time.After(listed[i-1].Time)).To(BeTrue(), "%s is newer than the one before", s.ID)
	}
	g.Expect(count).To(Equal(map[string]int{"a": 95, "b": 95, "c": 10}))
	g.Expect([]string{listed[0].ID, listed[1].ID}).To(ConsistOf("a299", "b299"))
	g.Expect(newestOfEach(all[:5], 200)).To(HaveLen(5))
	g.Expect(newestOfEach(nil, 200)).To(BeEmpty())
}

// A program that is ended says that it was, and nothing of why.
func TestADeadlineIsCalledSo(t *testing.T) {
	g := NewWithT(t)
	late := backend.State{Phase: backend.Failed, Reason: backend.ReasonJobDeadline}
	said := &backupResult{Reason: "Failed", Error: "context canceled"}
	g.Expect(explained(said, late, time.Hour)).To(And(HaveField("Reason", "DeadlineExceeded"), HaveField("Error", "it was ended at its deadline of 1h0m0s (context canceled)")))
	g.Expect(explained(said, backend.State{Phase: backend.Failed, Reason: backend.ReasonBackoffLimit}, time.Hour)).To(Equal(said))
	found := &backupResult{Reason: reasonDamaged, Error: "blob p1 is missing"}
	g.Expect(explained(found, late, time.Hour)).To(Equal(found), "what was found counts")
	well := &backupResult{Succeeded: true}
	g.Expect(explained(well, late, time.Hour)).To(Equal(well))
	g.Expect(explained(nil, late, time.Hour)).To(BeNil())
}
