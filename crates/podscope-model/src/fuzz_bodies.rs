//! Functions of bytes that must not panic, whatever the bytes: the reader of leaf answers. Called with seeded mutations by the
//! tests and by the target in `fuzz/`.

use crate::wire::{decode, encode};

/// The body of a leaf answer: it is refused, or it can be written and read again.
pub fn wire(bytes: &[u8]) {
    let Ok(answer) = decode(bytes::Bytes::copy_from_slice(bytes)) else {
        return;
    };
    let body = match encode(&answer) {
        Ok(body) => body,
        Err(error) => unreachable!("an answer that was read cannot be written: {error}"),
    };
    assert!(decode(body.into()).is_ok(), "what was written cannot be read");
}
