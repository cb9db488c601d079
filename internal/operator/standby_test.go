package operator

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-logr/logr/testr"
	"k8s.io/client-go/rest"

	"mockup.dev/mockup/internal/controlplane/controlplanetest"
)

// TestRollOutOfTheOperatorEnds: the new one is ready while the old one leads, and leads when the old one has gone.
func TestRollOutOfTheOperatorEnds(t *testing.T) {
	config, stop, err := controlplanetest.Start(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(stop)
	before := startOperator(t, config)
	<-before.elected
	waitReady(t, before, http.StatusInternalServerError)
	before.synced.Store(true)
	waitReady(t, before, http.StatusOK)

	after := startOperator(t, config)
	waitReady(t, after, http.StatusOK)
	select {
	case <-after.elected:
		t.Fatal("both lead")
	default:
	}
	before.stop()
	select {
	case <-after.elected:
	case <-time.After(30 * time.Second):
		t.Fatal("the new one does not lead 30 s after the old one has gone")
	}
	waitReady(t, after, http.StatusInternalServerError)
}

type running struct {
	synced  *atomic.Bool
	elected <-chan struct{}
	probes  string
	stop    func()
}

func startOperator(t *testing.T, config *rest.Config) running {
	t.Helper()
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	o := running{synced: &atomic.Bool{}, probes: free.Addr().String()}
	_ = free.Close()
	mgr, err := newManager(config, Options{
		MetricsAddress: "0", ProbeAddress: o.probes, LeaderElection: true, LeaderElectionNamespace: "default", Log: testr.New(t),
	}, o.synced)
	if err != nil {
		t.Fatal(err)
	}
	o.elected = mgr.Elected()
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- mgr.Start(ctx) }()
	o.stop = func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("running the operator: %v", err)
		}
		ended <- nil
	}
	t.Cleanup(o.stop)
	return o
}

// waitReady until the operator answers the probe so.
func waitReady(t *testing.T, o running, want int) {
	t.Helper()
	var last string
	for end := time.Now().Add(20 * time.Second); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		response, err := http.Get("http://" + o.probes + "/readyz")
		if err != nil {
			last = err.Error()
			continue
		}
		_ = response.Body.Close()
		if last = fmt.Sprint(response.StatusCode); response.StatusCode == want {
			return
		}
	}
	t.Fatalf("/readyz said %s for 20 s, want %d", last, want)
}
