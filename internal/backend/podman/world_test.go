package podman_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"mockup.dev/mockup/internal/backend/backendtest"
	"mockup.dev/mockup/internal/backend/backendtest/guest"
	"mockup.dev/mockup/manifests"
)

// world is the second client: plain HTTP to Podman's socket, sharing nothing with the backend but the service.
type world struct {
	proxy *proxy
	api   *api
	// guest is the folder that the guest's image is built from.
	guest string
}

type apiPod struct {
	ID         string `json:"Id"`
	InfraID    string `json:"InfraId"`
	Name       string
	Status     string
	Labels     map[string]string
	Containers []struct{ ID, Names, Status string }
}

func byLabel(owner manifests.Owner) url.Values {
	filters, _ := json.Marshal(map[string][]string{"label": {manifests.LabelOwner + "=" + owner.String()}})
	return url.Values{"filters": {string(filters)}, "all": {"true"}}
}

func (w *world) Pods(ctx context.Context, owner manifests.Owner) ([]backendtest.Pod, error) {
	var list []apiPod
	if err := w.api.get(ctx, "/pods/json", byLabel(owner), &list); err != nil {
		return nil, err
	}
	var out []backendtest.Pod
	for _, p := range list {
		pod := backendtest.Pod{
			Name: p.Name, Namespace: owner.Namespace, Labels: p.Labels, IDs: []string{p.ID},
			Workload: manifests.Ref{Kind: p.Labels["mockup.dev/workload-kind"], Name: p.Labels[manifests.LabelWorkload]},
		}
		for _, c := range p.Containers {
			switch {
			case c.ID == p.InfraID:
			case isMain(p, c.Names):
				pod.IDs = slices.Insert(pod.IDs, 1, w.start(ctx, c.ID))
				pod.Terminating = c.Status == "stopping" || c.Status == "removing"
			default:
				pod.IDs = append(pod.IDs, w.start(ctx, c.ID))
			}
		}
		pod.Addresses, pod.Fixed = w.addresses(ctx, p.InfraID)
		pod.Ready = answers(ctx, pod.Addresses)
		out = append(out, pod)
	}
	return out, nil
}

// isMain tells whether a container of that name is the one that the contract calls like the component.
func isMain(p apiPod, name string) bool {
	return name == p.Name+"."+p.Labels[manifests.LabelComponent]
}

// start identifies one start of a container.
func (w *world) start(ctx context.Context, id string) string {
	var data struct{ State struct{ StartedAt string } }
	if err := w.api.get(ctx, "/containers/"+id+"/json", nil, &data); err != nil {
		return id + " gone"
	}
	return id + " since " + data.State.StartedAt
}

type apiInfra struct {
	State           struct{ Pid int }
	NetworkSettings struct {
		Networks map[string]struct{ IPAddress string }
	}
}

// addresses of a pod by network: those that Podman gave it, and those that it bears beside them.
func (w *world) addresses(ctx context.Context, infra string) (own, fixed map[string]string) {
	var data apiInfra
	own, fixed = map[string]string{}, map[string]string{}
	if w.api.get(ctx, "/containers/"+infra+"/json", nil, &data) != nil {
		return own, fixed
	}
	for name, n := range data.NetworkSettings.Networks {
		if n.IPAddress != "" {
			own[name[strings.LastIndexByte(name, '-')+1:]] = n.IPAddress // NAMESPACE-STACK-NETWORK, of another stack as well
		}
	}
	out, err := inNetwork(ctx, data.State.Pid, "ip", "-j", "-4", "address")
	var interfaces []struct {
		Info []struct {
			Local string `json:"local"`
		} `json:"addr_info"`
	}
	if err != nil || json.Unmarshal(out, &interfaces) != nil {
		return own, fixed // it is going
	}
	for _, i := range interfaces {
		for _, a := range i.Info {
			for network, address := range own {
				if a.Local != address && slices.ContainsFunc(i.Info, func(b struct {
					Local string `json:"local"`
				}) bool {
					return b.Local == address
				}) {
					fixed[network] = a.Local
				}
			}
		}
	}
	return own, fixed
}

