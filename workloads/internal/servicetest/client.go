package servicetest

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"
)

// Client keeps no connection: a service may have been given the port of one
// that was killed before, and a connection to that one would still be tried.
var Client = &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}

// WaitInFlight waits until the service has a request in hand. What a client
// has written may still lie in the kernel, where a service that shuts its
// listener never sees it.
func (p *Process) WaitInFlight() error {
	for end := time.Now().Add(deadline); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		metrics, err := p.metrics()
		if err != nil {
			return err
		}
		if strings.Contains(metrics, "\nhttp_requests_in_flight ") && !strings.Contains(metrics, "\nhttp_requests_in_flight 0\n") {
			return nil
		}
	}
	return errors.New("no request was in flight within " + deadline.String())
}

func (p *Process) metrics() (string, error) {
	response, err := Client.Get(p.MetricsURL)
	if err != nil {
		return "", fmt.Errorf("reading the metrics: %w", err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	return string(text), err
}
