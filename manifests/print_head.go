package manifests

import (
	"fmt"
	"slices"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
)

// head is what a reader should know before playing a set by hand.
func head(set Set, o PrintOptions) []string {
	file := o.File
	if file == "" {
		file = "stack.yaml"
	}
	lines := []string{fmt.Sprintf("%s %s of namespace %s.", set.Owner.Kind, set.Owner.Name, set.Owner.Namespace), "",
		"To run it with Podman alone:"}
	lines = append(lines, commands(set, file)...)
	lines = append(lines, company(set)...)
	lines = append(lines, needs(set, o.Missing)...)
	lines = append(lines, "", "Podman alone does not do what follows; mockup does:")
	for _, l := range losses(set) {
		lines = append(lines, "- "+l)
	}
	return lines
}

// commands that play a set: on one network, since kube play puts every pod on all of its networks.
func commands(set Set, file string) []string {
	var out []string
	play := "  podman kube play"
	if n := playNetwork(set); n != nil {
		out = append(out, fmt.Sprintf("  podman network create --ignore --subnet %s %s", n.Annotations[AnnotationSubnet], n.Name))
		play += " --network " + n.Name
	}
	secrets, configMaps := usedBy(set)
	if len(secrets) > 0 {
		out = append(out, "  podman kube play secrets.yaml")
	}
	if len(configMaps) > 0 {
		play += " --configmap configmaps.yaml"
	}
	for _, path := range hostPaths(set) {
		out = append(out, "  mkdir -p "+path)
	}
	return append(out, play+" "+file)
}

// company is what has to run beside a set whose pods join networks of another owner.
func company(set Set) []string {
	if len(set.Networks) == 0 {
		return nil
	}
	stack := set.Networks[0].Labels[LabelPartOf]
	if set.Owner.Kind == "BackupPolicy" {
		return []string{"", fmt.Sprintf("It backs up volumes of stack %s, which have to be there.", stack)}
	}
	return []string{"", fmt.Sprintf("It watches stack %s, which has to run on the same network. Printed into one file, both are played at once.", stack)}
}

// needs are the Secrets and ConfigMaps that the set refers to.
func needs(set Set, missing []Reference) []string {
	secrets, configMaps := usedBy(set)
	var out []string
	if len(secrets) > 0 {
		out = append(out, "", "secrets.yaml must hold these Secrets, which are never printed: "+strings.Join(secrets, ", "))
	}
	if len(configMaps) > 0 {
		out = append(out, "", "configmaps.yaml must hold these ConfigMaps: "+strings.Join(configMaps, ", "))
	}
	if len(missing) > 0 {
		out = append(out, "", "Not found when this was rendered:")
	}
	for _, r := range missing {
		out = append(out, "- "+r.String())
	}
	return out
}

// losses are what kube play leaves out of this very set.
func losses(set Set) []string {
	out := []string{"readiness: a name leads to a pod before it answers, and after it stopped answering"}
	out = append(out, lentLosses(set)...)
	for _, o := range set.Objects {
		switch o := o.(type) {
		case *networkingv1.NetworkPolicy:
			out = append(out, networkLosses(o)...)
		case *corev1.PersistentVolumeClaim:
			if name := o.Annotations[AnnotationExisting]; name != "" {
				out = append(out, fmt.Sprintf("volume %s is not adopted: a new and empty %s takes its place, unless you replace its claimName by %s", name, o.Name, name))
			}
		case *appsv1.Deployment:
			out = append(out, deploymentLosses(o)...)
		}
	}
	return append(out, "rolling updates, repair of what drifts, removal of what is no longer named")
}

// lentLosses are those of a set whose pods join networks of another owner, of which there is one.
func lentLosses(set Set) []string {
	var out []string
	for _, n := range set.Networks {
		out = append(out, networkLosses(n)...)
	}
	if slices.ContainsFunc(set.Objects, func(o Object) bool { return namesService(o, set.Owner.Namespace) }) {
		out = append(out, fmt.Sprintf("names that end with .%s.svc.cluster.local, by which its programs look for each other and for pods: they find nobody, so that nothing is scraped, logged or shown", set.Owner.Namespace))
	}
	for _, path := range hostPaths(set) {
		out = append(out, fmt.Sprintf("what is read from %s, where a kubelet has the logs of containers: it stays empty", path))
	}
	return out
}

// namesService tells whether a program is configured with the full name of a Service.
func namesService(o Object, namespace string) bool {
	c, ok := o.(*corev1.ConfigMap)
	if !ok {
		return false
	}
	for _, text := range c.Data {
		if strings.Contains(text, "."+namespace+".svc.cluster.local") {
			return true
		}
	}
	return false
}

// hostPaths are the folders of the host that pods of set mount, in order.
func hostPaths(set Set) []string {
	var out []string
	for _, o := range set.Objects {
		template := templateOf(o)
		if template == nil {
			continue
		}
		for _, v := range template.Spec.Volumes {
			if v.HostPath != nil {
				out = append(out, v.HostPath.Path)
			}
		}
	}
	return out
}

