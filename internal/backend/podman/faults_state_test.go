package podman

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/url"
	"reflect"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"

	"mockup.dev/mockup/manifests"
)

// libpod is the second client: plain HTTP to Podman's socket, sharing nothing with the backend but the service.
type libpod struct{ http *http.Client }

func newLibpod(socket string) *libpod {
	return &libpod{&http.Client{Timeout: 30 * time.Second, Transport: &http.Transport{
		DisableKeepAlives: true, // the service is restarted under it
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "unix", socket)
		},
	}}}
}

// do makes a request, whose body is sent as JSON unless it is bytes, and decodes its answer, if into is not nil.
func (l *libpod) do(method, path string, body, into any) error {
	content, err := json.Marshal(body)
	if document, raw := body.([]byte); raw {
		content, err = document, nil
	}
	if err != nil {
		return err
	}
	req, err := http.NewRequest(method, "http://podman/v5.0.0/libpod"+path, bytes.NewReader(content))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := l.http.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode >= http.StatusBadRequest {
		err = fmt.Errorf("%s %s: %s: %s", method, path, resp.Status, data)
	}
	if err == nil && into != nil {
		err = json.Unmarshal(data, into)
	}
	return err
}

func (l *libpod) get(path string, into any) error { return l.do(http.MethodGet, path, nil, into) }

// state of everything whose name begins with a namespace: of its owner, of nobody, and of others.
type state struct {
	// Pods by name, with their IDs, hashes and containers; Containers by name, with their IDs; Volumes, with their time
	// of creation, and Networks, with their IDs.
	Pods                          map[string]podState
	Containers, Volumes, Networks map[string]string
}

type podState struct {
	ID, Status, Hash string
	// Containers that are not infra, by name, with their states.
	Containers map[string]string
	// IDs of the same.
	IDs map[string]string
}

func (s *state) same(other *state) bool { return reflect.DeepEqual(s, other) }

func (s *state) String() string {
	b, _ := json.Marshal(s) // always has a JSON form
	return string(b)
}

// look at all that belongs to a namespace by its name.
func (l *libpod) look(namespace string) (*state, error) {
	s := &state{Pods: map[string]podState{}, Containers: map[string]string{}, Volumes: map[string]string{}, Networks: map[string]string{}}
	ours := func(name string) bool { return strings.HasPrefix(name, namespace+"-") }
	var pods []struct {
		ID         string `json:"Id"`
		InfraID    string `json:"InfraId"`
		Name       string
		Status     string
		Labels     map[string]string
		Containers []struct{ ID, Names, Status string }
	}
	var containers []struct {
		ID    string `json:"Id"`
		Names []string
	}
	var volumes []struct{ Name, CreatedAt string }
	var networks []struct{ Name, ID string }
	err := errors.Join(l.get("/pods/json", &pods), l.get("/containers/json?all=true", &containers),
		l.get("/volumes/json", &volumes), l.get("/networks/json", &networks))
	named := map[string]string{} // by ID, as every Podman from 5.7 on has it
	for _, p := range pods {
		if !ours(p.Name) {
			continue
		}
		one := podState{ID: p.ID, Status: p.Status, Hash: p.Labels[labelHash], Containers: map[string]string{}, IDs: map[string]string{}}
		for _, c := range p.Containers {
			if c.ID != p.InfraID {
				name := containerName(p.Name, manifestName(p.Name, c.Names))
				one.Containers[name], one.IDs[name], named[c.ID] = c.Status, c.ID, name
			}
		}
		s.Pods[p.Name] = one
	}
	for _, c := range containers {
		if ours(c.Names[0]) {
			s.Containers[cmp.Or(named[c.ID], c.Names[0])] = c.ID
		}
	}
	for _, v := range volumes {
		if ours(v.Name) {
			s.Volumes[v.Name] = v.CreatedAt
		}
	}
	for _, n := range networks {
		if ours(n.Name) {
			s.Networks[n.Name] = n.ID
		}
	}
	return s, err
}

// bystander is an owner whose objects have names that look like those of a stack, and mean something else.
type bystander struct {
	owner manifests.Owner
	state *state
}

