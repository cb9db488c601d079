package podman

import (
	"net"
	"testing"
	"time"

	"mockup.dev/mockup/manifests"
)

// TestHeldPortIsNoOpenDoor is what Podman does with every host port: a socket listens there and takes nothing. Found when
// somebody flushed the firewall: connections came about, nobody answered, and the port passed for open.
func TestHeldPortIsNoOpenDoor(t *testing.T) {
	for _, network := range []string{"tcp4", "tcp"} {
		l, err := net.Listen(network, ":0")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		_, port, _ := net.SplitHostPort(l.Addr().String())
		for _, host := range []string{"", "127.0.0.1"} {
			if answers(t.Context(), []string{net.JoinHostPort(host, port)}) {
				t.Errorf("%s: port %s of %q passes for open, where nobody takes connections", network, port, host)
			}
		}
		go func() {
			for {
				conn, err := l.Accept()
				if err != nil {
					return
				}
				defer conn.Close()
			}
		}()
		if !answers(t.Context(), []string{net.JoinHostPort("127.0.0.1", port)}) {
			t.Errorf("%s: port %s passes for shut, where somebody takes connections", network, port)
		}
	}
}

// A pod that was not ready for a while has not answered at its host ports either: that says nothing of them.
func TestDoorsOfPodsThatAreNotReady(t *testing.T) {
	d := newDoors(func(manifests.Owner) {})
	pod := podInfo{id: "web", labels: map[string]string{labelHostPorts: "127.0.0.1:1"}}
	owner, later := manifests.Owner{Kind: "MockupStack", Namespace: "ns", Name: "web"}, time.Now().Add(time.Hour)
	attend := func(ready bool) {
		d.attend(owner, []podInfo{pod}, map[string]readiness{"web": {ok: ready}})
	}
	tries := func(answered ...bool) bool {
		for _, a := range answered {
			d.note("web", a)
		}
		return d.shut("web", later)
	}
	attend(true)
	defer d.attend(owner, nil, nil)
	if tries(false, true, false) {
		t.Error("a door that has just answered is shut")
	}
	if !tries(false, false) {
		t.Error("a door that does not answer is not shut")
	}
	attend(false)
	if tries(false, false, false) {
		t.Error("the door of a pod that is not ready is shut")
	}
	attend(true)
	if tries(false) {
		t.Error("tries from before the pod was ready are counted")
	}
	if !tries(false) {
		t.Error("a door that does not answer any more is not shut")
	}
}
