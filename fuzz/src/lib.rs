//! Bytes that nobody should send, for every parser of bytes that others wrote: files of the host, what
//! firmware and drivers tell, what programs and networks send. A parser's target stands in the tests of its
//! own file; `tests/fuzz/main.rs` finds the parsers that have none and keeps the table of all.
//!
//! # Invariants
//! - No panic, and no input that a parser is busy with for longer than [`PATIENCE`].
//! - What comes out is bounded by what went in ([`MOST_OUT`]).
//! - Nothing is invented: of nothing, no number comes out; of a text only numbers that stand in it
//!   ([`Says`]).
//! - The same inputs at every run. `CANDOR_LONG=1` tries a hundred times as many from a seed that a finding
//!   names; `CANDOR_FUZZ_SEED` gives it again.
//!
//! A finding fails the test with the parser, the seed and the input.

use std::fmt::Debug;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

mod claims;
mod damage;
mod random;
mod watch;

pub use claims::Says;
use damage::Damage;
use random::Random;
use watch::Watch;

/// How long one input may take on a machine that does much else.
pub const PATIENCE: Duration = Duration::from_mins(3);

/// What comes out, as text: at most so many bytes, and so many for each byte that went in.
pub const MOST_OUT: (usize, usize) = (4096, 96);

/// Inputs for each sample of a target.
const TRIES: u32 = 300;
const LONG_TRIES: u32 = 30_000;

/// The largest input is as large as the largest file that a probe reads.
const LARGEST: usize = 1 << 20;

/// Tries a parser of text, which gets what is no UTF-8 with replacement characters, as from
/// `Host::content`. `parser` is its path in its crate.
///
/// # Panics
/// When it panics, hangs, or says what its input does not.
pub fn text<T: Debug>(parser: &str, says: Says, samples: &[&str], run: impl Fn(&str) -> T) {
    let samples: Vec<_> = samples.iter().map(|sample| sample.as_bytes().to_vec()).collect();
    bytes(parser, says, &samples, |input| run(&String::from_utf8_lossy(input)));
}

/// Tries a parser of bytes.
///
/// # Panics
/// When it panics, hangs, or says what its input does not.
pub fn bytes<T: Debug>(parser: &str, says: Says, samples: &[Vec<u8>], run: impl Fn(&[u8]) -> T) {
    let is_long = std::env::var_os("CANDOR_LONG").is_some_and(|long| long == "1");
    let (seed, tries) = if is_long { (random::seed(), LONG_TRIES) } else { (1, TRIES) };
    let watch = Watch::over(parser);
    let check = |input: &[u8]| {
        watch.begin(input);
        let said = catch_unwind(AssertUnwindSafe(|| format!("{:?}", run(input))));
        watch.end();
        let found = match said {
            Ok(said) => claims::fault(&said, input, says),
            Err(_) => Some("it panics".to_owned()),
        };
        if let Some(fault) = found {
            let shown = input.get(..4096).unwrap_or(input).escape_ascii();
            unreachable!("{parser}: {fault}\nseed {seed}, {} bytes: {shown}", input.len());
        }
    };
    check(b"");
    let mut random = Random::new(seed);
    for sample in samples {
        check(sample);
        check(&enlarged(sample));
        for _ in 0..tries {
            check(&Damage { samples, random: &mut random }.of(sample));
        }
    }
}

/// The sample again and again, up to the largest input.
fn enlarged(sample: &[u8]) -> Vec<u8> {
    sample.repeat(LARGEST / sample.len().max(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fails(run: impl Fn(&str) -> Option<u64>) -> bool {
        let tried = || text("a::parser", Says::Stands, &["size 4096\n"], run);
        catch_unwind(AssertUnwindSafe(tried)).is_err()
    }

    #[test]
    fn a_parser_that_panics_or_invents_is_found_and_a_right_one_is_not() {
        let number = |text: &str| text.split_whitespace().nth(1)?.parse::<u64>().ok();
        assert!(!fails(number));
        assert!(fails(|text| Some(number(text).unwrap_or(0))), "a zero that nobody said");
        assert!(fails(|text| number(text).map(|n| n * 2)), "an overflow, and another number");
        assert!(fails(|text| number(&text[text.len().min(3)..])), "a cut within a character");
    }

    #[test]
    fn what_comes_out_is_bounded_by_what_went_in() {
        let grows = || {
            text("a::parser", Says::Derived("letters"), &["from 0 to 9"], |text| {
                "x".repeat(text.len() * 1000)
            });
        };
        assert!(catch_unwind(grows).is_err());
    }
}
