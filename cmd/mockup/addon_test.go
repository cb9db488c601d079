package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"mockup.dev/mockup/api/v1alpha1"
	"mockup.dev/mockup/internal/documents"
	"mockup.dev/mockup/manifests"
)

// addonWithStatus watches the stack of stackWithStatus, and waits for Loki.
func addonWithStatus(change func(*v1alpha1.ObservabilityAddon)) *v1alpha1.ObservabilityAddon {
	a := &v1alpha1.ObservabilityAddon{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "watch", Generation: 2}}
	a.Spec.StackRef.Name = "shop"
	a.Status = v1alpha1.ObservabilityAddonStatus{
		ObservedGeneration: 2, Ready: "1/2", Targets: "10/11",
		Conditions: []metav1.Condition{
			{Type: "Ready", Status: "False", Reason: "Progressing"}, {Type: "Stalled", Status: "False"},
		},
		Components: []v1alpha1.ComponentStatus{
			{Name: "grafana", Phase: "Ready", Ready: "1/1", Endpoint: "http://localhost:3000"},
			{Name: "loki", Phase: "Progressing", Ready: "0/1", Endpoint: "http://loki:3100", Reason: "NotReadyYet"},
		},
	}
	change(a)
	return a
}

func isReady(a *v1alpha1.ObservabilityAddon) {
	a.Status.Conditions[0].Status = "True"
	a.Status.Components[1].Phase, a.Status.Components[1].Ready = "Ready", "1/1"
}

func TestJudgeOfAnAddon(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*v1alpha1.ObservabilityAddon)
		want   verdict
	}{
		"ready":           {isReady, verdict{ready: true, text: "ready"}},
		"waiting":         {func(*v1alpha1.ObservabilityAddon) {}, verdict{text: "waiting for loki (NotReadyYet)"}},
		"never looked at": {func(a *v1alpha1.ObservabilityAddon) { a.Generation = 3 }, verdict{text: "the operator has not looked at it yet"}},
		"no stack": {func(a *v1alpha1.ObservabilityAddon) {
			a.Status.Conditions[1] = metav1.Condition{Type: "Stalled", Status: "True", Reason: "StackNotFound", Message: "shop"}
		}, verdict{stalled: true, text: "StackNotFound: shop"}},
	} {
		if got := judge(addonSubject(addonWithStatus(c.change))); got != c.want {
			t.Errorf("%s: got %+v, want %+v", name, got, c.want)
		}
	}
}

func TestRolloutOfAnAddon(t *testing.T) {
	for name, c := range map[string]struct {
		component   string
		change      func(*v1alpha1.ObservabilityAddon)
		phase, line string
	}{
		"done":              {"", isReady, "Complete", "addon default/watch is rolled out: 2 workloads"},
		"one of them done":  {"grafana", func(*v1alpha1.ObservabilityAddon) {}, "Complete", "grafana of addon default/watch is rolled out: 1 workload"},
		"waiting":           {"", func(*v1alpha1.ObservabilityAddon) {}, "Progressing", "addon default/watch: waiting for loki (? updated, 0/1 ready: NotReadyYet)"},
		"no such component": {"web", isReady, "Unknown", `addon default/watch: addon default/watch has no service "web"; it has prometheus, alertmanager, loki`},
		"no stack, and so no component": {"grafana", func(a *v1alpha1.ObservabilityAddon) {
			a.Status.Conditions[1] = metav1.Condition{Type: "Stalled", Status: "True", Reason: "StackNotFound", Message: "shop"}
		}, "Failed", "grafana of addon default/watch: StackNotFound: shop"},
	} {
		r := rolloutOf(addonSubject(addonWithStatus(c.change)), c.component)
		if r.Phase != c.phase || !strings.HasPrefix(strings.TrimPrefix(r.line(), "web of "), c.line) {
			t.Errorf("%s: got %s, %q; want %s, %q", name, r.Phase, r.line(), c.phase, c.line)
		}
	}
}

func TestTyped(t *testing.T) {
	for arg, want := range map[string]string{"": "stack []", "shop": "stack [shop]", "stack/shop": "stack [shop]", "addon/watch": "addon [watch]", "addon": "stack [addon]"} {
		k, args := typed(strings.Fields(arg))
		if got := fmt.Sprint(k.word, " ", args); got != want {
			t.Errorf("%q: got %s, want %s", arg, got, want)
		}
		if arg != "" && !strings.HasPrefix(arg, "stack/") && k.argument(args[0]) != arg {
			t.Errorf("%s is completed as %s", arg, k.argument(args[0]))
		}
	}
}

