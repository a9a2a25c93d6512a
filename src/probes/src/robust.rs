//! Statistics that a few wild values do not move. The forecast and the anomaly probe use them.
//!
//! - Median; median absolute deviation (MAD): Hampel, "The influence curve and its role in robust
//!   estimation", JASA 69 (1974). Half of the values may be wild.
//! - Modified z-score `0.6745 * (x - median) / MAD`: Iglewicz and Hoaglin, "How to Detect and Handle
//!   Outliers", ASQC 1993. The factor makes it a z-score where the values are normal.
//! - Slope as the median of the slopes of all pairs: Theil 1950; Sen, "Estimates of the regression
//!   coefficient based on Kendall's tau", JASA 63 (1968). 29 % of the points may be wild.
//!
//! # Invariants
//! - No value that is not finite comes out; of nothing nothing is told.
//!
//! Nothing here fails.

/// A normal distribution's MAD in standard deviations.
pub(crate) const NORMAL_MAD: f64 = 0.6745;

/// The value in the middle; of an even number the mean of the two.
pub(crate) fn median(values: &mut [f64]) -> Option<f64> {
    values.sort_unstable_by(f64::total_cmp);
    let middle = values.len() / 2;
    let upper = *values.get(middle)?;
    let is_odd = values.len() % 2 == 1;
    let lower = if is_odd { upper } else { *values.get(middle - 1)? };
    Some(f64::midpoint(lower, upper)).filter(|median| median.is_finite())
}

/// Median and median absolute deviation; the values are changed.
pub(crate) fn median_and_deviation(values: &mut [f64]) -> Option<(f64, f64)> {
    let median = median(values)?;
    for value in values.iter_mut() {
        *value = (*value - median).abs();
    }
    Some((median, self::median(values)?))
}

/// The median slope over all pairs of points `(x, y)`; pairs of one `x` have none.
pub(crate) fn slope(points: &[(f64, f64)]) -> Option<f64> {
    let mut slopes = Vec::with_capacity(points.len() * points.len().saturating_sub(1) / 2);
    for (at, (x, y)) in points.iter().enumerate() {
        for (later_x, later_y) in points.iter().skip(at + 1) {
            let slope = (later_y - y) / (later_x - x);
            if slope.is_finite() {
                slopes.push(slope);
            }
        }
    }
    median(&mut slopes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is(told: Option<f64>, expected: f64) -> bool {
        told.is_some_and(|told| (told - expected).abs() < 1e-9)
    }

    #[test]
    fn median_and_deviation_are_those_of_the_definition() {
        assert!(is(median(&mut [5.0, 1.0, 3.0]), 3.0));
        assert!(is(median(&mut [4.0, 1.0, 3.0, 2.0]), 2.5));
        assert_eq!(median(&mut []), None);
        // Around 2: 1 1 0 0 2 4 7, the middle one of 0 0 1 1 2 4 7.
        let told = median_and_deviation(&mut [1.0, 1.0, 2.0, 2.0, 4.0, 6.0, 9.0]);
        assert_eq!(told, Some((2.0, 1.0)));
    }

    #[test]
    fn a_quarter_of_wild_points_does_not_move_the_slope() {
        let mut points: Vec<_> =
            (0..16).map(|n| (f64::from(n), 7.0 + 3.0 * f64::from(n))).collect();
        assert!(is(slope(&points), 3.0));
        for wild in [2, 7, 11, 14] {
            points[wild].1 = 1e9;
        }
        let told = slope(&points).unwrap();
        assert!((2.9..3.5).contains(&told), "{told}");
    }

    #[test]
    fn points_of_one_moment_have_no_slope() {
        assert_eq!(slope(&[(1.0, 1.0), (1.0, 5.0)]), None);
        assert_eq!(slope(&[(1.0, 1.0)]), None);
        assert_eq!(slope(&[]), None);
    }
}
