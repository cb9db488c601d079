package manifests

import (
	"cmp"
	"encoding/json"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"mockup.dev/mockup/api/v1alpha1"
)

// Folders of the gateway's container. None is there in an image, so that Podman gives new ones to the container's user.
const (
	gatewayConfigDir     = "/etc/mockup/gateway"
	gatewayTLSDir        = "/etc/mockup/tls"
	gatewayRunDir        = "/run/mockup"
	gatewayEntrypointDir = "/docker-entrypoint.d" // whose scripts the official image runs before nginx
	gatewayConfigFile    = "nginx.conf"
	gatewayResolverFile  = "10-resolver.envsh"
)

// gateway renders nginx in front of the services.
func (r *renderer) gateway() (component, error) {
	g, stack := r.stack.Spec.Gateway, r.owner.Name
	nginx, err := nginxConfig(g, r.stack.Spec.Services, r.facts.Tracing)
	if err != nil {
		return component{}, err
	}
	config := map[string]string{gatewayConfigFile: nginx}
	entrypoint := map[string]string{gatewayResolverFile: resolverScript}
	entrypointName := digestedName(stack, ComponentGateway, "entrypoint", entrypoint)
	tls := gatewayReference(stack, g)

	annotations := map[string]string{
		AnnotationReload:     Reload{Command: append(nginxCommand(), "-s", "reload")}.String(),
		AnnotationReloadTest: jsonArray(append(nginxCommand(), "-t")),
	}
	annotateConfig(annotations, GatewayConfigName(stack), digestData(config))
	annotateConfig(annotations, tls.Name, r.facts.digest(tls.Kind, tls.Name))

	pod := corev1.PodSpec{
		SecurityContext: gatewayPodSecurity(),
		Containers:      []corev1.Container{r.gatewayContainer(g)},
		Volumes: []corev1.Volume{
			configVolume("config", GatewayConfigName(stack), 0o444),
			configVolume("entrypoint", entrypointName, 0o755),
			secretVolume("tls", tls.Name, tls.Keys),
			emptyDir(emptyDirName(stack, ComponentGateway, "run"), runSize()),
			emptyDir(emptyDirName(stack, ComponentGateway, "tmp"), tmpSize()),
		},
	}
	return component{
		configs: []Object{
			r.configMap(GatewayConfigName(stack), ComponentGateway, config),
			r.configMap(entrypointName, ComponentGateway, entrypoint),
		},
		services: []Object{r.clusterService(ComponentGateway, pod.Containers[0].Ports)},
		deployment: r.deployment(workload{
			component: ComponentGateway, replicas: 1, networks: g.Networks, annotations: annotations,
			rollout: recreation(), // two can't hold the same host port
			grace:   terminationGracePeriodSecond, pod: pod,
		}),
	}, nil
}

func (r *renderer) gatewayContainer(g *v1alpha1.Gateway) corev1.Container {
	stack := r.owner.Name
	security := restrictedContainer()
	security.RunAsNonRoot = ptr(true)
	security.RunAsUser, security.RunAsGroup = ptr[int64](nginxUser), ptr[int64](nginxUser)
	return corev1.Container{
		Name:            ServiceName(stack, ComponentGateway),
		Image:           r.facts.mapped(cmp.Or(g.Image, ImageNginx)),
		ImagePullPolicy: corev1.PullIfNotPresent,
		Args:            append(nginxCommand(), "-g", "daemon off;"),
		Env:             []corev1.EnvVar{{Name: "NAMESPACE", Value: r.owner.Namespace}}, // for the resolver's script
		Ports:           gatewayPorts(g),
		Resources:       completed(g.Resources.ToCore(), gatewayResources()),
		ReadinessProbe: readiness(corev1.ProbeHandler{HTTPGet: &corev1.HTTPGetAction{
			Path: "/healthz", Port: intstr.FromInt32(gatewayStatusPort),
		}}),
		VolumeMounts: []corev1.VolumeMount{
			{Name: "config", MountPath: gatewayConfigDir, ReadOnly: true},
			{Name: "entrypoint", MountPath: gatewayEntrypointDir, ReadOnly: true},
			{Name: "tls", MountPath: gatewayTLSDir, ReadOnly: true},
			{Name: emptyDirName(stack, ComponentGateway, "run"), MountPath: gatewayRunDir},
			{Name: emptyDirName(stack, ComponentGateway, "tmp"), MountPath: "/tmp"},
		},
		SecurityContext: security,
	}
}

func gatewayPorts(g *v1alpha1.Gateway) []corev1.ContainerPort {
	ports := []corev1.ContainerPort{hostPort("https", gatewayHTTPSPort, &g.HTTPS)}
	if g.HTTP != nil {
		ports = append([]corev1.ContainerPort{hostPort("http", gatewayHTTPPort, g.HTTP)}, ports...)
	}
	return append(ports, containerPort("status", gatewayStatusPort))
}

func hostPort(name string, port int32, host *v1alpha1.GatewayPort) corev1.ContainerPort {
	p := containerPort(name, port)
	p.HostPort, p.HostIP = host.HostPort, host.HostIP
	return p
}

// gatewayPodSecurity lets nginx listen on ports 80 and 443 without being root: the addresses of a stack are known with
// these ports. Kubernetes counts the sysctl among the safe ones.
func gatewayPodSecurity() *corev1.PodSecurityContext {
	security := restrictedPod()
	security.Sysctls = []corev1.Sysctl{{Name: "net.ipv4.ip_unprivileged_port_start", Value: "0"}}
	return security
}

// nginxCommand is nginx with our configuration. Its first word has the entrypoint of the official image run the scripts.
func nginxCommand() []string {
	return []string{"nginx", "-e", "stderr", "-c", gatewayConfigDir + "/" + gatewayConfigFile}
}

func jsonArray(words []string) string {
	text, err := json.Marshal(words)
	if err != nil {
		panic(fmt.Sprintf("strings always have a JSON form: %v", err))
	}
	return string(text)
}
