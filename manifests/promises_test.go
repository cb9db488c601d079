package manifests

import (
	"net/netip"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"

	"mockup.dev/mockup/api/v1alpha1"
)

// The promises of a rendered manifest, each over every golden file and the sample.

func eachOutput(t *testing.T, check func(t *testing.T, o output)) {
	t.Helper()
	for _, o := range outputs(t) {
		t.Run(o.name, func(t *testing.T) { check(t, o) })
	}
}

func pod(d *appsv1.Deployment) *corev1.PodSpec             { return &d.Spec.Template.Spec }
func mainContainer(d *appsv1.Deployment) *corev1.Container { return &pod(d).Containers[0] }

func TestPromise1Kinds(t *testing.T) {
	order := []string{"NetworkPolicy", "PersistentVolumeClaim", "ConfigMap", "Service", "Deployment"}
	eachOutput(t, func(t *testing.T, o output) {
		last := 0
		for _, kind := range o.kinds {
			at := slices.Index(order, kind)
			if at < last {
				t.Errorf("%s is unknown to Podman or comes too late, in %v", kind, o.kinds)
			}
			last = at
		}
		for _, object := range o.objects {
			if gvk := object.GetObjectKind().GroupVersionKind(); gvk.Version != "v1" {
				t.Errorf("%s is %s", object.GetName(), gvk)
			}
		}
	})
}

func TestPromise2Names(t *testing.T) {
	eachOutput(t, func(t *testing.T, o output) {
		stack := o.stack.Name
		for _, object := range o.objects {
			if _, isService := object.(*corev1.Service); !isService && !strings.HasPrefix(object.GetName(), stack+"-") {
				t.Errorf("%s does not begin with the stack's name", RefOf(object))
			}
		}
		want := map[string]bool{}
		for _, s := range o.stack.Spec.Services {
			want[s.Name] = true
			if s.MetricsPort != 0 {
				want[PodsName(s.Name)] = true
			}
		}
		if o.stack.Spec.Gateway != nil {
			want[stack+"-gateway"] = true
		}
		for _, s := range o.services {
			if !want[s.Name] {
				t.Errorf("Service %s is no service", s.Name)
			}
			delete(want, s.Name)
			checkService(t, o, s)
		}
		if len(want) > 0 {
			t.Errorf("no Service for %v", want)
		}
	})
}

// checkService finds the one Deployment behind s: its main container has the Service's name and ports.
func checkService(t *testing.T, o output, s *corev1.Service) {
	t.Helper()
	found := 0
	for _, d := range o.deployments {
		if !selects(s.Spec.Selector, d.Spec.Template.Labels) {
			continue
		}
		found++
		c := mainContainer(d)
		if s.Spec.ClusterIP == corev1.ClusterIPNone {
			checkPodsService(t, s, c)
			continue
		}
		if c.Name != s.Name || len(c.Ports) != len(s.Spec.Ports) {
			t.Errorf("Service %s leads to container %s with ports %v", s.Name, c.Name, c.Ports)
		}
		for i, p := range mainContainer(d).Ports {
			if q := s.Spec.Ports[i]; q.Port != p.ContainerPort || q.TargetPort.IntVal != q.Port || q.Name != p.Name {
				t.Errorf("Service %s maps %v to %v", s.Name, q, p)
			}
		}
		if !selects(d.Spec.Selector.MatchLabels, d.Spec.Template.Labels) {
			t.Errorf("%s does not select its own pods", d.Name)
		}
	}
	if found != 1 {
		t.Errorf("Service %s leads to %d Deployments", s.Name, found)
	}
}