// TestStatusShowsAddonsBeneathTheirStack looks at the table, the exit code, and the List for scripts.
func TestStatusShowsAddonsBeneathTheirStack(t *testing.T) {
	now := time.Date(2026, 11, 26, 18, 0, 0, 0, time.UTC)
	shop := stackWithStatus(func(s *v1alpha1.MockupStack) { s.Status.Conditions[0].Status = "True" })
	zoo := stackWithStatus(func(s *v1alpha1.MockupStack) { s.Name, s.Status.Conditions[0].Status = "zoo", "True" })
	addon := addonWithStatus(func(a *v1alpha1.ObservabilityAddon) {
		at := metav1.NewTime(now.Add(-90 * time.Second))
		a.Status.LastLogTime = &at
	})
	lonely := addonWithStatus(func(a *v1alpha1.ObservabilityAddon) { a.Namespace = "elsewhere" })
	found := []*subject{stackSubject(shop), stackSubject(zoo), addonSubject(addon), addonSubject(lonely)}
	var out bytes.Buffer
	if err := printStatus(&out, formTable, found, now); exitCodeOf(err) != exitFailed {
		t.Errorf("an addon is not ready: %v", err)
	}
	at := -1
	for _, text := range []string{
		"default/shop  ready: True",
		"addon default/watch  ready: False (Progressing)  watches shop, targets 10/11, last log 1m30s ago, last trace not seen\n  waiting for loki (NotReadyYet)",
		"COMPONENT  PHASE        READY  ENDPOINT               REASON", "grafana    Ready        1/1    http://localhost:3000  -",
		"loki       Progressing  0/1    http://loki:3100       NotReadyYet", "default/zoo  ready: True", "addon elsewhere/watch",
	} {
		next := strings.Index(out.String(), text)
		if next <= at {
			t.Errorf("%q is not there, or not in its place, in\n%s", text, out.String())
		}
		at = next
	}
	isReady(addon)
	if err := printStatus(&out, formTable, []*subject{stackSubject(shop), addonSubject(addon)}, now); err != nil {
		t.Errorf("all are ready: %v", err)
	}

	out.Reset()
	_ = printStatus(&out, formJSON, found, now)
	var list struct {
		Kind  string
		Items []metav1.TypeMeta
	}
	if err := json.Unmarshal(out.Bytes(), &list); err != nil || list.Kind != "List" || len(list.Items) != 4 {
		t.Fatalf("%v: %+v", err, list)
	}
	if first, last := list.Items[0], list.Items[3]; first.Kind != "MockupStack" || last.Kind != "ObservabilityAddon" || last.APIVersion != "mockup.dev/v1alpha1" {
		t.Errorf("got %+v", list.Items)
	}
}

func exitCodeOf(err error) int {
	var exit *exitError
	switch {
	case err == nil:
		return exitOK
	case errors.As(err, &exit):
		return exit.code
	}
	return exitFailed
}

func TestStopOrder(t *testing.T) {
	stack := func(name string) *subject {
		return stackSubject(stackWithStatus(func(s *v1alpha1.MockupStack) { s.Name = name }))
	}
	addon := func(name string) *subject {
		return addonSubject(addonWithStatus(func(a *v1alpha1.ObservabilityAddon) { a.Name = name }))
	}
	for _, c := range []struct {
		all         []*subject
		order, says string
	}{
		{nil, "", "0 stacks"},
		{[]*subject{stack("a")}, "stack default/a", "1 stack"},
		{[]*subject{stack("a"), stack("b"), addon("a"), addon("z")}, "2 addons, 2 stacks", "2 stacks and 2 addons"},
		{[]*subject{addon("a")}, "addon default/a", "0 stacks and 1 addon"},
	} {
		var names []string
		for _, group := range stopOrder(c.all) {
			names = append(names, groupName(group))
		}
		if got := strings.Join(names, ", "); got != c.order {
			t.Errorf("got %q, want %q", got, c.order)
		}
		if got := countedKinds(c.all); got != c.says {
			t.Errorf("got %q, want %q", got, c.says)
		}
	}
}

