package grafana

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
)

// Accounts are those who may log in beside admin.
type Accounts struct {
	Users []User
	Teams []Team
}

// User of Grafana.
type User struct {
	// Login by which the user is known, and Email, which may be empty.
	Login, Email string
	// Role is Admin, Editor or Viewer.
	Role string
	// Password that the user is made with. Grafana keeps it from then on.
	Password string
}

// Team is a group of users, by their logins.
type Team struct {
	Name    string
	Members []string
}

const (
	// everybody is the team of all users that were made here, by which those are found who are wanted no longer.
	everybody = "mockup"
	// teamMark is the mail address of the teams that were made here. Nothing is sent there.
	teamMark = "mockup@localhost"
)

// Ensure makes the users and teams of a that are missing, and makes them as a says; those that were made here and are not in a
// are deleted. What others have made is left alone. It is safe to repeat; it does what it can, and the error tells the rest.
func (c *Client) Ensure(ctx context.Context, a Accounts) error {
	users, err := c.users(ctx)
	if err != nil {
		return fmt.Errorf("listing Grafana's users: %w", err)
	}
	teams, err := c.teams(ctx)
	if err != nil {
		return fmt.Errorf("listing Grafana's teams: %w", err)
	}
	var errs []error
	all := Team{Name: everybody}
	for _, u := range a.Users {
		all.Members = append(all.Members, u.Login)
		if err := c.ensureUser(ctx, users, u); err != nil {
			errs = append(errs, fmt.Errorf("user %s of Grafana: %w", u.Login, err))
		}
	}
	if err := c.removeUsers(ctx, teams[everybody], all.Members); err != nil {
		errs = append(errs, fmt.Errorf("removing users of Grafana: %w", err))
	}
	wanted := a.Teams
	if len(a.Users) > 0 {
		wanted = append(slices.Clone(wanted), all)
	}
	for _, t := range wanted {
		if err := c.ensureTeam(ctx, teams[t.Name], users, t); err != nil {
			errs = append(errs, fmt.Errorf("team %s of Grafana: %w", t.Name, err))
		}
	}
	return errors.Join(append(errs, c.removeTeams(ctx, teams, wanted))...)
}

// knownUser is one that Grafana has.
type knownUser struct {
	ID    int64 `json:"userId"`
	Login string
	Email string
	Role  string
}

// knownTeam is one that Grafana has. The zero value is none.
type knownTeam struct {
	ID    int64
	Name  string
	Email string
}

func (c *Client) users(ctx context.Context) (map[string]knownUser, error) {
	var list []knownUser
	if err := c.call(ctx, http.MethodGet, "/api/org/users", nil, &list); err != nil {
		return nil, err
	}
	known := map[string]knownUser{}
	for _, u := range list {
		known[u.Login] = u
	}
	return known, nil
}

func (c *Client) teams(ctx context.Context) (map[string]knownTeam, error) {
	var list struct{ Teams []knownTeam }
	if err := c.call(ctx, http.MethodGet, "/api/teams/search?perpage=1000", nil, &list); err != nil {
		return nil, err
	}
	known := map[string]knownTeam{}
	for _, t := range list.Teams {
		known[t.Name] = t
	}
	return known, nil
}

// ensureUser makes u, or makes it as it should be, and notes it in known.
func (c *Client) ensureUser(ctx context.Context, known map[string]knownUser, u User) error {
	type details struct {
		Login    string `json:"login"`
		Name     string `json:"name"`
		Email    string `json:"email,omitempty"`
		Password string `json:"password,omitempty"`
	}
	have, there := known[u.Login]
	if !there {
		var made struct{ ID int64 }
		if err := c.call(ctx, http.MethodPost, "/api/admin/users", details{u.Login, u.Login, u.Email, u.Password}, &made); err != nil {
			return err
		}
		have = knownUser{ID: made.ID, Login: u.Login, Email: u.Email} // with a role that Grafana chose
	}
	if u.Email != "" && have.Email != u.Email {
		if err := c.call(ctx, http.MethodPut, "/api/users/"+number(have.ID), details{u.Login, u.Login, u.Email, ""}, nil); err != nil {
			return err
		}
	}
	if have.Role != u.Role {
		if err := c.call(ctx, http.MethodPatch, "/api/org/users/"+number(have.ID), map[string]string{"role": u.Role}, nil); err != nil {
			return err
		}
	}
	known[u.Login] = have
	return nil
}

// removeUsers deletes those who were made here and are not wanted.
func (c *Client) removeUsers(ctx context.Context, all knownTeam, wanted []string) error {
	members, err := c.members(ctx, all)
	if err != nil {
		return err
	}
	for _, m := range members {
		if m.Login == admin || slices.Contains(wanted, m.Login) {
			continue
		}
		if err := gone(c.call(ctx, http.MethodDelete, "/api/admin/users/"+number(m.ID), nil, nil)); err != nil {
			return err
		}
	}
	return nil
}

// ensureTeam makes t, and has it consist of its members, and of admin, who made it.
func (c *Client) ensureTeam(ctx context.Context, have knownTeam, users map[string]knownUser, t Team) error {
	if have.ID == 0 {
		var made struct {
			ID int64 `json:"teamId"`
		}
		if err := c.call(ctx, http.MethodPost, "/api/teams", map[string]string{"name": t.Name, "email": teamMark}, &made); err != nil {
			return err
		}
		have.ID = made.ID
	}
	members, err := c.members(ctx, have)
	if err != nil {
		return err
	}
	path := "/api/teams/" + number(have.ID) + "/members"
	for _, m := range members {
		if m.Login == admin || slices.Contains(t.Members, m.Login) {
			continue
		}
		if err := gone(c.call(ctx, http.MethodDelete, path+"/"+number(m.ID), nil, nil)); err != nil {
			return err
		}
	}
	for _, login := range t.Members {
		u, made := users[login]
		if !made || slices.ContainsFunc(members, func(m knownUser) bool { return m.ID == u.ID }) {
			continue // one that could not be made is complained of elsewhere
		}
		if err := c.call(ctx, http.MethodPost, path, map[string]int64{"userId": u.ID}, nil); err != nil {
			return err
		}
	}
	return nil
}

// removeTeams deletes those that were made here and are not wanted.
func (c *Client) removeTeams(ctx context.Context, known map[string]knownTeam, wanted []Team) error {
	var errs []error
	for name, t := range known {
		if t.Email != teamMark || slices.ContainsFunc(wanted, func(w Team) bool { return w.Name == name }) {
			continue
		}
		if err := gone(c.call(ctx, http.MethodDelete, "/api/teams/"+number(t.ID), nil, nil)); err != nil {
			errs = append(errs, fmt.Errorf("removing team %s of Grafana: %w", name, err))
		}
	}
	return errors.Join(errs...)
}

// members of a team; none of one that is not there.
func (c *Client) members(ctx context.Context, t knownTeam) ([]knownUser, error) {
	if t.ID == 0 {
		return nil, nil
	}
	var list []knownUser
	err := c.call(ctx, http.MethodGet, "/api/teams/"+number(t.ID)+"/members", nil, &list)
	return list, err
}

// gone forgives that what is to be deleted is not there.
func gone(err error) error {
	var r *refusal
	if errors.As(err, &r) && r.status == http.StatusNotFound {
		return nil
	}
	return err
}

func number(id int64) string { return strconv.FormatInt(id, 10) }
