package manifests

import (
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"

	"mockup.dev/mockup/api/v1alpha1"
)

// traced renders the sample stack with a sampling ratio, and returns the variables of public-app and nginx' configuration.
func traced(t *testing.T, ratio string, change func(s *v1alpha1.MockupStack)) (env map[string]string, nginx string) {
	t.Helper()
	c := readCase(t, sample)
	addon := &v1alpha1.ObservabilityAddon{}
	addon.Spec.Tracing.SamplingRatio = ratio
	c.facts.Tracing = TracingOf(addon)
	if change != nil {
		change(c.stack)
	}
	set, _ := render(t, c)
	env = map[string]string{}
	for _, o := range set.Objects {
		switch template := templateOf(o); {
		case template != nil && o.GetName() == "mockup-public-app":
			for _, e := range template.Spec.Containers[0].Env {
				env[e.Name] = e.Value
			}
		case RefOf(o).Kind == "ConfigMap" && configData(o)[gatewayConfigFile] != "":
			nginx = configData(o)[gatewayConfigFile]
		}
	}
	return env, nginx
}

func TestServicesAreToldWhereTracesGo(t *testing.T) {
	env, _ := traced(t, "0.25", nil)
	for name, want := range map[string]string{
		"OTEL_EXPORTER_OTLP_ENDPOINT": "http://jaeger:4318", "OTEL_SERVICE_NAME": "public-app",
		"OTEL_TRACES_SAMPLER": "parentbased_traceidratio", "OTEL_TRACES_SAMPLER_ARG": "0.25",
	} {
		if env[name] != want {
			t.Errorf("%s is %q, want %q", name, env[name], want)
		}
	}
	env, _ = traced(t, "1", func(s *v1alpha1.MockupStack) {
		i := slices.IndexFunc(s.Spec.Services, func(s v1alpha1.Service) bool { return s.Name == "public-app" })
		s.Spec.Services[i].Env = append(s.Spec.Services[i].Env, v1alpha1.EnvVar{Name: "OTEL_EXPORTER_OTLP_ENDPOINT", Value: "http://other:4318"})
	})
	if env["OTEL_EXPORTER_OTLP_ENDPOINT"] != "http://other:4318" {
		t.Errorf("a service's own endpoint became %q", env["OTEL_EXPORTER_OTLP_ENDPOINT"])
	}
	if TracingOf(nil) != nil || TracingOf(&v1alpha1.ObservabilityAddon{Spec: v1alpha1.ObservabilityAddonSpec{
		Tracing: v1alpha1.Tracing{Component: v1alpha1.Component{Enabled: ptr(false)}},
	}}) != nil {
		t.Error("traces go where nobody takes them")
	}
}

func TestGatewayMarksSampledTraces(t *testing.T) {
	for ratio, want := range map[string][]string{
		"0.25":   {"split_clients $request_id $sampled {", "25.00% 01;", "* 00;", `"00-$request_id-$span_id-$sampled"`},
		"0.0001": {"0.01% 01;", "* 00;"},
		"0":      {"* 00;", "$sampled"},
		"1":      {`"00-$request_id-$span_id-01"`},
	} {
		_, nginx := traced(t, ratio, nil)
		for _, w := range want {
			if !strings.Contains(nginx, w) {
				t.Errorf("with a ratio of %s, nginx is not told %s", ratio, w)
			}
		}
		if strings.Contains(nginx, "0.00%") || ratio == "1" && strings.Contains(nginx, "split_clients") {
			t.Errorf("with a ratio of %s, nginx is told what it refuses, or needs not know", ratio)
		}
	}
}

// TestTracingChangesNothingElse renders the same bytes without it.
func TestTracingChangesNothingElse(t *testing.T) {
	env, nginx := traced(t, "1", nil)
	c := readCase(t, sample)
	set, _ := render(t, c)
	for _, o := range set.Objects {
		if RefOf(o).Kind == "ConfigMap" && configData(o)[gatewayConfigFile] != "" && configData(o)[gatewayConfigFile] != nginx {
			t.Error("the gateway's configuration differs although every trace is sampled")
		}
		if template := templateOf(o); template != nil && slices.ContainsFunc(template.Spec.Containers[0].Env, func(e corev1.EnvVar) bool {
			return strings.HasPrefix(e.Name, "OTEL_")
		}) {
			t.Errorf("%s is told where traces go, and nobody takes them", o.GetName())
		}
	}
	if len(env) == 0 {
		t.Error("public-app was not found")
	}
}
