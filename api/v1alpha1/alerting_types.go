package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// Alerting sends alerts to people, by Alertmanager. Without receivers, alerts are only shown.
//
// +kubebuilder:validation:XValidation:rule=`!has(self.routes) || self.routes.all(r, r.receivers.all(n, has(self.receivers) && self.receivers.exists(c, c.name == n)))`,fieldPath=`.routes`,message=`must name receivers`,messageExpression=`'%s is not one of receivers'.format([self.routes.map(r, r.receivers.filter(n, !has(self.receivers) || !self.receivers.exists(c, c.name == n))).flatten().distinct()])`
// +kubebuilder:validation:XValidation:rule=`!has(self.receivers) || self.?enabled.orValue(true)`,fieldPath=`.receivers`,message=`need alerting, which is switched off`
type Alerting struct {
	Component `json:",inline"`
	// storage of silences and of what was sent already; the default is 1Gi.
	// +optional
	Storage Storage `json:"storage,omitzero"`
	// receivers that routes name.
	// +optional
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MaxItems=32
	Receivers []AlertReceiver `json:"receivers,omitempty"`
	// routes from alerts to receivers. A receiver gets an alert that any of its routes matches, and gets it once: the first
	// of its routes that matches says when.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=32
	Routes []AlertRoute `json:"routes,omitempty"`
}

// AlertReceiver is somebody who gets alerts, in one or more ways. Whatever is secret comes from a Secret, and is mounted as
// a file.
//
// +kubebuilder:validation:XValidation:rule=`has(self.pagerDuty) || has(self.slack) || has(self.email)`,message=`at least one of pagerDuty, slack and email must be set`
type AlertReceiver struct {
	// name by which routes know it.
	// +required
	// +kubebuilder:validation:MaxLength=63
	// +kubebuilder:validation:XValidation:rule=`self.matches('^[a-z]([a-z0-9-]*[a-z0-9])?$')`,message=`must consist of lower-case letters, digits and "-", begin with a letter and not end with "-"`
	// +kubebuilder:validation:XValidation:rule=`self != 'nobody'`,reason=FieldValueForbidden,message=`must not be nobody, who gets what no route matches`
	Name string `json:"name"`
	// pagerDuty opens an incident, and closes it.
	// +optional
	PagerDuty *PagerDutyReceiver `json:"pagerDuty,omitempty"`
	// slack posts to a channel.
	// +optional
	Slack *SlackReceiver `json:"slack,omitempty"`
	// email sends a mail.
	// +optional
	Email *EmailReceiver `json:"email,omitempty"`
}

// PagerDutyReceiver is a service of PagerDuty, by its Events API v2.
type PagerDutyReceiver struct {
	// routingKeySecret holds the integration key.
	// +required
	RoutingKeySecret KeyRef `json:"routingKeySecret"`
	// url of the API; the default is PagerDuty's, https://events.pagerduty.com/v2/enqueue.
	// +optional
	// +kubebuilder:validation:MaxLength=512
	// +kubebuilder:validation:XValidation:rule=`isURL(self) && url(self).getScheme() in ['http', 'https'] && url(self).getHostname() != ''`,message=`must be an address with a host that begins with http:// or https://`
	URL string `json:"url,omitempty"`
}

// SlackReceiver is an incoming webhook of Slack. That of an app posts to the channel that it was made for, whatever channel says:
// for two channels make two webhooks.
type SlackReceiver struct {
	// channel to post to, e.g. "#alerts". Only a legacy webhook goes by it; that of an app has its own.
	// +required
	// +kubebuilder:validation:MaxLength=81
	// +kubebuilder:validation:XValidation:rule=`self.matches('^[#@][^ #@[:cntrl:]]+$')`,message=`must be a channel or a person, e.g. #alerts or @ann`
	Channel string `json:"channel"`
	// webhookSecret holds the address of the webhook, which is all that one needs to post.
	// +required
	WebhookSecret KeyRef `json:"webhookSecret"`
}

