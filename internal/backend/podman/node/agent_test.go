package node

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/miekg/dns"
)

// newAgentClient starts agents by this test's program; they end with the test.
func newAgentClient(t testing.TB, idle time.Duration) *Client {
	t.Helper()
	t.Setenv(envIdle, idle.String())
	dir, err := os.MkdirTemp("", "node")
	must(t, err)
	t.Cleanup(func() { _ = os.RemoveAll(dir) }) // one that came too late to be needed may just look at it, and ends by itself
	self, err := os.Executable()
	must(t, err)
	c, err := NewClient(ClientOptions{Dir: dir, Command: []string{self, "node", "--dir", dir}, Log: slog.New(slog.NewTextHandler(t.Output(), nil))})
	must(t, err)
	t.Cleanup(func() {
		var v Version
		_ = c.call(context.Background(), http.MethodGet, "/version", nil, &v)
		_ = c.call(context.Background(), http.MethodPost, "/stop", nil, nil)
		eventually(t, 5*second, func() error {
			if v.PID != 0 && syscall.Kill(v.PID, 0) == nil {
				return fmt.Errorf("process %d lives", v.PID)
			}
			return nil
		})
		if content, err := os.ReadFile(LogPath(dir)); err == nil && t.Failed() {
			t.Logf("%s", content)
		}
	})
	return c
}

func (c *Client) pid(t testing.TB) int {
	t.Helper()
	var v Version
	must(t, c.call(t.Context(), http.MethodGet, "/version", nil, &v))
	return v.PID
}

// A killed agent leaves nothing that its successor trips over, and that knows all names before anyone speaks to it.
func TestKilledAgent(t *testing.T) {
	first, _, pods := twoOwners(t)
	c := newAgentClient(t, time.Minute)
	gateway := first.Networks[1].Gateway
	_, err := c.Put(t.Context(), first)
	must(t, err)
	for range 5 {
		pid := c.pid(t)
		must(t, syscall.Kill(pid, syscall.SIGKILL))
		eventually(t, 5*second, func() error {
			if syscall.Kill(pid, 0) == nil {
				return errors.New("it lives")
			}
			return nil
		})
		start := time.Now()
		must(t, c.Delete(t.Context(), "somebody else")) // starts the next, and says nothing of this owner
		if got := found(pods["web"].ask("udp", gateway, "api", dns.TypeA)); got != "10.72.0.131" {
			t.Fatalf("after kill -9: %s", got)
		}
		t.Logf("%s from a call to a served name", time.Since(start))
	}
	var state State
	must(t, c.call(t.Context(), http.MethodGet, "/owners/"+first.Owner, nil, &state))
	if fmt.Sprint(state) != fmt.Sprint(first) {
		t.Errorf("it was told %v and says %v", first, state)
	}
}

// Who keeps the agent need not speak for it to come back.
func TestKeptAgent(t *testing.T) {
	first, _, pods := twoOwners(t)
	c := newAgentClient(t, 300*time.Millisecond)
	ctx, cancel := context.WithCancel(t.Context())
	var kept sync.WaitGroup
	kept.Go(func() { c.Keep(ctx) })
	defer kept.Wait()
	defer cancel()
	_, err := c.Put(t.Context(), first)
	must(t, err)
	for range 3 {
		pid := c.pid(t)
		must(t, syscall.Kill(pid, syscall.SIGKILL))
		start := time.Now()
		eventually(t, second, func() error {
			var v Version
			if err := c.call(t.Context(), http.MethodGet, "/version", nil, &v); err != nil {
				return err
			}
			if v.PID == pid {
				return errors.New("it lives")
			}
			return nil
		})
		if got := found(pods["web"].ask("udp", first.Networks[1].Gateway, "api", dns.TypeA)); got != "10.72.0.131" {
			t.Fatalf("after kill -9: %s", got)
		}
		t.Logf("%s from kill -9 to a served name", time.Since(start))
	}
	must(t, c.Delete(t.Context(), first.Owner))
	eventually(t, 5*second, func() error { // and one that is not needed stays away
		if _, err := os.Stat(SocketPath(c.dir)); err == nil {
			return errors.New("the socket is there")
		}
		return nil
	})
	time.Sleep(500 * time.Millisecond)
	if _, err := os.Stat(SocketPath(c.dir)); err == nil {
		t.Error("an agent that is not needed was started")
	}
}

