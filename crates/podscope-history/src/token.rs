//! The codec of the open chunk and of the WAL: each value as the change against the one before it.
//!
//! | token (varint `x`) | meaning |
//! | --- | --- |
//! | `x & 3 == 0` | the value before, `(x >> 2) + 1` times |
//! | `x & 3 == 1` | the value before plus the integer `unzigzag(x >> 2)` |
//! | `x & 3 == 2` | 8 bytes follow: the value's bits, little-endian |
//! | `x & 3 == 3` | `y = x >> 2`, scale `s = SCALES[y & 7]`: `(round(before * s) + unzigzag(y >> 3)) / s` |
//!
//! The value before the first is 0. The encoder uses a form only when it gives back the very bits.

use crate::varint::{self, Reader};

const SCALES: [f64; 8] = [1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e8, 1e9];
/// Integers beyond this are not all representable.
const EXACT: f64 = 9_007_199_254_740_992.0;

fn add_integer(before: f64, delta: i64) -> f64 {
    (before as i64).wrapping_add(delta) as f64
}

fn add_scaled(before: f64, scale: f64, delta: i64) -> f64 {
    ((before * scale).round() as i64).wrapping_add(delta) as f64 / scale
}

/// Writes the change from `before` to `value`. `hint` remembers which scale fitted last.
pub(crate) fn put_change(out: &mut Vec<u8>, before: f64, value: f64, hint: &mut u8) {
    if before.abs() <= EXACT && value.abs() <= EXACT {
        let delta = value as i64 - before as i64;
        if add_integer(before, delta).to_bits() == value.to_bits() {
            varint::put(out, varint::zigzag(delta) << 2 | 1);
            return;
        }
        let first = usize::from(*hint) % SCALES.len();
        for at in (first..SCALES.len()).chain(0..first) {
            let scale = SCALES[at];
            if before.abs() * scale > EXACT || value.abs() * scale > EXACT {
                continue;
            }
            let delta = (value * scale).round() as i64 - (before * scale).round() as i64;
            if add_scaled(before, scale, delta).to_bits() == value.to_bits() {
                *hint = at as u8;
                varint::put(out, (varint::zigzag(delta) << 3 | at as u64) << 2 | 3);
                return;
            }
        }
    }
    out.push(2);
    out.extend_from_slice(&value.to_bits().to_le_bytes());
}

/// Writes that the value before came `count` times again.
pub(crate) fn put_run(out: &mut Vec<u8>, count: u32) {
    if count > 0 {
        varint::put(out, u64::from(count - 1) << 2);
    }
}

/// All values of a column as tokens.
pub(crate) fn of_values(values: &[f64]) -> Vec<u8> {
    let (mut out, mut before, mut run, mut hint) = (Vec::new(), 0.0_f64, 0, 0);
    for &value in values {
        if value.to_bits() == before.to_bits() {
            run += 1;
            continue;
        }
        put_run(&mut out, run);
        run = 0;
        put_change(&mut out, before, value, &mut hint);
        before = value;
    }
    put_run(&mut out, run);
    out
}

/// What one token says.
pub(crate) enum Token {
    /// The value before, this many times.
    Run(u64),
    /// A change, to be applied to the value before.
    Change(Change),
}

pub(crate) enum Change {
    Integer(i64),
    Bits(f64),
    Scaled(f64, i64),
}

impl Change {
    #[inline]
    pub(crate) fn apply(&self, before: f64) -> f64 {
        match *self {
            Self::Integer(delta) => add_integer(before, delta),
            Self::Bits(value) => value,
            Self::Scaled(scale, delta) => add_scaled(before, scale, delta),
        }
    }
}

#[inline]
pub(crate) fn read(reader: &mut Reader<'_>) -> Option<Token> {
    let x = reader.varint()?;
    let rest = x >> 2;
    Some(match x & 3 {
        0 => Token::Run(rest + 1),
        1 => Token::Change(Change::Integer(varint::unzigzag(rest))),
        2 => Token::Change(Change::Bits(reader.float()?)),
        _ => Token::Change(Change::Scaled(
            SCALES[(rest & 7) as usize],
            varint::unzigzag(rest >> 3),
        )),
    })
}

/// Decodes the tokens of one column one value at a time.
#[derive(Clone, Debug)]
pub(crate) struct Values<'a> {
    reader: Reader<'a>,
    before: f64,
    run: u64,
}

impl<'a> Values<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self {
            reader: Reader::new(bytes),
            before: 0.0,
            run: 0,
        }
    }

    /// Appends `count` values; false when the tokens end before or make no sense.
    pub(crate) fn read_into(&mut self, count: usize, out: &mut Vec<f64>) -> bool {
        let end = out.len() + count;
        while out.len() < end {
            if self.run > 0 {
                let take = self.run.min((end - out.len()) as u64);
                out.resize(out.len() + take as usize, self.before);
                self.run -= take;
                continue;
            }
            match read(&mut self.reader) {
                Some(Token::Run(count)) => self.run = count,
                Some(Token::Change(change)) => {
                    self.before = change.apply(self.before);
                    out.push(self.before);
                }
                None => return false,
            }
        }
        true
    }
}

impl Iterator for Values<'_> {
    type Item = f64;

    fn next(&mut self) -> Option<f64> {
        if self.run == 0 {
            match read(&mut self.reader)? {
                Token::Run(count) => self.run = count,
                Token::Change(change) => {
                    self.before = change.apply(self.before);
                    return Some(self.before);
                }
            }
        }
        self.run -= 1;
        Some(self.before)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn any_value() -> impl Strategy<Value = f64> {
        prop_oneof![
            any::<u64>().prop_map(f64::from_bits),
            any::<i64>().prop_map(|v| v as f64),
            (-1000_i64..1000).prop_map(|v| v as f64 / 100.0),
            (0_i64..10_000_000).prop_map(|v| v as f64 / 1000.0),
            (0_i64..1000).prop_map(|v| v as f64 * 0.001),
            Just(-0.0),
            Just(f64::INFINITY),
            Just(f64::NEG_INFINITY),
            Just(podscope_model::sample::STALE),
        ]
    }

    proptest! {
        #[test]
        fn every_value_comes_back_to_the_bit(values in prop::collection::vec(any_value(), 0..200)) {
            let (mut out, mut before, mut hint) = (Vec::new(), 0.0_f64, 0);
            for &value in &values {
                if value.to_bits() == before.to_bits() {
                    put_run(&mut out, 1);
                } else {
                    put_change(&mut out, before, value, &mut hint);
                }
                before = value;
            }
            let wanted: Vec<u64> = values.iter().map(|v| v.to_bits()).collect();
            let one_by_one: Vec<u64> = Values::new(&out).map(f64::to_bits).collect();
            prop_assert_eq!(&one_by_one, &wanted);
            let mut all = Vec::new();
            prop_assert!(Values::new(&out).read_into(values.len(), &mut all));
            prop_assert_eq!(all.iter().map(|v| v.to_bits()).collect::<Vec<_>>(), wanted);
        }

        #[test]
        fn nonsense_never_panics(bytes in prop::collection::vec(any::<u8>(), 0..100)) {
            let mut out = Vec::new();
            Values::new(&bytes).read_into(500, &mut out);
            prop_assert!(out.len() <= 500);
        }
    }
}
