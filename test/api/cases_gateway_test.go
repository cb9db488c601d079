package api_test

const imageReason = "must be an image reference"

func gatewayCases() []refusal {
	cases := []refusal{
		values("gateway image is a reference", "spec.gateway.image", "nginx", "https://docker.io/nginx", imageReason),
		values("host ports differ", "spec.gateway.http.hostPort", "8444", "8443", "must differ from https.hostPort"),
		{
			name:     "host ports differ on one address",
			accepted: edits{"spec.gateway.http={hostPort: 8443, hostIP: 127.0.0.1}", "spec.gateway.https.hostIP=127.0.0.2"},
			refused:  edits{"spec.gateway.http={hostPort: 8443, hostIP: 127.0.0.1}", "spec.gateway.https.hostIP=0.0.0.0"},
			field:    "spec.gateway.http.hostPort", reason: "must differ from https.hostPort",
		},
		values("HTTP host address is one", "spec.gateway.http.hostIP", "'::1'", "localhost", "must be an IP address"),
		values("HTTPS host address is one", "spec.gateway.https.hostIP", "127.0.0.1", "127.0.0.1.", "must be an IP address"),
		values("one source of the certificate", "spec.gateway.tls", "{secretName: s}",
			"{secretName: s, selfSigned: {dnsNames: [localhost]}}", "exactly one of"),
		values("a source of the certificate", "spec.gateway.tls", "{secretName: s}", "{}", "exactly one of"),
		values("certificate Secret has a name", "spec.gateway.tls", "{secretName: s.tls}", "{secretName: s_tls}", "must be the name of an object").
			at("spec.gateway.tls.secretName"),
		values("certificate is for names", "spec.gateway.tls.selfSigned.dnsNames[0]", "'*.example.com'", "example..com", "must be a DNS name"),
		values("certificate is for addresses", "spec.gateway.tls.selfSigned.dnsNames[0]", "'::1'", "'::1/128'", "must be a DNS name"),
		values("gateway body size is above 0", "spec.gateway.maxBodySize", "1", "0", "above 0"),
		values("gateway body size is whole", "spec.gateway.maxBodySize", "10M", "10m", "whole number of bytes"),
	}
	for _, t := range []string{"connect", "read", "send"} {
		path := "spec.gateway.timeouts." + t
		cases = append(cases,
			values(t+" timeout is above 0", path, "1ms", "0s", "from 1ms to 1h"),
			values(t+" timeout is at most 1h", path, "1h0m0s", "1h0m1s", "from 1ms to 1h"),
			values(t+" timeout has a unit", path, "1.5s", "'15'", "from 1ms to 1h"),
		)
	}
	return cases
}

func routeCases() []refusal {
	const path = "spec.gateway.routes[1].path"
	return []refusal{
		values("route service exists", "spec.gateway.routes[1].service", "web", "wbe",
			`["wbe of route /files"] is not one of spec.services, which are ["web", "files"]`).at("spec.gateway.routes"),
		values("route service shares a network", "spec.services[0].networks", "[{name: private}, {name: public}]", "[{name: private}]",
			`["web of route /"] shares no network`).at("spec.gateway.routes"),
		values("routes differ", path, "/other", "/", `two routes have the same host and path: ["/"]`).at("spec.gateway.routes"),
		values("routes of a host differ", "spec.gateway.routes[2]", "{host: b.test, path: /, service: web}", "{host: a.test, path: /, service: web}",
			`["a.test/"]`).beside("spec.gateway.routes[0].host=a.test").at("spec.gateway.routes"),
		values("route host is a name", "spec.gateway.routes[1].host", "'*.example.com'", "'example.com:80'", "must be a DNS name"),
		values("route host has a wildcard in front only", "spec.gateway.routes[1].host", "files.example.com", "'files.*.com'", "must be a DNS name"),
		values("route path begins with a slash", path, "/files", "files", `must begin with "/"`),
		values("route path is safe in a configuration", path, "/a.b_c~d-e/", "'/a;b'", `must begin with "/" and consist of`),
		values("route path is no expression", path, "/files", "'/$1'", `must begin with "/" and consist of`),
		values("route path has no empty element", path, "/a/b", "/a//b", `must not contain "//"`),
		values("route path does not climb", path, "/a/..b", "/a/../b", `must not contain "//"`),
		values("route path is not mockup's own", path, "/.well-known/x", "/.well-known/mockup/x", "/.well-known/mockup, where the gateway"),
		values("stripped path is whole", "spec.gateway.routes[1].stripPath", "false", "true", `taken off: "/files/"`),
		values("route body size is above 0", "spec.gateway.routes[1].maxBodySize", "100Mi", "0", "above 0"),
		values("allowed clients are networks", "spec.gateway.routes[1].allowFrom[0]", "'fd00::/8'", "10.0.0.1", "CIDR notation"),
		values("allowed clients are whole networks", "spec.gateway.routes[1].allowFrom[0]", "10.0.0.0/8", "10.0.0.1/8",
			"not of a host in it: 10.0.0.0/8"),
	}
}
