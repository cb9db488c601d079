package podman

import (
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/client-go/kubernetes/scheme"
	"sigs.k8s.io/yaml"

	"mockup.dev/mockup/internal/backend"
	"mockup.dev/mockup/manifests"
)

var update = flag.Bool("update", false, "write the golden files anew")

// portability is the page that tells users what is refused.
const portability = "../../../docs/reference/portability.md"

// TestGoldenFields sets every field that Kubernetes has in the kinds of a set and holds what becomes of each to a list that
// is reviewed as a diff: a field that a table lets pass, or that Kubernetes adds, can't slip in unseen.
func TestGoldenFields(t *testing.T) {
	var text strings.Builder
	for _, o := range []manifests.Object{
		&appsv1.Deployment{}, &appsv1.DaemonSet{}, &batchv1.Job{}, &corev1.Service{}, &corev1.ConfigMap{}, &corev1.Secret{},
		&corev1.PersistentVolumeClaim{}, &networkingv1.NetworkPolicy{}, &corev1.ServiceAccount{}, &rbacv1.Role{}, &rbacv1.RoleBinding{},
	} {
		fillAll(reflect.ValueOf(o).Elem())
		kind := reflect.TypeOf(o).Elem().Name()
		o.GetObjectKind().SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind(kind))
		refused := unsupported(o)
		for _, leaf := range leavesOf(t, o) {
			if !refusedWithin(leaf, refused) {
				refused = append(refused, backend.Refusal{Path: leaf, Reason: "had"})
			}
		}
		slices.SortStableFunc(refused, func(a, b backend.Refusal) int { return strings.Compare(a.Path, b.Path) })
		for _, r := range refused {
			common := strings.HasPrefix(r.Path, "metadata.") || strings.HasPrefix(r.Path, "spec.template.")
			if kind == "Deployment" || !common {
				fmt.Fprintf(&text, "%s %s: %s\n", kind, r.Path, r.Reason)
			}
		}
	}
	const golden = "testdata/fields.golden"
	if *update {
		if err := os.MkdirAll("testdata", 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(golden, []byte(text.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	got, old := strings.Split(text.String(), "\n"), strings.Split(string(want), "\n")
	for _, line := range got {
		if !slices.Contains(old, line) {
			t.Errorf("new:  %s", line)
		}
	}
	for _, line := range old {
		if !slices.Contains(got, line) {
			t.Errorf("gone: %s", line)
		}
	}
}

// refusedWithin tells whether a refusal is about a leaf or what it is in. A warning about a whole variable says nothing of its
// fields.
func refusedWithin(leaf string, refused []backend.Refusal) bool {
	return slices.ContainsFunc(refused, func(r backend.Refusal) bool {
		rest, ok := strings.CutPrefix(leaf, r.Path)
		return ok && (rest == "" || rest[0] == '.' || rest[0] == '[') && !strings.HasPrefix(r.Reason, "its value")
	})
}

// leavesOf are the paths of all values of o, in the form of refusals.
func leavesOf(t *testing.T, o manifests.Object) []string {
	t.Helper()
	content, err := runtime.DefaultUnstructuredConverter.ToUnstructured(o)
	if err != nil {
		t.Fatal(err)
	}
	delete(content, "status")
	var out []string
	var visit func(path string, value any)
	visit = func(path string, value any) {
		switch v := value.(type) {
		case map[string]any:
			for _, key := range slices.Sorted(maps.Keys(v)) {
				visit(strings.TrimPrefix(path+"."+key, "."), v[key])
			}
		case []any:
			if !ofObjects(v) {
				out = append(out, path)
				return
			}
			for i, e := range v {
				visit(path+"["+elementName(e, i)+"]", e)
			}
		default:
			out = append(out, path)
		}
	}
	visit("", content)
	return out
}

// fillAll sets every field, lists and maps to one element, with values that mean nothing special.
func fillAll(v reflect.Value) {
	switch v.Interface().(type) {
	case resource.Quantity:
		v.Set(reflect.ValueOf(resource.MustParse("1")))
		return
	case metav1.Time:
		v.Set(reflect.ValueOf(metav1.NewTime(time.Unix(1_700_000_000, 0))))
		return
	case intstr.IntOrString:
		v.Set(reflect.ValueOf(intstr.FromString("x")))
		return
	case metav1.FieldsV1:
		v.Set(reflect.ValueOf(*metav1.NewFieldsV1("{}")))
		return
	}
	switch v.Kind() {
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fillAll(v.Elem())
	case reflect.Struct:
		for i := range v.NumField() {
			if v.Type().Field(i).IsExported() {
				fillAll(v.Field(i))
			}
		}
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 1, 1))
		fillAll(v.Index(0))
	case reflect.Map:
		key, value := reflect.New(v.Type().Key()).Elem(), reflect.New(v.Type().Elem()).Elem()
		fillAll(key)
		fillAll(value)
		v.Set(reflect.MakeMap(v.Type()))
		v.SetMapIndex(key, value)
	case reflect.String:
		v.SetString("x")
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Uint8:
		v.SetUint('x')
	default:
		v.Set(reflect.ValueOf(2).Convert(v.Type()))
	}
}

// TestPodFields is about one pod: what each line of a template's spec comes to. The first word of a refusal is its path
// below spec.template.spec; an empty list is a line that is had.
func TestPodFields(t *testing.T) {
	const container = "containers: [{name: web, image: a, "
	for line, want := range map[string][]string{
		`nodeSelector: {disk: ssd}`: {"nodeSelector there is one node only"},
		`nodeName: a`:               {"nodeName there is one node only"},
		`affinity: {nodeAffinity: {requiredDuringSchedulingIgnoredDuringExecution: {nodeSelectorTerms: []}}}`:                              {"affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution there is one node only"},
		`affinity: {podAntiAffinity: {requiredDuringSchedulingIgnoredDuringExecution: [{topologyKey: kubernetes.io/hostname}]}}`:           {"affinity.podAntiAffinity.requiredDuringSchedulingIgnoredDuringExecution[kubernetes.io/hostname] there is one node only: pods run beside each other"},
		`affinity: {podAntiAffinity: {preferredDuringSchedulingIgnoredDuringExecution: [{weight: 1, podAffinityTerm: {topologyKey: a}}]}}`: nil,
		`affinity: {podAffinity: {requiredDuringSchedulingIgnoredDuringExecution: [{topologyKey: kubernetes.io/hostname}]}}`:               nil,
		`topologySpreadConstraints: [{maxSkew: 1, topologyKey: zone, whenUnsatisfiable: DoNotSchedule}]`:                                   {"topologySpreadConstraints[zone] there is one node only: pods run beside each other"},
		`topologySpreadConstraints: [{maxSkew: 1, topologyKey: zone, whenUnsatisfiable: ScheduleAnyway}]`:                                  nil,
		`tolerations: [{key: a, operator: Exists}]`:                    nil,
		`schedulerName: default-scheduler`:                             nil,
		`schedulerName: other`:                                         {"schedulerName there is no scheduler"},
		`priorityClassName: high`:                                      {"priorityClassName nothing is evicted"},
		`runtimeClassName: gvisor`:                                     {"runtimeClassName every container runs by"},
		`serviceAccountName: a`:                                        {"serviceAccountName there is no API server"},
		`{serviceAccountName: a, automountServiceAccountToken: false}`: nil,
		`automountServiceAccountToken: true`:                           {"automountServiceAccountToken there is no API server"},
		`enableServiceLinks: false`:                                    nil,
		`enableServiceLinks: true`:                                     {"enableServiceLinks Services are found by name"},
		`imagePullSecrets: [{name: a}]`:                                {"imagePullSecrets[a] images are pulled with the logins of the host"},
		`{hostNetwork: true, hostPID: true, hostIPC: true}`:            {"hostNetwork a pod that joins networks"},
		`{shareProcessNamespace: true, hostname: a, terminationGracePeriodSeconds: 3, restartPolicy: Always}`: nil,
		`{hostAliases: [{ip: 1.2.3.4, hostnames: [a]}], dnsConfig: {searches: [a]}, dnsPolicy: None}`:         nil,
		`dnsPolicy: Default`:                   {"dnsPolicy names are served by the stack's own networks"},
		`subdomain: a`:                         {"subdomain a pod has no domain"},
		`activeDeadlineSeconds: 3`:             {"activeDeadlineSeconds Podman does not do this and nothing stands in for it"},
		`readinessGates: [{conditionType: a}]`: {"readinessGates[0] Podman does not do this"},
		`securityContext: {seccompProfile: {type: RuntimeDefault}, runAsUser: 1000, runAsNonRoot: true, sysctls: [{name: a, value: b}]}`: nil,
		`securityContext: {seccompProfile: {type: Localhost, localhostProfile: a.json}}`: {
			"securityContext.seccompProfile.localhostProfile Podman does not do this", "securityContext.seccompProfile.type Podman's own profile is used"},
		`{securityContext: {runAsNonRoot: true}, containers: [{name: web}]}`:    {"securityContext.runAsNonRoot Podman does not check the image's user"},
		`securityContext: {fsGroup: 1000, fsGroupChangePolicy: OnRootMismatch}`: nil,
		`{securityContext: {fsGroup: 1000}, containers: [{name: web, volumeMounts: [{name: s, mountPath: /s}]}], volumes: [{name: s, secret: {secretName: s, defaultMode: 0o400}}]}`: {
			"securityContext.fsGroup Podman gives files to no group"},
		`{securityContext: {fsGroup: 1000}, containers: [{name: a, volumeMounts: [{name: d, mountPath: /d}]}, {name: b, volumeMounts: [{name: d, mountPath: /d}]}], volumes: [{name: d, emptyDir: {}}]}`: {
			"securityContext.fsGroup Podman gives files to no group"},

		`volumes: [{name: v, emptyDir: {}}]`:                                          nil,
		`volumes: [{name: v, emptyDir: {sizeLimit: 1Mi}}]`:                            {"volumes[v].emptyDir.sizeLimit Podman does not enforce the size of an emptyDir"},
		`volumes: [{name: v, emptyDir: {medium: Memory}}]`:                            {"volumes[v].emptyDir.medium files in memory are for root alone"},
		`volumes: [{name: v, nfs: {server: a, path: /b}}]`:                            {"volumes[v].nfs this type of volume does not exist on Podman"},
		`volumes: [{name: v, projected: {sources: []}}]`:                              {"volumes[v].projected this type of volume does not exist on Podman"},
		`volumes: [{name: v, downwardAPI: {}}]`:                                       {"volumes[v].downwardAPI this type of volume does not exist on Podman"},
		`volumes: [{name: v, image: {reference: a}}]`:                                 {"volumes[v].image its image is not looked for beforehand"},
		`volumes: [{name: v, persistentVolumeClaim: {claimName: c, readOnly: true}}]`: nil,
		`{volumes: [{name: v, persistentVolumeClaim: {claimName: c, readOnly: true}}], containers: [{name: web, volumeMounts: [{name: v, mountPath: /a}]}]}`: {
			"volumes[v].persistentVolumeClaim.readOnly it is not enforced"},
		`volumes: [{name: v}]`: {"volumes[v] it has no type"},
		`volumes: [{name: v, hostPath: {path: /a, type: Directory}}]`:    nil,
		`volumes: [{name: v, hostPath: {path: /var/log/pods}}]`:          nil,
		`volumes: [{name: v, hostPath: {path: /var/log}}]`:               {"volumes[v].hostPath.path"},
		`volumes: [{name: v, configMap: {name: c, defaultMode: 0o444}}]`: nil,
		`volumes: [{name: v, configMap: {name: c, optional: true, items: [{key: a, path: b/c, mode: 0o400}]}}]`: {
			"volumes[v].configMap.items[a].mode all files of the volume have its defaultMode", "volumes[v].configMap.items[a].path Podman makes no folders",
			"volumes[v].configMap.optional what is not there keeps the pod from starting"},

		container + `lifecycle: {preStop: {exec: {command: [a]}}, stopSignal: SIGQUIT}}]`: nil,
		container + `lifecycle: {preStop: {httpGet: {path: /, port: 80}}}}]`:              nil,
		container + `lifecycle: {preStop: {sleep: {seconds: 3}}}}]`:                       nil,
		container + `lifecycle: {postStart: {exec: {command: [a]}}}}]`:                    {"containers[web].lifecycle.postStart no hook is run after the start"},
		container + `readinessProbe: {grpc: {port: 80}, periodSeconds: 3}}]`:              nil,
		container + `livenessProbe: {exec: {command: [a]}, terminationGracePeriodSeconds: 3}}]`: {
			"containers[web].livenessProbe.terminationGracePeriodSeconds a container that is restarted has the grace of its pod"},
		container + `resources: {requests: {cpu: 1, memory: 1Gi}, limits: {cpu: 1, memory: 1Gi}}}]`: nil,
		container + `resources: {requests: {cpu: 1}}}]`:                                             {"containers[web].resources.requests.cpu Podman keeps no share of the CPU"},
		container + `resources: {limits: {nvidia.com/gpu: 1}}}]`:                                    {"containers[web].resources.limits.nvidia.com/gpu Podman bounds CPU and memory only"},
		container + `resources: {requests: {ephemeral-storage: 1Gi}}}]`:                             {"containers[web].resources.requests.ephemeral-storage Podman reserves memory only"},
		container + `env: [{name: A, value: b}, {name: B, value: $(A)}]}]`:                          nil,
		container + `env: [{name: A, valueFrom: {secretKeyRef: {name: s, key: k}}}]}]`: {
			"containers[web].env[A] its value is visible to those who may inspect the container: mount the Secret as a file instead"},
		container + `envFrom: [{prefix: A_, secretRef: {name: s}}]}]`: {
			"containers[web].envFrom[s] its values are visible to those who may inspect the container: mount the Secret as a file instead"},
		container + `env: [{name: A, valueFrom: {configMapKeyRef: {name: c, key: k, optional: true}}}]}]`: {
			"containers[web].env[A].valueFrom.configMapKeyRef.optional what is not there keeps the pod from starting"},
		container + `env: [{name: A, valueFrom: {fieldRef: {fieldPath: metadata.name}}}]}]`: nil,
		container + `env: [{name: A, valueFrom: {fieldRef: {fieldPath: status.podIP}}}]}]`:  {"containers[web].env[A].valueFrom.fieldRef.fieldPath Podman knows metadata.name, metadata.uid"},
		container + `env: [{name: A, valueFrom: {fieldRef: {fieldPath: metadata.name}}}, {name: B, value: $(A)-b}]}]`: {
			"containers[web].env[B].value $(A) is not expanded"},
		container + `env: [{name: A, valueFrom: {resourceFieldRef: {resource: limits.cpu, containerName: web}}}]}]`: nil,
		container + `env: [{name: A, valueFrom: {resourceFieldRef: {resource: limits.memory, containerName: b}}}]}]`: {
			"containers[web].env[A].valueFrom.resourceFieldRef.containerName Podman knows the CPU and memory of the container itself only"},
		container + `volumeMounts: [{name: a, mountPath: /a, subPath: b, readOnly: true, mountPropagation: None}]}]`:                                                      nil,
		container + `volumeMounts: [{name: a, mountPath: /a, subPathExpr: $(B)}]}]`:                                                                                       {"containers[web].volumeMounts[/a].subPathExpr it is not expanded"},
		container + `stdin: true, tty: true}]`:                                                                                                                            {"containers[web].stdin nobody is at the other end"},
		container + `terminationMessagePolicy: FallbackToLogsOnError}]`:                                                                                                   {"containers[web].terminationMessagePolicy nobody reads"},
		container + `securityContext: {runAsUser: 0, runAsNonRoot: true}}]`:                                                                                               {"containers[web].securityContext.runAsNonRoot Podman does not check"},
		container + `securityContext: {privileged: true, procMount: Unmasked, capabilities: {add: [A]}, readOnlyRootFilesystem: true, allowPrivilegeEscalation: false}}]`: nil,

		`initContainers: [{name: i, image: a, command: [b]}]`: nil,
		`initContainers: [{name: i, restartPolicy: Always, startupProbe: {tcpSocket: {port: 80}}}]`: {
			"initContainers[i].restartPolicy it is run as an ordinary container beside the others"},
		`initContainers: [{name: i, livenessProbe: {tcpSocket: {port: 80}}, ports: [{containerPort: 80, hostPort: 80}]}]`: {
			"initContainers[i].livenessProbe an init container has none", "initContainers[i].ports[0].hostPort ports of an init container are not opened"},
	} {
		o := readObjects(t, "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: a}\nspec:\n  template:\n    metadata: {labels: {network.mockup.dev/net: 'true'}}\n    spec: "+asBlock(line))[0]
		expectRefusals(t, line, unsupported(o), podPath, want)
	}
}

// asBlock puts a line below a key.
func asBlock(line string) string {
	if strings.HasPrefix(line, "{") {
		return line
	}
	return "{" + line + "}"
}

// TestObjectFields is the same for whole objects.
func TestObjectFields(t *testing.T) {
	for text, want := range map[string][]string{
		`{kind: Deployment, apiVersion: apps/v1, spec: {replicas: 2, paused: true, minReadySeconds: 3, progressDeadlineSeconds: 4, revisionHistoryLimit: 5, strategy: {type: RollingUpdate, rollingUpdate: {maxSurge: 1}}}}`: {
			"spec.paused a change is rolled out at once"},
		`{kind: Deployment, apiVersion: apps/v1, spec: {template: {metadata: {annotations: {io.podman.annotations.ulimit: a, b: c}}}}}`: {
			"spec.template.metadata.annotations[io.podman.annotations.ulimit] annotations of Podman's own are not passed on"},
		`{kind: Deployment, apiVersion: apps/v1, spec: {template: {spec: {hostNetwork: true}}}}`:                                                                           nil,
		`{kind: DaemonSet, apiVersion: apps/v1, spec: {updateStrategy: {type: OnDelete}}}`:                                                                                 {"spec.updateStrategy.type a changed pod is replaced at once"},
		`{kind: Job, apiVersion: batch/v1, spec: {backoffLimit: 2, activeDeadlineSeconds: 3, ttlSecondsAfterFinished: 4, completions: 1, parallelism: 1, suspend: false}}`: nil,
		`{kind: Job, apiVersion: batch/v1, spec: {completions: 3, parallelism: 2, suspend: true, podFailurePolicy: {rules: []}}}`: {
			"spec.completions a Job runs to its end once", "spec.parallelism a Job has one pod at a time", "spec.podFailurePolicy Podman does not do this", "spec.suspend a Job is started at once"},
		`{kind: CronJob, apiVersion: batch/v1, spec: {schedule: a}}`:                                                                       {" Podman has nothing that corresponds to this kind"},
		`{kind: Service, apiVersion: v1, spec: {type: ClusterIP, clusterIP: None, selector: {a: b}, ports: [{port: 80, targetPort: 80}]}}`: nil,
		`{kind: Service, apiVersion: v1, spec: {type: LoadBalancer, selector: {a: b}, ports: [{name: http, port: 80, targetPort: 8080}]}}`: {
			"spec.ports[http] the name leads to the pods themselves: targetPort must be", "spec.type a Service is a name"},
		`{kind: Service, apiVersion: v1, spec: {selector: {a: b}, sessionAffinity: ClientIP, publishNotReadyAddresses: true, externalIPs: [1.2.3.4]}}`: {
			"spec.externalIPs Podman does not do this", "spec.sessionAffinity clients choose"},
		`{kind: Service, apiVersion: v1, spec: {type: ExternalName, externalName: a.example.com}}`: {
			"spec.externalName a Service leads to pods only", "spec.type a Service is a name", "spec.selector a name leads to the pods that it selects"},
		`{kind: PersistentVolumeClaim, apiVersion: v1, spec: {accessModes: [ReadWriteMany], resources: {requests: {storage: 1Gi}}}}`: {
			"spec.resources.requests.storage a Podman volume has no size limit: the size is not enforced"},
		`{kind: PersistentVolumeClaim, apiVersion: v1, metadata: {annotations: {volume.mockup.dev/existing: v}}, spec: {resources: {requests: {storage: 1Gi}}}}`: nil,
		`{kind: PersistentVolumeClaim, apiVersion: v1, spec: {accessModes: [ReadOnlyMany], storageClassName: fast, volumeMode: Block, dataSource: {kind: a, name: b}}}`: {
			"spec.accessModes access is not bounded by the claim", "spec.dataSource a volume begins empty", "spec.storageClassName Podman has one kind", "spec.volumeMode a Podman volume is a file system"},
		`{kind: NetworkPolicy, apiVersion: networking.k8s.io/v1, spec: {podSelector: {}, policyTypes: [Ingress], ingress: [{from: [{ipBlock: {cidr: 10.0.0.0/8}}, {podSelector: {}}], ports: [{port: http, endPort: 9}]}]}}`: nil,
		`{kind: NetworkPolicy, apiVersion: networking.k8s.io/v1, spec: {ingress: [{from: [{namespaceSelector: {matchLabels: {team: a}}}]}]}}`: {
			"spec.ingress[0].from[0].namespaceSelector Podman has no namespaces"},
		`{kind: Secret, apiVersion: v1, stringData: {a: b}, type: Opaque}`:                           nil,
		`{kind: ConfigMap, apiVersion: v1, data: {a: b}, immutable: true}`:                           {"immutable Podman does not do this"},
		`{kind: ServiceAccount, apiVersion: v1, metadata: {name: a}, imagePullSecrets: [{name: b}]}`: {"imagePullSecrets[b] images are pulled with the logins"},
		`{kind: Role, apiVersion: rbac.authorization.k8s.io/v1, rules: [{verbs: [get]}]}`:            nil,
	} {
		expectRefusals(t, text, unsupported(readObjects(t, text)[0]), "", want)
	}
}

// TestRenderedStacks holds what every rendered stack is told to a short list: more would be read by nobody.
func TestRenderedStacks(t *testing.T) {
	const volumes, size = podPath + "volumes", "spec.resources.requests.storage"
	want := map[string]map[string]int{
		"existing-volume":        {volumes: 1},
		"minimal":                {volumes: 1},
		"missing":                {volumes: 3, podPath + "containers": 1},
		"mission":                {volumes: 5, size: 1},
		"own-certificate":        {volumes: 3},
		"probes-and-security":    {volumes: 2},
		"references":             {volumes: 1, podPath + "containers": 2},
		"replicas-and-resources": {volumes: 3},
		"restoring":              {volumes: 3, size: 2},
		"rollouts":               {volumes: 10, size: 1},
		"routes":                 {volumes: 5},
		"two-networks":           {volumes: 2, size: 1},
	}
	files, err := filepath.Glob("../../../manifests/testdata/*.golden.yaml")
	if err != nil || len(files) < len(want) {
		t.Fatalf("%d rendered stacks (%v), want %d or more", len(files), err, len(want))
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		got := map[string]int{}
		var all []string
		for _, o := range readObjects(t, string(text)) {
			for _, r := range unsupported(o) {
				where, _, _ := strings.Cut(r.Path, "[")
				got[where]++
				all = append(all, r.Ref.String()+" "+r.Path+": "+r.Reason)
			}
		}
		name := strings.TrimSuffix(filepath.Base(file), ".golden.yaml")
		if !maps.Equal(got, want[name]) {
			t.Errorf("%s: got %v, want %v:\n%s", name, got, want[name], strings.Join(all, "\n"))
		}
	}
}

// TestEveryReasonIsExplained holds the page for users complete.
func TestEveryReasonIsExplained(t *testing.T) {
	page, err := os.ReadFile(portability)
	if err != nil {
		t.Fatal(err)
	}
	golden, err := os.ReadFile("testdata/fields.golden")
	if err != nil {
		t.Fatal(err)
	}
	told := strings.Join(strings.Fields(string(page)), " ")
	for _, line := range strings.Split(strings.TrimSpace(string(golden)), "\n") {
		if _, reason, _ := strings.Cut(line, ": "); reason != "had" && !strings.Contains(told, reason) {
			t.Errorf("%s does not tell that %q, as of %s", portability, reason, line)
		}
	}
}

// expectRefusals compares refusals with "path reason", as far as the reason is given; below is cut from the paths.
func expectRefusals(t *testing.T, what string, got []backend.Refusal, below string, want []string) {
	t.Helper()
	var texts []string
	for _, r := range got {
		texts = append(texts, strings.TrimPrefix(r.Path, below)+" "+r.Reason)
	}
	same := slices.EqualFunc(texts, want, strings.HasPrefix)
	if !same {
		t.Errorf("%s\n got  %q\n want %q", what, texts, want)
	}
}

// readObjects decodes the documents of a file.
func readObjects(t *testing.T, text string) []manifests.Object {
	t.Helper()
	var out []manifests.Object
	for _, document := range strings.Split(text, "\n---\n") {
		content, err := yaml.YAMLToJSON([]byte(document))
		if err != nil {
			t.Fatal(err)
		}
		if string(content) == "null" { // comments only
			continue
		}
		o, _, err := scheme.Codecs.UniversalDeserializer().Decode(content, nil, nil)
		if err != nil {
			t.Fatalf("%v\n%s", err, document)
		}
		out = append(out, o.(manifests.Object))
	}
	return out
}
