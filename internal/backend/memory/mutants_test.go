package memory_test

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"mockup.dev/mockup/internal/backend"
	"mockup.dev/mockup/internal/backend/backendtest"
	"mockup.dev/mockup/manifests"
)

// applier is how a mutant applies.
type applier = func(*mutated, context.Context, manifests.Set) (backend.Observation, error)

// rewriting applies another set than was asked for.
func rewriting(change func(*mutated, manifests.Object)) applier {
	return func(m *mutated, ctx context.Context, set manifests.Set) (backend.Observation, error) {
		m.mu.Lock()
		m.count++
		m.mu.Unlock()
		set.Objects = slices.Clone(set.Objects)
		for i, o := range set.Objects {
			set.Objects[i] = o.DeepCopyObject().(manifests.Object)
			change(m, set.Objects[i])
		}
		return m.Backend.Apply(ctx, set)
	}
}

func deployments(change func(*appsv1.Deployment)) applier {
	return rewriting(func(_ *mutated, o manifests.Object) {
		if d, is := o.(*appsv1.Deployment); is {
			change(d)
		}
	})
}

func jobs(change func(*batchv1.Job)) applier {
	return rewriting(func(_ *mutated, o manifests.Object) {
		if j, is := o.(*batchv1.Job); is {
			change(j)
		}
	})
}

// annotations of pods lose what begins so.
func withoutAnnotations(prefix string) applier {
	return deployments(func(d *appsv1.Deployment) {
		maps.DeleteFunc(d.Spec.Template.Annotations, func(key, _ string) bool { return strings.HasPrefix(key, prefix) })
	})
}