// checkPodsService finds that s leads to the metrics of all pods of c's service, ready or not.
func checkPodsService(t *testing.T, s *corev1.Service, c *corev1.Container) {
	t.Helper()
	has := slices.ContainsFunc(c.Ports, func(p corev1.ContainerPort) bool { return p.ContainerPort == s.Spec.Ports[0].Port })
	if s.Name != c.Name+"-pods" || len(s.Spec.Ports) != 1 || !has || !s.Spec.PublishNotReadyAddresses {
		t.Errorf("Service %s leads to container %s: %+v", s.Name, c.Name, s.Spec)
	}
}

func selects(selector, labels map[string]string) bool {
	for k, v := range selector {
		if labels[k] != v {
			return false
		}
	}
	return len(selector) > 0
}

func TestPromise3Networks(t *testing.T) {
	eachOutput(t, func(t *testing.T, o output) {
		subnets := map[string]netip.Prefix{}
		for _, p := range o.policies {
			if subnet, ok := p.Annotations[AnnotationSubnet]; ok {
				name := strings.TrimPrefix(p.Name, o.stack.Name+"-")
				subnets[name] = netip.MustParsePrefix(subnet)
				if p.Spec.PodSelector.MatchLabels[LabelNetworkPrefix+name] != "true" || p.Annotations[AnnotationInternal] == "" {
					t.Errorf("%s does not select its pods or is neither internal nor not", p.Name)
				}
			}
		}
		for _, n := range o.stack.Spec.Networks {
			if subnets[n.Name].String() != n.Subnet {
				t.Errorf("network %s has subnet %v", n.Name, subnets[n.Name])
			}
		}
		for _, d := range o.deployments {
			checkAttachments(t, d, subnets)
		}
		if !strings.Contains(o.text, "#   podman network create ") || !strings.Contains(o.text, "#   podman kube play --network "+o.stack.Name+"-") {
			t.Error("the head does not tell how to play it")
		}
	})
}

func checkAttachments(t *testing.T, d *appsv1.Deployment, subnets map[string]netip.Prefix) {
	t.Helper()
	joined := 0
	for label := range d.Spec.Template.Labels {
		if network, ok := strings.CutPrefix(label, LabelNetworkPrefix); ok {
			joined++
			if _, known := subnets[network]; !known {
				t.Errorf("%s joins %s, which is no network", d.Name, network)
			}
		}
	}
	if joined == 0 {
		t.Errorf("%s joins no network", d.Name)
	}
	for annotation, ip := range d.Spec.Template.Annotations {
		network, ok := strings.CutPrefix(annotation, AnnotationIPPrefix)
		if ok && (d.Spec.Template.Labels[LabelNetworkPrefix+network] != "true" || !subnets[network].Contains(netip.MustParseAddr(ip))) {
			t.Errorf("%s has %s on %s, which it can't", d.Name, ip, network)
		}
	}
}

func TestPromise4Configuration(t *testing.T) {
	digested := regexp.MustCompile(`-[0-9a-f]{10}$`)
	eachOutput(t, func(t *testing.T, o output) {
		for _, c := range o.configMaps {
			if digested.MatchString(c.Name) {
				if !strings.HasSuffix(c.Name, "-"+digestData(c.Data)) {
					t.Errorf("%s does not bear the digest of its content", c.Name)
				}
				continue
			}
			checkReload(t, o, c)
		}
		for _, d := range o.deployments {
			for _, r := range podReferences(pod(d)) {
				own := slices.ContainsFunc(o.configMaps, func(c *corev1.ConfigMap) bool { return RefOf(c) == r })
				if !own && d.Spec.Template.Annotations[ConfigAnnotation(r.Name)] == "" {
					t.Errorf("a change of %s does not reach %s", r, d.Name)
				}
			}
		}
	})
}

// checkReload finds the digest of c, and the way to take it up, on the pods that mount it.
func checkReload(t *testing.T, o output, c *corev1.ConfigMap) {
	t.Helper()
	for _, d := range o.deployments {
		if !slices.Contains(podReferences(pod(d)), RefOf(c)) {
			continue
		}
		a := d.Spec.Template.Annotations
		if a[ConfigAnnotation(c.Name)] != digestData(c.Data) || !strings.Contains(a[AnnotationReload], `"reload"`) || !strings.Contains(a[AnnotationReloadTest], `"-t"`) {
			t.Errorf("%s mounts %s, which keeps its name, and has annotations %v", d.Name, c.Name, a)
		}
	}
}

