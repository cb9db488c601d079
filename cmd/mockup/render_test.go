package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestRenderIsDeterministic(t *testing.T) {
	_, first, _ := call(t, "", "render", "-f", sample)
	for range 3 {
		if _, again, _ := call(t, "", "render", "-f", sample); again != first {
			t.Fatal("the same input was rendered to other bytes")
		}
	}
	if !strings.Contains(first, "kind: Deployment") {
		t.Error("no Deployment was rendered")
	}
}

func TestNewSecrets(t *testing.T) {
	file := filepath.Join(t.TempDir(), "secrets.yaml")
	code, without, errOut := call(t, "", "render", "-f", sample, "--new-secrets", file)
	if code != exitOK || strings.Contains(errOut, "missing") {
		t.Fatalf("code %d: %s", code, errOut)
	}
	info, err := os.Stat(file)
	if err != nil {
		t.Fatal(err)
	}
	if info.Mode().Perm() != 0o600 {
		t.Errorf("the Secrets have mode %o", info.Mode().Perm())
	}
	before, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if code, _, errOut := call(t, "", "render", "-f", sample, "--new-secrets", file); code != exitFailed || !strings.Contains(errOut, "not overwritten") {
		t.Errorf("the second time: code %d, %s", code, errOut)
	}
	if after, _ := os.ReadFile(file); string(after) != string(before) {
		t.Error("the Secrets were overwritten")
	}
	code, with, errOut := call(t, "", "render", "-f", sample, "-f", file)
	if code != exitOK || errOut != "" {
		t.Errorf("with the Secrets: code %d, %s", code, errOut)
	}
	if with != without {
		t.Error("the same Secrets from a file are rendered otherwise")
	}
	key := strings.Fields(strings.SplitAfter(string(before), "tls.key: ")[1])[0]
	if len(key) < 100 || strings.Contains(with, key) {
		t.Error("a key is in the output")
	}
}

func TestRenderTakesConfigMapsAndStringData(t *testing.T) {
	stack := `
apiVersion: mockup.dev/v1alpha1
kind: MockupStack
metadata: {name: shop}
spec:
  networks: [{name: public, subnet: 10.1.0.0/24}]
  services:
  - name: web
    image: localhost/web:1
    port: 8080
    networks: [{name: public}]
    envFrom: [{secretRef: {name: keys}}, {configMapRef: {name: settings}}]
`
	if _, _, errOut := call(t, stack, "render", "-f", "-"); !strings.Contains(errOut, "Secret/keys") || !strings.Contains(errOut, "ConfigMap/settings") {
		t.Errorf("missing references are not told: %s", errOut)
	}
	given := stack + "---\napiVersion: v1\nkind: Secret\nmetadata: {name: keys}\nstringData: {A: b}\n---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: settings}\ndata: {C: d}\n"
	if code, _, errOut := call(t, given, "render", "-f", "-"); code != exitOK || errOut != "" {
		t.Errorf("code %d: %s", code, errOut)
	}
	elsewhere := strings.ReplaceAll(given, "{name: keys}\nstringData", "{name: keys, namespace: other}\nstringData")
	if _, _, errOut := call(t, elsewhere, "render", "-f", "-"); !strings.Contains(errOut, "Secret/keys") {
		t.Errorf("a Secret of another namespace was taken: %s", errOut)
	}
}

const addonSample = "../../config/samples/observability.yaml"

// TestRenderOfAnAddon renders it with its stack, which then sends traces, and makes Grafana's password.
func TestRenderOfAnAddon(t *testing.T) {
	if code, _, errOut := call(t, "", "render", "-f", addonSample); code != exitUsage || !strings.Contains(errOut, "there is no MockupStack mockup") {
		t.Errorf("without its stack: code %d, %s", code, errOut)
	}
	_, alone, _ := call(t, "", "render", "-f", sample)
	code, both, errOut := call(t, "", "render", "-f", addonSample, "-f", sample)
	if code != exitOK || !strings.Contains(errOut, "missing: Secret/mockup-grafana-admin (spec.dashboards)") {
		t.Errorf("code %d: %s", code, errOut)
	}
	for _, text := range []string{
		"# ObservabilityAddon mockup of namespace default.", "name: mockup-prometheus", "It watches stack mockup",
		"podman kube play --network mockup-public observability-manifests.yaml",
		"names that end with .default.svc.cluster.local", "mkdir -p /var/log/pods", "what is read from /var/log/pods",
	} {
		if !strings.Contains(both, text) {
			t.Errorf("%q is not printed", text)
		}
	}
	if has := strings.Contains(alone, "http://jaeger:4318"); has || !strings.Contains(both, "http://jaeger:4318") {
		t.Errorf("the stack is told of Jaeger without an addon: %t", has)
	}
	if strings.Index(both, "# MockupStack") > strings.Index(both, "# ObservabilityAddon") {
		t.Error("the addon comes before the stack that it watches")
	}

	file := filepath.Join(t.TempDir(), "secrets.yaml")
	if code, _, errOut := call(t, "", "render", "-f", sample, "-f", addonSample, "--new-secrets", file); code != exitOK || errOut != "" {
		t.Fatalf("code %d: %s", code, errOut)
	}
	text, err := os.ReadFile(file)
	if err != nil || !strings.Contains(string(text), "name: mockup-grafana-admin") {
		t.Fatalf("no password is in the new Secrets: %v", err)
	}
	password := strings.Fields(strings.SplitAfter(string(text), "password: ")[1])[0]
	code, with, errOut := call(t, "", "render", "-f", sample, "-f", addonSample, "-f", file)
	if code != exitOK || errOut != "" || len(password) < 26 || strings.Contains(with, password) {
		t.Errorf("code %d: %s; a password of %d characters", code, errOut, len(password))
	}
}

func TestCheckOfAnAddon(t *testing.T) {
	code, out, errOut := call(t, "", "render", "-f", sample, "-f", addonSample, "--check")
	if code != exitFound || !strings.Contains(out, "PersistentVolumeClaim/mockup-prometheus") {
		t.Errorf("code %d: %s%s", code, out, errOut)
	}
}

func TestRenderOfTwoStacks(t *testing.T) {
	text, err := os.ReadFile(sample)
	if err != nil {
		t.Fatal(err)
	}
	other := strings.ReplaceAll(strings.Replace(string(text), "name: mockup\n", "name: other\n", 1), "172.1", "172.2")
	code, out, errOut := call(t, string(text)+"---\n"+other, "render", "-f", "-")
	if code != exitOK || !strings.Contains(out, "# MockupStack mockup of") || !strings.Contains(out, "# MockupStack other of") {
		t.Errorf("code %d, not both are rendered: %s", code, errOut)
	}
}
