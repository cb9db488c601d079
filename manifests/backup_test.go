package manifests

import (
	"errors"
	"slices"
	"strings"
	"testing"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"

	"mockup.dev/mockup/api/v1alpha1"
)

// backupJob of a case; nil while nothing is being done.
func backupJob(set Set) *batchv1.Job {
	for _, o := range set.Objects {
		if job, ok := o.(*batchv1.Job); ok {
			return job
		}
	}
	return nil
}

// TestBackupRestrictions: volumes are only read by a run, Secrets are files, and capabilities are few.
func TestBackupRestrictions(t *testing.T) {
	allowed := map[v1alpha1.BackupOperation][]corev1.Capability{
		v1alpha1.BackupRunNow:      {"DAC_READ_SEARCH"},
		v1alpha1.BackupRestore:     {"DAC_READ_SEARCH", "CHOWN", "DAC_OVERRIDE", "FOWNER", "FSETID"},
		v1alpha1.BackupTestRestore: {"DAC_READ_SEARCH", "CHOWN", "DAC_OVERRIDE", "FOWNER", "FSETID"},
	}
	jobs := 0
	for _, c := range backupCases(t) {
		set, _ := Backup(c.policy, c.backupFacts())
		job := backupJob(set)
		if job == nil {
			continue
		}
		jobs++
		pod := job.Spec.Template.Spec
		container := pod.Containers[0]
		s := container.SecurityContext
		if !*s.ReadOnlyRootFilesystem || *s.AllowPrivilegeEscalation || s.Privileged != nil || !slices.Equal(s.Capabilities.Drop, []corev1.Capability{"ALL"}) {
			t.Errorf("%s: security %+v", c.name, s)
		}
		if !slices.Equal(s.Capabilities.Add, allowed[c.request.Operation]) {
			t.Errorf("%s: capabilities %v", c.name, s.Capabilities.Add)
		}
		for _, e := range container.Env {
			if e.ValueFrom != nil || e.Name != "GOMEMLIMIT" {
				t.Errorf("%s: variable %s", c.name, e.Name)
			}
		}
		for _, m := range container.VolumeMounts {
			if strings.HasPrefix(m.MountPath, backupVolumes) && !m.ReadOnly {
				t.Errorf("%s: %s can be written to", c.name, m.MountPath)
			}
		}
		if container.Resources.Limits.Memory().IsZero() || job.Spec.ActiveDeadlineSeconds == nil || *job.Spec.BackoffLimit != 0 {
			t.Errorf("%s: without bounds", c.name)
		}
		_, printed := render(t, c)
		for _, secret := range c.facts.Secrets {
			for _, value := range secret.Data {
				if len(value) > 3 && strings.Contains(string(printed), string(value)) {
					t.Errorf("%s: a secret is printed", c.name)
				}
			}
		}
	}
	if jobs < 3 {
		t.Errorf("only %d Jobs were looked at", jobs)
	}
}

// TestBackupLendsOnlyWhatIsRead: the stack's claims are lent to a run, or the one that is restored in place, those of adopted
// volumes with their names.
func TestBackupLendsOnlyWhatIsRead(t *testing.T) {
	for _, c := range backupCases(t) {
		set, _ := Backup(c.policy, c.backupFacts())
		var lent []string
		for _, claim := range set.Claims {
			lent = append(lent, claim.Name+claim.Annotations[AnnotationExisting])
		}
		var want []string
		switch c.name {
		case "run":
			want = []string{"mockup-mime-storage", "mockup-oldmime_storage"}
		case "restore-in-place":
			want = []string{"mockup-oldmime_storage"}
		}
		if !slices.Equal(lent, want) {
			t.Errorf("%s: lent %v, want %v", c.name, lent, want)
		}
	}
}

func TestBackupRemovalKeepsTheRepository(t *testing.T) {
	for _, c := range backupCases(t) {
		set := BackupRemoval(c.policy)
		if !set.Remove {
			t.Fatal("it removes nothing")
		}
		if c.policy.Spec.Repository.Size == nil {
			continue
		}
		claim, ok := set.Objects[0].(*corev1.PersistentVolumeClaim)
		if !ok || claim.Name != BackupRepositoryName(c.policy.Name) || claim.Labels[LabelReclaim] != "Retain" {
			t.Errorf("%s: %+v", c.name, set.Objects)
		}
	}
}

