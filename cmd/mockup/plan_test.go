package main

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"mockup.dev/mockup/internal/backend"
	"mockup.dev/mockup/internal/controlplane/controlplanetest"
	"mockup.dev/mockup/internal/documents"
	"mockup.dev/mockup/internal/statedir"
	"mockup.dev/mockup/manifests"
)

// forecast has a change of every verb.
var forecast = backend.Forecast{
	Changes: []backend.Change{
		{Ref: manifests.Ref{Kind: "NetworkPolicy", Name: "shop-net"}, Verb: backend.Create, Detail: "network 10.1.0.0/24"},
		{Ref: manifests.Ref{Kind: "Deployment", Name: "shop-web"}, Verb: backend.Create, Detail: "2 pods"},
		{Ref: manifests.Ref{Kind: "ConfigMap", Name: "shop-gateway-config"}, Verb: backend.Update, Detail: "reloaded"},
		{Ref: manifests.Ref{Kind: "Deployment", Name: "shop-gateway"}, Verb: backend.Replace, Interruption: 1040 * time.Millisecond, Cause: "host port 8443"},
		{Ref: manifests.Ref{Kind: "PersistentVolumeClaim", Name: "shop-data"}, Verb: backend.Retain},
	},
	Refused: []backend.Refusal{{Ref: manifests.Ref{Kind: "Deployment", Name: "shop-web"}, Path: "spec.a", Reason: "there is no a"}},
}

func TestPlanTable(t *testing.T) {
	p := plan{Stacks: []stackPlan{}, Notes: []string{"A note."}}
	p.add(manifests.Owner{Namespace: "default", Name: "shop"}, forecast)
	var out bytes.Buffer
	if err := p.print(&out, formTable); err != nil {
		t.Fatal(err)
	}
	want := `VERB     OBJECT                           DETAIL               INTERRUPTION
create   NetworkPolicy/shop-net           network 10.1.0.0/24  none
create   Deployment/shop-web              2 pods               none
update   ConfigMap/shop-gateway-config    reloaded             none
replace  Deployment/shop-gateway          -                    about 1s: host port 8443
retain   PersistentVolumeClaim/shop-data  -                    none

Not done as written:
  Deployment/shop-web spec.a: there is no a

A note.
2 to create, 1 to update in place, 1 to replace (about 1s of interruption at Deployment/shop-gateway: host port 8443), 0 to remove, 1 to retain
`
	if out.String() != want {
		t.Errorf("got\n%s\nwant\n%s", out.String(), want)
	}
}

func TestPlanJSON(t *testing.T) {
	p := plan{Stacks: []stackPlan{}}
	p.add(manifests.Owner{Namespace: "default", Name: "shop"}, forecast)
	p.add(manifests.Owner{Namespace: "default", Name: "empty"}, backend.Forecast{})
	var out bytes.Buffer
	if err := p.print(&out, formJSON); err != nil {
		t.Fatal(err)
	}
	var back plan
	if err := json.Unmarshal(out.Bytes(), &back); err != nil {
		t.Fatal(err)
	}
	if c := back.Stacks[0].Changes[3]; c.Verb != backend.Replace || c.InterruptionSeconds != 1.04 || c.Cause != "host port 8443" {
		t.Errorf("got %+v", c)
	}
	if !strings.Contains(out.String(), `"changes": []`) || back.Stacks[1].Name != "empty" {
		t.Errorf("a stack without changes is not shown with none:\n%s", out.String())
	}
}

func TestPlanWithNothingToDo(t *testing.T) {
	p := plan{}
	p.add(manifests.Owner{Namespace: "default", Name: "shop"}, backend.Forecast{Changes: forecast.Changes[4:]})
	if p.anything() || !strings.HasPrefix(p.summary(), "Nothing to do") {
		t.Errorf("a volume that stays is something to do: %s", p.summary())
	}
	p.add(manifests.Owner{Namespace: "default", Name: "other"}, forecast)
	if !p.anything() {
		t.Error("changes are nothing to do")
	}
}

