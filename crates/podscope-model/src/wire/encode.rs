//! Writing.

use std::collections::HashMap;
use std::sync::Arc;

use arrow_array::{ArrayRef, Float64Array, Int32Array, Int64Array, ListArray, RecordBatch, StringArray};
use arrow_buffer::{NullBuffer, OffsetBuffer, ScalarBuffer};
use arrow_ipc::MetadataVersion;
use arrow_ipc::writer::{IpcWriteOptions, StreamWriter};
use arrow_schema::{DataType, Field, Schema};

use super::{FIELD_COLUMN, FIELD_LABELS, Form, HEADER, Header, Kind, VERSION, WireError, labels};
use crate::labels::Labels;
use crate::leaf::{LeafAnswer, LeafValue, PartialColumn};
use crate::sample::is_stale;

/// Up to this many rows the wide form is as cheap as the long one.
const WIDE_ROWS: usize = 200;
/// From this many steps on a column is worth its own metadata, however many there are.
const WIDE_STEPS: usize = 1_000;
/// Buffers are padded to this; a reader that wants more aligns them itself.
const ALIGNMENT: usize = 8;

/// One row before it is laid out.
struct Row<'a> {
    /// `None`: the group of the row before.
    labels: Option<&'a Labels>,
    column: PartialColumn,
    values: &'a [f64],
    times: Option<&'a Arc<[i64]>>,
}

/// Encodes an answer in the form given, or the one that fits its shape.
pub(super) fn encode(answer: &LeafAnswer, form: Option<Form>) -> Result<Vec<u8>, WireError> {
    let (kind, rows) = rows(&answer.value);
    let steps = answer.grid.len();
    if matches!(kind, Kind::Steps | Kind::Partials)
        && let Some(odd) = rows.iter().find(|row| row.values.len() != steps)
    {
        return Err(WireError(format!(
            "a column of {} values on a grid of {steps} steps",
            odd.values.len()
        )));
    }
    let form = match kind {
        Kind::Samples | Kind::None => Form::Long,
        Kind::Steps | Kind::Partials if rows.len() <= WIDE_ROWS || steps >= WIDE_STEPS => {
            form.unwrap_or(Form::Wide)
        }
        Kind::Steps | Kind::Partials => form.unwrap_or(Form::Long),
    };
    let header = Header {
        version: VERSION,
        kind,
        form,
        rows: rows.len(),
        leaf_id: answer.leaf_id.clone(),
        instance: answer.instance.clone(),
        grid: answer.grid,
        common: labels::common(rows.iter().filter_map(|row| row.labels)),
        covered: answer.covered.clone(),
        annotations: answer.annotations.clone(),
        stats: answer.stats,
        behind: answer.behind.clone(),
    };
    match form {
        Form::Wide => wide(&header, &rows),
        Form::Long => long(&header, &rows),
    }
}

fn rows(value: &LeafValue) -> (Kind, Vec<Row<'_>>) {
    let plain = |labels, values, times| Row {
        labels: Some(labels),
        column: PartialColumn::Value,
        values,
        times,
    };
    match value {
        LeafValue::Steps(list) => (
            Kind::Steps,
            list.iter()
                .map(|series| plain(&series.labels, &series.values, None))
                .collect(),
        ),
        LeafValue::Partials(list) => {
            let mut rows = Vec::with_capacity(list.iter().map(|group| group.columns.len()).sum());
            for group in list {
                for (at, (column, values)) in group.columns.iter().enumerate() {
                    let labels = (at == 0).then_some(&group.labels);
                    rows.push(Row {
                        labels,
                        column: *column,
                        values,
                        times: None,
                    });
                }
            }
            (Kind::Partials, rows)
        }
        LeafValue::Samples(list) => (
            Kind::Samples,
            list.iter()
                .map(|series| plain(&series.labels, &series.values, Some(&series.timestamps)))
                .collect(),
        ),
        LeafValue::None => (Kind::None, Vec::new()),
    }
}

/// The word of a state column, as JSON has it.
fn word(column: PartialColumn) -> &'static str {
    match column {
        PartialColumn::Value => "value",
        PartialColumn::Sum => "sum",
        PartialColumn::Compensation => "compensation",
        PartialColumn::Count => "count",
        PartialColumn::Mean => "mean",
        PartialColumn::SquaredDeviation => "squared_deviation",
    }
}

/// The validity of a list of numbers: none where all are there.
fn nulls(values: &[f64]) -> Option<NullBuffer> {
    // `any` first: it is vectorised, and most columns are full.
    values
        .iter()
        .any(|value| is_stale(*value))
        .then(|| values.iter().map(|value| !is_stale(*value)).collect())
}

fn write(header: &Header, fields: Vec<Field>, columns: Option<Vec<ArrayRef>>) -> Result<Vec<u8>, WireError> {
    let text = serde_json::to_string(header).map_err(|error| WireError(format!("header: {error}")))?;
    let schema = Schema::new(fields).with_metadata(HashMap::from([(HEADER.to_owned(), text)]));
    let schema = Arc::new(schema);
    let options = IpcWriteOptions::try_new(ALIGNMENT, false, MetadataVersion::V5)?;
    let cells: usize = columns
        .iter()
        .flatten()
        .map(|column| column.get_buffer_memory_size())
        .sum();
    let buffer = Vec::with_capacity(cells + 512 + header.rows * 64);
    let mut writer = StreamWriter::try_new_with_options(buffer, &schema, options)?;
    if let Some(columns) = columns {
        writer.write(&RecordBatch::try_new(Arc::clone(&schema), columns)?)?;
    }
    Ok(writer.into_inner()?)
}

