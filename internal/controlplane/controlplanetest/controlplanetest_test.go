package controlplanetest_test

import (
	"context"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"mockup.dev/mockup/internal/controlplane/controlplanetest"
)

func TestStart(t *testing.T) {
	config, stop, err := controlplanetest.Start(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer stop()
	client := kubernetes.NewForConfigOrDie(config)
	if _, err := client.CoreV1().Namespaces().Get(context.Background(), "default", metav1.GetOptions{}); err != nil {
		t.Fatal(err)
	}
	stop()
	stop()
	if _, err := client.CoreV1().Namespaces().Get(context.Background(), "default", metav1.GetOptions{}); err == nil {
		t.Error("it still answers after stop")
	}
}

func TestStartReportsWhyItFailed(t *testing.T) {
	if _, _, err := controlplanetest.Start("/proc/nowhere"); err == nil {
		t.Error("started in a folder that cannot exist")
	} else {
		t.Log(err)
	}
}
