package manifests

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/common/model"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"mockup.dev/mockup/api/v1alpha1"
)

// TestInvalidAddon changes one thing of a valid addon, or of its stack, at a time and finds the field in the error.
func TestInvalidAddon(t *testing.T) {
	type addon = v1alpha1.ObservabilityAddon
	type stack = v1alpha1.MockupStack
	objective := func(o v1alpha1.Objective) func(a *addon, _ *stack) {
		return func(a *addon, _ *stack) { a.Spec.Objectives = append(a.Spec.Objectives, o) }
	}
	for _, c := range []struct {
		field string
		spoil func(a *addon, s *stack)
	}{
		{"metadata.name", func(a *addon, _ *stack) { a.Name = "Mockup" }},
		{"metadata.name", func(a *addon, _ *stack) { a.Name = strings.Repeat("a", 40) }},
		{"metadata.namespace", func(a *addon, _ *stack) { a.Namespace = "a.b" }},
		{"spec.stackRef.name", func(a *addon, _ *stack) { a.Spec.StackRef.Name = "other" }},
		{"spec.stackRef.name", func(_ *addon, s *stack) { s.Spec.Networks[0].Subnet = "x" }},
		{"spec.stackRef.name", func(_ *addon, s *stack) { s.Spec.Services[0].Name, s.Spec.Gateway.Routes[1].Service = "loki", "loki" }},
		{"spec.stackRef.name", func(_ *addon, s *stack) {
			s.Spec.Volumes = append(s.Spec.Volumes, v1alpha1.Volume{Name: "jaeger", Size: quantity("1Gi")})
		}},
		{"spec.metrics.scrapeInterval", func(a *addon, _ *stack) { a.Spec.Metrics.ScrapeInterval = "3m" }},
		{"spec.metrics.retention", func(a *addon, _ *stack) { a.Spec.Metrics.Retention = "-1d" }},
		{"spec.metrics.retention", func(a *addon, _ *stack) { a.Spec.Metrics.Retention = "99999w" }},
		{"spec.metrics.retention", func(a *addon, _ *stack) { a.Spec.Metrics.Retention = "719h" }},
		{"spec.logs.retention", func(a *addon, _ *stack) { a.Spec.Logs.Retention = "12h" }},
		{"spec.logs.retention", func(a *addon, _ *stack) { a.Spec.Logs.Retention = "10000w" }},
		{"spec.tracing.retention", func(a *addon, _ *stack) { a.Spec.Tracing.Retention = "100000d" }},
		{"spec.logs.agent", func(a *addon, _ *stack) { a.Spec.Logs.Agent = "Alloy" }},
		{"spec.tracing.retention", func(a *addon, _ *stack) { a.Spec.Tracing.Retention = "2y" }},
		{"spec.tracing.samplingRatio", func(a *addon, _ *stack) { a.Spec.Tracing.SamplingRatio = "1.5" }},
		{"spec.tracing.samplingRatio", func(a *addon, _ *stack) { a.Spec.Tracing.SamplingRatio = "NaN" }},
		{"spec.metrics.image", func(a *addon, _ *stack) { a.Spec.Metrics.Image = "a b" }},
		{"spec.logs.storage.size", func(a *addon, _ *stack) { a.Spec.Logs.Storage.Size = quantity("-1Gi") }},
		{"spec.tracing.storage.reclaimPolicy", func(a *addon, _ *stack) { a.Spec.Tracing.Storage.ReclaimPolicy = "Keep" }},
		{"spec.dashboards.expose.hostIP", func(a *addon, _ *stack) { a.Spec.Dashboards.Expose.HostIP = "localhost" }},
		{"spec.dashboards.expose.hostPort", func(a *addon, _ *stack) { a.Spec.Dashboards.Expose.HostPort = ptr[int32](70000) }},
		{"spec.metrics.expose.hostPort", func(a *addon, _ *stack) { a.Spec.Metrics.Expose.HostPort = ptr[int32](8443) }},
		{"spec.dashboards.expose.hostPort", func(a *addon, _ *stack) { a.Spec.Dashboards.Expose.HostPort = ptr[int32](9090) }},
		{"spec.tracing.ingest[1].hostPort", func(a *addon, _ *stack) {
			a.Spec.Tracing.Ingest = []v1alpha1.TraceIngest{{Protocol: v1alpha1.TraceJaegerHTTP, HostPort: 14268}, {Protocol: v1alpha1.TraceOTLPGRPC, HostPort: 3100}}
		}},
		{"spec.tracing.ingest[0].hostPort", func(a *addon, _ *stack) {
			a.Spec.Tracing.Ingest = []v1alpha1.TraceIngest{{Protocol: v1alpha1.TraceOTLPGRPC, HostPort: 3100}}
		}},
		{"spec.objectives[3].service", objective(v1alpha1.Objective{Name: "x", Service: "nobody", ErrorRate: &v1alpha1.ErrorRateObjective{Agreed: "1"}})},
		{"spec.objectives[3].name", objective(v1alpha1.Objective{Name: "gateway-errors", Service: "gateway", ErrorRate: &v1alpha1.ErrorRateObjective{Agreed: "1"}})},
		{"spec.objectives[3].name", objective(v1alpha1.Objective{Name: `a"b`, Service: "gateway", ErrorRate: &v1alpha1.ErrorRateObjective{Agreed: "1"}})},
		{"spec.objectives[3].window", objective(v1alpha1.Objective{Name: "x", Service: "gateway", Window: "1h", ErrorRate: &v1alpha1.ErrorRateObjective{Agreed: "1"}})},
		{"spec.objectives[3]", objective(v1alpha1.Objective{Name: "x", Service: "gateway"})},
		{"spec.objectives[3].availability.agreed", objective(v1alpha1.Objective{Name: "x", Service: "gateway", Availability: &v1alpha1.AvailabilityObjective{Agreed: "100"}})},
		{"spec.objectives[3].availability.target", objective(v1alpha1.Objective{Name: "x", Service: "gateway", Availability: &v1alpha1.AvailabilityObjective{Agreed: "99", Target: "98"}})},
		{"spec.objectives[3].errorRate.agreed", objective(v1alpha1.Objective{Name: "x", Service: "gateway", ErrorRate: &v1alpha1.ErrorRateObjective{Agreed: "0"}})},
		{"spec.objectives[3].errorRate.target", objective(v1alpha1.Objective{Name: "x", Service: "gateway", ErrorRate: &v1alpha1.ErrorRateObjective{Agreed: "1", Target: "2"}})},
		{"spec.objectives[3].latency.agreed", objective(v1alpha1.Objective{Name: "x", Service: "gateway", Latency: &v1alpha1.LatencyObjective{}})},
		{"spec.objectives[3].latency.agreed", objective(v1alpha1.Objective{
			Name: "x", Service: "gateway", Latency: &v1alpha1.LatencyObjective{Agreed: metav1.Duration{Duration: 3 * time.Second}},
		})},
		{"spec.objectives[3].latency.percentile", objective(v1alpha1.Objective{
			Name: "x", Service: "mime-server", Latency: &v1alpha1.LatencyObjective{Percentile: 100, Agreed: metav1.Duration{Duration: time.Second}},
		})},
		{"spec.objectives[0].service", func(_ *addon, s *stack) { s.Spec.Gateway = nil }},
		{"spec.objectives[0].service", func(a *addon, s *stack) {
			a.Spec.Objectives[0].Service, s.Spec.Services[0].MetricsPort = "mime-server", 0
		}},
		{"spec.objectives", func(a *addon, _ *stack) { a.Spec.Metrics.Enabled = ptr(false) }},
		{"spec.objectives", func(a *addon, _ *stack) { a.Spec.Logs.Enabled = ptr(false) }},
		{"spec.objectives", func(a *addon, _ *stack) { a.Spec.Logs.Agent = v1alpha1.AgentOpenTelemetryCollector }},
		{"spec.alerting.receivers[0]", func(a *addon, _ *stack) { a.Spec.Alerting.Receivers = []v1alpha1.AlertReceiver{{Name: "x"}} }},
		{"spec.alerting.receivers[1].name", func(a *addon, _ *stack) {
			slack := &v1alpha1.SlackReceiver{Channel: "#a", WebhookSecret: v1alpha1.KeyRef{Name: "s", Key: "k"}}
			a.Spec.Alerting.Receivers = []v1alpha1.AlertReceiver{{Name: "x", Slack: slack}, {Name: "x", Slack: slack}}
		}},
		{"spec.alerting.receivers[0].slack.webhookSecret", func(a *addon, _ *stack) {
			a.Spec.Alerting.Receivers = []v1alpha1.AlertReceiver{{Name: "x", Slack: &v1alpha1.SlackReceiver{Channel: "#a"}}}
		}},
		{"spec.alerting.routes[0].receivers[0]", func(a *addon, _ *stack) {
			a.Spec.Alerting.Routes = []v1alpha1.AlertRoute{{Receivers: []string{"x"}}}
		}},
		{"spec.alerting.receivers[0].pagerDuty.url", func(a *addon, _ *stack) {
			pager := &v1alpha1.PagerDutyReceiver{RoutingKeySecret: v1alpha1.KeyRef{Name: "s", Key: "k"}, URL: "http:///nobody"}
			a.Spec.Alerting.Receivers = []v1alpha1.AlertReceiver{{Name: "x", PagerDuty: pager}}
		}},
		{"spec.alerting.receivers[1]", func(a *addon, _ *stack) { // no port
			a.Spec.Alerting.Receivers = []v1alpha1.AlertReceiver{
				{Name: "x", Email: &v1alpha1.EmailReceiver{To: []string{"a@b"}, From: "a@b", Smarthost: "mail:25"}},
				{Name: "y", Email: &v1alpha1.EmailReceiver{To: []string{"a@b"}, From: "a@b", Smarthost: "mail"}},
			}
		}},
		{"spec.alerting.routes[0]", func(a *addon, _ *stack) { // all the time
			a.Spec.Alerting.Receivers = []v1alpha1.AlertReceiver{
				{Name: "x", Email: &v1alpha1.EmailReceiver{To: []string{"a@b"}, From: "a@b", Smarthost: "mail:25"}},
			}
			a.Spec.Alerting.Routes = []v1alpha1.AlertRoute{{Receivers: []string{"x"}, RepeatInterval: &metav1.Duration{}}}
		}},
	} {
		in := readCase(t, "testdata/observability/mission.in.yaml")
		c.spoil(in.addon, in.stack)
		_, err := Observability(in.addon, in.addonFacts())
		var invalid *InvalidError
		if !errors.As(err, &invalid) || invalid.Field != c.field {
			t.Errorf("%s: got %v", c.field, err)
		}
	}
}

