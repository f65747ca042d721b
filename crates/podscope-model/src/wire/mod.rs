//! A [`LeafAnswer`] as an Arrow IPC stream, and back.
//!
//! The schema's metadata holds one entry, `podscope`, with the answer's header as JSON ([`Header`]). The numbers lie in
//! rows: a row is a series (steps, samples) or one column of a group's state
//! (partials). Rows come in one of two forms, chosen by shape:
//!
//! - **wide**: one nullable `Float64` column per row, with its labels in the field's metadata. Nothing is interleaved,
//!   so a reader in any language sees a plain table of steps.
//! - **long**: one record per row, with the columns `labels` (`Utf8`, JSON), `column` (`Utf8`), `values`
//!   (`List<Float64>`) and for samples `times` (`List<Int64>`) and `times_of` (`Int32`). A wide schema costs some 300
//!   bytes and a microsecond per column, which thousands of series with one step each would pay for nothing.
//!
//! In both forms a null number is the stale marker, any other NaN keeps its bits, labels that all series share are
//! written once into the header, and a row without labels belongs to the same group as the row before it. In `times_of`
//! a sample series names the earlier row whose timestamps it shares (its own list is then empty).

mod decode;
mod encode;
mod labels;
#[cfg(test)]
mod tests;

use serde::{Deserialize, Serialize};

use crate::labels::Labels;
use crate::leaf::{Annotation, Behind, LeafAnswer, LeafStats};
use crate::sample::Grid;

/// A body that is not a leaf answer.
#[derive(Debug, thiserror::Error)]
#[error("not a leaf answer: {0}")]
pub struct WireError(pub String);

impl From<arrow_schema::ArrowError> for WireError {
    fn from(error: arrow_schema::ArrowError) -> Self {
        Self(error.to_string())
    }
}

/// The media type of the body.
pub const CONTENT_TYPE: &str = "application/vnd.apache.arrow.stream";

/// The schema's metadata entry that holds the header.
const HEADER: &str = "podscope";
/// A field's metadata entries in the wide form.
const FIELD_LABELS: &str = "labels";
const FIELD_COLUMN: &str = "column";

/// Version of this format; a reader refuses any other.
const VERSION: u32 = 1;

/// What the rows are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Kind {
    Steps,
    Partials,
    Samples,
    None,
}

/// How the rows are laid out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Form {
    Wide,
    Long,
}

/// Everything of an answer but its rows.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Header {
    version: u32,
    kind: Kind,
    form: Form,
    /// Number of rows: what is missing from a body cut short.
    rows: usize,
    leaf_id: String,
    instance: String,
    grid: Grid,
    /// Labels every series has.
    common: Labels,
    covered: Vec<(i64, i64)>,
    annotations: Vec<Annotation>,
    stats: LeafStats,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    behind: Option<Box<Behind>>,
}

/// Encodes an answer.
///
/// # Errors
/// Columns of unequal length.
pub fn encode(answer: &LeafAnswer) -> Result<Vec<u8>, WireError> {
    encode::encode(answer, None)
}

/// Decodes a body; never panics, whatever the bytes.
///
/// # Errors
/// Whatever is not a complete answer.
pub fn decode(body: bytes::Bytes) -> Result<LeafAnswer, WireError> {
    decode::decode(body)
}
