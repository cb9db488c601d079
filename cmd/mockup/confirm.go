package main

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"strings"

	"golang.org/x/term"
)

// confirm asks before something is done that can't simply be taken back; otherwise says what has not been done.
func (a *app) confirm(question, otherwise string) error {
	if file, ok := a.in.(*os.File); ok && !term.IsTerminal(int(file.Fd())) {
		return &exitError{exitUsage, errors.New("nobody can be asked here: call it with --yes, or from a terminal")}
	}
	fmt.Fprintf(a.err, "%s [y/N] ", question)
	answer, err := bufio.NewReader(a.in).ReadString('\n')
	if err != nil && answer == "" {
		return fmt.Errorf("reading the answer: %w", err)
	}
	if a := strings.ToLower(strings.TrimSpace(answer)); a != "y" && a != "yes" {
		return &exitError{exitFailed, errors.New(otherwise)}
	}
	return nil
}
