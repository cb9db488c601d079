package main

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"mockup.dev/mockup/api/v1alpha1"
	"mockup.dev/mockup/manifests"
)

func TestRolloutOf(t *testing.T) {
	workload := func(name, phase, updated, ready string) v1alpha1.WorkloadStatus {
		return v1alpha1.WorkloadStatus{Name: name, Phase: phase, Updated: updated, Ready: ready}
	}
	done := func(s *v1alpha1.MockupStack) {
		s.Spec.Services = []v1alpha1.Service{{Name: "web"}, {Name: "api"}}
		s.Status.Revision = 4
		s.Status.Conditions[0].Status = "True"
		s.Status.Services = []v1alpha1.WorkloadStatus{workload("web", "Ready", "1/1", "1/1"), workload("api", "Ready", "3/3", "3/3")}
	}
	stalled := func(reason, message string) func(*v1alpha1.MockupStack) {
		return func(s *v1alpha1.MockupStack) {
			s.Status.Conditions = []metav1.Condition{{Type: "Ready", Status: "False"}, {Type: "Stalled", Status: "True", Reason: reason, Message: message}}
		}
	}
	for name, c := range map[string]struct {
		service     string
		change      func(*v1alpha1.MockupStack)
		phase, line string
	}{
		"done":         {"", func(*v1alpha1.MockupStack) {}, "Complete", "stack default/shop is rolled out: revision 4, 2 workloads"},
		"service done": {"web", stalled("WorkloadFailed", "api"), "Complete", "web of stack default/shop is rolled out: revision 4, 1 workload"},
		"not looked at yet": {"", func(s *v1alpha1.MockupStack) { s.Generation = 3 }, "Progressing",
			"stack default/shop: waiting for the operator to look at generation 3"},
		"an old failure, not looked at yet": {"", func(s *v1alpha1.MockupStack) {
			stalled("RolloutFailed", "web")(s)
			s.Generation = 3
		}, "Progressing", "stack default/shop: waiting for the operator to look at generation 3"},
		"restart not seen yet": {"", func(s *v1alpha1.MockupStack) { s.Annotations = map[string]string{"restart.mockup.dev/api": "now"} }, "Progressing",
			"stack default/shop: waiting for the operator to restart api"},
		"restart of another": {"web", func(s *v1alpha1.MockupStack) { s.Annotations = map[string]string{"restart.mockup.dev/api": "now"} }, "Complete",
			"web of stack default/shop is rolled out: revision 4, 1 workload"},
		"restart seen": {"", func(s *v1alpha1.MockupStack) {
			s.Annotations = map[string]string{"restart.mockup.dev/web": "now"}
			s.Status.Services[0].RestartedAt = "now"
		}, "Complete", "stack default/shop is rolled out: revision 4, 2 workloads"},
		"pods of both kinds": {"", func(s *v1alpha1.MockupStack) {
			s.Status.Services[1] = v1alpha1.WorkloadStatus{Name: "api", Phase: "Progressing", Updated: "1/3", Ready: "3/3", Reason: "RollingOut"}
		}, "Progressing", "stack default/shop: waiting for api (1/3 updated, 3/3 ready: RollingOut)"},
		"pods of both kinds, with a word on them": {"", func(s *v1alpha1.MockupStack) {
			s.Status.Services[1] = v1alpha1.WorkloadStatus{Name: "api", Phase: "Progressing", Updated: "1/3", Ready: "3/3", Reason: "RollingOut", Message: "the pod is being created"}
		}, "Progressing", "stack default/shop: waiting for api (1/3 updated, 3/3 ready: the pod is being created)"},
		"ready, but not all updated": {"api", func(s *v1alpha1.MockupStack) { s.Status.Services[1].Updated = "2/3" }, "Progressing",
			"api of stack default/shop: waiting for api (2/3 updated, 3/3 ready)"},
		"workloads are done, a volume is not": {"", func(s *v1alpha1.MockupStack) {
			s.Status.Conditions[0] = metav1.Condition{Type: "Ready", Status: "False", Reason: "Progressing", Message: "a claim"}
		}, "Progressing", "stack default/shop: Progressing: a claim"},
		"failed": {"", stalled("RolloutFailed", "Deployment/shop-web: ProgressDeadlineExceeded; the previous revision still serves"), "Failed",
			"stack default/shop: RolloutFailed: Deployment/shop-web: ProgressDeadlineExceeded; the previous revision still serves"},
		"the service itself failed": {"api", func(s *v1alpha1.MockupStack) {
			stalled("RolloutFailed", "api")(s)
			s.Status.Services[1] = v1alpha1.WorkloadStatus{Name: "api", Phase: "Failed", Reason: "CrashLoopBackOff", Message: "back-off 10s"}
		}, "Failed", "api of stack default/shop: CrashLoopBackOff: back-off 10s"},
		"nothing is applied": {"web", stalled("ReferenceMissing", "no Secret"), "Failed", "web of stack default/shop: ReferenceMissing: no Secret"},
		"no such service":    {"wbe", func(*v1alpha1.MockupStack) {}, "Unknown", `wbe of stack default/shop: stack default/shop has no service "wbe"; it has web, api`},
		"no status of workloads": {"", func(s *v1alpha1.MockupStack) { s.Status.Services = nil }, "Progressing",
			"stack default/shop: waiting for the operator to make its workloads"},
	} {
		t.Run(name, func(t *testing.T) {
			s := stackWithStatus(done)
			c.change(s)
			if got := rolloutOf(stackSubject(s), c.service); got.Phase != c.phase || got.line() != c.line {
				t.Errorf("got  %s, %s\nwant %s, %s", got.Phase, got.line(), c.phase, c.line)
			}
		})
	}
}

