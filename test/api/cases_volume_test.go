package api_test

func volumeCases() []refusal {
	const spare = "spec.volumes[1]"
	return []refusal{
		values("a volume has a source", spare, "{name: spare, size: 1Gi}", "{name: spare}", "exactly one of"),
		values("a volume has one source", spare, "{name: spare, existing: old}", "{name: spare, existing: old, size: 1Gi}", "exactly one of"),
		values("an adopted volume stays", spare, "{name: spare, existing: old, reclaimPolicy: Retain}",
			"{name: spare, existing: old, reclaimPolicy: Delete}", "always retained").at(spare + ".reclaimPolicy"),
		values("size has a unit", spare+".size", "1Mi", "5", "at least 1Mi"),
		values("size is positive", spare+".size", "1Gi", "-1Gi", "at least 1Mi"),
		values("size is whole", spare+".size", "1Gi", "1048576500m", "whole number of bytes"),
		values("size does not shrink", spare+".size", "1025Mi", "1023Mi", "it was 1Gi").after(),
		values("adopted volume has a name", spare, "{name: spare, existing: mime_storage}", "{name: spare, existing: ../etc}",
			"must be the name of a volume").at(spare + ".existing"),
		values("adopted volume does not change", spare+".existing", "old", "new", "can not be changed").
			beside("-"+spare+".size").after("-"+spare+".size", spare+".existing=old"),
		values("a new volume does not become an adopted one", spare, "{name: spare, size: 1Gi}", "{name: spare, existing: old}",
			"can not be changed").at(spare + ".existing").after(),
		values("a volume is adopted once", spare+".existing", "other", "old", `["old"] is adopted more than once`).at("spec.volumes").
			beside("-spec.volumes[0].size", "-"+spare+".size", "spec.volumes[0].existing=old"),
	}
}

func mountCases() []refusal {
	const mount = "spec.services[1].volumeMounts[0]"
	const path, sub = mount + ".mountPath", mount + ".subPath"
	const absolute, relative = "must be an absolute path", "must be a relative path"
	return []refusal{
		values("mounted volume exists", mount+".volume", "spare", "spar", `["spar of files"] is not one of spec.volumes`).at("spec.services"),
		values("mountPath is absolute", path, "/data", "data", absolute),
		values("mountPath is clean", path, "/a/b", "/a//b", absolute),
		values("mountPath does not climb", path, "/a/..b", "/a/..", absolute),
		values("mountPath has no slash at its end", path, "/data", "/data/", absolute),
		values("mountPath has no colon", path, "/a-b", "'/a:b'", absolute),
		values("mountPath is not the root", path, "/r", "/", "must not be /,"),
		values("mountPath is not a system folder", path, "/process", "/proc/sys", "must not be /,"),
		values("mountPath is not /tmp", path, "/tmp/data", "/tmp", "must not be /,"),
		values("subPath is relative", sub, "a/b", "/a/b", relative),
		values("subPath does not climb", sub, "..a", "../a", relative),
		values("subPath is not empty", sub, "a", "''", relative),
		values("a volume has one writer", "spec.services[0].volumeMounts", "[{volume: store, mountPath: /d, readOnly: true}]",
			"[{volume: store, mountPath: /d}]", `["store"] is mounted for writing by more than one`).at("spec.services"),
		values("a writer has one replica", "spec.services[0].replicas", "1", "2", "set readOnly").
			beside("spec.services[0].volumeMounts=[{volume: spare, mountPath: /d}]"),
		values("a writer is not rolled", "spec.services[1].updateStrategy.type", "Recreate", "RollingUpdate", "must be Recreate"),
	}
}
