package api_test

import (
	"fmt"
	"regexp"
	"strings"
	"testing"

	"k8s.io/apiextensions-apiserver/pkg/apis/apiextensions"
)

// boundCases follow from the schema: every number beyond its bounds, every word that is not in an enumeration, and every
// list that must not be empty.
func boundCases(t testing.TB, kind *kind) (cases []refusal) {
	walk(rootSchema(readDefinition(t, kind)), "", func(path string, s *apiextensions.JSONSchemaProps) {
		if !strings.HasPrefix(path, "spec.") {
			return
		}
		at := strings.ReplaceAll(path, "[]", "[0]")
		if kind.oneByRule(path) {
			return
		}
		if s.Minimum != nil {
			low := int64(*s.Minimum)
			cases = append(cases, values(at+" minimum", at, fmt.Sprint(low), fmt.Sprint(low-1), fmt.Sprintf("greater than or equal to %d", low)))
		}
		if s.Maximum != nil {
			high := int64(*s.Maximum)
			cases = append(cases, values(at+" maximum", at, fmt.Sprint(high), fmt.Sprint(high+1), fmt.Sprintf("less than or equal to %d", high)))
		}
		if len(s.Enum) > 0 {
			last := s.Enum[len(s.Enum)-1]
			cases = append(cases, values(at+" enumeration", at, fmt.Sprint(last), "Bogus", "supported values: "))
		}
	})
	for i, c := range cases {
		cases[i] = c.beside(kind.company(c.field)...)
	}
	return append(cases, kind.lists()...)
}

// isOneByRule tells the fields whose bounds a CEL rule narrows to the number 1.
func isOneByRule(path string) bool {
	return regexp.MustCompile(`\.probes\.(startup|liveness)\.successThreshold$`).MatchString(path)
}

// stackCompany is what a field needs beside it to be accepted.
func stackCompany(field string) []string {
	if probe := regexp.MustCompile(`^(.*\.probes\.\w+)\.\w+$`).FindStringSubmatch(field); probe != nil {
		return []string{probe[1] + ".tcpSocket.port=80"}
	}
	if service, ok := strings.CutSuffix(field, ".minReadySeconds"); ok {
		return []string{service + ".progressDeadlineSeconds=3602"}
	}
	if get, ok := strings.CutSuffix(field, ".scheme"); ok {
		return []string{get + ".port=80"}
	}
	if strings.HasSuffix(field, ".reclaimPolicy") {
		return []string{"spec.volumes[0].size=1Gi"}
	}
	return nil
}

func listCases() []refusal {
	const least = "should have at least 1 items"
	return []refusal{
		values("routes are not empty", "spec.gateway.routes", "[{path: /, service: web}]", "[]", least),
		values("certificate names are not empty", "spec.gateway.tls.selfSigned.dnsNames", "[a]", "[]", least),
		values("command of a probe is not empty", "spec.services[0].probes.startup.exec.command", "[a]", "[]", least),
		values("command of a readiness probe is not empty", "spec.services[0].probes.readiness.exec.command", "[a]", "[]", least),
		values("command of a liveness probe is not empty", "spec.services[0].probes.liveness.exec.command", "[a]", "[]", least),
		values("command before a stop is not empty", "spec.services[0].preStop.exec.command", "[a]", "[]", least),
		values("services join a network", "spec.services[2].networks", "[{name: public}]", "[]", least).beside(plain, "spec.services[2].name=plain"),
		values("variable names are unique", "spec.services[0].env", "[{name: A}, {name: B}]", "[{name: A}, {name: A}]", `{"name":"A"}`).
			at("spec.services[0].env[1]"),
		values("mount paths are unique", "spec.services[1].volumeMounts", "[{volume: store, mountPath: /a}, {volume: store, mountPath: /b}]",
			"[{volume: store, mountPath: /a}, {volume: store, mountPath: /a}]", `{"mountPath":"/a"}`).at("spec.services[1].volumeMounts[1]"),
		values("network names are unique", "spec.networks[3].name", "more", "extra", `{"name":"extra"}`).at("spec.networks[3]").
			beside("spec.networks[2]={name: extra, subnet: 10.3.0.0/24}", "spec.networks[3].subnet=10.4.0.0/24"),
		values("volume names are unique", "spec.volumes[1].name", "spare", "store", `{"name":"store"}`).at("spec.volumes[1]"),
		values("service names are unique", "spec.services[2].name", "plain", "web", `{"name":"web"}`).beside(plain).at("spec.services[2]"),
		values("gateway joins a network once", "spec.gateway.networks[1]", "{name: private}", "{name: public}", `{"name":"public"}`),
		values("service joins a network once", "spec.services[0].networks[1]", "{name: private}", "{name: public}", `{"name":"public"}`),
		values("allowed clients are named once", "spec.gateway.routes[0].allowFrom", "[10.0.0.0/8, 11.0.0.0/8]", "[10.0.0.0/8, 10.0.0.0/8]",
			`"10.0.0.0/8"`).at("spec.gateway.routes[0].allowFrom[1]"),
		values("certificate names are unique", "spec.gateway.tls.selfSigned.dnsNames", "[a, b]", "[a, a]", `"a"`).
			at("spec.gateway.tls.selfSigned.dnsNames[1]"),
		values("capabilities are named once", "spec.services[0].security.addCapabilities", "[CHOWN, KILL]", "[CHOWN, CHOWN]", `"CHOWN"`).
			at("spec.services[0].security.addCapabilities[1]"),
	}
}
