//! Reproducible randomness: numbers that depend only on what they are asked for, so that the simulated past needs no
//! memory of how it was reached.

/// A well mixed number of three others (the finaliser of splitmix64, applied thrice).
pub(crate) fn hash(a: u64, b: u64, c: u64) -> u64 {
    let mix = |mut x: u64| {
        x = x.wrapping_add(0x9e37_79b9_7f4a_7c15);
        x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        x ^ (x >> 31)
    };
    mix(mix(mix(a) ^ b) ^ c)
}

/// Evenly distributed in `0.0..1.0`.
pub(crate) fn unit(a: u64, b: u64, c: u64) -> f64 {
    (hash(a, b, c) >> 11) as f64 / (1u64 << 53) as f64
}

/// A smooth curve through random values in `-1.0..1.0`, one each `period` seconds.
pub(crate) fn smooth(seed: u64, stream: u64, seconds: f64, period: f64) -> f64 {
    let at = seconds / period;
    let (left, part) = (at.floor(), at - at.floor());
    let value = |knot: f64| unit(seed, stream, (knot as i64).cast_unsigned()) * 2.0 - 1.0;
    let weight = part * part * (3.0 - 2.0 * part);
    value(left) * (1.0 - weight) + value(left + 1.0) * weight
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_spread_evenly_and_do_not_depend_on_order() {
        let values: Vec<f64> = (0..10_000).map(|at| unit(7, 3, at)).collect();
        let mean = values.iter().sum::<f64>() / values.len() as f64;
        assert!((mean - 0.5).abs() < 0.02, "{mean}");
        assert!(values.iter().all(|value| (0.0..1.0).contains(value)));
        assert_eq!(unit(7, 3, 5_000), values[5_000]);
    }

    #[test]
    fn the_curve_is_smooth_and_bounded() {
        let curve: Vec<f64> = (0..5_000)
            .map(|at| smooth(1, 2, f64::from(at) * 0.1, 60.0))
            .collect();
        assert!(curve.iter().all(|value| value.abs() <= 1.0));
        assert!(curve.windows(2).all(|pair| (pair[1] - pair[0]).abs() < 0.01));
        assert!(curve.iter().any(|value| *value > 0.3) && curve.iter().any(|value| *value < -0.3));
    }
}