// inNetwork runs a command in the network namespace of a process.
func inNetwork(ctx context.Context, pid int, command ...string) ([]byte, error) {
	if pid == 0 {
		return nil, errors.New("the pod has no process")
	}
	cmd := exec.CommandContext(ctx, "nsenter", append([]string{"--net", "--target", strconv.Itoa(pid)}, command...)...)
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("%s: %w", cmd, err)
	}
	return out, nil
}

// answers asks the guest's readiness probe itself.
func answers(ctx context.Context, addresses map[string]string) bool {
	for _, ip := range addresses {
		ctx, cancel := context.WithTimeout(ctx, time.Second)
		defer cancel()
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, fmt.Sprintf("http://%s:%d/readyz", ip, guest.Port), nil)
		if err != nil {
			return false
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			return false
		}
		_ = resp.Body.Close()
		return resp.StatusCode == http.StatusOK
	}
	return false
}

type apiVolume struct {
	Name      string
	CreatedAt string
	Labels    map[string]string
}

type apiNetwork struct {
	Name   string            `json:"name"`
	ID     string            `json:"id"`
	Labels map[string]string `json:"labels"`
}

func (w *world) Things(ctx context.Context, owner manifests.Owner) ([]backendtest.Thing, error) {
	var volumes []apiVolume
	if err := w.api.get(ctx, "/volumes/json", byLabel(owner), &volumes); err != nil {
		return nil, err
	}
	var out []backendtest.Thing
	for _, v := range volumes {
		if claim := v.Labels["mockup.dev/claim"]; claim != "" {
			out = append(out, thing("PersistentVolumeClaim", claim, v.Name+v.CreatedAt, v.Labels))
		}
	}
	var networks []apiNetwork
	if err := w.api.get(ctx, "/networks/json", byLabel(owner), &networks); err != nil {
		return nil, err
	}
	for _, n := range networks {
		out = append(out, thing("NetworkPolicy", n.Labels["mockup.dev/network"], n.ID, n.Labels))
	}
	return out, nil
}

func thing(kind, name, id string, labels map[string]string) backendtest.Thing {
	return backendtest.Thing{Ref: manifests.Ref{Kind: kind, Name: name}, ID: id, Labels: labels}
}

func (w *world) Find(ctx context.Context, namespace string, ref manifests.Ref) (backendtest.Thing, bool, error) {
	name := namespace + "-" + ref.Name
	switch ref.Kind {
	case "PersistentVolumeClaim":
		var v apiVolume
		err := w.api.get(ctx, "/volumes/"+name+"/json", nil, &v)
		return thing(ref.Kind, ref.Name, v.Name+v.CreatedAt, v.Labels), err == nil, absentIsFine(err)
	case "NetworkPolicy":
		var n apiNetwork
		err := w.api.get(ctx, "/networks/"+name+"/json", nil, &n)
		return thing(ref.Kind, ref.Name, n.ID, n.Labels), err == nil, absentIsFine(err)
	case "Deployment":
		var p struct {
			ID     string `json:"Id"`
			Labels map[string]string
		}
		err := w.api.get(ctx, "/pods/"+name+"-0/json", nil, &p)
		return thing(ref.Kind, ref.Name, p.ID, p.Labels), err == nil, absentIsFine(err)
	}
	return backendtest.Thing{}, false, nil
}

func (w *world) Writes(context.Context) (int, error) { return w.proxy.writes(), nil }

func (w *world) Provide(context.Context, ...manifests.Object) error { return nil }

func (w *world) Plant(ctx context.Context, ref manifests.Ref, owner manifests.Owner) error {
	labels := map[string]string{}
	if owner.Name != "" {
		labels[manifests.LabelOwner] = owner.String()
	}
	name := owner.Namespace + "-" + ref.Name
	if ref.Kind == "Deployment" {
		return w.api.post(ctx, "/pods/create", map[string]any{"name": name + "-0", "labels": labels})
	}
	return w.api.post(ctx, "/volumes/create", map[string]any{"Name": name, "Labels": labels})
}

