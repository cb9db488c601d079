package manifests

import (
	"fmt"

	"mockup.dev/mockup/api/v1alpha1"
)

// ObservabilityReferences lists what a caller must gather before it renders a, in the order of the specification. The
// Secrets of Grafana's users are among them: no pod mounts these, whoever keeps the users needs them.
func ObservabilityReferences(a *v1alpha1.ObservabilityAddon) []Reference {
	var refs []Reference
	if on(a.Spec.Alerting.Enabled) {
		refs = append(refs, receiverSecrets(a.Spec.Alerting)...)
	}
	if d := a.Spec.Dashboards; on(d.Enabled) {
		refs = append(refs, adminReference(a.Name, &d))
		for i, u := range d.Users {
			refs = append(refs, keyReference(u.PasswordSecret, fmt.Sprintf("spec.dashboards.users[%d].passwordSecret", i)))
		}
	}
	return refs
}

func adminReference(addon string, d *v1alpha1.Dashboards) Reference {
	if d.AdminSecretName != "" {
		return Reference{Kind: "Secret", Name: d.AdminSecretName, Keys: []string{KeyAdminPassword}, Field: "spec.dashboards.adminSecretName"}
	}
	return Reference{Kind: "Secret", Name: GrafanaAdminName(addon), Keys: []string{KeyAdminPassword}, Field: "spec.dashboards", Generated: true}
}

// AdminSecretName is the name of the Secret with the password of Grafana's user admin.
func AdminSecretName(a *v1alpha1.ObservabilityAddon) string {
	return adminReference(a.Name, &a.Spec.Dashboards).Name
}

// receiverSecrets are those that receivers of alerts need, in order.
func receiverSecrets(a v1alpha1.Alerting) []Reference {
	var refs []Reference
	for i, r := range a.Receivers {
		at := fmt.Sprintf("spec.alerting.receivers[%d]", i)
		if r.PagerDuty != nil {
			refs = append(refs, keyReference(r.PagerDuty.RoutingKeySecret, at+".pagerDuty.routingKeySecret"))
		}
		if r.Slack != nil {
			refs = append(refs, keyReference(r.Slack.WebhookSecret, at+".slack.webhookSecret"))
		}
		if r.Email != nil && r.Email.PasswordSecret != nil {
			refs = append(refs, keyReference(*r.Email.PasswordSecret, at+".email.passwordSecret"))
		}
	}
	return refs
}

func keyReference(k v1alpha1.KeyRef, field string) Reference {
	return Reference{Kind: "Secret", Name: k.Name, Keys: []string{k.Key}, Field: field}
}
