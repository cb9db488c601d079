package node

import (
	"context"
	"math/rand/v2"
	"net"
	"net/netip"
	"sync/atomic"

	"github.com/miekg/dns"
)

// ttl of every answer in seconds, and of every denial: as long a name may be wrong after a change.
const ttl = 1

// resolver answers what pods ask. Queries and changes of the records meet at one pointer: none waits, none is lost.
type resolver struct {
	records  atomic.Pointer[records]
	upstream *upstream
}

// ServeDNS is called in a goroutine of its own for every query by UDP.
func (r *resolver) ServeDNS(w dns.ResponseWriter, q *dns.Msg) {
	reply := r.reply(w.RemoteAddr(), q)
	if w.RemoteAddr().Network() == "udp" {
		size := dns.MinMsgSize
		if o := q.IsEdns0(); o != nil {
			size = max(size, int(o.UDPSize()))
		}
		reply.Truncate(size)
	}
	_ = w.WriteMsg(reply) // who asked is gone, and asks again if not
}

func (r *resolver) reply(from net.Addr, q *dns.Msg) *dns.Msg {
	if len(q.Question) != 1 || q.Opcode != dns.OpcodeQuery || q.Question[0].Qclass != dns.ClassINET {
		return new(dns.Msg).SetRcode(q, dns.RcodeRefused)
	}
	known := r.records.Load()
	asker := known.asker(addressOf(from))
	if reply := known.answer(asker, q); reply != nil {
		return reply
	}
	if !asker.outside {
		return new(dns.Msg).SetRcode(q, dns.RcodeRefused)
	}
	return r.upstream.ask(context.Background(), q, from.Network())
}

func addressOf(a net.Addr) netip.Addr {
	port, err := netip.ParseAddrPort(a.String())
	if err != nil {
		return netip.Addr{}
	}
	return port.Addr().Unmap()
}

// answer to a question about a name of ours; nil for all others.
func (r *records) answer(asker *pod, q *dns.Msg) *dns.Msg {
	question := q.Question[0]
	reply := new(dns.Msg).SetReply(q)
	reply.Authoritative, reply.RecursionAvailable, reply.Compress = true, true, true
	if o := q.IsEdns0(); o != nil {
		reply.SetEdns0(dns.DefaultMsgSize, false)
	}
	addresses, ours := r.lookup(asker, question.Name)
	name, oursReverse := r.reverse(asker, question.Name)
	if !ours && !oursReverse {
		return nil
	}
	header := dns.RR_Header{Name: question.Name, Rrtype: question.Qtype, Class: dns.ClassINET, Ttl: ttl}
	switch {
	case len(addresses) == 0 && name == "":
		reply.Rcode = dns.RcodeNameError
	case question.Qtype == dns.TypeA:
		rand.Shuffle(len(addresses), func(i, j int) { addresses[i], addresses[j] = addresses[j], addresses[i] })
		for _, a := range addresses {
			reply.Answer = append(reply.Answer, &dns.A{Hdr: header, A: a.AsSlice()})
		}
	case question.Qtype == dns.TypePTR && name != "":
		reply.Answer = []dns.RR{&dns.PTR{Hdr: header, Ptr: dns.Fqdn(name)}}
	}
	if len(reply.Answer) == 0 {
		reply.Ns = []dns.RR{authority(question.Name)}
	}
	return reply
}

// authority says how long a denial may be remembered.
func authority(name string) dns.RR {
	zone := "."
	if dns.IsSubDomain(clusterDomain+".", name) {
		zone = clusterDomain + "."
	}
	return &dns.SOA{
		Hdr: dns.RR_Header{Name: zone, Rrtype: dns.TypeSOA, Class: dns.ClassINET, Ttl: ttl},
		Ns:  "ns.dns." + clusterDomain + ".", Mbox: "hostmaster." + clusterDomain + ".",
		Serial: 1, Refresh: 7200, Retry: 1800, Expire: 86400, Minttl: ttl,
	}
}
