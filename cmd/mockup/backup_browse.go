package main

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/go-logr/logr"
	"github.com/spf13/cobra"

	"mockup.dev/mockup/api/v1alpha1"
	"mockup.dev/mockup/internal/backend"
	"mockup.dev/mockup/internal/backend/podman"
	"mockup.dev/mockup/internal/podmansocket"
	"mockup.dev/mockup/manifests"
)

func newBackupBrowse(a *app) *cobra.Command {
	request := v1alpha1.BackupRequest{Operation: v1alpha1.BackupBrowse}
	var socket string
	cmd := &cobra.Command{
		Use:   "browse [POLICY]",
		Short: "List the files of a snapshot",
		Long: `Lists the files of a snapshot as they were when it was made: mode, owner, size, time and path. A name that is not UTF-8 is
".mockup-name:" and the name with percent-encoding.` + backupExitCodes,
		Example: `  mockup backup browse
  mockup backup browse mime-storage --path uploads/2026 --as-of 2026-02-13T19:17:59Z
  mockup backup browse mime-storage -o json`,
		Args: cobra.MaximumNArgs(1), ValidArgsFunction: a.completePolicies,
	}
	w := waitFlags(cmd)
	output := outputFlag(cmd, formTable, formJSON)
	volumeFlag(cmd, &request)
	snapshotFlags(cmd, &request)
	fromFlag(cmd, &request)
	cmd.Flags().StringArrayVar(&request.Paths, "path", nil, "path in the volume, with all that is below; may be repeated")
	cmd.Flags().StringVar(&socket, "podman-socket", "", "URI of Podman's socket (default $CONTAINER_HOST, else where Podman has it)")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		_, policy, outcome, err := a.have(cmd.Context(), w, args, request)
		if err != nil {
			return err
		}
		if !outcome.Succeeded {
			return printOutcome(a.out, *output, outcome)
		}
		entries, err := readEntries(cmd.Context(), socket, policy)
		var failed *browseError
		if errors.As(err, &failed) {
			outcome.Succeeded, outcome.Reason, outcome.Message = false, failed.reason, failed.message
			return printOutcome(a.out, *output, outcome)
		}
		if err != nil {
			return err
		}
		return printEntries(a.out, *output, entries)
	}
	return cmd
}

// backupEntry is a file of a snapshot, as the program of backups prints it.
type backupEntry struct {
	Path     string `json:"path"`
	Type     string `json:"type"`
	Mode     uint32 `json:"mode"`
	User     uint32 `json:"user"`
	Group    uint32 `json:"group"`
	Size     int64  `json:"size"`
	Modified int64  `json:"modified"`
	Target   []byte `json:"target,omitempty"`
}

// browseError is what the program of backups says of why there is no list.
type browseError struct{ reason, message string }

func (e *browseError) Error() string { return e.message }

// readEntries reads what a Job has printed, and tells whether it is all of it.
func readEntries(ctx context.Context, socket string, policy *v1alpha1.BackupPolicy) ([]backupEntry, error) {
	run := policy.Status.Run
	if run == nil || run.Pod == "" {
		return nil, errors.New("the list is gone already: another operation has begun meanwhile; try again")
	}
	uri, err := podmansocket.Find(ctx, socket)
	if err != nil {
		return nil, err
	}
	pods := podman.New(podman.Options{URI: uri, Log: logr.Discard()}).Pods()
	log, err := pods.Logs(ctx, backend.PodRef{Owner: manifests.BackupOwner(policy), Pod: run.Pod}, backend.LogOptions{})
	if err != nil {
		return nil, fmt.Errorf("reading the list from pod %s: %w", run.Pod, err)
	}
	defer log.Close()
	return decodeEntries(log)
}

func decodeEntries(log io.Reader) ([]backupEntry, error) {
	var entries []backupEntry
	reader := bufio.NewReader(log)
	for {
		text, readErr := reader.ReadBytes('\n')
		var line struct {
			Entries []byte
			Result  *struct {
				Succeeded     bool
				Reason, Error string
				Entries       int
			}
		}
		if json.Unmarshal(text, &line) == nil && line.Entries != nil {
			batch, err := unpackEntries(line.Entries)
			if err != nil {
				return nil, err
			}
			entries = append(entries, batch...)
		}
		if r := line.Result; r != nil {
			switch {
			case !r.Succeeded:
				return nil, &browseError{r.Reason, r.Error}
			case r.Entries != len(entries):
				return nil, fmt.Errorf("of %d files only %d could be read: name fewer by --path", r.Entries, len(entries))
			}
			return entries, nil
		}
		if readErr != nil {
			return nil, fmt.Errorf("the list ends before its end: %w", readErr)
		}
	}
}

func unpackEntries(packed []byte) ([]backupEntry, error) {
	unzipped, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		return nil, fmt.Errorf("reading the list: %w", err)
	}
	var out []backupEntry
	lines := json.NewDecoder(unzipped)
	for {
		var e backupEntry
		if err := lines.Decode(&e); errors.Is(err, io.EOF) {
			return out, nil
		} else if err != nil {
			return nil, fmt.Errorf("reading the list: %w", err)
		}
		out = append(out, e)
	}
}

func printEntries(w io.Writer, form string, entries []backupEntry) error {
	if form == formJSON {
		return printJSON(w, map[string]any{"entries": append([]backupEntry{}, entries...)})
	}
	buffered := bufio.NewWriter(w)
	for _, e := range entries {
		line := fmt.Sprintf("%s %5d %5d %12d %s %s", modeText(e), e.User, e.Group, e.Size, time.Unix(0, e.Modified).UTC().Format(time.RFC3339), e.Path)
		if e.Type == "symlink" {
			line += " -> " + string(e.Target)
		}
		if _, err := fmt.Fprintln(buffered, line); err != nil {
			return err
		}
	}
	return buffered.Flush()
}

// modeText is the mode as ls prints it.
func modeText(e backupEntry) string {
	mode := os.FileMode(e.Mode & 0o777)
	switch e.Type {
	case "directory":
		mode |= os.ModeDir
	case "symlink":
		return "lrwxrwxrwx"
	}
	return mode.String()
}
