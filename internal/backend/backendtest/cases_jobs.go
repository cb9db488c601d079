package backendtest

import (
	"fmt"
	"time"

	. "github.com/onsi/gomega" //nolint:staticcheck // matchers read best without a qualifier
	batchv1 "k8s.io/api/batch/v1"

	"mockup.dev/mockup/internal/backend"
	"mockup.dev/mockup/manifests"
)

var jobCases = []Case{{ //nolint:gochecknoglobals // a table that nothing writes to
	Name:    "a Job that is done is not run again, not by a restarted backend either",
	Without: needsJobRules,
	run: func(e *env) {
		e.finishes(nil, []string{"exit", "0"}, 1, backend.Succeeded, "")
	},
}, {
	Name:    "a Job is tried again as often as its backoffLimit allows",
	Without: needsJobRules,
	run: func(e *env) {
		limit := func(j *batchv1.Job) { j.Spec.BackoffLimit = new(int32(1)) }
		state := e.finishes(limit, []string{"exit", "3"}, 2, backend.Failed, backend.ReasonBackoffLimit)
		e.Expect(state.ExitCode).To(HaveValue(Equal(int32(3))))
	},
}, {
	Name:    "a Job that takes longer than it may is ended and has failed",
	Without: needsJobRules,
	run: func(e *env) {
		limit := func(j *batchv1.Job) { j.Spec.ActiveDeadlineSeconds = new(int64(3)) }
		start := time.Now()
		state := e.finishes(limit, []string{"serve"}, 1, backend.Failed, backend.ReasonJobDeadline)
		if early := time.Since(start); early < e.lasting(3*time.Second) {
			e.Fatalf("ended after %s, before its time", early)
		}
		e.eventually(func() error {
			if running := e.readyPods(state.Ref); len(running) > 0 {
				return fmt.Errorf("pod %s still runs", running[0].Name)
			}
			return nil
		})
	},
}, {
	Name:    "the pods of a Job that is done are gone after its ttlSecondsAfterFinished, and its end is still known",
	Without: needsJobRules,
	run: func(e *env) {
		limit := func(j *batchv1.Job) { j.Spec.TTLSecondsAfterFinished = new(int32(1)) }
		e.finishes(limit, []string{"exit", "0"}, 1, backend.Succeeded, "", func(ref manifests.Ref) error { return e.gone(ref) })
	},
}}

func needsJobRules(h Harness) string {
	return lacks(h.Can.JobRules, "the rules of Jobs are not the work of this backend")
}

// finishes runs a Job that notes each of its starts and then does what args say. It expects that end after so many starts,
// also from a second instance of the backend, and nothing more however long one looks.
func (e *env) finishes(change func(*batchv1.Job), args []string, starts int, phase backend.Phase, reason string, also ...func(manifests.Ref) error) backend.State {
	e.Helper()
	claim, reader := e.log()
	job := e.job("migrate", append([]string{"append", "/log/starts", "start", "then"}, args...)...)
	mountIn(&job.Spec.Template.Spec, claim.Name, "/log", claimed(claim))
	if change != nil {
		change(job)
	}
	set, ref := e.set(claim, reader, job), manifests.RefOf(job)
	ended := func(o backend.Observation) error {
		state, _ := o.Find(ref)
		if state.Phase != phase || reason != "" && state.Reason != reason {
			return fmt.Errorf("%s is %s %s: %s", ref, state.Phase, state.Reason, state.Message)
		}
		return nil
	}
	e.settle(set, func(o backend.Observation) error {
		if state, _ := o.Find(manifests.RefOf(reader)); state.Phase != backend.Ready {
			return fmt.Errorf("%s is %s", reader.Name, state.Phase)
		}
		if err := ended(o); err != nil {
			return err
		}
		for _, check := range also {
			if err := check(ref); err != nil {
				return err
			}
		}
		return nil
	})
	looks := func() {
		e.lookFor(2*time.Second, func() { e.Expect(ended(e.apply(set))).To(Succeed()) })
		e.Expect(e.lines(reader, "/log/starts")).To(HaveLen(starts), "the program was not started as often as it should be")
	}
	looks()
	e.b = e.world.Another(e.T)
	looks()
	state, _ := e.apply(set).Find(ref)
	return state
}
