package controllers

import (
	"reflect"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"

	"mockup.dev/mockup/api/v1alpha1"
	"mockup.dev/mockup/internal/grafana"
)

// TestAccounts gives each user the highest role of those that the user and the user's teams have.
func TestAccounts(t *testing.T) {
	addon := &v1alpha1.ObservabilityAddon{}
	addon.Name = "watch"
	key := v1alpha1.KeyRef{Name: "people", Key: "any"}
	addon.Spec.Dashboards = v1alpha1.Dashboards{
		Users: []v1alpha1.DashboardUser{
			{Login: "ann", Role: v1alpha1.RoleAdmin, PasswordSecret: key},
			{Login: "bob", Email: "bob@example.com", PasswordSecret: key},
			{Login: "cid", PasswordSecret: key},
		},
		Teams: []v1alpha1.DashboardTeam{
			{Name: "On call", Members: []string{"ann", "bob"}, Role: v1alpha1.RoleEditor},
			{Name: "Guests", Members: []string{"bob", "cid"}},
		},
	}
	secrets := map[string]*corev1.Secret{
		"people":              {Data: map[string][]byte{"any": []byte("theirs")}},
		"watch-grafana-admin": {Data: map[string][]byte{"password": []byte("admin's")}},
	}
	want := accounts{"admin's", grafana.Accounts{
		Users: []grafana.User{
			{Login: "ann", Role: "Admin", Password: "theirs"},
			{Login: "bob", Email: "bob@example.com", Role: "Editor", Password: "theirs"},
			{Login: "cid", Role: "Viewer", Password: "theirs"},
		},
		Teams: []grafana.Team{{Name: "On call", Members: []string{"ann", "bob"}}, {Name: "Guests", Members: []string{"bob", "cid"}}},
	}}
	if got := accountsOf(addon, secrets); !reflect.DeepEqual(got, want) {
		t.Errorf("accounts are %+v, want %+v", got, want)
	}
	addon.Spec.Dashboards.AdminSecretName = "people"
	if got := accountsOf(addon, secrets); got.adminPassword != "" {
		t.Error("the password of admin comes from another Secret than the one that is named")
	}
	no := false
	addon.Spec.Dashboards.Enabled = &no
	if got := accountsOf(addon, secrets); !reflect.DeepEqual(got, accounts{}) {
		t.Errorf("without Grafana, accounts are %+v", got)
	}
}

// TestAccountsVerdict is that of an addon whose programs are ready.
func TestAccountsVerdict(t *testing.T) {
	some := &v1alpha1.ObservabilityAddon{}
	some.Spec.Dashboards.Users = []v1alpha1.DashboardUser{{Login: "ann"}}
	none := &v1alpha1.ObservabilityAddon{}
	before := some.DeepCopy()
	setConditions(&before.Status.Conditions, verdict{ready: true, reason: v1alpha1.ReasonReady}, 0, time.Unix(0, 0))
	changed := before.DeepCopy()
	changed.Generation++
	ready := verdict{ready: true, reason: v1alpha1.ReasonReady}
	for _, c := range []struct {
		addon  *v1alpha1.ObservabilityAddon
		before verdict
		result accountsResult
		reason string
	}{
		{some, ready, accountsResult{done: true}, v1alpha1.ReasonReady},
		{some, ready, accountsResult{}, v1alpha1.ReasonProgressing},
		{before, ready, accountsResult{}, v1alpha1.ReasonReady},
		{changed, ready, accountsResult{}, v1alpha1.ReasonProgressing},
		{some, ready, accountsResult{done: true, problem: "no"}, v1alpha1.ReasonUsersNotMade},
		{none, ready, accountsResult{done: true, problem: "no"}, v1alpha1.ReasonReady},
		{some, verdict{stalled: true, reason: v1alpha1.ReasonInvalidSpec}, accountsResult{}, v1alpha1.ReasonInvalidSpec},
	} {
		if got := c.before.withAccounts(c.addon, c.result); got.reason != c.reason || got.ready != (c.reason == v1alpha1.ReasonReady) {
			t.Errorf("%+v becomes %+v with %+v, want %s", c.before, got, c.result, c.reason)
		}
	}
}