// TestLongestPeriods are such that every program can read them.
func TestLongestPeriods(t *testing.T) {
	for _, longest := range []string{"99999h", "99999d", "9999w"} {
		n, err := hours(longest)
		if d, parseErr := time.ParseDuration(fmt.Sprintf("%dh", n)); err != nil || parseErr != nil || d <= 0 {
			t.Errorf("%s is %d hours, %v (%v, %v)", longest, n, d, err, parseErr)
		}
		if d, err := model.ParseDuration(longest); err != nil || d <= 0 {
			t.Errorf("%s is %v for Prometheus and Loki (%v)", longest, d, err)
		}
		c := readCase(t, "testdata/observability/mission.in.yaml")
		c.addon.Spec.Metrics.Retention, c.addon.Spec.Logs.Retention, c.addon.Spec.Tracing.Retention = longest, longest, longest
		if _, err := Observability(c.addon, c.addonFacts()); err != nil {
			t.Error(err)
		}
	}
	c := readCase(t, "testdata/observability/mission.in.yaml")
	for _, retention := range []string{"", "720h", "30d", "5w"} { // all cover 30d
		c.addon.Spec.Metrics.Retention = retention
		if _, err := Observability(c.addon, c.addonFacts()); err != nil {
			t.Error(err)
		}
	}
}

