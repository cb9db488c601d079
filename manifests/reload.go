package manifests

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Reload is how the program of a running pod is told to take up changed configuration, the value of AnnotationReload. One of
// its fields is set.
type Reload struct {
	// Command is run in the main container; exit code 0 is success.
	Command []string `json:"-"`
	// HTTPPost is a request to the pod from outside, for images without any tool in them.
	HTTPPost *HTTPPost `json:"httpPost,omitempty"`
	// Signal is sent to the first process of the main container: SIGHUP, SIGUSR1 or SIGUSR2. Whether the program heeds it
	// nobody hears, so it is for those that have neither of the others.
	Signal string `json:"signal,omitempty"`
	// Watched programs look at their files by themselves, and are told nothing.
	Watched bool `json:"watched,omitempty"`
}

// HTTPPost is a POST without a body, by plain HTTP. An answer of 2xx is success; the body of any other is what the program
// says of its configuration.
type HTTPPost struct {
	// Port of the pod, 1 to 65535.
	Port int `json:"port"`
	// Path begins with a slash.
	Path string `json:"path"`
}

// String is r as the value of an annotation.
func (r Reload) String() string {
	if r.Command != nil {
		return jsonArray(r.Command)
	}
	text, err := json.Marshal(r)
	if err != nil {
		panic(fmt.Sprintf("strings and numbers always have a JSON form: %v", err))
	}
	return string(text)
}

// ParseReload reads the value of AnnotationReload: a command as a JSON array, or {"httpPost":{"port":N,"path":"/PATH"}}, or
// {"signal":"NAME"}, or {"watched":true}.
func ParseReload(text string) (Reload, error) {
	if strings.HasPrefix(strings.TrimSpace(text), "[") {
		command, err := ParseCommand(text)
		return Reload{Command: command}, err
	}
	var r Reload
	decoder := json.NewDecoder(strings.NewReader(text))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&r); err != nil {
		return Reload{}, fmt.Errorf("it is neither a command nor an object with httpPost, signal or watched: %w", err)
	}
	if decoder.More() {
		return Reload{}, errors.New("there is more than one JSON value")
	}
	return r, r.validate()
}

func (r Reload) validate() error {
	ways := 0
	for _, has := range []bool{r.HTTPPost != nil, r.Signal != "", r.Watched} {
		if has {
			ways++
		}
	}
	switch {
	case ways != 1:
		return errors.New("it must have one of httpPost, signal and watched")
	case r.Watched:
		return nil
	case r.Signal != "" && !slices.Contains([]string{"SIGHUP", "SIGUSR1", "SIGUSR2"}, r.Signal):
		return fmt.Errorf("signal is %q: it must be SIGHUP, SIGUSR1 or SIGUSR2", r.Signal)
	case r.Signal != "":
		return nil
	case r.HTTPPost.Port < 1 || r.HTTPPost.Port > 65535:
		return fmt.Errorf("httpPost.port is %d: it must be from 1 to 65535", r.HTTPPost.Port)
	case !strings.HasPrefix(r.HTTPPost.Path, "/") || strings.ContainsAny(r.HTTPPost.Path, " \t\r\n#"):
		return fmt.Errorf("httpPost.path is %q: it must begin with a slash, and have neither spaces nor a fragment", r.HTTPPost.Path)
	}
	return nil
}

// ParseCommand reads a command as annotations have it: a JSON array of strings, the program first.
func ParseCommand(text string) ([]string, error) {
	var command []string
	decoder := json.NewDecoder(strings.NewReader(text))
	if err := decoder.Decode(&command); err != nil {
		return nil, fmt.Errorf("it is no command, a JSON array of strings: %w", err)
	}
	if decoder.More() || len(command) == 0 || command[0] == "" {
		return nil, fmt.Errorf("%q is no command, a JSON array of strings that begins with a program", text)
	}
	return command, nil
}
