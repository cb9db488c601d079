package manifests

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"mockup.dev/mockup/api/v1alpha1"
)

// TestInvalid changes one thing of a valid stack at a time and finds the field in the error.
func TestInvalid(t *testing.T) {
	for _, c := range []struct {
		field string
		spoil func(s *v1alpha1.MockupStack)
	}{
		{"metadata.name", func(s *v1alpha1.MockupStack) { s.Name = "Mockup" }},
		{"metadata.name", func(s *v1alpha1.MockupStack) { s.Name = "1st" }},
		{"metadata.name", func(s *v1alpha1.MockupStack) { s.Name = "a.b" }},
		{"metadata.name", func(s *v1alpha1.MockupStack) { s.Name = strings.Repeat("a", 45) }},
		{"metadata.namespace", func(s *v1alpha1.MockupStack) { s.Namespace = "a.b" }},
		{"spec.networks[0].name", func(s *v1alpha1.MockupStack) { s.Spec.Networks[0].Name = "a b" }},
		{"spec.networks[0].subnet", func(s *v1alpha1.MockupStack) { s.Spec.Networks[0].Subnet = "172.18.0.0/16; deny all" }},
		{"spec.networks[0].subnet", func(s *v1alpha1.MockupStack) { s.Spec.Networks[0].Subnet = "172.18.0.1/16" }},
		{"spec.networks[0].subnet", func(s *v1alpha1.MockupStack) { s.Spec.Networks[0].Subnet = "fd00::/64" }},
		{"spec.gateway", func(s *v1alpha1.MockupStack) { s.Spec.Networks[1].Name = "gateway-ingress" }},
		{"spec.networks[1].name", func(s *v1alpha1.MockupStack) { s.Spec.Networks[1].Name = "public" }},
		{"spec.volumes[0].size", func(s *v1alpha1.MockupStack) { s.Spec.Volumes[0].Size = nil }},
		{"spec.volumes[0].size", func(s *v1alpha1.MockupStack) { s.Spec.Volumes[0].Size = quantity("-1") }},
		{"spec.volumes[0].existing", func(s *v1alpha1.MockupStack) { s.Spec.Volumes[0].Existing = "../x" }},
		{"spec.volumes[0].reclaimPolicy", func(s *v1alpha1.MockupStack) { s.Spec.Volumes[0].ReclaimPolicy = "Recycle" }},
		{"spec.services[0].name", func(s *v1alpha1.MockupStack) { s.Spec.Volumes[0].Name = "mime-server-tmp" }},
		{"spec.gateway", func(s *v1alpha1.MockupStack) { s.Spec.Volumes[0].Name = "gateway-config" }},
		{"spec.gateway.tls.secretName", func(s *v1alpha1.MockupStack) {
			s.Spec.Gateway.TLS = v1alpha1.GatewayTLS{SecretName: "mockup-mime-storage"}
		}},
		{"spec.services[0].name", func(s *v1alpha1.MockupStack) { s.Spec.Services[0].Name = "gateway" }},
		{"spec.services[0].name", func(s *v1alpha1.MockupStack) { s.Spec.Services[0].Name = "mockup-gateway" }},
		{"spec.services[1].name", func(s *v1alpha1.MockupStack) { s.Spec.Services[1].Name = "mime-server" }},
		{"spec.services[0].name", func(s *v1alpha1.MockupStack) { s.Spec.Services[0].Name = strings.Repeat("a", 60) }},
		{"spec.services[0].image", func(s *v1alpha1.MockupStack) { s.Spec.Services[0].Image = "a b" }},
		{"spec.services[0].port", func(s *v1alpha1.MockupStack) { s.Spec.Services[0].Port = 0 }},
		{"spec.services[0].metricsPort", func(s *v1alpha1.MockupStack) { s.Spec.Services[0].MetricsPort = 65536 }},
		{"spec.services[0].replicas", func(s *v1alpha1.MockupStack) { s.Spec.Services[0].Replicas = ptr[int32](-1) }},
		{"spec.services[0].networks[0].ip", func(s *v1alpha1.MockupStack) { s.Spec.Services[0].Replicas = ptr[int32](2) }},
		{"spec.services[0].networks[0].ip", func(s *v1alpha1.MockupStack) { s.Spec.Services[0].Networks[0].IP = "10.0.0.1" }},
		{"spec.services[1].networks[0].ip", func(s *v1alpha1.MockupStack) { s.Spec.Services[1].Networks[0].IP = "172.18.0.4" }},
		{"spec.services[0].networks[0].name", func(s *v1alpha1.MockupStack) { s.Spec.Services[0].Networks[0].Name = "no" }},
		{"spec.services[0].networks[1].name", func(s *v1alpha1.MockupStack) { s.Spec.Services[0].Networks[1].Name = "public" }},
		{"spec.services[0].volumeMounts[0].volume", func(s *v1alpha1.MockupStack) { s.Spec.Services[0].VolumeMounts[0].Volume = "no" }},
		{"spec.services[0].volumeMounts[0].mountPath", func(s *v1alpha1.MockupStack) { s.Spec.Services[0].VolumeMounts[0].MountPath = "/a:ro" }},
		{"spec.services[0].volumeMounts[0].mountPath", func(s *v1alpha1.MockupStack) { s.Spec.Services[0].VolumeMounts[0].MountPath = "/tmp" }},
		{"spec.services[0].volumeMounts[0].subPath", func(s *v1alpha1.MockupStack) { s.Spec.Services[0].VolumeMounts[0].SubPath = "a/../../b" }},
		{"spec.services[1].env[0].name", func(s *v1alpha1.MockupStack) { s.Spec.Services[1].Env[0].Name = "A=B" }},
		{"spec.services[1].env[0]", func(s *v1alpha1.MockupStack) {
			s.Spec.Services[1].Env[0].ValueFrom = &v1alpha1.EnvVarSource{SecretKeyRef: &v1alpha1.KeyRef{Name: "a", Key: "b"}}
		}},
		{"spec.services[1].env[0].valueFrom", func(s *v1alpha1.MockupStack) {
			s.Spec.Services[1].Env[0] = v1alpha1.EnvVar{Name: "A", ValueFrom: &v1alpha1.EnvVarSource{}}
		}},
		{"spec.services[1].envFrom[0].configMapRef", func(s *v1alpha1.MockupStack) {
			s.Spec.Services[1].EnvFrom = []v1alpha1.EnvFromSource{{ConfigMapRef: &v1alpha1.ObjectRef{Name: "../etc"}}}
		}},
		{"spec.services[1].envFrom[0].configMapRef", func(s *v1alpha1.MockupStack) {
			s.Spec.Services[1].EnvFrom = []v1alpha1.EnvFromSource{{ConfigMapRef: &v1alpha1.ObjectRef{Name: "mockup-gateway-config"}}}
		}},
		{"spec.services[0].resources.requests.memory", func(s *v1alpha1.MockupStack) {
			s.Spec.Services[0].Resources = &v1alpha1.Resources{
				Requests: v1alpha1.ResourceAmounts{Memory: quantity("2Gi")}, Limits: v1alpha1.ResourceAmounts{Memory: quantity("1Gi")},
			}
		}},
		{"spec.services[0].updateStrategy.type", func(s *v1alpha1.MockupStack) { s.Spec.Services[0].UpdateStrategy.Type = "OnDelete" }},
		{"spec.services[1].updateStrategy.maxSurge", func(s *v1alpha1.MockupStack) {
			s.Spec.Services[1].UpdateStrategy.MaxSurge = ptr(intstr.FromString("101%"))
		}},
		{"spec.services[1].updateStrategy.maxUnavailable", func(s *v1alpha1.MockupStack) {
			s.Spec.Services[1].UpdateStrategy.MaxUnavailable = ptr(intstr.FromString("1"))
		}},
		{"spec.services[1].updateStrategy.maxSurge", func(s *v1alpha1.MockupStack) {
			s.Spec.Services[1].UpdateStrategy.MaxSurge = ptr(intstr.FromString("0%"))
		}},
		{"spec.services[0].updateStrategy", func(s *v1alpha1.MockupStack) {
			s.Spec.Services[0].UpdateStrategy.MaxSurge = ptr(intstr.FromInt32(1))
		}},
		{"spec.services[1].minReadySeconds", func(s *v1alpha1.MockupStack) { s.Spec.Services[1].MinReadySeconds = -1 }},
		{"spec.services[1].progressDeadlineSeconds", func(s *v1alpha1.MockupStack) { s.Spec.Services[1].MinReadySeconds = 300 }},
		{"spec.services[1].terminationGracePeriodSeconds", func(s *v1alpha1.MockupStack) {
			s.Spec.Services[1].TerminationGracePeriodSeconds = ptr[int64](-1)
		}},
		{"spec.services[1].preStop", func(s *v1alpha1.MockupStack) { s.Spec.Services[1].PreStop = &v1alpha1.PreStop{} }},
		{"spec.services[1].preStop.sleepSeconds", func(s *v1alpha1.MockupStack) {
			s.Spec.Services[1].PreStop = &v1alpha1.PreStop{SleepSeconds: ptr[int64](30)}
		}},
		{"spec.services[1].preStop.exec.command", func(s *v1alpha1.MockupStack) {
			s.Spec.Services[1].PreStop = &v1alpha1.PreStop{Exec: &v1alpha1.ExecProbe{}}
		}},
		{"spec.services[1].preStop.httpGet.port", func(s *v1alpha1.MockupStack) {
			s.Spec.Services[1].PreStop = &v1alpha1.PreStop{HTTPGet: &v1alpha1.HTTPGetHook{}}
		}},
		{"spec.gateway.https.hostPort", func(s *v1alpha1.MockupStack) { s.Spec.Gateway.HTTPS.HostPort = 0 }},
		{"spec.gateway.http.hostIP", func(s *v1alpha1.MockupStack) { s.Spec.Gateway.HTTP.HostIP = "localhost" }},
		{"spec.gateway.http.hostPort", func(s *v1alpha1.MockupStack) { s.Spec.Gateway.HTTP.HostPort = 443 }},
		{"spec.gateway.tls", func(s *v1alpha1.MockupStack) { s.Spec.Gateway.TLS.SecretName = "also" }},
		{"spec.gateway.tls", func(s *v1alpha1.MockupStack) { s.Spec.Gateway.TLS = v1alpha1.GatewayTLS{} }},
		{"spec.gateway.maxBodySize", func(s *v1alpha1.MockupStack) { s.Spec.Gateway.MaxBodySize = quantity("0") }},
		{"spec.gateway.timeouts.read", func(s *v1alpha1.MockupStack) {
			s.Spec.Gateway.Timeouts.Read = &metav1.Duration{Duration: -time.Second}
		}},
		{"spec.gateway.routes[1].path", func(s *v1alpha1.MockupStack) { s.Spec.Gateway.Routes[1].Path = "/" }},
		{"spec.gateway.routes[0].service", func(s *v1alpha1.MockupStack) { s.Spec.Gateway.Routes[0].Service = "no" }},
		{"spec.gateway.routes[2].allowFrom[0]", func(s *v1alpha1.MockupStack) { s.Spec.Gateway.Routes[2].AllowFrom[0] = "all" }},
		{"spec.gateway.routes[0].path", func(s *v1alpha1.MockupStack) {
			s.Spec.Gateway.Routes[0].Path, s.Spec.Gateway.Routes[0].StripPath = "/x", true
		}},
	} {
		s := readCase(t, "testdata/mission.in.yaml").stack
		c.spoil(s)
		_, err := Stack(s, StackFacts{})
		var invalid *InvalidError
		if !errors.As(err, &invalid) || invalid.Reason == "" || !slices.Contains(fields(err), c.field) {
			t.Errorf("%s should be refused; got %v", c.field, err)
		}
	}
}

