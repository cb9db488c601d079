package podman

// Reasons that several fields have.
const (
	reasonNode     = "there is one node only"
	reasonToken    = "there is no API server for pods, and no token is mounted"
	reasonLogin    = "images are pulled with the logins of the host: podman login"
	reasonOptional = "what is not there keeps the pod from starting, optional or not"
	reasonSeccomp  = "Podman's own profile is used"
	reasonMode     = "all files of the volume have its defaultMode"
	reasonMessage  = "nobody reads what a container leaves there: its last words are in its log"
)

var podTemplate = object(fields{
	"metadata": object(fields{"labels": had(), "annotations": had(), "creationTimestamp": had()}),
	"spec":     object(podFields),
})

// podFields: what depends on other fields is had here and judged by podTemplateRelations.
var podFields = fields{
	"containers":     object(containerFields),
	"initContainers": object(initContainerFields()),
	"volumes":        volumesField,

	"restartPolicy": had(), "terminationGracePeriodSeconds": had(),
	"hostname": had(), "hostAliases": had(),
	"dnsConfig": had(), "dnsPolicy": only("names are served by the stack's own networks", "ClusterFirst", "None"),
	"hostNetwork": had(), "hostPID": had(), "hostIPC": had(), "hostUsers": had(), "shareProcessNamespace": had(),
	"setHostnameAsFQDN": only("a pod has no domain of its own", false),
	"subdomain":         never("a pod has no domain of its own"),
	"securityContext":   object(podSecurityFields),

	"serviceAccountName": had(), "serviceAccount": had(),
	"automountServiceAccountToken": only(reasonToken, false),
	"enableServiceLinks":           only("Services are found by name: there are no variables about them", false),
	"imagePullSecrets":             never(reasonLogin),

	// A scheduler's, which one node has no need of. What is merely preferred or tolerated is so by the one there is.
	"nodeName":     never(reasonNode),
	"nodeSelector": never(reasonNode),
	"affinity": object(fields{
		"nodeAffinity": object(fields{
			"preferredDuringSchedulingIgnoredDuringExecution": had(), "requiredDuringSchedulingIgnoredDuringExecution": never(reasonNode),
		}),
		"podAffinity": had(), // all pods are together
		"podAntiAffinity": object(fields{
			"preferredDuringSchedulingIgnoredDuringExecution": had(),
			"requiredDuringSchedulingIgnoredDuringExecution":  never("there is one node only: pods run beside each other all the same"),
		}),
	}),
	"topologySpreadConstraints": {refuse: mayPile},
	"tolerations":               had(),
	"schedulerName":             only("there is no scheduler: there is one node only", "default-scheduler"),
	"priorityClassName":         never("nothing is evicted for another pod"),
	"priority":                  never("nothing is evicted for another pod"),
	"preemptionPolicy":          never("nothing is evicted for another pod"),
	"runtimeClassName":          never("every container runs by the runtime that Podman is set to"),
	"os":                        object(fields{"name": only("this host runs Linux", "linux")}),
}

// mayPile judges a spread constraint.
func mayPile(value any) string {
	constraint, _ := value.(map[string]any)
	if constraint["whenUnsatisfiable"] == "ScheduleAnyway" {
		return ""
	}
	return "there is one node only: pods run beside each other all the same"
}

var podSecurityFields = fields{
	"runAsUser": had(), "runAsGroup": had(), "runAsNonRoot": had(), "supplementalGroups": had(), "sysctls": had(), "seLinuxOptions": had(),
	"fsGroup": had(), "fsGroupChangePolicy": had(),
	"seccompProfile":  object(fields{"type": only(reasonSeccomp, "RuntimeDefault")}),
	"appArmorProfile": object(fields{"type": only(reasonSeccomp, "RuntimeDefault")}),
}

