package main

import (
	"bytes"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/api/meta"
)

// TestVerbsAskForBothKinds has a stack and an addon in a real control plane, without an operator.
func TestVerbsAskForBothKinds(t *testing.T) {
	dir, api := controlPlane(t)
	for _, path := range []string{addonSample, sample} {
		applyFile(t, api, path)
	}
	if err := markUnknown(t.Context(), api); err != nil {
		t.Fatal(err)
	}
	found, err := subjects(t.Context(), api, "")
	if err != nil || len(found) != 2 || found[0].kind != stackKind || found[1].kind != addonKind {
		t.Fatalf("%v: found %v", err, found)
	}
	for _, s := range found {
		if c := meta.FindStatusCondition(*s.conditions, "Ready"); c == nil || c.Status != "Unknown" {
			t.Errorf("%s was not marked as unknown: %+v", s, c)
		}
	}
	for args, c := range map[string]struct {
		code int
		says string
	}{
		"status":                     {exitFailed, "addon default/mockup  ready: Unknown (Progressing)"},
		"status mockup":              {exitFailed, "addon default/mockup"},
		"status other":               {exitFailed, "No stacks."},
		"__complete rollout status ": {exitOK, "mockup\naddon/mockup\n"},
		"__complete rollout undo ":   {exitOK, "mockup\n:"},
		"rollout status addon/mockup --watch=false": {exitFailed, "addon default/mockup: waiting for the operator"},
		"rollout status addon/other --watch=false":  {exitFailed, "there is no addon other in namespace default, which has mockup"},
		"rollout status addon/mockup --service x":   {exitUsage, `addon default/mockup has no service "x"; it has prometheus`},
		"logs nothing": {exitFailed, `no stack or addon of this namespace has a component "nothing"`},
		"ca mockup":    {exitFailed, "reading the certificate authority of stack default/mockup"},
	} {
		var out bytes.Buffer
		a := &app{in: strings.NewReader(""), out: &out, err: &out}
		call := append([]string{"mockup", "--state-dir", dir}, strings.Split(args, " ")...)
		if code := run(t.Context(), call, a); code != c.code || !strings.Contains(out.String(), c.says) {
			t.Errorf("%s: code %d, want %d; said %q, want %q in it", args, code, c.code, out.String(), c.says)
		}
	}
}
