package main

import (
	"encoding/hex"
	"net/http"
	"slices"
	"time"

	. "github.com/onsi/ginkgo/v2" //nolint:revive // specs read best without a qualifier
	. "github.com/onsi/gomega"    //nolint:revive // specs read best without a qualifier
	trace "go.opentelemetry.io/proto/otlp/trace/v1"

	"mockup.dev/mockup/workloads/internal/servicetest"
)

var _ = Describe("Traces", func() {
	var collector *servicetest.Collector
	var app, files *servicetest.Process
	BeforeEach(func() {
		collector = servicetest.NewCollector()
		DeferCleanup(collector.Close)
		app, files = startBoth("OTEL_EXPORTER_OTLP_ENDPOINT=" + collector.URL)
	})
	// spansOf waits for the spans of a service and a kind in one trace.
	spansOf := func(traceID, service string, kind trace.Span_SpanKind) (found []servicetest.Span) {
		GinkgoHelper()
		Eventually(func() []servicetest.Span {
			found = slices.DeleteFunc(collector.Spans(), func(s servicetest.Span) bool {
				return hex.EncodeToString(s.TraceId) != traceID || s.Service != service || s.Kind != kind
			})
			return found
		}).WithTimeout(10 * time.Second).ShouldNot(BeEmpty())
		return found
	}

	It("lead from the visitor through public-app to mime-server, with the logs of both", func() {
		const traceID, caller = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
		answer := upload(app.URL, []string{"Accept", "application/json", "Traceparent", "00-" + traceID + "-" + caller + "-01",
			"X-Request-Id", "request-1"}, "a.txt", "x")
		Expect(answer.StatusCode).To(Equal(http.StatusCreated))
		Expect(answer.Header.Get("X-Request-Id")).To(Equal("request-1"))

		server := spansOf(traceID, "public-app", trace.Span_SPAN_KIND_SERVER)[0]
		Expect(hex.EncodeToString(server.ParentSpanId)).To(Equal(caller))
		Expect(server.Name).To(Equal("POST /upload"))
		client := spansOf(traceID, "public-app", trace.Span_SPAN_KIND_CLIENT)[0]
		Expect(client.ParentSpanId).To(Equal(server.SpanId))
		store := spansOf(traceID, "mime-server", trace.Span_SPAN_KIND_SERVER)[0]
		Expect(store.ParentSpanId).To(Equal(client.SpanId))
		Expect(store.Name).To(Equal("POST /files"))

		for _, process := range []*servicetest.Process{app, files} {
			var lines []map[string]any
			Eventually(func() []map[string]any {
				lines = slices.DeleteFunc(process.Logs(), func(line map[string]any) bool { return line["msg"] != "request" })
				return lines
			}).ShouldNot(BeEmpty())
			Expect(lines[0]).To(And(HaveKeyWithValue("trace_id", traceID), HaveKeyWithValue("request_id", "request-1")))
		}
	})

	It("begin here where the visitor brings none, and leave probes out", func() {
		get(app.URL + "/healthz")
		get(app.URL + "/readyz")
		Expect(get(app.URL + "/").StatusCode).To(Equal(http.StatusOK))
		var traceID string
		Eventually(func() bool {
			return slices.ContainsFunc(app.Logs(), func(line map[string]any) bool {
				traceID, _ = line["trace_id"].(string)
				return line["msg"] == "request"
			})
		}).Should(BeTrue())
		root := spansOf(traceID, "public-app", trace.Span_SPAN_KIND_SERVER)[0]
		Expect(root.ParentSpanId).To(BeEmpty())
		spansOf(traceID, "mime-server", trace.Span_SPAN_KIND_SERVER)
		for _, span := range collector.Spans() {
			Expect(span.Name).NotTo(ContainSubstring("z"), "probes would drown the rest")
		}
	})

	It("are sent to the last span before the end", func() {
		app.Kill()
		app = start("public-app", "MIME_SERVER_URL="+files.URL, "OTEL_EXPORTER_OTLP_ENDPOINT="+collector.URL, "OTEL_BSP_SCHEDULE_DELAY=600000")
		const traceID = "1af7651916cd43dd8448eb211c80319c"
		get(app.URL+"/", "Traceparent", "00-"+traceID+"-b7ad6b7169203331-01")
		Expect(app.Stop()).To(Equal(0))
		spansOf(traceID, "public-app", trace.Span_SPAN_KIND_SERVER)
	})

	It("harm nothing when the collector is away", func() {
		collector.Close()
		Expect(get(app.URL + "/").StatusCode).To(Equal(http.StatusOK))
		Eventually(func() string { return app.Output() }).WithTimeout(10 * time.Second).Should(ContainSubstring("exporting traces failed"))
		Expect(app.Stop()).To(Equal(0))
	})
})
