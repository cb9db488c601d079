package controlplane_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/kubernetes/scheme"
	corev1client "k8s.io/client-go/kubernetes/typed/core/v1"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/leaderelection"
	"k8s.io/client-go/tools/leaderelection/resourcelock"
	"k8s.io/client-go/tools/record"
	"mockup.dev/mockup/internal/controlplane"
)

const widgetCRD = `
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: widgets.example.com}
spec:
  group: example.com
  names: {kind: Widget, plural: widgets, singular: widget, shortNames: [wi]}
  scope: Namespaced
  versions:
  - name: v1
    served: true
    storage: true
    subresources: {status: {}}
    additionalPrinterColumns: [{name: Phase, type: string, jsonPath: .status.phase}]
    schema:
      openAPIV3Schema:
        type: object
        properties:
          spec:
            type: object
            required: [size]
            properties:
              size: {type: integer, description: How many of them there shall be.}
              max: {type: integer, default: 10}
              image: {type: string, x-kubernetes-validations: [{rule: self == oldSelf, message: image is immutable}]}
            x-kubernetes-validations: [{rule: self.size <= self.max, message: size must be at most max}]
          status: {type: object, properties: {phase: {type: string}}}
`

func widget(name string, size int) string {
	return fmt.Sprintf("apiVersion: example.com/v1\nkind: Widget\nmetadata: {name: %s}\nspec: {size: %d, image: x}\n", name, size)
}

// TestBehavesLikeACluster goes through what a user of custom resources relies on, with one control plane for all of it.
func TestBehavesLikeACluster(t *testing.T) {
	dir := t.TempDir()
	config, _ := runHere(t, dir)
	client := clientFor(t, config)
	k := newKubectl(t, dir)

	t.Run("garbage collection", func(t *testing.T) { testGarbageCollection(t, k, client, "widget") })
	t.Run("custom resources", func(t *testing.T) { testCustomResources(t, k) })
	t.Run("server-side apply", func(t *testing.T) { testServerSideApply(t, k) })
	t.Run("watch", func(t *testing.T) { testWatch(t, k) })
	t.Run("namespace deletion", func(t *testing.T) { testNamespaceDeletion(t, k, client) })
	t.Run("who may do what", func(t *testing.T) { testAuthorization(t, config, client) })
	t.Run("secrets, events and leases", func(t *testing.T) { testNativeObjects(t, client) })
	t.Run("nothing that nobody acts on", func(t *testing.T) {
		for _, kind := range []string{"apps/v1 Deployment", "v1 Pod", "v1 Service", "v1 ResourceQuota", "admissionregistration.k8s.io/v1 MutatingAdmissionPolicy"} {
			version, name, _ := strings.Cut(kind, " ")
			k.refused("no matches for kind", fmt.Sprintf("apiVersion: %s\nkind: %s\nmetadata: {name: x}\n", version, name), "apply", "-f", "-")
		}
	})
	t.Run("our own CRD", func(t *testing.T) {
		if out := k.run("", "explain", "mockupstack.spec"); !strings.Contains(out, "networks") {
			t.Errorf("explain does not know our own kind:\n%s", out)
		}
	})
	// Once more when the garbage collector has come to rest.
	t.Run("garbage collection of a later kind", func(t *testing.T) { testGarbageCollection(t, k, client, "gadget") })
	t.Run("healthy", func(t *testing.T) {
		if err := controlplane.Healthy(t.Context(), dir); err != nil {
			t.Error(err)
		}
	})
}

// testGarbageCollection makes a new kind like Widget and at once, with nothing in between, lets one of it own something.
func testGarbageCollection(t *testing.T, k kubectl, client kubernetes.Interface, kind string) {
	title := strings.ToUpper(kind[:1]) + kind[1:]
	rename := strings.NewReplacer("widget", kind, "Widget", title, "[wi]", "["+kind[:2]+"]")
	k.run(rename.Replace(widgetCRD), "apply", "-f", "-")
	k.run("", "wait", "--for=condition=Established", "crd/"+kind+"s.example.com", "--timeout=10s")
	k.run(rename.Replace(widget("owner", 1)), "apply", "-f", "-")
	uid := k.run("", "get", kind, "owner", "-o", "jsonpath={.metadata.uid}")
	owned := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "owned", OwnerReferences: []metav1.OwnerReference{
		{APIVersion: "example.com/v1", Kind: title, Name: "owner", UID: types.UID(uid)}}}}
	if _, err := client.CoreV1().ConfigMaps("default").Create(t.Context(), owned, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	k.run("", "delete", kind, "owner")
	eventually(t, 10*time.Second, func() error {
		_, err := client.CoreV1().ConfigMaps("default").Get(t.Context(), "owned", metav1.GetOptions{})
		if apierrors.IsNotFound(err) {
			return nil
		}
		return fmt.Errorf("the ConfigMap of a deleted owner is still there (%w)", err)
	})
}

