package podman

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"mockup.dev/mockup/manifests"
)

// playedTest is a pod that ends with 0 if the program takes the configuration. It bears no label of its owner, for a pod
// whose last container has ended keeps everybody waiting who lists it: on cgroup v1 Podman takes seconds to end the rest of
// it (it can't remove a control group that it is in itself). For the same reason it is removed behind the scenes.
type playedTest struct {
	name     string
	document []byte
	volumes  []volumeInfo
}

// testName is the pod that tries out a configuration of another. Each has its own, so that none waits for the last to go.
func testName(pod, digest string) string { return pod + "-test-" + digest[:8] }

// testTimeout is long for reading a configuration, and short for whoever waits for it.
const testTimeout = time.Minute

// tested makes the pod that tries the configuration out: the main container with the test in place of its own command,
// or of its arguments if the image's entrypoint runs, without ports and claims.
func (p *wantedPod) tested(spec *corev1.PodSpec, command []string, digest string, v *podVolumes) (*playedTest, error) {
	t := &playedTest{name: testName(p.name, digest)}
	pod := spec.DeepCopy()
	pod.InitContainers, pod.Containers = nil, pod.Containers[:1]
	pod.RestartPolicy, pod.Hostname = corev1.RestartPolicyNever, ""
	c := &pod.Containers[0]
	c.Name, c.Ports = containerName(t.name, "test"), nil
	if c.Command == nil {
		c.Args = command
	} else {
		c.Command, c.Args = command, nil
	}
	rename := strings.NewReplacer(p.name+".", t.name+".")
	for i := range c.VolumeMounts {
		c.VolumeMounts[i].Name = rename.Replace(c.VolumeMounts[i].Name)
	}
	for i := range pod.Volumes {
		vol := &pod.Volumes[i]
		vol.Name = rename.Replace(vol.Name)
		if vol.ConfigMap != nil {
			vol.ConfigMap.Name = vol.Name
		}
		if vol.PersistentVolumeClaim != nil {
			vol.VolumeSource = corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{}}
		}
	}
	labels := map[string]string{labelTestOf: v.set.Owner.String(), manifests.LabelManagedBy: manifests.ManagedBy}
	var configMaps []*corev1.ConfigMap
	for _, cm := range v.configMaps {
		cm = cm.DeepCopy()
		cm.Name = rename.Replace(cm.Name)
		configMaps = append(configMaps, cm)
		t.volumes = append(t.volumes, volumeInfo{name: cm.Name, labels: with(labels, labelPod, t.name)})
	}
	var err error
	t.document, err = encode(&corev1.Pod{
		TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Pod"}, ObjectMeta: metav1.ObjectMeta{Name: t.name, Labels: with(labels, labelPod, t.name)}, Spec: *pod,
	}, configMaps)
	return t, err
}

// rejectedError says that a program does not take its configuration. It is not asked again about the same.
type rejectedError struct {
	digest string
	said   string
}

func (e *rejectedError) Error() string { return "the changed configuration is refused: " + e.said }

// tryOut plays the test of the pod's configuration, if it has one, and has it removed again. The error is a *rejectedError
// when the program said no.
func (b *Backend) tryOut(ctx context.Context, want *wantedPod) error {
	if want.reload == nil || want.reload.test == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, testTimeout)
	defer cancel()
	t := want.reload.test
	leave, err := b.tests.enter(ctx, t.name)
	if err != nil {
		return err
	}
	defer func() {
		go func() {
			defer leave()
			if err := b.clearTest(context.WithoutCancel(ctx), t.name, t.volumes); err != nil {
				b.log.Info("the test of a configuration is left for now", "pod", t.name, "error", err.Error())
				time.AfterFunc(busyPause, func() { b.sweepTests(context.Background()) })
			}
		}()
	}()
	err = b.test(ctx, want)
	var rejected *rejectedError
	if errors.As(err, &rejected) {
		// Podman may have been at a last request of an operator that was killed, which took the test's files away.
		err = b.test(ctx, want)
	}
	return err
}

// test plays it once, from nothing, and waits for what the program says.
func (b *Backend) test(ctx context.Context, want *wantedPod) error {
	t := want.reload.test
	if err := b.clearTest(ctx, t.name, t.volumes); err != nil {
		return err
	}
	if err := b.makeVolumes(ctx, t.volumes); err != nil {
		return err
	}
	ended, forget := b.exits.expect(t.name)
	defer forget()
	// Without any network, a pod would have no resolv.conf.
	networks := want.request.networks[:min(1, len(want.request.networks))]
	if err := b.engine.play(ctx, playRequest{document: t.document, networks: networks}); err != nil {
		return fmt.Errorf("playing the test of a configuration: %w", err)
	}
	return b.verdict(ctx, t.name, want.reload.digest, ended)
}

