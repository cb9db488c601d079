package manifests

import (
	"bytes"
	"errors"
	"flag"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"

	"mockup.dev/mockup/api/v1alpha1"
)

var update = flag.Bool("update", false, "write the golden files anew")

// sample is read where users find it.
const sample = "../config/samples/mockup.yaml"

// testCase is a stack with its facts, as read from an input file.
type testCase struct {
	name   string
	golden string
	stack  *v1alpha1.MockupStack
	// addon or policy is rendered in place of the stack, if there is one; request is what the policy is to do.
	addon   *v1alpha1.ObservabilityAddon
	policy  *v1alpha1.BackupPolicy
	request *v1alpha1.BackupRequest
	restore *v1alpha1.InPlaceRestore
	known   BackupKnown
	facts   StackFacts
}

// addonFacts are the facts about the addon of c.
func (c testCase) addonFacts() ObservabilityFacts {
	return ObservabilityFacts{Stack: c.stack, Images: c.facts.Images, Secrets: c.facts.Secrets}
}

// backupFacts are the facts about the policy of c.
func (c testCase) backupFacts() BackupFacts {
	return BackupFacts{Stack: c.stack, Images: c.facts.Images, Secrets: c.facts.Secrets, Request: c.request, Restore: c.restore, Known: c.known}
}

// testCases are the pairs in testdata: stacks.
func testCases(t testing.TB) []testCase {
	t.Helper()
	return casesIn(t, "testdata", 8)
}

// addonCases are the pairs in testdata/observability: addons, each with its stack.
func addonCases(t testing.TB) []testCase {
	t.Helper()
	return casesIn(t, "testdata/observability", 3)
}

// backupCases are the pairs in testdata/backup: policies, each with its stack and what it is to do.
func backupCases(t testing.TB) []testCase {
	t.Helper()
	return casesIn(t, "testdata/backup", 4)
}

func casesIn(t testing.TB, folder string, least int) []testCase {
	t.Helper()
	files, err := filepath.Glob(folder + "/*.in.yaml")
	if err != nil || len(files) < least {
		t.Fatalf("%s holds %d inputs (%v), at least %d are expected", folder, len(files), err, least)
	}
	var cases []testCase
	for _, f := range files {
		cases = append(cases, readCase(t, f))
	}
	return cases
}

func readCase(t testing.TB, file string) testCase {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatalf("reading the input: %v", err)
	}
	c := testCase{name: strings.TrimSuffix(filepath.Base(file), ".in.yaml")}
	c.golden = strings.TrimSuffix(file, ".in.yaml") + ".golden.yaml"
	c.facts = StackFacts{Images: map[string]string{}, Secrets: map[string]*corev1.Secret{}, ConfigMaps: map[string]*corev1.ConfigMap{}}
	for _, document := range documents(text) {
		readDocument(t, file, document, &c)
	}
	if c.stack == nil {
		t.Fatalf("%s holds no MockupStack", file)
	}
	return c
}

func readDocument(t testing.TB, file string, document []byte, c *testCase) {
	t.Helper()
	var kind metav1.TypeMeta
	other := struct {
		Images    map[string]string
		Request   *v1alpha1.BackupRequest
		Restore   *v1alpha1.InPlaceRestore
		Known     BackupKnown
		Restoring []Restoring
	}{}
	stack, secret, configMap := &v1alpha1.MockupStack{}, &corev1.Secret{}, &corev1.ConfigMap{}
	addon, policy := &v1alpha1.ObservabilityAddon{}, &v1alpha1.BackupPolicy{}
	into := map[string]any{
		"MockupStack": stack, "ObservabilityAddon": addon, "BackupPolicy": policy, "Secret": secret, "ConfigMap": configMap, "": &other,
	}
	if err := yaml.Unmarshal(document, &kind); err != nil {
		t.Fatalf("%s: %v", file, err)
	}
	if err := yaml.UnmarshalStrict(document, into[kind.Kind]); err != nil {
		t.Fatalf("%s: a %s: %v", file, kind.Kind, err)
	}
	switch kind.Kind {
	case "MockupStack":
		c.stack = stack
	case "ObservabilityAddon":
		c.addon = addon
	case "BackupPolicy":
		c.policy = policy
	case "Secret":
		secret.Data = map[string][]byte{}
		for k, v := range secret.StringData {
			secret.Data[k] = []byte(v)
		}
		c.facts.Secrets[secret.Name] = secret
	case "ConfigMap":
		c.facts.ConfigMaps[configMap.Name] = configMap
	default:
		if other.Images != nil {
			c.facts.Images = other.Images
		}
		if other.Request != nil {
			c.request, c.restore = other.Request, other.Restore
		}
		c.facts.Restoring, c.known = other.Restoring, other.Known
	}
}