// plant puts a bystander beside a stack: a pod that runs, a volume that it uses, a network that it is on, each with a
// name that begins like one of the stack, and labels that differ in the owner only.
func (r *rig) plant(s *stack) (*bystander, error) {
	other := s.owner
	other.Name += "2"
	namespace := s.owner.Namespace
	labels := func(more map[string]string) map[string]string {
		l := ownerLabels(other)
		maps.Copy(l, more)
		return l
	}
	e := &client{uri: "unix://" + r.socket}
	ctx := context.Background()
	web := map[string]string{manifests.LabelWorkload: "web", labelKind: "Deployment", labelHash: "other"}
	err := errors.Join(
		r.podman.do(http.MethodPost, "/networks/create", map[string]any{"name": namespace + "-publi", "labels": labels(nil)}, nil),
		r.podman.do(http.MethodPost, "/volumes/create", map[string]any{"Name": namespace + "-web-0.confi", "Labels": labels(map[string]string{labelPod: namespace + "-web-0"})}, nil),
		r.podman.do(http.MethodPost, "/volumes/create", map[string]any{"Name": namespace + "-dat", "Labels": labels(map[string]string{labelClaim: "dat", manifests.LabelReclaim: "Delete"})}, nil),
		e.play(ctx, playRequest{document: podDocument(namespace+"-web", labels(web), namespace+"-dat"), networks: []string{namespace + "-publi"}}),
	)
	if err != nil {
		return nil, fmt.Errorf("planting objects of %s: %w", other, err)
	}
	found, err := r.podman.look(namespace)
	return &bystander{other, found}, err
}

// podDocument is a pod for kube play that serves, with a volume.
func podDocument(name string, labels map[string]string, volume string) []byte {
	pod := corev1.Pod{TypeMeta: typeOf("v1", "Pod")}
	pod.Name, pod.Labels = name, labels
	pod.Spec.Containers = []corev1.Container{{Name: name + "-c", Image: guestImage, ImagePullPolicy: corev1.PullNever, VolumeMounts: []corev1.VolumeMount{{Name: "v", MountPath: "/v"}}}}
	pod.Spec.Volumes = []corev1.Volume{{Name: "v", VolumeSource: fromClaim(volume)}}
	b, _ := json.Marshal(pod) // JSON is YAML
	return b
}

// without takes a bystander's objects out, which must be as they were.
func (s *state) without(b *bystander) error {
	if b == nil {
		return nil
	}
	before := b.state
	return errors.Join(takeOut("pod", s.Pods, before.Pods), takeOut("container", s.Containers, before.Containers),
		takeOut("volume", s.Volumes, before.Volumes), takeOut("network", s.Networks, before.Networks))
}

func takeOut[V any](what string, from, objects map[string]V) error {
	for name, before := range objects {
		if now := from[name]; !reflect.DeepEqual(now, before) {
			return fmt.Errorf("another owner's %s %s was touched: it was %+v, it is %+v", what, name, before, now)
		}
		delete(from, name)
	}
	return nil
}

// whole looks at everything in the set's namespace and complains unless it is exactly what the set wants, and what a
// bystander has there.
func (r *rig) whole(set manifests.Set, b *bystander) (*state, error) {
	s, err := r.podman.look(set.Owner.Namespace)
	if err == nil {
		err = s.without(b)
	}
	if err == nil {
		err = s.is(set)
	}
	if err == nil {
		err = r.nodeIs(set, s)
	}
	return s, err
}

// is complains unless the state is what the set wants, no less and no more.
func (s *state) is(set manifests.Set) error {
	want, err := translate(set, "")
	if err != nil {
		return err
	}
	var containers, volumes, networks []string
	pods := map[string]bool{}
	for i := range want.workloads {
		w := &want.workloads[i]
		mine, err := s.podsOf(w, set)
		if err != nil {
			return err
		}
		for _, name := range mine {
			pods[name] = true
			containers = append(containers, slices.Collect(maps.Keys(s.Pods[name].Containers))...)
			volumes = append(volumes, volumesOf(w, name)...)
		}
		if w.job != nil {
			volumes = append(volumes, podVolumeName(podName(set.Owner.Namespace, w.ref.Name, 0), "result"))
		}
	}
	if !set.Remove {
		for _, c := range want.claims {
			volumes = append(volumes, c.volume)
		}
		for _, n := range want.networks {
			networks = append(networks, n.name)
		}
	}
	return errors.Join(exactly("pods", s.Pods, slices.Collect(maps.Keys(pods))), exactly("containers", s.Containers, containers),
		exactly("volumes", s.Volumes, volumes), exactly("networks", s.Networks, networks))
}

