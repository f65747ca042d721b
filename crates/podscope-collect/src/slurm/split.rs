//! Taking a long list out of an answer while it arrives: ten thousand jobs are some 50 MB of JSON, of which one job at a time
//! is kept.

use super::error::SlurmError;

/// A longer item is none: a job on a thousand nodes has some 3 MB of cores.
const LONGEST_ITEM: usize = 16 << 20;
/// What may stand beside the list: errors, warnings, versions.
const LONGEST_REST: usize = 1 << 20;
/// Bytes of an answer that is no JSON, for the error.
const SHOWN: usize = 80;

/// What is wrong with the bytes of an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum BadBytes {
    /// It does not begin as an object; its beginning.
    NotJson(String),
    /// It ends before its end, after so many bytes.
    Cut(u64),
    /// One item, or what stands beside the items, is longer than this.
    TooLong(usize),
    /// The list holds something else than objects.
    NotObjects,
}

/// Splits `{..., "jobs": [{...}, {...}], ...}` into the objects of the one list and the rest.
#[derive(Debug)]
pub(crate) struct Splitter {
    list: &'static str,
    rest: Vec<u8>,
    /// An item that began in an earlier chunk.
    item: Vec<u8>,
    /// Brackets that are open, in all.
    depth: usize,
    in_string: bool,
    escaped: bool,
    /// Within the list, whose items are at depth 2.
    in_list: bool,
    /// The last string at depth 1, and whether a colon came after it.
    last: Vec<u8>,
    colon: bool,
    bytes: u64,
    began: bool,
}

impl Splitter {
    pub(crate) fn new(list: &'static str) -> Self {
        Self {
            list,
            rest: Vec::new(),
            item: Vec::new(),
            depth: 0,
            in_string: false,
            escaped: false,
            in_list: false,
            last: Vec::new(),
            colon: false,
            bytes: 0,
            began: false,
        }
    }

    /// Takes the next bytes and hands each item that is complete to `sink`.
    pub(crate) fn push(
        &mut self,
        chunk: &[u8],
        sink: &mut dyn FnMut(&[u8]) -> Result<(), SlurmError>,
    ) -> Result<Result<(), BadBytes>, SlurmError> {
        self.bytes += chunk.len() as u64;
        let mut at = 0;
        while at < chunk.len() {
            let step = if self.in_list {
                self.list_step(chunk, at, sink)?
            } else {
                self.rest_step(chunk, at)
            };
            match step {
                Ok(next) => at = next,
                Err(bad) => return Ok(Err(bad)),
            }
        }
        Ok(Ok(()))
    }

    /// One byte outside the list.
    fn rest_step(&mut self, chunk: &[u8], at: usize) -> Result<usize, BadBytes> {
        let byte = chunk[at];
        if !self.began {
            if byte.is_ascii_whitespace() {
                return Ok(at + 1);
            }
            if byte != b'{' {
                let rest = chunk.get(at..).unwrap_or_default();
                let shown = rest.get(..SHOWN).unwrap_or(rest);
                return Err(BadBytes::NotJson(String::from_utf8_lossy(shown).into_owned()));
            }
            self.began = true;
        }
        if self.rest.len() >= LONGEST_REST {
            return Err(BadBytes::TooLong(LONGEST_REST));
        }
        self.rest.push(byte);
        if self.in_string {
            match byte {
                _ if self.escaped => self.escaped = false,
                b'\\' => self.escaped = true,
                b'"' => {
                    self.in_string = false;
                    return Ok(at + 1);
                }
                _ => {}
            }
            if self.depth == 1 {
                self.last.push(byte);
            }
            return Ok(at + 1);
        }
        match byte {
            b'"' => {
                self.in_string = true;
                if self.depth == 1 {
                    self.last.clear();
                    self.colon = false;
                }
            }
            b':' if self.depth == 1 => self.colon = true,
            b'[' if self.depth == 1 && self.colon && self.last == self.list.as_bytes() => {
                self.depth = 2;
                self.in_list = true;
            }
            b'{' | b'[' => self.depth += 1,
            b'}' | b']' => self.depth = self.depth.saturating_sub(1),
            b',' if self.depth == 1 => self.colon = false,
            _ => {}
        }
        Ok(at + 1)
    }

    /// From here to the end of an item, of the list or of the chunk.
    fn list_step(
        &mut self,
        chunk: &[u8],
        at: usize,
        sink: &mut dyn FnMut(&[u8]) -> Result<(), SlurmError>,
    ) -> Result<Result<usize, BadBytes>, SlurmError> {
        if self.depth == 2 {
            match chunk[at] {
                b']' => {
                    self.rest.push(b']');
                    self.depth = 1;
                    self.in_list = false;
                    self.colon = false;
                }
                b'{' => {
                    // The brace itself is counted below.
                    return self.item_step(chunk, at, sink);
                }
                b',' => {}
                byte if byte.is_ascii_whitespace() => {}
                _ => return Ok(Err(BadBytes::NotObjects)),
            }
            return Ok(Ok(at + 1));
        }
        self.item_step(chunk, at, sink)
    }

