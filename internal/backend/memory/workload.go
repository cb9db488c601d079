package memory

import (
	"fmt"
	"hash/fnv"
	"slices"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"

	"mockup.dev/mockup/internal/backend"
	"mockup.dev/mockup/manifests"
)

// workload is what this world makes of a Deployment, DaemonSet or Job.
type workload struct {
	template *corev1.PodTemplateSpec
	replicas int32
	rollOut  rollOut
	// job is set for a Job, whose pods end.
	job *batchv1.JobSpec
}

// workloadOf shares the template with object.
func workloadOf(object manifests.Object) (workload, bool) {
	switch o := object.(type) {
	case *appsv1.Deployment:
		replicas := int32(1)
		if o.Spec.Replicas != nil {
			replicas = *o.Spec.Replicas
		}
		return workload{template: &o.Spec.Template, replicas: replicas, rollOut: rollOutOf(&o.Spec, replicas)}, true
	case *appsv1.DaemonSet:
		return workload{template: &o.Spec.Template, replicas: 1, rollOut: rollOut{recreate: true}}, true
	case *batchv1.Job:
		return workload{template: &o.Spec.Template, replicas: 1, job: &o.Spec}, true
	}
	return workload{}, false
}

func (w workload) hash() string {
	sum, template := fnv.New64a(), w.template
	if w.reloads() {
		template = withoutConfiguration(template)
	}
	data, err := template.Marshal()
	if err != nil {
		panic(fmt.Sprintf("a pod template that can't be marshalled: %v", err)) // plain data always can
	}
	sum.Write(data)
	return fmt.Sprintf("%x", sum.Sum64())
}

func (s *step) runWorkloads() {
	if s.set.Remove {
		return
	}
	for _, object := range s.set.Objects {
		ref := manifests.RefOf(object)
		th := s.tenant.things[ref]
		if _, bad := s.stuck[ref]; bad || th == nil {
			continue
		}
		if w, ok := workloadOf(th.object); ok {
			s.runWorkload(th, w)
		}
	}
}

// runWorkload takes the one step towards w that can be taken now.
func (s *step) runWorkload(th *thing, w workload) {
	pods, hash := s.tenant.podsOf(th.key.ref), w.hash()
	content, missing := s.gather(w.template)
	if err := w.unreadable(); err != nil {
		missing = stuck{backend.ReasonMissing, err.Error()}
	}
	if missing.reason != "" {
		s.stuck[th.key.ref] = missing
	}
	if w.job != nil {
		if missing.reason == "" {
			s.runJob(th, w, hash, content)
		}
		return
	}
	w.rollOut.recreate = w.rollOut.recreate || s.single(&w.template.Spec) != ""
	plan := planRollOut(pods, hash, w, func(p *pod) bool { return s.available(p, w) })
	for _, p := range plan.retire {
		if missing.reason == "" || p.hash != hash && !p.ready {
			s.terminate(p)
		}
	}
	if missing.reason == "" {
		for range plan.create {
			s.create(th, w, hash, content)
		}
		if w.reloads() {
			s.reload(th, w, pods, hash, content)
		}
	}
	s.follow(th, w, hash)
}

// gather reads what the pods of a template need, or says what is missing.
func (s *step) gather(template *corev1.PodTemplateSpec) (map[string]map[string][]byte, stuck) {
	for _, c := range slices.Concat(template.Spec.InitContainers, template.Spec.Containers) {
		if s.missing[c.Image] {
			return nil, stuck{backend.ReasonImagePull, fmt.Sprintf("the image %s is not there", c.Image)}
		}
	}
	content := map[string]map[string][]byte{}
	for _, v := range template.Spec.Volumes {
		var ref manifests.Ref
		switch {
		case v.ConfigMap != nil:
			ref = manifests.Ref{Kind: "ConfigMap", Name: v.ConfigMap.Name}
		case v.Secret != nil:
			ref = manifests.Ref{Kind: "Secret", Name: v.Secret.SecretName}
		case v.PersistentVolumeClaim != nil:
			ref = manifests.Ref{Kind: "PersistentVolumeClaim", Name: v.PersistentVolumeClaim.ClaimName}
		default:
			content[v.Name] = map[string][]byte{}
			continue
		}
		files, found := s.content(ref)
		if !found {
			return nil, stuck{backend.ReasonMissing, fmt.Sprintf("%s is not there", ref)}
		}
		content[v.Name] = files
	}
	return content, stuck{}
}

// content of a thing of the owner, or of what the set brings along.
func (s *step) content(ref manifests.Ref) (map[string][]byte, bool) {
	if th := s.tenant.things[ref]; th != nil {
		switch o := th.object.(type) {
		case *corev1.ConfigMap:
			return configFiles(o), true
		case *corev1.Secret:
			return secretFiles(o), true
		}
		return th.files, true
	}
	for _, c := range s.set.Claims { // of another owner
		if holder := s.holders[key{s.set.Owner.Namespace, ref}]; manifests.RefOf(c) == ref && holder != nil {
			return holder.files, true
		}
	}
	for _, c := range s.set.ConfigMaps {
		if manifests.RefOf(c) == ref {
			return configFiles(c), true
		}
	}
	for _, o := range s.set.Secrets {
		if manifests.RefOf(o) == ref {
			return secretFiles(o), true
		}
	}
	return nil, false
}

func configFiles(c *corev1.ConfigMap) map[string][]byte {
	files := map[string][]byte{}
	for name, text := range c.Data {
		files[name] = []byte(text)
	}
	for name, data := range c.BinaryData {
		files[name] = data
	}
	return files
}

func secretFiles(s *corev1.Secret) map[string][]byte {
	files := map[string][]byte{}
	for name, text := range s.StringData {
		files[name] = []byte(text)
	}
	for name, data := range s.Data {
		files[name] = data
	}
	return files
}