// fields of all the InvalidErrors that are joined in err.
func fields(err error) []string {
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		var out []string
		for _, e := range joined.Unwrap() {
			out = append(out, fields(e)...)
		}
		return out
	}
	var invalid *InvalidError
	if errors.As(err, &invalid) {
		return []string{invalid.Field}
	}
	return nil
}

// TestNastyRoutes finds that nothing which means more to nginx than itself gets into its configuration.
func TestNastyRoutes(t *testing.T) {
	texts := []string{
		`"`, `\`, `;`, `{`, `}`, `$`, `$host`, ` `, "\n", "\t", "\x00", `#`, `'`, `"; return 200 "`, `%2e`, `..`, `a/../b`, `//`, `*`, `~`, `(`, `é`, "\u2028",
	}
	for _, n := range texts {
		for place, spoil := range map[string]func(r *v1alpha1.Route){
			"host": func(r *v1alpha1.Route) { r.Host = "a" + n + "b" },
			"path": func(r *v1alpha1.Route) { r.Path = "/a/" + n + "/b/" },
			"cidr": func(r *v1alpha1.Route) { r.AllowFrom = []string{"10.0.0.0/8" + n} },
			"name": func(r *v1alpha1.Route) { r.Service = "public-app" + n },
		} {
			if n == ".." && place == "host" || n == "~" && place == "path" {
				continue // a plain "~" is fine in a path
			}
			s := readCase(t, "testdata/mission.in.yaml").stack
			spoil(&s.Spec.Gateway.Routes[0])
			var invalid *InvalidError
			if _, err := Stack(s, StackFacts{}); !errors.As(err, &invalid) {
				t.Errorf("%q in a %s gives %v", n, place, err)
			}
		}
	}
}

