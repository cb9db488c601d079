package guest_test

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"mockup.dev/mockup/internal/backend/backendtest/guest"
)

// process with files in memory.
func process(files map[string]string, out *bytes.Buffer, args string) guest.Process {
	return guest.Process{
		Args: strings.Fields(args), Stdout: out, Stderr: out,
		ReadFile: func(path string) ([]byte, error) {
			if data, found := files[path]; found {
				return []byte(data), nil
			}
			return nil, errors.New("no such file")
		},
		WriteFile:  func(path string, data []byte) error { files[path] = string(data); return nil },
		AppendFile: func(path string, data []byte) error { files[path] += string(data); return nil },
		RemoveFile: func(path string) error { delete(files, path); return nil },
	}
}

func TestCommands(t *testing.T) {
	for args, want := range map[string]struct {
		code int
		out  string
	}{
		"exit 3":                  {3, ""},
		"exit 0 then exit 4":      {4, ""},
		"exit 4 then append /f x": {4, ""},
		"append /f a then append /f b then cat /f": {0, "a\nb\n"},
		"append /f x then copy /f /g then cat /g":  {0, "x\n"},
		"append /f x then remove /f then cat /f":   {1, "guest: no such file\n"},
		"append /f bad thing then reject /f bad":   {1, "guest: /f holds \"bad\"\n"},
		"append /f good then reject /f bad":        {0, ""},
		"fail-first /f":                            {1, "guest: the first time fails\n"},
		"append /f x then fail-first /f":           {0, ""},
		"frobnicate":                               {1, "guest: unknown verb \"frobnicate\"\n"},
		"append /f":                                {1, "guest: append wants 2 arguments, not 1\n"},
	} {
		var out bytes.Buffer
		if code := guest.Run(t.Context(), process(map[string]string{}, &out, args)); code != want.code || out.String() != want.out {
			t.Errorf("%s: ended with %d: %q", args, code, out.String())
		}
	}
}

func TestStartGoesUntilItServes(t *testing.T) {
	files := map[string]string{}
	server, code := guest.Start(t.Context(), process(files, &bytes.Buffer{}, "append /f x then serve -note /n -unready-file /u"))
	if code != nil || server.NoteFile != "/n" || server.UnreadyFile != "/u" || files["/f"] != "x\n" {
		t.Errorf("%+v %v %v", server, code, files)
	}
	if _, code := guest.Start(t.Context(), process(files, &bytes.Buffer{}, "append /f y then exit 7 then serve")); code == nil || *code != 7 {
		t.Errorf("ended with %v", code)
	}
	if _, code := guest.Start(t.Context(), process(files, &bytes.Buffer{}, "--config /etc/other")); code != nil {
		t.Errorf("another program ended with %d", *code)
	}
}

func TestForetell(t *testing.T) {
	for args, want := range map[string]guest.Behaviour{
		"":                                 {Ready: true},
		"serve -never-ready":               {},
		"append /f x then serve":           {Ready: true},
		"append /f x then exit 3":          {Exits: true, ExitCode: 3},
		"cat /f":                           {Exits: true},
		"exit none":                        {Exits: true, ExitCode: 1},
		"--config /etc/of/another/program": {Ready: true},
	} {
		if got := guest.Foretell(strings.Fields(args)); got != want {
			t.Errorf("%q: %+v", args, got)
		}
	}
}
