package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strconv"
	"strings"

	"github.com/grafana/dataplane/sdata/numeric"
	"github.com/grafana/dataplane/sdata/reader"
	"github.com/grafana/dataplane/sdata/timeseries"
	"github.com/grafana/grafana-plugin-sdk-go/data"
)

// judgeFolder decodes NAME.0.arrow, NAME.1.arrow, ... and compares each with the element of the same number of the list
// in NAME.json, which holds what Podscope believes Grafana's browser receives.
func judgeFolder(v *verdict, folder string) error {
	files, err := filepath.Glob(filepath.Join(folder, "*.arrow"))
	if err != nil {
		return err
	}
	for _, file := range files {
		v.check(filepath.Base(file), judgeFile(file))
	}
	return nil
}

func judgeFile(file string) error {
	raw, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	frame, err := data.UnmarshalArrowFrame(raw)
	if err != nil {
		return fmt.Errorf("the SDK refuses the frame: %w", err)
	}
	stem := strings.TrimSuffix(file, ".arrow")
	number, err := strconv.Atoi(strings.TrimPrefix(filepath.Ext(stem), "."))
	if err != nil {
		return fmt.Errorf("the file name lacks its number: %w", err)
	}
	text, err := os.ReadFile(strings.TrimSuffix(stem, filepath.Ext(stem)) + ".json")
	if err != nil {
		return err
	}
	var expected []any
	if err := json.Unmarshal(text, &expected); err != nil {
		return err
	}
	if number >= len(expected) {
		return fmt.Errorf("the list has only %d frames", len(expected))
	}
	if err := sameJSON(frame, expected[number]); err != nil {
		return err
	}
	return wellFormed(frame)
}

// sameJSON compares what Grafana would send to the browser with what was expected.
func sameJSON(frame *data.Frame, expected any) error {
	text, err := data.FrameToJSON(frame, data.IncludeAll)
	if err != nil {
		return err
	}
	var actual any
	if err := json.Unmarshal(text, &actual); err != nil {
		return err
	}
	if !reflect.DeepEqual(actual, expected) {
		want, _ := json.Marshal(expected)
		return fmt.Errorf("Grafana sends\n  %s\nexpected\n  %s", text, want)
	}
	return nil
}

// readable reads a whole answer as Grafana's server-side expressions and alert rules do (pkg/expr/dataplane.go) and counts
// the series or numbers in it.
func readable(frames data.Frames) (int, error) {
	kind, err := reader.CanReadBasedOnMeta(frames)
	if err != nil {
		return 0, err
	}
	switch kind.Kind() {
	case data.KindTimeSeries:
		collection, err := timeseries.CollectionReaderFromFrames(frames)
		if err != nil {
			return 0, err
		}
		refs, err := collection.GetCollection(false)
		return len(refs.Refs), err
	case data.KindNumeric:
		collection, err := numeric.CollectionReaderFromFrames(frames)
		if err != nil {
			return 0, err
		}
		refs, err := collection.GetCollection(false)
		return len(refs.Refs), err
	}
	return 0, fmt.Errorf("expressions cannot read type %q", kind)
}

// wellFormed holds a frame to what its type promises.
func wellFormed(frame *data.Frame) error {
	if _, err := frame.RowLen(); err != nil {
		return err
	}
	if frame.Meta == nil || len(frame.Fields) == 0 {
		return nil
	}
	switch frame.Meta.Type {
	case data.FrameTypeTimeSeriesWide, data.FrameTypeTimeSeriesMulti:
		schema := frame.TimeSeriesSchema()
		if schema.Type != data.TimeSeriesTypeWide {
			return fmt.Errorf("the SDK reads a %s series in a %s frame", schema.Type, frame.Meta.Type)
		}
		if frame.Meta.Type == data.FrameTypeTimeSeriesMulti {
			return withoutNulls(frame)
		}
	case data.FrameTypeNumericWide, data.FrameTypeNumericMulti:
		if rows, _ := frame.RowLen(); rows != 1 {
			return fmt.Errorf("numbers in %d rows", rows)
		}
	}
	return nil
}

func withoutNulls(frame *data.Frame) error {
	for _, field := range frame.Fields {
		if field.Nullable() {
			return fmt.Errorf("field %q has empty cells, which an alert would count", field.Name)
		}
	}
	return nil
}
