package host

import (
	"fmt"
	"testing"
)

func TestInputDrops(t *testing.T) {
	const table = "table inet filter {\n\tchain input {\n%s\n\t}\n\n\tchain forward {\n\t\ttype filter hook forward priority filter; policy drop;\n\t}\n}\n"
	for name, c := range map[string]struct {
		ruleset string
		drops   bool
	}{
		"empty":         {"", false},
		"accepts":       {fmt.Sprintf(table, "\t\ttype filter hook input priority filter; policy accept;"), false},
		"drops":         {fmt.Sprintf(table, "\t\ttype filter hook input priority filter; policy drop;\n\t\ttcp dport 22 accept"), true},
		"other port":    {fmt.Sprintf(table, "\t\ttype filter hook input priority filter; policy drop;\n\t\tudp dport 5353 accept"), true},
		"names let in":  {fmt.Sprintf(table, "\t\ttype filter hook input priority filter; policy drop;\n\t\tip saddr 10.0.0.0/8 udp dport 53 counter packets 0 bytes 0 accept"), false},
		"a set":         {fmt.Sprintf(table, "\t\ttype filter hook input priority filter; policy drop;\n\t\tip saddr 10.0.0.0/8 meta l4proto { tcp, udp } th dport { 22, 53 } accept"), false},
		"another set":   {fmt.Sprintf(table, "\t\ttype filter hook input priority filter; policy drop;\n\t\ttcp dport { 22, 443 } accept"), true},
		"rejects":       {fmt.Sprintf(table, "\t\ttype filter hook input priority filter; policy accept;\n\t\tiif lo accept\n\t\tcounter packets 12 bytes 700 reject with icmpx admin-prohibited"), true},
		"rejects some":  {fmt.Sprintf(table, "\t\ttype filter hook input priority filter; policy accept;\n\t\tip saddr 192.0.2.1 drop\n\t\tiif lo accept"), false},
		"a jump inside": {fmt.Sprintf(table, "\t\tip saddr 192.0.2.1 drop\n\t\tdrop"), false}, // at no hook
	} {
		got := InputDrops(c.ruleset)
		if (len(got) > 0) != c.drops {
			t.Errorf("%s: got %v", name, got)
		}
		if c.drops && got[0] != (Chain{"inet filter", "input"}) {
			t.Errorf("%s: got %v", name, got)
		}
	}
}
