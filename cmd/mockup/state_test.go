package main

import (
	"bytes"
	"errors"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"mockup.dev/mockup/api/v1alpha1"
	"mockup.dev/mockup/internal/backend"
	"mockup.dev/mockup/internal/podmansocket"
	"mockup.dev/mockup/manifests"
)

func stackWithStatus(change func(*v1alpha1.MockupStack)) *v1alpha1.MockupStack {
	s := &v1alpha1.MockupStack{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "shop", Generation: 2}}
	s.Status.ObservedGeneration = 2
	s.Status.Conditions = []metav1.Condition{
		{Type: "Ready", Status: "False", Reason: "Progressing", Message: "objects are being made"},
		{Type: "Stalled", Status: "False"},
	}
	change(s)
	return s
}

func TestJudge(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*v1alpha1.MockupStack)
		want   verdict
	}{
		"ready": {func(s *v1alpha1.MockupStack) { s.Status.Conditions[0].Status = "True" }, verdict{ready: true, text: "ready"}},
		"ready as it was before a change": {func(s *v1alpha1.MockupStack) {
			s.Status.Conditions[0].Status = "True"
			s.Generation = 3
		}, verdict{text: "the operator has not looked at it yet"}},
		"never looked at": {func(s *v1alpha1.MockupStack) { s.Status = v1alpha1.MockupStackStatus{} }, verdict{text: "the operator has not looked at it yet"}},
		"stalled": {func(s *v1alpha1.MockupStack) {
			s.Status.Conditions[1] = metav1.Condition{Type: "Stalled", Status: "True", Reason: "PortInUse", Message: "port 80"}
		}, verdict{stalled: true, text: "PortInUse: port 80"}},
		"waiting for workloads": {func(s *v1alpha1.MockupStack) {
			s.Status.Gateway = &v1alpha1.WorkloadStatus{Name: "gateway", Phase: "Ready"}
			s.Status.Services = []v1alpha1.WorkloadStatus{{Name: "web", Phase: "Pending", Reason: "PullingImage"}, {Name: "api", Phase: "Pending", Restarts: 4}}
		}, verdict{text: "waiting for web (PullingImage), api (Pending, 4 restarts)"}},
		"waiting for the rest": {func(*v1alpha1.MockupStack) {}, verdict{text: "Progressing: objects are being made"}},
	} {
		t.Run(name, func(t *testing.T) {
			if got := judge(stackSubject(stackWithStatus(c.change))); got != c.want {
				t.Errorf("got %+v, want %+v", got, c.want)
			}
		})
	}
}

func TestStatusExitCodesAndTable(t *testing.T) {
	ready := stackWithStatus(func(s *v1alpha1.MockupStack) {
		s.Status.Conditions[0].Status = "True"
		s.Status.URL = "https://localhost:8443/"
		s.Status.Services = []v1alpha1.WorkloadStatus{{Name: "web", Phase: "Ready", Ready: "1/1", Restarts: 3, Endpoints: []string{"http://web:80/"}}}
		s.Status.Refusals = make([]v1alpha1.Refusal, 2)
	})
	waiting := stackWithStatus(func(*v1alpha1.MockupStack) {})
	for name, c := range map[string]struct {
		found []*subject
		code  int
		says  []string
	}{
		"ready":    {[]*subject{stackSubject(ready)}, exitOK, []string{"default/shop  ready: True", "https://localhost:8443/", "web", "1/1", "3", "http://web:80/", "2 refusals"}},
		"one not":  {[]*subject{stackSubject(ready), stackSubject(waiting)}, exitFailed, []string{"ready: False (Progressing)"}},
		"none yet": {nil, exitFailed, []string{"No stacks."}},
	} {
		for _, form := range []string{formTable, formJSON, formYAML} {
			var out bytes.Buffer
			err := printStatus(&out, form, c.found, time.Now())
			var exit *exitError
			if c.code == exitOK && err != nil || c.code != exitOK && (!errors.As(err, &exit) || exit.code != c.code || exit.err != nil) {
				t.Errorf("%s, %s: %v, want code %d", name, form, err, c.code)
			}
			for _, text := range c.says {
				if form == formTable && !strings.Contains(out.String(), text) {
					t.Errorf("%s: %q is not in\n%s", name, text, out.String())
				}
			}
		}
	}
}

