package manifests

import (
	"fmt"
	"regexp"

	"k8s.io/apimachinery/pkg/util/intstr"

	"mockup.dev/mockup/api/v1alpha1"
)

// rollout of a service must be one that a cluster takes and that comes to an end.
func (v *validator) rollout(field string, s *v1alpha1.Service) {
	u := s.UpdateStrategy
	if u.Type != "" && u.Type != v1alpha1.UpdateRolling && u.Type != v1alpha1.UpdateRecreate {
		v.reject(field+".updateStrategy.type", string(u.Type), "is neither RollingUpdate nor Recreate")
	}
	v.share(field+".updateStrategy.maxSurge", u.MaxSurge)
	v.share(field+".updateStrategy.maxUnavailable", u.MaxUnavailable)
	if (u.MaxSurge != nil || u.MaxUnavailable != nil) && recreated(s) {
		v.reject(field+".updateStrategy", "", "has maxSurge or maxUnavailable, which are for RollingUpdate, and the service is recreated")
	}
	if none(u.MaxSurge, 1) && none(u.MaxUnavailable, 0) {
		v.reject(field+".updateStrategy.maxSurge", u.MaxSurge.String(), "leaves no way to replace a pod, since maxUnavailable is 0, too")
	}
	if s.MinReadySeconds < 0 {
		v.reject(field+".minReadySeconds", fmt.Sprint(s.MinReadySeconds), "is negative")
	}
	if deadline := progressDeadline(s); deadline <= s.MinReadySeconds || deadline < 1 {
		v.reject(field+".progressDeadlineSeconds", fmt.Sprint(deadline), fmt.Sprintf("is not greater than minReadySeconds, which is %d", s.MinReadySeconds))
	}
}

// percentage of the pods of a service, as a cluster takes it.
var percentage = regexp.MustCompile(`^(100|[1-9]?[0-9])%$`)

// share of the pods of a service: a number or a percentage.
func (v *validator) share(field string, n *intstr.IntOrString) {
	if n != nil && (n.Type == intstr.Int && n.IntVal < 0 || n.Type == intstr.String && !percentage.MatchString(n.StrVal)) {
		v.reject(field, n.String(), "is neither a number from 0 nor a percentage from 0% to 100%")
	}
}

// none tells whether n, or its default, is 0.
func none(n *intstr.IntOrString, byDefault int32) bool {
	if n == nil {
		return byDefault == 0
	}
	return n.String() == "0" || n.String() == "0%"
}

// stop of a service's pods: the hook, and the time there is for it.
func (v *validator) stop(field string, s *v1alpha1.Service) {
	if g := grace(s); g < 0 {
		v.reject(field+".terminationGracePeriodSeconds", fmt.Sprint(g), "is negative")
	}
	if s.PreStop != nil {
		v.preStop(field+".preStop", s.PreStop, grace(s))
	}
}

func (v *validator) preStop(field string, p *v1alpha1.PreStop, grace int64) {
	set := 0
	for _, is := range []bool{p.Exec != nil, p.HTTPGet != nil, p.SleepSeconds != nil} {
		if is {
			set++
		}
	}
	if set != 1 {
		v.reject(field, "", "needs exactly one of exec, httpGet and sleepSeconds")
		return
	}
	switch {
	case p.Exec != nil && len(p.Exec.Command) == 0:
		v.reject(field+".exec.command", "", "is empty")
	case p.HTTPGet != nil:
		v.port(field+".httpGet.port", p.HTTPGet.Port)
	case p.SleepSeconds != nil && (*p.SleepSeconds < 0 || *p.SleepSeconds > 0 && *p.SleepSeconds >= grace):
		v.reject(field+".sleepSeconds", fmt.Sprint(*p.SleepSeconds), fmt.Sprintf("is not between 0 and terminationGracePeriodSeconds, which is %d", grace))
	}
}
