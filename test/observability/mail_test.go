package observability

import (
	"bufio"
	"encoding/base64"
	"fmt"
	"io"
	"net"
	"net/textproto"
	"strings"
	"sync"
	"testing"
)

// Who sends and gets mail.
const (
	mailUser     = "alerts"
	mailPassword = "the-postman-rings-twice"
	mailTo       = "operations@example.com"
)

// mailServer takes mail of those who log in.
type mailServer struct {
	port string

	mu  sync.Mutex
	all []mail
}

type mail struct{ user, password, to, text string }

// receiveMail starts a server that speaks as much of SMTP (RFC 5321, and LOGIN for lack of TLS) as a client needs.
func receiveMail(t *testing.T) *mailServer {
	t.Helper()
	l, err := net.Listen("tcp", "0.0.0.0:0")
	must(t, err)
	t.Cleanup(func() { _ = l.Close() })
	m := &mailServer{}
	_, m.port, _ = net.SplitHostPort(l.Addr().String())
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return // it was closed
			}
			go m.serve(conn)
		}
	}()
	return m
}

func (m *mailServer) address(host string) string { return net.JoinHostPort(host, m.port) }

func (m *mailServer) messages() []mail {
	m.mu.Lock()
	defer m.mu.Unlock()
	return append([]mail(nil), m.all...)
}

func (m *mailServer) serve(conn net.Conn) {
	defer conn.Close()
	text := textproto.NewReader(bufio.NewReader(conn))
	say := func(line string) { _, _ = fmt.Fprintf(conn, "%s\r\n", line) }
	decoded := func(prompt string) string {
		say("334 " + base64.StdEncoding.EncodeToString([]byte(prompt)))
		line, _ := text.ReadLine() // what is empty is no password
		answer, _ := base64.StdEncoding.DecodeString(line)
		return string(answer)
	}
	say("220 mail.example.com")
	var one mail
	for {
		line, err := text.ReadLine()
		if err != nil {
			return
		}
		verb, rest, _ := strings.Cut(line, " ")
		switch strings.ToUpper(verb) {
		case "EHLO":
			say("250-mail.example.com\r\n250 AUTH LOGIN")
		case "AUTH":
			_, begin, with := strings.Cut(rest, " ")
			if name, err := base64.StdEncoding.DecodeString(begin); with && err == nil {
				one.user = string(name)
			} else {
				one.user = decoded("Username:")
			}
			one.password = decoded("Password:")
			say("235 welcome")
		case "MAIL":
			say("250 ok")
		case "RCPT":
			one.to += rest
			say("250 ok")
		case "DATA":
			say("354 go on")
			content, err := io.ReadAll(text.DotReader())
			if err != nil {
				return
			}
			one.text = string(content)
			m.mu.Lock()
			m.all = append(m.all, one)
			m.mu.Unlock()
			say("250 taken")
		case "QUIT":
			say("221 bye")
			return
		default:
			say("502 not known here")
		}
	}
}