// TestRemovalOfAnAddon keeps what was measured, and what the log agent has read, unless all is to go.
func TestRemovalOfAnAddon(t *testing.T) {
	addon := addonWithStatus(func(a *v1alpha1.ObservabilityAddon) {
		for _, s := range []*v1alpha1.Storage{&a.Spec.Metrics.Storage, &a.Spec.Logs.Storage} {
			s.ReclaimPolicy = v1alpha1.ReclaimDelete
		}
	})
	for purge, want := range map[bool]map[string]string{
		false: {"watch-prometheus": "Retain", "watch-loki": "Retain", "watch-grafana": "Retain", "watch-promtail": "Retain"},
		true:  {"watch-prometheus": "Delete", "watch-loki": "Delete", "watch-grafana": "Retain", "watch-promtail": "Delete"},
	} {
		set := removalOf(addonSubject(addon), purge)
		if !set.Remove || set.Owner.String() != "ObservabilityAddon.default.watch" {
			t.Fatalf("this removes something else: %+v", set.Owner)
		}
		got := map[string]string{}
		for _, o := range set.Objects {
			got[o.GetName()] = o.(*corev1.PersistentVolumeClaim).Labels[manifests.LabelReclaim]
		}
		for name, policy := range want {
			if got[name] != policy {
				t.Errorf("purge %t: %s has %q, want %q", purge, name, got[name], policy)
			}
		}
	}
}

func TestAwaited(t *testing.T) {
	document := func(kind, namespace, name string) documents.Document {
		o := &unstructured.Unstructured{}
		o.SetAPIVersion("mockup.dev/v1alpha1")
		o.SetKind(kind)
		o.SetNamespace(namespace)
		o.SetName(name)
		return documents.Document{Unstructured: o}
	}
	u := &up{objects: []documents.Document{
		document("ObservabilityAddon", "b", "x"), document("ConfigMap", "b", "x"), document("ObservabilityAddon", "a", "x"),
		document("MockupStack", "b", "x"), document("MockupStack", "b", "x"),
	}}
	all, err := u.awaited(t.Context())
	if got := fmt.Sprint(all); err != nil || got != "[stack b/x addon a/x addon b/x]" {
		t.Errorf("got %s, %v", got, err)
	}
}

func TestReportOfAnAddon(t *testing.T) {
	var out bytes.Buffer
	u := &up{ready: []*subject{addonSubject(addonWithStatus(isReady))}}
	r := upReport{Stacks: []stackURL{{"default", "shop", "https://localhost:8443/"}}, Addons: []addonURLs{urlsOf(u.ready[0].Object.(*v1alpha1.ObservabilityAddon))}}
	if err := r.print(&out, "bin/mockup"); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"default/watch  watches shop\n  grafana           http://localhost:3000\n", "get mockupstacks,observabilityaddons -A -w",
		"get secret -n default watch-grafana-admin -o jsonpath='{.data.password}' | base64 -d",
	} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("%q is not in\n%s", want, out.String())
		}
	}
	if strings.Contains(out.String(), "loki") {
		t.Errorf("Loki can't be reached from here:\n%s", out.String())
	}
	off := false
	none := urlsOf(addonWithStatus(func(a *v1alpha1.ObservabilityAddon) { a.Spec.Dashboards.Enabled = &off }))
	named := urlsOf(addonWithStatus(func(a *v1alpha1.ObservabilityAddon) { a.Spec.Dashboards.AdminSecretName = "mine" }))
	if none.AdminSecret != "" || named.AdminSecret != "mine" {
		t.Errorf("got %q and %q", none.AdminSecret, named.AdminSecret)
	}
}

func TestFromHost(t *testing.T) {
	for endpoint, want := range map[string]bool{"http://localhost:9090": true, "http://192.0.2.7:1": true, "http://[::1]:1": true, "http://loki:3100": false, "": false} {
		if got := fromHost(endpoint); got != want {
			t.Errorf("%q: %t", endpoint, got)
		}
	}
}

func TestStackOfAComponent(t *testing.T) {
	all := []*subject{
		stackSubject(stackWithStatus(func(s *v1alpha1.MockupStack) { s.Spec.Services = []v1alpha1.Service{{Name: "web"}} })),
		addonSubject(addonWithStatus(func(*v1alpha1.ObservabilityAddon) {})),
	}
	for _, component := range []string{"web", "prometheus", "promtail"} {
		if got, err := stackWith(all, component); got != "shop" || err != nil {
			t.Errorf("%s: %q, %v", component, got, err)
		}
	}
	if !slices.Contains(all[1].components, manifests.ComponentJaeger) {
		t.Errorf("an addon has %v", all[1].components)
	}
}
