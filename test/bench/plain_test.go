package bench

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/yaml"

	"mockup.dev/mockup/test/stacktest"
)

const (
	// pollPeriod is how often a service is asked whether it is ready; it adds half of itself to what is measured.
	pollPeriod = 10 * time.Millisecond
	// plainNetwork as the head of the rendered file has it made.
	plainNetwork, plainSubnet = "mockup-public", "172.18.0.0/16"
	// plainNames is where Podman's network writes which names have which address, before the container starts.
	plainNames = "/run/containers/networks/aardvark-dns/" + plainNetwork
)

// servicePorts are where the sample's services answer /readyz.
var servicePorts = map[string]int{"mime-server": 8000, "public-app": 5000, "intranet-api": 5001}

// plain runs the rendered sample by `podman kube play`, as the head of the rendered file says, without mockup.
type plain struct {
	*stacktest.Stack
	manifests, secrets string
	visitor            *http.Client
}

// newPlain renders the sample.
func newPlain(ctx context.Context, s *stacktest.Stack) (*plain, error) {
	p := &plain{Stack: s, manifests: filepath.Join(s.Dir, "manifests.yaml"), secrets: filepath.Join(s.Dir, "secrets.yaml")}
	rendered, err := s.Mockup(ctx, "render", "-f", s.Sample(), "--new-secrets", p.secrets, "--image-map", s.ImageMap())
	if err != nil {
		return nil, err
	}
	if err := os.WriteFile(p.manifests, []byte(rendered), 0o600); err != nil {
		return nil, fmt.Errorf("writing the rendered sample: %w", err)
	}
	ca, err := authority(p.secrets)
	if err != nil {
		return nil, err
	}
	p.visitor, err = stacktest.Visitor(ca)
	return p, err
}

// authority is the certificate authority among the Secrets of a file.
func authority(file string) ([]byte, error) {
	content, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("reading the new Secrets: %w", err)
	}
	for document := range strings.SplitSeq(string(content), "\n---\n") {
		secret := &corev1.Secret{}
		if err := yaml.Unmarshal([]byte(document), secret); err != nil {
			return nil, fmt.Errorf("reading the new Secrets: %w", err)
		}
		if ca := secret.Data["ca.crt"]; len(ca) > 0 {
			return ca, nil
		}
	}
	return nil, fmt.Errorf("reading the new Secrets: none in %s has a ca.crt", file)
}

// prepare makes what has to be there before; it is not measured.
func (p *plain) prepare(ctx context.Context) error {
	if _, err := p.Podman(ctx, "network", "create", "--subnet", plainSubnet, plainNetwork); err != nil {
		return err
	}
	_, err := p.Podman(ctx, "kube", "play", p.secrets)
	return err
}

// play returns how long it takes from the call until the services and the gateway have answered, each once.
func (p *plain) play(ctx context.Context) (time.Duration, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	begin := time.Now()
	played := make(chan error, 1)
	go func() {
		_, err := p.Podman(ctx, "kube", "play", "--network", plainNetwork, p.manifests)
		if err != nil {
			cancel() // nothing will answer
		}
		played <- err
	}()
	asked := p.answering(ctx)
	took := time.Since(begin)
	if err := errors.Join(<-played, asked); err != nil {
		return 0, fmt.Errorf("playing the rendered sample: %w", err)
	}
	return took, nil
}

// answering returns when all have answered.
func (p *plain) answering(ctx context.Context) error {
	var all sync.WaitGroup
	errs := make(chan error, len(servicePorts)+1)
	all.Go(func() {
		errs <- until(ctx, "the gateway", func() error { return ok(ctx, p.visitor, stacktest.URL) })
	})
	for name, port := range servicePorts {
		all.Go(func() {
			errs <- until(ctx, name, func() error {
				address, err := addressOf(name)
				if err != nil {
					return err
				}
				return ok(ctx, http.DefaultClient, fmt.Sprintf("http://%s:%d/readyz", address, port))
			})
		})
	}
	all.Wait()
	close(errs)
	var joined error
	for err := range errs {
		joined = errors.Join(joined, err)
	}
	return joined
}

// addressOf looks a container up where Podman's DNS does. To ask before the address is there would cost a second: the
// kernel repeats a question for a neighbour that did not answer no sooner.
func addressOf(container string) (string, error) {
	content, err := os.ReadFile(plainNames)
	if err != nil {
		return "", fmt.Errorf("looking for the address of %s: %w", container, err)
	}
	for line := range strings.Lines(string(content)) {
		fields := strings.Fields(line) // ID, IPv4 addresses, IPv6 addresses, names
		for _, names := range fields[min(2, len(fields)):] {
			if slices.Contains(strings.Split(names, ","), container) {
				return fields[1], nil
			}
		}
	}
	return "", fmt.Errorf("%s has no address yet", container)
}

// ok is nil when the address answers 200 within a second.
func ok(ctx context.Context, client *http.Client, address string) error {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return fmt.Errorf("asking %s: %w", address, err)
	}
	answer, err := client.Do(request)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return fmt.Errorf("%s answered %s", address, answer.Status)
	}
	return nil
}

// until asks again and again until the answer is nil, as long as ctx lets it.
func until(ctx context.Context, who string, ask func() error) error {
	ticker := time.NewTicker(pollPeriod)
	defer ticker.Stop()
	for {
		err := ask()
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("waiting for %s: %w; at last: %w", who, ctx.Err(), err)
		case <-ticker.C:
		}
	}
}