// TestAddonWithoutStack says which stack is missing.
func TestAddonWithoutStack(t *testing.T) {
	c := readCase(t, "testdata/observability/mission.in.yaml")
	var invalid *InvalidError
	if _, err := Observability(c.addon, ObservabilityFacts{}); !errors.As(err, &invalid) || invalid.Field != "spec.stackRef.name" {
		t.Errorf("got %v", err)
	}
	want := slices.DeleteFunc(slices.Clone(componentOrder), func(name string) bool { return name == ComponentCollector })
	if got := ObservabilityComponents(c.addon); !slices.Equal(got, want) {
		t.Errorf("components %v, want %v", got, want)
	}
}

// TestAddonMissing names each Secret that is not there, and renders all the same.
func TestAddonMissing(t *testing.T) {
	c := readCase(t, "testdata/observability/alerts.in.yaml")
	facts := c.addonFacts()
	delete(facts.Secrets, "pagerduty")
	delete(facts.Secrets["slack"].Data, "ops-url")
	set, err := Observability(c.addon, facts)
	var missing *MissingError
	if !errors.As(err, &missing) || len(missing.References) != 2 || len(set.Objects) == 0 {
		t.Fatalf("got %v and %d objects", err, len(set.Objects))
	}
	if got := missing.Error(); !strings.Contains(got, "Secret/pagerduty (spec.alerting.receivers[0].pagerDuty.routingKeySecret)") || !strings.Contains(got, "Secret/slack with ops-url") {
		t.Error(got)
	}
}

