// The test server is a server of buckets over HTTP that forgets everything when it ends; tests of other modules build and
// start it. It serves the bucket "backups" to whoever comes.
//
//	testserver ADDRESS
package main

import (
	"fmt"
	"net/http"
	"os"
	"time"

	"github.com/johannesboyne/gofakes3"
	"github.com/johannesboyne/gofakes3/backend/s3mem"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "testserver:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	if len(args) != 1 {
		return fmt.Errorf("usage: testserver ADDRESS")
	}
	backend := s3mem.New()
	if err := backend.CreateBucket("backups"); err != nil {
		return fmt.Errorf("making the bucket: %w", err)
	}
	server := &http.Server{Addr: args[0], Handler: gofakes3.New(backend).Server(), ReadHeaderTimeout: time.Minute}
	return server.ListenAndServe()
}
