package controlplane

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	apiextensions "k8s.io/apiextensions-apiserver/pkg/client/clientset/clientset"
	apiextensionsclient "k8s.io/apiextensions-apiserver/pkg/client/clientset/clientset/typed/apiextensions/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/rest"
)

const (
	// fieldOwner owns the fields of what the control plane itself applies.
	fieldOwner = "mockup-controlplane"
	// establishTimeout is how long a CRD may take from applied to served.
	establishTimeout = 15 * time.Second
)

// applyCRDs applies crds server-side, taking over fields that somebody else changed, and waits until each is served.
func applyCRDs(ctx context.Context, config *rest.Config, crds []*apiextensionsv1.CustomResourceDefinition) error {
	client, err := apiextensions.NewForConfig(config)
	if err != nil {
		return fmt.Errorf("making a client for CRDs: %w", err)
	}
	resource := client.ApiextensionsV1().CustomResourceDefinitions()
	for _, crd := range crds {
		content, err := applyConfiguration(crd)
		if err != nil {
			return fmt.Errorf("encoding CRD %s: %w", crd.Name, err)
		}
		force := true
		options := metav1.PatchOptions{FieldManager: fieldOwner, Force: &force}
		if _, err := resource.Patch(ctx, crd.Name, types.ApplyPatchType, content, options); err != nil {
			return fmt.Errorf("applying CRD %s: %w", crd.Name, itemized(err))
		}
	}
	for _, crd := range crds {
		if err := waitEstablished(ctx, resource, crd.Name); err != nil {
			return err
		}
	}
	return nil
}

// applyConfiguration is crd as one writes it: without status and without the fields that only a server fills.
func applyConfiguration(crd *apiextensionsv1.CustomResourceDefinition) ([]byte, error) {
	content, err := runtime.DefaultUnstructuredConverter.ToUnstructured(crd)
	if err != nil {
		return nil, err
	}
	content["apiVersion"] = apiextensionsv1.SchemeGroupVersion.String()
	content["kind"] = "CustomResourceDefinition"
	delete(content, "status")
	if metadata, ok := content["metadata"].(map[string]any); ok {
		delete(metadata, "creationTimestamp")
	}
	return json.Marshal(content)
}

// itemized puts every cause of a refusal on a line of its own: a schema with CEL rules can be wrong in many places.
func itemized(err error) error {
	var status apierrors.APIStatus
	if !errors.As(err, &status) || status.Status().Details == nil || len(status.Status().Details.Causes) < 2 {
		return err
	}
	lines := []string{string(status.Status().Reason)}
	for _, cause := range status.Status().Details.Causes {
		lines = append(lines, cause.Field+": "+cause.Message)
	}
	return errors.New(strings.Join(lines, "\n  "))
}

func waitEstablished(ctx context.Context, crds apiextensionsclient.CustomResourceDefinitionInterface, name string) error {
	state := errors.New("it was never read")
	err := wait.PollUntilContextTimeout(ctx, 10*time.Millisecond, establishTimeout, true, func(ctx context.Context) (bool, error) {
		crd, err := crds.Get(ctx, name, metav1.GetOptions{})
		if err == nil {
			err = notEstablished(crd)
		}
		state = err
		return err == nil, nil
	})
	if err != nil {
		return fmt.Errorf("CRD %s is not established after %s: %w", name, establishTimeout, state)
	}
	return nil
}

// notEstablished is nil for a CRD that is served, else an error with what its conditions say.
func notEstablished(crd *apiextensionsv1.CustomResourceDefinition) error {
	var said []string
	for _, c := range crd.Status.Conditions {
		if c.Type == apiextensionsv1.Established && c.Status == apiextensionsv1.ConditionTrue {
			return nil
		}
		said = append(said, fmt.Sprintf("%s=%s %s: %s", c.Type, c.Status, c.Reason, c.Message))
	}
	if len(said) == 0 {
		return errors.New("it has no conditions yet")
	}
	return errors.New(strings.Join(said, "; "))
}