func TestPromise5Secrets(t *testing.T) {
	eachOutput(t, func(t *testing.T, o output) {
		for _, s := range o.facts.Secrets {
			for key, value := range s.Data {
				if strings.Contains(o.text, string(value)) {
					t.Errorf("key %s of Secret %s is printed", key, s.Name)
				}
			}
		}
		if strings.Contains(o.text, "\nkind: Secret\n") {
			t.Error("a Secret is printed")
		}
		for _, d := range o.deployments {
			for _, e := range mainContainer(d).Env {
				if d.Name == o.stack.Name+"-gateway" && e.ValueFrom != nil {
					t.Errorf("the gateway takes %s from elsewhere", e.Name)
				}
			}
		}
	})
}

// TestPromise5SecretDigestIgnoresContent changes what a Secret holds, then its version.
func TestPromise5SecretDigestIgnoresContent(t *testing.T) {
	c := readCase(t, "testdata/references.in.yaml")
	_, before := render(t, c)
	c.facts.Secrets["api"].Data["token"] = []byte("another token")
	if _, after := render(t, c); string(after) != string(before) {
		t.Error("the content of a Secret changes what is rendered")
	}
	c.facts.Secrets["api"].ResourceVersion = "13"
	if _, after := render(t, c); string(after) == string(before) {
		t.Error("a new version of a Secret changes nothing")
	}
}

func TestPromise6PodmanNames(t *testing.T) {
	hex := regexp.MustCompile(`^[0-9a-f]+$`)
	eachOutput(t, func(t *testing.T, o output) {
		containers, volumes := map[string]bool{}, map[string]string{}
		for _, d := range o.deployments {
			podName := d.Name + "-pod" // as kube play calls it
			if hex.MatchString(podName) {
				t.Errorf("%s could be an ID", podName)
			}
			for _, c := range pod(d).Containers {
				if containers[podName+"-"+c.Name] {
					t.Errorf("two containers are %s-%s", podName, c.Name)
				}
				containers[podName+"-"+c.Name] = true
			}
			for _, v := range pod(d).Volumes {
				name, content := podmanVolume(t, d, v)
				if other, taken := volumes[name]; taken && other != content {
					t.Errorf("volume %s is %s and %s", name, other, content)
				}
				volumes[name] = content
			}
		}
	})
}

// podmanVolume is the name that Podman gives a pod's volume, and what is in it.
func podmanVolume(t *testing.T, d *appsv1.Deployment, v corev1.Volume) (name, content string) {
	t.Helper()
	switch {
	case v.EmptyDir != nil:
		if !strings.HasPrefix(v.Name, d.Name+"-") || v.EmptyDir.Medium != "" || v.EmptyDir.SizeLimit == nil {
			t.Errorf("emptyDir %s of %s: %v", v.Name, d.Name, v.EmptyDir)
		}
		return v.Name, "emptyDir of " + d.Name
	case v.PersistentVolumeClaim != nil:
		return v.PersistentVolumeClaim.ClaimName, "claim"
	case v.ConfigMap != nil:
		if len(v.ConfigMap.Items) > 0 {
			t.Errorf("%s mounts a part of %s, which Podman merges with other parts", d.Name, v.ConfigMap.Name)
		}
		return v.ConfigMap.Name, "ConfigMap"
	case v.Secret != nil:
		return v.Secret.SecretName, "Secret"
	}
	t.Errorf("%s has a volume of another kind: %v", d.Name, v)
	return v.Name, "?"
}

