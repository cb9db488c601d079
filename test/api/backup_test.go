package api_test

import (
	"slices"
	"strings"
)

var policies = &kind{
	name: "policy", resource: "backuppolicies", base: policyBase,
	cases: func() []refusal {
		return slices.Concat(policyCases(), scheduleCases(), hookCases(), repositoryCases(), bucketCases(), programCases())
	},
	lists: policyListCases, company: policyCompany, oneByRule: func(string) bool { return false },
	page: "backuppolicy.md", head: policyHead,
}

const policyHead = `# BackupPolicy

` + "`mockup.dev/v1alpha1`" + `, namespaced; short names ` + "`backup`, `backups`" + `.

This page is generated from the custom resource definition, as is what ` + "`kubectl explain backuppolicy.spec`" + ` prints.
What stands under *Rules* is checked by the API server: ` + "`kubectl apply`" + ` refuses anything else at once.
An example is config/samples/backup.yaml.
`

// policyBase is the policy that every case changes.
const policyBase = `
apiVersion: mockup.dev/v1alpha1
kind: BackupPolicy
metadata:
  name: policy
  namespace: default
spec:
  stackRef: {name: stack}
  volumes: [store, spare]
  schedule: {cron: "0 2 * * *", timeZone: Europe/Rome}
  repository: {size: 20Gi}
  copies:
  - {name: offsite, s3: {endpoint: "https://s3.example.com", bucket: backups, prefix: mockup/, credentialsSecretName: s3}}
  - {name: disk, hostPath: /srv/copies}
  encryption: {passwordSecret: {name: words, key: password}}
  hooks:
    pre: [{service: web, command: [sync], timeout: 30s, onError: continue}]
    post: [{service: web, command: [sync]}]
  include: [uploads]
  exclude: ["*.tmp"]
  retention: {keepLatest: 7}
  verification: {sample: {cron: "0 3 * * *"}, restore: {cron: "0 4 * * 0"}}
`

// inBucket makes the policy's repository one in a bucket.
var inBucket = []string{"-spec.repository.size", "spec.repository.s3={endpoint: 'https://s3.example.com', bucket: backups, credentialsSecretName: s3}"}

func policyCases() []refusal {
	return []refusal{
		{
			name:     "policy name is a short label",
			accepted: one("metadata.name", "a23456789-123456789-123456789-12"),
			refused:  one("metadata.name", "a23456789-123456789-123456789-123"),
			field:    "metadata", reason: `the name "a23456789-123456789-123456789-123" must have at most 32`,
		},
		{
			name:     "policy name is not hexadecimal",
			accepted: one("metadata.name", "cafe-1"),
			refused:  one("metadata.name", "cafe"),
			field:    "metadata", reason: `the name "cafe" must not consist of the digits`,
		},
		values("stack that is backed up has a name", "spec.stackRef.name", "my-stack", "my.stack", "must be the name of a stack"),
		values("stack that is backed up stays", "spec.stackRef.name", "stack", "other", "it was stack").at("spec.stackRef").after(),
		values("a volume that is backed up has a name", "spec.volumes[0]", "files-2", "my_files", "must be the name of a volume"),
		values("deadline is not too soon", "spec.deadline", "1m", "59s", "from 1m to 168h"),
		values("bandwidth has a unit", "spec.bandwidth", "1Mi", "10", "at least 64Ki"),
		values("what is included is a path", "spec.include[0]", "a/b c", "/a", "must be a relative path"),
		values("what is excluded is a pattern", "spec.exclude[0]", "'!a'", "'# a'", "must be a pattern"),
		values("something is kept", "spec.retention", "{keepAnnual: 1}", "{keepAnnual: 0}", "must keep something"),
		{
			name:     "archives are beside the repository",
			accepted: one("spec.archives.keep", "1"),
			refused:  append(slices.Clone(inBucket), "spec.archives.keep=1"),
			field:    "spec.archives", reason: "need a hostPath where the repository is in a bucket",
		},
		{
			name:     "archives of a bucket are on the host",
			accepted: append(slices.Clone(inBucket), "spec.archives.hostPath=/srv/archives"),
			refused:  append(slices.Clone(inBucket), "spec.archives.keep=1"),
			field:    "spec.archives", reason: "need a hostPath where the repository is in a bucket",
		},
		values("archives are made, or have a place", "spec.archives", "{hostPath: /srv/archives}", "{}", "must have keep, hostPath or both"),
		values("archives' folder is a path", "spec.archives", "{hostPath: /srv/archives}", "{hostPath: srv}", "must be an absolute path").at("spec.archives.hostPath"),
		values("password's Secret has a name", "spec.encryption.passwordSecret", "{name: s.t, key: k}", "{name: S, key: k}", "must be the name of an object").
			at("spec.encryption.passwordSecret.name"),
		values("password's Secret has a key", "spec.encryption.passwordSecret", "{name: s, key: a.b_c}", "{name: s, key: a/b}", "must be a key").
			at("spec.encryption.passwordSecret.key"),
	}
}

func hookCases() (cases []refusal) {
	for _, path := range []string{"spec.hooks.pre[0]", "spec.hooks.post[0]"} {
		cases = append(cases,
			values(path+": service has a name", path+".service", "web-2", "my.web", "must be the name of a service"),
			values(path+": time is bounded", path+".timeout", "6h", "7h", "must be from 1s to 6h"),
			values(path+": time has a unit", path+".timeout", "90s", "'90'", "must be from 1s to 6h"),
		)
	}
	return cases
}

