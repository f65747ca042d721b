// The PromQL oracle: Prometheus's own engine over samples held in memory.
//
// Each line on stdin is a question: a data set, a grid and expressions. Each line on stdout is its answer, one result per
// expression, in order. The engine has the options of a Prometheus server that was not told otherwise.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"sort"
	"strconv"
	"time"

	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/tsdb/chunkenc"
	"github.com/prometheus/prometheus/tsdb/chunks"
	"github.com/prometheus/prometheus/util/annotations"
)

// bits is a float64 as the 16 hexadecimal digits of its bits: NaN, infinities and the stale marker survive.
type bits float64

func (b bits) MarshalText() ([]byte, error) {
	return fmt.Appendf(nil, "%016x", math.Float64bits(float64(b))), nil
}

func (b *bits) UnmarshalText(text []byte) error {
	value, err := strconv.ParseUint(string(text), 16, 64)
	*b = bits(math.Float64frombits(value))
	return err
}

type series struct {
	Labels map[string]string `json:"labels"`
	Times  []int64           `json:"times"`
	Values []bits            `json:"values"`
}

type question struct {
	// Series replaces the data set; absent, the last one is kept.
	Series     []series `json:"series,omitempty"`
	StartMS    int64    `json:"start_ms"`
	EndMS      int64    `json:"end_ms"`
	StepMS     int64    `json:"step_ms"`
	Instant    bool     `json:"instant"`
	LookbackMS int64    `json:"lookback_ms"`
	Exprs      []string `json:"exprs"`
}

type result struct {
	// Kind is "scalar", "string", "vector" or "matrix"; empty with an error.
	Kind   string   `json:"kind,omitempty"`
	Error  string   `json:"error,omitempty"`
	Text   string   `json:"text,omitempty"`
	Series []series `json:"series,omitempty"`
	// Notes are warnings and infos, without their places.
	Notes []string `json:"notes,omitempty"`
}

