package store

import (
	"errors"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

const (
	maxName    = 1024 // bytes of a whole name
	maxSegment = 255  // bytes of one part of it: the limit of Linux file systems
)

// ErrName is wrapped by the error for a name that no file can have.
var ErrName = errors.New("not a usable file name")

// CheckName accepts relative names of files, in folders or not. os.Root keeps
// every name inside the data folder anyway; this rule keeps them tame as well:
// nothing hidden (our own files are), nothing that is written in two ways.
func CheckName(name string) error {
	if reason := nameFault(name); reason != "" {
		return fmt.Errorf("%w: %s", ErrName, reason)
	}
	return nil
}

func nameFault(name string) string {
	switch {
	case name == "":
		return "it is empty"
	case len(name) > maxName:
		return fmt.Sprintf("it is longer than %d bytes", maxName)
	case !utf8.ValidString(name):
		return "it is not UTF-8"
	case strings.ContainsFunc(name, unicode.IsControl):
		return "it holds a control character"
	}
	for segment := range strings.SplitSeq(name, "/") {
		switch {
		case segment == "":
			return "a part of it is empty"
		case segment[0] == '.':
			return "a part of it begins with a dot"
		case len(segment) > maxSegment:
			return fmt.Sprintf("a part of it is longer than %d bytes", maxSegment)
		}
	}
	return ""
}

// hidden files are ours, or the owner's own business: neither listed nor served.
func hidden(segment string) bool { return strings.HasPrefix(segment, ".") }