// eachAddon renders every case of an addon.
func eachAddon(t *testing.T, check func(t *testing.T, c testCase, set Set, text string)) {
	t.Helper()
	for _, c := range addonCases(t) {
		t.Run(c.name, func(t *testing.T) {
			set, text := render(t, c)
			check(t, c, set, string(text))
		})
	}
}

// TestAddonJoinsTheStack finds that the stack's networks select the addon's pods, which belong to the addon.
func TestAddonJoinsTheStack(t *testing.T) {
	eachAddon(t, func(t *testing.T, c testCase, set Set, _ string) {
		if len(set.Networks) != len(c.stack.Spec.Networks) {
			t.Errorf("%d networks are lent, want %d", len(set.Networks), len(c.stack.Spec.Networks))
		}
		components := map[string]bool{}
		for _, o := range set.Objects {
			if o.GetLabels()[LabelOwner] != set.Owner.String() || o.GetNamespace() != set.Owner.Namespace {
				t.Errorf("%s has labels %v", RefOf(o), o.GetLabels())
			}
			template := templateOf(o)
			if template == nil {
				continue
			}
			component := o.GetLabels()[LabelComponent]
			components[component] = true
			if o.GetName() != c.addon.Name+"-"+component || template.Spec.Containers[0].Name != component {
				t.Errorf("%s has container %s", RefOf(o), template.Spec.Containers[0].Name)
			}
			joined := slices.DeleteFunc(slices.Clone(set.Networks), func(n *networkingv1.NetworkPolicy) bool {
				return !selects(n.Spec.PodSelector.MatchLabels, template.Labels)
			})
			everywhere := slices.Contains([]string{ComponentPrometheus, ComponentJaeger, ComponentGatewayExporter}, component)
			if len(joined) == 0 || everywhere != (len(joined) == len(set.Networks)) && len(set.Networks) > 1 {
				t.Errorf("%s joins %d of %d networks", component, len(joined), len(set.Networks))
			}
		}
		r := newAddonRenderer(c.addon, c.addonFacts())
		if got := sortedKeys(components); !slices.Equal(got, slices.Sorted(slices.Values(r.components()))) {
			t.Errorf("rendered %v, want %v", got, r.components())
		}
	})
}