// TestFollowerIsNotFooledByRestarts shows a container that crashes and looks well in between.
func TestFollowerIsNotFooledByRestarts(t *testing.T) {
	well := stackWithStatus(func(*v1alpha1.MockupStack) {})
	crashed := stackWithStatus(func(s *v1alpha1.MockupStack) {
		s.Status.Conditions[1] = metav1.Condition{Type: "Stalled", Status: "True", Reason: "WorkloadFailed", Message: "CrashLoopBackOff"}
	})
	f := follower{patience: time.Hour, say: func(string) {}}
	f.see(stackSubject(well))
	if f.impatience() != nil {
		t.Error("nothing has failed yet")
	}
	f.see(stackSubject(crashed))
	first := f.impatience()
	f.see(stackSubject(well))
	f.see(stackSubject(crashed))
	if first == nil || f.impatience() != first || f.failure.Reason != "WorkloadFailed" {
		t.Errorf("patience began anew: %+v", f)
	}
	changed := stackWithStatus(func(s *v1alpha1.MockupStack) { s.Generation = 3 })
	if f.see(stackSubject(changed)); f.impatience() != nil {
		t.Error("a change deserves new patience")
	}
}

func TestSpecChanges(t *testing.T) {
	spec := func(change func(*v1alpha1.MockupStackSpec)) *v1alpha1.MockupStackSpec {
		s := &v1alpha1.MockupStackSpec{
			Networks: []v1alpha1.Network{{Name: "net", Subnet: "10.0.0.0/24"}},
			Services: []v1alpha1.Service{
				{Name: "web", Image: "web:1", Args: []string{"a"}, Networks: []v1alpha1.NetworkAttachment{{Name: "net"}}},
				{Name: "api", Image: "api:1", VolumeMounts: []v1alpha1.VolumeMount{{Volume: "v", MountPath: "/data"}}},
			},
		}
		change(s)
		return s
	}
	for name, c := range map[string]struct {
		change func(*v1alpha1.MockupStackSpec)
		want   string
	}{
		"nothing":       {func(*v1alpha1.MockupStackSpec) {}, ""},
		"an image":      {func(s *v1alpha1.MockupStackSpec) { s.Services[0].Image = "web:2" }, "services[web].image"},
		"a plain list":  {func(s *v1alpha1.MockupStackSpec) { s.Services[0].Args = []string{"b"} }, "services[web].args"},
		"an address":    {func(s *v1alpha1.MockupStackSpec) { s.Services[0].Networks[0].IP = "10.0.0.3" }, "services[web].networks[net].ip"},
		"a mount":       {func(s *v1alpha1.MockupStackSpec) { s.Services[1].VolumeMounts[0].ReadOnly = true }, "services[api].volumeMounts[/data].readOnly"},
		"a new service": {func(s *v1alpha1.MockupStackSpec) { s.Services = append(s.Services, v1alpha1.Service{Name: "new"}) }, "services[new] added"},
		"one less":      {func(s *v1alpha1.MockupStackSpec) { s.Services = s.Services[:1] }, "services[api] removed"},
		"a new list":    {func(s *v1alpha1.MockupStackSpec) { s.Volumes = []v1alpha1.Volume{{Name: "v"}} }, "volumes[v] added"},
		"the order":     {func(s *v1alpha1.MockupStackSpec) { slices.Reverse(s.Services) }, "services in another order"},
		"a new object":  {func(s *v1alpha1.MockupStackSpec) { s.Gateway = &v1alpha1.Gateway{} }, "gateway"},
		"many": {func(s *v1alpha1.MockupStackSpec) {
			s.Services[0] = v1alpha1.Service{Name: "web", Image: "web:2", Port: 1, MinReadySeconds: 2, Args: []string{"b"}, Networks: s.Services[0].Networks}
		}, "services[web].args, services[web].image, services[web].minReadySeconds and 1 more"},
	} {
		if got := summary(specChanges(spec(func(*v1alpha1.MockupStackSpec) {}), spec(c.change))); got != c.want {
			t.Errorf("%s: got %q, want %q", name, got, c.want)
		}
	}
}

// keptRevisions have these images, numbered from 3.
func keptRevisions(images ...string) (kept []manifests.Revision) {
	for i, image := range images {
		kept = append(kept, manifests.Revision{Number: int64(i) + 3, Cause: "cause of " + image, Spec: v1alpha1.MockupStackSpec{Services: []v1alpha1.Service{{Name: "web", Image: image}}}})
	}
	return kept
}

