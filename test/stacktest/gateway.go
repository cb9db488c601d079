package stacktest

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"mime/multipart"
	"net/http"
	"net/url"
	"time"
)

// URL of the sample's gateway.
const URL = "https://localhost:8443/"

// requestTimeout bounds a request, body included.
const requestTimeout = 30 * time.Second

// Visitor is a client of the gateway that trusts the certificate authority ca (PEM) and opens a connection for each
// request, as one that comes for the first time.
func Visitor(ca []byte) (*http.Client, error) {
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(ca) {
		return nil, fmt.Errorf("reading the certificate authority: no certificate in %q", ca)
	}
	return &http.Client{Timeout: requestTimeout, Transport: &http.Transport{
		TLSClientConfig: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}, DisableKeepAlives: true,
	}}, nil
}

// Visitor is one of this stack, once it is ready.
func (s *Stack) Visitor(ctx context.Context) (*http.Client, error) {
	ca, err := s.Mockup(ctx, "ca")
	if err != nil {
		return nil, err
	}
	return Visitor([]byte(ca))
}

// Upload stores a file through the page's form and returns the name that it was given.
func Upload(ctx context.Context, visitor *http.Client, name string, content []byte) (string, error) {
	var body bytes.Buffer
	form := multipart.NewWriter(&body)
	part, err := form.CreateFormFile("file", name)
	if err != nil {
		return "", fmt.Errorf("making a form: %w", err)
	}
	_, _ = part.Write(content) // a buffer takes everything
	if err := form.Close(); err != nil {
		return "", fmt.Errorf("making a form: %w", err)
	}
	answer, err := ask(ctx, visitor, http.MethodPost, URL+"upload", &body, map[string]string{"Content-Type": form.FormDataContentType(), "Accept": "application/json"})
	if err != nil {
		return "", fmt.Errorf("uploading %s: %w", name, err)
	}
	var stored struct{ Files []struct{ Name string } }
	if err := json.Unmarshal(answer, &stored); err != nil || len(stored.Files) != 1 {
		return "", fmt.Errorf("uploading %s: unexpected answer %q", name, answer)
	}
	return stored.Files[0].Name, nil
}

// SHA256 downloads a file through the page and returns its digest in hexadecimal digits.
func SHA256(ctx context.Context, visitor *http.Client, name string) (string, error) {
	content, err := ask(ctx, visitor, http.MethodGet, URL+"download/"+url.PathEscape(name), nil, nil)
	if err != nil {
		return "", fmt.Errorf("downloading %s: %w", name, err)
	}
	sum := sha256.Sum256(content)
	return hex.EncodeToString(sum[:]), nil
}

// ask returns the body of an answer in the 200s; any other is an error.
func ask(ctx context.Context, visitor *http.Client, method, address string, body io.Reader, headers map[string]string) ([]byte, error) {
	request, err := http.NewRequestWithContext(ctx, method, address, body)
	if err != nil {
		return nil, fmt.Errorf("making a request: %w", err)
	}
	for name, value := range headers {
		request.Header.Set(name, value)
	}
	answer, err := visitor.Do(request)
	if err != nil {
		return nil, err
	}
	defer answer.Body.Close()
	content, err := io.ReadAll(answer.Body)
	if err != nil {
		return nil, fmt.Errorf("reading the answer of %s: %w", address, err)
	}
	if answer.StatusCode/100 != 2 {
		return nil, fmt.Errorf("%s answered %s", address, answer.Status)
	}
	return content, nil
}
