package podman

import (
	"slices"
	"testing"

	"mockup.dev/mockup/manifests"
)

func stackOwner(namespace, name string) manifests.Owner {
	return manifests.Owner{Kind: "MockupStack", Namespace: namespace, Name: name}
}

func wantsService(owner manifests.Owner, names ...string) *wanted {
	w := &wanted{owner: owner}
	for _, n := range names {
		w.services = append(w.services, wantedService{ref: manifests.Ref{Kind: "Service", Name: n}})
	}
	return w
}

func podOfServices(owner manifests.Owner, names string) podInfo {
	return podInfo{labels: map[string]string{manifests.LabelOwner: owner.String(), labelServices: names}}
}

// A removed volume or network concerns those who have or use it. Everybody looked, when one pod of one stack was replaced.
func TestRemovedObjectsConcernTheirHolders(t *testing.T) {
	h := newHolders()
	mine, theirs, borrower := stackOwner("a", "mine"), stackOwner("b", "theirs"), stackOwner("a", "borrower")
	h.note(&wanted{owner: mine}, &seen{volumes: []volumeInfo{{name: "files"}}, networks: []networkInfo{{name: "net"}}})
	h.note(&wanted{owner: theirs}, &seen{volumes: []volumeInfo{{name: "net"}}})
	h.note(&wanted{owner: borrower, lent: []string{"files"}, claims: []wantedClaim{{volume: "older", adopted: true}}},
		&seen{borrowed: []networkInfo{{name: "net"}}})
	for _, c := range []struct {
		kind, name string
		want       []manifests.Owner
	}{
		{"volume", "files", []manifests.Owner{borrower, mine}},
		{"network", "net", []manifests.Owner{borrower, mine}},
		{"volume", "net", []manifests.Owner{theirs}},
		{"volume", "older", []manifests.Owner{borrower}},
		{"volume", "another", nil},
	} {
		b := &Backend{changes: newChanges(), exits: newExits(), holders: h}
		b.heed(event{kind: c.kind, action: "remove", name: c.name})
		var got []manifests.Owner
		for _, o := range b.changes.take() {
			got = append(got, o)
		}
		slices.SortFunc(got, func(x, y manifests.Owner) int { return slices.Compare([]byte(x.String()), []byte(y.String())) })
		if !slices.Equal(got, c.want) {
			t.Errorf("%s %s was removed: %v look, want %v", c.kind, c.name, got, c.want)
		}
	}
	h.forget(mine)
	if got := h.of(event{kind: "volume", name: "files"}); !slices.Equal(got, []manifests.Owner{borrower}) {
		t.Errorf("when its owner is gone: %v", got)
	}
}

// Only owners of the same namespace whose pods bear the name are asked about it.
func TestRivals(t *testing.T) {
	h := newHolders()
	want := wantsService(stackOwner("a", "new"), "web", "api")
	for _, o := range []manifests.Owner{stackOwner("a", "new"), stackOwner("b", "far")} {
		h.note(&wanted{owner: o}, &seen{pods: []podInfo{podOfServices(o, "web")}})
	}
	other, earlier := stackOwner("a", "other"), stackOwner("a", "earlier")
	h.note(&wanted{owner: other}, &seen{pods: []podInfo{podOfServices(other, ""), podOfServices(other, "db,cache")}})
	if got := h.rivals(want); len(got) != 0 {
		t.Errorf("nobody bears web or api in that namespace, rivals are %v", got)
	}
	owners := h.adopt([]podInfo{podOfServices(earlier, "db,api"), podOfServices(other, "web"), {}})
	if len(owners) != 2 || !h.hasAdopted() {
		t.Errorf("pods of two owners are there, adopted %v", owners)
	}
	// What was seen of another is newer than the list of everybody's pods.
	if got := h.rivals(want); !slices.Equal(got, []manifests.Owner{earlier}) {
		t.Errorf("rivals are %v, want %v", got, earlier)
	}
}