func networkLosses(p *networkingv1.NetworkPolicy) []string {
	if p.Annotations[AnnotationSubnet] == "" {
		return nil
	}
	if p.Annotations[AnnotationInternal] == "true" {
		return []string{fmt.Sprintf("network %s is not made: its pods are with all others, and can get out", p.Name)}
	}
	return nil
}

func deploymentLosses(d *appsv1.Deployment) []string {
	var out []string
	if n := *d.Spec.Replicas; n != 1 {
		out = append(out, fmt.Sprintf("%s runs once, not %d times", d.Name, n))
	}
	for _, key := range sortedKeys(d.Spec.Template.Annotations) {
		if network, ok := strings.CutPrefix(key, AnnotationIPPrefix); ok {
			out = append(out, fmt.Sprintf("%s does not have its address %s on network %s", d.Name, d.Spec.Template.Annotations[key], network))
		}
	}
	for _, c := range d.Spec.Template.Spec.Containers {
		if c.Lifecycle != nil && c.Lifecycle.PreStop != nil && c.Lifecycle.PreStop.Sleep == nil {
			out = append(out, fmt.Sprintf("%s is stopped without its preStop", d.Name))
		}
		if inContainer(c.LivenessProbe) || inContainer(c.StartupProbe) {
			out = append(out, fmt.Sprintf("%s is probed from inside its container: its image needs a shell, curl and nc, or it is restarted for ever", d.Name))
		}
	}
	return out
}

// inContainer tells whether Podman makes of a probe a shell command with curl or nc.
func inContainer(p *corev1.Probe) bool {
	return p != nil && (p.HTTPGet != nil || p.TCPSocket != nil)
}

// playNetwork is the first network with a way out, or the first of all.
func playNetwork(set Set) *networkingv1.NetworkPolicy {
	var first *networkingv1.NetworkPolicy
	networks := slices.Clone(set.Networks) // those that another owner lends
	for _, o := range set.Objects {
		if p, ok := o.(*networkingv1.NetworkPolicy); ok && p.Annotations[AnnotationSubnet] != "" {
			networks = append(networks, p)
		}
	}
	for _, p := range networks {
		if p.Annotations[AnnotationInternal] != "true" {
			return p
		}
		if first == nil {
			first = p
		}
	}
	return first
}

// usedBy lists the Secrets and ConfigMaps that pods of set use and set does not make, sorted.
func usedBy(set Set) (secrets, configMaps []string) {
	own, used := map[Ref]bool{}, map[Ref]bool{}
	for _, o := range set.Objects {
		own[RefOf(o)] = true
		if template := templateOf(o); template != nil {
			for _, r := range podReferences(&template.Spec) {
				used[r] = true
			}
		}
	}
	secretNames, configMapNames := map[string]bool{}, map[string]bool{}
	for r := range used {
		switch {
		case own[r]:
		case r.Kind == "Secret":
			secretNames[r.Name] = true
		default:
			configMapNames[r.Name] = true
		}
	}
	return sortedKeys(secretNames), sortedKeys(configMapNames)
}

// templateOf a workload is what its pods are made from; nil for anything else.
func templateOf(o Object) *corev1.PodTemplateSpec {
	switch o := o.(type) {
	case *appsv1.Deployment:
		return &o.Spec.Template
	case *appsv1.DaemonSet:
		return &o.Spec.Template
	case *batchv1.Job:
		return &o.Spec.Template
	}
	return nil
}

// podReferences are the Secrets and ConfigMaps that a pod mounts or takes variables from.
func podReferences(pod *corev1.PodSpec) []Ref {
	var out []Ref
	for _, v := range pod.Volumes {
		if v.Secret != nil {
			out = append(out, Ref{Kind: "Secret", Name: v.Secret.SecretName})
		}
		if v.ConfigMap != nil {
			out = append(out, Ref{Kind: "ConfigMap", Name: v.ConfigMap.Name})
		}
	}
	for _, c := range pod.Containers {
		for _, e := range c.EnvFrom {
			if e.SecretRef != nil {
				out = append(out, Ref{Kind: "Secret", Name: e.SecretRef.Name})
			}
			if e.ConfigMapRef != nil {
				out = append(out, Ref{Kind: "ConfigMap", Name: e.ConfigMapRef.Name})
			}
		}
		for _, e := range c.Env {
			if e.ValueFrom != nil && e.ValueFrom.SecretKeyRef != nil {
				out = append(out, Ref{Kind: "Secret", Name: e.ValueFrom.SecretKeyRef.Name})
			}
			if e.ValueFrom != nil && e.ValueFrom.ConfigMapKeyRef != nil {
				out = append(out, Ref{Kind: "ConfigMap", Name: e.ValueFrom.ConfigMapKeyRef.Name})
			}
		}
	}
	return out
}
