package v1alpha1

// Dashboards are shown by Grafana. Whoever looks at them logs in; the first user is admin.
//
// +kubebuilder:validation:XValidation:rule=`!has(self.teams) || self.teams.all(t, t.members.all(m, has(self.users) && self.users.exists(u, u.login == m)))`,fieldPath=`.teams`,message=`must consist of users`,messageExpression=`'%s is not one of users'.format([self.teams.map(t, t.members.filter(m, !has(self.users) || !self.users.exists(u, u.login == m)).map(m, '%s of %s'.format([m, t.name]))).flatten()])`
type Dashboards struct {
	Component `json:",inline"`
	// storage of what people save in Grafana; the default is 1Gi.
	// +optional
	Storage Storage `json:"storage,omitzero"`
	// adminSecretName of a Secret whose key password is that of the user admin. The default is one that the operator makes,
	// ADDON-grafana-admin, and that stays as long as the storage does: Grafana takes a password once, and keeps it.
	// +optional
	// +kubebuilder:validation:MaxLength=253
	// +kubebuilder:validation:XValidation:rule=`self.matches('^[a-z0-9]([a-z0-9-]*[a-z0-9])?([.][a-z0-9]([a-z0-9-]*[a-z0-9])?)*$')`,message=`must be the name of an object: lower-case letters, digits, "-" and ".", beginning and ending with a letter or digit`
	AdminSecretName string `json:"adminSecretName,omitempty"`
	// users beside admin. One who is taken off the list is deleted in Grafana; those who were added there stay.
	// +optional
	// +listType=map
	// +listMapKey=login
	// +kubebuilder:validation:MaxItems=32
	Users []DashboardUser `json:"users,omitempty"`
	// teams of users. Beside them, all users are in the team mockup.
	// +optional
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MaxItems=8
	Teams []DashboardTeam `json:"teams,omitempty"`
}

// DashboardRole is what somebody may do in Grafana.
//
// +kubebuilder:validation:Enum=Admin;Editor;Viewer
type DashboardRole string

// The roles.
const (
	RoleAdmin  DashboardRole = "Admin"
	RoleEditor DashboardRole = "Editor"
	RoleViewer DashboardRole = "Viewer"
)

// DashboardUser may look at the dashboards.
type DashboardUser struct {
	// login by which the user is known.
	// +required
	// +kubebuilder:validation:MaxLength=64
	// +kubebuilder:validation:XValidation:rule=`self.matches('^[a-z0-9][a-z0-9._-]*$')`,message=`must consist of lower-case letters, digits, ".", "_" and "-", beginning with a letter or digit`
	// +kubebuilder:validation:XValidation:rule=`self != 'admin'`,reason=FieldValueForbidden,message=`must not be admin, who is there already; see adminSecretName`
	Login string `json:"login"`
	// email of the user.
	// +optional
	// +kubebuilder:validation:MaxLength=254
	// +kubebuilder:validation:XValidation:rule=`self.matches('^[^@,<> [:cntrl:]]+@[^@,<> [:cntrl:]]+$')`,message=`must be an address, e.g. ann@example.com`
	Email string `json:"email,omitempty"`
	// role of the user; the default is Viewer.
	// +optional
	Role DashboardRole `json:"role,omitempty"`
	// passwordSecret holds the user's first password; afterwards Grafana keeps it itself, and the user changes it there.
	// +required
	PasswordSecret KeyRef `json:"passwordSecret"`
}

// DashboardTeam is a group of users.
type DashboardTeam struct {
	// name of the team.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=64
	// +kubebuilder:validation:XValidation:rule=`self != 'mockup'`,reason=FieldValueForbidden,message=`must not be mockup, the team of all users that are named here`
	Name string `json:"name"`
	// members by their logins.
	// +required
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=32
	// +kubebuilder:validation:items:MaxLength=64
	Members []string `json:"members"`
	// role that the team's members have at least; the default is their own.
	// +optional
	Role DashboardRole `json:"role,omitempty"`
}
