package manifests

import (
	"strconv"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

const (
	// OperatorService is the name under which pods reach the operator's metrics, on a cluster and on Podman alike.
	OperatorService = "mockup-operator"
	// OperatorMetricsPort is the TCP port there.
	OperatorMetricsPort = 9405
	// operatorHost is the Service that config/manager makes on a cluster.
	operatorHost = "mockup-manager-metrics.mockup-system.svc.cluster.local"
)

// OperatorMetricsService leads to the operator's metrics: by a CNAME on a cluster, by AnnotationNodePort elsewhere.
func OperatorMetricsService(owner Owner) *corev1.Service {
	return &corev1.Service{
		TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Service"},
		ObjectMeta: metav1.ObjectMeta{
			Name: OperatorService, Namespace: owner.Namespace, Labels: objectLabels(owner, OperatorService),
			Annotations: map[string]string{AnnotationNodePort: strconv.Itoa(OperatorMetricsPort)},
		},
		Spec: corev1.ServiceSpec{Type: corev1.ServiceTypeExternalName, ExternalName: operatorHost},
	}
}
