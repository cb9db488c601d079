package host

import (
	"strings"
)

// Chain of a firewall that drops what comes to the machine itself unless a rule lets it in.
type Chain struct {
	// Table with its family, as nft names it: "inet filter".
	Table string `json:"table"`
	Name  string `json:"name"`
}

// InputDrops reads the output of `nft list ruleset`: the chains at hook input that drop or reject what no rule of theirs
// lets in. If a rule anywhere lets port 53 in, there is nothing to say: which chain leads to it is not followed up.
func InputDrops(ruleset string) []Chain {
	var found []Chain
	var table string
	var chain *inputChain
	for line := range strings.Lines(ruleset) {
		fields := strings.Fields(strings.TrimSpace(line))
		switch {
		case len(fields) == 0:
		case fields[0] == "table" && len(fields) >= 3:
			table = fields[1] + " " + fields[2]
		case fields[0] == "chain" && len(fields) >= 2:
			chain = &inputChain{Chain: Chain{table, fields[1]}}
		case fields[0] == "}":
			if chain != nil && chain.drops() {
				found = append(found, chain.Chain)
			}
			chain = nil
		case letsNamesIn(fields):
			return nil
		case chain != nil:
			chain.read(fields)
		}
	}
	return found
}

// inputChain is a chain while it is read.
type inputChain struct {
	Chain
	input, policyDrop, lastRefuses bool
}

func (c *inputChain) drops() bool { return c.input && (c.policyDrop || c.lastRefuses) }

// read a line: the head of a base chain, or a rule, of which the last one counts.
func (c *inputChain) read(fields []string) {
	line := strings.Join(fields, " ")
	if fields[0] == "type" {
		c.input = strings.Contains(line, " hook input ") && !strings.HasPrefix(line, "type nat ")
		c.policyDrop = strings.Contains(line, "policy drop")
		return
	}
	if fields[0] == "counter" && len(fields) > 5 { // counter packets N bytes N VERDICT
		fields = fields[5:]
	}
	c.lastRefuses = fields[0] == "drop" || fields[0] == "reject"
}

// letsNamesIn tells whether a rule accepts what goes to port 53.
func letsNamesIn(fields []string) bool {
	line := " " + strings.Join(fields, " ") + " "
	_, port, found := strings.Cut(line, " dport ")
	if !found || !strings.HasSuffix(line, " accept ") {
		return false
	}
	if set, _, ok := strings.Cut(port, "}"); ok && strings.HasPrefix(port, "{") {
		return strings.Contains(set+",", " 53,") || strings.HasSuffix(strings.TrimSpace(set), " 53")
	}
	return strings.HasPrefix(port, "53 ")
}
