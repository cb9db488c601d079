package manifests

import (
	"encoding/json"
	"fmt"
	"slices"

	"github.com/grafana/grafana-foundation-sdk/go/cog"
	"github.com/grafana/grafana-foundation-sdk/go/cog/variants"
	"github.com/grafana/grafana-foundation-sdk/go/common"
	"github.com/grafana/grafana-foundation-sdk/go/dashboard"
	"github.com/grafana/grafana-foundation-sdk/go/loki"
	"github.com/grafana/grafana-foundation-sdk/go/prometheus"
)

// board is a dashboard, as it is described in dashboards_*.go.
type board struct {
	uid, title string
	// about is what it answers, in a sentence.
	about string
	// needs are the components that it asks.
	needs     []string
	variables []variable
	panels    []panel
}

// variable is a choice at the top of a dashboard.
type variable struct {
	name, label, source string
	// query of values, in the source's own form.
	query any
	// several may be chosen, or all.
	several bool
}

// panel is a box of a dashboard.
type panel struct {
	title, about string
	kind         panelKind
	// unit as Grafana calls it, e.g. s or percentunit.
	unit string
	// width of 24, and height; 0 means the kind's usual one.
	width, height uint32
	source        string
	queries       []query
}

// query of a panel, with the legend of what comes of it.
type query struct{ expr, legend string }

// Names of data sources: their uids and their types.
const (
	sourcePrometheus = "prometheus"
	sourceLoki       = "loki"
	sourceJaeger     = "jaeger"
)

// stackVariable chooses the stack, serviceVariable one or more of its services.
var (
	stackVariable   = variable{name: "stack", label: "Stack", source: sourcePrometheus, query: "label_values(up, stack)"}
	serviceVariable = variable{name: "service", label: "Service", source: sourcePrometheus, query: `label_values(http_requests_total{stack="$stack"}, service)`, several: true}
)

// boards are all dashboards. None of them depends on a stack: it is chosen at the top.
func boards() []board {
	return slices.Concat(requestBoards(), placeBoards(), watcherBoards())
}

// boards that can be filled: whoever they ask is there.
func (r *addonRenderer) boards() []board {
	return slices.DeleteFunc(boards(), func(b board) bool {
		return slices.ContainsFunc(b.needs, func(c string) bool { return !r.wants(c) })
	})
}

// dashboards are the folders of Grafana with its dashboards, one in each: a ConfigMap holds 1 MiB, and a change of one
// touches no other.
func (r *addonRenderer) dashboards() ([]configFolder, error) {
	var out []configFolder
	for _, b := range r.boards() {
		text, err := b.json()
		if err != nil {
			return nil, err
		}
		out = append(out, configFolder{
			use: "board-" + b.name(), dir: grafanaDashboardDir + "/" + b.uid, files: map[string]string{b.uid + ".json": string(text)}, stable: true,
		})
	}
	return out, nil
}

// name of a dashboard without what all of them begin with.
func (b board) name() string { return b.uid[len("mockup-"):] }

// json is the classic form of the dashboard, which file provisioning takes.
func (b board) json() ([]byte, error) {
	builder := dashboard.NewDashboardBuilder(b.title).
		Uid(b.uid).Description(b.about).Tags([]string{"mockup"}).Readonly().
		Time("now-1h", "now").Refresh("30s").Timezone("browser").
		Tooltip(dashboard.DashboardCursorSyncCrosshair).
		Link(dashboard.NewDashboardLinkBuilder("mockup").Type(dashboard.DashboardLinkTypeDashboards).
			Tags([]string{"mockup"}).AsDropdown(true).IncludeVars(true).KeepTime(true))
	for _, v := range b.variables {
		builder.WithVariable(v.builder())
	}
	for i := range b.panels {
		builder.WithPanel(b.panels[i].builder(uint32(i) + 1))
	}
	built, err := builder.Build()
	if err != nil {
		return nil, fmt.Errorf("building dashboard %s: %w", b.uid, err)
	}
	text, err := json.Marshal(built)
	if err != nil {
		return nil, fmt.Errorf("writing dashboard %s: %w", b.uid, err)
	}
	return text, nil
}

func (v variable) builder() cog.Builder[dashboard.VariableModel] {
	builder := dashboard.NewQueryVariableBuilder(v.name).Label(v.label).Datasource(sourceRef(v.source)).
		Refresh(dashboard.VariableRefreshOnTimeRangeChanged).Sort(dashboard.VariableSortAlphabeticalAsc)
	switch q := v.query.(type) {
	case string:
		builder.Query(dashboard.StringOrMap{String: &q})
	case map[string]any:
		builder.Query(dashboard.StringOrMap{Map: q})
	}
	if v.several {
		all := dashboard.StringOrArrayOfString{String: ptr("$__all")}
		builder.Multi(true).IncludeAll(true).AllValue(".+").
			Current(dashboard.VariableOption{Text: dashboard.StringOrArrayOfString{String: ptr("All")}, Value: all})
	}
	return builder
}

func sourceRef(source string) common.DataSourceRef {
	return common.DataSourceRef{Type: ptr(source), Uid: ptr(source)}
}

// targets are the queries of a panel, A, B, and so on.
func (p *panel) targets() []cog.Builder[variants.Dataquery] {
	var out []cog.Builder[variants.Dataquery]
	for i, q := range p.queries {
		id := string(rune('A' + i))
		switch p.source {
		case sourceLoki:
			out = append(out, loki.NewDataqueryBuilder().RefId(id).Datasource(sourceRef(sourceLoki)).Expr(q.expr).LegendFormat(q.legend).QueryType("range"))
		case sourceJaeger:
			out = append(out, jaegerQuery{id: id, kind: q.expr})
		default:
			b := prometheus.NewDataqueryBuilder().RefId(id).Datasource(sourceRef(sourcePrometheus)).Expr(q.expr).LegendFormat(q.legend)
			if p.kind == kindTable {
				b.Instant().Format(prometheus.PromQueryFormatTable)
			} else {
				b.Range().Exemplar(p.kind == kindGraph)
			}
			out = append(out, b)
		}
	}
	return out
}

// jaegerQuery is a query that the SDK has no type for: search, for the newest traces of the chosen service, or
// dependencyGraph.
type jaegerQuery struct{ id, kind string }

// Build makes the query as Grafana's own editor writes it.
func (q jaegerQuery) Build() (variants.Dataquery, error) {
	out := variants.UnknownDataquery{
		"refId": q.id, "queryType": q.kind, "datasource": map[string]string{"type": sourceJaeger, "uid": sourceJaeger},
	}
	if q.kind == "search" {
		out["service"], out["limit"] = "$service", 50
	}
	return out, nil
}
