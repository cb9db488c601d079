package node

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"sync"

	"github.com/google/nftables"
	"github.com/google/nftables/expr"
	"golang.org/x/sys/unix"
)

// walls keep the node from routing between networks. Podman's own rules do so only for networks that have a way out, go
// when somebody flushes the firewall, and are never looked at again (netavark, src/firewall); into an internal network the
// node would route what others send, and only the answers are lost on their way back.
type walls struct {
	mu     sync.Mutex
	loaded loaded
}

// serve puts up walls between the bridges of all owners' networks, and around those of internal ones; none are left when
// there are no networks.
func (w *walls) serve(owners map[string]told) error {
	internal := map[string]bool{}
	for _, t := range owners {
		for _, n := range t.State.Networks {
			if n.Bridge != "" {
				internal[n.Bridge] = n.Internal
			}
		}
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if err := w.load(internal); err != nil {
		return fmt.Errorf("keeping networks apart: %w", err)
	}
	return nil
}

// load swaps all rules in one transaction, unless they are there and nobody has touched any since.
func (w *walls) load(internal map[string]bool) error {
	content, err := json.Marshal(internal)
	if err != nil {
		return err
	}
	sum := sha256.Sum256(content)
	want := loaded{digest: hex.EncodeToString(sum[:])}
	if want.generation, err = generation(); err != nil && len(internal) == 0 {
		return nil // a kernel that can't have rules has none
	}
	if err != nil || w.loaded == want {
		return err
	}
	conn, err := nftables.New()
	if err != nil {
		return err
	}
	table := &nftables.Table{Name: policyTable, Family: nftables.TableFamilyINet}
	conn.AddTable(table) // so that there is one to delete
	conn.DelTable(table)
	if len(internal) > 0 {
		conn.AddTable(table)
		if err := addWalls(conn, table, internal); err != nil {
			return err
		}
	}
	if err := conn.Flush(); err != nil {
		return err
	}
	want.generation, err = generation()
	w.loaded = want
	return err
}

// addWalls drops what is routed from one of the bridges to another, and what is routed to or from an internal one at all.
// What a bridge passes on itself is routed only where the kernel is told to (br_netfilter), and goes in and out by the same.
func addWalls(conn *nftables.Conn, table *nftables.Table, internal map[string]bool) error {
	all := &nftables.Set{Table: table, Name: "bridges", KeyType: nftables.TypeIFName}
	var names []nftables.SetElement
	bridges := slices.Sorted(maps.Keys(internal))
	for _, b := range bridges {
		names = append(names, nftables.SetElement{Key: deviceName(b)})
	}
	if err := conn.AddSet(all, names); err != nil {
		return err
	}
	chain := conn.AddChain(&nftables.Chain{
		Name: "forward", Table: table, Type: nftables.ChainTypeFilter,
		Hooknum: nftables.ChainHookForward, Priority: nftables.ChainPriorityFilter,
	})
	drop := func(parts ...match) {
		exprs := append(slices.Concat(parts...), &expr.Verdict{Kind: expr.VerdictDrop})
		conn.AddRule(&nftables.Rule{Table: table, Chain: chain, Exprs: exprs})
	}
	for _, b := range bridges {
		from, notFrom := device(expr.MetaKeyIIFNAME, expr.CmpOpEq, b), device(expr.MetaKeyIIFNAME, expr.CmpOpNeq, b)
		to, notTo := device(expr.MetaKeyOIFNAME, expr.CmpOpEq, b), device(expr.MetaKeyOIFNAME, expr.CmpOpNeq, b)
		if internal[b] {
			drop(to, notFrom)
			drop(from, notTo)
			continue
		}
		drop(from, notTo, match{&expr.Meta{Key: expr.MetaKeyOIFNAME, Register: 1}, &expr.Lookup{SourceRegister: 1, SetName: all.Name, SetID: all.ID}})
	}
	return nil
}

// device compares the interface by which a packet comes or goes.
func device(key expr.MetaKey, op expr.CmpOp, name string) match {
	return match{&expr.Meta{Key: key, Register: 1}, &expr.Cmp{Op: op, Register: 1, Data: deviceName(name)}}
}

// deviceName as the kernel compares it.
func deviceName(name string) []byte {
	padded := make([]byte, unix.IFNAMSIZ)
	copy(padded, name)
	return padded
}