func TestEarlier(t *testing.T) {
	for name, c := range map[string]struct {
		now    string
		kept   []manifests.Revision
		number int64
		want   int64
		says   string
	}{
		"the one before":             {"c", keptRevisions("a", "b", "c"), 0, 4, ""},
		"the newest, if now invalid": {"broken", keptRevisions("a", "b", "c"), 0, 5, ""},
		"a number":                   {"c", keptRevisions("a", "b", "c"), 3, 3, ""},
		"what is now":                {"c", keptRevisions("a", "b", "c"), 5, 5, ""},
		"none before":                {"a", keptRevisions("a"), 0, 0, "no revision before the current one of stack default/shop is kept"},
		"none at all":                {"a", nil, 2, 0, "revision 2 of stack default/shop is not kept; there are: none"},
		"no such number":             {"c", keptRevisions("a", "b", "c"), 2, 0, "revision 2 of stack default/shop is not kept; there are: 3 4 5"},
	} {
		s := stackWithStatus(func(s *v1alpha1.MockupStack) { s.Spec = keptRevisions(c.now)[0].Spec })
		r, err := earlier(s, c.kept, c.number)
		if r != nil && r.Number != c.want || r == nil && c.want != 0 || err != nil && err.Error() != c.says || err == nil && c.says != "" {
			t.Errorf("%s: got %+v, %v", name, r, err)
		}
	}
}

func TestHistory(t *testing.T) {
	now := time.Date(2026, 11, 23, 18, 0, 0, 0, time.UTC)
	kept := keptRevisions("a", "b", "c")
	kept[2].Cause = kept[1].Cause
	for i := range kept {
		kept[i].Created = now.Add(-time.Duration(10-i) * time.Minute)
	}
	var out strings.Builder
	if err := printHistory(&out, history(kept, 5), now); err != nil {
		t.Fatal(err)
	}
	want := `REVISION  CREATED    CHANGE
3         10m0s ago  - (cause of a)
4         9m0s ago   services[web].image (cause of b)
5*        8m0s ago   services[web].image
`
	if out.String() != want {
		t.Errorf("got\n%s\nwant\n%s", out.String(), want)
	}
}

func TestToRestart(t *testing.T) {
	shop := stackWithStatus(func(s *v1alpha1.MockupStack) {
		s.Spec.Gateway, s.Spec.Services = &v1alpha1.Gateway{}, []v1alpha1.Service{{Name: "web"}, {Name: "api"}}
	})
	blog := stackWithStatus(func(s *v1alpha1.MockupStack) { s.Name, s.Spec.Services = "blog", []v1alpha1.Service{{Name: "page"}} })
	one, two := []*subject{stackSubject(shop)}, []*subject{stackSubject(shop), stackSubject(blog)}
	for args, c := range map[string]struct {
		all  []*subject
		want string
		code int
	}{
		"web":           {one, "shop: web", exitOK},
		"shop web api":  {two, "shop: web api", exitOK},
		"shop all":      {two, "shop: gateway web api", exitOK},
		"all":           {one, "shop: gateway web api", exitOK},
		"blog gateway":  {two, `has no service "gateway"; it has page`, exitUsage},
		"shop":          {two, "name what to restart", exitUsage},
		"api ":          {two, "say which", exitUsage},
		"shop wbe":      {one, `has no service "wbe"; it has gateway, web, api`, exitUsage},
		"shop web all ": {one, `has no service "all"`, exitUsage},
	} {
		s, names, err := toRestart(c.all, "default", strings.Fields(args))
		got, code := fmt.Sprint(err), exitFailed
		var exit *exitError
		if errors.As(err, &exit) {
			code = exit.code
		}
		if err == nil {
			got, code = s.Name+": "+strings.Join(names, " "), exitOK
		}
		if code != c.code || !strings.Contains(got, c.want) {
			t.Errorf("%q: code %d, %s; want %d, %s", args, code, got, c.code, c.want)
		}
	}
}

func TestRolloutCalls(t *testing.T) {
	for args, c := range map[string]struct {
		code int
		says string
	}{
		"rollout":                      {exitUsage, "name one of history"},
		"rollout pause":                {exitUsage, "unknown command"},
		"rollout status --timeout 0s":  {exitUsage, "--timeout is 0s"},
		"rollout status -o yaml":       {exitUsage, "must be one of text, json"},
		"rollout status a b":           {exitUsage, "accepts at most 1"},
		"rollout undo --to-revision 0": {exitUsage, "--to-revision is 0"},
		"rollout restart":              {exitUsage, "at least 1"},
		"rollout history":              {exitUnreachable, "not running"},
		"rollout status":               {exitUnreachable, "not running"},
		"rollout undo":                 {exitUnreachable, "not running"},
		"rollout restart all":          {exitUnreachable, "not running"},
	} {
		if code, _, errOut := call(t, "", strings.Fields(args)...); code != c.code || !strings.Contains(errOut, c.says) {
			t.Errorf("%s: code %d, want %d; said %q, want %q in it", args, code, c.code, errOut, c.says)
		}
	}
}
