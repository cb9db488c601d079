package podman

import (
	"context"
	"fmt"
	"maps"
	"strings"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"

	"mockup.dev/mockup/internal/backend"
	"mockup.dev/mockup/manifests"
)

// pulls fetch images in the background, one call for each reference however many pods want it.
type pulls struct {
	engine  engine
	changed func(manifests.Owner)

	mu     sync.Mutex
	status map[string]*pull
}

type pull struct {
	running bool
	// owners wait for the end.
	owners map[string]manifests.Owner
	err    error
	until  time.Time
	count  int
}

func newPulls(e engine, changed func(manifests.Owner)) *pulls {
	return &pulls{engine: e, changed: changed, status: map[string]*pull{}}
}

// ensure returns the image if it can be used now, and starts a pull when it can't and the policy allows one.
func (p *pulls) ensure(ctx context.Context, owner manifests.Owner, image wantedImage) (imageInfo, error) {
	found, err := p.engine.image(ctx, image.ref)
	if err != nil {
		return imageInfo{}, err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if found.id != "" {
		delete(p.status, image.ref)
		return found, nil
	}
	s := p.status[image.ref]
	if s == nil {
		s = &pull{owners: map[string]manifests.Owner{}}
		p.status[image.ref] = s
	}
	s.owners[owner.String()] = owner
	switch {
	case s.running || time.Now().Before(s.until):
	case image.policy == corev1.PullNever:
		s.fail(fmt.Errorf("the pull policy is Never and the image is not there"))
	case strings.HasPrefix(image.ref, "localhost/"):
		s.fail(fmt.Errorf("the image is not there, and localhost is no registry: build it, then it is found by itself"))
	default:
		s.running = true
		go p.pull(image.ref)
	}
	if !s.running {
		wait := time.Until(s.until)
		time.AfterFunc(wait, func() { p.changed(owner) })
	}
	return imageInfo{}, nil
}

func (p *pulls) pull(ref string) {
	err := p.engine.pullImage(context.Background(), ref)
	p.mu.Lock()
	s := p.status[ref]
	owners := map[string]manifests.Owner{}
	if s != nil {
		s.running = false
		owners = maps.Clone(s.owners)
		if err != nil {
			s.fail(err)
		}
	}
	p.mu.Unlock()
	for _, o := range owners {
		p.changed(o)
	}
}

func (s *pull) fail(err error) {
	s.err = err
	s.until = time.Now().Add(backOff(s.count))
	s.count++
}

// problem is the reason why an image can't be used yet.
type problem struct {
	reason  string
	message string
}

func (p *pulls) problems() map[string]problem {
	p.mu.Lock()
	defer p.mu.Unlock()
	out := map[string]problem{}
	for ref, s := range p.status {
		if s.err == nil {
			out[ref] = problem{backend.ReasonPulling, "pulling image " + ref}
		} else {
			out[ref] = problem{backend.ReasonImagePull, fmt.Sprintf("image %s: %v", ref, s.err)}
		}
	}
	return out
}
