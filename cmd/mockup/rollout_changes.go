package main

import (
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"

	"mockup.dev/mockup/api/v1alpha1"
	"mockup.dev/mockup/manifests"
)

// specChanges are the paths in which two specifications differ, e.g. services[web].image, sorted as the fields are.
func specChanges(before, after *v1alpha1.MockupStackSpec) []string {
	return differences("", plainSpec(before), plainSpec(after))
}

func plainSpec(spec *v1alpha1.MockupStackSpec) (plain any) {
	if err := json.Unmarshal([]byte(manifests.CanonicalSpec(spec)), &plain); err != nil {
		panic(fmt.Sprintf("a specification that was just written can be read: %v", err))
	}
	return plain
}

// differences between two values at path: the deepest fields that differ, and elements of lists that have a name.
func differences(path string, a, b any) []string {
	if reflect.DeepEqual(a, b) {
		return nil
	}
	if before, after, ok := both[map[string]any](a, b); ok {
		var out []string
		for _, key := range keysOf(before, after) {
			out = append(out, differences(strings.TrimPrefix(path+"."+key, "."), before[key], after[key])...)
		}
		return out
	}
	before, named := byName(a)
	after, alsoNamed := byName(b)
	if !named || !alsoNamed {
		return []string{path}
	}
	var out []string
	for _, key := range keysOf(before, after) {
		at := fmt.Sprintf("%s[%s]", path, key)
		switch {
		case before[key] == nil:
			out = append(out, at+" added")
		case after[key] == nil:
			out = append(out, at+" removed")
		default:
			out = append(out, differences(at, before[key], after[key])...)
		}
	}
	if len(out) == 0 {
		return []string{path + " in another order"}
	}
	return out
}

func both[T any](a, b any) (x, y T, ok bool) {
	x, okX := a.(T)
	y, okY := b.(T)
	return x, y, okX && okY
}

func keysOf(a, b map[string]any) []string {
	all := maps.Clone(a)
	maps.Copy(all, b)
	return slices.Sorted(maps.Keys(all))
}

// byName has the elements of a list by their name, or by the path they are mounted at. A list that is not there is empty.
func byName(list any) (map[string]any, bool) {
	elements, ok := list.([]any)
	out := map[string]any{}
	for _, e := range elements {
		fields, _ := e.(map[string]any)
		name, named := fields["name"].(string)
		if !named {
			name, named = fields["mountPath"].(string)
		}
		if !named {
			return nil, false
		}
		out[name] = e
	}
	return out, ok || list == nil
}

// summary of changes in one line.
func summary(changes []string) string {
	const most = 3
	if len(changes) <= most {
		return strings.Join(changes, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(changes[:most], ", "), len(changes)-most)
}
