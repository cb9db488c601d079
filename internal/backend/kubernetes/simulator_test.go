package kubernetes_test

import (
	"context"
	"encoding/json"
	"fmt"
	"hash/fnv"
	"os"
	"slices"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	clientset "k8s.io/client-go/kubernetes"

	"mockup.dev/mockup/manifests"
)

// simulator does what kube-controller-manager does on a cluster, as little of it as the contract needs: Deployments and
// Jobs get pods and a status, claims are bound, and what has lost its owner is collected.
type simulator struct {
	client  clientset.Interface
	node    *kubelet
	deploys []appsv1.Deployment
	jobs    []batchv1.Job
	claims  []corev1.PersistentVolumeClaim
	pods    []corev1.Pod
	said    map[string]bool
}

const hashAnnotation = "simulator/template-hash"

func (s *simulator) run(ctx context.Context) {
	s.said = map[string]bool{}
	tick := time.NewTicker(30 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if err := s.step(ctx); err != nil && ctx.Err() == nil && !s.said[err.Error()] {
			s.said[err.Error()] = true // a test that waits for it in vain will fail; this says why
			fmt.Fprintln(os.Stderr, "simulator:", err)
		}
	}
}

func (s *simulator) step(ctx context.Context) error {
	if err := s.look(ctx); err != nil {
		return err
	}
	var failed error
	note := func(err error) {
		if err != nil && !apierrors.IsConflict(err) && !apierrors.IsNotFound(err) { // it will be seen at the next tick
			failed = err
		}
	}
	for i := range s.deploys {
		note(s.deployment(ctx, &s.deploys[i]))
	}
	for i := range s.jobs {
		note(s.job(ctx, &s.jobs[i]))
	}
	for i := range s.claims {
		note(s.claim(ctx, &s.claims[i]))
	}
	for i := range s.pods {
		note(s.collect(ctx, &s.pods[i]))
		note(s.node.sync(ctx, &s.pods[i]))
	}
	return failed
}

func (s *simulator) look(ctx context.Context) error {
	deployments, err := s.client.AppsV1().Deployments("").List(ctx, metav1.ListOptions{})
	if err != nil {
		return fmt.Errorf("listing Deployments: %w", err)
	}
	jobs, err := s.client.BatchV1().Jobs("").List(ctx, metav1.ListOptions{})
	if err != nil {
		return fmt.Errorf("listing Jobs: %w", err)
	}
	claims, err := s.client.CoreV1().PersistentVolumeClaims("").List(ctx, metav1.ListOptions{})
	if err != nil {
		return fmt.Errorf("listing claims: %w", err)
	}
	pods, err := s.client.CoreV1().Pods("").List(ctx, metav1.ListOptions{})
	if err != nil {
		return fmt.Errorf("listing pods: %w", err)
	}
	s.deploys, s.jobs, s.claims, s.pods = deployments.Items, jobs.Items, claims.Items, pods.Items
	return nil
}

// podsOf an owner, those on their way out last and apart.
func (s *simulator) podsOf(owner types.UID) (live, going []*corev1.Pod) {
	for i := range s.pods {
		p := &s.pods[i]
		switch {
		case len(p.OwnerReferences) == 0 || p.OwnerReferences[0].UID != owner:
		case p.DeletionTimestamp != nil:
			going = append(going, p)
		default:
			live = append(live, p)
		}
	}
	return live, going
}

func (s *simulator) deployment(ctx context.Context, d *appsv1.Deployment) error {
	if d.Spec.Selector.MatchLabels[manifests.LabelPartOf] == "" {
		return nil // planted by a test
	}
	hash := hashOf(d.Spec.Template)
	live, going := s.podsOf(d.UID)
	var current, old []*corev1.Pod
	for _, p := range live {
		if p.Annotations[hashAnnotation] == hash {
			current = append(current, p)
		} else {
			old = append(old, p)
		}
	}
	ready := int32(len(slices.DeleteFunc(slices.Clone(current), func(p *corev1.Pod) bool { return !podReady(p) })))
	want := *d.Spec.Replicas
	recreate := d.Spec.Strategy.Type == appsv1.RecreateDeploymentStrategyType
	for _, p := range old {
		if recreate || ready >= want || !podReady(p) {
			if err := s.deletePod(ctx, p); err != nil {
				return err
			}
		}
	}
	if !recreate || len(old)+len(going) == 0 {
		for range want - int32(len(current)) {
			if err := s.createPod(ctx, d, "Deployment", "apps/v1", d.Spec.Template, hash); err != nil {
				return err
			}
		}
	}
	for i := want; i < int32(len(current)); i++ {
		if err := s.deletePod(ctx, current[i]); err != nil {
			return err
		}
	}
	return s.deploymentStatus(ctx, d, live, int32(len(current)), ready, len(old) == 0 && ready >= want)
}

func (s *simulator) deploymentStatus(ctx context.Context, d *appsv1.Deployment, live []*corev1.Pod, updated, ready int32, done bool) error {
	status := appsv1.DeploymentStatus{ObservedGeneration: d.Generation, Replicas: int32(len(live)), UpdatedReplicas: updated}
	for _, p := range live {
		if podReady(p) {
			status.ReadyReplicas++
			status.AvailableReplicas++
		}
	}
	reason := "ReplicaSetUpdated"
	if done {
		reason = "NewReplicaSetAvailable"
	}
	for _, c := range d.Status.Conditions {
		if c.Reason == "NewReplicaSetAvailable" && d.Status.ObservedGeneration == d.Generation {
			reason = c.Reason // what was rolled out stays rolled out, whatever becomes of its pods
		}
	}
	status.Conditions = []appsv1.DeploymentCondition{{
		Type: appsv1.DeploymentProgressing, Status: corev1.ConditionTrue, Reason: reason,
	}}
	if same(d.Status, status) {
		return nil
	}
	d.Status = status
	_, err := s.client.AppsV1().Deployments(d.Namespace).UpdateStatus(ctx, d, metav1.UpdateOptions{})
	return err
}

