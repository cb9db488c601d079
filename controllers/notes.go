package controllers

import (
	"fmt"
	"strings"
	"unicode/utf8"

	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/tools/events"
)

// maxNote is how many bytes an event's note may have (NoteLengthLimit in pkg/apis/core/validation/events.go of
// Kubernetes). An API server refuses a longer one, and the event is lost.
const maxNote = 1024

// shortNotes records events with notes that API servers take.
type shortNotes struct{ events.EventRecorder }

// Eventf cuts what is too long; the condition that the event tells of has all of it.
func (r shortNotes) Eventf(regarding, related runtime.Object, kind, reason, action, note string, args ...any) {
	r.EventRecorder.Eventf(regarding, related, kind, reason, action, "%s", beginning(fmt.Sprintf(note, args...), maxNote))
}

// beginning of a text in at most so many bytes, cut between two characters.
func beginning(text string, most int) string {
	const more = "…"
	if len(text) <= most {
		return text
	}
	end := most - len(more)
	for end > 0 && !utf8.RuneStart(text[end]) {
		end--
	}
	return strings.TrimRight(text[:end], " \n") + more
}