    fn item_step(
        &mut self,
        chunk: &[u8],
        from: usize,
        sink: &mut dyn FnMut(&[u8]) -> Result<(), SlurmError>,
    ) -> Result<Result<usize, BadBytes>, SlurmError> {
        let (mut depth, mut in_string, mut escaped) = (self.depth, self.in_string, self.escaped);
        let tail = chunk.get(from..).unwrap_or_default();
        let mut end = None;
        for (offset, byte) in tail.iter().enumerate() {
            if in_string {
                if escaped {
                    escaped = false;
                } else if *byte == b'\\' {
                    escaped = true;
                } else if *byte == b'"' {
                    in_string = false;
                }
                continue;
            }
            match byte {
                b'"' => in_string = true,
                b'{' | b'[' => depth += 1,
                b'}' | b']' => {
                    depth -= 1;
                    if depth == 2 {
                        end = Some(offset + 1);
                        break;
                    }
                }
                _ => {}
            }
        }
        (self.depth, self.in_string, self.escaped) = (depth, in_string, escaped);
        let taken = end.unwrap_or(tail.len());
        let part = tail.get(..taken).unwrap_or_default();
        if self.item.len() + part.len() > LONGEST_ITEM {
            return Ok(Err(BadBytes::TooLong(LONGEST_ITEM)));
        }
        if end.is_none() {
            self.item.extend_from_slice(part);
        } else if self.item.is_empty() {
            sink(part)?;
        } else {
            self.item.extend_from_slice(part);
            sink(&self.item)?;
            self.item.clear();
        }
        Ok(Ok(from + taken))
    }

    /// What stood beside the list, the list itself being empty in it: a whole JSON object.
    pub(crate) fn finish(self) -> Result<Vec<u8>, BadBytes> {
        if !self.began || self.depth > 0 || self.in_string {
            return Err(BadBytes::Cut(self.bytes));
        }
        Ok(self.rest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split(text: &str, chunk: usize) -> Result<(Vec<String>, String), BadBytes> {
        let mut splitter = Splitter::new("jobs");
        let mut items = Vec::new();
        for part in text.as_bytes().chunks(chunk) {
            splitter
                .push(part, &mut |item| {
                    items.push(String::from_utf8_lossy(item).into_owned());
                    Ok(())
                })
                .expect("the sink takes everything")?;
        }
        let rest = splitter.finish()?;
        Ok((items, String::from_utf8_lossy(&rest).into_owned()))
    }

    const ANSWER: &str = r#" {"meta": {"jobs": [1, 2]}, "errors": [], "jobs": [ {"a": "x]}\"{"},
        {"b": {"jobs": [{"c": 1}]}} ,{}], "last": "jobs"}"#;

    #[test]
    fn items_are_the_same_however_the_answer_is_cut_into_chunks() {
        let whole = split(ANSWER, usize::MAX).expect("an answer");
        assert_eq!(
            whole.0,
            [r#"{"a": "x]}\"{"}"#, r#"{"b": {"jobs": [{"c": 1}]}}"#, "{}"]
        );
        let rest: serde_json::Value = serde_json::from_str(&whole.1).expect("JSON");
        assert_eq!(rest["jobs"], serde_json::json!([]));
        assert_eq!(rest["meta"]["jobs"], serde_json::json!([1, 2]));
        for chunk in 1..ANSWER.len() {
            assert_eq!(split(ANSWER, chunk).expect("an answer"), whole, "{chunk}");
        }
    }

    #[test]
    fn half_an_answer_is_an_error_wherever_it_ends() {
        for end in 1..ANSWER.len() - 1 {
            let half = ANSWER.get(..end).expect("ASCII");
            let bad = split(half, 7).expect_err(half);
            assert!(matches!(bad, BadBytes::Cut(_)), "{half}: {bad:?}");
        }
        assert_eq!(split(" ", 1), Err(BadBytes::Cut(1)));
    }

    #[test]
    fn a_web_page_is_shown_and_lists_of_other_things_refused() {
        let page = "\n<!DOCTYPE html><html><body>Please sign in</body></html>";
        let Err(BadBytes::NotJson(begin)) = split(page, 9) else {
            panic!("a web page is no JSON");
        };
        assert!(begin.starts_with("<!DOC"), "{begin}");
        assert_eq!(split(r#"{"jobs": [1]}"#, 100), Err(BadBytes::NotObjects));
        assert!(split(r#"{"jobs": null}"#, 100).expect("no jobs").0.is_empty());
    }
}
