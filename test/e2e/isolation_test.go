package e2e

import (
	"encoding/base64"
	"encoding/json"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"

	. "github.com/onsi/ginkgo/v2" //nolint:revive // specs read best without a qualifier
	. "github.com/onsi/gomega"    //nolint:revive // matchers read best without a qualifier
)

var _ = Describe("stacks side by side", Ordered, func() {
	// variant is the sample under other subnets, ports and, where it shares a namespace, service names.
	variant := func(namespace, name, subnets, ports string, rename bool) string {
		text := string(must2(os.ReadFile(filepath.Join(root, sample))))
		text = strings.NewReplacer("172.18.", subnets+"8.", "172.19.", subnets+"9.", "hostPort: 8080", "hostPort: "+ports+"80", "hostPort: 8443", "hostPort: "+ports+"43",
			"name: mockup\n  namespace: default", "name: "+name+"\n  namespace: "+namespace).Replace(text)
		if rename {
			text = strings.NewReplacer("name: mime-server", "name: "+name+"-files", "service: mime-server", "service: "+name+"-files", "//mime-server:", "//"+name+"-files:",
				"name: public-app", "name: "+name+"-app", "service: public-app", "service: "+name+"-app",
				"name: intranet-api", "name: "+name+"-api", "service: intranet-api", "service: "+name+"-api").Replace(text)
		}
		return text
	}

	It("share no pod, volume, network or name", func() {
		up(sample)
		before := containers()
		apply(variant("default", "second", "172.2", "91", true))
		kubectl("create", "namespace", "staging")
		apply(variant("staging", "mockup", "172.3", "92", false))
		waitReady("default", "second")
		waitReady("staging", "mockup")
		waitReady("default", "mockup")
		after := containers()
		Expect(after).To(HaveLen(3 * len(before)))
		for name, id := range before {
			Expect(after[name]).To(Equal(id))
		}
		Expect(strings.Fields(must("podman", "volume", "ls", "-q", "--filter", "label=mockup.dev/claim"))).To(ConsistOf(
			"default-mockup-mime-storage", "default-second-mime-storage", "staging-mockup-mime-storage"))
		for pod, own := range map[string]string{podOf("public-app"): "172.18.", "staging-mockup-public-app-0": "172.38."} {
			Expect(resolve(pod, "mime-server")).To(ConsistOf(HavePrefix(own)), pod)
		}
		Expect(resolve("default-second-second-app-0", "mime-server")).To(BeEmpty())
		Expect(reach("default-second-second-app-0", "172.18.0.4:8000")).To(BeFalse(), "a stack reaches into another")
	})

	It("refuses a Service name that another stack of the namespace has", func() {
		apply(strings.Replace(variant("default", "third", "172.4", "93", false), "name: mockup\n", "name: third\n", 1))
		Eventually(func() string {
			return kubectl("get", "mockupstack", "third", "-o", `jsonpath={.status.conditions[?(@.type=="Stalled")].reason}`)
		}, patience).Should(Equal("NameTaken"))
		Expect(containers()).NotTo(HaveKey(ContainSubstring("third")))
	})

	It("leave the others alone when they go", func() {
		kubectl("delete", "mockupstack", "third", "--timeout=60s")
		kubectl("delete", "mockupstack", "second", "--timeout=60s")
		kubectl("-n", "staging", "delete", "mockupstack", "mockup", "--timeout=60s")
		waitReady("default", "mockup")
		Expect(containers()).To(HaveLen(4))
	})
})

var _ = Describe("walls of a stack", Ordered, func() {
	BeforeAll(func() { up(sample) })

	It("keep a service of the public network out of the private one", func() {
		Expect(reach(podOf("public-app"), "172.18.0.4:8000")).To(BeTrue(), "the public network itself is not reached")
		Expect(reach(podOf("public-app"), "172.19.0.5:8000")).To(BeFalse(), "the private network is reached by address")
		Expect(resolve(podOf("public-app"), "mime-server")).To(Equal([]string{address(podOf("mime-server"), "public")}), "the private address is resolved")
	})

	It("open no port of the host but those that were asked for", func() {
		for port, open := range map[string]bool{"8080": true, "8443": true, "80": false, "443": false, "5000": false, "5001": false, "8000": false, "8081": false} {
			conn, err := net.DialTimeout("tcp", "127.0.0.1:"+port, time.Second)
			if err == nil {
				_ = conn.Close()
			}
			Expect(err == nil).To(Equal(open), "port %s", port)
		}
	})

	It("hide the Secrets of our own components, and say which of a user's own are visible", func() {
		kubectl("create", "secret", "generic", "own", "--from-literal=password=hunter2-is-a-secret")
		apply(edited(sample, "    - name: DATA_DIR\n      value: /data\n", "    - name: DATA_DIR\n      value: /data\n    - name: PASSWORD\n      valueFrom: {secretKeyRef: {name: own, key: password}}\n"))
		waitReady("default", "mockup")
		Expect(kubectl("get", "mockupstack", "mockup", "-o", "jsonpath={.status.refusals}")).To(ContainSubstring("env[PASSWORD]"))
		for name, text := range everythingVisible() {
			for _, secret := range gatewaySecrets() {
				Expect(text).NotTo(ContainSubstring(secret), "the gateway's key is visible in %s", name)
			}
			if name != "podman inspect" {
				Expect(text).NotTo(ContainSubstring("hunter2-is-a-secret"), "a user's Secret is visible in %s", name)
			}
		}
		kubectl("apply", "-f", sample)
		waitReady("default", "mockup")
		kubectl("delete", "secret", "own")
	})
})

