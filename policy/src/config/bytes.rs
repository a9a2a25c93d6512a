//! Sizes in `agent.toml`: a number and a unit, such as `64MiB`.
//!
//! # Invariants
//! - A size is zero only where zero means none; a text always carries its unit.

/// Units with their size in bytes.
const UNITS: [(&str, u64); 9] = [
    ("B", 1),
    ("KiB", 1 << 10),
    ("MiB", 1 << 20),
    ("GiB", 1 << 30),
    ("TiB", 1 << 40),
    ("kB", 1_000),
    ("MB", 1_000_000),
    ("GB", 1_000_000_000),
    ("TB", 1_000_000_000_000),
];

/// SQLite and the file systems count in signed 64-bit numbers.
const LARGEST: u64 = i64::MAX as u64;

/// Parses a size into bytes.
///
/// # Errors
/// What is wrong and what to write.
pub fn parse_bytes(text: &str) -> Result<u64, String> {
    match parse_bytes_or_none(text)? {
        0 => Err(format!("\"{text}\" is zero: write at least \"1B\"")),
        bytes => Ok(bytes),
    }
}

/// The same of a size that may be zero.
pub(super) fn parse_bytes_or_none(text: &str) -> Result<u64, String> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let size = UNITS
        .into_iter()
        .find(|(name, _)| *name == unit)
        .and_then(|(_, size)| number.parse::<u64>().ok()?.checked_mul(size))
        .filter(|bytes| *bytes <= LARGEST);
    size.ok_or_else(|| {
        format!("\"{text}\" is no size: write a number and B, KiB, MiB or GiB, such as \"64MiB\"")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn binary_and_decimal_units_are_understood() {
        for (text, bytes) in
            [("1B", 1), ("10MiB", 10 << 20), ("64MB", 64_000_000), ("2GiB", 2 << 30)]
        {
            assert_eq!(parse_bytes(text), Ok(bytes), "{text}");
        }
    }

    #[test]
    fn what_is_no_size_is_refused() {
        for text in ["", "64", "MiB", "0MiB", "-1MiB", "64 MiB", "64mib", "99999999TiB", "1.5GiB"] {
            assert!(parse_bytes(text).is_err(), "{text}");
        }
        assert_eq!(parse_bytes_or_none("0B"), Ok(0));
        assert!(parse_bytes_or_none("0").is_err());
    }
}