func TestMissing(t *testing.T) {
	c := readCase(t, "testdata/missing.in.yaml")
	set, err := Stack(c.stack, c.facts)
	var missing *MissingError
	if !errors.As(err, &missing) {
		t.Fatalf("got %v", err)
	}
	want := "not found: Secret/early-gateway-tls (spec.gateway.tls.selfSigned); " +
		"Secret/api with token (spec.services[0].env[0].valueFrom.secretKeyRef); " +
		"ConfigMap/theme (spec.services[0].env[1].valueFrom.configMapKeyRef)"
	if err.Error() != want {
		t.Errorf("got  %s\nwant %s", err, want)
	}
	if len(set.Objects) == 0 {
		t.Error("there is nothing to look at")
	}
}

// TestReferences lists them once for each place, and copies what is needed and no more.
func TestReferences(t *testing.T) {
	c := readCase(t, "testdata/references.in.yaml")
	var got []string
	for _, r := range StackReferences(c.stack) {
		got = append(got, r.String())
		if !r.Env || r.Generated {
			t.Errorf("%s: %+v", r, r)
		}
	}
	want := []string{
		"ConfigMap/settings (spec.services[0].envFrom[0].configMapRef)",
		"Secret/credentials (spec.services[0].envFrom[1].secretRef)",
		"Secret/api with token (spec.services[0].env[5].valueFrom.secretKeyRef)",
		"ConfigMap/theme with colour (spec.services[0].env[6].valueFrom.configMapKeyRef)",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got %q", got)
	}
	set, err := Stack(c.stack, c.facts)
	if err != nil {
		t.Fatal(err)
	}
	if len(set.Secrets) != 2 || len(set.ConfigMaps) != 2 {
		t.Fatalf("%d Secrets, %d ConfigMaps", len(set.Secrets), len(set.ConfigMaps))
	}
	api := set.Secrets[0]
	if len(api.Data) != 1 || string(api.Data["token"]) != "the token of the api" || len(api.Annotations) > 0 || api.Kind != "Secret" || api.ResourceVersion != "12" {
		t.Errorf("%+v", api)
	}
	api.Data["token"][0] = 'X'
	if string(c.facts.Secrets["api"].Data["token"]) != "the token of the api" {
		t.Error("a copy shares its bytes with the original")
	}
}

