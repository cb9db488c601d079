package observability

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// routingKey is what PagerDuty knows a service by, and refuses to do without: 32 letters and digits.
const routingKey = "0123456789abcdef0123456789abcdef"

// The secret parts of two incoming webhooks' addresses. A webhook posts to the channel that it was made for, whatever the
// message says.
const (
	hookOfAlerts = "T0OBSERVED/B0OBSERVED/hook-of-the-alerts-channel"
	hookOfOps    = "T0OBSERVED/B0OBSERVED/hook-of-the-ops-critical-channel"
)

// messages that a server got.
type messages struct {
	port string

	mu  sync.Mutex
	all []message
	// refused messages, with what is wrong with them.
	refused []string
}

type message struct {
	at   time.Time
	path string
	body map[string]any
}

// in is for picking what came by a webhook.
func (m message) in(hook string) bool { return m.path == "/hook/"+hook }

// receive starts a server that takes a JSON document as Slack and PagerDuty do, and refuses as they do. It is reached from
// pods, too.
func receive(t *testing.T) *messages {
	t.Helper()
	l, err := net.Listen("tcp", "0.0.0.0:0")
	must(t, err)
	m := &messages{}
	_, m.port, _ = net.SplitHostPort(l.Addr().String())
	mux := http.NewServeMux()
	mux.HandleFunc("POST /v2/enqueue", m.event)
	mux.HandleFunc("POST /hook/", m.hook)
	server := &http.Server{ReadHeaderTimeout: 5 * time.Second, Handler: mux}
	go func() { _ = server.Serve(l) }() // ends with Close
	t.Cleanup(func() { _ = server.Close() })
	return m
}

func (m *messages) url(host, path string) string {
	return "http://" + net.JoinHostPort(host, m.port) + path
}

// event is PagerDuty's Events API v2: it accepts, with the key by which the incident is known.
func (m *messages) event(w http.ResponseWriter, r *http.Request) {
	body, faults := m.take(r, eventFaults)
	w.Header().Set("Content-Type", "application/json")
	if len(faults) > 0 {
		w.WriteHeader(http.StatusBadRequest)
		_ = json.NewEncoder(w).Encode(map[string]any{"status": "invalid event", "message": "Event object is invalid", "errors": faults})
		return
	}
	w.WriteHeader(http.StatusAccepted)
	_ = json.NewEncoder(w).Encode(map[string]any{"status": "success", "message": "Event processed", "dedup_key": body["dedup_key"]})
}

// hook is an incoming webhook of Slack's.
func (m *messages) hook(w http.ResponseWriter, r *http.Request) {
	if _, faults := m.take(r, hookFaults); len(faults) > 0 {
		http.Error(w, "invalid_payload", http.StatusBadRequest)
		return
	}
	_, _ = io.WriteString(w, "ok")
}

func (m *messages) take(r *http.Request, faultsOf func(map[string]any) []string) (body map[string]any, faults []string) {
	content, err := io.ReadAll(io.LimitReader(r.Body, maxMessage+1))
	if err == nil {
		err = json.Unmarshal(content, &body)
	}
	if err != nil {
		faults = append(faults, "it is no JSON object: "+err.Error())
	} else {
		faults = faultsOf(body)
	}
	if len(content) > maxMessage {
		faults = append(faults, "it is too long")
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(faults) > 0 {
		m.refused = append(m.refused, fmt.Sprintf("%s: %s", strings.Join(faults, "; "), content))
		return body, faults
	}
	m.all = append(m.all, message{time.Now(), r.URL.Path, body})
	return body, nil
}

// faults are what was refused.
func (m *messages) faults() []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Clone(m.refused)
}

// where are the messages for which pick holds.
func (m *messages) where(pick func(message) bool) []message {
	m.mu.Lock()
	defer m.mu.Unlock()
	var found []message
	for _, one := range m.all {
		if pick(one) {
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

// mentions tells whether a message has the text anywhere.
func (m message) mentions(text string) bool {
	whole, _ := json.Marshal(m.body) // it came as JSON
	return strings.Contains(string(whole), text)
}
