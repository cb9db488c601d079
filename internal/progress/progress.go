// Package progress shows a list of steps: one line each, with a tick and the time it took. On a terminal the line of the
// running step is live; elsewhere every line is printed once, when there is something new to say.
package progress

import (
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"golang.org/x/term"
)

// redrawPeriod of the running step's line on a terminal.
const redrawPeriod = 200 * time.Millisecond

// nameWidth is where the time stands.
const nameWidth = 58

// List of steps.
type List struct {
	out   io.Writer
	width int // of the terminal; 0 elsewhere
	now   func() time.Time
	done  []Done
}

// Done is a step that ended well.
type Done struct {
	Name    string  `json:"name"`
	Seconds float64 `json:"seconds"`
}

// New returns a list that is shown on out.
func New(out io.Writer) *List {
	l := &List{out: out, now: time.Now}
	if file, ok := out.(*os.File); ok && term.IsTerminal(int(file.Fd())) {
		l.width = 80
		if width, _, err := term.GetSize(int(file.Fd())); err == nil && width > 0 {
			l.width = width
		}
	}
	return l
}

// Done lists the steps that ended well.
func (l *List) Done() []Done { return l.done }

// Step runs do and shows its outcome. What do says through say is shown beside the step's name; what it returns replaces
// the name when it ended well and is not empty.
func (l *List) Step(name string, do func(say func(string)) (string, error)) error {
	s := &step{list: l, name: name, began: l.now()}
	stop := s.live()
	outcome, err := do(s.say)
	stop()
	took := l.now().Sub(s.began)
	if err != nil {
		l.line("✗", name, took)
		return err
	}
	if outcome != "" {
		name = outcome
	}
	l.done = append(l.done, Done{Name: name, Seconds: float64(took.Milliseconds()) / 1000})
	l.line("✓", name, took)
	return nil
}

// Note prints a line below the last step.
func (l *List) Note(mark, text string) { fmt.Fprintf(l.out, " %s %s\n", mark, text) }

func (l *List) line(mark, name string, took time.Duration) {
	fmt.Fprintf(l.out, "%s %s %s %6.1f s\n", l.clear(), mark, padded(name, nameWidth), took.Seconds())
}

func (l *List) clear() string {
	if l.width == 0 {
		return ""
	}
	return "\r\x1b[K"
}

func padded(s string, width int) string {
	return s + strings.Repeat(" ", max(0, width-utf8.RuneCountInString(s)))
}

type step struct {
	list  *List
	name  string
	began time.Time

	mu   sync.Mutex
	text string
}

// say is shown while the step runs. Repeating oneself is free.
func (s *step) say(text string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if text == s.text {
		return
	}
	s.text = text
	if s.list.width == 0 && text != "" {
		fmt.Fprintf(s.list.out, "   %s: %s\n", s.name, text)
	}
}

// live redraws the step's line until stop is called.
func (s *step) live() (stop func()) {
	if s.list.width == 0 {
		return func() {}
	}
	end, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		ticker := time.NewTicker(redrawPeriod)
		defer ticker.Stop()
		for {
			s.draw()
			select {
			case <-end:
				return
			case <-ticker.C:
			}
		}
	}()
	return func() { close(end); <-ended }
}

func (s *step) draw() {
	s.mu.Lock()
	text := s.name
	if s.text != "" {
		text += ": " + s.text
	}
	s.mu.Unlock()
	line := fmt.Sprintf(" … %s %.0f s", text, s.list.now().Sub(s.began).Seconds())
	if runes := []rune(line); len(runes) >= s.list.width {
		line = string(runes[:s.list.width-2]) + "…"
	}
	fmt.Fprint(s.list.out, s.list.clear()+line)
}