func main() {
	if err := serve(os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func serve(in io.Reader, out io.Writer) error {
	engine := promql.NewEngine(promql.EngineOpts{
		MaxSamples:               50_000_000,
		Timeout:                  2 * time.Minute,
		LookbackDelta:            5 * time.Minute,
		NoStepSubqueryIntervalFn: func(int64) int64 { return 60_000 },
		EnableAtModifier:         true,
		EnableNegativeOffset:     true,
		Parser:                   parser.NewParser(parser.Options{}),
	})
	reader := bufio.NewReaderSize(in, 1<<20)
	writer := json.NewEncoder(out)
	var data memory
	for {
		line, err := reader.ReadBytes('\n')
		if errors.Is(err, io.EOF) && len(line) == 0 {
			return nil
		}
		if err != nil && !errors.Is(err, io.EOF) {
			return err
		}
		var asked question
		if err := json.Unmarshal(line, &asked); err != nil {
			return err
		}
		if asked.Series != nil {
			data = newMemory(asked.Series)
		}
		answers := make([]result, 0, len(asked.Exprs))
		for _, expr := range asked.Exprs {
			answers = append(answers, ask(engine, data, asked, expr))
		}
		if err := writer.Encode(answers); err != nil {
			return err
		}
	}
}

func ask(engine *promql.Engine, data memory, asked question, expr string) result {
	ctx := context.Background()
	opts := promql.NewPrometheusQueryOpts(false, time.Duration(asked.LookbackMS)*time.Millisecond)
	var query promql.Query
	var err error
	if asked.Instant {
		query, err = engine.NewInstantQuery(ctx, data, opts, expr, time.UnixMilli(asked.StartMS))
	} else {
		step := time.Duration(asked.StepMS) * time.Millisecond
		query, err = engine.NewRangeQuery(ctx, data, opts, expr, time.UnixMilli(asked.StartMS), time.UnixMilli(asked.EndMS), step)
	}
	if err != nil {
		return result{Error: err.Error()}
	}
	defer query.Close()
	return render(query.Exec(ctx), asked.StartMS)
}

func render(answer *promql.Result, at int64) result {
	if answer.Err != nil {
		return result{Error: answer.Err.Error()}
	}
	found := result{Kind: string(answer.Value.Type())}
	for _, note := range answer.Warnings {
		found.Notes = append(found.Notes, text(note))
	}
	sort.Strings(found.Notes)
	switch value := answer.Value.(type) {
	case promql.String:
		found.Text = value.V
	case promql.Scalar:
		found.Series = []series{{Times: []int64{at}, Values: []bits{bits(value.V)}}}
	case promql.Vector:
		for _, sample := range value {
			found.Series = append(found.Series, series{Labels: sample.Metric.Map(), Times: []int64{sample.T}, Values: []bits{bits(sample.F)}})
		}
	case promql.Matrix:
		for _, line := range value {
			one := series{Labels: line.Metric.Map()}
			for _, point := range line.Floats {
				one.Times = append(one.Times, point.T)
				one.Values = append(one.Values, bits(point.F))
			}
			found.Series = append(found.Series, one)
		}
	}
	return found
}

// text is the note without the place it points at.
func text(note error) string {
	for _, known := range []error{
		annotations.InvalidQuantileWarning, annotations.BadBucketLabelWarning, annotations.PossibleNonCounterInfo,
		annotations.HistogramQuantileForcedMonotonicityInfo, annotations.SortInRangeQueryWarning,
	} {
		if errors.Is(note, known) {
			return known.Error()
		}
	}
	return note.Error()
}

// memory is a storage.Queryable over samples in memory.
type memory []storedSeries

type storedSeries struct {
	labels  labels.Labels
	samples []chunks.Sample
}

func newMemory(list []series) memory {
	data := make(memory, 0, len(list))
	for _, one := range list {
		stored := storedSeries{labels: labels.FromMap(one.Labels)}
		for i, t := range one.Times {
			stored.samples = append(stored.samples, floatSample{t: t, f: float64(one.Values[i])})
		}
		data = append(data, stored)
	}
	sort.Slice(data, func(i, j int) bool { return labels.Compare(data[i].labels, data[j].labels) < 0 })
	return data
}

func (m memory) Querier(mint, maxt int64) (storage.Querier, error) {
	return querier{data: m, mint: mint, maxt: maxt}, nil
}

type querier struct {
	storage.Querier
	data       memory
	mint, maxt int64
}

func (querier) Close() error { return nil }

// Select trims to the hints as the TSDB does: what a selector cannot need is not there.
func (q querier) Select(_ context.Context, _ bool, hints *storage.SelectHints, matchers ...*labels.Matcher) storage.SeriesSet {
	set := &seriesSet{at: -1}
	mint, maxt := q.mint, q.maxt
	if hints != nil {
		mint, maxt = hints.Start, hints.End
	}
next:
	for _, one := range q.data {
		for _, matcher := range matchers {
			if !matcher.Matches(one.labels.Get(matcher.Name)) {
				continue next
			}
		}
		first := sort.Search(len(one.samples), func(i int) bool { return one.samples[i].T() >= mint })
		last := sort.Search(len(one.samples), func(i int) bool { return one.samples[i].T() > maxt })
		if first < last {
			set.list = append(set.list, storage.NewListSeries(one.labels, one.samples[first:last]))
		}
	}
	return set
}

type seriesSet struct {
	list []storage.Series
	at   int
}

func (s *seriesSet) Next() bool                      { s.at++; return s.at < len(s.list) }
func (s *seriesSet) At() storage.Series              { return s.list[s.at] }
func (*seriesSet) Err() error                        { return nil }
func (*seriesSet) Warnings() annotations.Annotations { return nil }

type floatSample struct {
	t int64
	f float64
}

func (s floatSample) T() int64                    { return s.t }
func (floatSample) ST() int64                     { return 0 }
func (s floatSample) F() float64                  { return s.f }
func (floatSample) H() *histogram.Histogram       { return nil }
func (floatSample) FH() *histogram.FloatHistogram { return nil }
func (floatSample) Type() chunkenc.ValueType      { return chunkenc.ValFloat }
func (s floatSample) Copy() chunks.Sample         { return s }
