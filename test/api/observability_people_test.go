package api_test

import (
	"regexp"
	"strings"
)

// receiverCases are about who gets alerts.
func receiverCases() (cases []refusal) {
	const objectName, keyName = "must be the name of an object", "must be a key"
	const pagerDuty, slack, email = "spec.alerting.receivers[0].pagerDuty", "spec.alerting.receivers[1].slack", "spec.alerting.receivers[2].email"
	cases = []refusal{
		values("a receiver has a name", "spec.alerting.receivers[1].name", "alerts-1", "Alerts", "begin with a letter"),
		values("a receiver is somebody", "spec.alerting.receivers[1].name", "someone", "nobody", "must not be nobody"),
		values("a receiver is reached", "spec.alerting.receivers[1]", "{name: a, slack: {channel: '#a', webhookSecret: {name: s, key: k}}}",
			"{name: a}", "at least one of"),
		values("receivers need alerting", "spec.alerting.enabled", "true", "false", "need alerting").at("spec.alerting.receivers"),
		values("PagerDuty is on the web", pagerDuty+".url", "http://127.0.0.1:1", "ftp://a", "begins with http://"),
		values("PagerDuty has a host", pagerDuty+".url", "http://[::1]:1/nobody", "http:///nobody", "with a host"),
		values("a channel begins with a mark", slack+".channel", "'@ann'", "alerts", "must be a channel"),
		values("mail goes to an address", email+".to", "[a@b]", "[a]", "must be an address").at(email + ".to[0]"),
		values("mail comes from an address", email+".from", "a@b", "'a@b,c@d'", "must be an address"),
		values("a mail server has a port", email+".smarthost", "mail:25", "mail", "a host and a port"),
		values("a mail server has a port that there is", email+".smarthost", "mail:65535", "mail:65536", "a host and a port"),
		values("a user of a mail server has a password", email, "{to: [a@b], from: a@b, smarthost: 'm:25', username: u, passwordSecret: {name: s, key: k}}",
			"{to: [a@b], from: a@b, smarthost: 'm:25', username: u}", "set together"),
	}
	for _, secret := range []string{pagerDuty + ".routingKeySecret", slack + ".webhookSecret", email + ".passwordSecret"} {
		var beside []string
		if strings.HasPrefix(secret, email) {
			beside = []string{email + ".username=u"}
		}
		cases = append(cases,
			values(secret+" has a name", secret, "{name: s.t, key: k}", "{name: S, key: k}", objectName).at(secret+".name").beside(beside...),
			values(secret+" has a key", secret, "{name: s, key: a.b_c}", "{name: s, key: a/b}", keyName).at(secret+".key").beside(beside...),
		)
	}
	return cases
}

func alertRouteCases() []refusal {
	const route = "spec.alerting.routes[0]"
	return []refusal{
		values("a route leads to somebody", route+".receivers", "[on-call, mail]", "[on-call, off-call]", `["off-call"] is not one of receivers`).
			at("spec.alerting.routes"),
		values("a route matches labels", route+".match", "{alertname: A}", "{'alert-name': A}", "must have names of labels"),
		values("a route matches a severity that there is", route+".match", "{severity: warning}", "{severity: page}", "has a severity that no alert has"),
		values("a group waits for a time", route+".groupWait", "0s", "61m", "at most 1h"),
		values("a repeat comes later", route+".repeatInterval", "1m", "59s", "from 1m to 120h"),
	}
}

func dashboardCases() []refusal {
	const user = "spec.dashboards.users[0]"
	return []refusal{
		values("admin's Secret has a name", "spec.dashboards.adminSecretName", "grafana-admin", "grafana_admin", "must be the name of an object"),
		values("a user has a login", user+".login", "a.b", "'a b'", "must consist of").beside("-spec.dashboards.teams"),
		values("a user is not admin", user+".login", "admin-2", "admin", "must not be admin").beside("-spec.dashboards.teams"),
		values("a user has a mailbox", user+".email", "ann@example.com", "ann", "must be an address"),
		values("a user's Secret has a name", user+".passwordSecret.name", "ann", "Ann", "must be the name of an object"),
		values("a user's Secret has a key", user+".passwordSecret.key", "a", "'a:b'", "must be a key"),
		values("a team consists of users", "spec.dashboards.teams[0].members", "[ann]", "[bob]", `["bob of On call"] is not one of users`).
			at("spec.dashboards.teams"),
		values("a team is not that of everybody", "spec.dashboards.teams[0].name", "mockups", "mockup", "must not be mockup"),
	}
}

func addonListCases() []refusal {
	const least = "should have at least 1 items"
	return []refusal{
		values("objective names are unique", "spec.objectives[1].name", "errors-2", "availability", `{"name":"availability"}`).at("spec.objectives[1]"),
		values("receiver names are unique", "spec.alerting.receivers[1].name", "alerts-2", "on-call", `{"name":"on-call"}`).at("spec.alerting.receivers[1]"),
		values("ways in are named once", "spec.tracing.ingest", "[{protocol: OTLPGRPC, hostPort: 1}, {protocol: OTLPHTTP, hostPort: 2}]",
			"[{protocol: OTLPGRPC, hostPort: 1}, {protocol: OTLPGRPC, hostPort: 2}]", `{"protocol":"OTLPGRPC"}`).at("spec.tracing.ingest[1]"),
		values("a route has receivers", "spec.alerting.routes[0].receivers", "[mail]", "[]", least),
		values("a route names a receiver once", "spec.alerting.routes[0].receivers", "[mail, alerts]", "[mail, mail]", `"mail"`).
			at("spec.alerting.routes[0].receivers[1]"),
		values("mail goes somewhere", "spec.alerting.receivers[2].email.to", "[a@b]", "[]", least),
		values("mail goes to each once", "spec.alerting.receivers[2].email.to", "[a@b, c@d]", "[a@b, a@b]", `"a@b"`).
			at("spec.alerting.receivers[2].email.to[1]"),
		values("users are named once", "spec.dashboards.users[1]", "{login: bob, passwordSecret: {name: s, key: k}}",
			"{login: ann, passwordSecret: {name: s, key: k}}", `{"login":"ann"}`),
		values("teams are named once", "spec.dashboards.teams[1]", "{name: Others, members: [ann]}", "{name: On call, members: [ann]}", `{"name":"On call"}`),
		values("a team has members", "spec.dashboards.teams[0].members", "[ann]", "[]", least),
		values("a member is named once", "spec.dashboards.teams[0].members", "[ann]", "[ann, ann]", `"ann"`).at("spec.dashboards.teams[0].members[1]"),
		values("a team has a name", "spec.dashboards.teams[0].name", "A", "''", "should be at least 1 chars long"),
	}
}

// addonCompany is what a field needs beside it to be accepted.
func addonCompany(field string) []string {
	if way := regexp.MustCompile(`^(.*\.ingest\[0\])\.(\w+)$`).FindStringSubmatch(field); way != nil {
		if way[2] == "protocol" {
			return []string{way[1] + ".hostPort=4317"}
		}
		return []string{way[1] + ".protocol=OTLPHTTP"}
	}
	if strings.HasSuffix(field, ".percentile") {
		return []string{"-spec.objectives[0].availability", "spec.objectives[0].latency.agreed=1s"}
	}
	return nil
}
