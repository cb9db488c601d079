package main

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"mockup.dev/mockup/internal/backend"
	"mockup.dev/mockup/manifests"
)

// plan is what is printed.
type plan struct {
	Stacks []stackPlan `json:"stacks"`
	Addons []stackPlan `json:"addons,omitempty"`
	// Backups are the policies.
	Backups []stackPlan `json:"backups,omitempty"`
	// Notes say what the plan rests on.
	Notes []string `json:"notes,omitempty"`
}

// stackPlan is what becomes of a stack, or of an addon.
type stackPlan struct {
	Namespace string        `json:"namespace"`
	Name      string        `json:"name"`
	Changes   []changeLine  `json:"changes"`
	Refusals  []refusalLine `json:"refusals"`
}

type changeLine struct {
	Verb   backend.Verb `json:"verb"`
	Object string       `json:"object"`
	Detail string       `json:"detail,omitempty"`
	// InterruptionSeconds that clients are expected to go unserved.
	InterruptionSeconds float64 `json:"interruptionSeconds"`
	Cause               string  `json:"cause,omitempty"`
}

func (p *plan) add(owner manifests.Owner, f backend.Forecast) {
	s := stackPlan{Namespace: owner.Namespace, Name: owner.Name, Changes: []changeLine{}, Refusals: refusalLines(f.Refused)}
	for _, c := range f.Changes {
		s.Changes = append(s.Changes, changeLine{c.Verb, c.Ref.String(), c.Detail, c.Interruption.Seconds(), c.Cause})
	}
	switch owner.Kind {
	case addonKind.name:
		p.Addons = append(p.Addons, s)
	case policyKind.name:
		p.Backups = append(p.Backups, s)
	default:
		p.Stacks = append(p.Stacks, s)
	}
}

// all are the plans of the stacks, then of the addons, and then of the policies.
func (p *plan) all() []stackPlan { return slices.Concat(p.Stacks, p.Addons, p.Backups) }

// anything tells whether there is anything to do.
func (p *plan) anything() bool {
	for _, s := range p.all() {
		for _, c := range s.Changes {
			if c.Verb != backend.Retain {
				return true
			}
		}
	}
	return false
}

func (p *plan) print(w io.Writer, form string) error {
	if form == formJSON {
		return printJSON(w, p)
	}
	several := len(p.all()) > 1
	for _, s := range p.Stacks {
		if err := s.print(w, "", several); err != nil {
			return err
		}
	}
	for _, a := range p.Addons {
		if err := a.print(w, addonKind.word+" ", several); err != nil {
			return err
		}
	}
	for _, b := range p.Backups {
		if err := b.print(w, policyKind.word+" ", several); err != nil {
			return err
		}
	}
	for _, n := range p.Notes {
		fmt.Fprintln(w, n)
	}
	_, err := fmt.Fprintln(w, p.summary())
	return err
}

func (s *stackPlan) print(w io.Writer, word string, named bool) error {
	if named {
		fmt.Fprintf(w, "%s%s/%s\n", word, s.Namespace, s.Name)
	}
	if len(s.Changes) > 0 {
		table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
		fmt.Fprintln(table, "VERB\tOBJECT\tDETAIL\tINTERRUPTION")
		for _, c := range s.Changes {
			fmt.Fprintf(table, "%s\t%s\t%s\t%s\n", c.Verb, c.Object, cmp.Or(c.Detail, "-"), c.interruption())
		}
		if err := table.Flush(); err != nil {
			return err
		}
		fmt.Fprintln(w)
	}
	if len(s.Refusals) == 0 {
		return nil
	}
	fmt.Fprintln(w, "Not done as written:")
	for _, r := range s.Refusals {
		fmt.Fprintf(w, "  %s %s: %s\n", r.Object, r.Path, r.Reason)
	}
	_, err := fmt.Fprintln(w)
	return err
}

// interruption in words, e.g. "about 1s: host port 8443".
func (c changeLine) interruption() string {
	if c.InterruptionSeconds == 0 {
		return "none"
	}
	text := "about " + seconds(c.InterruptionSeconds)
	if c.Cause != "" {
		text += ": " + c.Cause
	}
	return text
}

func seconds(s float64) string {
	return time.Duration(s * float64(time.Second)).Round(100 * time.Millisecond).String()
}

// summary is the whole plan in a line.
func (p *plan) summary() string {
	count := map[backend.Verb]int{}
	interruptions := map[backend.Verb][]string{}
	for _, s := range p.all() {
		for _, c := range s.Changes {
			count[c.Verb]++
			if c.InterruptionSeconds == 0 {
				continue
			}
			at := fmt.Sprintf("about %s of interruption at %s", seconds(c.InterruptionSeconds), c.Object)
			if c.Cause != "" {
				at += ": " + c.Cause
			}
			interruptions[c.Verb] = append(interruptions[c.Verb], at)
		}
	}
	if !p.anything() {
		return "Nothing to do: everything is as the files say."
	}
	var parts []string
	for _, v := range []struct {
		verb backend.Verb
		text string
	}{
		{backend.Create, "to create"}, {backend.Update, "to update in place"}, {backend.Replace, "to replace"},
		{backend.Remove, "to remove"}, {backend.Retain, "to retain"},
	} {
		if count[v.verb] == 0 && v.verb == backend.Retain {
			continue
		}
		part := fmt.Sprintf("%d %s", count[v.verb], v.text)
		if at := interruptions[v.verb]; len(at) > 0 {
			part += " (" + strings.Join(at, "; ") + ")"
		}
		parts = append(parts, part)
	}
	return strings.Join(parts, ", ")
}