func TestPromise7Probes(t *testing.T) {
	eachOutput(t, func(t *testing.T, o output) {
		for _, d := range o.deployments {
			c := mainContainer(d)
			if c.ReadinessProbe == nil {
				t.Errorf("%s is never known to be ready", d.Name)
			}
			needsShell := inContainer(c.LivenessProbe) || inContainer(c.StartupProbe)
			if told := strings.Contains(o.text, "# - "+d.Name+" is probed from inside"); told != needsShell {
				t.Errorf("%s needs a shell, curl or nc: %v; the head says so: %v", d.Name, needsShell, told)
			}
			asked := slices.ContainsFunc(o.stack.Spec.Services, func(s v1alpha1.Service) bool {
				return WorkloadName(o.stack.Name, s.Name) == d.Name && (s.Probes.Liveness != nil || s.Probes.Startup != nil)
			})
			if (c.LivenessProbe != nil || c.StartupProbe != nil) && !asked {
				t.Errorf("%s has a probe that Podman runs inside and nobody asked for", d.Name)
			}
		}
	})
}

func TestPromise8Files(t *testing.T) {
	eachOutput(t, func(t *testing.T, o output) {
		for _, d := range o.deployments {
			for _, v := range pod(d).Volumes {
				var mode *int32
				switch {
				case v.ConfigMap != nil:
					mode = v.ConfigMap.DefaultMode
				case v.Secret != nil:
					mode = v.Secret.DefaultMode
					for _, i := range v.Secret.Items {
						if i.Mode != nil || strings.Contains(i.Path, "/") {
							t.Errorf("item %s of %s: Podman knows no modes nor folders of items", i.Key, v.Secret.SecretName)
						}
					}
				default:
					continue
				}
				if mode == nil || *mode&0o444 != 0o444 {
					t.Errorf("volume %s of %s is not readable for everyone", v.Name, d.Name)
				}
			}
		}
	})
}

func TestPromise9Restrictions(t *testing.T) {
	eachOutput(t, func(t *testing.T, o output) {
		for _, d := range o.deployments {
			c, p := mainContainer(d), pod(d)
			for _, name := range []corev1.ResourceName{corev1.ResourceCPU, corev1.ResourceMemory} {
				request, limit := c.Resources.Requests[name], c.Resources.Limits[name]
				if request.Sign() <= 0 || limit.Cmp(request) < 0 {
					t.Errorf("%s has %s from %v to %v", d.Name, name, request, limit)
				}
			}
			s := c.SecurityContext
			if *s.AllowPrivilegeEscalation || !slices.Equal(s.Capabilities.Drop, []corev1.Capability{"ALL"}) || s.Privileged != nil {
				t.Errorf("%s has privileges: %v", d.Name, s)
			}
			if *p.AutomountServiceAccountToken || *p.EnableServiceLinks || p.HostNetwork || p.HostPID || p.HostIPC ||
				p.SecurityContext.SeccompProfile.Type != corev1.SeccompProfileTypeRuntimeDefault {
				t.Errorf("%s has more of its host than it needs", d.Name)
			}
			writable := slices.ContainsFunc(o.stack.Spec.Services, func(s v1alpha1.Service) bool {
				return WorkloadName(o.stack.Name, s.Name) == d.Name && s.Security.WritableRootFilesystem
			})
			if *s.ReadOnlyRootFilesystem == writable {
				t.Errorf("%s has a read-only root file system: %v", d.Name, !writable)
			}
			for _, port := range c.Ports {
				if port.HostPort != 0 && d.Name != o.stack.Name+"-gateway" {
					t.Errorf("%s has port %d of the host", d.Name, port.HostPort)
				}
			}
		}
	})
}

