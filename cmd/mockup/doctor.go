package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"mockup.dev/mockup/api/v1alpha1"
	"mockup.dev/mockup/internal/doctor"
	"mockup.dev/mockup/internal/documents"
	"mockup.dev/mockup/internal/imagemap"
)

func newDoctor(a *app) *cobra.Command {
	var files []string
	imageMap, podmanSocket := "", ""
	cmd := &cobra.Command{
		Use:   "doctor [-f FILE]...",
		Short: "Check the host, and say how to mend what is wrong",
		Long: `Checks whether stacks can run here: Podman and its helpers, cgroups and their controllers, what users other than root
need, nftables in the kernel, a firewall between pods and their names, whether systemd can start it all at boot, free ports
and subnets (and who holds them), images, space and memory, kubectl. With -f it checks for the ports, subnets and images of
these stacks and addons, otherwise for ports 80 and 443 and the gateway's image. What the host can't do is said with what follows from
it and how to mend it; limits that are not enforced stand in the stacks' status, too.

Exit codes: 0 when nothing keeps stacks from running, 1 when something does, 2 when called wrongly.`,
		Example: `  mockup doctor
  mockup doctor -f stack.yaml -f observability.yaml
  mockup doctor -f stack.yaml --image-map bin/images.yaml
  mockup doctor -o json`,
		Args: cobra.NoArgs,
	}
	flags := cmd.Flags()
	flags.StringArrayVarP(&files, "filename", "f", nil, "file with stacks and addons, - for standard input; may be repeated")
	flags.StringVar(&imageMap, "image-map", "", "YAML file that maps image references to those that are run in their place (default: that of the last \"up\")")
	flags.StringVar(&podmanSocket, "podman-socket", "", "URI of Podman's socket (default $CONTAINER_HOST, else where Podman has it)")
	output := outputFlag(cmd, formText, formJSON)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		found, err := documents.Read(files, a.in)
		if err != nil {
			return &exitError{exitUsage, err}
		}
		state, err := a.state()
		if err != nil {
			return err
		}
		images, err := imagemap.Load(either(imageMap, existing(state.ImageMap())))
		if err != nil {
			return &exitError{exitUsage, err}
		}
		need := needOf(found, images)
		facts := doctor.Gather(cmd.Context(), doctor.Options{PodmanSocket: podmanSocket, StateDir: string(state)}, need)
		return printFindings(a.out, *output, doctor.Check(facts, need))
	}
	return cmd
}

// needOf the stacks and addons among documents, as far as they can be decoded: what is wrong with one is told elsewhere.
func needOf(found []documents.Document, images map[string]string) doctor.Need {
	stacks := among[v1alpha1.MockupStack](found, stackKind)
	addons := among[v1alpha1.ObservabilityAddon](found, addonKind)
	return doctor.NeedOf(stacks, addons, images)
}

// among decodes those of a kind, whose Go type is T.
func among[T any, P interface {
	*T
	client.Object
}](found []documents.Document, k *kind) []P {
	var all []P
	for _, d := range found {
		o := P(new(T))
		if kindOf(d.GroupVersionKind()) == k && runtime.DefaultUnstructuredConverter.FromUnstructured(d.Object, o) == nil {
			o.SetNamespace(either(o.GetNamespace(), defaultNamespace))
			all = append(all, o)
		}
	}
	return all
}

// printFindings prints what was found. Its error, if something failed, has nothing to say beside.
func printFindings(w io.Writer, form string, findings []doctor.Finding) error {
	failed := len(doctor.Failed(findings))
	if form == formJSON {
		if err := printJSON(w, map[string]any{"ok": failed == 0, "findings": findings}); err != nil {
			return err
		}
	} else if err := printFindingsText(w, findings); err != nil {
		return err
	}
	if failed > 0 {
		return &exitError{exitFailed, nil}
	}
	return nil
}

func printFindingsText(w io.Writer, findings []doctor.Finding) error {
	marks := map[doctor.Level]string{doctor.OK: "✓", doctor.Warn: "!", doctor.Fail: "✗"}
	for _, f := range findings {
		if _, err := fmt.Fprintf(w, " %s %-28s %s\n", marks[f.Level], f.Check, f.Message); err != nil {
			return err
		}
		if f.Mend != "" {
			if _, err := fmt.Fprintf(w, "   %-28s → %s\n", "", f.Mend); err != nil {
				return err
			}
		}
	}
	return nil
}

// checkHost is doctor: all of it the first time, later what may have changed since.
func (u *up) checkHost(ctx context.Context, _ func(string)) (string, error) {
	if u.skipChecks {
		return "host not checked", nil
	}
	images, err := imagemap.Load(existing(u.state.ImageMap()))
	if err != nil {
		return "", err
	}
	need := needOf(u.objects, images)
	if len(u.objects) == 0 {
		need = doctor.Need{}
	}
	again := existing(u.kubeconfig()) != ""
	facts := doctor.Gather(ctx, doctor.Options{PodmanSocket: u.podman, StateDir: string(u.state), Quick: again}, need)
	findings := doctor.Check(facts, need)
	var lines []string
	for _, f := range doctor.Failed(findings) {
		lines = append(lines, fmt.Sprintf("  %s: %s\n    → %s", f.Check, f.Message, f.Mend))
	}
	if len(lines) > 0 {
		return "", errors.New("this host is not fit for it (--skip-checks goes on all the same):\n" + strings.Join(lines, "\n"))
	}
	warnings := 0
	for _, f := range findings {
		if f.Level == doctor.Warn {
			warnings++
		}
	}
	if warnings > 0 {
		return fmt.Sprintf("host is fit, %s: see doctor", counted(warnings, "warning")), nil
	}
	return "host is fit", nil
}
