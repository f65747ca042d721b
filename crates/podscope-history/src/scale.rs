//! Doubles that are integers in disguise: counts of hundredths, milliwatts, shares of a per cent.

const POWERS: [f64; 10] = [1.0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9];
const FRACTIONS: [f64; 10] = [1.0, 1e-1, 1e-2, 1e-3, 1e-4, 1e-5, 1e-6, 1e-7, 1e-8, 1e-9];
/// Set in a scale: the values are `integer * 10^-k`, not `integer / 10^k`; the last bit tells the two apart.
const TIMES: u8 = 0x80;

fn rescale(integer: i64, scale: u8) -> f64 {
    let k = usize::from(scale & 0xf).min(9);
    if scale & TIMES == 0 {
        integer as f64 / POWERS[k]
    } else {
        integer as f64 * FRACTIONS[k]
    }
}

/// Finds the scale under which every value is exactly an integer, and those integers.
pub(crate) fn scaled(values: &[f64], integers: &mut Vec<i64>) -> Option<u8> {
    (0..10).chain(TIMES + 1..TIMES + 10).find(|&scale| {
        integers.clear();
        let power = POWERS[usize::from(scale & 0xf)];
        for &value in values {
            let integer = (value * power).round();
            // Above 2^53 only whole numbers, and those only as themselves.
            let limit = if scale == 0 { 9.2e18 } else { 9.0e15 };
            if integer.is_nan() || integer.abs() > limit {
                return false;
            }
            let integer = integer as i64;
            if rescale(integer, scale).to_bits() != value.to_bits() {
                return false;
            }
            integers.push(integer);
        }
        true
    })
}

/// Appends the doubles that the scaled integers stand for.
pub(crate) fn unscale(integers: &[i64], scale: u8, out: &mut Vec<f64>) -> Option<()> {
    let k = usize::from(scale & 0xf);
    let (power, fraction) = (*POWERS.get(k)?, *FRACTIONS.get(k)?);
    // Numbers of up to 51 bits become doubles by two additions, which is a third of what the conversion takes.
    let is_small = integers
        .iter()
        .fold(0_u64, |all, integer| all | integer.wrapping_add(1 << 51) as u64)
        < 1 << 52;
    if is_small {
        return append(integers, scale, out, power, fraction, small_to_double);
    }
    append(integers, scale, out, power, fraction, |integer| integer as f64)
}

fn append(
    integers: &[i64],
    scale: u8,
    out: &mut Vec<f64>,
    power: f64,
    fraction: f64,
    double: impl Fn(i64) -> f64,
) -> Option<()> {
    match scale {
        0 => out.extend(integers.iter().map(|integer| double(*integer))),
        _ if scale & TIMES == 0 => out.extend(integers.iter().map(|integer| double(*integer) / power)),
        _ => out.extend(integers.iter().map(|integer| double(*integer) * fraction)),
    }
    Some(())
}

/// An integer within 2^51 of zero: added to the bits of 1.5 * 2^52 it is a double's last bits.
#[inline]
fn small_to_double(integer: i64) -> f64 {
    const MAGIC: f64 = 6_755_399_441_055_744.0;
    f64::from_bits((MAGIC.to_bits() as i64).wrapping_add(integer) as u64) - MAGIC
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_become_the_doubles_they_are() {
        let edge = 1_i64 << 51;
        let small = [0, 1, -1, 7, -7, edge - 1, -edge, 123_456_789, -987_654_321];
        for integer in small {
            assert_eq!(
                small_to_double(integer).to_bits(),
                (integer as f64).to_bits(),
                "{integer}"
            );
        }
        for scale in [0, 2, TIMES + 3] {
            for integers in [small.to_vec(), vec![edge, -edge - 1, i64::MAX, i64::MIN, 5]] {
                let mut out = Vec::new();
                unscale(&integers, scale, &mut out).expect("a known scale");
                let wanted: Vec<u64> = integers
                    .iter()
                    .map(|integer| rescale(*integer, scale).to_bits())
                    .collect();
                assert_eq!(
                    out.iter().map(|value| value.to_bits()).collect::<Vec<_>>(),
                    wanted
                );
            }
        }
    }
}
