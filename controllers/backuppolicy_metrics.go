package controllers

import (
	"github.com/prometheus/client_golang/prometheus"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/metrics"

	"mockup.dev/mockup/api/v1alpha1"
)

// policyFigures are what metrics tell of each policy.
type policyFigures struct {
	first, success, next, verified, snapshots, bytes, free, failed, findings *prometheus.GaugeVec
}

// newPolicyFigures are known to the metrics of controller-runtime from their first use; others share them.
func newPolicyFigures() (policyFigures, error) {
	var failed error
	gauge := func(name, help string, labels ...string) *prometheus.GaugeVec {
		g := prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "mockup_backup_" + name, Help: help}, append([]string{"namespace", "stack", "policy"}, labels...))
		err := metrics.Registry.Register(g)
		if already, ok := err.(prometheus.AlreadyRegisteredError); ok { //nolint:errorlint // it comes unwrapped
			if known, ok := already.ExistingCollector.(*prometheus.GaugeVec); ok {
				return known
			}
		}
		if err != nil && failed == nil {
			failed = err
		}
		return g
	}
	return policyFigures{
		first:     gauge("first_success_timestamp_seconds", "When the first backup that succeeded was begun, in seconds since 1970."),
		success:   gauge("last_success_timestamp_seconds", "When the newest backup that succeeded was begun, in seconds since 1970."),
		next:      gauge("next_run_timestamp_seconds", "When the next backup is due, in seconds since 1970; in the past while it has to wait."),
		verified:  gauge("last_verified_timestamp_seconds", "When contents were last read and found well, in seconds since 1970; 0 if never."),
		snapshots: gauge("snapshots", "Snapshots that there are."),
		bytes:     gauge("repository_bytes", "Size of the repository."),
		free:      gauge("repository_free_bytes", "Room that is left where the repository is; absent where nobody knows."),
		findings:  gauge("findings", "Damage and differences that were found, and that no verification of at least the same coverage has cleared."),
		failed:    gauge("failed", "1 if the newest operation of this kind failed, else 0.", "operation"),
	}, failed
}

// note what a status says.
func (f policyFigures) note(p *v1alpha1.BackupPolicy, status *v1alpha1.BackupPolicyStatus) {
	f.forget(types.NamespacedName{Namespace: p.Namespace, Name: p.Name})
	labels := []string{p.Namespace, p.Spec.StackRef.Name, p.Name}
	set := func(g *prometheus.GaugeVec, value float64, more ...string) {
		g.WithLabelValues(append(labels[:3:3], more...)...).Set(value)
	}
	when := func(g *prometheus.GaugeVec, at *metav1.Time) {
		if !at.IsZero() {
			set(g, float64(at.Unix()))
		}
	}
	when(f.first, status.FirstSuccess)
	when(f.success, status.LastSuccess)
	when(f.next, status.NextRun)
	set(f.verified, 0)
	when(f.verified, status.LastVerified)
	set(f.snapshots, float64(status.Snapshots))
	set(f.findings, float64(len(status.Findings)))
	if status.Bytes > 0 {
		set(f.bytes, float64(status.Bytes))
	}
	if status.Free > 0 {
		set(f.free, float64(status.Free))
	}
	failed := map[v1alpha1.BackupOperation]float64{}
	for _, o := range status.Last {
		if !o.Succeeded && !madeUpFor(o, status.Last) {
			failed[o.Operation] = 1
		} else if _, ok := failed[o.Operation]; !ok {
			failed[o.Operation] = 0
		}
	}
	for operation, is := range failed {
		set(f.failed, is, string(operation))
	}
}

// forget a policy that is gone.
func (f policyFigures) forget(policy types.NamespacedName) {
	of := prometheus.Labels{"namespace": policy.Namespace, "policy": policy.Name}
	for _, g := range []*prometheus.GaugeVec{f.first, f.success, f.next, f.verified, f.snapshots, f.bytes, f.free, f.failed, f.findings} {
		g.DeletePartialMatch(of)
	}
}
