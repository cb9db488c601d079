package guest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"time"
)

// resolve prints the addresses of a name. One that is not known has none; only a server that does not answer is an error.
func resolve(ctx context.Context, p Process, args []string) error {
	addresses, err := net.DefaultResolver.LookupHost(ctx, args[0])
	var failed *net.DNSError
	if errors.As(err, &failed) && failed.IsNotFound {
		err = nil
	}
	if err != nil {
		return err
	}
	slices.Sort(addresses)
	_, err = fmt.Fprintln(p.Stdout, strings.Join(addresses, " "))
	return err
}

func get(ctx context.Context, p Process, args []string) error {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, args[0], nil)
	if err != nil {
		return err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer func() { _ = response.Body.Close() }() // the program ends next
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("%s answered %s", args[0], response.Status)
	}
	_, err = io.Copy(p.Stdout, response.Body)
	return err
}

func dial(ctx context.Context, p Process, args []string) error {
	limit, err := time.ParseDuration(args[1])
	if err != nil {
		return err
	}
	dialer := net.Dialer{Timeout: limit}
	answer := "open"
	if conn, err := dialer.DialContext(ctx, "tcp", args[0]); err != nil {
		answer = "closed"
	} else if err := conn.Close(); err != nil {
		return fmt.Errorf("closing the connection: %w", err)
	}
	_, err = fmt.Fprintln(p.Stdout, answer)
	return err
}