func TestPlanRefusesToGuess(t *testing.T) {
	t.Setenv("CONTAINER_HOST", "unix:///nonexistent/podman.sock")
	stack := "apiVersion: mockup.dev/v1alpha1\nkind: MockupStack\nmetadata: {name: shop}\nspec:\n  networks: [{name: net, subnet: 10.1.0.0/24}]\n" +
		"  services: [{name: web, image: localhost/web:1, port: 80, networks: [{name: net}], envFrom: [{secretRef: {name: keys}}]}]\n"
	for name, c := range map[string]struct {
		in   string
		args []string
		code int
		says string
	}{
		"no file":           {"", nil, exitUsage, "filename"},
		"no stack":          {"kind: Secret\napiVersion: v1\nmetadata: {name: a}\n", []string{"-f", "-"}, exitUsage, "no MockupStack"},
		"bad stack":         {strings.Replace(stack, "port: 80", "port: 0", 1), []string{"-f", "-"}, exitUsage, "spec.services[0].port"},
		"missing reference": {stack, []string{"-f", "-"}, exitFailed, "nothing would be done for stack default/shop: not found: Secret/keys"},
		"no Podman":         {strings.Replace(stack, ", envFrom: [{secretRef: {name: keys}}]", "", 1), []string{"-f", "-"}, exitFailed, "no Podman socket answers"},
	} {
		if code, _, errOut := call(t, c.in, append([]string{"plan"}, c.args...)...); code != c.code || !strings.Contains(errOut, c.says) {
			t.Errorf("%s: code %d, want %d; said %q, want %q in it", name, code, c.code, errOut, c.says)
		}
	}
}

func TestPlanWithoutControlPlane(t *testing.T) {
	a := &app{in: strings.NewReader(""), stateDir: t.TempDir()}
	in, notes, err := a.planInput(t.Context(), planOptions{files: []string{sample}})
	if err != nil {
		t.Fatal(err)
	}
	said := strings.Join(notes, "\n")
	if !strings.Contains(said, "not running") || !strings.Contains(said, "would make the certificate Secret/mockup-gateway-tls") {
		t.Errorf("it is not told what the plan rests on: %q", notes)
	}
	if _, missing, err := in.render(); err != nil || len(missing[0]) > 0 {
		t.Errorf("the certificate was not made up: %v, %v", missing, err)
	}
}

// controlPlane runs a real one in a state folder of its own.
func controlPlane(t *testing.T) (dir string, api client.WithWatch) {
	t.Helper()
	dir = t.TempDir()
	state, err := statedir.At(dir)
	if err != nil {
		t.Fatal(err)
	}
	if err := state.Make(); err != nil {
		t.Fatal(err)
	}
	_, stop, err := controlplanetest.Start(state.ControlPlane())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(stop)
	b, missing := &background{state: state}, error(nil)
	err = wait.PollUntilContextTimeout(t.Context(), 100*time.Millisecond, 30*time.Second, true, func(ctx context.Context) (bool, error) {
		missing = b.serving(ctx)
		return missing == nil, nil
	})
	if err != nil {
		t.Fatalf("the control plane does not serve: %v: %v", err, missing)
	}
	api, err = newClient(state)
	if err != nil {
		t.Fatal(err)
	}
	return dir, api
}

