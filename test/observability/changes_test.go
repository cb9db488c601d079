package observability

import (
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"mockup.dev/mockup/api/v1alpha1"
	"mockup.dev/mockup/test/stacktest"
)

// replicas of a service are found by DNS: each is read, and nobody who is gone.
func (w *watched) replicas(t *testing.T) {
	for _, n := range []int32{2, 1} {
		must(t, w.Edit(t.Context(), stacktest.Name, func(s *v1alpha1.MockupStack) {
			app := service(s, "public-app")
			app.Replicas, app.Networks = &n, []v1alpha1.NetworkAttachment{{Name: "public"}} // one address is not enough for two
		}))
		eventually(t, fmt.Sprintf("%d pods of public-app to be read", n), patience, func() error {
			found, err := series(`up{job="public-app"}`)
			up := 0
			for _, one := range found {
				up += int(one)
			}
			if err == nil && (up != int(n) || len(found) != int(n)) {
				err = fmt.Errorf("there are %v", found)
			}
			return err
		})
	}
}

// sampling of nothing brings no new trace, and that of everything does.
func (w *watched) sampling(t *testing.T) {
	w.sample(t, "0")
	eventually(t, "no request to be traced", patience, func() error {
		traced, err := w.traced(t)
		if err == nil && len(traced) > 0 {
			err = fmt.Errorf("there are traces of %v", traced)
		}
		return err
	})
	w.sample(t, "1")
	eventually(t, "requests to be traced again", patience, func() error {
		traced, err := w.traced(t)
		for _, service := range []string{"public-app", "intranet-api", "mime-server"} {
			if err == nil && !slices.Contains(traced, service) {
				err = fmt.Errorf("there are traces of %v alone", traced)
			}
		}
		return err
	})
}

// sample a part of the requests: all services are told.
func (w *watched) sample(t *testing.T, ratio string) {
	t.Helper()
	w.change(t, func(s *v1alpha1.ObservabilityAddonSpec) { s.Tracing.SamplingRatio = ratio })
	eventually(t, "the services to be told", patience, func() error {
		for _, service := range []string{"public-app", "intranet-api", "mime-server"} {
			running := strings.Fields(w.podman(t, "ps", "--filter", "name=[.]"+service+"$", "--format", "{{.Names}}"))
			if len(running) != 1 {
				return fmt.Errorf("there are %v", running)
			}
			env, err := w.Podman(t.Context(), "inspect", "--format", "{{.Config.Env}}", running[0])
			if err == nil && !strings.Contains(env, "OTEL_TRACES_SAMPLER_ARG="+ratio+" ") && !strings.Contains(env, "OTEL_TRACES_SAMPLER_ARG="+ratio+"]") {
				err = fmt.Errorf("%s has %s", running[0], env)
			}
			if err != nil {
				return err
			}
		}
		stack, err := w.Get(t.Context())
		if err == nil && !stacktest.Ready(stack) {
			err = fmt.Errorf("the stack is %s", stacktest.Describe(stack))
		}
		if err == nil {
			err = w.ready(t)
		}
		return err
	})
}

// exportPause is longer than services keep spans before they send them, 5 s (OTEL_BSP_SCHEDULE_DELAY), and Jaeger then, 1 s.
const exportPause = 7 * time.Second

// traced are the services that have a trace of what is asked now. A span of somebody else, which is sent last, tells that all
// before it is there.
func (w *watched) traced(t *testing.T) ([]string, error) {
	t.Helper()
	since := time.Now()
	w.use(t)
	time.Sleep(exportPause) // nothing tells that nothing is sent
	last := newSpan(fmt.Sprintf("after-%d", since.Unix()))
	if err := sendOTLPHTTP(t.Context(), "127.0.0.1:4318", last); err != nil {
		return nil, err
	}
	eventually(t, "the last span", patience, func() error {
		var answer struct{ Data []trace }
		err := get(jaeger+"/api/traces", url.Values{"service": {last.service}, "lookback": {"1h"}}, &answer)
		if err == nil && len(answer.Data) == 0 {
			err = fmt.Errorf("it is not there")
		}
		return err
	})
	var found []string
	for _, service := range []string{"public-app", "intranet-api", "mime-server"} {
		var answer struct{ Data []trace }
		query := url.Values{"service": {service}, "start": {strconv.FormatInt(since.UnixMicro(), 10)}, "end": {strconv.FormatInt(time.Now().UnixMicro(), 10)}}
		if err := get(jaeger+"/api/traces", query, &answer); err != nil {
			return nil, err
		}
		if len(answer.Data) > 0 {
			found = append(found, service)
		}
	}
	return found, nil
}

func service(s *v1alpha1.MockupStack, name string) *v1alpha1.Service {
	i := slices.IndexFunc(s.Spec.Services, func(x v1alpha1.Service) bool { return x.Name == name })
	return &s.Spec.Services[i]
}
