package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/go-logr/logr"
	"github.com/spf13/cobra"

	"mockup.dev/mockup/internal/backend"
	"mockup.dev/mockup/internal/backend/podman"
	"mockup.dev/mockup/internal/podmansocket"
	"mockup.dev/mockup/manifests"
)

// logsOptions are the flags of logs.
type logsOptions struct {
	backend.LogOptions
	component, namespace, stack, podmanSocket string
	operator, controlPlane                    bool
}

func newLogs(a *app) *cobra.Command {
	var o logsOptions
	cmd := &cobra.Command{
		Use:   "logs COMPONENT | --operator | --controlplane",
		Short: "Print logs of a service, the gateway, a program of an addon, or a background program",
		Long: `Prints the logs of a service of a stack by its name, of the gateway as "gateway", of a program of the addon that watches
the stack, such as "prometheus", or of a program that runs in the background. With several replicas, each line begins with the name of its pod.

Exit codes: 0; 1 when there is nothing of that name; 2 when called wrongly; 3 when the control plane is needed to find the
stack and does not answer.`,
		Example: `  mockup logs gateway --tail 20
  mockup logs mime-server -f --timestamps
  mockup logs prometheus --tail 20
  mockup logs public-app --stack shop -n team-a
  mockup logs --operator -f`,
		Args: cobra.MaximumNArgs(1),
	}
	flags := cmd.Flags()
	flags.BoolVarP(&o.Follow, "follow", "f", false, "go on with what is written until interrupted")
	flags.IntVar(&o.Tail, "tail", 0, "number of last lines (default: all)")
	flags.BoolVar(&o.Timestamps, "timestamps", false, "begin each line with its time")
	flags.StringVarP(&o.namespace, "namespace", "n", defaultNamespace, "namespace of the stack")
	flags.StringVar(&o.stack, "stack", "", "name of the stack (default: the only one that has such a component)")
	flags.StringVar(&o.podmanSocket, "podman-socket", "", "URI of Podman's socket (default $CONTAINER_HOST, else where Podman has it)")
	flags.BoolVar(&o.operator, "operator", false, "logs of the operator")
	flags.BoolVar(&o.controlPlane, "controlplane", false, "logs of the control plane")
	cmd.PreRunE = func(_ *cobra.Command, args []string) error {
		if len(args) == 1 {
			o.component = args[0]
		}
		named := 0
		for _, is := range []bool{o.component != "", o.operator, o.controlPlane} {
			if is {
				named++
			}
		}
		if named != 1 {
			return &exitError{exitUsage, errors.New("name one component, or --operator, or --controlplane")}
		}
		return nil
	}
	cmd.RunE = func(cmd *cobra.Command, _ []string) error { return a.logs(cmd.Context(), o) }
	return cmd
}

func (a *app) logs(ctx context.Context, o logsOptions) error {
	state, err := a.state()
	if err != nil {
		return err
	}
	switch {
	case o.operator:
		return printFile(ctx, a.out, folder(state).LogFile(processOperator), o.LogOptions)
	case o.controlPlane:
		return printFile(ctx, a.out, folder(state).LogFile(processControlPlane), o.LogOptions)
	}
	if o.stack == "" {
		c, err := reach(ctx, state)
		if err != nil {
			return err
		}
		all, err := subjects(ctx, c, o.namespace)
		if err != nil {
			return err
		}
		if o.stack, err = stackWith(all, o.component); err != nil {
			return err
		}
	}
	return a.podLogs(ctx, o)
}

// stackWith is the name of the only stack that has the component, or that is watched by an addon that has it.
func stackWith(all []*subject, component string) (string, error) {
	var names []string
	for _, s := range all {
		if slices.Contains(s.components, component) {
			names = append(names, s.stack)
		}
	}
	switch len(names) {
	case 0:
		return "", fmt.Errorf("no stack or addon of this namespace has a component %q", component)
	case 1:
		return names[0], nil
	}
	return "", &exitError{exitUsage, fmt.Errorf("stacks %s have a component %q: say which with --stack", strings.Join(names, ", "), component)}
}