// EmailReceiver is a mailbox.
//
// +kubebuilder:validation:XValidation:rule=`has(self.username) == has(self.passwordSecret)`,message=`username and passwordSecret must be set together or not at all`
type EmailReceiver struct {
	// to are the addresses that get the mail.
	// +required
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=16
	// +kubebuilder:validation:items:MaxLength=254
	// +kubebuilder:validation:items:XValidation:rule=`self.matches('^[^@,<> [:cntrl:]]+@[^@,<> [:cntrl:]]+$')`,message=`must be an address, e.g. ann@example.com`
	To []string `json:"to"`
	// from is the address of the sender.
	// +required
	// +kubebuilder:validation:MaxLength=254
	// +kubebuilder:validation:XValidation:rule=`self.matches('^[^@,<> [:cntrl:]]+@[^@,<> [:cntrl:]]+$')`,message=`must be an address, e.g. alerts@example.com`
	From string `json:"from"`
	// smarthost is the mail server, with its port.
	// +required
	// +kubebuilder:validation:MaxLength=259
	// +kubebuilder:validation:XValidation:rule=`self.matches('^[a-zA-Z0-9]([a-zA-Z0-9.-]*[a-zA-Z0-9])?:[1-9][0-9]{0,4}$') && int(self.substring(self.lastIndexOf(':') + 1)) <= 65535`,message=`must be a host and a port, e.g. mail.example.com:587`
	Smarthost string `json:"smarthost"`
	// username at the mail server; the default is none.
	// +optional
	// +kubebuilder:validation:MaxLength=254
	Username string `json:"username,omitempty"`
	// passwordSecret holds the password of username.
	// +optional
	PasswordSecret *KeyRef `json:"passwordSecret,omitempty"`
	// requireTLS is false where the mail server has no TLS; the default is true.
	// +optional
	RequireTLS *bool `json:"requireTLS,omitempty"`
}

// AlertRoute sends the alerts that have certain labels to receivers.
type AlertRoute struct {
	// match are labels that an alert must have, all of them, e.g. {severity: critical}; none means every alert. Every alert
	// has alertname, severity (critical or warning; none for Watchdog), stack and namespace, most have service.
	// +optional
	// +kubebuilder:validation:MaxProperties=8
	// +kubebuilder:validation:XValidation:rule=`self.all(k, k.matches('^[a-zA-Z_][a-zA-Z0-9_]*$'))`,message=`must have names of labels, of letters, digits and "_", before the colons`
	// +kubebuilder:validation:XValidation:rule=`!('severity' in self) || self['severity'] in ['critical', 'warning', 'none']`,message=`has a severity that no alert has; there are critical, warning and none`
	Match map[string]LabelValue `json:"match,omitempty"`
	// receivers that get them.
	// +required
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=16
	// +kubebuilder:validation:items:MaxLength=63
	Receivers []string `json:"receivers"`
	// groupWait is how long the first alert of a group waits for others to be sent with it. The default is 30s where match
	// has severity warning, and 10s otherwise.
	// +optional
	// +kubebuilder:validation:Type=string
	// +kubebuilder:validation:MaxLength=16
	// +kubebuilder:validation:XValidation:rule=`self.matches('^([0-9]{1,6}([.][0-9]{1,3})?(ms|s|m|h))+$') && duration(self) <= duration('1h')`,message=`must be a duration of at most 1h, e.g. 30s`
	GroupWait *metav1.Duration `json:"groupWait,omitempty"`
	// repeatInterval after which an alert that still fires is sent again; the default is 12h.
	// +optional
	// +kubebuilder:validation:Type=string
	// +kubebuilder:validation:MaxLength=16
	// +kubebuilder:validation:XValidation:rule=`self.matches('^([0-9]{1,6}([.][0-9]{1,3})?(ms|s|m|h))+$') && duration(self) >= duration('1m') && duration(self) <= duration('120h')`,message=`must be a duration from 1m to 120h, e.g. 12h: Alertmanager forgets after 120h what it sent`
	RepeatInterval *metav1.Duration `json:"repeatInterval,omitempty"`
}

// LabelValue is the value of a label.
//
// +kubebuilder:validation:MaxLength=128
type LabelValue string
