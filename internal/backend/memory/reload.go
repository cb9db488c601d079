package memory

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"mockup.dev/mockup/internal/backend/backendtest/guest"
	"mockup.dev/mockup/manifests"
)

// reloads tells whether the program of a workload takes up changed configuration while it runs.
func (w workload) reloads() bool { return w.template.Annotations[manifests.AnnotationReload] != "" }

// configuration is a digest of all that the template has one of.
func (w workload) configuration() string {
	var digests []string
	for key, digest := range w.template.Annotations {
		if strings.HasPrefix(key, manifests.AnnotationConfigPrefix) {
			digests = append(digests, key+"="+digest)
		}
	}
	slices.Sort(digests)
	return strings.Join(digests, "\n")
}

// reload has the pods take up changed configuration, once its test allows it.
func (s *step) reload(th *thing, w workload, pods []*pod, hash string, content map[string]map[string][]byte) {
	th.reload = ""
	digest := w.configuration()
	for _, p := range pods {
		if p.hash != hash || !p.running || p.terminating || p.loaded == digest {
			continue
		}
		if p.refused == digest {
			th.reload = "the program refused its changed configuration"
			continue
		}
		scratch := &pod{template: p.template, volumes: map[string]map[string][]byte{}}
		for name, files := range p.volumes {
			scratch.volumes[name] = maps.Clone(files)
		}
		fill(scratch, content)
		if err := scratch.command(w.template.Annotations[manifests.AnnotationReloadTest]); err != nil {
			p.refused, th.reload = digest, err.Error()
			s.touched = true
			continue
		}
		fill(p, content)
		if err := p.command(w.template.Annotations[manifests.AnnotationReload]); err != nil {
			th.reload = err.Error()
		}
		p.loaded, p.refused = digest, ""
		s.wrote()
	}
}

// fill the volumes that carry configuration.
func fill(p *pod, content map[string]map[string][]byte) {
	for _, v := range p.template.Spec.Volumes {
		if v.ConfigMap != nil || v.Secret != nil {
			p.volumes[v.Name] = content[v.Name]
		}
	}
}

// command runs a JSON array as a command in the main container; none succeeds.
func (p *pod) command(text string) error {
	if text == "" {
		return nil
	}
	var command []string
	if err := json.Unmarshal([]byte(text), &command); err != nil {
		return fmt.Errorf("the command %s: %w", text, err)
	}
	if len(command) == 0 || command[0] != guest.Path {
		return nil // another program, of which the best is expected
	}
	var said bytes.Buffer
	process := p.process(p.main(), command[1:], free{})
	process.Stdout, process.Stderr = &said, &said
	if code := guest.Run(context.Background(), process); code != 0 {
		return fmt.Errorf("%v ended with %d: %s", command, code, strings.TrimSpace(said.String()))
	}
	return nil
}

// withoutConfiguration is a template that stays the same when only configuration changes that can be reloaded.
func withoutConfiguration(t *corev1.PodTemplateSpec) *corev1.PodTemplateSpec {
	t = t.DeepCopy()
	maps.DeleteFunc(t.Annotations, func(key, _ string) bool { return strings.HasPrefix(key, manifests.AnnotationConfigPrefix) })
	return t
}