func TestPromise10RunTimeResolution(t *testing.T) {
	upstream := regexp.MustCompile(`proxy_pass (\S+);`)
	resolved := regexp.MustCompile(`^http://[a-z0-9-]+\$service_domain:[0-9]+$`)
	found := 0
	eachOutput(t, func(t *testing.T, o output) {
		for _, c := range o.configMaps {
			config := c.Data[gatewayConfigFile]
			for _, m := range upstream.FindAllStringSubmatch(config, -1) {
				found++
				if !resolved.MatchString(m[1]) {
					t.Errorf("%s is resolved once, at start", m[1])
				}
			}
			if config != "" && (strings.Contains(config, "\nupstream ") || !strings.Contains(config, "include "+gatewayRunDir+"/resolver.conf;")) {
				t.Errorf("%s knows no resolver, or upstreams that it would not ask", c.Name)
			}
		}
	})
	if found < 8 {
		t.Errorf("only %d upstreams were looked at", found)
	}
}

// TestPromise11Stopping finds that whatever is done between the withdrawal of a name and SIGKILL fits in between, and that
// where pods are rolled, there is such a moment, unless nobody has time for it or it was asked for otherwise.
func TestPromise11Stopping(t *testing.T) {
	drain := regexp.MustCompile(`worker_shutdown_timeout (\S+);`)
	eachOutput(t, func(t *testing.T, o output) {
		for _, d := range o.deployments {
			grace, sleep := *pod(d).TerminationGracePeriodSeconds, int64(0)
			if l := mainContainer(d).Lifecycle; l != nil && l.PreStop != nil && l.PreStop.Sleep != nil {
				sleep = l.PreStop.Sleep.Seconds
			}
			if sleep > 0 && sleep >= grace {
				t.Errorf("%s sleeps for %d of %d seconds", d.Name, sleep, grace)
			}
			asked := slices.ContainsFunc(o.stack.Spec.Services, func(s v1alpha1.Service) bool {
				return WorkloadName(o.stack.Name, s.Name) == d.Name && s.PreStop != nil
			})
			rolled := d.Spec.Strategy.Type == appsv1.RollingUpdateDeploymentStrategyType && grace > 3
			if want := map[bool]int64{true: 3}[rolled]; !asked && sleep != want {
				t.Errorf("%s sleeps for %d seconds, want %d", d.Name, sleep, want)
			}
		}
		for _, c := range o.configMaps {
			if m := drain.FindStringSubmatch(c.Data[gatewayConfigFile]); m != nil {
				if d, err := time.ParseDuration(m[1]); err != nil || d <= 0 || d >= terminationGracePeriodSecond*time.Second {
					t.Errorf("nginx drains for %s of %d seconds: %v", m[1], terminationGracePeriodSecond, err)
				}
			} else if c.Data[gatewayConfigFile] != "" {
				t.Error("nginx would wait for its clients until it is killed")
			}
		}
	})
}

// TestPromise12Rollouts finds that a roll-out can go on and has an end.
func TestPromise12Rollouts(t *testing.T) {
	eachOutput(t, func(t *testing.T, o output) {
		for _, d := range o.deployments {
			if d.Spec.MinReadySeconds >= *d.Spec.ProgressDeadlineSeconds {
				t.Errorf("%s is given up after %ds, and is done after %ds at least", d.Name, *d.Spec.ProgressDeadlineSeconds, d.Spec.MinReadySeconds)
			}
			r := d.Spec.Strategy.RollingUpdate
			if (r != nil) != (d.Spec.Strategy.Type == appsv1.RollingUpdateDeploymentStrategyType) {
				t.Errorf("%s has strategy %+v", d.Name, d.Spec.Strategy)
			}
			if r != nil && none(r.MaxSurge, 1) && none(r.MaxUnavailable, 0) {
				t.Errorf("%s can't replace a pod: %+v", d.Name, r)
			}
			component := d.Labels[LabelComponent]
			if got := d.Spec.Template.Annotations[AnnotationRestartedAt]; got != o.stack.Annotations["restart.mockup.dev/"+component] {
				t.Errorf("%s was restarted at %q", d.Name, got)
			}
		}
	})
}
