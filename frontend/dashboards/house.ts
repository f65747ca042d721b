/** House defaults of every dashboard: stable ids, legends, thresholds, variables. A panel cannot be made without a description. */
import { PanelBuilder as BarGauge } from '@grafana/grafana-foundation-sdk/bargauge';
import * as common from '@grafana/grafana-foundation-sdk/common';
import * as dashboard from '@grafana/grafana-foundation-sdk/dashboard';
import { PanelBuilder as Heatmap } from '@grafana/grafana-foundation-sdk/heatmap';
import { PanelBuilder as Logs } from '@grafana/grafana-foundation-sdk/logs';
import {
  PanelBuilder as Pie,
  PieChartLegendOptionsBuilder,
  PieChartLegendValues,
  PieChartType,
} from '@grafana/grafana-foundation-sdk/piechart';
import { PanelBuilder as Stat } from '@grafana/grafana-foundation-sdk/stat';
import { PanelBuilder as StateTimeline } from '@grafana/grafana-foundation-sdk/statetimeline';
import { PanelBuilder as Table } from '@grafana/grafana-foundation-sdk/table';
import { PanelBuilder as TimeSeries } from '@grafana/grafana-foundation-sdk/timeseries';

import { DATASOURCE, DATASOURCE_TYPE, type AnySpec, targets } from './query';

/** Dashboard schema of Grafana 12.4 (`DASHBOARD_SCHEMA_VERSION`). */
const SCHEMA_VERSION = 42;

export interface Threshold {
  /** Absent for the base colour. */
  value?: number;
  color: string;
}

export interface PanelSpec {
  /** Stable within its dashboard: alert rules and links point at it. */
  id: number;
  title: string;
  /** What the number means and where it comes from, in a sentence or two. */
  description: string;
  /** Grafana's unit id. */
  unit: string;
  /** Grid width (24 columns) and height. */
  size: [width: number, height: number];
  queries: AnySpec[];
  /** Where to look further. */
  links?: PanelLink[];
  decimals?: number;
  min?: number;
  max?: number;
  thresholds?: Threshold[];
  /** Shown where there is nothing. */
  noValue?: string;
}

export interface PanelLink {
  title: string;
  url: string;
}

interface CommonBuilder<T> {
  id: (id: number) => T;
  title: (title: string) => T;
  description: (text: string) => T;
  datasource: (reference: common.DataSourceRef) => T;
  unit: (unit: string) => T;
  span: (width: number) => T;
  height: (height: number) => T;
  targets: (list: ReturnType<typeof targets>) => T;
  decimals: (count: number) => T;
  min: (value: number) => T;
  max: (value: number) => T;
  noValue: (text: string) => T;
  links: (list: dashboard.DashboardLinkBuilder[]) => T;
  thresholds: (config: dashboard.ThresholdsConfigBuilder) => T;
}

function steps(list: readonly Threshold[]): dashboard.ThresholdsConfigBuilder {
  const built = list.map(({ value, color }) => ({ value: value ?? null, color }));
  return new dashboard.ThresholdsConfigBuilder()
    .mode(dashboard.ThresholdsMode.Absolute)
    .steps(built);
}

function common_<T extends CommonBuilder<T>>(panel: T, spec: PanelSpec): T {
  panel
    .id(spec.id)
    .title(spec.title)
    .description(spec.description)
    .datasource(DATASOURCE)
    .unit(spec.unit)
    .span(spec.size[0])
    .height(spec.size[1])
    .targets(targets(spec.queries));
  if (spec.decimals !== undefined) {
    panel.decimals(spec.decimals);
  }
  if (spec.min !== undefined) {
    panel.min(spec.min);
  }
  if (spec.max !== undefined) {
    panel.max(spec.max);
  }
  if (spec.noValue !== undefined) {
    panel.noValue(spec.noValue);
  }
  if (spec.links !== undefined) {
    const linked = ({ title, url }: PanelLink) =>
      new dashboard.DashboardLinkBuilder(title).type(dashboard.DashboardLinkType.Link).url(url).keepTime(true);
    panel.links(spec.links.map(linked));
  }
  panel.thresholds(steps(spec.thresholds ?? [{ color: 'green' }]));
  return panel;
}

export interface TimeSeriesSpec extends PanelSpec {
  stacked?: boolean;
  fill?: number;
  /** Put the legend in a table with last, mean and maximum at the right. */
  legendTable?: boolean;
  /** Draw the thresholds as lines. */
  showThresholds?: boolean;
}

