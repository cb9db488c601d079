package podman

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"

	"mockup.dev/mockup/internal/backend"
)

// The Podman volume of an emptyDir is named after the volume alone (pkg/specgen/generate/kube/volume.go:265, kube.go:593):
// two pods with one "data" each see each other's files.
func TestTrapSharedEmptyDir(t *testing.T) {
	p := newTrap(t)
	one, other := p.s.quiet("one"), p.s.quiet("other")
	one.Spec.Replicas = new(int32(2))
	for _, d := range []*appsv1.Deployment{one, other} {
		mounts(d, "data", "/data", emptyDir())
	}
	p.ready(one, other)
	p.mustGuest(p.pod("one", 0), "append", "/data/file", "mine")
	for _, pod := range []string{p.pod("one", 1), p.pod("other", 0)} {
		if out, err := p.guest(pod, "", "cat", "/data/file"); err == nil {
			t.Errorf("pod %s reads %q of another's emptyDir", pod, out)
		}
	}
	p.gone()
}

// The volume of a ConfigMap is named after the object and kept: keys that were removed stay as files in it
// (pkg/domain/infra/abi/play.go:789).
func TestTrapStaleConfigMapKeys(t *testing.T) {
	for _, strategy := range []appsv1.DeploymentStrategyType{appsv1.RecreateDeploymentStrategyType, appsv1.RollingUpdateDeploymentStrategyType} {
		t.Run(string(strategy), func(t *testing.T) {
			p := newTrap(t)
			web, config := p.s.quiet("web"), p.s.config("settings", map[string]string{"keep": "1", "drop": "1"})
			web.Spec.Strategy.Type = strategy
			mounts(web, "config", "/config", fromConfig("settings"))
			p.ready(web, config)
			for turn := range 2 { // a rolled workload comes back to the first name with the second turn
				pod := ""
				for name := range p.there().Pods {
					pod = name
				}
				p.mustGuest(pod, "cat", "/config/drop")
				delete(config.Data, "drop")
				config.Data["keep"] = fmt.Sprint("without ", turn)
				p.ready(web, config)
				for name := range p.there().Pods {
					pod = name
				}
				if out := p.mustGuest(pod, "cat", "/config/keep"); out != config.Data["keep"] {
					t.Errorf("/config/keep is %q in place of %q", out, config.Data["keep"])
				}
				if out, err := p.guest(pod, "", "cat", "/config/drop"); err == nil {
					t.Errorf("the key that was removed is a file still: %q", out)
				}
				config.Data["drop"] = "back"
				p.ready(web, config)
			}
			p.gone()
		})
	}
}

// Two mounts of one ConfigMap are one volume, with the files of both (pkg/domain/infra/abi/play.go:789).
func TestTrapTwoMountsOfOneConfigMap(t *testing.T) {
	p := newTrap(t)
	web, config := p.s.quiet("web"), p.s.config("settings", map[string]string{"a": "1", "b": "2"})
	mounts(web, "one", "/one", fromConfig("settings", corev1.KeyToPath{Key: "a", Path: "file"}))
	mounts(web, "two", "/two", fromConfig("settings", corev1.KeyToPath{Key: "b", Path: "file"}))
	mounts(web, "all", "/all", fromConfig("settings"))
	p.ready(web, config)
	pod := p.pod("web", 0)
	for path, want := range map[string]string{"/one/file": "1", "/two/file": "2", "/all/a": "1", "/all/b": "2"} {
		if got := p.mustGuest(pod, "cat", path); got != want {
			t.Errorf("%s is %q in place of %q", path, got, want)
		}
	}
	for _, path := range []string{"/one/a", "/one/b", "/two/a", "/two/b", "/all/file"} {
		if out, err := p.guest(pod, "", "cat", path); err == nil {
			t.Errorf("%s is there and holds %q", path, out)
		}
	}
	p.gone()
}

