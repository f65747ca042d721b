//! Reading what anybody may have sent.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{Float64Type, Int32Type, Int64Type};
use arrow_array::{Array, Float64Array, RecordBatch};
use arrow_buffer::Buffer;
use arrow_ipc::reader::StreamDecoder;
use arrow_schema::{DataType, Schema};
use bytes::Bytes;

use super::{FIELD_COLUMN, FIELD_LABELS, Form, HEADER, Header, Kind, VERSION, WireError, labels};
use crate::labels::Labels;
use crate::leaf::{LeafAnswer, LeafValue, PartialColumn, PartialSeries};
use crate::sample::{Grid, STALE, SeriesData, StepSeries};

/// Alignment of the numbers.
const ALIGNMENT: usize = align_of::<f64>();
/// A row takes some twenty bytes at least, a series has some ten labels: an honest body stays far below.
const SHARED_LABELS_PER_BYTE: usize = 8;

pub(super) fn decode(body: Bytes) -> Result<LeafAnswer, WireError> {
    // Arrow's reader checks most of what it reads, but slices buffers at the offsets a message gives
    // (`arrow_ipc::reader::read_buffer`), which panics when they lie outside the body. A body comes from another
    // machine, so that must be an answer like any other. Nothing is shared with the closure, so nothing is left broken.
    match catch_unwind(AssertUnwindSafe(|| read(body))) {
        Ok(answer) => answer,
        Err(_) => Err(WireError("its buffers lie outside the body".to_owned())),
    }
}

fn read(body: Bytes) -> Result<LeafAnswer, WireError> {
    let size = body.len();
    let mut rest = aligned(body);
    // Unaligned buffers are refused, not copied: a small body whose columns all name the same bytes would otherwise
    // be copied once per column.
    let mut decoder = StreamDecoder::new().with_require_alignment(true);
    let mut batch = None;
    while !rest.is_empty() {
        if let Some(next) = decoder.decode(&mut rest)?
            && batch.replace(next).is_some()
        {
            return Err(WireError("more than one batch".to_owned()));
        }
    }
    decoder.finish()?;
    let schema = decoder
        .schema()
        .ok_or_else(|| WireError("no schema".to_owned()))?;
    let header = read_header(&schema, size)?;
    let value = read_value(&schema, &header, batch.as_ref())?;
    Ok(LeafAnswer {
        leaf_id: header.leaf_id,
        instance: header.instance,
        grid: header.grid,
        value,
        covered: header.covered,
        annotations: header.annotations,
        stats: header.stats,
        behind: header.behind,
    })
}

/// The body at an address that its numbers can be read from; copied only when it lies askew.
fn aligned(body: Bytes) -> Buffer {
    if body.as_ptr().align_offset(ALIGNMENT) == 0 {
        Buffer::from(body)
    } else {
        Buffer::from_slice_ref(&body[..])
    }
}

/// Reads the header, and refuses one that promises more than a body of this size can hold.
fn read_header(schema: &Schema, size: usize) -> Result<Header, WireError> {
    let text = schema
        .metadata()
        .get(HEADER)
        .ok_or_else(|| WireError("no header".to_owned()))?;
    let unread = |error| WireError(format!("header: {error}"));
    // The version first: another version's header may look different.
    #[derive(serde::Deserialize)]
    struct Versioned {
        version: u32,
    }
    let Versioned { version } = serde_json::from_str(text).map_err(unread)?;
    if version != VERSION {
        return Err(WireError(format!(
            "version {version} of the format; this reader knows {VERSION}"
        )));
    }
    let header: Header = serde_json::from_str(text).map_err(unread)?;
    let Grid { start_ms, end_ms, .. } = header.grid;
    if end_ms.checked_sub(start_ms).is_none() {
        return Err(WireError("a grid without bounds".to_owned()));
    }
    let columns = matches!(header.kind, Kind::Steps | Kind::Partials);
    let cells = if columns {
        header.rows.saturating_mul(header.grid.len())
    } else {
        0
    };
    let shared = header.rows.saturating_mul(header.common.len());
    if cells > size / size_of::<f64>() || shared > size.saturating_mul(SHARED_LABELS_PER_BYTE) {
        return Err(WireError(format!("{} rows in {size} bytes", header.rows)));
    }
    Ok(header)
}