func TestRemovalRetainsVolumesUnlessPurging(t *testing.T) {
	s := stackWithStatus(func(s *v1alpha1.MockupStack) {
		s.Spec.Volumes = []v1alpha1.Volume{{Name: "cache", ReclaimPolicy: v1alpha1.ReclaimDelete}}
	})
	for purge, want := range map[bool]string{false: "Retain", true: "Delete"} {
		set := removalOf(stackSubject(s), purge)
		if !set.Remove || len(set.Objects) != 1 {
			t.Fatalf("no removal with one claim: %+v", set)
		}
		if got := set.Objects[0].(*corev1.PersistentVolumeClaim).Labels[manifests.LabelReclaim]; got != want {
			t.Errorf("purge %t: reclaim %s, want %s", purge, got, want)
		}
	}
	if s.Spec.Volumes[0].ReclaimPolicy != v1alpha1.ReclaimDelete {
		t.Error("the stack itself was changed")
	}
}

func TestLeftOf(t *testing.T) {
	got := leftOf(backend.Observation{Objects: []backend.State{
		{Ref: manifests.Ref{Kind: "PersistentVolumeClaim", Name: "kept"}, Reason: backend.ReasonRetained},
		{Ref: manifests.Ref{Kind: "Deployment", Name: "web"}, Phase: backend.Terminating},
		{Ref: manifests.Ref{Kind: "Deployment", Name: "api"}, Phase: backend.Failed, Message: "busy"},
	}})
	if strings.Join(got, ";") != "Deployment/web;Deployment/api (busy)" {
		t.Errorf("got %q", got)
	}
}

func TestClaimedLeavesOutConfigurationAndBackups(t *testing.T) {
	got := claimed([]podmansocket.Volume{
		{Name: "data", Labels: map[string]string{manifests.LabelOwner: "x", manifests.LabelReclaim: "Retain"}},
		{Name: "pod.config", Labels: map[string]string{manifests.LabelOwner: "x"}},
		{Name: "repository", Labels: map[string]string{manifests.LabelOwner: "BackupPolicy.default.nightly", manifests.LabelReclaim: "Retain"}},
	})
	if len(got) != 1 || got[0].Name != "data" {
		t.Errorf("got %v", got)
	}
}

func TestConfirm(t *testing.T) {
	for answer, code := range map[string]int{"y\n": exitOK, "Yes\n": exitOK, "n\n": exitFailed, "\n": exitFailed, "yo\n": exitFailed} {
		d := &down{app: &app{in: strings.NewReader(answer), err: &bytes.Buffer{}}}
		err := d.confirm("Remove them?", "nothing was removed")
		var exit *exitError
		if code == exitOK && err != nil || code != exitOK && !errors.As(err, &exit) {
			t.Errorf("%q: %v", answer, err)
		}
	}
	d := &down{app: &app{in: strings.NewReader(""), err: &bytes.Buffer{}}}
	if d.confirm("?", "nothing") == nil {
		t.Error("no answer was taken for yes")
	}
}

func TestStackWith(t *testing.T) {
	shop := stackWithStatus(func(s *v1alpha1.MockupStack) { s.Spec.Services = []v1alpha1.Service{{Name: "web"}} })
	blog := shop.DeepCopy()
	blog.Name, blog.Spec.Gateway = "blog", &v1alpha1.Gateway{}
	all := []*subject{stackSubject(shop), stackSubject(blog)}
	if got, err := stackWith(all, "gateway"); got != "blog" || err != nil {
		t.Errorf("gateway: %q, %v", got, err)
	}
	if _, err := stackWith(all, "web"); err == nil || !strings.Contains(err.Error(), "shop, blog") {
		t.Errorf("web is in two stacks: %v", err)
	}
	if _, err := stackWith(all, "api"); err == nil {
		t.Error("api is nowhere")
	}
}

func TestLastLines(t *testing.T) {
	for _, c := range []struct {
		text string
		n    int
		want string
	}{{"a\nb\nc\n", 2, "b\nc\n"}, {"a\nb\nc", 2, "b\nc"}, {"a\n", 5, "a\n"}, {"a\nb\n", 0, "a\nb\n"}, {"", 3, ""}} {
		if got := lastLines(c.text, c.n); got != c.want {
			t.Errorf("last %d of %q: %q, want %q", c.n, c.text, got, c.want)
		}
	}
}

func TestReport(t *testing.T) {
	var out bytes.Buffer
	r := upReport{CA: "/s/ca.crt", Stacks: []stackURL{{"default", "shop", "https://localhost:8443/"}}}
	if err := r.print(&out, "bin/mockup"); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"default/shop  https://localhost:8443/", "curl --cacert /s/ca.crt https://localhost:8443/", `kubectl --kubeconfig "$(bin/mockup kubeconfig)"`, "bin/mockup status"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("%q is not in\n%s", want, out.String())
		}
	}
}
