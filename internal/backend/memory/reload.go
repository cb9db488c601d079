package memory

import (
	"bytes"
	"context"
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
			th.reload = p.said
			continue
		}
		scratch := &pod{template: p.template, volumes: map[string]map[string][]byte{}}
		for name, files := range p.volumes {
			scratch.volumes[name] = maps.Clone(files)
		}
		fill(scratch, content)
		err := scratch.command(w.template.Annotations[manifests.AnnotationReloadTest])
		if err == nil {
			fill(p, content)
			err = p.tell(w.template.Annotations[manifests.AnnotationReload])
		}
		if err != nil {
			p.refused, p.said, th.reload = digest, err.Error(), err.Error()
			s.touched = true
			continue
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

// tell the main container's program to take up what changed. Nobody hears what became of a signal.
func (p *pod) tell(text string) error {
	how, err := manifests.ParseReload(text)
	if err != nil {
		return err
	}
	process := p.process(p.main(), p.main().Args, free{})
	switch {
	case how.Watched:
		return nil
	case how.Signal != "":
		_ = guest.Reload(process)
		return nil
	case how.HTTPPost == nil:
		return p.command(text)
	case !slices.ContainsFunc(p.main().Ports, func(c corev1.ContainerPort) bool { return int(c.ContainerPort) == how.HTTPPost.Port }):
		return fmt.Errorf("port %d: connection refused", how.HTTPPost.Port)
	case how.HTTPPost.Path != guest.ReloadPath:
		return nil // the program answers anything
	}
	return guest.Reload(process)
}

// unreadable says what is wrong with the annotations of a template, if anything is.
func (w workload) unreadable() error {
	if !w.reloads() {
		return nil
	}
	if _, err := manifests.ParseReload(w.template.Annotations[manifests.AnnotationReload]); err != nil {
		return fmt.Errorf("annotation %s: %w", manifests.AnnotationReload, err)
	}
	return nil
}

// command runs a JSON array as a command in the main container; none succeeds.
func (p *pod) command(text string) error {
	if text == "" {
		return nil
	}
	command, err := manifests.ParseCommand(text)
	if err != nil {
		return err
	}
	if command[0] != guest.Path {
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
