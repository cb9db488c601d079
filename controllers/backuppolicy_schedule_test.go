package controllers

import (
	"strings"
	"testing"
	"time"

	. "github.com/onsi/gomega"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"mockup.dev/mockup/api/v1alpha1"
	"mockup.dev/mockup/internal/backend"
	"mockup.dev/mockup/manifests"
)

func at(text string) time.Time {
	t, err := time.Parse(time.RFC3339, text)
	if err != nil {
		panic(err)
	}
	return t
}

func scheduled(cron, zone string) *v1alpha1.BackupPolicy {
	return &v1alpha1.BackupPolicy{
		ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "files", CreationTimestamp: metav1.NewTime(at("2026-02-13T12:00:00Z"))},
		Spec:       v1alpha1.BackupPolicySpec{Schedule: &v1alpha1.BackupSchedule{Cron: v1alpha1.Cron(cron), TimeZone: zone}},
	}
}

// began notes that an operation began and ended.
func began(p *v1alpha1.BackupPolicy, operation v1alpha1.BackupOperation, when string) {
	record(p, &p.Status, v1alpha1.BackupOutcome{Operation: operation, StartedAt: metav1.NewTime(at(when)), Succeeded: true})
}

func TestRunsAreDueByTheirTimeZone(t *testing.T) {
	g := NewWithT(t)
	p := scheduled("30 2 * * *", "Europe/Rome")
	for now, want := range map[string]string{
		"2026-02-13T12:00:00Z": "2026-02-14T01:30:00Z",
		"2026-02-14T01:29:59Z": "2026-02-14T01:30:00Z",
	} {
		request, look, err := next(p, at(now))
		g.Expect(err).NotTo(HaveOccurred())
		g.Expect(request).To(BeNil())
		g.Expect(look).To(BeTemporally("==", at(want)), now)
	}
	request, _, err := next(p, at("2026-02-14T01:30:00Z"))
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(request).To(HaveField("Operation", v1alpha1.BackupRunNow))
	g.Expect(request.ID).To(Equal("20260214-013000"))
}

func TestMissedRunsAreMadeUpForOnce(t *testing.T) {
	g := NewWithT(t)
	p := scheduled("0 2 * * *", "")
	now := "2026-02-20T09:00:00Z"
	request, _, err := next(p, at(now))
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(request).NotTo(BeNil())
	began(p, v1alpha1.BackupRunNow, now)
	request, look, err := next(p, at(now))
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(request).To(BeNil())
	g.Expect(look).To(BeTemporally("==", at("2026-02-21T02:00:00Z")))
}

// A clock that was a year ahead for a while leaves runs that began in the future, and maybe a policy: nothing waits for that.
func TestAClockThatWasAheadStopsNothing(t *testing.T) {
	g := NewWithT(t)
	for _, created := range []string{"2026-02-13T12:00:00Z", "2027-02-13T12:00:00Z"} {
		p := scheduled("0 2 * * *", "")
		p.CreationTimestamp = metav1.NewTime(at(created))
		began(p, v1alpha1.BackupRunNow, "2027-02-14T02:00:00Z")
		request, _, err := next(p, at("2026-03-01T09:00:00Z"))
		g.Expect(err).NotTo(HaveOccurred())
		g.Expect(request).To(HaveField("Operation", v1alpha1.BackupRunNow), "created %s", created)
		began(p, v1alpha1.BackupRunNow, "2026-03-01T09:00:00Z")
		request, look, err := next(p, at("2026-03-01T09:00:00Z"))
		g.Expect(err).NotTo(HaveOccurred())
		g.Expect(request).To(BeNil(), "created %s", created)
		g.Expect(look).To(BeTemporally("==", at("2026-03-02T02:00:00Z")))
	}
}

func TestVerificationWaitsForABackup(t *testing.T) {
	g := NewWithT(t)
	p := scheduled("0 2 * * *", "")
	p.Spec.Verification.Sample = &v1alpha1.BackupSample{BackupSchedule: v1alpha1.BackupSchedule{Cron: "0 1 * * *"}}
	p.Spec.Verification.Restore = &v1alpha1.BackupSchedule{Cron: "0 3 * * *"}
	_, look, err := next(p, at("2026-02-14T01:30:00Z"))
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(look).To(BeTemporally("==", at("2026-02-14T02:00:00Z")))
	began(p, v1alpha1.BackupRunNow, "2026-02-14T02:00:00Z")
	request, _, _ := next(p, at("2026-02-14T02:10:00Z"))
	g.Expect(request).To(And(HaveField("Operation", v1alpha1.BackupVerify), HaveField("Percent", int32(5))))
	began(p, v1alpha1.BackupVerify, "2026-02-14T02:10:00Z")
	request, _, _ = next(p, at("2026-02-14T03:00:00Z"))
	g.Expect(request).To(HaveField("Operation", v1alpha1.BackupTestRestore))
}

