package manifests

import (
	"reflect"
	"strings"
	"testing"
)

func TestParseReload(t *testing.T) {
	for text, want := range map[string]Reload{
		`["nginx","-s","reload"]`: {Command: []string{"nginx", "-s", "reload"}},
		` ["a"] `:                 {Command: []string{"a"}},
		`{"httpPost":{"port":9090,"path":"/-/reload"}}`:  {HTTPPost: &HTTPPost{9090, "/-/reload"}},
		`{"httpPost":{"port":65535,"path":"/?a=b%20c"}}`: {HTTPPost: &HTTPPost{65535, "/?a=b%20c"}},
		`{"signal":"SIGHUP"}`:                            {Signal: "SIGHUP"},
		"{\n  \"signal\": \"SIGUSR2\"\n}\n":              {Signal: "SIGUSR2"},
	} {
		got, err := ParseReload(text)
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s is %+v, %v", text, got, err)
		}
		if again, err := ParseReload(got.String()); err != nil || !reflect.DeepEqual(again, want) {
			t.Errorf("%s is written as %s: %+v, %v", text, got, again, err)
		}
	}
	for text, why := range map[string]string{
		``:                                       "neither a command nor an object",
		`nginx -s reload`:                        "neither a command nor an object",
		`"SIGHUP"`:                               "neither a command nor an object",
		`[]`:                                     "begins with a program",
		`[""]`:                                   "begins with a program",
		`["a"]["b"]`:                             "begins with a program",
		`[1]`:                                    "no command",
		`{}`:                                     "must have one of httpPost, signal and watched",
		`null`:                                   "must have one of httpPost, signal and watched",
		`{"exec":["a"]}`:                         `unknown field "exec"`,
		`{"signal":"SIGKILL"}`:                   `signal is "SIGKILL"`,
		`{"signal":"HUP"}`:                       "must be SIGHUP",
		`{"signal":"SIGHUP"}{}`:                  "more than one",
		`{"httpPost":{"port":0,"path":"/"}}`:     "from 1 to 65535",
		`{"httpPost":{"port":65536,"path":"/"}}`: "from 1 to 65535",
		`{"httpPost":{"port":"http","path":"/"}}`:               "neither a command nor an object",
		`{"httpPost":{"port":80,"path":"reload"}}`:              "begin with a slash",
		`{"httpPost":{"port":80}}`:                              "begin with a slash",
		`{"httpPost":{"port":80,"path":"/a b"}}`:                "neither spaces",
		`{"httpPost":{"port":80,"path":"/","host":"x"}}`:        `unknown field "host"`,
		`{"httpPost":{"port":80,"path":"/"},"signal":"SIGHUP"}`: "must have one of",
	} {
		if got, err := ParseReload(text); err == nil || !strings.Contains(err.Error(), why) {
			t.Errorf("%s is %+v, %v: %q is not said", text, got, err, why)
		}
	}
}
