//! The kernel's list of processors: `0-3,8,10-11`.
//!
//! # Invariants
//! - What is not such a list is `None`, never a part of it.

/// No machine has more processors; a longer range is damage.
const MAX_CPU: u32 = 65_535;

/// The numbers in a list; an empty text is an empty list.
pub(super) fn parse(text: &str) -> Option<Vec<u32>> {
    let mut cpus = Vec::new();
    for part in text.trim().split(',').filter(|part| !part.is_empty()) {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (first, last): (u32, u32) = (first.parse().ok()?, last.parse().ok()?);
        if first > last || last > MAX_CPU {
            return None;
        }
        cpus.extend(first..=last);
        // The same ranges again and again: not a list of different processors.
        if cpus.len() > MAX_CPU as usize + 1 {
            return None;
        }
    }
    Some(cpus)
}

/// How many numbers are in a list.
pub(super) fn count(text: &str) -> Option<u32> {
    u32::try_from(parse(text)?.len()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_and_single_numbers_are_read() {
        assert_eq!(parse("0-3,8,10-11\n"), Some(vec![0, 1, 2, 3, 8, 10, 11]));
        assert_eq!(parse(""), Some(vec![]));
        assert_eq!(count("0-255"), Some(256));
    }

    #[test]
    fn damage_is_no_list() {
        for text in ["3-1", "a", "1-", "0-4294967295", "1,,x"] {
            assert_eq!(parse(text), None, "{text}");
        }
    }

    #[test]
    fn the_same_range_again_and_again_is_no_list() {
        assert_eq!(parse("0-65535").map(|cpus| cpus.len()), Some(65_536));
        assert_eq!(parse(&"0-65535,".repeat(100_000)), None);
    }

    #[test]
    fn damage_neither_breaks_it_nor_makes_it_invent() {
        use candor_fuzz::{Says, text};

        text(
            "processor/cpulist::parse",
            Says::Derived("a range is its numbers"),
            &["0-3,5\n", "0-65535"],
            |text| parse(text).map(|cpus| cpus.last().copied()),
        );
    }
}
