package node

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"time"
)

// A line that conmon reads in parts is written as several records, by the form of container runtimes (CRI): all but the last
// have the tag P, the last has F. When the file becomes full between them, the rest is in the next file, and a log agent that
// reads each file by itself drops what it has or takes it for a line.
const (
	// MaxLogSize is how many bytes a file may have: a kubelet's default of containerLogMaxSize, 10Mi
	// (pkg/kubelet/apis/config/v1beta1/defaults.go).
	MaxLogSize = 10 << 20
	// fullLog is the least size of a file that became full. A record of conmon's has no more than 8 KiB (STDIO_BUF_SIZE,
	// src/conn_sock.h) and its head. A smaller file is that of a container which was replaced: no other goes on with its lines.
	fullLog = MaxLogSize - 16<<10
	// longestRest of a line that is looked for, in bytes of the next file, and how far back its beginning is.
	longestRest = 256 << 10
	// restPatience is how long the rest may take. A file that became full over it has it at once; else the container has not
	// written it yet, and the logs of others wait.
	restPatience = 100 * time.Millisecond
	restPeriod   = 2 * time.Millisecond
)

// finish the lines that a full file breaks off, by the rest that the next file begins with.
func finish(full, next string) error {
	file, err := os.OpenFile(full, os.O_RDWR|os.O_APPEND, 0)
	if err != nil {
		return fmt.Errorf("opening a log that is full: %w", err)
	}
	defer func() { _ = file.Close() }()
	tail, err := tailOf(file)
	if err != nil {
		return fmt.Errorf("reading the end of a log that is full: %w", err)
	}
	deadline := time.Now().Add(restPatience)
	for _, stream := range brokenOff(tail) {
		rest, err := awaitRest(next, stream, deadline)
		if err != nil {
			return fmt.Errorf("reading the beginning of a log that is new: %w", err)
		}
		if _, err := file.Write(lacking(tail, rest)); err != nil {
			return fmt.Errorf("finishing a line of a log that is full: %w", err)
		}
	}
	return nil
}

// tailOf a file are its last records; nothing, if it did not become full.
func tailOf(file *os.File) ([]byte, error) {
	info, err := file.Stat()
	if err != nil || info.Size() < fullLog {
		return nil, err
	}
	tail := make([]byte, longestRest)
	if _, err := file.ReadAt(tail, info.Size()-longestRest); err != nil {
		return nil, err
	}
	_, tail, _ = bytes.Cut(tail, newline) // the first is not whole
	return tail, nil
}

// brokenOff are the streams whose last record is not the last of a line.
func brokenOff(records []byte) (streams []string) {
	last := map[string]string{}
	for record := range wholeRecords(records) {
		stream, tag := parseRecord(record)
		last[stream] = tag
	}
	for _, stream := range []string{"stdout", "stderr"} {
		if last[stream] == partTag {
			streams = append(streams, stream)
		}
	}
	return streams
}

// awaitRest returns the records that end a line of a stream, or nothing if they don't come in time.
func awaitRest(next, stream string, deadline time.Time) ([]byte, error) {
	for {
		rest, err := restOf(next, stream)
		if err != nil || rest != nil || time.Now().After(deadline) {
			return rest, err
		}
		time.Sleep(restPeriod)
	}
}

// restOf a line are the first records of its stream, to the one that ends it; nothing, if that is not there.
func restOf(next, stream string) (rest []byte, err error) {
	file, err := os.Open(next)
	if err != nil {
		return nil, err
	}
	defer func() { _ = file.Close() }()
	head := make([]byte, longestRest)
	n, err := file.ReadAt(head, 0)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	for record := range wholeRecords(head[:n]) {
		of, tag := parseRecord(record)
		if of != stream {
			continue
		}
		if rest = append(rest, record...); tag != partTag {
			return rest, nil
		}
	}
	return nil, nil
}

// lacking is what a tail does not have of a rest: an agent that was killed over it may have written its beginning.
func lacking(tail, rest []byte) []byte {
	for n := min(len(tail), len(rest)); n > 0; n-- {
		if bytes.HasSuffix(tail, rest[:n]) {
			return rest[n:]
		}
	}
	return rest
}

// partTag is that of a record which the line goes on after.
const partTag = "P"

var newline = []byte{'\n'}

// wholeRecords leaves out what follows the last end of a line: it is being written.
func wholeRecords(text []byte) func(func([]byte) bool) {
	return func(yield func([]byte) bool) {
		for record := range bytes.Lines(text) {
			if !bytes.HasSuffix(record, newline) || !yield(record) {
				return
			}
		}
	}
}

// parseRecord knows the form "TIME STREAM TAG TEXT".
func parseRecord(record []byte) (stream, tag string) {
	fields := bytes.SplitN(record, []byte{' '}, 4)
	if len(fields) < 4 {
		return "", ""
	}
	return string(fields[1]), string(fields[2])
}
