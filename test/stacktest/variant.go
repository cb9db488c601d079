package stacktest

import (
	"context"
	"fmt"
	"os"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"

	"mockup.dev/mockup/api/v1alpha1"
)

// MaxVariants is how many variants of the sample fit beside each other.
const MaxVariants = 1 << 12

// Variant is the n-th stack like the sample that can be beside the others: with a namespace, subnets and host ports of its
// own, and no fixed addresses.
func (s *Stack) Variant(n int) (*v1alpha1.MockupStack, error) {
	content, err := os.ReadFile(s.Sample())
	if err != nil {
		return nil, fmt.Errorf("reading the sample: %w", err)
	}
	return Variant(content, n)
}

// Variant of a sample, see Stack.Variant.
func Variant(sample []byte, n int) (*v1alpha1.MockupStack, error) {
	if n < 0 || n >= MaxVariants {
		return nil, fmt.Errorf("making variant %d of the sample: there are %d", n, MaxVariants)
	}
	stack := &v1alpha1.MockupStack{}
	if err := yaml.UnmarshalStrict(sample, stack); err != nil {
		return nil, fmt.Errorf("reading the sample: %w", err)
	}
	stack.Namespace = fmt.Sprintf("variant-%d", n)
	for i := range stack.Spec.Networks {
		third := n*len(stack.Spec.Networks) + i
		stack.Spec.Networks[i].Subnet = fmt.Sprintf("10.%d.%d.0/24", 128+third>>8, third&0xff)
	}
	attachments := [][]v1alpha1.NetworkAttachment{stack.Spec.Gateway.Networks}
	for i := range stack.Spec.Services {
		attachments = append(attachments, stack.Spec.Services[i].Networks)
	}
	for _, a := range attachments {
		for i := range a {
			a[i].IP = ""
		}
	}
	for i := range stack.Spec.Gateway.Routes {
		stack.Spec.Gateway.Routes[i].AllowFrom = nil // a subnet of the sample
	}
	stack.Spec.Gateway.HTTP.HostPort, stack.Spec.Gateway.HTTPS.HostPort = int32(20000+2*n), int32(20001+2*n)
	return stack, nil
}

// CreateIn creates a stack, and its namespace unless it is there.
func (s *Stack) CreateIn(ctx context.Context, stack *v1alpha1.MockupStack) error {
	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: stack.Namespace}}
	if err := s.API.Create(ctx, namespace); err != nil && !apierrors.IsAlreadyExists(err) {
		return fmt.Errorf("creating namespace %s: %w", stack.Namespace, err)
	}
	if err := s.API.Create(ctx, stack); err != nil {
		return fmt.Errorf("creating stack %s/%s: %w", stack.Namespace, stack.Name, err)
	}
	return nil
}
