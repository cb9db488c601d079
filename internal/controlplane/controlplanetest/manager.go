package controlplanetest

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	clientset "k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/yaml"
)

// AsManager grants the operator's account what the files of folder, config/rbac, grant it on a cluster. It returns that account's
// way to the API server: what is done by it fails on a right that the operator would lack.
func AsManager(ctx context.Context, admin *rest.Config, folder string) (*rest.Config, error) {
	role, binding := &rbacv1.ClusterRole{}, &rbacv1.ClusterRoleBinding{}
	for file, into := range map[string]any{"role.yaml": role, "role_binding.yaml": binding} {
		text, err := os.ReadFile(filepath.Join(folder, file))
		if err != nil {
			return nil, fmt.Errorf("reading what the operator may do: %w", err)
		}
		if err := yaml.UnmarshalStrict(text, into); err != nil {
			return nil, fmt.Errorf("reading %s: %w", file, err)
		}
	}
	client, err := clientset.NewForConfig(admin)
	if err != nil {
		return nil, fmt.Errorf("making a client: %w", err)
	}
	if _, err := client.RbacV1().ClusterRoles().Create(ctx, role, metav1.CreateOptions{}); err != nil {
		return nil, fmt.Errorf("creating the operator's role: %w", err)
	}
	if _, err := client.RbacV1().ClusterRoleBindings().Create(ctx, binding, metav1.CreateOptions{}); err != nil {
		return nil, fmt.Errorf("giving the operator its role: %w", err)
	}
	account := binding.Subjects[0]
	config := rest.CopyConfig(admin)
	config.Impersonate.UserName = "system:serviceaccount:" + account.Namespace + ":" + account.Name
	return config, nil
}