func TestSuspendedPolicyDoesWhatIsAskedFor(t *testing.T) {
	g := NewWithT(t)
	p := scheduled("0 2 * * *", "")
	p.Spec.Suspend = true
	now := at("2026-03-01T00:00:00Z")
	request, look, err := next(p, now)
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(request).To(BeNil())
	g.Expect(look).To(BeZero())
	p.Annotations = map[string]string{manifests.AnnotationBackupRequest: "please"}
	request, _, err = next(p, now)
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(request).To(HaveField("Operation", v1alpha1.BackupRunNow))
	p.Status.HandledRequest = "please"
	request, _, _ = next(p, now)
	g.Expect(request).To(BeNil())
	p.Annotations[manifests.AnnotationBackupRequest] = `{"id":"r1","operation":"restore","volume":"files","into":"yesterday"}`
	request, _, err = next(p, now)
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(request).To(And(HaveField("ID", "r1"), HaveField("Into", "yesterday")))
	p.Annotations[manifests.AnnotationBackupRequest] = `{"operations":"restore"}`
	_, _, err = next(p, now)
	g.Expect(err).To(MatchError(ContainSubstring(`unknown field "operations"`)))
}

// Short forms are spread, each at a time of its own that never changes.
func TestShortFormsAreSpread(t *testing.T) {
	g := NewWithT(t)
	g.Expect(spread("0 2 * * *", "a")).To(Equal("0 2 * * *"))
	g.Expect(spread("@daily", "default/files run")).To(Equal("15 2 * * *"))
	hours := map[int]int{}
	times := map[string]bool{}
	for i := range 600 {
		name := strings.Repeat("x", i%7) + string(rune('a'+i%26)) + time.Duration(i).String()
		s, err := parseSchedule(&v1alpha1.BackupSchedule{Cron: "@daily"}, name)
		g.Expect(err).NotTo(HaveOccurred())
		first := s.Next(at("2026-02-13T12:00:00Z"))
		hours[first.Hour()]++
		times[first.String()] = true
		for _, short := range []string{"@hourly", "@weekly", "@monthly"} {
			_, err := parseSchedule(&v1alpha1.BackupSchedule{Cron: v1alpha1.Cron(short)}, name)
			g.Expect(err).NotTo(HaveOccurred(), short)
		}
	}
	g.Expect(hours).To(HaveLen(6), "hours from 0 to 5")
	g.Expect(len(times)).To(BeNumerically(">", 200), "of 360 minutes")
}

func TestSchedulesThatAreNone(t *testing.T) {
	for cron, zone := range map[string]string{"0 25 * * *": "", "61 2 * * *": "", "0 2 * * *": "Europe/Nowhere"} {
		_, err := appointments(scheduled(cron, zone), at("2026-02-13T12:00:00Z"))
		NewWithT(t).Expect(err).To(MatchError(ContainSubstring("spec.schedule.cron")), cron)
	}
	none, err := appointments(scheduled("0 2 30 2 *", ""), at("2026-02-13T12:00:00Z"))
	NewWithT(t).Expect(err).NotTo(HaveOccurred())
	NewWithT(t).Expect(none).To(BeEmpty())
}

func TestHistoryIsBounded(t *testing.T) {
	g := NewWithT(t)
	p := scheduled("0 2 * * *", "")
	p.Spec.HistoryLimit = 3
	for range 5 {
		began(p, v1alpha1.BackupRunNow, "2026-02-14T02:00:00Z")
		began(p, v1alpha1.BackupVerify, "2026-02-14T03:00:00Z")
	}
	g.Expect(p.Status.History).To(HaveLen(3))
	g.Expect(p.Status.Last).To(HaveLen(2))
	g.Expect(p.Status.LastVerified).To(BeNil(), "nothing was read")
}

