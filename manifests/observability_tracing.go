package manifests

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"

	corev1 "k8s.io/api/core/v1"

	"mockup.dev/mockup/api/v1alpha1"
)

// Tracing is where services and the gateway send traces, and how many.
type Tracing struct {
	// Endpoint of OTLP over HTTP, e.g. http://jaeger:4318.
	Endpoint string
	// SamplingRatio from 0 to 1 with at most four decimals, e.g. 0.25.
	SamplingRatio string
}

// TracingOf is what the stack that a watches is told; nil where a takes no traces.
func TracingOf(a *v1alpha1.ObservabilityAddon) *Tracing {
	if a == nil || !on(a.Spec.Tracing.Enabled) {
		return nil
	}
	return &Tracing{
		Endpoint:      fmt.Sprintf("http://%s:%d", ComponentJaeger, portOTLPHTTP),
		SamplingRatio: cmp.Or(a.Spec.Tracing.SamplingRatio, defaultSamplingRatio),
	}
}

// TracingAmong is what s is told where these addons are: of those that watch it and are not going, the first by name that
// takes traces counts, since only one can be ready.
func TracingAmong(s *v1alpha1.MockupStack, addons []*v1alpha1.ObservabilityAddon) *Tracing {
	watching := slices.DeleteFunc(slices.Clone(addons), func(a *v1alpha1.ObservabilityAddon) bool {
		return a.Namespace != s.Namespace || a.Spec.StackRef.Name != s.Name || !a.DeletionTimestamp.IsZero() || TracingOf(a) == nil
	})
	if len(watching) == 0 {
		return nil
	}
	return TracingOf(slices.MinFunc(watching, func(a, b *v1alpha1.ObservabilityAddon) int { return cmp.Compare(a.Name, b.Name) }))
}

// tracing are the variables of OpenTelemetry that s does not set itself. The gateway, or another client, has decided about
// most requests already; the ratio is for those that begin at the service.
func (r *renderer) tracing(s *v1alpha1.Service) []corev1.EnvVar {
	if r.facts.Tracing == nil {
		return nil
	}
	var out []corev1.EnvVar
	set := r.variables(s)
	for _, e := range []corev1.EnvVar{
		{Name: "OTEL_EXPORTER_OTLP_ENDPOINT", Value: r.facts.Tracing.Endpoint},
		{Name: "OTEL_SERVICE_NAME", Value: s.Name},
		{Name: "OTEL_TRACES_SAMPLER", Value: "parentbased_traceidratio"},
		{Name: "OTEL_TRACES_SAMPLER_ARG", Value: r.facts.Tracing.SamplingRatio},
	} {
		if !set(e.Name) {
			out = append(out, e)
		}
	}
	return out
}

// sampled are the lines by which nginx marks a part of the traces that it begins as sampled (split_clients); none for all
// of them. A ratio has at most four decimals, which are the two that nginx reads of a percentage.
func (t *Tracing) sampled() ([]string, error) {
	if t == nil {
		return nil, nil
	}
	ratio, err := strconv.ParseFloat(t.SamplingRatio, 64)
	switch percent := strconv.FormatFloat(ratio*100, 'f', 2, 64); {
	case err != nil || !(ratio >= 0 && ratio <= 1):
		return nil, &InvalidError{Field: "spec.tracing.samplingRatio", Value: t.SamplingRatio, Reason: "is not from 0 to 1"}
	case percent == "100.00":
		return nil, nil
	case percent == "0.00": // which nginx takes for a mistake
		return []string{"* 00"}, nil
	default:
		return []string{percent + "% 01", "* 00"}, nil
	}
}
