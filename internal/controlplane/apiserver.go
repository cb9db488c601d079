package controlplane

import (
	"context"
	"errors"
	"fmt"
	"net"
	"time"

	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
)

const (
	// readyTimeout bounds the time until the API server says that it is ready. On an idle machine it takes two seconds.
	readyTimeout = time.Minute
	// drainTimeout bounds how long a stopping API server may finish the requests it has.
	drainTimeout = 10 * time.Second
)

// apiServer is a running API server.
type apiServer struct {
	client *rest.Config // calls it without TLS verification by the outside, as its own superuser
	cancel context.CancelFunc
	ended  chan struct{} // closed when it ended
	err    error         // why, to be read after ended
}

// startAPIServer starts the API server on l. It runs until stop, independently of any caller's context: the controllers
// that call it must end first.
func startAPIServer(f folder, ids *identities, l net.Listener) (*apiServer, error) {
	ctx, cancel := context.WithCancel(context.Background())
	s := &apiServer{cancel: cancel, ended: make(chan struct{})}
	options, err := serverOptions(ctx, f, ids, l)
	if err != nil {
		cancel()
		return nil, err
	}
	chain, err := newChain(options)
	if err != nil {
		cancel()
		return nil, err
	}
	prepared, err := chain.PrepareRun()
	if err != nil {
		cancel()
		return nil, fmt.Errorf("preparing the API server: %w", err)
	}
	s.client = rest.CopyConfig(chain.GenericAPIServer.LoopbackClientConfig)
	go func() {
		defer close(s.ended)
		s.err = prepared.Run(ctx)
	}()
	return s, nil
}

// waitReady waits until /readyz says ok, and says what it said last if it never does.
func (s *apiServer) waitReady(ctx context.Context) error {
	client, err := kubernetes.NewForConfig(s.client)
	if err != nil {
		return fmt.Errorf("making a client for readiness: %w", err)
	}
	var answer []byte
	var failure error
	err = wait.PollUntilContextTimeout(ctx, 20*time.Millisecond, readyTimeout, true, func(ctx context.Context) (bool, error) {
		select {
		case <-s.ended:
			return false, fmt.Errorf("the API server ended: %w", s.err)
		default:
		}
		answer, failure = client.Discovery().RESTClient().Get().AbsPath("/readyz").DoRaw(ctx)
		return failure == nil, nil
	})
	if err != nil {
		return fmt.Errorf("waiting for the API server to be ready: %w (last answer: %s)", errors.Join(err, failure), answer)
	}
	return nil
}

// stop drains and ends the server. It may be called for one that already ended.
func (s *apiServer) stop() error {
	s.cancel()
	select {
	case <-s.ended:
		if s.err != nil {
			return fmt.Errorf("running the API server: %w", s.err)
		}
		return nil
	case <-time.After(drainTimeout):
		return fmt.Errorf("the API server did not finish its requests within %s", drainTimeout)
	}
}
