package observability

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"testing"
	"time"

	collector "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	common "go.opentelemetry.io/proto/otlp/common/v1"
	resource "go.opentelemetry.io/proto/otlp/resource/v1"
	otlp "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/protobuf/proto"

	"mockup.dev/mockup/api/v1alpha1"
)

// way in for traces, on a port of the host.
type way struct {
	protocol v1alpha1.TraceProtocol
	port     int32
	send     func(ctx context.Context, address string, s span) error
}

// ways are all that spec.tracing.ingest can open, each on its usual port.
var ways = []way{
	{v1alpha1.TraceOTLPGRPC, 4317, sendOTLPGRPC},
	{v1alpha1.TraceOTLPHTTP, 4318, sendOTLPHTTP},
	{v1alpha1.TraceJaegerGRPC, 14250, sendJaegerGRPC},
	{v1alpha1.TraceJaegerHTTP, 14268, sendJaegerHTTP},
	{v1alpha1.TraceJaegerCompact, 6831, sendJaegerCompact},
}

// span of a program outside of the stack. What it says of itself is the same in every protocol.
type span struct {
	traceID       [16]byte
	spanID        [8]byte
	service, name string
	start         time.Time
	duration      time.Duration
}

func newSpan(service string) span {
	s := span{service: service, name: "count sheep", start: time.Now().Add(-time.Second).Truncate(time.Microsecond), duration: 250 * time.Millisecond}
	_, _ = rand.Read(s.traceID[:]) // never fails
	_, _ = rand.Read(s.spanID[:])
	return s
}

// ingest sends a span by each way in, and finds it as it was.
func (w *watched) ingest(t *testing.T) {
	for _, way := range ways {
		s := newSpan("sheep-by-" + string(way.protocol))
		must(t, way.send(t.Context(), fmt.Sprintf("127.0.0.1:%d", way.port), s))
		eventually(t, "the span that came by "+string(way.protocol), patience, func() error {
			var answer struct{ Data []sheep }
			if err := get(jaeger+"/api/traces", url.Values{"service": {s.service}, "lookback": {"1h"}}, &answer); err != nil {
				return err
			}
			want := sheep{TraceID: hex.EncodeToString(s.traceID[:]), Spans: []sheepSpan{{
				SpanID: hex.EncodeToString(s.spanID[:]), OperationName: s.name, StartTime: s.start.UnixMicro(), Duration: s.duration.Microseconds(),
			}}}
			if got := fmt.Sprintf("%+v", answer.Data); got != fmt.Sprintf("%+v", []sheep{want}) {
				return fmt.Errorf("there is %s, want %+v", got, want)
			}
			return nil
		})
	}
}

// sheep is a trace as Jaeger tells of it, with its times in microseconds.
type sheep struct {
	TraceID string
	Spans   []sheepSpan
}

type sheepSpan struct {
	SpanID, OperationName string
	StartTime, Duration   int64
}

func (s span) otlp() *collector.ExportTraceServiceRequest {
	name := &common.AnyValue{Value: &common.AnyValue_StringValue{StringValue: s.service}}
	return &collector.ExportTraceServiceRequest{ResourceSpans: []*otlp.ResourceSpans{{
		Resource: &resource.Resource{Attributes: []*common.KeyValue{{Key: "service.name", Value: name}}},
		ScopeSpans: []*otlp.ScopeSpans{{Spans: []*otlp.Span{{
			TraceId: s.traceID[:], SpanId: s.spanID[:], Name: s.name,
			StartTimeUnixNano: uint64(s.start.UnixNano()), EndTimeUnixNano: uint64(s.start.Add(s.duration).UnixNano()),
		}}}},
	}}}
}

func sendOTLPGRPC(ctx context.Context, address string, s span) error {
	conn, err := grpc.NewClient(address, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		return err
	}
	defer conn.Close()
	answer, err := collector.NewTraceServiceClient(conn).Export(ctx, s.otlp())
	if n := answer.GetPartialSuccess().GetRejectedSpans(); err == nil && n != 0 {
		err = fmt.Errorf("%d spans were rejected: %s", n, answer.GetPartialSuccess().GetErrorMessage())
	}
	return err
}

func sendOTLPHTTP(ctx context.Context, address string, s span) error {
	body, err := proto.Marshal(s.otlp())
	if err != nil {
		return err
	}
	return postSpan(ctx, "http://"+address+"/v1/traces", "application/x-protobuf", body)
}

func postSpan(ctx context.Context, address, kind string, body []byte) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, address, bytes.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", kind)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode/100 != 2 {
		text, _ := io.ReadAll(resp.Body) // of an error
		return fmt.Errorf("%s: %s: %s", address, resp.Status, text)
	}
	return nil
}

// sendJaegerGRPC is Jaeger's own protocol of old, jaeger.api_v2.CollectorService. Its fields are written by their numbers
// (github.com/jaegertracing/jaeger-idl, proto/api_v2/model.proto), so that no package has to be had for one message.
func sendJaegerGRPC(ctx context.Context, address string, s span) error {
	conn, err := grpc.NewClient(address, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		return err
	}
	defer conn.Close()
	one := protoMessage{}.bytes(1, s.traceID[:]).bytes(2, s.spanID[:]).bytes(3, []byte(s.name)).number(5, 1).
		bytes(6, protoMessage{}.number(1, uint64(s.start.Unix())).number(2, uint64(s.start.Nanosecond()))).
		bytes(7, protoMessage{}.number(2, uint64(s.duration.Nanoseconds())))
	batch := protoMessage{}.bytes(1, one).bytes(2, protoMessage{}.bytes(1, []byte(s.service)))
	request, answer := []byte(protoMessage{}.bytes(1, batch)), []byte(nil)
	return conn.Invoke(ctx, "/jaeger.api_v2.CollectorService/PostSpans", &request, &answer, grpc.ForceCodec(asItIs{}))
}

func sendJaegerHTTP(ctx context.Context, address string, s span) error {
	return postSpan(ctx, "http://"+address+"/api/traces?format=jaeger.thrift", "application/x-thrift", s.thriftBatch(&thriftBinary{}))
}

// sendJaegerCompact is what the clients of old sent to an agent: the oneway call emitBatch, in one datagram.
func sendJaegerCompact(_ context.Context, address string, s span) error {
	conn, err := net.Dial("udp", address)
	if err != nil {
		return err
	}
	defer conn.Close()
	const protocol, version, oneway, name = 0x82, 1, 4 << 5, "emitBatch"
	call := append([]byte{protocol, version | oneway, 0, byte(len(name))}, name...)
	arguments := &thriftCompact{out: call, last: []int16{0}}
	arguments.field(12, 1) // the only one
	arguments.out = append(arguments.out, s.thriftBatch(&thriftCompact{})...)
	arguments.close()
	_, err = conn.Write(arguments.out)
	return err
}
