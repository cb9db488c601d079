package observability

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/api/meta"

	"mockup.dev/mockup/api/v1alpha1"
)

// The first passwords of Grafana's users. That of admin is in a Secret which the user made.
const (
	passwordOfAdmin = "the-boss-has-the-key"
	passwordOfAnn   = "ann-walks-by-the-sea"
	passwordOfBob   = "bob-runs-up-the-hill"
)

// addPeople names two users and their team, and makes the Secret with their passwords.
func (w *watched) addPeople(t *testing.T, addon *v1alpha1.ObservabilityAddon) {
	t.Helper()
	w.kubectl(t, "create", "secret", "generic", "people", "--from-literal=ann="+passwordOfAnn, "--from-literal=bob="+passwordOfBob)
	w.kubectl(t, "create", "secret", "generic", "boss", "--from-literal=password="+passwordOfAdmin)
	d := &addon.Spec.Dashboards
	d.AdminSecretName = "boss"
	d.Users = []v1alpha1.DashboardUser{
		{Login: "ann", Email: "ann@example.com", Role: v1alpha1.RoleAdmin, PasswordSecret: v1alpha1.KeyRef{Name: "people", Key: "ann"}},
		{Login: "bob", PasswordSecret: v1alpha1.KeyRef{Name: "people", Key: "bob"}},
	}
	d.Teams = []v1alpha1.DashboardTeam{{Name: "On call", Members: []string{"ann", "bob"}, Role: v1alpha1.RoleEditor}}
}

// roles of Grafana's users, and members of its teams.
func (w *watched) roles(t *testing.T) (roles, teams map[string]string) {
	t.Helper()
	var users []struct{ Login, Role string }
	must(t, get(inGrafana("/api/org/users"), nil, &users))
	roles, teams = map[string]string{}, map[string]string{}
	for _, u := range users {
		roles[u.Login] = u.Role
	}
	var found struct {
		Teams []struct {
			ID   int
			Name string
		}
	}
	must(t, get(inGrafana("/api/teams/search"), nil, &found))
	for _, team := range found.Teams {
		var members []struct{ Login string }
		must(t, get(inGrafana(fmt.Sprintf("/api/teams/%d/members", team.ID)), nil, &members))
		var logins []string
		for _, m := range members {
			if m.Login != "admin" {
				logins = append(logins, m.Login)
			}
		}
		slices.Sort(logins)
		teams[team.Name] = strings.Join(logins, " ")
	}
	return roles, teams
}

// people log in with what they were given, may what they should, and may nothing when they are taken off the list.
func (w *watched) people(t *testing.T) {
	if made := w.kubectl(t, "get", "secrets", "--output=name"); strings.Contains(made, "grafana-admin") {
		t.Errorf("a password of admin was made, although there is one: %s", made)
	}
	roles, teams := w.roles(t) // the addon was ready, so they are there
	if roles["ann"] != "Admin" || roles["bob"] != "Editor" || teams["On call"] != "ann bob" || len(roles) != 3 {
		t.Errorf("roles are %v, teams %v", roles, teams)
	}
	var me struct{ Login, Email string }
	must(t, get(asUser("ann", passwordOfAnn)+"/api/user", nil, &me))
	if me.Email != "ann@example.com" {
		t.Errorf("ann is %+v", me)
	}
	must(t, get(asUser("bob", passwordOfBob)+"/api/user", nil, &me))

	must(t, call("POST", inGrafana("/api/admin/users"), map[string]string{"login": "eve", "email": "eve@example.com", "password": "made-by-hand"}, nil))
	w.change(t, func(s *v1alpha1.ObservabilityAddonSpec) {
		s.Dashboards.Users = s.Dashboards.Users[:1]
		s.Dashboards.Users[0].Role = v1alpha1.RoleViewer
		s.Dashboards.Teams = []v1alpha1.DashboardTeam{{Name: "Readers", Members: []string{"ann"}}}
	})
	eventually(t, "Grafana to know who is left", patience, func() error {
		roles, teams := w.roles(t)
		_, bob := roles["bob"]
		_, onCall := teams["On call"]
		if roles["ann"] != "Viewer" || bob || onCall || teams["Readers"] != "ann" || roles["eve"] == "" {
			return fmt.Errorf("roles are %v, teams %v", roles, teams)
		}
		return w.ready(t)
	})
	if err := get(asUser("bob", passwordOfBob)+"/api/user", nil, &me); err == nil {
		t.Error("bob still gets in")
	}
	must(t, get(asUser("ann", passwordOfAnn)+"/api/user", nil, &me))

	// One whom Grafana refuses, since eve has that address.
	fay := v1alpha1.DashboardUser{Login: "fay", Email: "eve@example.com", PasswordSecret: v1alpha1.KeyRef{Name: "people", Key: "bob"}}
	w.change(t, func(s *v1alpha1.ObservabilityAddonSpec) { s.Dashboards.Users = append(s.Dashboards.Users, fay) })
	eventually(t, "the addon to say that fay is refused", patience, func() error {
		c := meta.FindStatusCondition(w.addon(t).Status.Conditions, v1alpha1.ConditionReady)
		if c.Status != "False" || c.Reason != v1alpha1.ReasonUsersNotMade || !strings.Contains(c.Message, "fay") || strings.Contains(c.Message, passwordOfBob) {
			return fmt.Errorf("it says %+v", c)
		}
		return nil
	})
	w.change(t, func(s *v1alpha1.ObservabilityAddonSpec) { s.Dashboards.Users = s.Dashboards.Users[:1] })
	eventually(t, "the addon to be ready again", patience, func() error { return w.ready(t) })
}
