// Package rbac holds what the operator may do on a cluster, for tests that have it do no more.
package rbac

import (
	"context"
	_ "embed"
	"fmt"

	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	clientset "k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/yaml"
)

//go:embed role.yaml
var role []byte

//go:embed role_binding.yaml
var binding []byte

// AsManager grants the operator's account its role, as an administrator of the API server, and returns that account's way to the
// server: what is done by it fails for want of a right where the operator on a cluster would.
func AsManager(ctx context.Context, admin *rest.Config) (*rest.Config, error) {
	r, b := &rbacv1.ClusterRole{}, &rbacv1.ClusterRoleBinding{}
	if err := yaml.UnmarshalStrict(role, r); err != nil {
		return nil, fmt.Errorf("reading role.yaml: %w", err)
	}
	if err := yaml.UnmarshalStrict(binding, b); err != nil {
		return nil, fmt.Errorf("reading role_binding.yaml: %w", err)
	}
	client, err := clientset.NewForConfig(admin)
	if err != nil {
		return nil, fmt.Errorf("making a client: %w", err)
	}
	if _, err := client.RbacV1().ClusterRoles().Create(ctx, r, metav1.CreateOptions{}); err != nil {
		return nil, fmt.Errorf("creating ClusterRole %s: %w", r.Name, err)
	}
	if _, err := client.RbacV1().ClusterRoleBindings().Create(ctx, b, metav1.CreateOptions{}); err != nil {
		return nil, fmt.Errorf("creating ClusterRoleBinding %s: %w", b.Name, err)
	}
	account := b.Subjects[0]
	config := rest.CopyConfig(admin)
	config.Impersonate.UserName = "system:serviceaccount:" + account.Namespace + ":" + account.Name
	return config, nil
}
