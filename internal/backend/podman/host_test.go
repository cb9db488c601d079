package podman

import (
	"slices"
	"testing"

	"github.com/containers/podman/v5/pkg/domain/entities/types"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/api/resource"

	"mockup.dev/mockup/internal/host"
	"mockup.dev/mockup/manifests"
)

func TestRefusedByHost(t *testing.T) {
	d := &appsv1.Deployment{}
	d.Kind, d.Name = "Deployment", "web"
	limits := corev1.ResourceList{corev1.ResourceMemory: resource.MustParse("64Mi")}
	d.Spec.Template.Spec.Containers = []corev1.Container{{Name: "web", Resources: corev1.ResourceRequirements{Limits: limits}}, {Name: "log"}}
	d.Spec.Template.Spec.InitContainers = []corev1.Container{{Name: "first", Resources: corev1.ResourceRequirements{Limits: limits}}}
	p := &networkingv1.NetworkPolicy{}
	p.Kind, p.Name = "NetworkPolicy", "walls"
	set := manifests.Set{Objects: []manifests.Object{d, p, &corev1.ConfigMap{}}}

	rootless := host.Host{Who: host.Who{UID: 1000, Name: "ada"}, Cgroups: host.Cgroups{Version: host.CgroupV1}, NFTables: host.No, Systemd: true, Lingers: true}
	var got []string
	for _, r := range refusedByHost(rootless.Lacks(), set) {
		if r.Reason == "" {
			t.Errorf("%+v has no reason", r)
		}
		got = append(got, r.Ref.Kind+" "+r.Path)
	}
	want := []string{
		"Deployment spec.template.spec.containers[web].resources.limits.memory",
		"Deployment spec.template.spec.initContainers[first].resources.limits.memory",
		"NetworkPolicy spec",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got %q", got)
	}
	able := host.Host{Cgroups: host.Cgroups{Version: host.CgroupV2, Controllers: []string{"cpu", "memory", "pids"}}, NFTables: host.Yes, Systemd: true}
	if got := refusedByHost(able.Lacks(), set); got != nil {
		t.Errorf("a host that can do all refuses %v", got)
	}
}

// TestNamesOfContainers are what Podman makes of those that it is given: before 5.7 it knows no NoPodPrefix.
func TestNamesOfContainers(t *testing.T) {
	for version, want := range map[string]string{
		"5.4.2": "ns-web-0-ns-web-0.c", "5.6.9": "ns-web-0-ns-web-0.c", "5.7.0": "ns-web-0.c", "5.8.4": "ns-web-0.c", "6.0.0-dev": "ns-web-0.c", "": "ns-web-0.c",
	} {
		got := place{prefixes: before(version, 5, 7)}.container("ns-web-0", "c")
		if got != want || manifestName("ns-web-0", got) != "c" {
			t.Errorf("Podman %s names it %s, want %s; back it is %s", version, got, want, manifestName("ns-web-0", got))
		}
	}
}

// A pod that is being made is listed before it knows its infra container.
func TestInfraOfAPodThatIsBeingMade(t *testing.T) {
	p := &types.ListPodsReport{Id: "822005bb7ee39bd829f4", Name: "ns-web-0", Containers: []*types.ListPodContainer{
		{Id: "1", Names: "822005bb7ee3-infra"}, {Id: "2", Names: "ns-web-0.web"},
	}}
	got := podOf(p, nil)
	if got.infra.id != "1" || len(got.containers) != 1 || got.containers[0].id != "2" {
		t.Errorf("the infra container is %q, the others are %v", got.infra.id, got.containers)
	}
}
