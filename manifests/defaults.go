package manifests

import (
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
)

// Defaults of workloads.
const (
	defaultNamespace             = "default"
	progressDeadlineSeconds      = 300
	revisionHistoryLimit         = 3 // of a Deployment, whose ReplicaSets nobody needs for undo
	terminationGracePeriodSecond = 30
	// preStopSeconds is how long the pod of a rolled service goes on serving after its name is withdrawn: clients that
	// resolved it before still come. Our nginx asks anew after a second.
	preStopSeconds = 3
	// readinessPeriodSeconds is half of a kubelet's default: a name should follow readiness soon.
	readinessPeriodSeconds  = 5
	readinessTimeoutSeconds = 2
	// volumeGroup lets a non-root user of unknown ID write to a claim on a cluster. Podman gives a new volume to the
	// container's user instead and ignores it.
	volumeGroup = 65532
)

// Defaults of the gateway.
const (
	// nginxUser is the user and group nginx of the official image.
	nginxUser         = 101
	gatewayHTTPPort   = 80
	gatewayHTTPSPort  = 443
	gatewayStatusPort = 8081
	// gatewayDrain leaves nginx some of the termination grace to end by itself.
	gatewayDrain       = (terminationGracePeriodSecond - 5) * time.Second
	gatewayConnect     = 5 * time.Second
	gatewayRead        = 60 * time.Second
	gatewaySend        = 60 * time.Second
	gatewayMaxBodySize = 10 << 20
	// maxTimeout is beyond any use, and within what nginx takes on every platform.
	maxTimeout = 24 * time.Hour
)

func tmpSize() *resource.Quantity { return quantity("256Mi") }
func runSize() *resource.Quantity { return quantity("1Mi") }

// nominalClaimSize is what the claim of an adopted volume asks for: a claim must ask for something, and what is there
// has the size that it has.
func nominalClaimSize() *resource.Quantity { return quantity("1Gi") }

func serviceResources() corev1.ResourceRequirements { return amounts("50m", "64Mi", "1", "256Mi") }
func gatewayResources() corev1.ResourceRequirements { return amounts("50m", "32Mi", "1", "128Mi") }

func amounts(cpu, memory, maxCPU, maxMemory string) corev1.ResourceRequirements {
	return corev1.ResourceRequirements{
		Requests: corev1.ResourceList{
			corev1.ResourceCPU:    resource.MustParse(cpu),
			corev1.ResourceMemory: resource.MustParse(memory),
		},
		Limits: corev1.ResourceList{
			corev1.ResourceCPU:    resource.MustParse(maxCPU),
			corev1.ResourceMemory: resource.MustParse(maxMemory),
		},
	}
}

func quantity(s string) *resource.Quantity {
	q := resource.MustParse(s)
	return &q
}

// completed fills in what wanted leaves open: a request is at most its limit, a limit at least its request.
func completed(wanted, defaults corev1.ResourceRequirements) corev1.ResourceRequirements {
	out := corev1.ResourceRequirements{Requests: corev1.ResourceList{}, Limits: corev1.ResourceList{}}
	for name := range defaults.Limits {
		request, hasRequest := wanted.Requests[name]
		limit, hasLimit := wanted.Limits[name]
		if !hasRequest {
			request = defaults.Requests[name]
			if hasLimit && limit.Cmp(request) < 0 {
				request = limit
			}
		}
		if !hasLimit {
			limit = defaults.Limits[name]
			if request.Cmp(limit) > 0 {
				limit = request
			}
		}
		out.Requests[name], out.Limits[name] = request.DeepCopy(), limit.DeepCopy()
	}
	return out
}