func (w *world) Edit(context.Context, manifests.Owner, manifests.Ref) error {
	return fmt.Errorf("nothing can be edited here")
}

func (w *world) Kill(ctx context.Context, p backendtest.Pod) error {
	return w.kill(ctx, idOf(p.IDs[1]))
}

func (w *world) kill(ctx context.Context, container string) error {
	var data struct{ State struct{ Pid int } }
	if err := w.api.get(ctx, "/containers/"+container+"/json", nil, &data); err != nil {
		return err
	}
	return unix.Kill(data.State.Pid, unix.SIGKILL)
}

// idOf a container from its part of a pod's IDs.
func idOf(start string) string {
	id, _, _ := strings.Cut(start, " ")
	return id
}

func (w *world) RemovePod(ctx context.Context, p backendtest.Pod) error {
	return w.removePod(ctx, p.IDs[0])
}

func (w *world) removePod(ctx context.Context, id string) error {
	return w.api.do(ctx, http.MethodDelete, "/pods/"+id, url.Values{"force": {"true"}, "timeout": {"0"}}, nil, nil)
}

func (w *world) Break(context.Context) error { return w.proxy.cut() }

func (w *world) Resolve(ctx context.Context, p backendtest.Pod, name string) ([]string, error) {
	out, err := w.api.exec(ctx, idOf(p.IDs[1]), []string{guest.Path, "resolve", name})
	return strings.Fields(out), err
}

func (w *world) Connect(ctx context.Context, from, to backendtest.Pod, port int) (bool, error) {
	for network, address := range to.Addresses {
		if from.Addresses[network] != "" {
			out, err := w.api.exec(ctx, idOf(from.IDs[1]), []string{guest.Path, "dial", net.JoinHostPort(address, strconv.Itoa(port)), "700ms"})
			return strings.TrimSpace(out) == "open", err
		}
	}
	return false, fmt.Errorf("pods %s and %s have no network in common", from.Name, to.Name)
}

func (w *world) Rebuild(ctx context.Context, image string) error {
	label := fmt.Sprintf("rebuilt=%d", time.Now().UnixNano())
	out, err := exec.CommandContext(ctx, "podman", "build", "--quiet", "--label", label, "--tag", image, w.guest).CombinedOutput()
	if err != nil {
		return fmt.Errorf("building %s: %w: %s", image, err, out)
	}
	return nil
}

// api is a minimal client of Podman's REST interface.
type api struct{ http *http.Client }

func newAPI(socket string) *api {
	dial := func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", socket)
	}
	return &api{&http.Client{Transport: &http.Transport{DialContext: dial}}}
}

type statusError struct {
	code int
	text string
}

func (e *statusError) Error() string { return fmt.Sprintf("Podman answers %d: %s", e.code, e.text) }

func absentIsFine(err error) error {
	var e *statusError
	if errors.As(err, &e) && e.code == http.StatusNotFound {
		return nil
	}
	return err
}

func (a *api) get(ctx context.Context, path string, query url.Values, into any) error {
	return a.do(ctx, http.MethodGet, path, query, nil, into)
}

func (a *api) post(ctx context.Context, path string, body any) error {
	return a.do(ctx, http.MethodPost, path, nil, body, nil)
}

func (a *api) do(ctx context.Context, method, path string, query url.Values, body, into any) error {
	data, err := a.raw(ctx, method, path, query, body)
	if err == nil && into != nil {
		err = json.Unmarshal(data, into)
	}
	return err
}