func (s *simulator) job(ctx context.Context, j *batchv1.Job) error {
	live, going := s.podsOf(j.UID)
	finished := slices.ContainsFunc(j.Status.Conditions, func(c batchv1.JobCondition) bool {
		return c.Type == batchv1.JobComplete || c.Type == batchv1.JobFailed
	})
	if finished || j.DeletionTimestamp != nil {
		return nil
	}
	if len(live)+len(going) == 0 {
		return s.createPod(ctx, j, "Job", "batch/v1", j.Spec.Template, "")
	}
	if len(live) == 0 {
		return nil
	}
	now := metav1.Now()
	first, last := batchv1.JobSuccessCriteriaMet, batchv1.JobComplete
	switch live[0].Status.Phase {
	case corev1.PodSucceeded:
		j.Status.Succeeded, j.Status.CompletionTime = 1, &now
	case corev1.PodFailed:
		j.Status.Failed, first, last = 1, batchv1.JobFailureTarget, batchv1.JobFailed
	default:
		return nil
	}
	j.Status.StartTime, j.Status.Ready, j.Status.Terminating = &now, new(int32(0)), new(int32(0))
	for _, kind := range []batchv1.JobConditionType{first, last} {
		j.Status.Conditions = append(j.Status.Conditions, batchv1.JobCondition{
			Type: kind, Status: corev1.ConditionTrue, Reason: string(kind), LastTransitionTime: now,
		})
	}
	j.Status.UncountedTerminatedPods = &batchv1.UncountedTerminatedPods{}
	_, err := s.client.BatchV1().Jobs(j.Namespace).UpdateStatus(ctx, j, metav1.UpdateOptions{})
	return err
}

// claim is bound as soon as it is there, and let go once no pod uses it.
func (s *simulator) claim(ctx context.Context, c *corev1.PersistentVolumeClaim) error {
	if c.DeletionTimestamp != nil && len(c.Finalizers) > 0 {
		for i := range s.pods {
			for _, v := range s.pods[i].Spec.Volumes {
				if s.pods[i].Namespace == c.Namespace && v.PersistentVolumeClaim != nil && v.PersistentVolumeClaim.ClaimName == c.Name {
					return nil
				}
			}
		}
		c.Finalizers = nil
		_, err := s.client.CoreV1().PersistentVolumeClaims(c.Namespace).Update(ctx, c, metav1.UpdateOptions{})
		return err
	}
	if c.Status.Phase == corev1.ClaimBound || c.DeletionTimestamp != nil {
		return nil
	}
	c.Status.Phase = corev1.ClaimBound
	_, err := s.client.CoreV1().PersistentVolumeClaims(c.Namespace).UpdateStatus(ctx, c, metav1.UpdateOptions{})
	return err
}

// collect deletes a pod whose workload is gone.
func (s *simulator) collect(ctx context.Context, p *corev1.Pod) error {
	if len(p.OwnerReferences) == 0 || p.DeletionTimestamp != nil {
		return nil
	}
	owner := p.OwnerReferences[0].UID
	for i := range s.deploys {
		if s.deploys[i].UID == owner {
			return nil
		}
	}
	for i := range s.jobs {
		if s.jobs[i].UID == owner {
			return nil
		}
	}
	return s.deletePod(ctx, p)
}

func (s *simulator) createPod(ctx context.Context, owner metav1.Object, kind, version string, t corev1.PodTemplateSpec, hash string) error {
	if owner.GetDeletionTimestamp() != nil {
		return nil
	}
	p := &corev1.Pod{ObjectMeta: *t.ObjectMeta.DeepCopy(), Spec: *t.Spec.DeepCopy()}
	p.GenerateName, p.Namespace = owner.GetName()+"-", owner.GetNamespace()
	p.OwnerReferences = []metav1.OwnerReference{{
		APIVersion: version, Kind: kind, Name: owner.GetName(), UID: owner.GetUID(), Controller: new(true),
	}}
	if p.Annotations == nil {
		p.Annotations = map[string]string{}
	}
	p.Annotations[hashAnnotation] = hash
	p.Spec.NodeName = nodeName
	made, err := s.client.CoreV1().Pods(p.Namespace).Create(ctx, p, metav1.CreateOptions{})
	if err != nil {
		return fmt.Errorf("creating a pod of %s: %w", owner.GetName(), err)
	}
	s.pods = append(s.pods, *made)
	return nil
}

func (s *simulator) deletePod(ctx context.Context, p *corev1.Pod) error {
	return s.client.CoreV1().Pods(p.Namespace).Delete(ctx, p.Name, metav1.DeleteOptions{
		Preconditions: &metav1.Preconditions{UID: &p.UID},
	})
}

func hashOf(t corev1.PodTemplateSpec) string {
	data, err := json.Marshal(t)
	if err != nil {
		panic(err)
	}
	sum := fnv.New64a()
	sum.Write(data)
	return fmt.Sprintf("%x", sum.Sum64())
}

func same(a, b any) bool {
	x, errX := json.Marshal(a)
	y, errY := json.Marshal(b)
	return errX == nil && errY == nil && string(x) == string(y)
}

func podReady(p *corev1.Pod) bool {
	return slices.ContainsFunc(p.Status.Conditions, func(c corev1.PodCondition) bool {
		return c.Type == corev1.PodReady && c.Status == corev1.ConditionTrue
	})
}
