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
    match scale {
        0 => out.extend(integers.iter().map(|integer| *integer as f64)),
        _ if scale & TIMES == 0 => out.extend(integers.iter().map(|integer| *integer as f64 / power)),
        _ => out.extend(integers.iter().map(|integer| *integer as f64 * fraction)),
    }
    Some(())
}