func (a *api) raw(ctx context.Context, method, path string, query url.Values, body any) ([]byte, error) {
	var reader io.Reader
	if body != nil {
		b, err := json.Marshal(body)
		if err != nil {
			return nil, err
		}
		reader = strings.NewReader(string(b))
	}
	req, err := http.NewRequestWithContext(ctx, method, "http://podman/v5.0.0/libpod"+path+"?"+query.Encode(), reader)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := a.http.Do(req)
	if err != nil {
		return nil, err
	}
	defer func() { _ = resp.Body.Close() }()
	data, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode >= http.StatusBadRequest {
		err = &statusError{resp.StatusCode, string(data)}
	}
	return data, err
}

// exec returns what a command printed; one that fails is an error. The stream's frames have eight bytes of header each.
func (a *api) exec(ctx context.Context, container string, command []string) (string, error) {
	var session struct {
		ID string `json:"Id"`
	}
	err := a.do(ctx, http.MethodPost, "/containers/"+container+"/exec", nil, map[string]any{"Cmd": command, "AttachStdout": true, "AttachStderr": true}, &session)
	if err != nil {
		return "", err
	}
	data, err := a.raw(ctx, http.MethodPost, "/exec/"+session.ID+"/start", nil, map[string]any{})
	if err != nil {
		return "", err
	}
	var out strings.Builder
	for len(data) >= 8 {
		n := int(data[4])<<24 | int(data[5])<<16 | int(data[6])<<8 | int(data[7])
		out.Write(data[8:min(8+n, len(data))])
		data = data[min(8+n, len(data)):]
	}
	var ended struct{ ExitCode int }
	if err := a.get(ctx, "/exec/"+session.ID+"/json", nil, &ended); err != nil {
		return "", err
	}
	if ended.ExitCode != 0 {
		return "", fmt.Errorf("%v ended with %d: %s", command, ended.ExitCode, out.String())
	}
	return out.String(), nil
}

// proxy stands between the backend and Podman, counts what may change something, and can cut every connection.
type proxy struct {
	path string

	mu    sync.Mutex
	count int
	conns map[net.Conn]bool
}

func startProxy(t backendtest.T, target string) *proxy {
	t.Helper()
	dir, err := os.MkdirTemp("", "podman-proxy")
	if err != nil {
		t.Fatalf("making a folder for a socket: %v", err)
	}
	p := &proxy{path: dir + "/podman.sock", conns: map[net.Conn]bool{}}
	listener, err := net.Listen("unix", p.path)
	if err != nil {
		t.Fatalf("listening on %s: %v", p.path, err)
	}
	t.Cleanup(func() {
		_ = listener.Close()
		_ = p.cut()
		_ = os.RemoveAll(dir)
	})
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go p.serve(conn, target)
		}
	}()
	return p
}

func (p *proxy) serve(client net.Conn, target string) {
	server, err := net.Dial("unix", target)
	if err != nil {
		_ = client.Close()
		return
	}
	p.mu.Lock()
	p.conns[client], p.conns[server] = true, true
	p.mu.Unlock()
	go func() {
		_, _ = io.Copy(client, server)
		_ = client.Close()
	}()
	buffer := make([]byte, 32<<10)
	for {
		n, err := client.Read(buffer)
		p.note(string(buffer[:n]))
		if n > 0 {
			if _, werr := server.Write(buffer[:n]); werr != nil {
				break
			}
		}
		if err != nil {
			break
		}
	}
	if half, ok := server.(*net.UnixConn); ok {
		_ = half.CloseWrite()
	}
}

// note counts a request that may change something; probes and tests run commands, which does not count.
func (p *proxy) note(chunk string) {
	line, _, _ := strings.Cut(chunk, "\r\n")
	method, _, _ := strings.Cut(line, " ")
	if (method == http.MethodPost || method == http.MethodDelete || method == http.MethodPut) && strings.HasSuffix(line, "HTTP/1.1") && !strings.Contains(line, "/exec") {
		p.mu.Lock()
		p.count++
		p.mu.Unlock()
	}
}

func (p *proxy) writes() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.count
}

func (p *proxy) cut() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	for c := range p.conns {
		_ = c.Close()
		delete(p.conns, c)
	}
	return nil
}
