package podman

import (
	"archive/tar"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"slices"
	"strconv"
	"time"

	corev1 "k8s.io/api/core/v1"

	"mockup.dev/mockup/manifests"
)

// reload is how the program of a pod takes up changed configuration without a restart: the new files are tried out in a
// pod of their own, written into the volumes of the running one, and the program is told.
type reload struct {
	// digest of the configuration as it is wanted.
	digest  string
	how     manifests.Reload
	volumes []configVolume
	// test tries the configuration out; nil when the template has no test.
	test *playedTest
}

// reloadable tells of a ConfigMap or Secret whether the pods of a template take up its content while they run: it has a
// digest among the annotations, and there is a way to tell them.
func reloadable(annotations map[string]string) func(name string) bool {
	return func(name string) bool {
		_, noted := annotations[manifests.ConfigAnnotation(name)]
		return noted && annotations[manifests.AnnotationReload] != ""
	}
}

// reloads says how the pod takes up what it mounts, if it can.
func (p *wantedPod) reloads(template *corev1.PodTemplateSpec, spec *corev1.PodSpec, v *podVolumes) error {
	if len(v.reloaded) == 0 {
		return nil
	}
	r := &reload{volumes: v.reloaded}
	var err error
	if r.how, err = manifests.ParseReload(template.Annotations[manifests.AnnotationReload]); err != nil {
		return fmt.Errorf("annotation %s: %w", manifests.AnnotationReload, err)
	}
	versions, _ := json.Marshal(v.loaded) // maps of strings always encode
	sum := sha256.Sum256(versions)
	r.digest = hex.EncodeToString(sum[:])[:16]
	if text := template.Annotations[manifests.AnnotationReloadTest]; text != "" {
		command, err := manifests.ParseCommand(text)
		if err != nil {
			return fmt.Errorf("annotation %s: %w", manifests.AnnotationReloadTest, err)
		}
		if r.test, err = p.tested(spec, command, r.digest, v); err != nil {
			return err
		}
	}
	p.reload = r
	return nil
}

func with(labels map[string]string, key, value string) map[string]string {
	labels = maps.Clone(labels)
	labels[key] = value
	return labels
}

// loadedMarker is the empty volume that says which configuration the pod's program runs with: Podman changes no labels of
// what is there.
func (p *wantedPod) loadedMarker(owner manifests.Owner) volumeInfo {
	labels := with(ownerLabels(owner), labelPod, p.name)
	labels[labelLoaded] = p.reload.digest
	return volumeInfo{name: podVolumeName(p.name, "loaded"), labels: labels}
}

// take has the program of a running pod take up its configuration as it is wanted.
func (b *Backend) take(ctx context.Context, owner manifests.Owner, s step) error {
	r := s.want.reload
	if err := b.tryOut(ctx, s.want); err != nil {
		return err
	}
	for _, v := range r.volumes {
		archive, err := v.archive()
		if err != nil {
			return err
		}
		if err := b.engine.fillVolume(ctx, v.name, archive); err != nil {
			return err
		}
	}
	if err := b.tell(ctx, s); err != nil {
		return fmt.Errorf("reloading by %s: %w", r.how, err)
	}
	marker := s.want.loadedMarker(owner)
	if err := b.engine.removeVolume(ctx, marker.name); err != nil {
		return fmt.Errorf("noting what was loaded: %w", err)
	}
	return b.engine.createVolume(ctx, marker)
}

// tell the program of a running pod, in the way of its template.
func (b *Backend) tell(ctx context.Context, s step) error {
	how := s.want.reload.how
	switch {
	case how.Watched:
		return nil
	case how.HTTPPost != nil:
		return b.post(ctx, how.HTTPPost, s.pod)
	case how.Signal != "":
		return b.engine.signal(ctx, s.id, how.Signal)
	}
	var out bytes.Buffer
	code, err := b.engine.exec(ctx, s.id, execRequest{command: how.Command, stdout: &out, stderr: &out})
	if err == nil && code != 0 {
		err = fmt.Errorf("exit code %d: %s", code, lastLines(out.String()))
	}
	return err
}

const (
	// postTimeout is how long a program may take to read its configuration.
	postTimeout = 30 * time.Second
	// maxBody is how much of an answer is read, in bytes.
	maxBody = 64 << 10
)

// post from outside, as probes are.
func (b *Backend) post(ctx context.Context, p *manifests.HTTPPost, pod podInfo) error {
	ctx, cancel := context.WithTimeout(ctx, postTimeout)
	defer cancel()
	t := target{addr: anyAddress(b.networkOf(pod).byNet), dial: b.prober.dial}
	url := "http://" + net.JoinHostPort(t.addr.String(), strconv.Itoa(p.Port)) + p.Path
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, url, nil)
	if err != nil {
		return err
	}
	return t.exchange(request, func(answer *http.Response) error {
		said, err := io.ReadAll(io.LimitReader(answer.Body, maxBody))
		if answer.StatusCode < http.StatusOK || answer.StatusCode >= http.StatusMultipleChoices {
			return fmt.Errorf("%s: %s", answer.Status, lastLines(string(said)))
		}
		return err
	})
}

// archive holds the files as a kubelet would write them, and as kube play does.
func (v configVolume) archive() (io.Reader, error) {
	var out bytes.Buffer
	w := tar.NewWriter(&out)
	for _, name := range slices.Sorted(maps.Keys(v.files)) {
		header := &tar.Header{Name: name, Mode: int64(v.mode), Size: int64(len(v.files[name])), Typeflag: tar.TypeReg}
		if err := w.WriteHeader(header); err != nil {
			return nil, fmt.Errorf("packing %s: %w", name, err)
		}
		if _, err := w.Write(v.files[name]); err != nil {
			return nil, fmt.Errorf("packing %s: %w", name, err)
		}
	}
	if err := w.Close(); err != nil {
		return nil, fmt.Errorf("packing the files of volume %s: %w", v.name, err)
	}
	return &out, nil
}
