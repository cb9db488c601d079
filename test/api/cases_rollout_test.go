package api_test

func rolloutCases() []refusal {
	const strategy, deadline = "spec.services[0].updateStrategy", "spec.services[0].progressDeadlineSeconds"
	const surge, missing = strategy + ".maxSurge", strategy + ".maxUnavailable"
	const hook = "spec.services[0].preStop"
	const share = "must be a number from 0 to 32, or a percentage"
	return []refusal{
		values("surge is a share", surge, "25%", "'25'", share),
		values("surge is not more than all", surge, "100%", "101%", share),
		values("surge is not negative", surge, "1", "-1", share),
		values("surge is bounded", surge, "32", "33", share),
		values("unavailable is a share", missing, "0%", "05%", share),
		values("unavailable is not negative", missing, "0", "-1", share),
		values("a roll-out can go on", strategy, "{maxSurge: 0, maxUnavailable: 1%}", "{maxSurge: 0, maxUnavailable: 0%}", "no pod could ever be replaced").
			at(surge),
		values("a roll-out can go on by default", strategy, "{maxUnavailable: 0}", "{maxSurge: 0%}", "no pod could ever be replaced").at(surge),
		values("surge is for what is rolled", strategy, "{maxSurge: 2, type: RollingUpdate}", "{maxSurge: 2, type: Recreate}", "are for RollingUpdate").
			at(strategy),
		values("surge is not for a writer", "spec.services[0].volumeMounts[0].readOnly", "true", "false", "are for RollingUpdate").
			beside(missing+"=1", "spec.services[0].volumeMounts[0]={volume: spare, mountPath: /d}").at(strategy),
		values("deadline is beyond readiness", deadline, "61", "60", "which is 60; it is 60").beside("spec.services[0].minReadySeconds=60"),
		values("deadline is beyond readiness by default", "spec.services[0].minReadySeconds", "299", "300", "which is 300; it is 300").at(deadline),
		values("a stop does something", hook, "{sleepSeconds: 0}", "{}", "exactly one of"),
		values("a stop does one thing", hook, "{exec: {command: [x]}}", "{exec: {command: [x]}, sleepSeconds: 1}", "exactly one of"),
		values("path before a stop is one", hook, "{httpGet: {port: 1, path: '/quit?a=b'}}", "{httpGet: {port: 1, path: 'quit'}}", `begin with "/"`).
			at(hook + ".httpGet.path"),
		values("sleep before a stop ends in time", hook+".sleepSeconds", "29", "30", "which is 30"),
		values("sleep before a stop ends in the time given", hook+".sleepSeconds", "4", "5", "which is 5").
			beside("spec.services[0].terminationGracePeriodSeconds=5"),
		values("no sleep needs no time", hook+".sleepSeconds", "0", "1", "which is 0").beside("spec.services[0].terminationGracePeriodSeconds=0"),
	}
}