// applyFile applies the objects of a file as up does.
func applyFile(t *testing.T, api client.Client, path string) {
	t.Helper()
	found, err := documents.Read([]string{path}, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range found {
		if _, err := applyObject(t.Context(), api, d); err != nil {
			t.Fatal(err)
		}
	}
}

// TestPlanAsksTheControlPlane plans with a real one: what is there as the file says keeps its version, so that nothing is
// taken for changed, and nothing is written.
func TestPlanAsksTheControlPlane(t *testing.T) {
	dir, api := controlPlane(t)
	const secret = "---\napiVersion: v1\nkind: Secret\nmetadata: {name: keys}\nstringData: {A: b}\n"
	text, err := os.ReadFile(sample)
	if err != nil {
		t.Fatal(err)
	}
	stack := strings.Replace(string(text), "    env:\n    - name: DATA_DIR", "    envFrom: [{secretRef: {name: keys}}]\n    env:\n    - name: DATA_DIR", 1)
	path := filepath.Join(dir, "stack.yaml")
	write := func(text string) {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	digest := func() string {
		t.Helper()
		a := &app{in: strings.NewReader(""), out: io.Discard, err: io.Discard, stateDir: dir}
		in, notes, err := a.planInput(t.Context(), planOptions{files: []string{path}})
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(strings.Join(notes, " "), "not running") {
			t.Fatal("the control plane was not asked")
		}
		s := in.secrets["default/keys"]
		return string(s.UID) + "/" + s.ResourceVersion + "/" + string(s.Data["A"])
	}

	planned := func(files ...string) string {
		t.Helper()
		a := &app{in: strings.NewReader(""), out: io.Discard, err: io.Discard, stateDir: dir}
		in, notes, err := a.planInput(t.Context(), planOptions{files: files})
		if err != nil {
			t.Fatal(err)
		}
		said := []string{strings.Join(notes, " ")}
		for _, s := range in.subjects() {
			said = append(said, s.String())
		}
		_, missing, err := in.render()
		if err != nil || slices.ContainsFunc(missing, func(r []manifests.Reference) bool { return len(r) > 0 }) {
			t.Fatalf("%v, missing: %v", err, missing)
		}
		return strings.Join(said, "; ")
	}

	write(stack + secret)
	digest()
	live := &corev1.Secret{}
	if err := api.Get(t.Context(), client.ObjectKey{Namespace: "default", Name: "keys"}, live); err == nil {
		t.Fatal("planning made the Secret")
	}
	applyFile(t, api, path)
	if err := api.Get(t.Context(), client.ObjectKey{Namespace: "default", Name: "keys"}, live); err != nil {
		t.Fatal(err)
	}
	if got := planned(addonSample); !strings.Contains(got, "password Secret/mockup-grafana-admin") || !strings.HasSuffix(got, "; stack default/mockup; addon default/mockup") {
		t.Errorf("the addon is planned as %s", got)
	}
	if got := planned(path); strings.Contains(got, "addon") {
		t.Errorf("planning made an addon: %s", got)
	}
	applyFile(t, api, addonSample)
	if got := planned(path); !strings.HasSuffix(got, "; stack default/mockup; addon default/mockup") {
		t.Errorf("the stack that is watched is planned as %s", got)
	}
	same := string(live.UID) + "/" + live.ResourceVersion + "/b"
	if got := digest(); got != same {
		t.Errorf("the Secret of the file is that of the control plane, %s, but counts as %s", same, got)
	}
	write(stack)
	if got := digest(); got != same {
		t.Errorf("without a file, the Secret %s is %s", same, got)
	}
	write(stack + strings.Replace(secret, "A: b", "A: c", 1))
	if got, want := digest(), string(live.UID)+"//c"; got != want {
		t.Errorf("the changed Secret is %s, want %s", got, want)
	}
}

func TestCheck(t *testing.T) {
	code, out, _ := call(t, "", "render", "-f", sample, "--check")
	if code != exitFound || !strings.HasPrefix(out, "OBJECT") || !strings.Contains(out, "spec.resources.requests.storage") || strings.Contains(out, "apiVersion") {
		t.Errorf("code %d:\n%s", code, out)
	}
	code, out, _ = call(t, "", "render", "-f", sample, "--check", "-o", "json")
	var found struct{ Refusals []refusalLine }
	if err := json.Unmarshal([]byte(out), &found); code != exitFound || err != nil || len(found.Refusals) == 0 || found.Refusals[0].Reason == "" {
		t.Errorf("code %d, %v:\n%s", code, err, out)
	}
	var none bytes.Buffer
	if err := check(&none, formTable, nil); err != nil || !strings.Contains(none.String(), "as written") {
		t.Errorf("nothing refused: %v, %q", err, none.String())
	}
}

func TestPlanOfAnAddon(t *testing.T) {
	p := plan{Stacks: []stackPlan{}}
	p.add(manifests.Owner{Kind: "MockupStack", Namespace: "default", Name: "shop"}, backend.Forecast{Changes: forecast.Changes[4:]})
	p.add(manifests.Owner{Kind: "ObservabilityAddon", Namespace: "default", Name: "shop"}, backend.Forecast{Changes: forecast.Changes[:1]})
	var out bytes.Buffer
	if err := p.print(&out, formTable); err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(out.String(), "default/shop\nVERB") || !strings.Contains(out.String(), "\naddon default/shop\nVERB") || !strings.Contains(out.String(), "1 to create") {
		t.Errorf("got\n%s", out.String())
	}
	if !p.anything() {
		t.Error("the changes of an addon are nothing to do")
	}
	out.Reset()
	var back plan
	if err := p.print(&out, formJSON); err != nil || json.Unmarshal(out.Bytes(), &back) != nil || len(back.Stacks) != 1 || len(back.Addons) != 1 {
		t.Errorf("%v: %s", err, out.String())
	}
}
