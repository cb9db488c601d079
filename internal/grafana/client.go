// Package grafana keeps the people of a Grafana: its users, what they may do, and their teams.
package grafana

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
)

// admin is the first user, whom nobody here makes or takes away.
const admin = "admin"

// maxAnswer is the size of the largest answer that is read, in bytes.
const maxAnswer = 8 << 20

// ErrPassword says that admin has another password than is known here. Whoever tries it again and again locks admin out:
// Grafana refuses a user for five minutes after five failures.
var ErrPassword = errors.New("Grafana does not take the Secret's password for admin; has it been changed in Grafana?") //nolint:staticcheck,revive // a name

// Client of Grafana's HTTP API, as the user admin.
type Client struct {
	HTTP *http.Client
	// URL of Grafana, without a slash at the end.
	URL string
	// Password of admin.
	Password string
}

// refusal is an answer other than 200.
type refusal struct {
	status  int
	message string
}

func (r *refusal) Error() string { return fmt.Sprintf("%s (%d)", r.message, r.status) }

// call sends body as JSON, and reads the answer into into, unless that is nil. What was sent is in no error: it may be a
// password.
func (c *Client) call(ctx context.Context, method, path string, body, into any) error {
	text, err := json.Marshal(body)
	if err != nil {
		return fmt.Errorf("%s %s: %w", method, path, err)
	}
	req, err := http.NewRequestWithContext(ctx, method, c.URL+path, bytes.NewReader(text))
	if err != nil {
		return fmt.Errorf("%s %s: %w", method, path, err)
	}
	req.SetBasicAuth(admin, c.Password)
	req.Header.Set("Content-Type", "application/json")
	resp, err := c.HTTP.Do(req)
	if err != nil {
		return fmt.Errorf("%s %s: %w", method, path, err)
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		return fmt.Errorf("%s %s: %w", method, path, err)
	}
	if resp.StatusCode == http.StatusUnauthorized {
		return ErrPassword
	}
	if resp.StatusCode != http.StatusOK {
		r := &refusal{status: resp.StatusCode}
		var said struct{ Message string }
		if json.Unmarshal(answer, &said) == nil {
			r.message = said.Message
		}
		return fmt.Errorf("%s %s: %w", method, path, r)
	}
	if into == nil {
		return nil
	}
	if err := json.Unmarshal(answer, into); err != nil {
		return fmt.Errorf("%s %s: %w", method, path, err)
	}
	return nil
}