func testCustomResources(t *testing.T, k kubectl) {
	k.run(widget("w1", 3), "apply", "-f", "-")
	if out := k.run("", "get", "wi", "w1", "-o", "jsonpath={.spec.max}"); out != "10" {
		t.Errorf("default: got %q", out)
	}
	eventually(t, 10*time.Second, func() error { // the document of a new kind is merged within about a second
		if out, _ := k.command("", "explain", "widget.spec.size").CombinedOutput(); !strings.Contains(string(out), "How many of them") {
			return fmt.Errorf("explain says %s", out)
		}
		return nil
	})
	k.refused("size must be at most max", "", "patch", "wi", "w1", "--type=merge", "-p", `{"spec":{"size":20}}`)
	k.refused("image is immutable", "", "patch", "wi", "w1", "--type=merge", "-p", `{"spec":{"image":"y"}}`)
	k.refused("unknown field", strings.Replace(widget("w3", 1), "size:", "typo: 1, size:", 1), "apply", "-f", "-")
	k.run("", "patch", "wi", "w1", "--subresource=status", "--type=merge", "-p", `{"status":{"phase":"Working"}}`)
	if out := k.run("", "get", "wi", "w1"); !strings.Contains(out, "Working") {
		t.Errorf("printer column: got\n%s", out)
	}
	if out := k.run("", "get", "wi", "w1", "-o", "jsonpath={.metadata.generation}"); out != "1" {
		t.Errorf("a status write changed the generation to %q", out)
	}
	k.run("", "patch", "wi", "w1", "--type=merge", "-p", `{"metadata":{"finalizers":["example.com/hold"]}}`)
	k.run("", "delete", "wi", "w1", "--wait=false")
	if out := k.run("", "get", "wi", "w1", "-o", "jsonpath={.metadata.deletionTimestamp}"); out == "" {
		t.Error("the finalizer did not hold the object")
	}
	k.run("", "patch", "wi", "w1", "--type=json", "-p", `[{"op":"remove","path":"/metadata/finalizers"}]`)
	k.refused("not found", "", "get", "wi", "w1")
}

func testServerSideApply(t *testing.T, k kubectl) {
	k.run(widget("ssa", 1), "apply", "--server-side", "--field-manager=one", "-f", "-")
	k.refused("conflict", widget("ssa", 2), "apply", "--server-side", "--field-manager=two", "-f", "-")
	k.run(widget("ssa", 2), "apply", "--server-side", "--field-manager=two", "--force-conflicts", "-f", "-")
	if out := k.run("", "get", "wi", "ssa", "-o", "jsonpath={.spec.size}"); out != "2" {
		t.Errorf("forced apply: size is %q", out)
	}
}

func testWatch(t *testing.T, k kubectl) {
	watch := k.command("", "get", "widgets", "--watch", "-o", "name")
	stdout, err := watch.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := watch.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = watch.Process.Kill(); _ = watch.Wait() }()
	lines := make(chan string)
	go func() {
		for scanner := bufio.NewScanner(stdout); scanner.Scan(); {
			lines <- scanner.Text()
		}
		close(lines)
	}()
	k.run(widget("watched-1", 1), "apply", "-f", "-")
	waitLine(t, lines, "watched-1") // the watch is established now, whichever of the two it came from
	k.run(widget("watched-2", 1), "apply", "-f", "-")
	waitLine(t, lines, "watched-2")
}

func waitLine(t *testing.T, lines <-chan string, part string) {
	t.Helper()
	for limit := time.After(20 * time.Second); ; {
		select {
		case line, open := <-lines:
			if !open {
				t.Fatalf("the watch ended before it showed %s", part)
			}
			if strings.Contains(line, part) {
				return
			}
		case <-limit:
			t.Fatalf("the watch did not show %s", part)
		}
	}
}

