// Command public-app is the page on which a person uploads, lists, previews and
// downloads files. The files themselves are mime-server's.
package main

import (
	"context"
	"os"

	"mockup.dev/mockup/workloads/internal/fileclient"
	"mockup.dev/mockup/workloads/internal/server"
)

const defaultMimeServer = "http://mime-server:8000"

func main() {
	os.Exit(server.Program{
		Name:        "public-app",
		Summary:     "the web page for uploading and fetching files",
		Port:        5000,
		MetricsPort: 8001,
		Settings: []server.Setting{
			{Name: "MIME_SERVER_URL", Default: defaultMimeServer, Help: "address of mime-server"},
		},
		Setup: setup,
	}.Main(os.Args))
}

func setup(_ context.Context, s *server.Service) error {
	base, err := server.URLSetting("MIME_SERVER_URL", defaultMimeServer)
	if err != nil {
		return err
	}
	files := fileclient.New(base)
	s.DependsOn("mime-server", files.Probe)
	site := &site{files: files, log: s.Log}
	site.register(s.Mux)
	s.Handler = site.protect(s.Mux)
	return nil
}
