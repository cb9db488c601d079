package backup

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/api/resource"

	"mockup.dev/mockup/api/v1alpha1"
)

// fullDisk adds a copy on a disk that is too small: the policy says so, what is in the repository is well, and the copy becomes
// equal when there is room. The test has a mount namespace of its own.
func (b *backups) fullDisk(t *testing.T) {
	disk := filepath.Join(b.Dir, "small")
	must(t, os.MkdirAll(disk, 0o755))
	must(t, syscall.Mount("tmpfs", disk, "tmpfs", 0, "size=256k"))
	defer func() { _ = syscall.Unmount(disk, syscall.MNT_DETACH) }() // the sandbox ends with it
	b.patch(func(p *v1alpha1.BackupPolicy) {
		p.Spec.Copies = append(p.Spec.Copies, v1alpha1.BackupCopy{Name: "small", HostPath: disk})
	})
	defer b.patch(func(p *v1alpha1.BackupPolicy) {
		p.Spec.Copies = p.Spec.Copies[:len(p.Spec.Copies)-1]
	})
	if out := b.failing(t); !strings.Contains(out.Message, "no space left on device") {
		t.Errorf("outcome %+v", out)
	}
	b.until("the policy to say so", func() error {
		c := meta.FindStatusCondition(b.policy().Status.Conditions, v1alpha1.ConditionReady)
		if c.Reason != v1alpha1.ReasonBackupFailed || !strings.Contains(c.Message, "no space left on device") {
			return fmt.Errorf("it says %s: %s", c.Reason, c.Message)
		}
		return nil
	})
	b.does("backup", "verify", "--percent", "100")
	must(t, syscall.Mount("tmpfs", disk, "tmpfs", syscall.MS_REMOUNT, "size=200m"))
	b.does("backup", "now")
	b.until("the policy to be ready again", b.ready)
	b.equalCopy(disk)
}

// late is a run that is not done at its deadline: it is ended and called so, nothing of it is in the way of the next.
func (b *backups) late(t *testing.T) {
	before := b.policy().Status.Snapshots
	b.random("slow", 24)
	limit, archives := resource.MustParse("256Ki"), b.policy().Spec.Archives
	b.patch(func(p *v1alpha1.BackupPolicy) { p.Spec.Bandwidth, p.Spec.Deadline, p.Spec.Archives = &limit, "1m", nil })
	out := b.failing(t)
	if out.Reason != "DeadlineExceeded" || !strings.Contains(out.Message, "it did not succeed within 1m0s") {
		t.Errorf("outcome %+v", out)
	}
	if now := b.policy().Status.Snapshots; now != before {
		t.Errorf("there are %d snapshots, and were %d", now, before)
	}
	b.says(v1alpha1.ReasonBackupFailed, "within 1m0s")
	b.patch(func(p *v1alpha1.BackupPolicy) { p.Spec.Bandwidth, p.Spec.Deadline, p.Spec.Archives = nil, "", archives })
	b.does("backup", "now")
	b.until("the policy to be ready again", b.ready)
	must(t, os.Remove(filepath.Join(b.source(), "extra", "slow")))
}
