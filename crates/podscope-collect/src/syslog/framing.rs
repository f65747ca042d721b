//! Lines out of a TCP stream. A frame that begins with a digit is counted (`123 <34>1 ...`), any other ends at a newline
//! (RFC 6587). A sender may mix them; some do.

/// Bytes of a line that are kept; what follows is passed over.
pub const MAX_LINE: usize = 8 << 10;
/// Digits of a count.
const MAX_DIGITS: usize = 6;

/// The bytes of one connection that are not yet a line. It holds at most a line and what one read brought.
#[derive(Debug, Default)]
pub struct Framing {
    buffer: Vec<u8>,
    /// Bytes at the front that are done with.
    done: usize,
    /// Bytes still to come that belong to a line cut off.
    skip: Skip,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Skip {
    #[default]
    Nothing,
    /// So many bytes.
    Counted(usize),
    /// Everything up to the next newline.
    Line,
}

impl Framing {
    /// Takes in what was read.
    pub fn push(&mut self, bytes: &[u8]) {
        self.buffer.drain(..self.done.min(self.buffer.len()));
        self.done = 0;
        self.buffer.extend_from_slice(bytes);
    }

    /// The next whole line; `None` until more was read.
    pub fn next_frame(&mut self) -> Option<Vec<u8>> {
        loop {
            if !self.pass_over() {
                return None;
            }
            let rest = self.buffer.get(self.done..)?;
            let first = *rest.first()?;
            if matches!(first, b'\n' | b'\r' | b'\0' | b' ') {
                self.done += 1;
                continue;
            }
            let counted = match first {
                b'1'..=b'9' => counted(rest),
                _ => Counted::Not,
            };
            return match counted {
                Counted::Not => self.line(),
                Counted::Unknown => None,
                Counted::Frame { from, length } => {
                    let kept = length.min(MAX_LINE);
                    let frame = rest.get(from..from + kept)?.to_vec();
                    self.done += from + kept;
                    if length > kept {
                        self.skip = Skip::Counted(length - kept);
                    }
                    Some(frame)
                }
            };
        }
    }

    /// A line up to its newline, or as much of it as is kept.
    fn line(&mut self) -> Option<Vec<u8>> {
        let rest = self.buffer.get(self.done..)?;
        match rest.iter().take(MAX_LINE + 1).position(|byte| *byte == b'\n') {
            Some(end) => {
                let frame = rest.get(..end)?.to_vec();
                self.done += end + 1;
                Some(frame)
            }
            None if rest.len() > MAX_LINE => {
                let frame = rest.get(..MAX_LINE)?.to_vec();
                self.done += MAX_LINE;
                self.skip = Skip::Line;
                Some(frame)
            }
            None => None,
        }
    }

    /// Whether nothing is left to pass over.
    fn pass_over(&mut self) -> bool {
        let there = self.buffer.len().saturating_sub(self.done);
        match self.skip {
            Skip::Nothing => true,
            Skip::Counted(left) => {
                let passed = left.min(there);
                self.done += passed;
                self.skip = match left - passed {
                    0 => Skip::Nothing,
                    left => Skip::Counted(left),
                };
                self.skip == Skip::Nothing
            }
            Skip::Line => {
                let rest = self.buffer.get(self.done..).unwrap_or_default();
                match rest.iter().position(|byte| *byte == b'\n') {
                    Some(end) => {
                        self.done += end + 1;
                        self.skip = Skip::Nothing;
                        true
                    }
                    None => {
                        self.done = self.buffer.len();
                        false
                    }
                }
            }
        }
    }

    /// What a connection that ends leaves behind.
    pub fn rest(mut self) -> Option<Vec<u8>> {
        if self.skip != Skip::Nothing {
            return None;
        }
        let rest = self.buffer.split_off(self.done.min(self.buffer.len()));
        Some(rest).filter(|rest| !rest.is_empty())
    }
}

enum Counted {
    /// It begins with digits, but is no count.
    Not,
    /// Not enough is there to tell.
    Unknown,
    Frame {
        from: usize,
        length: usize,
    },
}

fn counted(rest: &[u8]) -> Counted {
    let digits = rest
        .iter()
        .take(MAX_DIGITS + 1)
        .take_while(|byte| byte.is_ascii_digit())
        .count();
    if digits > MAX_DIGITS {
        return Counted::Not;
    }
    let Some(after) = rest.get(digits) else {
        return Counted::Unknown;
    };
    // Only a line follows a count.
    match (after, rest.get(digits + 1)) {
        (b' ', Some(b'<')) => {}
        (b' ', None) => return Counted::Unknown,
        _ => return Counted::Not,
    }
    let length = rest
        .iter()
        .take(digits)
        .fold(0_usize, |sum, digit| sum * 10 + usize::from(digit - b'0'));
    Counted::Frame {
        from: digits + 1,
        length,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frames(parts: &[&[u8]]) -> Vec<String> {
        let mut framing = Framing::default();
        let mut found = Vec::new();
        for part in parts {
            framing.push(part);
            while let Some(frame) = framing.next_frame() {
                found.push(String::from_utf8(frame).expect("text"));
            }
        }
        found.extend(framing.rest().map(|rest| String::from_utf8(rest).expect("text")));
        found
    }

    #[test]
    fn counted_frames_and_lines_may_follow_each_other() {
        let stream = b"6 <1>a\nb<2>line\r\n5 <3>cd<4>last";
        assert_eq!(frames(&[stream]), ["<1>a\nb", "<2>line\r", "<3>cd", "<4>last"]);
        // However the network cuts it.
        let bytes: Vec<&[u8]> = stream.chunks(1).collect();
        assert_eq!(frames(&bytes), frames(&[stream]));
    }

    #[test]
    fn a_line_that_begins_with_a_number_is_a_line() {
        assert_eq!(
            frames(&[b"2026 began\n10 <1>aaaaaaa\n"]),
            ["2026 began", "<1>aaaaaaa"]
        );
    }

    #[test]
    fn a_line_without_end_takes_no_more_than_its_share() {
        let mut framing = Framing::default();
        let mut found = Vec::new();
        for _ in 0..1000 {
            framing.push(&[b'x'; 1000]);
            while let Some(frame) = framing.next_frame() {
                found.push(frame.len());
            }
            assert!(framing.buffer.len() <= MAX_LINE + 1000);
        }
        assert_eq!(found, [MAX_LINE]);
        framing.push(b"\n<1>next\n");
        assert_eq!(framing.next_frame(), Some(b"<1>next".to_vec()));
        framing.push(b"99999 <1>");
        assert_eq!(
            framing.next_frame(),
            None,
            "it waits for the rest of what it keeps"
        );
        framing.push(&[b'y'; MAX_LINE]);
        assert_eq!(framing.next_frame().map(|frame| frame.len()), Some(MAX_LINE));
    }
}