fn read_value(schema: &Schema, header: &Header, batch: Option<&RecordBatch>) -> Result<LeafValue, WireError> {
    let cut = || WireError("cut short".to_owned());
    let mut reader = labels::Reader::new(header.common.clone())?;
    if header.rows == 0 {
        return Ok(match header.kind {
            Kind::Steps => LeafValue::Steps(Vec::new()),
            Kind::Partials => LeafValue::Partials(Vec::new()),
            Kind::Samples => LeafValue::Samples(Vec::new()),
            Kind::None => LeafValue::None,
        });
    }
    let batch = batch.ok_or_else(cut)?;
    if header.kind == Kind::Samples {
        return read_samples(header, batch, &mut reader).map(LeafValue::Samples);
    }
    let rows = match header.form {
        Form::Wide => wide_rows(schema, header, batch, &mut reader)?,
        Form::Long => long_rows(header, batch, &mut reader)?,
    };
    if rows.len() != header.rows {
        return Err(cut());
    }
    let steps = header.grid.len();
    if let Some(odd) = rows.iter().find(|row| row.values.len() != steps) {
        return Err(WireError(format!(
            "a column of {} values on a grid of {steps} steps",
            odd.values.len()
        )));
    }
    match header.kind {
        Kind::Steps => rows
            .into_iter()
            .map(|row| {
                Ok(StepSeries {
                    labels: row.labels.ok_or_else(no_labels)?,
                    values: row.values,
                })
            })
            .collect::<Result<_, WireError>>()
            .map(LeafValue::Steps),
        Kind::Partials => group(rows).map(LeafValue::Partials),
        Kind::Samples | Kind::None => Err(WireError("rows where there can be none".to_owned())),
    }
}

fn no_labels() -> WireError {
    WireError("a series without labels".to_owned())
}

/// One row after reading.
struct Row {
    labels: Option<Labels>,
    column: PartialColumn,
    values: Vec<f64>,
}

fn group(rows: Vec<Row>) -> Result<Vec<PartialSeries>, WireError> {
    let mut groups: Vec<PartialSeries> = Vec::new();
    for row in rows {
        let column = (row.column, row.values);
        match (row.labels, groups.last_mut()) {
            (Some(labels), _) => groups.push(PartialSeries {
                labels,
                columns: vec![column],
            }),
            (None, Some(group)) => group.columns.push(column),
            (None, None) => return Err(no_labels()),
        }
    }
    Ok(groups)
}

fn column_of(word: &str) -> Result<PartialColumn, WireError> {
    Ok(match word {
        "value" => PartialColumn::Value,
        "sum" => PartialColumn::Sum,
        "compensation" => PartialColumn::Compensation,
        "count" => PartialColumn::Count,
        "mean" => PartialColumn::Mean,
        "squared_deviation" => PartialColumn::SquaredDeviation,
        other => return Err(WireError(format!("unknown column {other:?}"))),
    })
}

/// The numbers of an array, nulls as the stale marker.
fn numbers(array: &Float64Array) -> Vec<f64> {
    let mut values = array.values().to_vec();
    if let Some(nulls) = array.nulls()
        && nulls.null_count() > 0
    {
        for (at, value) in values.iter_mut().enumerate() {
            if nulls.is_null(at) {
                *value = STALE;
            }
        }
    }
    values
}

fn wide_rows(
    schema: &Schema,
    header: &Header,
    batch: &RecordBatch,
    reader: &mut labels::Reader,
) -> Result<Vec<Row>, WireError> {
    let mut rows = Vec::with_capacity(batch.num_columns());
    for (field, array) in schema.fields().iter().zip(batch.columns()) {
        let array = array
            .as_primitive_opt::<Float64Type>()
            .ok_or_else(|| WireError(format!("a column of {}", field.data_type())))?;
        let labels = field
            .metadata()
            .get(FIELD_LABELS)
            .map(|text| reader.read(text))
            .transpose()?;
        let column = match header.kind {
            Kind::Partials => column_of(field.metadata().get(FIELD_COLUMN).map_or("", String::as_str))?,
            _ => PartialColumn::Value,
        };
        rows.push(Row {
            labels,
            column,
            values: numbers(array),
        });
    }
    Ok(rows)
}

