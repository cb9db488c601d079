package manifests

import (
	"cmp"

	"github.com/grafana/grafana-foundation-sdk/go/cog"
	"github.com/grafana/grafana-foundation-sdk/go/common"
	"github.com/grafana/grafana-foundation-sdk/go/dashboard"
	"github.com/grafana/grafana-foundation-sdk/go/logs"
	"github.com/grafana/grafana-foundation-sdk/go/nodegraph"
	"github.com/grafana/grafana-foundation-sdk/go/stat"
	"github.com/grafana/grafana-foundation-sdk/go/table"
	"github.com/grafana/grafana-foundation-sdk/go/timeseries"
)

// panelKind is how a panel shows what it found.
type panelKind int

// The kinds of panels: lines over time, the newest number, a table of the newest, lines of a log, a graph of who calls whom.
const (
	kindGraph panelKind = iota
	kindStat
	kindTable
	kindLogs
	kindNodes
)

// builder of the panel in the words of its kind.
func (p *panel) builder(id uint32) cog.Builder[dashboard.Panel] {
	source := sourceRef(cmp.Or(p.source, sourcePrometheus))
	switch p.kind {
	case kindStat:
		return stat.NewPanelBuilder().Id(id).Title(p.title).Description(p.about).Datasource(source).Targets(p.targets()).
			Unit(p.unit).Span(cmp.Or(p.width, 6)).Height(cmp.Or(p.height, 5)).
			ReduceOptions(common.NewReduceDataOptionsBuilder().Calcs([]string{"lastNotNull"})).
			GraphMode(common.BigValueGraphModeArea)
	case kindTable:
		return table.NewPanelBuilder().Id(id).Title(p.title).Description(p.about).Datasource(source).Targets(p.targets()).
			Unit(p.unit).Span(cmp.Or(p.width, 24)).Height(cmp.Or(p.height, 8))
	case kindLogs:
		return logs.NewPanelBuilder().Id(id).Title(p.title).Description(p.about).Datasource(source).Targets(p.targets()).
			Span(cmp.Or(p.width, 24)).Height(cmp.Or(p.height, 16)).
			ShowTime(true).WrapLogMessage(true).EnableLogDetails(true).SortOrder(common.LogsSortOrderDescending)
	case kindNodes:
		return nodegraph.NewPanelBuilder().Id(id).Title(p.title).Description(p.about).Datasource(source).Targets(p.targets()).
			Span(cmp.Or(p.width, 24)).Height(cmp.Or(p.height, 12))
	default:
		return timeseries.NewPanelBuilder().Id(id).Title(p.title).Description(p.about).Datasource(source).Targets(p.targets()).
			Unit(p.unit).Span(cmp.Or(p.width, 12)).Height(cmp.Or(p.height, 8)).Min(0).
			FillOpacity(10).ShowPoints(common.VisibilityModeNever)
	}
}
