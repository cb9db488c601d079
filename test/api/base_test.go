package api_test

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"
)

// stackBase is the stack that every case changes. The first service is as plain as can be, the second has an address and
// writes to a volume.
const stackBase = `
apiVersion: mockup.dev/v1alpha1
kind: MockupStack
metadata:
  name: stack
  namespace: default
spec:
  networks:
  - {name: public, subnet: 10.1.0.0/16}
  - {name: private, subnet: 10.2.0.0/16, internal: true}
  volumes:
  - {name: store, size: 1Gi}
  - {name: spare, size: 1Gi}
  gateway:
    networks: [{name: public, ip: 10.1.0.3}]
    http: {hostPort: 8080}
    https: {hostPort: 8443}
    tls: {selfSigned: {dnsNames: [localhost]}}
    routes:
    - {path: /, service: web}
    - {path: /files, service: files}
  services:
  - name: web
    image: docker.io/example/web:v1
    port: 5000
    networks: [{name: public}]
  - name: files
    image: docker.io/example/files:v1
    port: 8000
    networks: [{name: public, ip: 10.1.0.4}, {name: private, ip: 10.2.0.5}]
    volumeMounts: [{volume: store, mountPath: /data}]
`

// edits change an object one after the other. Each is PATH=YAML, as in spec.services[0].port=80, or -PATH, which takes a
// field away. A path makes the objects it leads through; an index equal to a list's length appends.
type edits []string

// object is the kind's base with e applied.
func (k *kind) object(e edits) *unstructured.Unstructured {
	u := &unstructured.Unstructured{Object: parse(k.base).(map[string]any)}
	for _, edit := range e {
		if path, ok := strings.CutPrefix(edit, "-"); ok {
			u.Object = change(u.Object, steps(path), nil).(map[string]any)
			continue
		}
		path, text, ok := strings.Cut(edit, "=")
		if !ok {
			panic(fmt.Sprintf("edit %q is neither PATH=YAML nor -PATH", edit))
		}
		u.Object = change(u.Object, steps(path), func() any { return parse(text) }).(map[string]any)
	}
	return u
}

var step = regexp.MustCompile(`[^.\[\]]+`)

func steps(path string) []string { return step.FindAllString(path, -1) }

// parse reads YAML into what a JSON decoder of the API machinery gives, where whole numbers are int64.
func parse(text string) any {
	var v any
	if err := yaml.Unmarshal([]byte(text), &v); err != nil {
		panic(fmt.Errorf("reading %q: %w", text, err))
	}
	return whole(v)
}

func whole(v any) any {
	switch v := v.(type) {
	case float64:
		if v == float64(int64(v)) {
			return int64(v)
		}
	case []any:
		for i := range v {
			v[i] = whole(v[i])
		}
	case map[string]any:
		for k := range v {
			v[k] = whole(v[k])
		}
	}
	return v
}

// change sets what path leads to from node, or takes it away where value is nil, and returns the changed node.
func change(node any, path []string, value func() any) any {
	if len(path) == 0 {
		return value()
	}
	index, err := strconv.Atoi(path[0])
	if err != nil {
		return changeField(node, path, value)
	}
	list, _ := node.([]any)
	switch {
	case value == nil && len(path) == 1:
		return append(list[:index:index], list[index+1:]...)
	case index == len(list):
		return append(list, change(nil, path[1:], value))
	}
	list[index] = change(list[index], path[1:], value)
	return list
}

func changeField(node any, path []string, value func() any) any {
	fields, ok := node.(map[string]any)
	if !ok {
		fields = map[string]any{}
	}
	if value == nil && len(path) == 1 {
		delete(fields, path[0])
		return fields
	}
	fields[path[0]] = change(fields[path[0]], path[1:], value)
	return fields
}
