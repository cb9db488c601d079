package podman

// fieldsByKind are the tables of what is honoured or emulated. A table is never written to.
var fieldsByKind = map[string]fields{
	"Deployment":            deploymentFields,
	"DaemonSet":             daemonSetFields,
	"Job":                   jobFields,
	"Service":               serviceFields,
	"ConfigMap":             kindFields(fields{"data": had(), "binaryData": had()}),
	"Secret":                kindFields(fields{"data": had(), "stringData": had(), "type": had()}),
	"PersistentVolumeClaim": claimFields,
	"NetworkPolicy":         policyFields,
	"ServiceAccount":        accountFields,
	// Rights at an API server, which pods on Podman have no way to: what they miss is refused where they ask for a token.
	"Role":        kindFields(fields{"rules": had()}),
	"RoleBinding": kindFields(fields{"subjects": had(), "roleRef": had()}),
}

// kindFields adds what every kind has.
func kindFields(table fields) fields {
	table["apiVersion"], table["kind"], table["metadata"] = had(), had(), metadataField
	return table
}

// metadataField is for those who keep and find objects; Podman keeps none. What of it means something to pods is in the
// template's.
var metadataField = object(fields{
	"name": had(), "generateName": had(), "namespace": had(), "labels": had(), "annotations": had(), "ownerReferences": had(),
	"uid": had(), "resourceVersion": had(), "generation": had(), "creationTimestamp": had(), "managedFields": had(), "selfLink": had(),
	"deletionTimestamp": had(), "deletionGracePeriodSeconds": had(),
})

// workloadFields has what workloads have in common.
func workloadFields(spec fields) fields {
	spec["template"] = podTemplate
	spec["selector"] = had() // pods are known by their owner and workload
	return kindFields(fields{"spec": object(spec)})
}

var deploymentFields = workloadFields(fields{
	"replicas": had(), "minReadySeconds": had(), "progressDeadlineSeconds": had(), "revisionHistoryLimit": had(),
	"strategy": object(fields{"type": had(), "rollingUpdate": object(fields{"maxSurge": had(), "maxUnavailable": had()})}),
	"paused":   never("a change is rolled out at once: nothing pauses it"),
})

var daemonSetFields = workloadFields(fields{
	"minReadySeconds": had(), "revisionHistoryLimit": had(),
	"updateStrategy": object(fields{
		"type":          only("a changed pod is replaced at once, without anybody deleting it", "RollingUpdate"),
		"rollingUpdate": object(fields{"maxSurge": had(), "maxUnavailable": had()}),
	}),
})

var jobFields = workloadFields(fields{
	"backoffLimit": had(), "activeDeadlineSeconds": had(), "ttlSecondsAfterFinished": had(),
	"completions":    only("a Job runs to its end once", 1),
	"parallelism":    only("a Job has one pod at a time", 1),
	"completionMode": only("a Job has no indexes", "NonIndexed"),
	"suspend":        only("a Job is started at once", false),
})

var serviceFields = kindFields(fields{"spec": object(fields{
	"type":         only("a Service is a name and opens nothing on the host: that is what hostPort does", "ClusterIP"),
	"clusterIP":    only("a Service has no address of its own: its name leads to the pods themselves", "", "None"),
	"clusterIPs":   only("a Service has no address of its own: its name leads to the pods themselves", "", "None"),
	"selector":     had(),
	"externalName": never("a Service leads to pods only"),
	"ports": {refuse: samePort, fields: fields{
		"name": had(), "port": had(), "targetPort": had(), "protocol": had(), "appProtocol": had(),
		"nodePort": never("a Service is a name and opens nothing on the host: that is what hostPort does"),
	}},
	"sessionAffinity":          only("clients choose among the addresses of a name themselves", "None"),
	"publishNotReadyAddresses": had(),
	"internalTrafficPolicy":    had(), // there is one node
	"trafficDistribution":      had(),
	"ipFamilies":               only("the networks are of IPv4", "IPv4"),
	"ipFamilyPolicy":           only("the networks are of IPv4", "SingleStack", "PreferDualStack"),
})})

// nodeServiceFields are those of a Service that leads to the node (manifests.AnnotationNodePort): where it leads on a
// cluster does not matter here.
var nodeServiceFields = kindFields(fields{"spec": object(fields{"type": had(), "externalName": had()})})

var claimFields = kindFields(fields{"spec": object(fields{
	"accessModes":      only("access is not bounded by the claim: volumeMounts has readOnly", "ReadWriteOnce", "ReadWriteMany"),
	"resources":        object(fields{"requests": {fields: fields{"storage": had()}, other: "a Podman volume has no size limit"}}), // see claimSize
	"volumeMode":       only("a Podman volume is a file system", "Filesystem"),
	"storageClassName": only("Podman has one kind of volume", ""),
	"volumeName":       never("a volume that is there is adopted by the annotation volume.mockup.dev/existing"),
	"dataSource":       never("a volume begins empty, or with what the image has there"),
	"dataSourceRef":    never("a volume begins empty, or with what the image has there"),
	"selector":         never("a volume that is there is adopted by the annotation volume.mockup.dev/existing"),
})})

// policyFields: of peers, policies.choice refuses what can't be resolved.
var policyFields = kindFields(fields{"spec": object(fields{
	"podSelector": had(), "policyTypes": had(),
	"ingress": object(fields{"from": policyPeers, "ports": policyPorts}),
	"egress":  object(fields{"to": policyPeers, "ports": policyPorts}),
})})

var (
	policyPeers = object(fields{
		"podSelector": had(), "namespaceSelector": had(), "ipBlock": object(fields{"cidr": had(), "except": had()}),
	})
	policyPorts = object(fields{"protocol": had(), "port": had(), "endPort": had()})
)

var accountFields = kindFields(fields{
	"automountServiceAccountToken": only(reasonToken, false),
	"imagePullSecrets":             never(reasonLogin),
})

// samePort judges a port of a Service.
func samePort(value any) string {
	port, _ := value.(map[string]any)
	if target, ok := port["targetPort"]; ok && target != port["port"] {
		return "the name leads to the pods themselves: targetPort must be the number that port is"
	}
	return ""
}
