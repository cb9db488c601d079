package podman

import (
	"context"
	"fmt"
	"maps"
	"sync"
	"time"

	"mockup.dev/mockup/manifests"
)

const (
	// volumesFresh is how long what volumes hold is not measured again.
	volumesFresh = time.Minute
	// volumesRest is how many times longer than a measurement the pause after it is at least: one of many files must not
	// keep the disk busy.
	volumesRest = 20
	// volumesTimeout bounds the measurement of one volume.
	volumesTimeout = 5 * time.Minute
)

// noteClaims keeps what claims an owner wants, for metrics of their volumes.
func (b *Backend) noteClaims(w *wanted) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if w.remove {
		delete(b.claims, w.owner.String())
		return
	}
	b.claims[w.owner.String()] = w.claims
}

// volumeMetrics measures volumes behind the scenes: whoever asks has what was found last, and has it measured anew when that
// is old.
type volumeMetrics struct {
	backend *Backend

	mu sync.Mutex
	// used bytes by the Podman volume, and the time that they are good for.
	used map[string]int64
	due  time.Time
	busy bool
}

// claimMetrics of one claim.
type claimMetrics struct {
	namespace, claim string
	size, used       int64
	// measured is false until the first time.
	measured bool
}

func newVolumeMetrics(b *Backend) *volumeMetrics {
	return &volumeMetrics{backend: b, used: map[string]int64{}}
}

// all claims, at once.
func (v *volumeMetrics) all() []claimMetrics {
	v.mu.Lock()
	defer v.mu.Unlock()
	var out []claimMetrics
	var volumes []string
	for key, claims := range v.claims() {
		owner, err := manifests.ParseOwner(key)
		if err != nil {
			continue
		}
		for _, c := range claims {
			m := claimMetrics{namespace: owner.Namespace, claim: c.ref.Name, size: c.size}
			m.used, m.measured = v.used[c.volume]
			out, volumes = append(out, m), append(volumes, c.volume)
		}
	}
	if !v.busy && len(volumes) > 0 && time.Now().After(v.due) {
		v.busy = true
		go v.measure(volumes)
	}
	return out
}

func (v *volumeMetrics) claims() map[string][]wantedClaim {
	v.backend.mu.Lock()
	defer v.backend.mu.Unlock()
	return maps.Clone(v.backend.claims)
}

// measure volumes, one after the other. One that can't be measured has no figure.
func (v *volumeMetrics) measure(volumes []string) {
	begun, used := time.Now(), map[string]int64{}
	for _, name := range volumes {
		if n, err := v.one(name); err == nil {
			used[name] = n
		} else {
			v.backend.log.V(1).Info("a volume could not be measured", "volume", name, "error", err.Error())
		}
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	v.used, v.busy = used, false
	v.due = time.Now().Add(max(volumesFresh, volumesRest*time.Since(begun)))
}

func (v *volumeMetrics) one(name string) (int64, error) {
	ctx, cancel := context.WithTimeout(context.Background(), volumesTimeout)
	defer cancel()
	found, there, err := v.backend.engine.volumeNamed(ctx, name)
	if err != nil {
		return 0, err
	}
	if !there || found.path == "" {
		return 0, fmt.Errorf("there is no volume %s with files", name)
	}
	return v.backend.node.Usage(ctx, found.path)
}
