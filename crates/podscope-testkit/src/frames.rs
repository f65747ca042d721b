//! Data frames as they come over the protocol: decoded, and rendered as Grafana's `/api/ds/query` answers them
//! (grafana-plugin-sdk-go, `data/frame_json.go`): schema and data apart, times in milliseconds with a `nanos` list where
//! they are finer, NaN and infinities as `entities`.

use std::io::Cursor;

use arrow_array::cast::AsArray;
use arrow_array::types::{Float64Type, Int64Type, TimestampNanosecondType};
use arrow_array::{Array, ArrayRef};
use arrow_ipc::reader::FileReader;
use arrow_schema::{DataType, Schema, TimeUnit};
use serde_json::{Map, Value, json};

/// Bytes that are no data frame Grafana would take.
#[derive(Debug, thiserror::Error)]
pub enum FrameError {
    #[error("not an Arrow IPC file: {0}")]
    Arrow(#[from] arrow_schema::ArrowError),
    #[error("field {field:?}: Grafana does not read {kind}")]
    Kind { field: String, kind: String },
    #[error("the metadata under {key:?} is not JSON: {source}")]
    Json { key: String, source: serde_json::Error },
}

/// One decoded frame.
#[derive(Clone, Debug)]
pub struct DecodedFrame {
    pub name: String,
    pub ref_id: String,
    pub meta: Option<Value>,
    pub fields: Vec<DecodedField>,
}

/// One decoded column.
#[derive(Clone, Debug)]
pub struct DecodedField {
    pub name: String,
    /// As Grafana's JSON names the type: `time`, `number`, `string`, `boolean`.
    pub kind: &'static str,
    /// The type's name in Go: `time.Time`, `float64`, ...
    pub type_info: &'static str,
    pub nullable: bool,
    pub labels: Option<Value>,
    pub config: Option<Value>,
    pub cells: Vec<Cell>,
}

/// One cell.
#[derive(Clone, Debug, PartialEq)]
pub enum Cell {
    Null,
    /// Unix nanoseconds.
    Time(i64),
    Number(f64),
    Integer(i64),
    Text(String),
    Bool(bool),
    Json(Value),
}

impl DecodedFrame {
    /// The meta's notices, as text.
    pub fn notices(&self) -> Vec<String> {
        let notices = self.meta.as_ref().and_then(|meta| meta["notices"].as_array());
        notices
            .into_iter()
            .flatten()
            .filter_map(|notice| notice["text"].as_str().map(ToOwned::to_owned))
            .collect()
    }

    /// Number of rows.
    pub fn rows(&self) -> usize {
        self.fields.first().map_or(0, |field| field.cells.len())
    }
}

impl DecodedField {
    /// The numbers; `None` for empty cells. Empty for a column that holds none.
    pub fn numbers(&self) -> Vec<Option<f64>> {
        self.cells
            .iter()
            .filter_map(|cell| match cell {
                Cell::Null => Some(None),
                Cell::Number(number) => Some(Some(*number)),
                Cell::Integer(number) => Some(Some(*number as f64)),
                _ => None,
            })
            .collect()
    }

