package manifests

import (
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"text/template"

	corev1 "k8s.io/api/core/v1"
)

// Defaults of an addon.
const (
	defaultScrapeInterval   = "15s"
	defaultMetricsRetention = "31d" // more than defaultWindow, which the figures look back
	defaultLogsRetention    = "7d"
	defaultTracesRetention  = "2d"
	defaultSamplingRatio    = "1"
)

// Users of the official images.
const (
	prometheusUser = 65534 // nobody; Alertmanager's, too
	lokiUser       = 10001
	jaegerUser     = 10001
	grafanaUser    = 472
	exporterUser   = 1001
)

func prometheusResources() corev1.ResourceRequirements {
	return amounts("100m", "128Mi", "1", "512Mi")
}
func alertmanagerResources() corev1.ResourceRequirements {
	return amounts("10m", "32Mi", "500m", "128Mi")
}
func lokiResources() corev1.ResourceRequirements     { return amounts("50m", "128Mi", "1", "512Mi") }
func promtailResources() corev1.ResourceRequirements { return amounts("50m", "64Mi", "500m", "256Mi") }
func jaegerResources() corev1.ResourceRequirements   { return amounts("50m", "64Mi", "1", "512Mi") }
func grafanaResources() corev1.ResourceRequirements  { return amounts("50m", "128Mi", "1", "512Mi") }
func exporterResources() corev1.ResourceRequirements { return amounts("10m", "16Mi", "200m", "64Mi") }

// httpReload is for programs whose images have no command that would tell them.
func httpReload(port int, path string) *Reload {
	return &Reload{HTTPPost: &HTTPPost{Port: port, Path: path}}
}

// periodPattern is of what fits into a time.Duration, which is how programs read it: at most 292 years.
var periodPattern = regexp.MustCompile(`^([1-9][0-9]{0,4}[hd]|[1-9][0-9]{0,3}w)$`)

// notAPeriod is why a period is refused.
const notAPeriod = "is no whole number of hours, days or weeks above 0 and at most 99999h, 99999d or 9999w, e.g. 15d"

// hours of a period such as 2d.
func hours(period string) (int, error) {
	if !periodPattern.MatchString(period) {
		return 0, errors.New(notAPeriod)
	}
	unit := len(period) - 1
	n, err := strconv.Atoi(period[:unit])
	return n * map[byte]int{'h': 1, 'd': 24, 'w': 7 * 24}[period[unit]], err
}

// filled template.
func filled(t *template.Template, values any) (string, error) {
	var out strings.Builder
	if err := t.Execute(&out, values); err != nil {
		return "", fmt.Errorf("rendering %s: %w", t.Name(), err)
	}
	return out.String(), nil
}
