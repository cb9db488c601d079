package main

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"mockup.dev/mockup/internal/backend"
	"mockup.dev/mockup/internal/podmansocket"
	"mockup.dev/mockup/manifests"
)

// removalPeriod is the pause between two looks at what is still being removed.
const removalPeriod = 200 * time.Millisecond

// removalOf takes a subject away. Unless all of it is to go, every volume is retained, whatever its policy: the
// resource itself stays.
func removalOf(s *subject, purge bool) manifests.Set {
	set := s.removal()
	if !purge {
		set = set.Retaining()
	}
	return set
}

// stopOrder is the policies and addons before the stacks, on whose networks their pods are. Those of a group go side by side.
func stopOrder(all []*subject) [][]*subject {
	var groups [][]*subject
	for _, kind := range []*kind{policyKind, addonKind, stackKind} {
		if group := ofKind(all, kind); len(group) > 0 {
			groups = append(groups, group)
		}
	}
	return groups
}

// groupName is the name of the only one, or how many of what kind there are.
func groupName(group []*subject) string {
	if len(group) == 1 {
		return group[0].String()
	}
	return counted(len(group), group[0].kind.word)
}

// takeDown applies removals side by side until nothing but retained volumes is left of any.
func takeDown(ctx context.Context, b backend.Backend, sets []manifests.Set, say func(string)) error {
	ticker := time.NewTicker(removalPeriod)
	defer ticker.Stop()
	for {
		var busy []manifests.Set
		var left []string
		for _, set := range sets {
			seen, err := b.Apply(ctx, set)
			if err != nil {
				return fmt.Errorf("removing what runs of %s: %w", set.Owner, err)
			}
			if of := leftOf(seen); len(of) > 0 {
				busy, left = append(busy, set), append(left, of...)
			}
		}
		if len(busy) == 0 {
			return nil
		}
		sets = busy
		say("waiting for " + fewOf(left))
		select {
		case <-ctx.Done():
			return fmt.Errorf("removing what runs of %s: %w; still there: %s", ownersOf(busy), ctx.Err(), strings.Join(left, ", "))
		case <-ticker.C:
		}
	}
}

// fewOf names the first of many.
func fewOf(names []string) string {
	const few = 6
	if len(names) <= few {
		return strings.Join(names, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(names[:few], ", "), len(names)-few)
}

func ownersOf(sets []manifests.Set) string {
	var names []string
	for _, s := range sets {
		names = append(names, s.Owner.String())
	}
	return strings.Join(names, ", ")
}

// leftOf names what is still there, each with what is wrong with it if something is.
func leftOf(seen backend.Observation) []string {
	var left []string
	for _, s := range seen.Objects {
		if s.Reason == backend.ReasonRetained {
			continue
		}
		name := s.Ref.String()
		if s.Phase == backend.Failed {
			name += " (" + s.Message + ")"
		}
		left = append(left, name)
	}
	return left
}

// ensurePodman finds Podman's socket, or has it opened. what says how.
func ensurePodman(ctx context.Context, b *background, named string) (uri, what string, err error) {
	uri, err = podmansocket.Find(ctx, named)
	if err != nil && systemdSocket(ctx) {
		uri, err = podmansocket.Find(ctx, named)
	}
	if err == nil {
		return uri, "Podman answers at " + uri, nil
	}
	uri = podmansocket.Candidates(named)[0]
	change, err := b.startPodman(ctx, uri)
	if err != nil {
		return "", "", err
	}
	return uri, fmt.Sprintf("Podman service %s at %s", change, uri), nil
}

// anythingLeft tells whether Podman, if it answers, has pods or networks of any stack or addon.
func (d *down) anythingLeft(ctx context.Context) bool {
	uri, err := podmansocket.Find(ctx, d.podmanSocket)
	if err != nil {
		return true // not known
	}
	c, err := podmansocket.New(uri)
	if err != nil {
		return true
	}
	pods, err := c.Pods(ctx, manifests.LabelOwner)
	if err != nil || len(pods) > 0 {
		return true
	}
	networks, err := c.Networks(ctx, manifests.LabelOwner)
	return err != nil || len(networks) > 0
}

// askForVolumes lists the volumes that purge would remove and has the user agree.
func (d *down) askForVolumes(ctx context.Context) error {
	uri, _, err := ensurePodman(ctx, d.bg, d.podmanSocket)
	if err != nil {
		return err
	}
	d.podman = uri
	c, err := podmansocket.New(uri)
	if err != nil {
		return err
	}
	all, err := c.Volumes(ctx, manifests.LabelOwner)
	if err != nil {
		return err
	}
	d.volumes = claimed(all)
	if len(d.volumes) == 0 || d.yes {
		return nil
	}
	slices.SortFunc(d.volumes, func(a, b podmansocket.Volume) int { return strings.Compare(a.Name, b.Name) })
	fmt.Fprintln(d.err, "These volumes would be removed with all that is in them:")
	for _, v := range d.volumes {
		fmt.Fprintf(d.err, "  %s  (%s)\n", v.Name, v.Labels[manifests.LabelOwner])
	}
	return d.confirm("Remove them?", "nothing was removed")
}

// claimed are the volumes that fulfil a claim of a stack or an addon. The others hold the configuration of a pod, and go with
// it, or are a policy's: backups are there for when all else is gone, and a restored volume may be a stack's by now.
func claimed(all []podmansocket.Volume) []podmansocket.Volume {
	return slices.DeleteFunc(all, func(v podmansocket.Volume) bool {
		owner, err := manifests.ParseOwner(v.Labels[manifests.LabelOwner])
		return v.Labels[manifests.LabelReclaim] == "" || err == nil && owner.Kind == policyKind.name
	})
}

// removeVolumes removes those that were agreed to, and are still there once what mounted them is gone.
func (d *down) removeVolumes(ctx context.Context) error {
	if len(d.volumes) == 0 {
		return nil
	}
	return d.list.Step("volumes", func(say func(string)) (string, error) {
		c, err := podmansocket.New(d.podman)
		if err != nil {
			return "", err
		}
		for _, v := range d.volumes {
			say(v.Name)
			if err := c.RemoveVolume(ctx, v.Name); err != nil {
				return "", err
			}
		}
		return "removed " + counted(len(d.volumes), "volume"), nil
	})
}