fn wide(header: &Header, rows: &[Row<'_>]) -> Result<Vec<u8>, WireError> {
    let mut fields = Vec::with_capacity(rows.len());
    let mut columns: Vec<ArrayRef> = Vec::with_capacity(rows.len());
    for (at, row) in rows.iter().enumerate() {
        let mut metadata = HashMap::with_capacity(2);
        if let Some(set) = row.labels {
            metadata.insert(FIELD_LABELS.to_owned(), labels::to_json(set, &header.common)?);
        }
        if header.kind == Kind::Partials {
            metadata.insert(FIELD_COLUMN.to_owned(), word(row.column).to_owned());
        }
        fields.push(Field::new(at.to_string(), DataType::Float64, true).with_metadata(metadata));
        columns.push(Arc::new(Float64Array::new(
            ScalarBuffer::from(row.values.to_vec()),
            nulls(row.values),
        )));
    }
    write(header, fields, (!columns.is_empty()).then_some(columns))
}

/// A list column over values that lie one after the other.
fn list(
    item: DataType,
    lengths: impl Iterator<Item = usize>,
    values: ArrayRef,
) -> Result<ArrayRef, WireError> {
    let item = Arc::new(Field::new_list_field(item, true));
    Ok(Arc::new(ListArray::try_new(
        item,
        OffsetBuffer::from_lengths(lengths),
        values,
        None,
    )?))
}

fn list_field(name: &str, item: DataType) -> Field {
    Field::new(
        name,
        DataType::List(Arc::new(Field::new_list_field(item, true))),
        false,
    )
}

fn long(header: &Header, rows: &[Row<'_>]) -> Result<Vec<u8>, WireError> {
    let texts = rows
        .iter()
        .map(|row| {
            row.labels
                .map(|set| labels::to_json(set, &header.common))
                .transpose()
        })
        .collect::<Result<Vec<Option<String>>, WireError>>()?;
    let cells = rows.iter().map(|row| row.values.len()).sum();
    if i32::try_from(cells).is_err() {
        return Err(WireError(format!("{cells} numbers in one answer")));
    }
    let mut flat: Vec<f64> = Vec::with_capacity(cells);
    for row in rows {
        flat.extend_from_slice(row.values);
    }
    let validity = nulls(&flat);
    let flat: ArrayRef = Arc::new(Float64Array::new(ScalarBuffer::from(flat), validity));
    let mut fields = vec![
        Field::new("labels", DataType::Utf8, true),
        list_field("values", DataType::Float64),
    ];
    let mut columns: Vec<ArrayRef> = vec![
        Arc::new(StringArray::from(texts)),
        list(DataType::Float64, rows.iter().map(|row| row.values.len()), flat)?,
    ];
    match header.kind {
        Kind::Partials => {
            fields.push(Field::new("column", DataType::Utf8, false));
            let words = rows.iter().map(|row| word(row.column));
            columns.push(Arc::new(StringArray::from_iter_values(words)));
        }
        Kind::Samples => add_times(rows, &mut fields, &mut columns)?,
        Kind::Steps | Kind::None => {}
    }
    write(header, fields, (!rows.is_empty()).then_some(columns))
}

/// Adds the timestamps; those shared by several rows once.
fn add_times(
    rows: &[Row<'_>],
    fields: &mut Vec<Field>,
    columns: &mut Vec<ArrayRef>,
) -> Result<(), WireError> {
    let mut first: HashMap<*const i64, (usize, usize)> = HashMap::new();
    let mut shared_with: Vec<Option<i32>> = Vec::with_capacity(rows.len());
    let mut lengths = Vec::with_capacity(rows.len());
    let mut flat: Vec<i64> = Vec::new();
    for (at, row) in rows.iter().enumerate() {
        let times: &[i64] = row.times.map_or(&[], |times| times);
        if times.len() != row.values.len() {
            return Err(WireError(format!(
                "{} timestamps for {} values",
                times.len(),
                row.values.len()
            )));
        }
        // The same memory is the same timestamps; an empty slice has no memory of its own.
        match first.get(&times.as_ptr()) {
            Some((earlier, length)) if *length == times.len() && !times.is_empty() => {
                shared_with.push(i32::try_from(*earlier).ok());
                lengths.push(0);
            }
            _ => {
                first.insert(times.as_ptr(), (at, times.len()));
                shared_with.push(None);
                lengths.push(times.len());
                flat.extend_from_slice(times);
            }
        }
    }
    let flat: ArrayRef = Arc::new(Int64Array::new(ScalarBuffer::from(flat), None));
    fields.push(list_field("times", DataType::Int64));
    columns.push(list(DataType::Int64, lengths.into_iter(), flat)?);
    fields.push(Field::new("times_of", DataType::Int32, true));
    columns.push(Arc::new(Int32Array::from(shared_with)));
    Ok(())
}
