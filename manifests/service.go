package manifests

import (
	"cmp"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"mockup.dev/mockup/api/v1alpha1"
)

// service renders one program of the stack.
func (r *renderer) service(s *v1alpha1.Service) component {
	env := r.environment(s)
	env.vars = append(env.vars, r.tracing(s)...)
	ports := []corev1.ContainerPort{containerPort("http", s.Port)}
	if s.MetricsPort != 0 && s.MetricsPort != s.Port {
		ports = append(ports, containerPort("metrics", s.MetricsPort))
	}
	volumes, mounts := r.serviceVolumes(s)
	container := corev1.Container{
		Name:            ServiceName(r.owner.Name, s.Name),
		Image:           r.facts.mapped(s.Image),
		ImagePullPolicy: cmp.Or(s.ImagePullPolicy, corev1.PullIfNotPresent),
		Command:         env.expandable(s.Command),
		Args:            env.expandable(s.Args),
		Env:             env.vars,
		EnvFrom:         env.from,
		Ports:           ports,
		Resources:       completed(s.Resources.ToCore(), serviceResources()),
		StartupProbe:    s.Probes.Startup.ToCore(),
		ReadinessProbe:  s.Probes.Readiness.ToCore(),
		LivenessProbe:   s.Probes.Liveness.ToCore(),
		Lifecycle:       lifecycle(s),
		VolumeMounts:    mounts,
		SecurityContext: serviceSecurity(s),
	}
	if container.ReadinessProbe == nil {
		container.ReadinessProbe = tcpReadiness(s.Port)
	}
	pod := corev1.PodSpec{SecurityContext: restrictedPod(), Containers: []corev1.Container{container}, Volumes: volumes}
	if r.ownsWhatItWrites(s) {
		pod.SecurityContext.FSGroup = ptr[int64](volumeGroup)
		pod.SecurityContext.FSGroupChangePolicy = ptr(corev1.FSGroupChangeOnRootMismatch)
	}
	services := []Object{r.clusterService(s.Name, ports)}
	if s.MetricsPort != 0 {
		services = append(services, r.podsService(s))
	}
	return component{configs: env.configs, services: services, deployment: r.deployment(workload{
		component: s.Name, replicas: r.replicas(s), rollout: serviceRollout(s), networks: s.Networks,
		annotations: env.annotations, grace: grace(s), pod: pod,
	})}
}

// replicas that run now: none as long as a volume of the service is restored in place.
func (r *renderer) replicas(s *v1alpha1.Service) int32 {
	if StoppedBy(s, r.facts.Restoring) != nil {
		return 0
	}
	return replicas(s)
}

func replicas(s *v1alpha1.Service) int32 {
	if s.Replicas == nil {
		return 1
	}
	return *s.Replicas
}

// ownsWhatItWrites tells whether a cluster may hand the volumes that s writes to a group: those that the stack made. The
// files of an adopted volume keep their owners.
func (r *renderer) ownsWhatItWrites(s *v1alpha1.Service) bool {
	writes := false
	for _, m := range s.VolumeMounts {
		writes = writes || !m.ReadOnly
		for _, v := range r.stack.Spec.Volumes {
			if v.Name == m.Volume && v.Existing != "" {
				return false
			}
		}
	}
	return writes
}

// serviceVolumes are the claims that s mounts, each once, and a writable /tmp.
func (r *renderer) serviceVolumes(s *v1alpha1.Service) (volumes []corev1.Volume, mounts []corev1.VolumeMount) {
	mounted := map[string]bool{}
	for _, m := range s.VolumeMounts {
		if !mounted[m.Volume] {
			mounted[m.Volume] = true
			volumes = append(volumes, r.claimVolume(m.Volume))
		}
		mounts = append(mounts, corev1.VolumeMount{
			Name: ClaimName(r.owner.Name, m.Volume), MountPath: m.MountPath, SubPath: m.SubPath, ReadOnly: m.ReadOnly,
		})
	}
	tmp := emptyDirName(r.owner.Name, s.Name, "tmp")
	volumes = append(volumes, emptyDir(tmp, tmpSize()))
	mounts = append(mounts, corev1.VolumeMount{Name: tmp, MountPath: "/tmp"})
	return volumes, mounts
}

func serviceSecurity(s *v1alpha1.Service) *corev1.SecurityContext {
	security := restrictedContainer()
	security.RunAsUser, security.RunAsGroup = s.Security.RunAsUser, s.Security.RunAsGroup
	if s.Security.RunAsUser != nil && *s.Security.RunAsUser != 0 {
		security.RunAsNonRoot = ptr(true) // of an image's own user nothing is known
	}
	security.ReadOnlyRootFilesystem = ptr(!s.Security.WritableRootFilesystem)
	for _, c := range s.Security.AddCapabilities {
		security.Capabilities.Add = append(security.Capabilities.Add, corev1.Capability(c))
	}
	return security
}

func tcpReadiness(port int32) *corev1.Probe {
	return readiness(corev1.ProbeHandler{TCPSocket: &corev1.TCPSocketAction{Port: intstr.FromInt32(port)}})
}

func readiness(handler corev1.ProbeHandler) *corev1.Probe {
	return &corev1.Probe{
		ProbeHandler: handler, PeriodSeconds: readinessPeriodSeconds, TimeoutSeconds: readinessTimeoutSeconds,
	}
}