/// A column of a batch by name, and only if it has the type.
fn typed<'a, T>(
    batch: &'a RecordBatch,
    name: &str,
    cast: impl FnOnce(&'a dyn Array) -> Option<&'a T>,
) -> Result<&'a T, WireError> {
    let array = batch
        .column_by_name(name)
        .ok_or_else(|| WireError(format!("no column {name:?}")))?;
    cast(array.as_ref()).ok_or_else(|| WireError(format!("column {name:?} is {}", array.data_type())))
}

fn read_labels(batch: &RecordBatch, reader: &mut labels::Reader) -> Result<Vec<Option<Labels>>, WireError> {
    let texts = typed(batch, "labels", |array| array.as_string_opt::<i32>())?;
    texts
        .iter()
        .map(|text| text.map(|text| reader.read(text)).transpose())
        .collect()
}

/// The list column of numbers, row by row.
fn read_values(batch: &RecordBatch) -> Result<Vec<Vec<f64>>, WireError> {
    let lists = typed(batch, "values", |array| array.as_list_opt::<i32>())?;
    if lists.value_type() != DataType::Float64 {
        return Err(WireError(format!("values of {}", lists.value_type())));
    }
    Ok(lists
        .iter()
        .map(|row| {
            row.as_ref()
                .and_then(|row| row.as_primitive_opt::<Float64Type>())
                .map_or_else(Vec::new, numbers)
        })
        .collect())
}

fn long_rows(
    header: &Header,
    batch: &RecordBatch,
    reader: &mut labels::Reader,
) -> Result<Vec<Row>, WireError> {
    let labels = read_labels(batch, reader)?;
    let values = read_values(batch)?;
    let words = match header.kind {
        Kind::Partials => Some(typed(batch, "column", |array| array.as_string_opt::<i32>())?),
        _ => None,
    };
    let mut rows = Vec::with_capacity(values.len());
    for (at, (labels, values)) in labels.into_iter().zip(values).enumerate() {
        let column = match words {
            Some(words) if words.is_valid(at) => column_of(words.value(at))?,
            Some(_) => return Err(WireError("a row without its column's name".to_owned())),
            None => PartialColumn::Value,
        };
        rows.push(Row {
            labels,
            column,
            values,
        });
    }
    Ok(rows)
}

fn read_samples(
    header: &Header,
    batch: &RecordBatch,
    reader: &mut labels::Reader,
) -> Result<Vec<SeriesData>, WireError> {
    let labels = read_labels(batch, reader)?;
    let values = read_values(batch)?;
    let times = typed(batch, "times", |array| array.as_list_opt::<i32>())?;
    let shared = typed(batch, "times_of", |array| array.as_primitive_opt::<Int32Type>())?;
    if labels.len() != header.rows {
        return Err(WireError("cut short".to_owned()));
    }
    let mut list: Vec<SeriesData> = Vec::with_capacity(labels.len());
    for (at, (labels, values)) in labels.into_iter().zip(values).enumerate() {
        let timestamps: Arc<[i64]> = if shared.is_valid(at) {
            let earlier = usize::try_from(shared.value(at))
                .ok()
                .and_then(|earlier| list.get(earlier));
            let earlier = earlier
                .ok_or_else(|| WireError("timestamps of a row that does not come before".to_owned()))?;
            Arc::clone(&earlier.timestamps)
        } else {
            let own = times.value(at);
            let own = own
                .as_primitive_opt::<Int64Type>()
                .filter(|own| own.null_count() == 0)
                .ok_or_else(|| WireError("timestamps that are no times".to_owned()))?;
            if !own.values().is_sorted_by(|a, b| a < b) {
                return Err(WireError("timestamps that do not rise".to_owned()));
            }
            Arc::from(&own.values()[..])
        };
        if timestamps.len() != values.len() {
            return Err(WireError(format!(
                "{} timestamps for {} values",
                timestamps.len(),
                values.len()
            )));
        }
        list.push(SeriesData {
            labels: labels.ok_or_else(no_labels)?,
            timestamps,
            values: values.into(),
        });
    }
    Ok(list)
}