// podLogs prints the logs of every pod of a component.
func (a *app) podLogs(ctx context.Context, o logsOptions) error {
	uri, err := podmansocket.Find(ctx, o.podmanSocket)
	if err != nil {
		return err
	}
	pods, err := podsOf(ctx, uri, o)
	if err != nil {
		return err
	}
	if len(pods) == 0 {
		return fmt.Errorf("no pod of %s runs in stack %s/%s", o.component, o.namespace, o.stack)
	}
	b := podman.New(podman.Options{URI: uri, Log: logr.Discard()}).Pods()
	out := &lineWriter{out: a.out}
	errs := make([]error, len(pods))
	var group sync.WaitGroup
	for i, pod := range pods {
		prefix := ""
		if len(pods) > 1 {
			prefix = pod.Pod + " | "
		}
		group.Go(func() { errs[i] = copyLogs(ctx, b, pod, o.LogOptions, out, prefix) })
		if !o.Follow {
			group.Wait() // one after the other reads better
		}
	}
	group.Wait()
	if ctx.Err() != nil {
		return nil
	}
	return errors.Join(errs...)
}

// podsOf lists the pods of a component that are part of a stack, its own or those of its addon, sorted by name.
func podsOf(ctx context.Context, uri string, o logsOptions) ([]backend.PodRef, error) {
	c, err := podmansocket.New(uri)
	if err != nil {
		return nil, err
	}
	all, err := c.Pods(ctx, manifests.LabelPartOf+"="+o.stack)
	if err != nil {
		return nil, err
	}
	var pods []backend.PodRef
	for _, p := range all {
		owner, err := manifests.ParseOwner(p.Labels[manifests.LabelOwner])
		if err == nil && owner.Namespace == o.namespace && p.Labels[manifests.LabelComponent] == o.component {
			pods = append(pods, backend.PodRef{Owner: owner, Pod: p.Name})
		}
	}
	slices.SortFunc(pods, func(a, b backend.PodRef) int { return strings.Compare(a.Pod, b.Pod) })
	return pods, nil
}

func copyLogs(ctx context.Context, pods backend.Pods, ref backend.PodRef, o backend.LogOptions, out *lineWriter, prefix string) error {
	logs, err := pods.Logs(ctx, ref, o)
	if err != nil {
		return fmt.Errorf("reading the logs of pod %s: %w", ref.Pod, err)
	}
	defer logs.Close()
	return out.copy(logs, prefix)
}

// lineWriter keeps the lines of several sources whole.
type lineWriter struct {
	mu  sync.Mutex
	out io.Writer
}

func (w *lineWriter) copy(from io.Reader, prefix string) error {
	reader := bufio.NewReader(from)
	for {
		line, err := reader.ReadString('\n')
		if line != "" {
			if !strings.HasSuffix(line, "\n") {
				line += "\n"
			}
			w.mu.Lock()
			_, writeErr := io.WriteString(w.out, prefix+line)
			w.mu.Unlock()
			if writeErr != nil {
				return writeErr
			}
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// followPeriod is how often a followed file is looked at.
const followPeriod = 300 * time.Millisecond

// printFile prints a log file, and goes on with it when it is followed, also after it was begun anew.
func printFile(ctx context.Context, w io.Writer, path string, o backend.LogOptions) error {
	content, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("reading a log: %w; was it ever started?", err)
	}
	offset := int64(len(content))
	if _, err := io.WriteString(w, lastLines(string(content), o.Tail)); err != nil {
		return err
	}
	for o.Follow {
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(followPeriod):
		}
		file, err := os.Open(path)
		if err != nil {
			continue // being set aside
		}
		if info, err := file.Stat(); err == nil && info.Size() < offset {
			offset = 0
		}
		n, err := io.Copy(w, io.NewSectionReader(file, offset, 1<<62))
		_ = file.Close()
		offset += n
		if err != nil {
			return err
		}
	}
	return nil
}

// lastLines are the last n lines of text, all for 0.
func lastLines(text string, n int) string {
	if n <= 0 {
		return text
	}
	lines := strings.SplitAfter(text, "\n")
	if last := len(lines) - 1; lines[last] == "" {
		lines = lines[:last]
	}
	return strings.Join(lines[max(0, len(lines)-n):], "")
}