// gatewaySecrets are lines of the gateway's private key and of its authority's, and both in base64.
func gatewaySecrets() []string {
	GinkgoHelper()
	var out []string
	for _, name := range []string{"mockup-gateway-tls", "mockup-gateway-ca"} {
		var secret struct{ Data map[string]string }
		Expect(json.Unmarshal([]byte(kubectl("get", "secret", name, "-o", "json")), &secret)).To(Succeed())
		encoded := secret.Data["tls.key"]
		key, err := base64.StdEncoding.DecodeString(encoded)
		Expect(err).NotTo(HaveOccurred())
		out = append(out, strings.Split(string(key), "\n")[1], encoded[60:120])
	}
	return out
}

// everythingVisible is what may be read without the right to read Secrets.
func everythingVisible() map[string]string {
	GinkgoHelper()
	visible := map[string]string{
		"podman inspect": "", "container logs": "", "arguments": "",
		"status": kubectl("get", "mockupstacks", "-A", "-o", "yaml"),
		"events": kubectl("get", "events", "-A", "-o", "yaml"),
	}
	for _, id := range strings.Fields(must("podman", "ps", "-aq")) {
		visible["podman inspect"] += must("podman", "inspect", id)
		out, _ := run("podman", "logs", id)
		visible["container logs"] += out
	}
	for _, pod := range strings.Fields(must("podman", "pod", "ps", "-q")) {
		visible["podman inspect"] += must("podman", "pod", "inspect", pod)
	}
	for _, file := range must2Glob(filepath.Join(state, "logs", "*")) {
		visible["our logs"] += string(must2(os.ReadFile(file)))
	}
	for _, file := range must2Glob("/proc/[0-9]*/cmdline") {
		b, _ := os.ReadFile(file) // processes come and go
		visible["arguments"] += string(b) + "\n"
	}
	return visible
}

func must2Glob(pattern string) []string {
	GinkgoHelper()
	files, err := filepath.Glob(pattern)
	Expect(err).NotTo(HaveOccurred())
	Expect(files).NotTo(BeEmpty(), pattern)
	return files
}

// inside runs a command of this machine in the network namespace of a pod.
func inside(pod string, args ...string) (string, error) {
	GinkgoHelper()
	infra := must("podman", "pod", "inspect", pod, "--format", "{{.InfraContainerID}}")
	pid := must("podman", "inspect", infra, "--format", "{{.State.Pid}}")
	return run("nsenter", append([]string{"--net", "--target", pid}, args...)...)
}

// reach tells whether a TCP connection from a pod's namespace comes about within a second.
func reach(pod, address string) bool {
	GinkgoHelper()
	host, port, _ := strings.Cut(address, ":")
	_, err := inside(pod, "timeout", "1", "bash", "-c", "exec 3<>/dev/tcp/"+host+"/"+port)
	return err == nil
}

// resolve asks the pod's own resolver for the IPv4 addresses of a name.
func resolve(pod, name string) []string {
	GinkgoHelper()
	infra := must("podman", "pod", "inspect", pod, "--format", "{{.InfraContainerID}}")
	resolvConf := string(must2(os.ReadFile(must("podman", "inspect", infra, "--format", "{{.ResolvConfPath}}"))))
	var server string
	for _, line := range strings.Split(resolvConf, "\n") {
		if s, ok := strings.CutPrefix(line, "nameserver "); ok && server == "" {
			server = strings.TrimSpace(s)
		}
	}
	return lookUp(pod, server, name)
}
