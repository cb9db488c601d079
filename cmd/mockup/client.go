package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"mockup.dev/mockup/api/v1alpha1"
	"mockup.dev/mockup/internal/controlplane"
	"mockup.dev/mockup/internal/statedir"
)

// requestTimeout bounds a request to the local control plane; watches are not bound by it.
const requestTimeout = 30 * time.Second

// newClient is a client of the local control plane.
func newClient(state statedir.Dir) (client.WithWatch, error) {
	path := controlplane.KubeconfigPath(state.ControlPlane())
	config, err := clientcmd.BuildConfigFromFlags("", path)
	if err != nil {
		return nil, fmt.Errorf("reading kubeconfig %s: %w", path, err)
	}
	config.QPS = -1
	config.UserAgent = "mockup"
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{corev1.AddToScheme, v1alpha1.AddToScheme} {
		if err := add(scheme); err != nil {
			return nil, fmt.Errorf("making a client: %w", err)
		}
	}
	c, err := client.NewWithWatch(config, client.Options{Scheme: scheme})
	if err != nil {
		return nil, fmt.Errorf("making a client: %w", err)
	}
	return c, nil
}

// startPatience is how long a control plane is waited for that runs and does not answer yet.
const startPatience = 20 * time.Second

// reach is newClient for a control plane that has to answer: its error has exit code 3. One that has just been started again is
// waited for.
func reach(ctx context.Context, state statedir.Dir) (client.WithWatch, error) {
	var missing error
	err := wait.PollUntilContextTimeout(ctx, 200*time.Millisecond, startPatience, true, func(ctx context.Context) (bool, error) {
		missing = controlplane.Healthy(ctx, state.ControlPlane())
		return missing == nil || errors.Is(missing, controlplane.ErrNotRunning), nil
	})
	if missing == nil {
		missing = err
	}
	if missing != nil {
		return nil, &exitError{exitUnreachable, fmt.Errorf("%w; start it with %q", missing, "mockup up")}
	}
	return newClient(state)
}

func keyOf(o client.Object) string { return o.GetNamespace() + "/" + o.GetName() }
