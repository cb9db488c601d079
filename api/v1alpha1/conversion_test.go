package v1alpha1

import (
	"reflect"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/util/intstr"
)

func TestProbeToCore(t *testing.T) {
	service := "store"
	for name, c := range map[string]struct {
		probe *Probe
		want  *corev1.Probe
	}{
		"none": {nil, nil},
		"http": {
			&Probe{
				HTTPGet:          &HTTPGetProbe{Path: "/readyz", Port: 80, Scheme: "HTTPS", Headers: []HTTPHeader{{"Host", "a"}}},
				SuccessThreshold: 2,
			},
			&corev1.Probe{
				ProbeHandler: corev1.ProbeHandler{HTTPGet: &corev1.HTTPGetAction{
					Path: "/readyz", Port: intstr.FromInt32(80), Scheme: "HTTPS", HTTPHeaders: []corev1.HTTPHeader{{Name: "Host", Value: "a"}},
				}},
				SuccessThreshold: 2,
			},
		},
		"tcp": {
			&Probe{TCPSocket: &TCPSocketProbe{Port: 81}, InitialDelaySeconds: 3},
			&corev1.Probe{
				ProbeHandler:        corev1.ProbeHandler{TCPSocket: &corev1.TCPSocketAction{Port: intstr.FromInt32(81)}},
				InitialDelaySeconds: 3,
			},
		},
		"exec": {
			&Probe{Exec: &ExecProbe{Command: []string{"a", "b"}}, PeriodSeconds: 4, TimeoutSeconds: 5},
			&corev1.Probe{
				ProbeHandler:  corev1.ProbeHandler{Exec: &corev1.ExecAction{Command: []string{"a", "b"}}},
				PeriodSeconds: 4, TimeoutSeconds: 5,
			},
		},
		"grpc": {
			&Probe{GRPC: &GRPCProbe{Port: 82, Service: service}, FailureThreshold: 6},
			&corev1.Probe{
				ProbeHandler:     corev1.ProbeHandler{GRPC: &corev1.GRPCAction{Port: 82, Service: &service}},
				FailureThreshold: 6,
			},
		},
		"grpc of the server as a whole": {
			&Probe{GRPC: &GRPCProbe{Port: 82}},
			&corev1.Probe{ProbeHandler: corev1.ProbeHandler{GRPC: &corev1.GRPCAction{Port: 82}}},
		},
	} {
		if got := c.probe.ToCore(); !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s: got %+v, want %+v", name, got, c.want)
		}
	}
}

func TestPreStopToCore(t *testing.T) {
	none, five := int64(0), int64(5)
	for name, c := range map[string]struct {
		hook *PreStop
		want *corev1.LifecycleHandler
	}{
		"none":       {nil, nil},
		"turned off": {&PreStop{SleepSeconds: &none}, nil},
		"sleep":      {&PreStop{SleepSeconds: &five}, &corev1.LifecycleHandler{Sleep: &corev1.SleepAction{Seconds: 5}}},
		"exec": {
			&PreStop{Exec: &ExecProbe{Command: []string{"a", "b"}}},
			&corev1.LifecycleHandler{Exec: &corev1.ExecAction{Command: []string{"a", "b"}}},
		},
		"http": {
			&PreStop{HTTPGet: &HTTPGetHook{Path: "/quit", Port: 80}},
			&corev1.LifecycleHandler{HTTPGet: &corev1.HTTPGetAction{Path: "/quit", Port: intstr.FromInt32(80)}},
		},
	} {
		got := c.hook.ToCore()
		if (got == nil) != (c.want == nil) || got != nil && !reflect.DeepEqual(got.PreStop, c.want) {
			t.Errorf("%s: got %+v, want %+v", name, got, c.want)
		}
	}
}

func TestResourcesToCore(t *testing.T) {
	cpu, memory := resource.MustParse("500m"), resource.MustParse("64Mi")
	got := (&Resources{Requests: ResourceAmounts{CPU: &cpu}, Limits: ResourceAmounts{CPU: &cpu, Memory: &memory}}).ToCore()
	want := corev1.ResourceRequirements{
		Requests: corev1.ResourceList{corev1.ResourceCPU: cpu},
		Limits:   corev1.ResourceList{corev1.ResourceCPU: cpu, corev1.ResourceMemory: memory},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, want %+v", got, want)
	}
	if got := (*Resources)(nil).ToCore(); !reflect.DeepEqual(got, corev1.ResourceRequirements{}) {
		t.Errorf("nothing becomes %+v", got)
	}
}
