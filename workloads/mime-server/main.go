// Command mime-server keeps files, and gives them out again with the media type
// that their content shows.
package main

import (
	"context"
	"fmt"
	"math"
	"os"

	"mockup.dev/mockup/workloads/internal/problem"
	"mockup.dev/mockup/workloads/internal/server"
	"mockup.dev/mockup/workloads/mime-server/internal/store"
)

const (
	defaultDataDir   = "/data"
	defaultMaxUpload = 100 << 20 // bytes
)

func main() {
	os.Exit(server.Program{
		Name:        "mime-server",
		Summary:     "keeps files and serves them by their content's type",
		Port:        8000,
		MetricsPort: 8003,
		Settings: []server.Setting{
			{Name: "DATA_DIR", Default: defaultDataDir, Help: "folder of the files; one with files in it is served as it is"},
			{Name: "MAX_UPLOAD_BYTES", Default: fmt.Sprint(defaultMaxUpload), Help: "size of the biggest file taken"},
		},
		Setup: setup,
	}.Main(os.Args))
}

func setup(ctx context.Context, s *server.Service) error {
	limit, err := server.IntSetting("MAX_UPLOAD_BYTES", defaultMaxUpload, 1, math.MaxInt64/2)
	if err != nil {
		return err
	}
	dir := server.StringSetting("DATA_DIR", defaultDataDir)
	files, err := store.Open(ctx, dir, s.Log)
	if err != nil {
		return err
	}
	s.Check("storage", files.Check)
	s.OnStop(files.Close)
	s.Metrics.Registry.MustRegister(newUsage(files, dir))
	newAPI(files, limit, s.Log, s.Metrics.Registry).register(s.Mux)
	s.Handler = problem.SameSite(problem.Fallback(s.Mux))
	return nil
}
