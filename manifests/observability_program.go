package manifests

import (
	"cmp"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/util/intstr"

	"mockup.dev/mockup/api/v1alpha1"
)

// program is a component of an addon, in the words of its own file.
type program struct {
	name string
	// image as asked for, and by default.
	image, defaultImage string
	// user that it runs as, 0 for root.
	user int64
	// command in place of the image's entrypoint, and its arguments.
	command, args []string
	env           []corev1.EnvVar
	// ports that it listens on, with those of the host; probe asks one of them.
	ports []corev1.ContainerPort
	probe *corev1.Probe
	// resources as asked for, and by default.
	resources        *v1alpha1.Resources
	defaultResources corev1.ResourceRequirements
	// configs are folders of files that it reads. What only some of its parts can say well is an error here.
	configs []configFolder
	err     error
	// reload is how it takes up changed configuration, and test how that is tried out; none if it has to be restarted.
	reload *Reload
	test   []string
	// secrets that it reads as files.
	secrets []Reference
	// storage that it keeps, at dataDir; nil for none.
	storage *storage
	dataDir string
	// grace that it gets to end, in seconds; 0 for the usual.
	grace int64
	// everywhere is true for those that have something to do on every network of the stack.
	everywhere bool
	// onEveryNode is true for what runs once on each node, and reads hostPaths there.
	onEveryNode bool
	hostPaths   []string
}

// storage of a program.
type storage struct {
	size    resource.Quantity
	reclaim v1alpha1.ReclaimPolicy
}

// configFolder is a ConfigMap that is mounted at dir. A stable one keeps its name, since the program takes up what is new.
type configFolder struct {
	use, dir string
	files    map[string]string
	stable   bool
}

// stored is what s asks for, or the default size.
func stored(s v1alpha1.Storage, byDefault string) *storage {
	out := &storage{size: *quantity(byDefault), reclaim: cmp.Or(s.ReclaimPolicy, v1alpha1.ReclaimRetain)}
	if s.Size != nil {
		out.size = *s.Size
	}
	return out
}

// secretDir is where the files of a Secret are in a container.
func secretDir(name string) string { return "/etc/mockup/secrets/" + name }

// secretFile is where a key of a Secret is in a container.
func secretFile(k v1alpha1.KeyRef) string { return secretDir(k.Name) + "/" + k.Key }

// exposedPort is a port that is on the host unless that is declined.
func exposedPort(name string, port int32, e v1alpha1.Exposure) corev1.ContainerPort {
	p := containerPort(name, port)
	if e.HostPort != nil && *e.HostPort == 0 {
		return p
	}
	p.HostPort, p.HostIP = port, cmp.Or(e.HostIP, loopback)
	if e.HostPort != nil {
		p.HostPort = *e.HostPort
	}
	return p
}

// loopback is the address on the host by default: the programs let everybody in.
const loopback = "127.0.0.1"

// isAny tells whether an address stands for all that the host has.
func isAny(ip string) bool {
	a, err := netip.ParseAddr(ip)
	return err == nil && a.IsUnspecified()
}

// isLoopback tells whether only the host itself gets to an address.
func isLoopback(ip string) bool {
	a, err := netip.ParseAddr(ip)
	return err == nil && a.IsLoopback()
}

func httpReadiness(path string, port int32) *corev1.Probe {
	return readiness(corev1.ProbeHandler{HTTPGet: &corev1.HTTPGetAction{Path: path, Port: intstr.FromInt32(port)}})
}

// container of a program.
func (r *addonRenderer) container(p *program) corev1.Container {
	security := restrictedContainer()
	security.RunAsUser, security.RunAsGroup = ptr(p.user), ptr(p.user)
	security.RunAsNonRoot = ptr(p.user != 0)
	resources := completed(p.resources.ToCore(), p.defaultResources)
	return corev1.Container{
		Name:            p.name,
		Image:           r.facts.mapped(cmp.Or(p.image, p.defaultImage)),
		ImagePullPolicy: corev1.PullIfNotPresent,
		Command:         p.command,
		Args:            p.args,
		Env:             append(p.env, memoryTarget(resources)),
		Ports:           p.ports,
		Resources:       resources,
		ReadinessProbe:  p.probe,
		SecurityContext: security,
	}
}

// memoryTarget has the garbage collector of Go work harder before the limit is reached, which would be the end.
func memoryTarget(r corev1.ResourceRequirements) corev1.EnvVar {
	return corev1.EnvVar{Name: "GOMEMLIMIT", Value: strconv.FormatInt(r.Limits.Memory().Value()/10*9, 10)}
}

// mount puts a volume into the pod's only container.
func mount(pod *corev1.PodSpec, v corev1.Volume, path string, readOnly bool) {
	pod.Volumes = append(pod.Volumes, v)
	c := &pod.Containers[0]
	c.VolumeMounts = append(c.VolumeMounts, corev1.VolumeMount{Name: v.Name, MountPath: path, ReadOnly: readOnly})
}

// hostPathName is the name of a volume that is a folder of the node.
func hostPathName(path string) string { return strings.ReplaceAll(strings.Trim(path, "/"), "/", "-") }

// externalURL is where people find a component: on the host, or by its name inside the stack.
func (r *addonRenderer) externalURL(component string) string {
	spec := &r.addon.Spec
	e, port := spec.Dashboards.Expose, int32(PortGrafana)
	switch component {
	case ComponentPrometheus:
		e, port = spec.Metrics.Expose, PortPrometheus
	case ComponentAlertmanager:
		e, port = spec.Alerting.Expose, PortAlertmanager
	}
	exposed := exposedPort("", port, e)
	switch {
	case exposed.HostPort == 0:
		return fmt.Sprintf("http://%s:%d", component, port)
	case isLoopback(exposed.HostIP) || isAny(exposed.HostIP):
		return fmt.Sprintf("http://localhost:%d", exposed.HostPort)
	}
	return "http://" + net.JoinHostPort(exposed.HostIP, strconv.Itoa(int(exposed.HostPort)))
}
