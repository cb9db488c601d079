package operator

import (
	"os"
	"path/filepath"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"mockup.dev/mockup/api/v1alpha1"
)

func TestValidate(t *testing.T) {
	for name, c := range map[string]struct {
		o  Options
		ok bool
	}{
		"podman":                {Options{Backend: Podman, PodmanSocket: "unix:///a.sock"}, true},
		"kubernetes":            {Options{Backend: Kubernetes}, true},
		"unknown":               {Options{Backend: "docker"}, false},
		"socket without Podman": {Options{Backend: Kubernetes, PodmanSocket: "unix:///a.sock"}, false},
	} {
		if err := c.o.Validate(); (err == nil) != c.ok {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestCachesForgetWhatASecretSays(t *testing.T) {
	in := &metav1.PartialObjectMetadata{ObjectMeta: metav1.ObjectMeta{
		Name: "keys", Namespace: "default", UID: "1", ResourceVersion: "2",
		Annotations:     map[string]string{"kubectl.kubernetes.io/last-applied-configuration": "the whole Secret"},
		OwnerReferences: []metav1.OwnerReference{{UID: "3"}},
	}}
	out, err := identityOnly(in)
	if err != nil {
		t.Fatal(err)
	}
	m := out.(*metav1.PartialObjectMetadata)
	if len(m.Annotations) != 0 {
		t.Errorf("annotations are kept: %v", m.Annotations)
	}
	if m.Name != "keys" || m.ResourceVersion != "2" || len(m.OwnerReferences) != 1 {
		t.Errorf("its identity was lost: %+v", m.ObjectMeta)
	}
}

func TestSchemeKnowsOurKinds(t *testing.T) {
	if !newScheme().Recognizes(v1alpha1.GroupVersion.WithKind("MockupStack")) {
		t.Error("MockupStack is unknown")
	}
}

func TestConfigComesFromTheNamedFile(t *testing.T) {
	file := filepath.Join(t.TempDir(), "kubeconfig")
	text := "apiVersion: v1\nkind: Config\ncurrent-context: a\ncontexts: [{name: a, context: {cluster: a, user: a}}]\nclusters: [{name: a, cluster: {server: 'https://127.0.0.1:1'}}]\nusers: [{name: a, user: {}}]\n"
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	o := Options{Kubeconfig: file}
	config, err := o.config()
	if err != nil || config.Host != "https://127.0.0.1:1" || config.QPS != -1 {
		t.Errorf("got %+v, %v", config, err)
	}
	o.Kubeconfig = "/nonexistent"
	if _, err := o.config(); err == nil {
		t.Error("a file that is not there was read")
	}
}
