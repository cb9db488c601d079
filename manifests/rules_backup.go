package manifests

import (
	"fmt"
	"time"

	"github.com/prometheus/prometheus/model/rulefmt"
)

const (
	// backupOverdue is how long a run may have to wait for its turn.
	backupOverdue = time.Hour
	// backupUnproven is how old the newest proof of a backup may be: a weekly restore, and some days to notice that one failed.
	backupUnproven = 14 * 24 * time.Hour
	// repositoryRoom is the part that should be free where a repository is.
	repositoryRoom = 0.1
)

// backupAlerts are about the policies that back up the stack, by what the operator says of them. Without policies, there is
// nothing to be true.
func (r *addonRenderer) backupAlerts() rulefmt.RuleGroup {
	of := fmt.Sprintf("{namespace=%q,stack=%q}", r.owner.Namespace, r.stack.Name)
	failed := func(operations string) string {
		return fmt.Sprintf("max by (policy, stack, namespace) (mockup_backup_failed{namespace=%q,stack=%q,operation=~%q}) == 1", r.owner.Namespace, r.stack.Name, operations)
	}
	about := func(a alert) rulefmt.Rule {
		a.service, a.dashboard = ComponentBackup, dashboardAlerts
		return r.rule(a)
	}
	return rulefmt.RuleGroup{Name: "backups", Rules: []rulefmt.Rule{
		about(alert{
			name: "BackupMissed", severity: severityWarning, wait: time.Minute,
			expr:        fmt.Sprintf("time() - mockup_backup_next_run_timestamp_seconds%s > %d", of, int64(backupOverdue.Seconds())),
			summary:     "Backup {{ $labels.policy }} is overdue",
			description: "It was due {{ $value | humanizeDuration }} ago and has not begun.",
		}),
		about(alert{
			name: "BackupFailed", severity: severityCritical, wait: time.Minute, expr: failed("run"),
			summary:     "Backup {{ $labels.policy }} failed",
			description: "The newest run of {{ $labels.policy }} failed. What was backed up before is there.",
		}),
		about(alert{
			name: "BackupVerificationFailed", severity: severityCritical, wait: time.Minute, expr: "mockup_backup_findings" + of + " > 0",
			summary:     "What backup {{ $labels.policy }} keeps is not what was stored",
			description: "Damage was found in {{ $labels.policy }}, or files that came back otherwise, and nothing has cleared that. Files may not come back from it.",
		}),
		about(alert{
			name: "BackupVerificationIncomplete", severity: severityWarning, wait: time.Minute,
			expr:        failed("verify|test-restore") + " unless max by (policy, stack, namespace) (mockup_backup_findings" + of + ") > 0",
			summary:     "Backup {{ $labels.policy }} could not be verified",
			description: "The newest verification or test restore of {{ $labels.policy }} ended before its end. What is kept may be well; nobody knows.",
		}),
		about(alert{
			name: "BackupNotVerified", severity: severityWarning, wait: time.Minute,
			expr: fmt.Sprintf("time() - (mockup_backup_last_verified_timestamp_seconds%s != 0 or mockup_backup_first_success_timestamp_seconds%s) > %d",
				of, of, int64(backupUnproven.Seconds())),
			summary:     "Backup {{ $labels.policy }} has not been proven for long",
			description: "Nothing of it has been read, nor restored, for {{ $value | humanizeDuration }}.",
		}),
		about(alert{
			name: "BackupRepositoryFull", severity: severityWarning, wait: 5 * time.Minute,
			expr: fmt.Sprintf("mockup_backup_repository_free_bytes%s / (mockup_backup_repository_free_bytes%s + mockup_backup_repository_bytes%s) < %g",
				of, of, of, repositoryRoom),
			summary:     "There is little room for backup {{ $labels.policy }}",
			description: "{{ $value | humanizePercentage }} of what its repository is on is free. When nothing is left, backups fail.",
		}),
	}}
}
