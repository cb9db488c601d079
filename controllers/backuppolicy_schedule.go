package controllers

import (
	"cmp"
	"encoding/json"
	"fmt"
	"hash/fnv"
	"slices"
	"strings"
	"time"
	_ "time/tzdata" // not every machine, and no small image, has time zones

	"github.com/robfig/cron/v3"

	"mockup.dev/mockup/api/v1alpha1"
	"mockup.dev/mockup/manifests"
)

// defaultSamplePercent of the files that a sample reads.
const defaultSamplePercent = 5

// appointment is an operation with the time when it is due.
type appointment struct {
	request v1alpha1.BackupRequest
	at      time.Time
}

// appointments of a policy by its schedules, the earliest first; those that are past are due. A time that was missed, or
// several, is one appointment. It is pure.
func appointments(p *v1alpha1.BackupPolicy, now time.Time) ([]appointment, error) {
	var out []appointment
	add := func(field string, s *v1alpha1.BackupSchedule, request v1alpha1.BackupRequest) error {
		if s == nil {
			return nil
		}
		schedule, err := parseSchedule(s, p.Namespace+"/"+p.Name+" "+string(request.Operation))
		if err != nil {
			return &manifests.InvalidError{Field: field, Value: string(s.Cron), Reason: err.Error()}
		}
		if at := schedule.Next(lastStart(p, &request, now)); !at.IsZero() { // the 30th of February never comes
			out = append(out, appointment{request, at})
		}
		return nil
	}
	spec := &p.Spec
	if err := add("spec.schedule.cron", spec.Schedule, v1alpha1.BackupRequest{Operation: v1alpha1.BackupRunNow}); err != nil {
		return nil, err
	}
	if s := spec.Verification.Sample; s != nil {
		request := v1alpha1.BackupRequest{Operation: v1alpha1.BackupVerify, Percent: cmp.Or(s.Percent, defaultSamplePercent)}
		if err := add("spec.verification.sample.cron", &s.BackupSchedule, request); err != nil {
			return nil, err
		}
		if request.From = leastVerified(p); request.From != "" {
			if err := add("spec.verification.sample.cron", &s.BackupSchedule, request); err != nil {
				return nil, err
			}
		}
	}
	if err := add("spec.verification.restore.cron", spec.Verification.Restore, v1alpha1.BackupRequest{Operation: v1alpha1.BackupTestRestore}); err != nil {
		return nil, err
	}
	slices.SortStableFunc(out, func(a, b appointment) int { return a.at.Compare(b.at) })
	return out, nil
}

// clockSkew is how far in the future something may have begun without being taken for the work of a clock that was wrong.
const clockSkew = time.Hour

// lastStart of an operation, which may be what goes on, or that of the policy itself. Copies take turns. One of the future is not
// waited for: what is due is done at once.
func lastStart(p *v1alpha1.BackupPolicy, request *v1alpha1.BackupRequest, now time.Time) time.Time {
	at := p.CreationTimestamp.Time
	began := func(operation v1alpha1.BackupOperation, from string, start time.Time) {
		same := operation == request.Operation && (from == "") == (request.From == "")
		if same && !start.After(now.Add(clockSkew)) && (start.After(at) || at.After(now.Add(clockSkew))) {
			at = start
		}
	}
	for _, o := range p.Status.Last {
		began(o.Operation, o.From, o.StartedAt.Time)
	}
	if run := p.Status.Run; run != nil {
		began(run.Operation, run.From, run.StartedAt.Time)
	}
	if at.After(now.Add(clockSkew)) {
		return time.Time{}
	}
	return at
}

// leastVerified is the copy that was not looked at for the longest time; empty if there are none.
func leastVerified(p *v1alpha1.BackupPolicy) string {
	looked := map[string]time.Time{}
	for _, o := range p.Status.Last {
		if o.Operation == v1alpha1.BackupVerify {
			looked[o.From] = o.StartedAt.Time
		}
	}
	if len(p.Spec.Copies) == 0 {
		return ""
	}
	return slices.MinFunc(p.Spec.Copies, func(a, b v1alpha1.BackupCopy) int { return looked[a.Name].Compare(looked[b.Name]) }).Name
}

// parseSchedule reads cron and its time zone; name spreads what is short for a time of day.
func parseSchedule(s *v1alpha1.BackupSchedule, name string) (cron.Schedule, error) {
	zone, err := time.LoadLocation(s.TimeZone)
	if err != nil {
		return nil, fmt.Errorf("has the unknown time zone %q", s.TimeZone)
	}
	schedule, err := cron.ParseStandard(spread(string(s.Cron), name))
	if err != nil {
		return nil, fmt.Errorf("is no schedule: %s", strings.TrimPrefix(err.Error(), "failed to "))
	}
	if spec, ok := schedule.(*cron.SpecSchedule); ok {
		spec.Location = zone
	}
	return schedule, nil
}

// spread gives each name a minute of its own for what is short for a time of day, always the same: in the hour, or at night
// from 0:00 to 5:59; for a week also a day, for a month one of the first 28.
func spread(text, name string) string {
	h := fnv.New64a()
	h.Write([]byte(name))
	n := h.Sum64()
	minute, hour, day, date := n%60, n/60%6, n/360%7, n/2520%28+1
	switch text {
	case "@hourly":
		return fmt.Sprintf("%d * * * *", minute)
	case "@daily":
		return fmt.Sprintf("%d %d * * *", minute, hour)
	case "@weekly":
		return fmt.Sprintf("%d %d * * %d", minute, hour, day)
	case "@monthly":
		return fmt.Sprintf("%d %d %d * *", minute, hour, date)
	}
	return text
}

// next is what is to be done now, nil if nothing is, and when to look again. What somebody asks for comes first. What is kept
// is verified only when something is.
func next(p *v1alpha1.BackupPolicy, now time.Time) (*v1alpha1.BackupRequest, time.Time, error) {
	if text := p.Annotations[manifests.AnnotationBackupRequest]; text != "" && text != p.Status.HandledRequest {
		request, err := parseRequest(text, now)
		return request, now, err
	}
	if p.Spec.Suspend {
		return nil, time.Time{}, nil
	}
	all, err := appointments(p, now)
	if err != nil {
		return nil, time.Time{}, err
	}
	for _, a := range all {
		if a.request.Operation != v1alpha1.BackupRunNow && p.Status.LastSuccess == nil {
			continue
		}
		if a.at.After(now) {
			return nil, a.at, nil
		}
		request := a.request
		request.ID = requestID(now)
		return &request, now, nil
	}
	return nil, time.Time{}, nil
}

// requestID is the time, to the second.
func requestID(now time.Time) string { return now.UTC().Format("20060102-150405") }

// parseRequest reads an annotation: a request as JSON, or any other text, which asks for a run.
func parseRequest(text string, now time.Time) (*v1alpha1.BackupRequest, error) {
	request := &v1alpha1.BackupRequest{ID: requestID(now), Operation: v1alpha1.BackupRunNow}
	if strings.HasPrefix(text, "{") {
		d := json.NewDecoder(strings.NewReader(text))
		d.DisallowUnknownFields()
		if err := d.Decode(request); err != nil {
			return nil, &manifests.InvalidError{Field: "metadata.annotations[" + manifests.AnnotationBackupRequest + "]", Reason: "is no request: " + err.Error()}
		}
	}
	return request, nil
}