// deafToFields are mutants that ignore a part of the manifests.
var deafToFields = []mutant{{
	name: "always recreates",
	apply: deployments(func(d *appsv1.Deployment) {
		d.Spec.Strategy = appsv1.DeploymentStrategy{Type: appsv1.RecreateDeploymentStrategyType}
	}),
	found: []string{
		"a roll-out with a surge never has fewer pods ready than wanted, nor more than one more",
		"a roll-out without a surge never has more pods than wanted",
		"a roll-out that fails leaves the old pods serving, says so after its deadline, and goes back or on when told",
		"a workload that is scaled in the middle of a roll-out gets as many new pods as are wanted now",
		"a Service name leads to pods that serve at every moment of a roll-out",
		"a fixed address moves to the new pod, and does not keep it from coming while the old one serves",
	},
}, {
	name: "surges as it likes",
	apply: deployments(func(d *appsv1.Deployment) {
		if u := d.Spec.Strategy.RollingUpdate; u != nil {
			u.MaxSurge = new(intstr.FromString("100%"))
		}
	}),
	found: []string{
		"a roll-out with a surge never has fewer pods ready than wanted, nor more than one more",
		"a roll-out without a surge never has more pods than wanted",
		"shares of the replicas are rounded up for the surge and down for what may be unavailable",
	},
}, {
	name:  "forgets minReadySeconds",
	apply: deployments(func(d *appsv1.Deployment) { d.Spec.MinReadySeconds = 0 }),
	found: []string{"an old pod stays until a new one has been ready for minReadySeconds"},
}, {
	name:  "never gives up",
	apply: deployments(func(d *appsv1.Deployment) { d.Spec.ProgressDeadlineSeconds = nil }),
	found: []string{"a roll-out that fails leaves the old pods serving, says so after its deadline, and goes back or on when told"},
}, {
	name:  "gives up early",
	apply: deployments(func(d *appsv1.Deployment) { d.Spec.ProgressDeadlineSeconds = new(int32(1)) }),
	found: []string{"a roll-out that fails leaves the old pods serving, says so after its deadline, and goes back or on when told"},
}, {
	name: "counts every pod as updated",
	apply: edited(func(o *backend.Observation) {
		for i := range o.Objects {
			o.Objects[i].Updated = o.Objects[i].Desired
		}
	}),
	found: []string{"a roll-out with a surge never has fewer pods ready than wanted, nor more than one more"},
}, {
	name: "lets two pods have what is for one",
	apply: deployments(func(d *appsv1.Deployment) {
		d.Spec.Template.Spec.Containers[0].Ports[0].HostPort = 0
		for i := range d.Spec.Template.Spec.Volumes {
			d.Spec.Template.Spec.Volumes[i].VolumeSource = corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{}}
		}
	}),
	found: []string{
		"a claim mounted for writing never has two pods, and the refusal of the strategy names it",
		"a host port never has two pods, and the refusal of the strategy names it",
	},
}, {
	name: "holds nothing back",
	apply: func(m *mutated, ctx context.Context, set manifests.Set) (backend.Observation, error) {
		m.world.Second(time.Microsecond)
		return m.Backend.Apply(ctx, set)
	},
	found: []string{
		"a program that ends again and again is held back, says so, and runs at once when it is mended",
		"a preStop of sleep keeps the program from being asked to stop for that long",
	},
}, {
	name: "runs Jobs again",
	apply: rewriting(func(m *mutated, o manifests.Object) {
		if j, is := o.(*batchv1.Job); is {
			j.Spec.Template.Annotations = map[string]string{"count": fmt.Sprint(m.count)}
		}
	}),
	found: []string{
		"a Job that is done is not run again, not by a restarted backend either",
		"the pods of a Job that is done are gone after its ttlSecondsAfterFinished, and its end is still known",
	},
}, {
	name:  "tries Jobs without end",
	apply: jobs(func(j *batchv1.Job) { j.Spec.BackoffLimit = new(int32(100)) }),
	found: []string{"a Job is tried again as often as its backoffLimit allows"},
}, {
	name:  "tries Jobs only once",
	apply: jobs(func(j *batchv1.Job) { j.Spec.BackoffLimit = new(int32(0)) }),
	found: []string{"a Job is tried again as often as its backoffLimit allows"},
}, {
	name:  "gives Jobs all the time they want, and keeps them",
	apply: jobs(func(j *batchv1.Job) { j.Spec.ActiveDeadlineSeconds, j.Spec.TTLSecondsAfterFinished = nil, nil }),
	found: []string{
		"a Job that takes longer than it may is ended and has failed",
		"the pods of a Job that is done are gone after its ttlSecondsAfterFinished, and its end is still known",
	},
}, {
	name:  "skips init containers",
	apply: deployments(func(d *appsv1.Deployment) { d.Spec.Template.Spec.InitContainers = nil }),
	found: []string{
		"init containers run one after the other before the main one",
		"an init container that fails is named, and the main one waits for it",
		"a sidecar runs beside the main container and keeps nobody waiting",
	},
}, {
	name: "does not say which container failed",
	apply: edited(func(o *backend.Observation) {
		for i := range o.Objects {
			o.Objects[i].Message = ""
		}
	}),
	found: []string{"an init container that fails is named, and the main one waits for it"},
}, {
	name:  "ends pods without their hooks",
	apply: deployments(func(d *appsv1.Deployment) { d.Spec.Template.Spec.Containers[0].Lifecycle = nil }),
	found: []string{
		"a preStop command runs to its end before the program is asked to stop",
		"a preStop of sleep keeps the program from being asked to stop for that long",
		"a preStop that takes longer than the grace does not keep the pod",
	},
}, {
	name:  "waits for hooks for ever",
	apply: deployments(func(d *appsv1.Deployment) { d.Spec.Template.Spec.TerminationGracePeriodSeconds = new(int64(3600)) }),
	found: []string{"a preStop that takes longer than the grace does not keep the pod"},
}, {
	name:  "replaces pods for configuration",
	apply: withoutAnnotations(manifests.AnnotationReload),
	found: []string{
		"configuration that a program can reload reaches it without a new pod",
		"a Secret that a program can reload reaches it without a new pod",
	},
}, {
	name:  "does not test configuration",
	apply: withoutAnnotations(manifests.AnnotationReloadTest),
	found: []string{"configuration that its program refuses never reaches it, and says so until it is good again"},
}, {
	name:  "ignores changed configuration",
	apply: withoutAnnotations(manifests.AnnotationConfigPrefix),
	found: []string{
		"configuration that a program can reload reaches it without a new pod",
		"keys that a reloadable configuration gains or loses come and go, with a new pod or without",
	},
}, {
	name: "reloads at every look",
	apply: rewriting(func(m *mutated, o manifests.Object) {
		if d, is := o.(*appsv1.Deployment); is && d.Spec.Template.Annotations[manifests.AnnotationReload] != "" {
			d.Spec.Template.Annotations[manifests.ConfigAnnotation("count")] = fmt.Sprint(m.count)
		}
	}),
	found: []string{"a restarted backend reloads nothing anew"},
}, {
	name:  "grants no fixed address",
	apply: withoutAnnotations(manifests.AnnotationIPPrefix),
	found: []string{
		"a fixed address moves to the new pod, and does not keep it from coming while the old one serves",
		"a pod is mended after its fixed address was taken away",
	},
}, {
	name: "plays every workload once",
	apply: func(m *mutated, ctx context.Context, set manifests.Set) (backend.Observation, error) {
		m.mu.Lock()
		defer m.mu.Unlock()
		if m.count++; m.count > 3 && !set.Remove && len(m.world.Pods(set.Owner)) == 0 {
			return backend.Observation{}, nil
		}
		return m.Backend.Apply(ctx, set)
	},
	found: []string{"a pod is mended after all pods and networks of its owner were removed"},
}}