func testNamespaceDeletion(t *testing.T, k kubectl, client kubernetes.Interface) {
	k.run("", "create", "namespace", "temporary")
	k.run(widget("inside", 1), "-n", "temporary", "apply", "-f", "-")
	eventually(t, 10*time.Second, func() error {
		_, err := client.CoreV1().ServiceAccounts("temporary").Get(t.Context(), "default", metav1.GetOptions{})
		return err
	})
	k.run("", "delete", "namespace", "temporary", "--timeout=40s")
	k.run("", "create", "namespace", "temporary")
	if out := k.run("", "-n", "temporary", "get", "widgets"); !strings.Contains(out, "No resources found") {
		t.Errorf("a namespace of the same name is not empty:\n%s", out)
	}
}

func testAuthorization(t *testing.T, config *rest.Config, client kubernetes.Interface) {
	anonymous := rest.AnonymousClientConfig(config)
	for _, path := range []string{"/api/v1/secrets", "/readyz", "/metrics", "/version"} {
		if status := statusOf(t, anonymous, path); status != http.StatusUnauthorized {
			t.Errorf("anonymous %s: got status %d, want 401", path, status)
		}
	}
	// The token of a service account: refused until RBAC allows it, and then only what it allows.
	token, err := client.CoreV1().ServiceAccounts("default").CreateToken(t.Context(), "default", &authenticationv1.TokenRequest{}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	account := rest.AnonymousClientConfig(config)
	account.BearerToken = token.Status.Token
	if status := statusOf(t, account, "/api/v1/namespaces/default/configmaps"); status != http.StatusForbidden {
		t.Errorf("service account without a role: got status %d, want 403", status)
	}
	binding := &rbacv1.RoleBinding{ObjectMeta: metav1.ObjectMeta{Name: "view"},
		RoleRef:  rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "view"},
		Subjects: []rbacv1.Subject{{Kind: rbacv1.ServiceAccountKind, Name: "default", Namespace: "default"}}}
	if _, err := client.RbacV1().RoleBindings("default").Create(t.Context(), binding, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	eventually(t, 10*time.Second, func() error {
		if status := statusOf(t, account, "/api/v1/namespaces/default/configmaps"); status != http.StatusOK {
			return fmt.Errorf("service account that may view: got status %d, want 200", status)
		}
		return nil
	})
	if status := statusOf(t, account, "/api/v1/namespaces/default/secrets"); status != http.StatusForbidden {
		t.Errorf("service account that may view asks for Secrets: got status %d, want 403", status)
	}
}

func statusOf(t *testing.T, config *rest.Config, path string) int {
	t.Helper()
	client, err := rest.HTTPClientFor(config)
	if err != nil {
		t.Fatal(err)
	}
	answer, err := client.Get(config.Host + path)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	return answer.StatusCode
}

func testNativeObjects(t *testing.T, client *kubernetes.Clientset) {
	secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: "password"}, StringData: map[string]string{"key": "value"}}
	if _, err := client.CoreV1().Secrets("default").Create(t.Context(), secret, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	got, err := client.CoreV1().Secrets("default").Get(t.Context(), "password", metav1.GetOptions{})
	if err != nil || string(got.Data["key"]) != "value" {
		t.Errorf("Secret: got %q, %v", got.Data, err)
	}
	broadcaster := record.NewBroadcaster(record.WithContext(t.Context()))
	broadcaster.StartRecordingToSink(&corev1client.EventSinkImpl{Interface: client.CoreV1().Events("")})
	broadcaster.NewRecorder(scheme.Scheme, corev1.EventSource{Component: "test"}).Event(got, corev1.EventTypeNormal, "Tested", "it was tested")
	eventually(t, 10*time.Second, func() error {
		events, err := client.CoreV1().Events("default").List(t.Context(), metav1.ListOptions{FieldSelector: "reason=Tested"})
		if err == nil && len(events.Items) == 0 {
			err = errors.New("the event did not arrive")
		}
		return err
	})
	testLeaderElection(t, client)
}

func testLeaderElection(t *testing.T, client kubernetes.Interface) {
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	lock, err := resourcelock.New(resourcelock.LeasesResourceLock, "kube-system", "leader", client.CoreV1(), client.CoordinationV1(),
		resourcelock.ResourceLockConfig{Identity: "me"})
	if err != nil {
		t.Fatal(err)
	}
	elected := make(chan struct{})
	go leaderelection.RunOrDie(ctx, leaderelection.LeaderElectionConfig{Lock: lock, LeaseDuration: 15 * time.Second,
		RenewDeadline: 10 * time.Second, RetryPeriod: 2 * time.Second, Callbacks: leaderelection.LeaderCallbacks{
			OnStartedLeading: func(context.Context) { close(elected) }, OnStoppedLeading: func() {}}})
	select {
	case <-elected:
	case <-ctx.Done():
		t.Error("nobody was elected")
	}
}
