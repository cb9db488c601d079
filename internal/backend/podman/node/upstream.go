package node

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"os"
	"sync"
	"time"

	"github.com/miekg/dns"
)

const (
	// upstreamTimeout is all the time that the outside has for an answer.
	upstreamTimeout = 2 * time.Second
	// upstreamStagger is how long one name server may be silent before the next is asked too.
	upstreamStagger = 400 * time.Millisecond
	// upstreamQueries is how many may wait for the outside at once; more are refused by SERVFAIL.
	upstreamQueries = 1000
)

// upstream are the name servers of the host, for all names that are not ours.
type upstream struct {
	// file is the host's resolv.conf. It is read anew when it has changed.
	file string
	// own are the addresses at which we listen: to ask there would never end.
	own func(netip.Addr) bool

	waiting chan struct{}
	mu      sync.Mutex
	read    string // which version of the file
	servers []string
}

func newUpstream(file string, own func(netip.Addr) bool) *upstream {
	return &upstream{file: file, own: own, waiting: make(chan struct{}, upstreamQueries)}
}

// ask hands a query on by the transport it came with. Nobody's answer in time is SERVFAIL.
func (u *upstream) ask(ctx context.Context, q *dns.Msg, transport string) *dns.Msg {
	failed := new(dns.Msg).SetRcode(q, dns.RcodeServerFailure)
	select {
	case u.waiting <- struct{}{}:
		defer func() { <-u.waiting }()
	default:
		return failed
	}
	ctx, cancel := context.WithTimeout(ctx, upstreamTimeout)
	defer cancel()
	reply := first(ctx, u.current(), func(server string) *dns.Msg { return exchange(ctx, server, transport, q) })
	if reply == nil {
		return failed
	}
	reply.Id = q.Id
	return reply
}

// first asks one server after the other, the next when one fails or is silent for a while, and takes the first answer.
func first(ctx context.Context, servers []string, ask func(string) *dns.Msg) *dns.Msg {
	answers := make(chan *dns.Msg, len(servers))
	stagger := time.NewTimer(0)
	defer stagger.Stop()
	for asked, failed := 0, 0; failed < len(servers); {
		select {
		case <-ctx.Done():
			return nil
		case answer := <-answers:
			if answer != nil {
				return answer
			}
			failed++
			stagger.Reset(0)
		case <-stagger.C:
			if asked < len(servers) {
				server := servers[asked]
				asked++
				go func() { answers <- ask(server) }()
				stagger.Reset(upstreamStagger)
			}
		}
	}
	return nil
}

// exchange asks one server; nil if it can't answer.
func exchange(ctx context.Context, server, transport string, q *dns.Msg) *dns.Msg {
	asked := q.Copy()
	asked.Id = dns.Id()
	client := &dns.Client{Net: transport, Timeout: upstreamTimeout, UDPSize: dns.MaxMsgSize}
	reply, _, err := client.ExchangeContext(ctx, asked, server)
	if err != nil || reply.Rcode == dns.RcodeServerFailure || reply.Rcode == dns.RcodeRefused {
		return nil
	}
	return reply
}

// current name servers of the host.
func (u *upstream) current() []string {
	u.mu.Lock()
	defer u.mu.Unlock()
	info, err := os.Stat(u.file)
	if err != nil {
		return u.servers
	}
	version := fmt.Sprint(info.ModTime().UnixNano(), info.Size())
	if version == u.read {
		return u.servers
	}
	config, err := dns.ClientConfigFromFile(u.file)
	if err != nil {
		return u.servers
	}
	u.read, u.servers = version, nil
	for _, s := range config.Servers {
		if address, err := netip.ParseAddr(s); err == nil && !u.own(address) {
			u.servers = append(u.servers, net.JoinHostPort(s, config.Port))
		}
	}
	return u.servers
}