// An agent killed while it is told changes is started again by whoever tells it next; what is told last is true.
func TestKilledWhileTold(t *testing.T) {
	first, _, pods := twoOwners(t)
	c := newAgentClient(t, time.Minute)
	_, err := c.Put(t.Context(), first)
	must(t, err)
	killed := make(chan struct{})
	go func() {
		defer close(killed)
		for range 5 {
			time.Sleep(60 * time.Millisecond)
			var v Version
			if c.call(context.Background(), http.MethodGet, "/version", nil, &v) == nil {
				_ = syscall.Kill(v.PID, syscall.SIGKILL)
			}
		}
	}()
	for over := false; !over; {
		select {
		case <-killed:
			over = true
		default:
		}
		first.Pods[1].Services, first.Pods[2].Services = first.Pods[2].Services, first.Pods[1].Services
		if _, err := c.Put(t.Context(), first); err != nil {
			t.Fatal(err)
		}
		want := "10.72.0.131"
		if len(first.Pods[1].Services) == 0 {
			want = "10.72.0.132"
		}
		var got string
		must(t, pods["web"].inside(func() error {
			got = found(ask("udp", first.Networks[1].Gateway, "api", dns.TypeA, second/2))
			return nil
		}))
		if got != want && !strings.Contains(got, "refused") && !strings.Contains(got, "timeout") { // it was killed again
			t.Fatalf("got %s, want %s", got, want)
		}
	}
	if strays, _ := filepath.Glob(filepath.Join(c.dir, "owners", "*")); len(strays) > 2 {
		t.Errorf("left over: %v", strays)
	}
}

func TestOneAgentForAFolder(t *testing.T) {
	dir := t.TempDir()
	startAgent(t, Options{Dir: dir})
	err := Run(t.Context(), Options{Dir: dir})
	var running *RunningError
	if !errors.As(err, &running) || running.PID != os.Getpid() {
		t.Fatalf("a second agent: %v", err)
	}
	if _, err := os.Stat(SocketPath(dir)); err != nil {
		t.Errorf("the second took the socket of the first: %v", err)
	}
}

func TestManyClientsStartOne(t *testing.T) {
	c := newAgentClient(t, second)
	self, err := os.Executable()
	must(t, err)
	var wait sync.WaitGroup
	pids := make([]int, 20)
	for i := range pids {
		own := c
		if i%2 == 1 { // as in a process of its own
			own, err = NewClient(ClientOptions{Dir: c.dir, Command: []string{self, "node", "--dir", c.dir}})
			must(t, err)
		}
		wait.Go(func() {
			if _, err := own.Put(t.Context(), State{Owner: fmt.Sprint("o", i), Namespace: "default"}); err != nil {
				t.Error(err)
				return
			}
			pids[i] = own.pid(t)
		})
	}
	wait.Wait()
	for _, pid := range pids {
		if pid != pids[0] {
			t.Fatalf("several agents: %v", pids)
		}
	}
}

// Nothing is left of an agent that nobody needs, and the next call starts another.
func TestIdleAgentEnds(t *testing.T) {
	c := newAgentClient(t, 300*time.Millisecond)
	state := State{Owner: "o", Namespace: "default"}
	_, err := c.Put(t.Context(), state)
	must(t, err)
	pid := c.pid(t)
	time.Sleep(600 * time.Millisecond) // is not idle: it has an owner
	if now := c.pid(t); now != pid {
		t.Fatalf("process %d was replaced by %d", pid, now)
	}
	must(t, c.Delete(t.Context(), "o"))
	eventually(t, 5*second, func() error {
		if _, err := os.Stat(SocketPath(c.dir)); err == nil {
			return errors.New("the socket is there")
		}
		if syscall.Kill(pid, 0) == nil {
			return errors.New("the process is there")
		}
		return nil
	})
	_, err = c.Put(t.Context(), state)
	must(t, err)
	if c.pid(t) == pid {
		t.Error("the agent that ended answers")
	}
}

func TestAgentOfAnotherBuildIsReplaced(t *testing.T) {
	first, _, pods := twoOwners(t)
	c := newAgentClient(t, time.Minute)
	build, err := Build()
	must(t, err)
	t.Setenv(envBuild, "another")
	ended, err := c.spawn()
	must(t, err)
	body := `{"owner":"kept","namespace":"other"}`
	eventually(t, 5*second, func() error { return c.call(t.Context(), http.MethodPut, "/owners/kept", []byte(body), nil) })
	t.Setenv(envBuild, "")
	_, err = c.Put(t.Context(), first)
	must(t, err)
	var now Version
	must(t, c.call(t.Context(), http.MethodGet, "/version", nil, &now))
	if now.Build != build {
		t.Errorf("build %s answers, want %s", now.Build, build)
	}
	select {
	case <-ended:
	case <-time.After(5 * second):
		t.Error("the agent of the other build still runs")
	}
	must(t, c.call(t.Context(), http.MethodGet, "/owners/kept", nil, new(State)))
	if got := found(pods["web"].ask("udp", first.Networks[1].Gateway, "api", dns.TypeA)); got != "10.72.0.131" {
		t.Error(got)
	}
}

