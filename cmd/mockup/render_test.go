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