// podsOf are the names of a workload's pods, each of which must be as wanted.
func (s *state) podsOf(w *wantedWorkload, set manifests.Set) ([]string, error) {
	var names []string
	for _, name := range slices.Sorted(maps.Keys(s.Pods)) {
		base := name[:max(0, strings.LastIndexByte(name, '-'))]
		if base != set.Owner.Namespace+"-"+w.ref.Name {
			continue
		}
		p := s.Pods[name]
		names = append(names, name)
		if p.Hash != w.pod.hash {
			return nil, fmt.Errorf("pod %s has the hash %s in place of %s", name, p.Hash, w.pod.hash)
		}
		for c := range w.pod.containers {
			if got := p.Containers[containerName(name, c)]; w.job == nil && !w.pod.initial[c] && got != "running" {
				return nil, fmt.Errorf("container %s of pod %s is %q", c, name, got)
			}
		}
		if w.job == nil && p.Status != "Running" {
			return nil, fmt.Errorf("pod %s is %s", name, p.Status)
		}
	}
	// How often a Job was tried depends on what failed; one that has ended keeps its last pod.
	if w.job == nil && len(names) != w.replicas || w.job != nil && len(names) == 0 {
		return nil, fmt.Errorf("%s has the pods %v in place of %d", w.ref, names, w.replicas)
	}
	return names, nil
}

// volumesOf a pod are those that are made for it.
func volumesOf(w *wantedWorkload, name string) []string {
	var names []string
	pod := w.named(name)
	for _, v := range pod.volumes {
		names = append(names, v.name)
	}
	if pod.reload != nil {
		names = append(names, podVolumeName(name, "loaded"))
	}
	return names
}

func exactly[V any](what string, there map[string]V, want []string) error {
	got := slices.Sorted(maps.Keys(there))
	slices.Sort(want)
	if !slices.Equal(got, want) {
		return fmt.Errorf("there are the %s %v, wanted are %v", what, got, want)
	}
	return nil
}

// nodeIs complains unless the node agent serves the Services of the set, and no others.
func (r *rig) nodeIs(set manifests.Set, s *state) error {
	if set.Remove {
		if _, there, err := r.nodeState(set.Owner); err == nil && there { // it may have ended: nobody needs it
			return fmt.Errorf("the node agent still knows %s", set.Owner)
		}
		return nil
	}
	served, there, err := r.nodeState(set.Owner)
	if err != nil {
		return fmt.Errorf("asking the node agent about %s: %w", set.Owner, err)
	}
	if !there {
		return fmt.Errorf("the node agent does not know %s", set.Owner)
	}
	for _, p := range served {
		if _, runs := s.Pods[p.Name]; !runs {
			return fmt.Errorf("the node agent knows pod %s, which is gone", p.Name)
		}
	}
	for _, o := range set.Objects {
		service, ok := o.(*corev1.Service)
		ok = ok && service.Spec.Type != corev1.ServiceTypeExternalName // no pod bears it
		if ok && !slices.ContainsFunc(served, func(p servedPod) bool { return slices.Contains(p.Services, service.Name) }) {
			return fmt.Errorf("no pod bears the name %s", service.Name)
		}
	}
	return nil
}

type servedPod struct {
	Name     string
	Services []string
}

// nodeState asks the node agent itself.
func (r *rig) nodeState(owner manifests.Owner) ([]servedPod, bool, error) {
	c := &http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", r.dir+"/node.sock")
	}}}
	resp, err := c.Get("http://node/owners/" + url.PathEscape(owner.String()))
	if err != nil {
		return nil, false, err
	}
	defer resp.Body.Close()
	if resp.StatusCode == http.StatusNotFound {
		return nil, false, nil
	}
	var state struct{ Pods []servedPod }
	return state.Pods, true, json.NewDecoder(resp.Body).Decode(&state)
}