// What keeps an agent from starting is in the error.
func TestStartFails(t *testing.T) {
	for _, c := range []struct {
		name    string
		command []string
		want    string
	}{
		{"it ends", []string{"/bin/sh", "-c", "echo first; echo no such luck; exit 7"}, "code 7"},
		{"its last words", []string{"/bin/sh", "-c", "echo first; echo no such luck; exit 7"}, "ends with: no such luck"},
		{"no program", []string{"/no/such/program"}, "no such file"},
	} {
		t.Run(c.name, func(t *testing.T) {
			client, err := NewClient(ClientOptions{Dir: filepath.Join(t.TempDir(), "n"), Command: c.command})
			must(t, err)
			_, err = client.Put(t.Context(), State{Owner: "o", Namespace: "default"})
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want %s", err, c.want)
			}
		})
	}
	client, err := NewClient(ClientOptions{Dir: "/" + strings.Repeat("x", 120)})
	must(t, err)
	_, err = client.Put(t.Context(), State{Owner: "o", Namespace: "default"})
	if err == nil || !strings.Contains(err.Error(), "longer") {
		t.Errorf("a long path: %v", err)
	}
}

// A State that can't be is refused, and not tried again and again.
func TestInvalidState(t *testing.T) {
	_, client := startAgent(t, Options{})
	n := network24("n", "10.79.0.0/24")
	n.Gateway = n.Gateway.Prev().Prev()
	for want, s := range map[string]State{
		"namespace": {Owner: "o"},
		"gateway":   {Owner: "o", Namespace: "default", Networks: []Network{n}},
		"both": {Owner: "o", Namespace: "default", Pods: []Pod{
			{Name: "a", Fixed: map[string]netip.Addr{"n": netip.MustParseAddr("10.79.0.10")}},
			{Name: "b", Fixed: map[string]netip.Addr{"n": netip.MustParseAddr("10.79.0.10")}},
		}},
	} {
		if _, err := client.Put(t.Context(), s); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want an error about %s", err, want)
		}
	}
}

func TestDial(t *testing.T) {
	s, pods := policyWorld(t)
	c := newAgentClient(t, 300*time.Millisecond)
	conn, err := c.Dial(t.Context(), pods["b"].Addresses["flat"].String()+":80")
	must(t, err)
	defer conn.Close()
	time.Sleep(600 * time.Millisecond) // an agent with a connection is not idle
	big := strings.Repeat("0123456789", 1<<17)
	go func() {
		_, _ = io.WriteString(conn, big)
		_ = conn.(interface{ CloseWrite() error }).CloseWrite()
	}()
	_ = conn.SetDeadline(time.Now().Add(10 * second))
	got, err := io.ReadAll(conn)
	if err != nil || string(got) != "b"+big {
		t.Errorf("got %d bytes of %d: %v", len(got), len(big)+1, err)
	}
	if _, err := c.Dial(t.Context(), pods["b"].Addresses["flat"].String()+":9"); err == nil || !strings.Contains(err.Error(), "refused") {
		t.Errorf("a closed port: %v", err)
	}
	s.Pods[1].Ingress = &Rules{}
	ctx, cancel := context.WithTimeout(t.Context(), silence)
	defer cancel()
	if _, err := c.Dial(ctx, "192.0.2.1:80"); err == nil {
		t.Error("an address that nobody has")
	}
	if _, err := net.Dial("unix", SocketPath(c.dir)); err != nil {
		t.Error(err)
	}
}

func BenchmarkPutUnchanged(b *testing.B) {
	s, _ := policyWorld(b)
	other := &bridge{Network: s.Networks[0]}
	must(b, other.find())
	for i := range 2 {
		p := newPod(b, fmt.Sprint("more", i)).join(other, fmt.Sprintf("10.76.0.%d", 140+i))
		s.Pods = append(s.Pods, p.with(p.Name))
	}
	for i := range s.Pods {
		s.Pods[i].Ingress = &Rules{Allow: []Rule{{Peers: peers("10.76.0.0/24")}}}
	}
	s.Pods[4].Fixed = map[string]netip.Addr{"flat": netip.MustParseAddr("10.76.0.10")}
	put, _ := startAgent(b, Options{})
	put(s)
	for b.Loop() {
		put(s)
	}
}