    /// A label's value.
    pub fn label(&self, name: &str) -> Option<&str> {
        self.labels.as_ref()?.get(name)?.as_str()
    }
}

/// Decodes one frame.
///
/// # Errors
/// Whatever Grafana would refuse.
pub fn decode(bytes: &[u8]) -> Result<DecodedFrame, FrameError> {
    let reader = FileReader::try_new(Cursor::new(bytes), None)?;
    let schema = reader.schema();
    let mut fields = fields_of(&schema)?;
    for batch in reader {
        let batch = batch?;
        for (field, column) in fields.iter_mut().zip(batch.columns()) {
            field.cells.extend(cells(column, &field.name)?);
        }
    }
    let text = |key: &str| schema.metadata().get(key).cloned().unwrap_or_default();
    Ok(DecodedFrame {
        name: text("name"),
        ref_id: text("refId"),
        meta: json_of(schema.metadata(), "meta")?,
        fields,
    })
}

fn json_of(metadata: &arrow_schema::Metadata, key: &str) -> Result<Option<Value>, FrameError> {
    metadata
        .get(key)
        .filter(|text| !text.is_empty())
        .map(|text| {
            serde_json::from_str(text).map_err(|source| FrameError::Json {
                key: key.to_owned(),
                source,
            })
        })
        .transpose()
}

fn fields_of(schema: &Schema) -> Result<Vec<DecodedField>, FrameError> {
    schema
        .fields()
        .iter()
        .map(|field| {
            let (kind, type_info) = match field.data_type() {
                DataType::Timestamp(TimeUnit::Nanosecond, _) => ("time", "time.Time"),
                DataType::Float64 => ("number", "float64"),
                DataType::Int64 => ("number", "int64"),
                DataType::Utf8 => ("string", "string"),
                DataType::Boolean => ("boolean", "bool"),
                DataType::Binary => ("other", "json.RawMessage"),
                other => {
                    return Err(FrameError::Kind {
                        field: field.name().clone(),
                        kind: other.to_string(),
                    });
                }
            };
            Ok(DecodedField {
                name: field.name().clone(),
                kind,
                type_info,
                nullable: field.is_nullable(),
                labels: json_of(field.metadata(), "labels")?,
                config: json_of(field.metadata(), "config")?,
                cells: Vec::new(),
            })
        })
        .collect()
}

fn cells(column: &ArrayRef, name: &str) -> Result<Vec<Cell>, FrameError> {
    let of = |make: &dyn Fn(usize) -> Cell| -> Vec<Cell> {
        (0..column.len())
            .map(|at| if column.is_null(at) { Cell::Null } else { make(at) })
            .collect()
    };
    Ok(match column.data_type() {
        DataType::Timestamp(TimeUnit::Nanosecond, _) => {
            let column = column.as_primitive::<TimestampNanosecondType>();
            of(&|at| Cell::Time(column.value(at)))
        }
        DataType::Float64 => {
            let column = column.as_primitive::<Float64Type>();
            of(&|at| Cell::Number(column.value(at)))
        }
        DataType::Int64 => {
            let column = column.as_primitive::<Int64Type>();
            of(&|at| Cell::Integer(column.value(at)))
        }
        DataType::Utf8 => {
            let column = column.as_string::<i32>();
            of(&|at| Cell::Text(column.value(at).to_owned()))
        }
        DataType::Boolean => {
            let column = column.as_boolean();
            of(&|at| Cell::Bool(column.value(at)))
        }
        DataType::Binary => {
            let column = column.as_binary::<i32>();
            of(&|at| Cell::Json(serde_json::from_slice(column.value(at)).unwrap_or_default()))
        }
        other => {
            return Err(FrameError::Kind {
                field: name.to_owned(),
                kind: other.to_string(),
            });
        }
    })
}

/// One frame as `/api/ds/query` writes it: `{"schema": ..., "data": ...}`.
pub fn frame_json(frame: &DecodedFrame) -> Value {
    json!({ "schema": schema_json(frame), "data": data_json(frame) })
}

fn schema_json(frame: &DecodedFrame) -> Value {
    let mut schema = Map::new();
    for (key, text) in [("name", &frame.name), ("refId", &frame.ref_id)] {
        if !text.is_empty() {
            schema.insert(key.to_owned(), json!(text));
        }
    }
    if let Some(meta) = &frame.meta {
        schema.insert("meta".to_owned(), meta.clone());
    }
    let fields: Vec<Value> = frame.fields.iter().map(field_json).collect();
    schema.insert("fields".to_owned(), json!(fields));
    Value::Object(schema)
}

fn field_json(field: &DecodedField) -> Value {
    let mut info = Map::from_iter([("frame".to_owned(), json!(field.type_info))]);
    if field.nullable {
        info.insert("nullable".to_owned(), json!(true));
    }
    let mut object = Map::new();
    if !field.name.is_empty() {
        object.insert("name".to_owned(), json!(field.name));
    }
    object.insert("type".to_owned(), json!(field.kind));
    object.insert("typeInfo".to_owned(), Value::Object(info));
    if let Some(labels) = &field.labels {
        object.insert("labels".to_owned(), labels.clone());
    }
    if let Some(config) = &field.config {
        object.insert("config".to_owned(), config.clone());
    }
    Value::Object(object)
}

fn data_json(frame: &DecodedFrame) -> Value {
    let columns: Vec<Column> = frame.fields.iter().map(column_json).collect();
    let mut data = Map::new();
    let values: Vec<Value> = columns.iter().map(|column| json!(column.values)).collect();
    data.insert("values".to_owned(), json!(values));
    if columns.iter().any(|column| !column.entities.is_null()) {
        let entities: Vec<&Value> = columns.iter().map(|column| &column.entities).collect();
        data.insert("entities".to_owned(), json!(entities));
    }
    if columns.iter().any(|column| !column.nanos.is_null()) {
        let nanos: Vec<&Value> = columns.iter().map(|column| &column.nanos).collect();
        data.insert("nanos".to_owned(), json!(nanos));
    }
    Value::Object(data)
}

struct Column {
    values: Vec<Value>,
    entities: Value,
    nanos: Value,
}

fn column_json(field: &DecodedField) -> Column {
    let (mut nan, mut inf, mut negative) = (Vec::new(), Vec::new(), Vec::new());
    let mut nanos = vec![0; field.cells.len()];
    let values = field
        .cells
        .iter()
        .enumerate()
        .map(|(at, cell)| match cell {
            Cell::Null => Value::Null,
            Cell::Time(ns) => {
                nanos[at] = ns.rem_euclid(1_000_000);
                json!(ns.div_euclid(1_000_000))
            }
            Cell::Number(number) if number.is_finite() => plain(*number),
            Cell::Number(number) => {
                let list = match number {
                    number if number.is_nan() => &mut nan,
                    number if *number > 0.0 => &mut inf,
                    _ => &mut negative,
                };
                list.push(at);
                Value::Null
            }
            Cell::Integer(number) => json!(number),
            Cell::Text(text) => json!(text),
            Cell::Bool(flag) => json!(flag),
            Cell::Json(value) => value.clone(),
        })
        .collect();
    let mut entities = Map::new();
    for (key, list) in [("NaN", nan), ("Inf", inf), ("NegInf", negative)] {
        if !list.is_empty() {
            entities.insert(key.to_owned(), json!(list));
        }
    }
    Column {
        values,
        entities: if entities.is_empty() {
            Value::Null
        } else {
            Value::Object(entities)
        },
        nanos: if nanos.iter().all(|ns| *ns == 0) {
            Value::Null
        } else {
            json!(nanos)
        },
    }
}

/// A finite number; whole ones without decimals, as Go writes them.
fn plain(number: f64) -> Value {
    const EXACT: f64 = 9_007_199_254_740_992.0;
    if number.fract() == 0.0 && number.abs() <= EXACT {
        json!(number as i64)
    } else {
        json!(number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn field(kind: &'static str, cells: Vec<Cell>) -> DecodedField {
        DecodedField {
            name: "Value".to_owned(),
            kind,
            type_info: "float64",
            nullable: true,
            labels: None,
            config: None,
            cells,
        }
    }

    #[test]
    fn what_json_cannot_say_stands_in_entities_and_nanos() {
        let numbers = [f64::NAN, 1.5, f64::INFINITY, f64::NEG_INFINITY, 3.0]
            .map(Cell::Number)
            .to_vec();
        let frame = DecodedFrame {
            name: String::new(),
            ref_id: "A".to_owned(),
            meta: None,
            fields: vec![
                field("number", numbers),
                field("time", vec![Cell::Time(1_000_001), Cell::Null]),
            ],
        };
        let json = frame_json(&frame);
        assert_eq!(json["data"]["values"][0], json!([null, 1.5, null, null, 3]));
        assert_eq!(
            json["data"]["entities"],
            json!([{ "NaN": [0], "Inf": [2], "NegInf": [3] }, null])
        );
        assert_eq!(json["data"]["nanos"], json!([null, [1, 0]]));
        assert_eq!(json["schema"]["refId"], "A");
    }

    #[test]
    fn bytes_that_are_no_frame_are_an_error() {
        assert!(decode(b"ARROW1 but not really").is_err());
        assert!(decode(b"").is_err());
    }
}