func TestOneRepositoryIsTakenByOne(t *testing.T) {
	g := NewWithT(t)
	a, b := key("a"), key("b")
	taken := newTaken()
	_, ok := taken.take("host /srv", a, false)
	g.Expect(ok).To(BeTrue())
	_, ok = taken.take("host /srv", a, false)
	g.Expect(ok).To(BeTrue())
	by, ok := taken.take("host /srv", b, false)
	g.Expect(ok).To(BeFalse())
	g.Expect(by).To(Equal(a))
	taken.release(a)
	_, ok = taken.take("host /srv", b, false)
	g.Expect(ok).To(BeTrue())
}

func TestAVolumeIsReadByManyOrWrittenByOne(t *testing.T) {
	g := NewWithT(t)
	a, b, c := key("a"), key("b"), key("c")
	taken := newTaken()
	may := func(policy types.NamespacedName, shared bool) bool {
		_, ok := taken.take("volume", policy, shared)
		return ok
	}
	g.Expect([]bool{may(a, true), may(b, true), may(c, false)}).To(Equal([]bool{true, true, false}))
	taken.release(a)
	g.Expect(may(c, false)).To(BeFalse())
	taken.release(b)
	g.Expect([]bool{may(c, false), may(a, true)}).To(Equal([]bool{true, false}))
}

func TestLastLineOfALog(t *testing.T) {
	g := NewWithT(t)
	long := strings.Repeat(`{"id":"x","volume":"v","time":"2026-02-14T02:00:00Z"},`, 5000)
	line, _ := lastOf(strings.NewReader("noise\n" + `{"progress":{"phase":"backup","files":1,"bytes":2}}` + "\n" + `{"result":{"succeeded":true,"snapshots":[` + strings.TrimSuffix(long, ",") + `]}}` + "\nmockup-backup: more noise"))
	g.Expect(line.Progress.Files).To(BeEquivalentTo(1))
	g.Expect(line.Result.Succeeded).To(BeTrue())
	g.Expect(*line.Result.Snapshots).To(HaveLen(5000))
}

func TestNumbersOfBytesForPeople(t *testing.T) {
	for n, want := range map[int64]string{0: "0", 1023: "1023", 1024: "1.0Ki", 358 << 20: "358Mi", 5 << 40: "5.0Ti"} {
		NewWithT(t).Expect(human(n)).To(Equal(want))
	}
}

func key(name string) types.NamespacedName {
	return types.NamespacedName{Namespace: "default", Name: name}
}

