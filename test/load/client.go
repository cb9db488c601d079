package load

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"syscall"
)

// NewClient opens a connection for each request, so that nothing is ever sent a second time on a new one, follows no
// redirects, and refuses to connect to any address but this machine's. It trusts the authority ca (PEM); nil is for plain
// HTTP. Every connection goes to the address via, HOST:PORT, unless that is empty, whatever the URL names.
func NewClient(ca []byte, via string) (*http.Client, error) {
	roots := x509.NewCertPool()
	if ca != nil && !roots.AppendCertsFromPEM(ca) {
		return nil, fmt.Errorf("reading the certificate authority: no certificate in %q", ca)
	}
	dialer := &net.Dialer{Control: onlyHere}
	return &http.Client{
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Transport: &http.Transport{
			TLSClientConfig:   &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12},
			DisableKeepAlives: true,
			DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
				if via != "" {
					address = via
				}
				return dialer.DialContext(ctx, network, address)
			},
		},
	}, nil
}

// onlyHere refuses connections that would leave this machine: load is not for others.
func onlyHere(_, address string, _ syscall.RawConn) error {
	to, err := netip.ParseAddrPort(address)
	if err != nil {
		return fmt.Errorf("sending load to %s: %w", address, err)
	}
	if to.Addr().IsLoopback() {
		return nil
	}
	own, err := net.InterfaceAddrs()
	if err != nil {
		return fmt.Errorf("finding this machine's addresses: %w", err)
	}
	if slices.ContainsFunc(own, func(a net.Addr) bool {
		prefix, err := netip.ParsePrefix(a.String())
		return err == nil && prefix.Addr() == to.Addr().Unmap()
	}) {
		return nil
	}
	return fmt.Errorf("load is for this machine only, and %s is not one of its addresses", to.Addr())
}

// Ask sends one request and returns the whole body of an answer with the wanted status; any other answer is an error.
func Ask(ctx context.Context, client *http.Client, status int, method, url string, body io.Reader, headers ...string) ([]byte, error) {
	request, err := http.NewRequestWithContext(ctx, method, url, body)
	if err != nil {
		return nil, fmt.Errorf("making a request: %w", err)
	}
	for i := 0; i+1 < len(headers); i += 2 {
		request.Header.Set(headers[i], headers[i+1])
	}
	answer, err := client.Do(request)
	if err != nil {
		return nil, err
	}
	defer answer.Body.Close()
	content, err := io.ReadAll(answer.Body)
	if err != nil {
		return nil, fmt.Errorf("reading the answer of %s %s: %w", method, url, err)
	}
	if answer.StatusCode != status {
		return nil, fmt.Errorf("%s %s answered %s, not %d: %.200s", method, url, answer.Status, status, content)
	}
	return content, nil
}
