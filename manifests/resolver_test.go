package manifests

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestResolverScript runs the script of the gateway's container in the shell of this machine, without any program in
// its PATH.
func TestResolverScript(t *testing.T) {
	for _, c := range []struct{ name, resolvConf, want string }{
		{"podman", "search dns.podman\nnameserver 10.89.0.1\n", `resolver 10.89.0.1 valid=1s ipv6=off; "";`},
		{"podman on a host that is a pod", "search dns.podman default.svc.cluster.local\nnameserver 10.89.0.1", `resolver 10.89.0.1 valid=1s ipv6=off; "";`},
		{"cluster", "# made by kubelet\nnameserver 10.96.0.10\nsearch default.svc.cluster.local svc.cluster.local cluster.local corp.example\noptions ndots:5\n",
			`resolver 10.96.0.10 valid=1s ipv6=off; ".default.svc.cluster.local";`},
		{"cluster with a domain of its own", "search default.svc.lab.example\nnameserver fd00::a\nnameserver fe80::1%eth0\n", `resolver [fd00::a] valid=1s ipv6=off; ".default.svc.lab.example";`},
		{"another namespace's", "search other.svc.cluster.local\nnameserver 1.2.3.4\nnameserver 5.6.7.8\n", `resolver 1.2.3.4 5.6.7.8 valid=1s ipv6=off; "";`},
		{"tabs and no search", "nameserver\t192.168.1.1\n", `resolver 192.168.1.1 valid=1s ipv6=off; "";`},
		{"nothing to ask", "search x\n", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := runResolver(t, c.resolvConf)
			if (err == nil) != (c.want != "") || got != c.want {
				t.Errorf("got %q, %v", got, err)
			}
		})
	}
}

// runResolver returns what the script wrote, with the frame of the map left out.
func runResolver(t *testing.T, resolvConf string) (string, error) {
	t.Helper()
	dir := t.TempDir()
	in, out, script := filepath.Join(dir, "resolv.conf"), filepath.Join(dir, "resolver.conf"), filepath.Join(dir, "resolver.sh")
	for file, text := range map[string]string{in: resolvConf, script: resolverScript} {
		if err := os.WriteFile(file, []byte(text), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.Command("/bin/sh", script)
	cmd.Env = []string{"PATH=/nonexistent", "NAMESPACE=default", "RESOLV_CONF=" + in, "RESOLVER_CONF=" + out}
	if said, err := cmd.CombinedOutput(); err != nil {
		if len(said) == 0 {
			t.Error("failed without a word")
		}
		return "", err
	}
	text, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	return strings.NewReplacer("\nmap \"\" $service_domain { default ", " ", " }\n", "").Replace(string(text)), nil
}
