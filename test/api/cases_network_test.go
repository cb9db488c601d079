package api_test

func nameCases() []refusal {
	const notHex = "must not consist of the digits 0-9 and a-f alone"
	return []refusal{
		{
			name:     "stack name is a short label",
			accepted: one("metadata.name", "a23456789-123456789-123456789-12"),
			refused:  one("metadata.name", "a23456789-123456789-123456789-123"),
			field:    "metadata", reason: `the name "a23456789-123456789-123456789-123" must have at most 32`,
		},
		{
			name:     "stack name has no dot",
			accepted: one("metadata.name", "my-stack"),
			refused:  one("metadata.name", "my.stack"),
			field:    "metadata", reason: `the name "my.stack" must`,
		},
		{
			name:     "stack name is not hexadecimal",
			accepted: one("metadata.name", "cafe-1"),
			refused:  one("metadata.name", "cafe"),
			field:    "metadata", reason: `the name "cafe" ` + notHex,
		},
		values("network name is a label", "spec.networks[2]", "{name: n-1, subnet: 10.3.0.0/24}",
			"{name: 1-n, subnet: 10.3.0.0/24}", "begin with a letter").at("spec.networks[2].name"),
		values("network name is not hexadecimal", "spec.networks[2]", "{name: f00-1, subnet: 10.3.0.0/24}",
			"{name: f00, subnet: 10.3.0.0/24}", `"f00-1" would do`).at("spec.networks[2].name"),
		values("volume name is a label", "spec.volumes[1].name", "spare-1", "spare_1", "begin with a letter"),
		values("volume name is not hexadecimal", "spec.volumes[1].name", "db-1", "db", `"db-1" would do`),
		values("service name is a label", "spec.services[2].name", "web-2", "web-", "begin with a letter").beside(plain),
		values("service name is not hexadecimal", "spec.services[2].name", "db-1", "db", `"db-1" would do`).beside(plain),
		values("service name is not reserved", "spec.services[2].name", "gateway-2", "gateway", "which are taken").beside(plain),
	}
}

// plain is a service without a name.
const plain = "spec.services[2]={image: docker.io/example/plain:v1, port: 80, networks: [{name: public}]}"

// at is the case with another field than the edited one.
func (r refusal) at(field string) refusal {
	r.field = field
	return r
}

// beside is the case with an edit before both of its own.
func (r refusal) beside(e ...string) refusal {
	r.accepted = append(append(edits{}, e...), r.accepted...)
	r.refused = append(append(edits{}, e...), r.refused...)
	return r
}

// after is the case as an update of a stored stack.
func (r refusal) after(e ...string) refusal {
	r.from = append(edits{}, e...)
	return r
}

func networkCases() []refusal {
	const subnet = "spec.networks[2].subnet"
	const extra = "spec.networks[2]={name: extra}"
	return []refusal{
		values("subnet is a CIDR", subnet, "10.3.0.0/16", "10.3.0.0", "must be an IPv4 subnet").beside(extra),
		values("subnet is IPv4", subnet, "10.3.0.0/16", "'fd00::/64'", "must be an IPv4 subnet").beside(extra),
		values("subnet has no host bits", subnet, "10.3.0.0/16", "10.3.1.0/16", "not of a host in it: 10.3.0.0/16").
			beside(extra, "spec.services[0].networks[1]={name: extra, ip: 10.3.0.5}"),
		values("subnet is large enough", subnet, "10.3.0.0/28", "10.3.0.0/29", "8 to 28 prefix bits").beside(extra),
		values("subnet is small enough", subnet, "12.0.0.0/8", "12.0.0.0/7", "8 to 28 prefix bits").beside(extra),
		values("subnet is not loopback", subnet, "126.0.0.0/8", "127.1.0.0/16", "must not be loopback").beside(extra),
		values("subnet does not hold link-local", subnet, "168.0.0.0/8", "169.0.0.0/8", "must not be loopback").beside(extra),
		values("subnet is not multicast", subnet, "223.0.0.0/16", "224.0.0.0/16", "must not be loopback").beside(extra),
		values("subnets do not overlap", subnet, "10.3.0.0/24", "10.2.0.0/24", "10.2.0.0/16 of private").beside(extra).at("spec.networks"),
		values("a subnet does not hold another", subnet, "11.0.0.0/8", "10.0.0.0/8", "10.1.0.0/16 of public").beside(extra).at("spec.networks"),
		values("subnet does not change", subnet, "10.3.0.0/24", "10.3.1.0/24", "can not be changed").beside(extra).
			after(extra, subnet+"=10.3.0.0/24"),
		values("internal does not change", "spec.networks[1].internal", "true", "false", "can not be changed").after(),
		values("a subnet has room for its pods", "spec.services[0].replicas", "6", "7", `10.3.0.0/28 of extra for 7 pods`).
			beside(extra, subnet+"=10.3.0.0/28", "spec.services[0].networks[1]={name: extra}").at("spec.networks"),
	}
}

func addressCases() []refusal {
	const gateway = "spec.gateway.networks[0].ip"
	const service = "spec.services[1].networks[0].ip"
	const lower = "fixed addresses lie in the lower half"
	return []refusal{
		values("gateway address is IPv4", gateway, "10.1.0.9", "'fd00::9'", "must be an IPv4 address"),
		values("gateway address is in its subnet", gateway, "10.1.0.9", "10.2.0.9", lower).at("spec.gateway.networks"),
		values("gateway address is in the lower half", gateway, "10.1.127.255", "10.1.128.0", lower).at("spec.gateway.networks"),
		values("gateway address is not the host's", gateway, "10.1.0.2", "10.1.0.1", lower).at("spec.gateway.networks"),
		values("service address is IPv4", service, "10.1.0.9", "10.1.0", "must be an IPv4 address"),
		values("service address is in its subnet", service, "10.1.0.9", "10.3.0.9", `10.3.0.9 of files on public`).at("spec.services"),
		values("service address is in the lower half", service, "10.1.127.255", "10.1.255.255", lower).at("spec.services"),
		values("service address is not the network's", service, "10.1.0.2", "10.1.0.0", lower).at("spec.services"),
		values("addresses are unique", service, "10.1.0.9", "10.1.0.3", `["10.1.0.3"]`).at("spec"),
		values("a fixed address has one replica", "spec.services[0].replicas", "1", "2", `this one has ["10.1.0.7"]`).
			beside("spec.services[0].networks[0].ip=10.1.0.7"),
		values("gateway network exists", "spec.gateway.networks[1]", "{name: private}", "{name: nowhere}", `which are ["public", "private"]`).
			at("spec.gateway.networks"),
		values("service network exists", "spec.services[0].networks[1]", "{name: private}", "{name: nowhere}", `["nowhere of web"]`).
			at("spec.services"),
		values("gateway has a way out", "spec.networks[0].internal", "false", "true", "must not be internal").at("spec.gateway.networks"),
	}
}
