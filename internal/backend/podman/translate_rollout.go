package podman

import (
	"fmt"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// Defaults of Kubernetes (pkg/apis/apps/v1/defaults.go, pkg/apis/batch/v1/defaults.go).
const (
	defaultProgressDeadline = 600 * time.Second
	defaultBackoffLimit     = 6
)

// rollout says how the pods of a workload are replaced, in the terms of a Deployment.
type rollout struct {
	// recreate has all old pods gone before a new one comes, and why.
	recreate bool
	why      string
	// surge and unavailable are how many pods more, and how many available ones fewer, than wanted there may be.
	surge, unavailable int
	// minReady is how long a pod must have been ready to count as available.
	minReady time.Duration
	// deadline is how long it may go without progress; 0 for ever.
	deadline time.Duration
	// path of the field that says all this.
	path string
}

func deploymentRollout(spec *appsv1.DeploymentSpec, replicas int) rollout {
	r := rollout{
		recreate: spec.Strategy.Type == appsv1.RecreateDeploymentStrategyType,
		minReady: time.Duration(spec.MinReadySeconds) * time.Second, deadline: defaultProgressDeadline, path: "spec.strategy",
	}
	if r.recreate {
		r.why = "its strategy is Recreate"
	}
	if s := spec.ProgressDeadlineSeconds; s != nil {
		r.deadline = time.Duration(*s) * time.Second
	}
	quarter := intstr.FromString("25%")
	surge, unavailable := &quarter, &quarter
	if u := spec.Strategy.RollingUpdate; u != nil {
		surge, unavailable = orElse(u.MaxSurge, surge), orElse(u.MaxUnavailable, unavailable)
	}
	r.surge, r.unavailable = fenceposts(surge, unavailable, replicas)
	return r
}

// daemonSetRollout: there is one node, so one pod, and by default it goes before the new one comes.
func daemonSetRollout(spec *appsv1.DaemonSetSpec) rollout {
	r := rollout{recreate: true, why: "a DaemonSet has one pod on a node", minReady: time.Duration(spec.MinReadySeconds) * time.Second, path: "spec.updateStrategy"}
	if u := spec.UpdateStrategy.RollingUpdate; u != nil && u.MaxSurge != nil {
		r.surge, _ = fenceposts(u.MaxSurge, u.MaxSurge, 1)
		r.recreate = r.surge == 0
	}
	return r
}

func orElse[T any](v, other *T) *T {
	if v == nil {
		return other
	}
	return v
}

// fenceposts resolves both values; both zero would forbid every change (ResolveFenceposts, deployment_util.go).
func fenceposts(surge, unavailable *intstr.IntOrString, replicas int) (more, fewer int) {
	more, _ = intstr.GetScaledValueFromIntOrPercent(surge, replicas, true) // what the API server let through is in form
	fewer, _ = intstr.GetScaledValueFromIntOrPercent(unavailable, replicas, false)
	if more == 0 && fewer == 0 {
		fewer = 1
	}
	return more, fewer
}

// single says what keeps two pods of a template from running at once; empty if nothing does. A claim that is shared may
// have many writers.
func single(spec *corev1.PodSpec, shared map[string]bool) string {
	if spec.HostNetwork {
		return "the network of the host is not for two pods at once"
	}
	for _, c := range spec.Containers {
		for _, p := range c.Ports {
			if p.HostPort != 0 {
				return fmt.Sprintf("host port %d is not for two pods at once", p.HostPort)
			}
		}
		for _, m := range c.VolumeMounts {
			if claim := claimOf(spec, m.Name); claim != "" && !m.ReadOnly && !shared[claim] {
				return fmt.Sprintf("claim %s, which it writes to, is not for two pods at once", claim)
			}
		}
	}
	return ""
}

// claimOf is the claim behind a volume, if it is for writing.
func claimOf(spec *corev1.PodSpec, volume string) string {
	for _, v := range spec.Volumes {
		if v.Name == volume && v.PersistentVolumeClaim != nil && !v.PersistentVolumeClaim.ReadOnly {
			return v.PersistentVolumeClaim.ClaimName
		}
	}
	return ""
}

// wantedJob says how often and how long a Job may be tried, and how long its pods are kept.
type wantedJob struct {
	backoffLimit int
	// deadline of all tries together; 0 for none.
	deadline time.Duration
	// ttl after the end; negative for ever.
	ttl time.Duration
}

func jobOf(o *batchv1.Job) *wantedJob {
	j := &wantedJob{backoffLimit: defaultBackoffLimit, ttl: -1}
	if l := o.Spec.BackoffLimit; l != nil {
		j.backoffLimit = int(*l)
	}
	if s := o.Spec.ActiveDeadlineSeconds; s != nil {
		j.deadline = time.Duration(*s) * time.Second
	}
	if s := o.Spec.TTLSecondsAfterFinished; s != nil {
		j.ttl = time.Duration(*s) * time.Second
	}
	return j
}