// TestRemoval retains what the specification says now.
func TestRemoval(t *testing.T) {
	s := readCase(t, "testdata/two-networks.in.yaml").stack
	for _, want := range []v1alpha1.ReclaimPolicy{v1alpha1.ReclaimDelete, v1alpha1.ReclaimRetain} {
		s.Spec.Volumes[0].ReclaimPolicy = want
		set := StackRemoval(s)
		if !set.Remove || !set.Owner.Is(StackOwner(s)) || len(set.Objects) != 1 || set.Objects[0].GetLabels()[LabelReclaim] != string(want) {
			t.Errorf("%s: %+v", want, set)
		}
	}
}

// TestSecretAndConfigMapOfOneName share an annotation, which changes with either.
func TestSecretAndConfigMapOfOneName(t *testing.T) {
	a := map[string]string{}
	annotateConfig(a, "x", "1")
	annotateConfig(a, "x", "2")
	b := map[string]string{}
	annotateConfig(b, "x", "1")
	annotateConfig(b, "x", "3")
	if len(a) != 1 || a[ConfigAnnotation("x")] == b[ConfigAnnotation("x")] || a[ConfigAnnotation("x")] == "1" {
		t.Errorf("%v, %v", a, b)
	}
}

func TestConfigAnnotation(t *testing.T) {
	long := strings.Repeat("a", 52) + strings.Repeat(".b", 40)
	for _, name := range []string{"x", strings.Repeat("a", 63), long, long + ".c"} {
		key := strings.TrimPrefix(ConfigAnnotation(name), AnnotationConfigPrefix)
		if len(key) > 63 || len(name) <= 63 && key != name {
			t.Errorf("%s is annotated as %s", name, key)
		}
	}
	if ConfigAnnotation(long) == ConfigAnnotation(long+".c") {
		t.Error("two long names are annotated alike")
	}
}
