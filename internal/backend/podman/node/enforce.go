package node

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"slices"

	"github.com/google/nftables"
	"github.com/google/nftables/expr"
	"github.com/mdlayher/netlink"
	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// policyTable is the table of ours in a pod's network namespace.
const policyTable = "mockup"

// ruleBuffer is the size in bytes of the kernel's buffers for one transaction and its answers; about 1 KiB for a rule.
const ruleBuffer = 16 << 20

// loaded says what this process last did to the rules of a namespace. The kernel counts their changes, whoever makes
// them: as long as generation is the count, all is as we left it.
type loaded struct {
	// path of the namespace: an inode may be used again for another.
	path, digest string
	generation   uint32
}

// enforce makes the rules of a pod what its policies say, in one transaction. What was loaded by this process and has not
// been touched since is left alone.
func (m *member) enforce(s State, known map[netNS]loaded) error {
	if m.former || m.netNS == (netNS{}) {
		return nil
	}
	gateways := make([]netip.Addr, 0, len(s.Networks))
	for _, n := range s.Networks {
		gateways = append(gateways, n.Gateway)
	}
	want := loaded{path: m.NetNS, digest: policyDigest(m.Pod, gateways)}
	err := inside(m.handle, func() (err error) {
		if want.generation, err = generation(); err != nil && m.Ingress == nil && m.Egress == nil {
			return nil // a kernel that can't have rules has none
		}
		if err != nil || known[m.netNS] == want {
			return err
		}
		before := want.generation
		wrote, err := m.load(gateways)
		if err != nil || !wrote {
			return err
		}
		want.generation, err = generation()
		if want.generation != before+1 {
			want.generation = before // somebody else was at it as well: look again the next time
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("loading its network policies: %w", err)
	}
	m.loaded = want
	return nil
}

// policyDigest changes with what is to be loaded.
func policyDigest(p Pod, gateways []netip.Addr) string {
	content, err := json.Marshal([]any{p.Ingress, p.Egress, gateways})
	if err != nil {
		panic(err) // plain data
	}
	sum := sha256.Sum256(content)
	return hex.EncodeToString(sum[:])
}

// load swaps all rules at once, so that at no moment there are none or half of them. Wrote is false if nothing was there
// and nothing is wanted. It is called inside the namespace.
func (m *member) load(gateways []netip.Addr) (wrote bool, err error) {
	conn, err := nftables.New(nftables.WithSockOptions(func(c *netlink.Conn) error {
		return errors.Join(c.SetReadBuffer(ruleBuffer), c.SetWriteBuffer(ruleBuffer))
	}))
	if err != nil {
		return false, err
	}
	table := &nftables.Table{Name: policyTable, Family: nftables.TableFamilyINet}
	if m.Ingress == nil && m.Egress == nil {
		tables, err := conn.ListTablesOfFamily(table.Family)
		if err != nil || !slices.ContainsFunc(tables, func(t *nftables.Table) bool { return t.Name == table.Name }) {
			return false, err
		}
		conn.DelTable(table)
		return true, conn.Flush()
	}
	conn.AddTable(table) // so that there is one to delete
	conn.DelTable(table)
	conn.AddTable(table)
	if err := addChain(conn, table, ingress(), m.Ingress, gateways); err != nil {
		return false, err
	}
	if err := addChain(conn, table, egress(), m.Egress, gateways); err != nil {
		return false, err
	}
	return true, conn.Flush()
}

// addChain for one direction; with nil rules, nothing is kept from passing.
func addChain(conn *nftables.Conn, table *nftables.Table, d direction, rules *Rules, gateways []netip.Addr) error {
	if rules == nil {
		return nil
	}
	matches, err := d.compile(rules, gateways)
	if err != nil {
		return err
	}
	drop := nftables.ChainPolicyDrop
	chain := conn.AddChain(&nftables.Chain{
		Name: d.chain, Table: table, Type: nftables.ChainTypeFilter, Hooknum: d.hook, Priority: nftables.ChainPriorityFilter, Policy: &drop,
	})
	for _, m := range matches {
		conn.AddRule(&nftables.Rule{Table: table, Chain: chain, Exprs: append(m, &expr.Verdict{Kind: expr.VerdictAccept})})
	}
	return nil
}

// generation is how often the rules of the namespace it is called in have changed.
func generation() (uint32, error) {
	const get, answer = unix.NFNL_SUBSYS_NFTABLES<<8 | unix.NFT_MSG_GETGEN, unix.NFNL_SUBSYS_NFTABLES<<8 | unix.NFT_MSG_NEWGEN
	request := nl.NewNetlinkRequest(get, 0)
	request.AddData(&nl.Nfgenmsg{NfgenFamily: unix.AF_UNSPEC, Version: unix.NFNETLINK_V0})
	messages, err := request.Execute(unix.NETLINK_NETFILTER, answer)
	if err != nil {
		return 0, fmt.Errorf("asking for the generation of the rules: %w", err)
	}
	for _, message := range messages {
		attributes, err := nl.ParseRouteAttr(message[nl.SizeofNfgenmsg:])
		if err != nil {
			return 0, fmt.Errorf("asking for the generation of the rules: %w", err)
		}
		for _, a := range attributes {
			if a.Attr.Type == unix.NFTA_GEN_ID {
				return binary.BigEndian.Uint32(a.Value), nil
			}
		}
	}
	return 0, errors.New("asking for the generation of the rules: no answer")
}