// verdict waits for a test's end.
func (b *Backend) verdict(ctx context.Context, test, digest string, ended <-chan exit) error {
	where, err := b.place(ctx)
	if err != nil {
		return err
	}
	end, err := b.exitOf(ctx, where.container(test, "test"), ended)
	if err != nil || end.code == 0 {
		return err
	}
	var out bytes.Buffer
	if err := b.engine.logs(ctx, end.container, logRequest{tail: 20}, &out); err != nil {
		return fmt.Errorf("reading why a configuration was refused: %w", err)
	}
	return &rejectedError{digest: digest, said: lastLines(out.String())}
}

// clearTest removes what a test left.
func (b *Backend) clearTest(ctx context.Context, pod string, volumes []volumeInfo) error {
	err := b.removeNamed(ctx, pod)
	for _, v := range volumes {
		if err == nil {
			err = b.engine.removeVolume(ctx, v.name)
		}
	}
	return err
}

// sweepTests removes what is left of tests that nobody waits for, those of an operator that was killed, and comes back for
// what can't be removed yet until ctx ends.
func (b *Backend) sweepTests(ctx context.Context) {
	pods, volumes, err := b.engine.tests(ctx)
	if err != nil {
		return // there will be another time
	}
	left := map[string][]volumeInfo{}
	for _, p := range pods {
		left[p.name] = nil
	}
	for _, v := range volumes {
		left[v.labels[labelPod]] = append(left[v.labels[labelPod]], v)
	}
	for test, files := range left {
		leave, free := b.tests.tryEnter(test)
		if !free {
			continue // whoever runs it removes it
		}
		err = errors.Join(err, b.clearTest(ctx, test, files))
		leave()
	}
	if err != nil && ctx.Err() == nil {
		b.log.Info("what is left of tests could not be removed", "error", err.Error())
		time.AfterFunc(busyPause, func() { b.sweepTests(ctx) })
	}
}

// endTests has those of an owner that goes removed: they are on its networks.
func (b *Backend) endTests(ctx context.Context, owner manifests.Owner) error {
	pods, volumes, err := b.engine.tests(ctx)
	if err != nil {
		return err
	}
	for _, v := range volumes {
		if v.labels[labelTestOf] == owner.String() {
			if err := b.engine.removeVolume(ctx, v.name); err != nil && !errors.Is(err, errBusy) {
				return err
			}
		}
	}
	for _, p := range pods {
		if p.labels[labelTestOf] == owner.String() {
			b.tasks.start(owner, p.name, work{action: removePod}, func(ctx context.Context) error { return b.engine.removePod(ctx, p.id, 0) })
		}
	}
	return nil
}

// running are the names of tests, each held by one at a time.
type running struct {
	mu    sync.Mutex
	names map[string]chan struct{}
}

// enter waits until nobody holds the name, and returns how to give it back.
func (r *running) enter(ctx context.Context, name string) (leave func(), err error) {
	for {
		leave, free := r.tryEnter(name)
		if free {
			return leave, nil
		}
		select {
		case <-r.held(name):
		case <-ctx.Done():
			return nil, fmt.Errorf("waiting for the last test %s: %w", name, ctx.Err())
		}
	}
}

// tryEnter is enter for whoever does not wait.
func (r *running) tryEnter(name string) (leave func(), free bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if _, busy := r.names[name]; busy {
		return nil, false
	}
	done := make(chan struct{})
	r.names[name] = done
	return func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		delete(r.names, name)
		close(done)
	}, true
}

// held ends when the name is given back.
func (r *running) held(name string) <-chan struct{} {
	r.mu.Lock()
	defer r.mu.Unlock()
	if held, busy := r.names[name]; busy {
		return held
	}
	free := make(chan struct{})
	close(free)
	return free
}

func (b *Backend) removeNamed(ctx context.Context, name string) error {
	pod, there, err := b.engine.podNamed(ctx, name)
	if err != nil || !there {
		return err
	}
	return b.engine.removePod(ctx, pod.id, 0)
}

// maxSaid is how much of a program's last words a message repeats, in bytes.
const maxSaid = 600

// lastLines is the end of what a program said, on one line.
func lastLines(text string) string {
	text = strings.Join(strings.FieldsFunc(strings.TrimSpace(text), func(r rune) bool { return r == '\n' || r == '\r' }), "; ")
	return text[max(0, len(text)-maxSaid):]
}
