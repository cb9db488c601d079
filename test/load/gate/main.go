// Command gate sends requests to a gateway and fails if an objective of it is missed, which an ObservabilityAddon names. The
// figures are those of whoever sends the requests.
//
//	go run ./test/load/gate -kubeconfig "$(bin/mockup kubeconfig)" -ca <(bin/mockup ca) -rate 50 -for 1m https://localhost:8443/
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/signal"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"mockup.dev/mockup/api/v1alpha1"
	"mockup.dev/mockup/test/load"
)

// answerTimeout bounds a request; one that takes longer has failed.
const answerTimeout = 30 * time.Second

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := gate(ctx, os.Args[1:], os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func gate(ctx context.Context, args []string, out io.Writer) error {
	flags := flag.NewFlagSet("gate", flag.ContinueOnError)
	kubeconfig := flags.String("kubeconfig", "", "file by which the control plane is reached")
	addon := flags.String("addon", "default/mockup", "NAMESPACE/NAME of the ObservabilityAddon with the objectives")
	service := flags.String("service", "gateway", "service whose objectives count")
	ca := flags.String("ca", "", "file with the certificate authority of the gateway")
	rate := flags.Int("rate", 20, "requests per second")
	lasting := flags.Duration("for", time.Minute, "how long requests are sent")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if flags.NArg() != 1 {
		return fmt.Errorf("which URL? see -help")
	}
	objectives, err := objectivesOf(ctx, *kubeconfig, *addon)
	if err != nil {
		return err
	}
	authority, err := os.ReadFile(*ca)
	if err != nil {
		return fmt.Errorf("reading the certificate authority: %w", err)
	}
	visitor, err := load.NewClient(authority, "")
	if err != nil {
		return err
	}
	run, err := load.Start(ctx, load.Options{Rate: *rate, Timeout: answerTimeout, AtMost: *lasting, Client: visitor},
		load.Kind{Name: "GET " + flags.Arg(0), Share: 1, Do: get(flags.Arg(0))})
	if err != nil {
		return err
	}
	select {
	case <-ctx.Done():
	case <-time.After(*lasting): // the time of the run, which is asked for
	}
	report := run.Stop()
	report.Print(out)
	return report.Missed(objectives, *service)
}

func objectivesOf(ctx context.Context, kubeconfig, addon string) ([]v1alpha1.Objective, error) {
	config, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
	if err != nil {
		return nil, fmt.Errorf("reading kubeconfig %s: %w", kubeconfig, err)
	}
	scheme := runtime.NewScheme()
	if err := v1alpha1.AddToScheme(scheme); err != nil {
		return nil, fmt.Errorf("making a client: %w", err)
	}
	api, err := client.New(config, client.Options{Scheme: scheme})
	if err != nil {
		return nil, fmt.Errorf("making a client: %w", err)
	}
	namespace, name, _ := strings.Cut(addon, "/")
	found := &v1alpha1.ObservabilityAddon{}
	if err := api.Get(ctx, client.ObjectKey{Namespace: namespace, Name: name}, found); err != nil {
		return nil, fmt.Errorf("reading the objectives of ObservabilityAddon %s: %w", addon, err)
	}
	return found.Spec.Objectives, nil
}

// get fails as objectives see it: without an answer, or with one of 500 or above.
func get(url string) func(context.Context, *http.Client, int) error {
	return func(ctx context.Context, visitor *http.Client, _ int) error {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
		if err != nil {
			return fmt.Errorf("making a request: %w", err)
		}
		answer, err := visitor.Do(req)
		if err != nil {
			return err
		}
		defer answer.Body.Close()
		if _, err := io.Copy(io.Discard, answer.Body); err != nil {
			return fmt.Errorf("reading the answer: %w", err)
		}
		if answer.StatusCode >= http.StatusInternalServerError {
			return fmt.Errorf("the answer is %s", answer.Status)
		}
		return nil
	}
}
