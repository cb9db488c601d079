package controllers

import (
	"strings"
	"testing"
	"unicode/utf8"
)

// A stack whose four programs do not start says so in more than an event may hold: it was refused, and nobody told.
func TestNotesThatAreTooLong(t *testing.T) {
	for text, want := range map[string]string{
		"":                                      "",
		strings.Repeat("a", 1024):               strings.Repeat("a", 1024),
		strings.Repeat("a", 1025):               strings.Repeat("a", 1021) + "…",
		strings.Repeat("é", 513):                strings.Repeat("é", 510) + "…",
		strings.Repeat("a", 1020) + " and more": strings.Repeat("a", 1020) + "…",
	} {
		got := beginning(text, maxNote)
		if got != want {
			t.Errorf("%d bytes became %d: ...%q, want %d: ...%q", len(text), len(got), got[max(0, len(got)-9):], len(want), want[max(0, len(want)-9):])
		}
		if len(got) > maxNote || !utf8.ValidString(got) {
			t.Errorf("%d bytes, valid %v: an API server refuses it", len(got), utf8.ValidString(got))
		}
	}
}