func TestInvalidBackup(t *testing.T) {
	base := readCase(t, "testdata/backup/run.in.yaml")
	for want, change := range map[string]func(*v1alpha1.BackupPolicy, *BackupFacts){
		`spec.stackRef.name: "mockup" is no stack`:    func(_ *v1alpha1.BackupPolicy, f *BackupFacts) { f.Stack = nil },
		`spec.volumes[1]: "other" is no volume`:       func(p *v1alpha1.BackupPolicy, _ *BackupFacts) { p.Spec.Volumes[1] = "other" },
		"spec.volumes: must name one":                 func(p *v1alpha1.BackupPolicy, _ *BackupFacts) { p.Spec.Volumes = nil },
		"spec.repository: must have exactly one":      func(p *v1alpha1.BackupPolicy, _ *BackupFacts) { p.Spec.Repository.HostPath = "/srv" },
		"spec.copies[0]: must have exactly one":       func(p *v1alpha1.BackupPolicy, _ *BackupFacts) { p.Spec.Copies[0].HostPath = "/srv" },
		"spec.copies[1].name: \"offsite\" is already": func(p *v1alpha1.BackupPolicy, _ *BackupFacts) { p.Spec.Copies[1].Name = "offsite" },
		"spec.archives: need a hostPath": func(p *v1alpha1.BackupPolicy, _ *BackupFacts) {
			p.Spec.Archives = &v1alpha1.BackupArchives{Keep: 1}
			p.Spec.Repository = v1alpha1.BackupRepository{S3: p.Spec.Copies[0].S3}
		},
		`spec.hooks.pre[0].service: "db" is no service of stack mockup`: func(p *v1alpha1.BackupPolicy, _ *BackupFacts) {
			p.Spec.Hooks.Pre = []v1alpha1.BackupHook{{Service: "db", Command: []string{"sync"}}}
		},
		"spec.hooks.post[1].command: must name a program": func(p *v1alpha1.BackupPolicy, _ *BackupFacts) {
			p.Spec.Hooks.Post = []v1alpha1.BackupHook{{Service: "mime-server", Command: []string{"sync"}}, {Service: "mime-server"}}
		},
		`spec.hooks.pre[0].timeout: "soon" is no duration`: func(p *v1alpha1.BackupPolicy, _ *BackupFacts) {
			p.Spec.Hooks.Pre = []v1alpha1.BackupHook{{Service: "mime-server", Command: []string{"sync"}, Timeout: "soon"}}
		},
		`spec.hooks.pre[0].onError: "ignore" must be fail or continue`: func(p *v1alpha1.BackupPolicy, _ *BackupFacts) {
			p.Spec.Hooks.Pre = []v1alpha1.BackupHook{{Service: "mime-server", Command: []string{"sync"}, OnError: "ignore"}}
		},
		`spec.deadline: "soon" is no duration`:      func(p *v1alpha1.BackupPolicy, _ *BackupFacts) { p.Spec.Deadline = "soon" },
		`request.operation: "erase" must be one of`: func(_ *v1alpha1.BackupPolicy, f *BackupFacts) { f.Request.Operation = "erase" },
		`metadata.name: "Files"`:                    func(p *v1alpha1.BackupPolicy, _ *BackupFacts) { p.Name = "Files" },
		"copies[1].hostPath: \"/srv\" is where the rep": func(p *v1alpha1.BackupPolicy, _ *BackupFacts) {
			p.Spec.Repository = v1alpha1.BackupRepository{HostPath: "/srv"}
			p.Spec.Copies[1].HostPath = "/srv"
		},
		"spec.copies[0].s3: \"https://s3.example.com backups mockup/\" is where the rep": func(p *v1alpha1.BackupPolicy, _ *BackupFacts) {
			s := *p.Spec.Copies[0].S3
			s.Endpoint = "https://S3.example.com:443/"
			p.Spec.Repository, p.Spec.Archives = v1alpha1.BackupRepository{S3: &s}, nil
		},
		"spec.copies[2].hostPath: \"/srv/copies\" is where copy disk is": func(p *v1alpha1.BackupPolicy, _ *BackupFacts) {
			p.Spec.Copies[1].HostPath = "/srv/copies"
			p.Spec.Copies = append(p.Spec.Copies, v1alpha1.BackupCopy{Name: "again", HostPath: "/srv/copies"})
		},
		`request.into: "store" makes a PersistentVolumeClaim/mockup-store, which stack mockup has itself`: func(p *v1alpha1.BackupPolicy, f *BackupFacts) {
			p.Name = "mockup"
			f.Stack.Spec.Volumes = append(f.Stack.Spec.Volumes, v1alpha1.Volume{Name: "store", Size: ptr(resource.MustParse("1Gi"))})
			*f.Request = v1alpha1.BackupRequest{ID: "r", Operation: v1alpha1.BackupRestore, Volume: "mime-storage", Into: "store"}
		},
		`metadata.name: "mockup" makes a PersistentVolumeClaim/mockup-repository, which stack mockup has itself`: func(p *v1alpha1.BackupPolicy, f *BackupFacts) {
			p.Name = "mockup"
			f.Stack.Spec.Volumes = append(f.Stack.Spec.Volumes, v1alpha1.Volume{Name: "repository", Size: ptr(resource.MustParse("1Gi"))})
		},
	} {
		p, f := base.policy.DeepCopy(), base.backupFacts()
		f.Stack, f.Request = f.Stack.DeepCopy(), f.Request.DeepCopy()
		change(p, &f)
		_, err := Backup(p, f)
		var invalid *InvalidError
		if !errors.As(err, &invalid) || !strings.Contains(err.Error(), want) {
			t.Errorf("want %s, got %v", want, err)
		}
	}
}

