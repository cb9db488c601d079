package controllers

import (
	"context"
	"errors"
	"reflect"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"mockup.dev/mockup/api/v1alpha1"
	"mockup.dev/mockup/internal/grafana"
	"mockup.dev/mockup/manifests"
)

const (
	// accountsPeriod is the pause after which it is made sure that Grafana's users are still as they should be.
	accountsPeriod = 5 * time.Minute
	// accountsTimeout bounds one time of that.
	accountsTimeout = 30 * time.Second
	// passwordPause is the pause after Grafana did not take the password of admin: after five times within five minutes, it
	// takes nobody's.
	passwordPause = 2 * time.Minute
)

// accounts are those who may log in to an addon's Grafana, and the password by which they are kept. The zero value is that
// there is no Grafana.
type accounts struct {
	adminPassword string
	grafana.Accounts
}

// accountsResult is what became of accounts. The zero value is that nobody has asked Grafana yet.
type accountsResult struct {
	done bool
	// problem is what Grafana refused, or why it could not be asked.
	problem string
}

// accountsOf an addon. A member of a team may at least what the team may.
func accountsOf(addon *v1alpha1.ObservabilityAddon, secrets map[string]*corev1.Secret) accounts {
	d := addon.Spec.Dashboards
	if d.Enabled != nil && !*d.Enabled {
		return accounts{}
	}
	out := accounts{adminPassword: valueIn(secrets, v1alpha1.KeyRef{Name: manifests.AdminSecretName(addon), Key: manifests.KeyAdminPassword})}
	for _, u := range d.Users {
		role := higher(v1alpha1.RoleViewer, u.Role)
		for _, t := range d.Teams {
			if slices.Contains(t.Members, u.Login) {
				role = higher(role, t.Role)
			}
		}
		out.Users = append(out.Users, grafana.User{Login: u.Login, Email: u.Email, Role: string(role), Password: valueIn(secrets, u.PasswordSecret)})
	}
	for _, t := range d.Teams {
		out.Teams = append(out.Teams, grafana.Team{Name: t.Name, Members: t.Members})
	}
	return out
}

func valueIn(secrets map[string]*corev1.Secret, k v1alpha1.KeyRef) string {
	if s := secrets[k.Name]; s != nil {
		return string(s.Data[k.Key])
	}
	return ""
}

// higher of two roles; none is the lowest.
func higher(a, b v1alpha1.DashboardRole) v1alpha1.DashboardRole {
	rank := []v1alpha1.DashboardRole{"", v1alpha1.RoleViewer, v1alpha1.RoleEditor, v1alpha1.RoleAdmin}
	if slices.Index(rank, b) > slices.Index(rank, a) {
		return b
	}
	return a
}

// keepAccounts has the addon's Grafana know whom it should, if it is time to.
func (s *healthSubject) keepAccounts(ctx context.Context, w *healthWatch) accountsResult {
	pod, runs := s.programs[manifests.ComponentGrafana]
	if !runs || s.accounts.adminPassword == "" {
		return accountsResult{}
	}
	if w.clock().Before(s.accountsDue) {
		return s.said.accounts
	}
	ctx, cancel := context.WithTimeout(ctx, accountsTimeout)
	defer cancel()
	client := grafana.Client{
		HTTP: program{w.pods, pod, manifests.PortGrafana}.client(), URL: "http://" + manifests.ComponentGrafana, Password: s.accounts.adminPassword,
	}
	err := client.Ensure(ctx, s.accounts.Accounts)
	switch {
	case err == nil:
		s.accountsDue = w.clock().Add(accountsPeriod)
		return accountsResult{done: true}
	case errors.Is(err, grafana.ErrPassword):
		s.accountsDue = w.clock().Add(passwordPause)
	}
	return accountsResult{done: true, problem: err.Error()}
}

// renew has the accounts made sure of at once, if others are wanted than before, or in another Grafana.
func (s *healthSubject) renew(wanted accounts, grafanaPod string) bool {
	if reflect.DeepEqual(s.accounts, wanted) && s.programs[manifests.ComponentGrafana].Pod == grafanaPod {
		return false
	}
	s.accounts, s.accountsDue, s.said.accounts = wanted, time.Time{}, accountsResult{}
	s.renewals++
	return true
}

// wasReady tells whether the addon was ready as it is specified now. If so, its users have been made, though maybe by an operator
// before this one.
func wasReady(addon *v1alpha1.ObservabilityAddon) bool {
	c := meta.FindStatusCondition(addon.Status.Conditions, v1alpha1.ConditionReady)
	return c != nil && c.Status == metav1.ConditionTrue && c.ObservedGeneration == addon.Generation
}

// withAccounts is the verdict on an addon that is ready but for the users that it names.
func (v verdict) withAccounts(addon *v1alpha1.ObservabilityAddon, r accountsResult) verdict {
	wanted := len(addon.Spec.Dashboards.Users) + len(addon.Spec.Dashboards.Teams)
	switch {
	case !v.ready || wanted == 0 || addon.Spec.Dashboards.Enabled != nil && !*addon.Spec.Dashboards.Enabled:
	case r.problem != "":
		return verdict{reconciling: true, reason: v1alpha1.ReasonUsersNotMade, message: r.problem}
	case !r.done && !wasReady(addon):
		return verdict{reconciling: true, reason: v1alpha1.ReasonProgressing, message: "Grafana's users and teams are being made"}
	}
	return v
}
