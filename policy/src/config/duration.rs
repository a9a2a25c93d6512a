//! Durations in `agent.toml`: a number and a unit, or several, such as `15m`, `100ms`, `1h30m`.
//!
//! # Invariants
//! - A unit is always written; a duration is never zero and never longer than ten years.

use std::time::Duration;

/// Units with their length in milliseconds.
const UNITS: [(&str, u64); 5] =
    [("ms", 1), ("s", 1000), ("m", 60_000), ("h", 3_600_000), ("d", 86_400_000)];

const LONGEST: Duration = Duration::from_hours(10 * 366 * 24);

/// Parses a duration.
///
/// # Errors
/// What is wrong and what to write.
pub fn parse_duration(text: &str) -> Result<Duration, String> {
    let milliseconds = sum(text).ok_or_else(|| {
        format!("\"{text}\" is no duration: write a number and ms, s, m, h or d, such as \"15m\"")
    })?;
    let duration = Duration::from_millis(milliseconds);
    if duration.is_zero() {
        return Err(format!("\"{text}\" is zero: write at least \"1ms\""));
    }
    if duration > LONGEST {
        return Err(format!("\"{text}\" is too long: write at most \"3650d\""));
    }
    Ok(duration)
}

fn sum(text: &str) -> Option<u64> {
    let mut rest = text;
    let mut total = 0_u64;
    while !rest.is_empty() {
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let (number, behind) = rest.split_at(digits);
        let letters = behind.bytes().take_while(u8::is_ascii_alphabetic).count();
        let (unit, behind) = behind.split_at(letters);
        let (_, length) = UNITS.into_iter().find(|(name, _)| *name == unit)?;
        total = total.checked_add(number.parse::<u64>().ok()?.checked_mul(length)?)?;
        rest = behind;
    }
    (!text.is_empty()).then_some(total)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_unit_is_understood() {
        for (text, milliseconds) in [
            ("100ms", 100),
            ("1s", 1000),
            ("15m", 900_000),
            ("24h", 86_400_000),
            ("30d", 2_592_000_000),
            ("1h30m", 5_400_000),
        ] {
            assert_eq!(parse_duration(text), Ok(Duration::from_millis(milliseconds)), "{text}");
        }
    }

    #[test]
    fn what_is_no_duration_is_refused() {
        for text in
            ["", "15", "m", "0s", "-1s", "1.5h", "15 m", "1w", "1S", "99999999999999999999s"]
        {
            assert!(parse_duration(text).is_err(), "{text}");
        }
        assert!(parse_duration("4000d").is_err());
    }
}
