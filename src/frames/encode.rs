//! A frame as Grafana reads it: one Arrow IPC *file* (not a stream) per frame.
//!
//! What grafana-plugin-sdk-go's reader accepts was established by running it (`crates/podscope-testkit/judge`):
//! nanosecond timestamps only (any other unit is silently read as nanoseconds), plain Utf8, no dictionaries, no
//! LargeUtf8; a frame without fields is valid and means "no data".

use std::collections::HashMap;
use std::sync::Arc;

use arrow_array::{ArrayRef, BinaryArray, Float64Array, RecordBatch, StringArray, TimestampNanosecondArray};
use arrow_buffer::{NullBuffer, ScalarBuffer};
use arrow_ipc::writer::FileWriter;
use arrow_schema::{ArrowError, DataType, Field as ArrowField, Schema, TimeUnit};
use podscope_model::sample::is_stale;

use super::{Field, Frame, Values};

/// A frame that cannot be encoded: a fault of this program.
#[derive(Debug, thiserror::Error)]
pub enum EncodeError {
    #[error("frame {frame:?}: field {field:?} has {rows} rows, the first field has {expected}")]
    Length {
        frame: String,
        field: String,
        rows: usize,
        expected: usize,
    },
    #[error("frame {frame:?}: the time {ms} ms does not fit into nanoseconds")]
    Time { frame: String, ms: i64 },
    #[error("frame {frame:?}: writing Arrow")]
    Arrow {
        frame: String,
        #[source]
        source: ArrowError,
    },
}

/// Encodes one frame.
///
/// # Errors
/// Columns of unequal length, or a time beyond the year 2262.
pub fn encode(frame: &Frame) -> Result<Vec<u8>, EncodeError> {
    let expected = frame.rows();
    let mut schema_fields = Vec::with_capacity(frame.fields.len());
    let mut columns = Vec::with_capacity(frame.fields.len());
    for field in &frame.fields {
        if field.values.len() != expected {
            return Err(EncodeError::Length {
                frame: frame.name.clone(),
                field: field.name.clone(),
                rows: field.values.len(),
                expected,
            });
        }
        let (kind, nullable, column) = column(&field.values).map_err(|ms| EncodeError::Time {
            frame: frame.name.clone(),
            ms,
        })?;
        schema_fields.push(ArrowField::new(&field.name, kind, nullable).with_metadata(field_metadata(field)));
        columns.push(column);
    }
    let metadata = HashMap::from([
        ("name".to_owned(), frame.name.clone()),
        ("refId".to_owned(), frame.ref_id.clone()),
        ("meta".to_owned(), frame.meta.to_json()),
    ]);
    let schema = Arc::new(Schema::new_with_metadata(schema_fields, metadata));
    write(&schema, columns).map_err(|source| EncodeError::Arrow {
        frame: frame.name.clone(),
        source,
    })
}

fn write(schema: &Arc<Schema>, columns: Vec<ArrayRef>) -> Result<Vec<u8>, ArrowError> {
    let bytes: usize = columns.iter().map(|column| column.get_buffer_memory_size()).sum();
    let mut writer = FileWriter::try_new(Vec::with_capacity(bytes + 4096 + 512 * columns.len()), schema)?;
    if !columns.is_empty() {
        writer.write(&RecordBatch::try_new(Arc::clone(schema), columns)?)?;
    }
    writer.into_inner()
}

fn column(values: &Values) -> Result<(DataType, bool, ArrayRef), i64> {
    Ok(match values {
        Values::Time(times) => {
            let nanos: Vec<i64> = times
                .iter()
                .map(|&ms| ms.checked_mul(1_000_000).ok_or(ms))
                .collect::<Result<_, i64>>()?;
            (
                DataType::Timestamp(TimeUnit::Nanosecond, None),
                false,
                Arc::new(TimestampNanosecondArray::from(nanos)),
            )
        }
        Values::Number(cells) => {
            // Without an empty cell the column is declared non-null: a third cheaper for Grafana to read.
            let nulls = cells
                .iter()
                .any(|&cell| is_stale(cell))
                .then(|| cells.iter().map(|&cell| !is_stale(cell)).collect::<NullBuffer>());
            let nullable = nulls.is_some();
            let array = Float64Array::new(ScalarBuffer::from(cells.clone()), nulls);
            (DataType::Float64, nullable, Arc::new(array))
        }
        Values::MaybeTime(times) => {
            let nanos: Vec<Option<i64>> = times
                .iter()
                .map(|time| time.map(|ms| ms.checked_mul(1_000_000).ok_or(ms)).transpose())
                .collect::<Result<_, i64>>()?;
            (
                DataType::Timestamp(TimeUnit::Nanosecond, None),
                true,
                Arc::new(TimestampNanosecondArray::from(nanos)),
            )
        }
        // Grafana reads bytes as JSON.
        Values::Json(cells) => (
            DataType::Binary,
            false,
            Arc::new(BinaryArray::from_iter_values(cells)),
        ),
        Values::Text(cells) => (
            DataType::Utf8,
            false,
            Arc::new(StringArray::from_iter_values(cells)),
        ),
    })
}

fn field_metadata(field: &Field) -> HashMap<String, String> {
    let kind = match field.values {
        Values::Time(_) | Values::MaybeTime(_) => "time",
        Values::Number(_) => "number",
        Values::Text(_) => "string",
        Values::Json(_) => "other",
    };
    let mut metadata = HashMap::from([("tstype".to_owned(), kind.to_owned())]);
    if let Some(labels) = &field.labels {
        metadata.insert("labels".to_owned(), json(labels));
    }
    if !field.config.is_empty() {
        metadata.insert("config".to_owned(), json(&field.config));
    }
    metadata
}

/// JSON of a value that cannot fail to serialise: string keys and plain values only.
fn json(value: &impl serde::Serialize) -> String {
    serde_json::to_string(value).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_of_unequal_length_are_refused_with_their_names() {
        let frame = Frame::new(vec![Field::time(vec![1, 2]), Field::number("Value", vec![1.0])]);
        let error = encode(&frame).expect_err("two rows beside one");
        assert_eq!(
            error.to_string(),
            r#"frame "": field "Value" has 1 rows, the first field has 2"#
        );
    }

    #[test]
    fn a_time_beyond_nanoseconds_is_an_error_and_no_overflow() {
        let frame = Frame::new(vec![Field::time(vec![i64::MAX])]);
        assert!(matches!(encode(&frame), Err(EncodeError::Time { .. })));
    }
}
