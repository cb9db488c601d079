// The guest command is the program of the contract suite's pods. Build it static and put it alone into an image (it runs as root there, so
// that it can write to any volume):
//
//	CGO_ENABLED=0 go build -o guest ./internal/backend/backendtest/guest/cmd
//	printf 'FROM scratch\nCOPY guest /guest\nENTRYPOINT ["/guest"]\n' > Containerfile
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"mockup.dev/mockup/internal/backend/backendtest/guest"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	hangup := make(chan os.Signal, 1)
	signal.Notify(hangup, syscall.SIGHUP)
	code := guest.Run(ctx, guest.Process{
		Args:       os.Args[1:],
		Env:        os.Environ(),
		ReadFile:   os.ReadFile,
		WriteFile:  func(path string, data []byte) error { return os.WriteFile(path, data, 0o600) },
		AppendFile: appendFile,
		RemoveFile: os.Remove,
		Hangup:     hangup,
		Stdin:      os.Stdin,
		Stdout:     os.Stdout,
		Stderr:     os.Stderr,
	})
	stop()
	os.Exit(code)
}

// appendFile in one write, since several pods may add to the same file.
func appendFile(path string, data []byte) error {
	file, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	if _, err := file.Write(data); err != nil {
		_ = file.Close() // the first error is the one to tell
		return err
	}
	return file.Close()
}