export function timeSeries(spec: TimeSeriesSpec): TimeSeries {
  const legend = new common.VizLegendOptionsBuilder()
    .showLegend(true)
    .displayMode(spec.legendTable === true ? common.LegendDisplayMode.Table : common.LegendDisplayMode.List)
    .placement(spec.legendTable === true ? common.LegendPlacement.Right : common.LegendPlacement.Bottom)
    .calcs(spec.legendTable === true ? ['lastNotNull', 'mean', 'max'] : []);
  const panel = common_(new TimeSeries(), spec)
    .drawStyle(common.GraphDrawStyle.Line)
    .lineWidth(1)
    .fillOpacity(spec.fill ?? (spec.stacked === true ? 60 : 8))
    .showPoints(common.VisibilityMode.Never)
    .legend(legend)
    .tooltip(
      new common.VizTooltipOptionsBuilder().mode(common.TooltipDisplayMode.Multi).sort(common.SortOrder.Descending)
    )
    .colorScheme(new dashboard.FieldColorBuilder().mode(dashboard.FieldColorModeId.PaletteClassic));
  if (spec.stacked === true) {
    panel.stacking(new common.StackingConfigBuilder().mode(common.StackingMode.Normal).group('A'));
  }
  if (spec.showThresholds === true) {
    panel.thresholdsStyle(
      new common.GraphThresholdsStyleConfigBuilder().mode(common.GraphThresholdsStyleMode.Dashed)
    );
  }
  return panel;
}

function lastValue(): common.ReduceDataOptionsBuilder {
  return new common.ReduceDataOptionsBuilder().calcs(['lastNotNull']).fields('').values(false);
}

export interface StatSpec extends PanelSpec {
  /** Show the course behind the number. */
  sparkline?: boolean;
  mappings?: dashboard.ValueMapping[];
  textMode?: common.BigValueTextMode;
}

export function stat(spec: StatSpec): Stat {
  const panel = common_(new Stat(), spec)
    .reduceOptions(lastValue())
    .graphMode(spec.sparkline === true ? common.BigValueGraphMode.Area : common.BigValueGraphMode.None)
    .colorMode(common.BigValueColorMode.Value)
    .justifyMode(common.BigValueJustifyMode.Auto)
    .textMode(spec.textMode ?? common.BigValueTextMode.Auto)
    .orientation(common.VizOrientation.Auto)
    .colorScheme(new dashboard.FieldColorBuilder().mode(dashboard.FieldColorModeId.Thresholds));
  if (spec.mappings !== undefined) {
    panel.mappings(spec.mappings);
  }
  return panel;
}

export function barGauge(spec: PanelSpec): BarGauge {
  return common_(new BarGauge(), spec)
    .reduceOptions(lastValue())
    .displayMode(common.BarGaugeDisplayMode.Basic)
    .valueMode(common.BarGaugeValueMode.Text)
    .orientation(common.VizOrientation.Horizontal)
    .showUnfilled(true)
    .colorScheme(new dashboard.FieldColorBuilder().mode(dashboard.FieldColorModeId.Thresholds));
}

export interface TableSpec extends PanelSpec {
  /** Columns not shown. */
  hide?: string[];
  /** Column name -> heading. */
  rename?: Record<string, string>;
  /** Column name -> unit, where it differs from the panel's. */
  units?: Record<string, string>;
  /** Column order by original name. */
  order?: string[];
  /** Joins the queries by this column. */
  joinBy?: string;
}

export function table(spec: TableSpec): Table {
  const panel = common_(new Table(), spec).showHeader(true).cellHeight(common.TableCellHeight.Sm);
  if (spec.joinBy !== undefined) {
    panel.withTransformation({ id: 'joinByField', options: { byField: spec.joinBy, mode: 'outer' } });
  }
  panel.withTransformation({
    id: 'organize',
    options: {
      excludeByName: Object.fromEntries((spec.hide ?? []).map((name) => [name, true])),
      indexByName: Object.fromEntries((spec.order ?? []).map((name, index) => [name, index])),
      renameByName: spec.rename ?? {},
    },
  });
  for (const [name, unit] of Object.entries(spec.units ?? {})) {
    panel.overrideByName(name, [{ id: 'unit', value: unit }]);
  }
  return panel;
}

export interface StateTimelineSpec extends PanelSpec {
  mappings: dashboard.ValueMapping[];
}