func documents(text []byte) [][]byte {
	var out [][]byte
	for _, d := range bytes.Split(append([]byte("\n"), text...), []byte("\n---\n")) {
		if len(bytes.TrimSpace(d)) > 0 {
			out = append(out, append(d, '\n'))
		}
	}
	return out
}

// render prints what Stack, Observability or Backup makes of c; references may be missing.
func render(t testing.TB, c testCase) (Set, []byte) {
	t.Helper()
	set, err := Stack(c.stack, c.facts)
	if c.addon != nil {
		set, err = Observability(c.addon, c.addonFacts())
	}
	if c.policy != nil {
		set, err = Backup(c.policy, c.backupFacts())
	}
	var missing *MissingError
	o := PrintOptions{}
	if errors.As(err, &missing) {
		o.Missing = missing.References
	} else if err != nil {
		t.Fatalf("rendering %s: %v", c.name, err)
	}
	var out bytes.Buffer
	if err := Print(&out, set, o); err != nil {
		t.Fatalf("printing %s: %v", c.name, err)
	}
	return set, out.Bytes()
}

func TestGolden(t *testing.T) {
	for _, c := range slices.Concat(testCases(t), addonCases(t), backupCases(t)) {
		t.Run(c.name, func(t *testing.T) {
			_, got := render(t, c)
			if *update {
				if err := os.WriteFile(c.golden, got, 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(c.golden)
			if err != nil {
				t.Fatalf("%v; go test ./manifests -update writes it", err)
			}
			if !bytes.Equal(got, want) {
				t.Errorf("differs from %s, which go test ./manifests -update writes anew; first at:\n%s", c.golden, firstDifference(got, want))
			}
		})
	}
}

func firstDifference(got, want []byte) string {
	g, w := strings.Split(string(got), "\n"), strings.Split(string(want), "\n")
	for i := range g {
		if i >= len(w) || g[i] != w[i] {
			return "got:  " + g[i] + "\nwant: " + strings.Join(w[min(i, len(w)):min(i+1, len(w))], "")
		}
	}
	return "got ends early"
}

// TestGoldenHasNoOrphans fails for a golden file whose input is gone.
func TestGoldenHasNoOrphans(t *testing.T) {
	known := map[string]bool{}
	for _, c := range slices.Concat(testCases(t), addonCases(t), backupCases(t)) {
		known[c.golden] = true
	}
	files, _ := filepath.Glob("testdata/*.golden.yaml")
	more, _ := filepath.Glob("testdata/*/*.golden.yaml")
	for _, f := range append(files, more...) {
		if !known[f] {
			t.Errorf("%s has no input", f)
		}
	}
}

// TestRenderingIsDeterministic renders stacks a hundred times, and addons, which take longer, five times, from facts whose maps
// were filled in another order each time, and leaves its input as it was.
func TestRenderingIsDeterministic(t *testing.T) {
	for _, c := range slices.Concat(testCases(t), addonCases(t), backupCases(t)) {
		before, addonBefore, policyBefore := c.stack.DeepCopy(), c.addon.DeepCopy(), c.policy.DeepCopy()
		_, want := render(t, c)
		for i := range map[bool]int{false: 100, true: 5}[c.addon != nil] {
			shuffled := c
			shuffled.facts = StackFacts{Images: shuffle(c.facts.Images), Secrets: shuffle(c.facts.Secrets), ConfigMaps: shuffle(c.facts.ConfigMaps), Restoring: c.facts.Restoring}
			if _, got := render(t, shuffled); !bytes.Equal(got, want) {
				t.Fatalf("%s: rendering %d differs at:\n%s", c.name, i, firstDifference(got, want))
			}
		}
		if !equalYAML(t, before, c.stack) || !equalYAML(t, addonBefore, c.addon) || !equalYAML(t, policyBefore, c.policy) {
			t.Errorf("%s: rendering changed the stack, the addon or the policy", c.name)
		}
	}
}

func shuffle[V any](m map[string]V) map[string]V {
	keys := sortedKeys(m)
	rand.Shuffle(len(keys), func(i, j int) { keys[i], keys[j] = keys[j], keys[i] })
	out := map[string]V{}
	for _, k := range keys {
		out[k] = m[k]
	}
	return out
}

func equalYAML(t *testing.T, a, b any) bool {
	t.Helper()
	left, err := yaml.Marshal(a)
	if err != nil {
		t.Fatal(err)
	}
	right, err := yaml.Marshal(b)
	if err != nil {
		t.Fatal(err)
	}
	return bytes.Equal(left, right)
}

// TestSampleRenders fails where the sample that users start from could not be rendered for want of anything but Secrets
// that the operator makes.
func TestSampleRenders(t *testing.T) {
	c := readCase(t, sample)
	_, err := Stack(c.stack, c.facts)
	var missing *MissingError
	if err != nil && !errors.As(err, &missing) {
		t.Fatal(err)
	}
	for _, r := range StackReferences(c.stack) {
		if !r.Generated {
			t.Errorf("the sample needs %s, which a user would have to make first", r)
		}
	}
}

// output is a golden file, or the sample, read back with Kubernetes' own types: a field that these don't know is an error.
type output struct {
	testCase
	text        string
	policies    []*networkingv1.NetworkPolicy
	claims      []*corev1.PersistentVolumeClaim
	configMaps  []*corev1.ConfigMap
	services    []*corev1.Service
	deployments []*appsv1.Deployment
	kinds       []string
	objects     []Object
}

func outputs(t *testing.T) []output {
	t.Helper()
	var out []output
	for _, c := range testCases(t) {
		text, err := os.ReadFile(c.golden)
		if err != nil {
			t.Fatalf("%v; go test ./manifests -update writes it", err)
		}
		out = append(out, readOutput(t, c, text))
	}
	c := readCase(t, sample)
	_, text := render(t, c)
	return append(out, readOutput(t, c, text))
}

func readOutput(t *testing.T, c testCase, text []byte) output {
	t.Helper()
	o := output{testCase: c, text: string(text)}
	for _, d := range documents(text)[1:] { // the first is the head
		var kind metav1.TypeMeta
		if err := yaml.Unmarshal(d, &kind); err != nil {
			t.Fatalf("%s: %v", c.golden, err)
		}
		o.kinds = append(o.kinds, kind.Kind)
		switch kind.Kind {
		case "NetworkPolicy":
			o.policies = append(o.policies, read(t, d, &o, &networkingv1.NetworkPolicy{}))
		case "PersistentVolumeClaim":
			o.claims = append(o.claims, read(t, d, &o, &corev1.PersistentVolumeClaim{}))
		case "ConfigMap":
			o.configMaps = append(o.configMaps, read(t, d, &o, &corev1.ConfigMap{}))
		case "Service":
			o.services = append(o.services, read(t, d, &o, &corev1.Service{}))
		case "Deployment":
			o.deployments = append(o.deployments, read(t, d, &o, &appsv1.Deployment{}))
		}
	}
	return o
}

func read[T Object](t *testing.T, text []byte, o *output, into T) T {
	t.Helper()
	if err := yaml.UnmarshalStrict(text, into); err != nil {
		t.Fatalf("%s: %v", o.golden, err)
	}
	o.objects = append(o.objects, into)
	return into
}
