// Command server runs the control plane for tests that want it in a process of its own. It ends on SIGTERM or when its
// standard input is closed, so that it never outlives the test that started it.
//
//	server STATE-FOLDER CRD-FOLDER
package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"k8s.io/client-go/rest"
	"mockup.dev/mockup/config/crd"
	"mockup.dev/mockup/internal/controlplane"
)

func main() {
	if len(os.Args) != 3 {
		fmt.Fprintln(os.Stderr, "usage: server STATE-FOLDER CRD-FOLDER")
		os.Exit(2)
	}
	if err := run(os.Args[1], os.Args[2]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(dir, crdDir string) error {
	// Read from the folder rather than from what is embedded: a changed CRD needs no new server.
	crds, err := crd.Read(os.DirFS(crdDir))
	if err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		stop()
	}()
	options := controlplane.Options{Dir: dir, CRDs: crds, OwnProcess: true}
	return controlplane.Run(ctx, options, func(*rest.Config) {
		fmt.Println("ready", controlplane.KubeconfigPath(dir))
	})
}