var containerFields = fields{
	"name": had(), "image": had(), "imagePullPolicy": had(), "command": had(), "args": had(), "workingDir": had(), "tty": had(),
	"ports":   object(fields{"name": had(), "containerPort": had(), "protocol": had(), "hostPort": had(), "hostIP": had()}),
	"env":     object(fields{"name": had(), "value": had(), "valueFrom": envSources}),
	"envFrom": object(fields{"prefix": had(), "configMapRef": object(reference()), "secretRef": object(reference())}),
	"resources": object(fields{
		"limits":   {fields: fields{"cpu": had(), "memory": had()}, other: "Podman bounds CPU and memory only"},
		"requests": {fields: fields{"cpu": had(), "memory": had()}, other: "Podman reserves memory only"},
	}),
	"volumeMounts": object(fields{
		"name": had(), "mountPath": had(), "subPath": had(), "readOnly": had(), "mountPropagation": had(),
		"subPathExpr":       never("it is not expanded, and the whole volume is mounted"),
		"recursiveReadOnly": only("what is mounted below stays writable", "Disabled"),
	}),
	"livenessProbe": object(probeFields), "readinessProbe": object(probeFields), "startupProbe": object(probeFields),
	"lifecycle": object(fields{
		"preStop": object(fields{
			"exec": object(fields{"command": had()}), "httpGet": httpGet, "sleep": object(fields{"seconds": had()}),
			"tcpSocket": never("a hook of this type fails on every cluster, too"),
		}),
		"postStart":  never("no hook is run after the start"),
		"stopSignal": had(),
	}),
	"securityContext": object(fields{
		"runAsUser": had(), "runAsGroup": had(), "runAsNonRoot": had(), "seLinuxOptions": had(),
		"allowPrivilegeEscalation": had(), "capabilities": object(fields{"add": had(), "drop": had()}), "privileged": had(),
		"readOnlyRootFilesystem": had(), "procMount": had(),
		"seccompProfile":  object(fields{"type": only(reasonSeccomp, "RuntimeDefault")}),
		"appArmorProfile": object(fields{"type": only(reasonSeccomp, "RuntimeDefault")}),
	}),
	"terminationMessagePath": never(reasonMessage), "terminationMessagePolicy": never(reasonMessage),
	"stdin": never("nobody is at the other end: mockup has no attach"), "stdinOnce": never("nobody is at the other end: mockup has no attach"),
}

// initContainerFields: a sidecar has all that a container has, and others what initRelations leave them.
func initContainerFields() fields {
	table := fields{"restartPolicy": never("it is run as an ordinary container beside the others")}
	for name, f := range containerFields {
		table[name] = f
	}
	return table
}

// reference to an object by name, and to keys of it.
func reference(keys ...string) fields {
	table := fields{"name": had(), "optional": only(reasonOptional, false)}
	for _, key := range keys {
		table[key] = had()
	}
	return table
}

var envSources = object(fields{
	"configMapKeyRef": object(reference("key")),
	"secretKeyRef":    object(reference("key")), // see secretsInEnvironment
	"fieldRef":        object(fields{"apiVersion": had(), "fieldPath": {refuse: knownToPodman}}),
	"resourceFieldRef": object(fields{
		"containerName": had(), "divisor": had(),
		"resource": only("Podman knows the CPU and memory of a container here, and the pod does not start",
			"limits.cpu", "limits.memory", "requests.cpu", "requests.memory"),
	}),
})

var probeFields = fields{
	"exec": object(fields{"command": had()}), "httpGet": httpGet,
	"tcpSocket": object(fields{"port": had(), "host": had()}), "grpc": object(fields{"port": had(), "service": had()}),
	"initialDelaySeconds": had(), "timeoutSeconds": had(), "periodSeconds": had(), "successThreshold": had(), "failureThreshold": had(),
	"terminationGracePeriodSeconds": never("a container that is restarted has the grace of its pod"),
}

var httpGet = object(fields{"path": had(), "port": had(), "host": had(), "scheme": had(), "httpHeaders": had()})

var volumesField = field{other: "this type of volume does not exist on Podman", fields: fields{
	"name": had(),
	"emptyDir": object(fields{
		"medium":    only("files in memory are for root alone", ""),
		"sizeLimit": never("Podman does not enforce the size of an emptyDir"),
	}),
	"persistentVolumeClaim": object(fields{"claimName": had(), "readOnly": had()}),
	"configMap":             object(fields{"name": had(), "items": itemFields, "defaultMode": had(), "optional": only(reasonOptional, false)}),
	"secret":                object(fields{"secretName": had(), "items": itemFields, "defaultMode": had(), "optional": only(reasonOptional, false)}),
	"hostPath":              object(fields{"path": {refuse: holdsLogs}, "type": had()}),
	"image":                 never("its image is not looked for beforehand: without it the pod does not start"),
}}

var itemFields = object(fields{
	"key": had(), "mode": never(reasonMode),
	"path": {refuse: isFileName},
})
