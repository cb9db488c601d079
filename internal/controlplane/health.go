package controlplane

import (
	"context"
	"errors"
	"fmt"
	"time"

	"k8s.io/client-go/kubernetes"
)

// healthTimeout bounds one question to /readyz.
const healthTimeout = 5 * time.Second

// ErrNotRunning is returned by Healthy when no process runs a control plane in the folder.
var ErrNotRunning = errors.New("the control plane is not running")

// Healthy is nil if the control plane of dir is ready to serve. Otherwise the error says what is missing; it is
// ErrNotRunning if no process holds the folder. It asks once and waits for nothing.
func Healthy(ctx context.Context, dir string) error {
	holder, running, err := Running(dir)
	if err != nil {
		return err
	}
	if !running {
		return fmt.Errorf("%w in %s", ErrNotRunning, dir)
	}
	config, err := restConfig(dir)
	if err != nil {
		return fmt.Errorf("process %d has not finished starting: %w", holder.PID, err)
	}
	config.Timeout = healthTimeout
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return fmt.Errorf("making a client for readiness: %w", err)
	}
	if answer, err := client.Discovery().RESTClient().Get().AbsPath("/readyz").DoRaw(ctx); err != nil {
		return fmt.Errorf("the control plane of process %d is not ready: %w %s", holder.PID, err, answer)
	}
	return nil
}
