//! A distribution that needs no limits set in advance: OTLP's base-2 exponential histogram, filled
//! one value at a time. The level 2 probes keep one for each `candor.*` distribution.
//!
//! The formula is that of the OTLP data model (`opentelemetry.io/docs/specs/otel/metrics/data-model`,
//! "Exponential Histogram"): at a scale `s` the base is `2^(2^-s)`, and bucket `i` holds the values
//! in `(base^i, base^(i+1)]`; so the bucket of `v` is `ceil(log2(v) * 2^s) - 1`. One scale less
//! joins each two buckets: `i` becomes `i >> 1`.
//!
//! # Invariants
//! - `count = zero_count + sum of buckets`; at most [`MAX_BUCKETS`] buckets: 320 bytes.
//! - At the first scale, 3, a value is known to 9 % (the base is 1.09); the scale only falls, when
//!   the values spread over more than the buckets hold.
//!
//! A negative or infinite value or one that is no number is left out, and counted nowhere.

use candor_model::ExponentialHistogram;

/// Resolution at first; 40 buckets then span a factor of 32.
const FIRST_SCALE: i32 = 3;

/// The most buckets.
const MAX_BUCKETS: usize = 40;

/// A distribution of values that are not negative.
#[derive(Debug, Default)]
pub(crate) struct Histogram {
    taken: Option<ExponentialHistogram>,
}

impl Histogram {
    /// Adds a value.
    pub(crate) fn add(&mut self, value: f64) {
        if !value.is_finite() || value < 0.0 {
            return;
        }
        let taken = self.taken.get_or_insert_with(|| ExponentialHistogram {
            scale: FIRST_SCALE,
            ..ExponentialHistogram::default()
        });
        taken.count += 1;
        taken.sum += value;
        if value.is_normal() { count(taken, value) } else { taken.zero_count += 1 }
    }

    /// What was added since the last time; `None` when there was nothing.
    pub(crate) fn take(&mut self) -> Option<ExponentialHistogram> {
        self.taken.take()
    }
}

/// Counts a value in its bucket, joining buckets until it fits.
fn count(taken: &mut ExponentialHistogram, value: f64) {
    loop {
        let index = bucket(value, taken.scale);
        if taken.buckets.is_empty() {
            taken.offset = index;
        }
        let last = taken.offset + i32::try_from(taken.buckets.len()).unwrap_or(i32::MAX) - 1;
        let (low, high) = (taken.offset.min(index), last.max(index));
        let width = usize::try_from(high - low + 1).unwrap_or(usize::MAX);
        if width <= MAX_BUCKETS {
            widen(taken, low, width);
            let at = usize::try_from(index - low).unwrap_or_default();
            if let Some(bucket) = taken.buckets.get_mut(at) {
                *bucket += 1;
            }
            return;
        }
        join(taken);
    }
}

/// The bucket of a value at a scale.
fn bucket(value: f64, scale: i32) -> i32 {
    #[expect(clippy::cast_possible_truncation, reason = "log2 of a normal f64 is within ±1074")]
    let index = (value.log2() * f64::from(scale).exp2()).ceil() as i32;
    index - 1
}

/// Makes room for `width` buckets from `low` on.
fn widen(taken: &mut ExponentialHistogram, low: i32, width: usize) {
    let before = usize::try_from(taken.offset - low).unwrap_or_default();
    taken.buckets.splice(0..0, std::iter::repeat_n(0, before));
    taken.buckets.resize(width, 0);
    taken.offset = low;
}

/// Lowers the scale by one.
fn join(taken: &mut ExponentialHistogram) {
    let (old, first) = (std::mem::take(&mut taken.buckets), taken.offset);
    taken.scale -= 1;
    taken.offset = first >> 1;
    for (index, counted) in (first..).zip(old) {
        let at = usize::try_from((index >> 1) - taken.offset).unwrap_or_default();
        if taken.buckets.len() <= at {
            taken.buckets.resize(at + 1, 0);
        }
        if let Some(bucket) = taken.buckets.get_mut(at) {
            *bucket += counted;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(values: &[f64]) -> ExponentialHistogram {
        let mut histogram = Histogram::default();
        for value in values {
            histogram.add(*value);
        }
        histogram.take().unwrap()
    }

    #[test]
    fn a_bucket_holds_its_upper_bound_and_not_its_lower() {
        // Scale 3: base = 2^(1/8); (base^-1, base^0] holds 1, (base^0, base^1] what is just above.
        assert_eq!(bucket(1.0, 3), -1);
        assert_eq!(bucket(1.0001, 3), 0);
        assert_eq!(bucket(2.0, 3), 7);
        assert_eq!(bucket(0.5, 3), -9);
        assert_eq!(bucket(4.0, 0), 1);
        assert_eq!(bucket(4.0001, 0), 2);
        assert_eq!(bucket(4.0, -1), 0);
    }

    #[test]
    fn every_value_is_counted_once_within_the_bound() {
        let values: Vec<f64> = (0..2000_i32).map(|n| f64::from(n * n) / 1e5).collect();
        let taken = of(&values);
        assert_eq!(taken.count, 2000);
        assert_eq!(taken.zero_count, 1);
        assert_eq!(taken.buckets.iter().sum::<u64>(), 1999);
        assert!(taken.buckets.len() <= MAX_BUCKETS);
        assert!((taken.sum - values.iter().sum::<f64>()).abs() < 1e-9);
    }

    #[test]
    fn each_bucket_counts_exactly_what_the_formula_says_whatever_the_order() {
        let up: Vec<f64> = (1..400_i32).map(|n| f64::from(n) / 7.0).collect();
        let down: Vec<f64> = up.iter().rev().copied().collect();
        let taken = of(&up);
        assert_eq!(taken.buckets, of(&down).buckets);
        assert_eq!((taken.offset, taken.scale), (of(&down).offset, of(&down).scale));
        let base = (-f64::from(taken.scale)).exp2().exp2();
        for (index, counted) in (taken.offset..).zip(&taken.buckets) {
            let (low, high) = (base.powi(index), base.powi(index + 1));
            let expected = up.iter().filter(|v| **v > low && **v <= high).count() as u64;
            assert!(counted.abs_diff(expected) <= 1, "bucket {index}: {counted} or {expected}");
        }
    }

    #[test]
    fn what_is_no_quantity_is_left_out() {
        let mut histogram = Histogram::default();
        for value in [-0.1, f64::NAN, f64::INFINITY] {
            histogram.add(value);
        }
        assert_eq!(histogram.take(), None);
    }

    #[test]
    fn extremes_do_not_break_it() {
        let taken = of(&[f64::MAX, f64::MIN_POSITIVE, 1.0, 0.0]);
        assert_eq!((taken.count, taken.zero_count), (4, 1));
        assert!(taken.buckets.len() <= MAX_BUCKETS && taken.scale < 0);
    }
}
