package api_test

import "fmt"

func serviceCases() []refusal {
	const image = "spec.services[0].image"
	return []refusal{
		values("service image is a reference", image, "localhost:5000/a/b_c:v1", "docker.io/a b", imageReason),
		values("service image has a lower-case name", image, "docker.io/a/b", "docker.io/a/B", imageReason),
		values("service image has a tag of its own", image, "docker.io/a/b:v1", "'docker.io/a/b:'", imageReason),
		values("service image has a whole digest", image, "docker.io/a@sha256:"+digest, "docker.io/a@sha256:"+digest[1:], imageReason),
		values("pods of a service have a name", "spec.services[2].name", "web-pod", "web-pods", "web-pods is where the pods of web are found").at("spec.services").
			beside(plain, "spec.services[0].metricsPort=5001"),
		values("metrics have a port of their own", "spec.services[0].metricsPort", "5001", "5000", "must differ from port"),
	}
}

const digest = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

func environmentCases() []refusal {
	const env, from = "spec.services[0].env[0]", "spec.services[0].envFrom[0]"
	const objectName, keyName = "must be the name of an object", "must be a key"
	ref := func(field, name, key string) string {
		return fmt.Sprintf("{name: A, valueFrom: {%s: {name: %s, key: %s}}}", field, name, key)
	}
	return []refusal{
		values("variable has a name", env, "{name: _A1}", "{name: 1A}", `not begin with a digit`).at(env + ".name"),
		values("variable has one value", env, ref("secretKeyRef", "s", "k"),
			"{name: A, value: x, valueFrom: {secretKeyRef: {name: s, key: k}}}", "at most one of"),
		values("value is not expanded", env, "{name: A, value: '$A'}", "{name: A, value: 'x$(A)'}", `must not contain "$("`).at(env + ".value"),
		values("value comes from somewhere", env, ref("configMapKeyRef", "c", "k"), "{name: A, valueFrom: {}}", "exactly one of").
			at(env + ".valueFrom"),
		values("Secret of a value has a name", env, ref("secretKeyRef", "s", "k"), ref("secretKeyRef", "S", "k"), objectName).
			at(env + ".valueFrom.secretKeyRef.name"),
		values("Secret of a value has a key", env, ref("secretKeyRef", "s", "a.b_c"), ref("secretKeyRef", "s", "a/b"), keyName).
			at(env + ".valueFrom.secretKeyRef.key"),
		values("ConfigMap of a value has a name", env, ref("configMapKeyRef", "c", "k"), ref("configMapKeyRef", "c_c", "k"), objectName).
			at(env + ".valueFrom.configMapKeyRef.name"),
		values("ConfigMap of a value has a key", env, ref("configMapKeyRef", "c", "k"), ref("configMapKeyRef", "c", "'k k'"), keyName).
			at(env + ".valueFrom.configMapKeyRef.key"),
		values("variables come from one object", from, "{secretRef: {name: s}}", "{secretRef: {name: s}, configMapRef: {name: c}}", "exactly one of"),
		values("Secret of variables has a name", from, "{secretRef: {name: s}}", "{secretRef: {name: -s}}", objectName).at(from + ".secretRef.name"),
		values("ConfigMap of variables has a name", from, "{configMapRef: {name: c}}", "{configMapRef: {name: ''}}", objectName).
			at(from + ".configMapRef.name"),
	}
}

func probeCases() (cases []refusal) {
	for _, kind := range []string{"startup", "readiness", "liveness"} {
		path := "spec.services[0].probes." + kind
		get := path + ".httpGet"
		cases = append(cases,
			values(kind+" probe does something", path, "{tcpSocket: {port: 1}}", "{periodSeconds: 5}", "exactly one of"),
			values(kind+" probe does one thing", path, "{exec: {command: [x]}}", "{exec: {command: [x]}, grpc: {port: 1}}", "exactly one of"),
			values(kind+" probe's path is one", get, "{port: 1, path: '/a?b=c'}", "{port: 1, path: 'a'}", `begin with "/"`).at(get+".path"),
			values(kind+" probe's header has a name", get, "{port: 1, headers: [{name: X-A, value: b}]}",
				"{port: 1, headers: [{name: 'X:A', value: b}]}", `letters, digits and "-"`).at(get+".headers[0].name"),
			values(kind+" probe's header has a value", get, "{port: 1, headers: [{name: A, value: b c}]}",
				`{port: 1, headers: [{name: A, value: "b\r\nC: d"}]}`, "on one line").at(get+".headers[0].value"),
		)
		if kind != "readiness" {
			cases = append(cases, values(kind+" probe succeeds once", path, "{tcpSocket: {port: 1}, successThreshold: 1}",
				"{tcpSocket: {port: 1}, successThreshold: 2}", "must be 1").at(path+".successThreshold"))
		}
	}
	return cases
}

func resourceCases() (cases []refusal) {
	for _, path := range []string{"spec.gateway.resources", "spec.services[0].resources"} {
		cases = append(cases, amountCases(path)...)
	}
	return cases
}

// amountCases are those of a container's resources.
func amountCases(path string) []refusal {
	cases := []refusal{
		values(path+": requests.cpu is within its limit", path, "{requests: {cpu: 500m}, limits: {cpu: '0.5'}}",
			"{requests: {cpu: 501m}, limits: {cpu: '0.5'}}", "limits.cpu, which is 0.5").at(path + ".requests.cpu"),
		values(path+": requests.memory is within its limit", path, "{requests: {memory: 64Mi}, limits: {memory: 64Mi}}",
			"{requests: {memory: 65Mi}, limits: {memory: 64Mi}}", "limits.memory, which is 64Mi").at(path + ".requests.memory"),
	}
	for _, kind := range []string{".requests", ".limits"} {
		cases = append(cases,
			values(path+kind+".cpu can be kept", path+kind+".cpu", "10m", "9m", "must be at least 10m"),
			values(path+kind+".memory has a unit", path+kind+".memory", "4Mi", "128", "is the unit missing?"),
			values(path+kind+".memory is whole", path+kind+".memory", "4Mi", "4194304500m", "whole number of bytes"),
		)
	}
	return cases
}
