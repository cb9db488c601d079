package server

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"time"
)

// healthcheck asks the service of its own container, by loopback, how it is.
// It is the probe for images that hold nothing but one binary.
func (p Program) healthcheck(args []string) int {
	path := "/healthz"
	switch {
	case len(args) == 1 && args[0] == "--ready":
		path = "/readyz"
	case len(args) > 0:
		fmt.Fprintf(os.Stderr, "usage: %s healthcheck [--ready]\n", p.Name)
		return exitUsage
	}
	port, err := IntSetting("PORT", int64(p.Port), 1, 65535)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return exitUsage
	}
	if err := ask(fmt.Sprintf("http://127.0.0.1:%d%s", port, path)); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return exitFailed
	}
	return exitOK
}

func ask(url string) error {
	// Without a proxy: HTTP_PROXY is not for loopback.
	client := http.Client{Timeout: 3 * time.Second, Transport: &http.Transport{}}
	response, err := client.Get(url)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		body, _ := io.ReadAll(io.LimitReader(response.Body, 4<<10))
		return fmt.Errorf("%s: %s: %s", url, response.Status, body)
	}
	return nil
}