export function stateTimeline(spec: StateTimelineSpec): StateTimeline {
  return common_(new StateTimeline(), spec)
    .mappings(spec.mappings)
    .mergeValues(true)
    .showValue(common.VisibilityMode.Never)
    .rowHeight(0.8)
    .lineWidth(0)
    .fillOpacity(80)
    .legend(
      new common.VizLegendOptionsBuilder()
        .showLegend(true)
        .displayMode(common.LegendDisplayMode.List)
        .placement(common.LegendPlacement.Bottom)
        .calcs([])
    )
    .tooltip(new common.VizTooltipOptionsBuilder().mode(common.TooltipDisplayMode.Single).sort(common.SortOrder.None))
    .colorScheme(new dashboard.FieldColorBuilder().mode(dashboard.FieldColorModeId.Thresholds));
}

/** Shares of a whole, now. */
export function pie(spec: PanelSpec): Pie {
  return common_(new Pie(), spec)
    .reduceOptions(lastValue())
    .pieType(PieChartType.Donut)
    .legend(
      new PieChartLegendOptionsBuilder()
        .showLegend(true)
        .displayMode(common.LegendDisplayMode.List)
        .placement(common.LegendPlacement.Right)
        .values([PieChartLegendValues.Value])
    )
    .colorScheme(new dashboard.FieldColorBuilder().mode(dashboard.FieldColorModeId.PaletteClassic));
}

export function heatmap(spec: PanelSpec): Heatmap {
  return common_(new Heatmap(), spec).calculate(false).cellGap(1).showLegend();
}

/** Log lines, newest first. */
export function logs(spec: PanelSpec): Logs {
  return common_(new Logs(), spec)
    .showTime(true)
    .wrapLogMessage(true)
    .enableLogDetails(true)
    .sortOrder(common.LogsSortOrder.Descending)
    .dedupStrategy(common.LogsDedupStrategy.None);
}

/** Value mapping `0 -> ..., 1 -> ...`. */
export function valueMap(entries: Record<string, { text: string; color: string }>): dashboard.ValueMapping {
  const options = Object.fromEntries(
    Object.entries(entries).map(([value, { text, color }], index) => [value, { text, color, index }])
  );
  return { type: dashboard.MappingType.ValueToText, options };
}

export function row(id: number, title: string): dashboard.RowBuilder {
  return new dashboard.RowBuilder(title).id(id);
}

/** The variable that chooses the datasource; first in every dashboard. */
export function datasourceVariable(): dashboard.DatasourceVariableBuilder {
  return new dashboard.DatasourceVariableBuilder('ds').label('Data source').type(DATASOURCE_TYPE).multi(false);
}

/** A variable somebody types. */
export function textVariable(name: string, label: string, value: string): dashboard.TextBoxVariableBuilder {
  return new dashboard.TextBoxVariableBuilder(name)
    .label(label)
    .defaultValue(value)
    .current({ text: value, value });
}

/** A variable filled with the values of a label. */
export function labelVariable(
  name: string,
  label: string,
  query: string,
  multi: boolean
): dashboard.QueryVariableBuilder {
  const variable = new dashboard.QueryVariableBuilder(name)
    .label(label)
    .datasource(DATASOURCE)
    .query(query)
    .refresh(dashboard.VariableRefresh.OnTimeRangeChanged)
    .sort(dashboard.VariableSort.NaturalAsc)
    .multi(multi)
    .includeAll(multi);
  return multi ? variable.allValue('.*').current({ text: ['All'], value: ['$__all'] }) : variable;
}

export interface DashboardSpec {
  uid: string;
  title: string;
  description: string;
  tags: string[];
  /** Default range, for example `now-1h`. */
  from: string;
}

/** A dashboard with the house's settings: not editable, shared crosshair, links to its siblings. */
export function house(spec: DashboardSpec): dashboard.DashboardBuilder {
  return new dashboard.DashboardBuilder(spec.title)
    .uid(spec.uid)
    .description(spec.description)
    .tags(['podscope', ...spec.tags])
    .time({ from: spec.from, to: 'now' })
    .refresh('10s')
    .timezone('browser')
    .readonly()
    .tooltip(dashboard.DashboardCursorSync.Crosshair)
    .link(
      new dashboard.DashboardLinkBuilder('Podscope')
        .type(dashboard.DashboardLinkType.Dashboards)
        .tags(['podscope'])
        .asDropdown(true)
        .keepTime(true)
        .includeVars(false)
    )
    .withVariable(datasourceVariable());
}

/** The dashboard as classic JSON, as file provisioning of Grafana 11.6 to 13 reads it. */
export function toJson(builder: dashboard.DashboardBuilder, annotations: Record<string, unknown>[] = []): string {
  const built = { ...builder.build(), schemaVersion: SCHEMA_VERSION, annotations: { list: annotations } };
  return `${JSON.stringify(built, null, 2)}\n`;
}