func scheduleCases() (cases []refusal) {
	for _, path := range []string{"spec.schedule", "spec.verification.sample", "spec.verification.restore"} {
		cases = append(cases,
			values(path+": cron has five fields", path+".cron", "'*/5 1,3 1-7 JAN-MAR sun'", "'0 2 * *'", "must be five fields"),
			values(path+": cron is short in few ways", path+".cron", "'@daily'", "'@every 1h'", "must be five fields"),
			values(path+": time zone has a name", path+".timeZone", "America/Argentina/Buenos_Aires", "'+02:00'", "must be the name of a time zone"),
			values(path+": time zone is the same everywhere", path+".timeZone", "UTC", "Local", "must be the name of a time zone"),
		)
	}
	return cases
}

func repositoryCases() []refusal {
	const repository, disk = "spec.repository", "spec.copies[1].hostPath"
	moved := []string{"-spec.repository.size", "spec.repository.hostPath=/srv/a"}
	return []refusal{
		values("a repository is somewhere", repository, "{hostPath: /srv/a}", "{}", "exactly one of size"),
		values("a repository is in one place", repository, "{size: 1Gi}", "{size: 1Gi, hostPath: /srv/a}", "exactly one of size"),
		values("a repository has a size with a unit", repository+".size", "16Mi", "20", "at least 16Mi"),
		values("a repository does not shrink", repository+".size", "21Gi", "19Gi", "it was 20Gi").after(),
		values("a repository's folder is a path", repository, "{hostPath: /srv/my backups}", "{hostPath: srv}", "must be an absolute path").at(repository + ".hostPath"),
		values("a repository stays on its host", repository+".hostPath", "/srv/a", "/srv/b", "can not be moved").at(repository).after(moved...).beside("-spec.repository.size"),
		values("a repository stays in its bucket", repository+".s3.bucket", "backups", "others", "can not be moved").at(repository + ".s3").
			after(inBucket...).beside(inBucket...),
		values("a copy is somewhere", "spec.copies[1]", "{name: disk, hostPath: /srv/b}", "{name: disk}", "exactly one of hostPath and s3"),
		values("a copy's folder is a path", disk, "/srv/b", "/srv/../b", "must be an absolute path"),
		values("a copy has a name", "spec.copies[1].name", "disk-2", "Disk", "begin with a letter"),
	}
}

func bucketCases() (cases []refusal) {
	for path, beside := range map[string][]string{"spec.repository.s3": inBucket, "spec.copies[0].s3": nil} {
		each := []refusal{
			values(path+": endpoint is a server", path+".endpoint", "http://127.0.0.1:9000", "s3.example.com", "must be the URL of a server"),
			values(path+": bucket has a name", path+".bucket", "my.bucket-1", "My_Bucket", "must be the name of a bucket"),
			values(path+": prefix is a folder", path+".prefix", "a/b/", "a/b", "must be path elements"),
			values(path+": region has a name", path+".region", "eu-south-1", "'eu south'", "must be the name of a region"),
			values(path+": credentials have a name", path+".credentialsSecretName", "s3.a", "S3", "must be the name of a Secret"),
			values(path+": authority's Secret has a name", path+".caSecret", "{name: s.t, key: k}", "{name: S, key: k}", "must be the name of an object").at(path + ".caSecret.name"),
			values(path+": authority's Secret has a key", path+".caSecret", "{name: s, key: a.b}", "{name: s, key: a/b}", "must be a key").at(path + ".caSecret.key"),
		}
		for _, c := range each {
			cases = append(cases, c.beside(beside...))
		}
	}
	slices.SortFunc(cases, func(a, b refusal) int { return strings.Compare(a.name, b.name) })
	return cases
}

func programCases() []refusal {
	return append(amountCases("spec.program.resources"),
		values("program's image is a reference", "spec.program.image", "docker.io/a/b:v1", "docker.io/a b", imageReason))
}

func policyListCases() []refusal {
	return []refusal{
		values("something is backed up", "spec.volumes", "[store]", "[]", "should have at least 1 items"),
		values("a hook before runs a program", "spec.hooks.pre[0].command", "[sync, -f]", "[]", "should have at least 1 items"),
		values("a hook after runs a program", "spec.hooks.post[0].command", "[sync, -f]", "[]", "should have at least 1 items"),
		values("volumes are named once", "spec.volumes", "[store, spare]", "[store, store]", `"store"`).at("spec.volumes[1]"),
		values("copies are named once", "spec.copies[1].name", "other", "offsite", `{"name":"offsite"}`).at("spec.copies[1]"),
		values("paths are included once", "spec.include", "[a, b]", "[a, a]", `"a"`).at("spec.include[1]"),
		values("patterns are excluded once", "spec.exclude", "[a, b]", "[a, a]", `"a"`).at("spec.exclude[1]"),
	}
}

// policyCompany is what a field needs beside it to be accepted.
func policyCompany(field string) []string {
	switch {
	case field == "spec.retention.keepAnnual":
		return []string{"spec.retention.keepDaily=5"}
	case strings.HasPrefix(field, "spec.retention."): // something has to be kept
		return []string{"spec.retention.keepAnnual=5"}
	}
	return nil
}
