package main

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"mockup.dev/mockup/api/v1alpha1"
	"mockup.dev/mockup/manifests"
)

// printTree prints each stack with its addons and policies beneath, and then those whose stack is not among found.
func printTree(w io.Writer, found []*subject, now time.Time) error {
	if len(found) == 0 {
		_, err := fmt.Fprintln(w, "No stacks.")
		return err
	}
	for i, s := range inTree(found) {
		if i > 0 {
			fmt.Fprintln(w)
		}
		if err := s.print(w, now); err != nil {
			return err
		}
	}
	return nil
}

// inTree puts each addon and each policy behind its stack.
func inTree(found []*subject) []*subject {
	var out []*subject
	dependents := append(ofKind(found, addonKind), ofKind(found, policyKind)...)
	for _, s := range ofKind(found, stackKind) {
		out = append(out, s)
		var others []*subject
		for _, d := range dependents {
			if d.watched() == s.watched() {
				out = append(out, d)
			} else {
				others = append(others, d)
			}
		}
		dependents = others
	}
	return append(out, dependents...)
}

func (s *subject) print(w io.Writer, now time.Time) error {
	fmt.Fprintln(w, s.headline(now))
	if v := judge(s); !v.ready {
		fmt.Fprintf(w, "  %s\n", v.text)
	}
	if err := s.printWorkloads(w); err != nil {
		return err
	}
	if s.refusals > 0 {
		fmt.Fprintf(w, "  %s, see: status %s -n %s -o yaml\n", counted(s.refusals, "refusal"), s.stack, s.GetNamespace())
	}
	return nil
}

// headline is the subject in a line: whether it is ready, since when, and what its kind has to say of it.
func (s *subject) headline(now time.Time) string {
	ready, reason := "Unknown", ""
	var since metav1.Time
	if c := meta.FindStatusCondition(*s.conditions, v1alpha1.ConditionReady); c != nil {
		ready, reason, since = string(c.Status), c.Reason, c.LastTransitionTime
	}
	line := keyOf(s)
	if s.kind != stackKind {
		line = s.String()
	}
	line += "  ready: " + ready
	if ready != "True" && reason != "" {
		line += " (" + reason + ")"
	}
	if !since.IsZero() {
		line += " since " + now.Sub(since.Time).Truncate(time.Second).String()
	}
	switch o := s.Object.(type) {
	case *v1alpha1.MockupStack:
		if o.Status.URL != "" {
			line += "  " + o.Status.URL
		}
	case *v1alpha1.ObservabilityAddon:
		line += "  " + s.watches(&o.Status, now)
	case *v1alpha1.BackupPolicy:
		line += "  " + s.backsUp(&o.Status, now)
	}
	return line
}

// backsUp is what a policy has done, and is doing.
func (s *subject) backsUp(p *v1alpha1.BackupPolicyStatus, now time.Time) string {
	parts := []string{"backs up " + s.stack, "last success " + ago(p.LastSuccess, now), counted(int(p.Snapshots), "snapshot")}
	if p.Size != "" {
		parts[2] += " in " + p.Size
	}
	if p.LastVerified != nil {
		parts = append(parts, "verified "+ago(p.LastVerified, now))
	}
	switch {
	case p.Run != nil && p.Run.InPlace && p.Restore != nil:
		parts = append(parts, fmt.Sprintf("restores %s in place: %s", p.Restore.Volume, p.Restore.Phase))
	case p.Run != nil:
		parts = append(parts, string(p.Run.Operation)+" goes on")
	case p.NextRun != nil:
		parts = append(parts, "next in "+p.NextRun.Sub(now).Truncate(time.Second).String())
	}
	return strings.Join(parts, ", ")
}

// watches is what an addon sees of its stack. Of what is switched off, nothing is said.
func (s *subject) watches(a *v1alpha1.ObservabilityAddonStatus, now time.Time) string {
	parts := []string{"watches " + s.stack}
	if slices.Contains(s.components, manifests.ComponentPrometheus) {
		parts = append(parts, "targets "+cmp.Or(a.Targets, "unknown"))
	}
	if slices.Contains(s.components, manifests.ComponentLoki) {
		parts = append(parts, "last log "+ago(a.LastLogTime, now))
	}
	if slices.Contains(s.components, manifests.ComponentJaeger) {
		parts = append(parts, "last trace "+ago(a.LastTraceTime, now))
	}
	return strings.Join(parts, ", ")
}

// ago is how long ago something was seen.
func ago(t *metav1.Time, now time.Time) string {
	if t.IsZero() {
		return "not seen"
	}
	return max(0, now.Sub(t.Time)).Truncate(time.Second).String() + " ago"
}

// printWorkloads prints a line each. The programs of an addon do not tell how often they were restarted.
func (s *subject) printWorkloads(w io.Writer) error {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	if s.kind == policyKind {
		return nil // what it runs comes and goes
	}
	if s.kind == addonKind {
		fmt.Fprintln(table, "  COMPONENT\tPHASE\tREADY\tENDPOINT\tREASON")
	} else {
		fmt.Fprintln(table, "  WORKLOAD\tPHASE\tREADY\tRESTARTS\tENDPOINTS\tREASON")
	}
	for _, l := range s.workloads {
		fmt.Fprintf(table, "  %s\t%s\t%s\t", l.Name, l.Phase, l.Ready)
		if s.kind == stackKind {
			fmt.Fprintf(table, "%d\t", l.Restarts)
		}
		fmt.Fprintf(table, "%s\t%s\n", either(strings.Join(l.Endpoints, ","), "-"), either(l.Reason, "-"))
	}
	return table.Flush()
}
