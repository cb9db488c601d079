package manifests

import (
	"cmp"
	"slices"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"mockup.dev/mockup/api/v1alpha1"
)

// rollout is how a change of a workload reaches its pods, in the words of a Deployment.
type rollout struct {
	strategy         appsv1.DeploymentStrategy
	minReady         int32 // seconds
	progressDeadline int32 // seconds
}

// recreation stops what runs before it starts what shall run.
func recreation() rollout {
	return rollout{
		strategy:         appsv1.DeploymentStrategy{Type: appsv1.RecreateDeploymentStrategyType},
		progressDeadline: progressDeadlineSeconds,
	}
}

// serviceRollout by default never has fewer pods ready than wanted, unless two at once can't be.
func serviceRollout(s *v1alpha1.Service) rollout {
	out := recreation()
	if !recreated(s) {
		out.strategy = appsv1.DeploymentStrategy{
			Type: appsv1.RollingUpdateDeploymentStrategyType,
			RollingUpdate: &appsv1.RollingUpdateDeployment{
				MaxSurge:       cmp.Or(s.UpdateStrategy.MaxSurge, ptr(intstr.FromInt32(1))),
				MaxUnavailable: cmp.Or(s.UpdateStrategy.MaxUnavailable, ptr(intstr.FromInt32(0))),
			},
		}
	}
	out.minReady, out.progressDeadline = s.MinReadySeconds, progressDeadline(s)
	return out
}

// progressDeadline in seconds.
func progressDeadline(s *v1alpha1.Service) int32 {
	if s.ProgressDeadlineSeconds != nil {
		return *s.ProgressDeadlineSeconds
	}
	return progressDeadlineSeconds
}

// recreated services stop before they start anew: two writers of one volume can't be trusted to agree.
func recreated(s *v1alpha1.Service) bool {
	if s.UpdateStrategy.Type != "" {
		return s.UpdateStrategy.Type == v1alpha1.UpdateRecreate
	}
	return slices.ContainsFunc(s.VolumeMounts, func(m v1alpha1.VolumeMount) bool { return !m.ReadOnly })
}

// grace of a service between the beginning of a pod's end and SIGKILL, in seconds.
func grace(s *v1alpha1.Service) int64 {
	if s.TerminationGracePeriodSeconds != nil {
		return *s.TerminationGracePeriodSeconds
	}
	return terminationGracePeriodSecond
}

// lifecycle of a service's container. On a cluster and on Podman a name is withdrawn first: by default the pods of a
// rolled service wait for those who still hold its address. A recreated one makes its clients wait, and saves the time.
func lifecycle(s *v1alpha1.Service) *corev1.Lifecycle {
	if s.PreStop == nil && !recreated(s) && grace(s) > preStopSeconds {
		return (&v1alpha1.PreStop{SleepSeconds: ptr[int64](preStopSeconds)}).ToCore()
	}
	return s.PreStop.ToCore()
}

// RestartedAt is the newest restart of a component of s that was asked for; empty if none was.
func RestartedAt(s *v1alpha1.MockupStack, component string) string {
	return s.Annotations[AnnotationRestartPrefix+component]
}