func TestResultsAreTakenOver(t *testing.T) {
	g := NewWithT(t)
	r := &PolicyReconciler{base: base{Options: Options{Clock: func() time.Time { return at("2026-02-14T02:01:00Z") }}}}
	concludes := func(p *v1alpha1.BackupPolicy, q v1alpha1.BackupRequest, text string) {
		line, _ := lastOf(strings.NewReader(text))
		pass := &policyPass{status: p.Status}
		pass.status.Run = &v1alpha1.BackupRun{BackupRequest: q, StartedAt: metav1.NewTime(at("2026-02-14T02:00:00Z"))}
		r.conclude(p, pass, line.Result)
		g.Expect(pass.status.Run).To(BeNil())
		judgePolicy(p, pass, nil, at("2026-02-14T02:01:00Z"))
		p.Status = pass.status
	}
	ready := func(p *v1alpha1.BackupPolicy) string {
		c := meta.FindStatusCondition(p.Status.Conditions, v1alpha1.ConditionReady)
		return string(c.Status) + "/" + c.Reason
	}
	p := scheduled("0 2 * * *", "")
	one := func(text string) string { return strings.ReplaceAll(strings.ReplaceAll(text, "\n", ""), "\t", "") }
	concludes(p, v1alpha1.BackupRequest{ID: "a", Operation: v1alpha1.BackupRunNow}, one(`{"result":{"succeeded":true,
		"made":[{"id":"s2","files":10,"bytes":2048,"newBytes":1024}],
		"snapshots":[{"id":"s1","volume":"v","time":"2026-02-13T02:00:00Z","files":9,"bytes":3072},{"id":"s2","volume":"v","time":"2026-02-14T02:00:00Z","files":10,"bytes":1024,"kept":["latest"]}],
		"repository":{"bytes":2048,"free":99},"verification":{"mode":"quick","files":10,"bytes":2048}}}`))
	g.Expect(p.Status.History[0].Message).To(Equal("backed up 10 files of 2.0Ki, 1.0Ki of it new"))
	g.Expect(p.Status.Snapshots).To(BeEquivalentTo(2))
	g.Expect(p.Status.List[0].ID).To(Equal("s2"), "newest first")
	g.Expect(p.Status.Ratio).To(Equal("2.0"))
	g.Expect(p.Status.LastVerified).To(BeNil())
	g.Expect(ready(p)).To(Equal("True/Ready"))
	g.Expect(p.Status.NextRun.Time).To(BeTemporally("==", at("2026-02-15T02:00:00Z")))

	concludes(p, v1alpha1.BackupRequest{ID: "b", Operation: v1alpha1.BackupVerify, Percent: 100},
		`{"result":{"succeeded":false,"reason":"RepositoryDamaged","error":"blob p1 is missing","verification":{"files":10,"filesRead":9,"bytes":10,"bytesRead":9}}}`)
	g.Expect(ready(p)).To(Equal("False/VerificationFailed"))
	g.Expect(p.Status.List).To(HaveLen(2), "the list was forgotten")
	concludes(p, v1alpha1.BackupRequest{ID: "c", Operation: v1alpha1.BackupVerify, Percent: 100, From: "offsite"},
		`{"result":{"succeeded":true,"snapshots":[],"repository":{"bytes":1},"verification":{"files":10,"filesRead":10,"bytes":10,"bytesRead":10}}}`)
	g.Expect(p.Status.Snapshots).To(BeEquivalentTo(2), "a copy was taken for the repository")
	g.Expect(ready(p)).To(Equal("False/VerificationFailed"), "a copy that is well mends no repository")
	concludes(p, v1alpha1.BackupRequest{ID: "d", Operation: v1alpha1.BackupVerify, Percent: 100},
		`{"result":{"succeeded":true,"verification":{"files":10,"filesRead":10,"bytes":10,"bytesRead":10}}}`)
	g.Expect(ready(p)).To(Equal("True/Ready"))
	g.Expect(p.Status.LastVerified).NotTo(BeNil())
	concludes(p, v1alpha1.BackupRequest{ID: "e", Operation: v1alpha1.BackupRunNow},
		`{"result":{"succeeded":false,"reason":"RepositoryFull","error":"no space left on device"}}`)
	g.Expect(ready(p)).To(Equal("False/BackupFailed"))
	concludes(p, v1alpha1.BackupRequest{ID: "f", Operation: v1alpha1.BackupRestore, Volume: "v", Into: "x"},
		`{"result":{"succeeded":true,"restored":[{"files":3,"bytes":30}]}}`)
	g.Expect(p.Status.History[0]).To(And(HaveField("Volume", "files-x"), HaveField("Message", ContainSubstring("restored 3 files"))))
}

// A Job that can't be started is given up soon, one that runs only beyond its deadline.
func TestJobsAreGivenUp(t *testing.T) {
	g := NewWithT(t)
	began := at("2026-02-14T02:00:00Z")
	after := func(phase backend.Phase, d time.Duration) bool {
		return hopeless(backend.State{Phase: phase, Reason: backend.ReasonStartFailed}, began, time.Hour, began.Add(d))
	}
	g.Expect(after(backend.Failed, 4*time.Minute)).To(BeFalse())
	g.Expect(after(backend.Failed, 6*time.Minute)).To(BeTrue())
	g.Expect(after(backend.Progressing, 59*time.Minute)).To(BeFalse())
	g.Expect(after(backend.Pending, 64*time.Minute)).To(BeFalse())
	g.Expect(after(backend.Progressing, 66*time.Minute)).To(BeTrue())

	p := scheduled("0 2 * * *", "")
	pass := &policyPass{trouble: "StartFailed: statfs /srv/backups: no such file or directory"}
	pass.status.Run = &v1alpha1.BackupRun{BackupRequest: v1alpha1.BackupRequest{Operation: v1alpha1.BackupRunNow}}
	judgePolicy(p, pass, nil, began)
	c := meta.FindStatusCondition(pass.status.Conditions, v1alpha1.ConditionReady)
	g.Expect(c).To(And(HaveField("Reason", v1alpha1.ReasonBackupFailed), HaveField("Message", ContainSubstring("/srv/backups"))))
}