// brokenNames are mutants whose name server errs.
var brokenNames = []mutant{{
	name: "knows short names only",
	resolve: func(m *mutated, pod backendtest.Pod, name string) []string {
		if strings.Contains(name, ".") {
			return nil
		}
		return m.world.Resolve(pod.Namespace, name)
	},
	found: []string{"a Service name resolves in each of its forms to the ready pods of its workload"},
}, {
	name: "knows names of one namespace in all",
	resolve: func(m *mutated, pod backendtest.Pod, name string) []string {
		name, _, _ = strings.Cut(name, ".")
		return m.world.Resolve(pod.Namespace, name)
	},
	found: []string{"a Service name resolves in each of its forms to the ready pods of its workload"},
}, {
	name: "never forgets who bore a name",
	resolve: func(m *mutated, pod backendtest.Pod, name string) []string {
		m.mu.Lock()
		defer m.mu.Unlock()
		for _, address := range m.world.Resolve(pod.Namespace, name) {
			if !slices.Contains(m.names[name], address) {
				m.names[name] = append(m.names[name], address)
			}
		}
		return slices.Clone(m.names[name])
	},
	found: []string{
		"a pod that turns unready is out of its Service's name within a second, and comes back",
		"a pod that was removed is out of its Service's name within a second",
		"a pod on its way out bears no Service name while it drains",
		"a Service name leads to pods that serve at every moment of a roll-out",
	},
}, {
	name: "gives names to pods that are not ready",
	resolve: func(m *mutated, pod backendtest.Pod, name string) []string {
		owner, err := manifests.ParseOwner(pod.Labels[manifests.LabelOwner])
		if err != nil {
			return nil
		}
		component, _, _ := strings.Cut(name, "-of-")
		var addresses []string
		for _, p := range m.world.Pods(owner) {
			if p.Labels[manifests.LabelComponent] == component {
				addresses = slices.AppendSeq(addresses, maps.Values(p.Addresses))
			}
		}
		return addresses
	},
	found: []string{
		"a pod that was never ready bears no Service name",
		"a pod that turns unready is out of its Service's name within a second, and comes back",
	},
}}