// A Secret's value in the environment is what inspect shows of the container (pkg/specgen/generate/kube/kube.go:1137), and
// a mounted Secret stays in Podman's own store. Mounted as files, none of ours is seen anywhere.
func TestTrapSecretValuesInInspect(t *testing.T) {
	p := newTrap(t)
	const value = "swordfish-value"
	web, secret := p.s.quiet("web"), p.s.secret("password", map[string]string{"key": value})
	mounts(web, "secret", "/secret", corev1.VolumeSource{Secret: &corev1.SecretVolumeSource{SecretName: "password"}})
	set := p.s.set(web, secret)
	p.mustSettle(t, set)
	pod := p.pod("web", 0)
	if got := p.mustGuest(pod, "cat", "/secret/key"); got != value {
		t.Errorf("the file holds %q", got)
	}
	paths := []string{
		"/containers/" + p.container(pod, "guest") + "/json", "/pods/" + pod + "/json", "/volumes/" + podVolumeName(pod, "secret") + "/json",
		"/secrets/json", "/containers/json?all=true", "/pods/json",
	}
	for _, path := range paths {
		var raw json.RawMessage
		if err := p.podman.get(path, &raw); err != nil {
			t.Error(err)
		}
		if strings.Contains(string(raw), value) || path == "/secrets/json" && strings.TrimSpace(string(raw)) != "[]" {
			t.Errorf("GET %s shows it: %s", path, raw)
		}
	}
	p.gone()

	inEnvironment := p.s.quiet("web")
	mainOf(inEnvironment).Env = []corev1.EnvVar{{Name: "KEY", ValueFrom: &corev1.EnvVarSource{
		SecretKeyRef: &corev1.SecretKeySelector{LocalObjectReference: corev1.LocalObjectReference{Name: "password"}, Key: "key"},
	}}}
	if r := unsupported(inEnvironment); !refuses(r, "spec.template.spec.containers[guest].env[KEY]") {
		t.Errorf("a Secret in the environment is not told of: %v", r)
	}
}

// Files of an emptyDir in memory belong to root, and others can't write there (pkg/specgen/generate/kube/volume.go:266
// makes a tmpfs of it, without a mode): it is told of, while one on disk works for anyone.
func TestTrapMemoryEmptyDirOfNonRoot(t *testing.T) {
	p := newTrap(t)
	web := p.s.quiet("web")
	web.Spec.Template.Spec.SecurityContext = &corev1.PodSecurityContext{RunAsUser: new(int64(1000))}
	mounts(web, "disk", "/disk", emptyDir())
	mounts(web, "memory", "/memory", corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{Medium: corev1.StorageMediumMemory}})
	set := p.s.set(web)
	var refused []backend.Refusal
	p.mustSettle(t, set)
	if err := p.reach(set, nil, func(seen backend.Observation) error { refused = seen.Refused; return nil }); err != nil {
		t.Fatal(err)
	}
	if !refuses(refused, "spec.template.spec.volumes[memory].emptyDir.medium") {
		t.Errorf("it is not told of: %v", refused)
	}
	p.mustGuest(p.pod("web", 0), "append", "/disk/file", "text")
	p.gone()
}

// References to variables in the values of others are not expanded (pkg/specgen/generate/kube/kube.go:1116), and those of
// envFrom have no prefix.
func TestTrapVariablesInValues(t *testing.T) {
	p := newTrap(t)
	web, config := p.s.quiet("web"), p.s.config("settings", map[string]string{"HOST": "db"})
	c := mainOf(web)
	c.EnvFrom = []corev1.EnvFromSource{{Prefix: "DB_", ConfigMapRef: &corev1.ConfigMapEnvSource{LocalObjectReference: corev1.LocalObjectReference{Name: "settings"}}}}
	c.Env = []corev1.EnvVar{
		{Name: "PORT", Value: "5432"}, {Name: "URL", Value: "postgres://$(DB_HOST):$(PORT)/"},
		{Name: "LITERAL", Value: "$$(PORT) $(LATER) $(NOWHERE)"}, {Name: "LATER", Value: "x"},
	}
	p.ready(web, config)
	for name, want := range map[string]string{"URL": "postgres://db:5432/", "DB_HOST": "db", "LITERAL": "$(PORT) $(LATER) $(NOWHERE)"} {
		if got := p.mustGuest(p.pod("web", 0), "env", name); got != want {
			t.Errorf("%s is %q in place of %q", name, got, want)
		}
	}
	if out, err := p.guest(p.pod("web", 0), "", "env", "HOST"); err == nil {
		t.Errorf("HOST is there without its prefix: %q", out)
	}
	p.gone()
}