// TestAddonRestrictions finds that nobody has more rights than it needs, and that nobody but the host gets in unless asked.
func TestAddonRestrictions(t *testing.T) {
	eachAddon(t, func(t *testing.T, _ testCase, set Set, _ string) {
		opened := map[string]bool{}
		for _, o := range set.Objects {
			if p, ok := o.(*networkingv1.NetworkPolicy); ok {
				opened[p.Labels[LabelComponent]] = true
			}
		}
		for _, o := range set.Objects {
			template := templateOf(o)
			if template == nil {
				continue
			}
			c, component := template.Spec.Containers[0], o.GetLabels()[LabelComponent]
			s := c.SecurityContext
			if *s.AllowPrivilegeEscalation || !*s.ReadOnlyRootFilesystem || !slices.Equal(s.Capabilities.Drop, []corev1.Capability{"ALL"}) ||
				*template.Spec.AutomountServiceAccountToken || (*s.RunAsUser == 0) != (component == ComponentPromtail || component == ComponentCollector) {
				t.Errorf("%s may do too much: %+v", component, s)
			}
			if c.Resources.Limits.Memory().IsZero() || c.Resources.Limits.Cpu().IsZero() || c.ReadinessProbe == nil {
				t.Errorf("%s has no limits, or is never known to be ready", component)
			}
			for _, p := range c.Ports {
				if p.HostPort != 0 && !isLoopback(p.HostIP) && !opened[component] || p.HostPort != 0 && p.HostIP == "" {
					t.Errorf("%s is on %s:%d, and no policy lets anybody in", component, p.HostIP, p.HostPort)
				}
			}
			if d, ok := o.(*appsv1.Deployment); ok && d.Spec.Strategy.Type != appsv1.RecreateDeploymentStrategyType {
				t.Errorf("two of %s would hold one claim", component)
			}
		}
	})
}

// TestAddonSecrets finds that no content of a Secret is printed, and that nobody has one in a variable.
func TestAddonSecrets(t *testing.T) {
	eachAddon(t, func(t *testing.T, c testCase, set Set, text string) {
		for name, s := range c.facts.Secrets {
			for key, value := range s.Data {
				if strings.Contains(text, string(value)) {
					t.Errorf("key %s of Secret %s is printed", key, name)
				}
			}
		}
		for _, o := range set.Objects {
			if template := templateOf(o); template != nil {
				for _, e := range template.Spec.Containers[0].Env {
					if e.ValueFrom != nil {
						t.Errorf("%s has a variable from elsewhere: %s", RefOf(o), e.Name)
					}
				}
			}
		}
	})
}

// TestAddonConfiguration finds that a change of any file reaches the program: by another name, or by a digest with a way to
// take it up.
func TestAddonConfiguration(t *testing.T) {
	eachAddon(t, func(t *testing.T, _ testCase, set Set, _ string) {
		for _, o := range set.Objects {
			c, ok := o.(*corev1.ConfigMap)
			if !ok || strings.HasSuffix(c.Name, "-"+digestData(c.Data)) {
				continue
			}
			found := false
			for _, w := range set.Objects {
				if template := templateOf(w); template != nil && slices.Contains(podReferences(&template.Spec), RefOf(c)) {
					found = true
					if a := template.Annotations; a[ConfigAnnotation(c.Name)] != digestData(c.Data) || a[AnnotationReload] == "" {
						t.Errorf("a change of %s does not reach %s", c.Name, RefOf(w))
					}
				}
			}
			if !found {
				t.Errorf("nobody mounts %s", c.Name)
			}
		}
	})
}

// TestAddonRemovalKeepsClaims names every claim, also those of parts that are switched off.
func TestAddonRemovalKeepsClaims(t *testing.T) {
	c := readCase(t, "testdata/observability/parts.in.yaml")
	reclaim := map[string]string{}
	for _, o := range ObservabilityRemoval(c.addon).Objects {
		reclaim[o.GetName()] = o.GetLabels()[LabelReclaim]
	}
	for name, want := range map[string]string{"watch-prometheus": "Delete", "watch-loki": "Retain", "watch-jaeger": "Retain", "watch-promtail": "Delete"} {
		if reclaim[name] != want {
			t.Errorf("claim %s is to be %q, want %s", name, reclaim[name], want)
		}
	}
}
