package manifests

import (
	"fmt"
	"time"

	"github.com/prometheus/prometheus/model/rulefmt"

	"mockup.dev/mockup/api/v1alpha1"
)

// by keeps apart what belongs to different services.
const by = "by (service, stack, namespace)"

// requestRules are rates, errors and durations of all that answers requests.
func (r *addonRenderer) requestRules() rulefmt.RuleGroup {
	return rulefmt.RuleGroup{Name: "requests", Rules: []rulefmt.Rule{
		record("service:http_requests:rate5m", "sum "+by+" (rate(http_requests_total[5m]))", nil),
		record("service:http_errors:ratio_rate5m", errorRatio("", "5m"), nil),
		// Without requests there is no percentile.
		record("latency_p95_seconds", quantile(defaultPercentile, "")+" >= 0", nil),
	}}
}

// quantile is the time within which so many of 100 requests of the last 5 minutes were answered, in seconds.
func quantile(percentile int32, matchers string) string {
	selector := "http_request_duration_seconds_bucket"
	if matchers != "" {
		selector += "{" + matchers + "}"
	}
	return fmt.Sprintf("histogram_quantile(%g, sum by (service, stack, namespace, le) (rate(%s[5m])))", float64(percentile)/100, selector)
}

// errorRatio is the part of requests that failed by the service's fault, over a window; nothing where there were none. A
// service that never failed has no series of failures, which is none of them.
func errorRatio(matchers, window string) string {
	all := fmt.Sprintf("sum %s (rate(http_requests_total{%s}[%s]))", by, matchers, window)
	failed := fmt.Sprintf("sum %s (rate(http_requests_total{%s}[%s]))", by, joined(matchers, `code=~"5.."`), window)
	return fmt.Sprintf("(%s or 0 * %s) / (%s > 0)", failed, all, all)
}

// slowRatio is the part of requests that took longer than bound, in seconds.
func slowRatio(matchers string, bound time.Duration, window string) string {
	all := fmt.Sprintf("sum %s (rate(http_request_duration_seconds_count{%s}[%s]))", by, matchers, window)
	quick := fmt.Sprintf("sum %s (rate(http_request_duration_seconds_bucket{%s}[%s]))", by, joined(matchers, leMatcher(bound)), window)
	return fmt.Sprintf("(%s - %s) / (%s > 0)", all, quick, all)
}

// leMatcher finds the bucket of a bound: Prometheus 3 writes 1 as 1.0.
func leMatcher(bound time.Duration) string {
	return fmt.Sprintf(`le=~"%v([.]0)?"`, bound.Seconds())
}

func joined(matchers, more string) string {
	if matchers == "" {
		return more
	}
	return matchers + "," + more
}

// indicator is the part of requests, over a window, that do not do as an objective says; bound counts for latency.
func indicator(o *v1alpha1.Objective, bound time.Duration, window string) string {
	matchers := fmt.Sprintf("service=%q", o.Service)
	if o.Latency != nil {
		return slowRatio(matchers, bound, window)
	}
	return errorRatio(matchers, window)
}

// requestsIn a window that a service answered.
func requestsIn(service, window string) string {
	return fmt.Sprintf("sum %s (increase(http_requests_total{service=%q}[%s]))", by, service, window)
}
