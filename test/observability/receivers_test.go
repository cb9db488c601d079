package observability

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"
)

// routingKey is what PagerDuty knows a service by, and refuses to do without: 32 letters and digits.
const routingKey = "0123456789abcdef0123456789abcdef"

// webhookToken is the secret part of an incoming webhook's address.
const webhookToken = "T0OBSERVED/B0OBSERVED/hook-of-the-alerts-channel"

// messages that a server got.
type messages struct {
	port string

	mu  sync.Mutex
	all []message
}

type message struct {
	at   time.Time
	path string
	body map[string]any
}

// receive starts a server that takes any JSON document as Slack and PagerDuty do. It is reached from pods, too.
func receive(t *testing.T) *messages {
	t.Helper()
	l, err := net.Listen("tcp", "0.0.0.0:0")
	must(t, err)
	m := &messages{}
	_, m.port, _ = net.SplitHostPort(l.Addr().String())
	server := &http.Server{ReadHeaderTimeout: 5 * time.Second, Handler: http.HandlerFunc(m.take)}
	go func() { _ = server.Serve(l) }() // ends with Close
	t.Cleanup(func() { _ = server.Close() })
	return m
}

func (m *messages) url(host, path string) string {
	return "http://" + net.JoinHostPort(host, m.port) + path
}

func (m *messages) take(w http.ResponseWriter, r *http.Request) {
	content, err := io.ReadAll(io.LimitReader(r.Body, 1<<20))
	body := map[string]any{}
	if err == nil {
		err = json.Unmarshal(content, &body)
	}
	if err != nil || r.Method != http.MethodPost {
		http.Error(w, "invalid_payload", http.StatusBadRequest)
		return
	}
	m.mu.Lock()
	m.all = append(m.all, message{time.Now(), r.URL.Path, body})
	m.mu.Unlock()
	if strings.HasPrefix(r.URL.Path, "/v2/") { // Events API v2: accepted, with the key by which the incident is known
		w.WriteHeader(http.StatusAccepted)
		_, _ = fmt.Fprintf(w, `{"status":"success","message":"Event processed","dedup_key":%q}`, body["dedup_key"])
		return
	}
	_, _ = io.WriteString(w, "ok") // an incoming webhook of Slack's
}

// where are the messages for which pick holds.
func (m *messages) where(pick func(map[string]any) bool) []message {
	m.mu.Lock()
	defer m.mu.Unlock()
	var found []message
	for _, one := range m.all {
		if pick(one.body) {
			found = append(found, one)
		}
	}
	return found
}

func (m *messages) String() string {
	m.mu.Lock()
	defer m.mu.Unlock()
	var lines []string
	for _, one := range m.all {
		text, _ := json.Marshal(one.body) // it came as JSON
		lines = append(lines, one.at.Format(time.TimeOnly)+" "+one.path+" "+string(text))
	}
	return strings.Join(lines, "\n")
}

// mentions tells whether a document has the text anywhere.
func mentions(body map[string]any, text string) bool {
	whole, _ := json.Marshal(body) // it came as JSON
	return strings.Contains(string(whole), text)
}