func TestBackupMissesItsSecrets(t *testing.T) {
	c := readCase(t, "testdata/backup/run.in.yaml")
	delete(c.facts.Secrets, "s3")
	delete(c.facts.Secrets["backup-password"].Data, "secret-words")
	_, err := Backup(c.policy, c.backupFacts())
	var missing *MissingError
	if !errors.As(err, &missing) || len(missing.References) != 2 {
		t.Fatalf("got %v", err)
	}
}

// TestSourcesOfBackupsAreUnambiguous: no two stacks have the same, and that of most is what it was.
func TestSourcesOfBackupsAreUnambiguous(t *testing.T) {
	seen := map[string]string{}
	for _, s := range [][2]string{{"default", "mockup"}, {"a-b", "c"}, {"a", "b-c"}, {"a-b-c", "d"}, {"a-b", "c-d"}, {"a", "b-c-d"}} {
		name := backupSourceName(s[0], s[1])
		if other, is := seen[name]; is {
			t.Errorf("%v and %s are both %s", s, other, name)
		}
		seen[name] = s[0] + "/" + s[1]
	}
	if seen["default-mockup"] == "" {
		t.Error("repositories of before are not known again")
	}
}

// TestArchivesOfABucket are in a folder of the host.
func TestArchivesOfABucket(t *testing.T) {
	c := readCase(t, "testdata/backup/restore.in.yaml")
	*c.request = v1alpha1.BackupRequest{ID: "e", Operation: v1alpha1.BackupExport, Snapshot: "4ab3c0ffee"}
	if _, err := Backup(c.policy, c.backupFacts()); err == nil || !strings.Contains(err.Error(), "needs spec.archives.hostPath") {
		t.Errorf("got %v", err)
	}
	c.policy.Spec.Archives = &v1alpha1.BackupArchives{HostPath: "/srv/archives"}
	set, _ := Backup(c.policy, c.backupFacts())
	job := backupJob(set)
	if job == nil {
		t.Fatal("nothing is exported")
	}
	pod, mounted := job.Spec.Template.Spec, ""
	for _, m := range pod.Containers[0].VolumeMounts {
		for _, v := range pod.Volumes {
			if v.Name == m.Name && v.HostPath != nil {
				mounted += v.HostPath.Path + " at " + m.MountPath
			}
		}
	}
	if mounted != "/srv/archives at /archives" {
		t.Errorf("mounted is %q", mounted)
	}
	if _, printed := render(t, c); !strings.Contains(string(printed), `"dir": "/archives"`) || strings.Contains(string(printed), `"keep"`) {
		t.Error("the program is told otherwise")
	}
}
