//! What becomes of a sample: one to four injuries, one upon the other.
//!
//! # Invariants
//! - An input stays below [`MOST`] bytes.
//!
//! Nothing here fails.

use std::ops::Range;

use crate::random::Random;

/// The most bytes of a damaged sample.
const MOST: usize = 64 << 10;

/// Numbers at and beyond the bounds of their types, and what is nearly a number.
const NUMBERS: [&str; 19] = [
    "0",
    "-1",
    "+5",
    "00000000000000000000000000000001",
    "127",
    "65536",
    "2147483648",
    "4294967295",
    "4294967296",
    "9223372036854775807",
    "9223372036854775808",
    "18446744073709551615",
    "18446744073709551616",
    "99999999999999999999999999999999999999999",
    "0x",
    "1.5",
    "1e308",
    "NaN",
    "inf",
];

/// Bytes that mean something to some format, and bytes that are no text.
const PIECES: [&[u8]; 22] = [
    b"\0",
    b"\n",
    b"\r\n",
    b"\t",
    b" ",
    b":",
    b"=",
    b"\"",
    b"'",
    b"\\",
    b"/",
    b"[",
    b"]",
    b"{",
    b"(",
    b")",
    b",",
    b"\xff",
    b"\xc3\x28",
    b"\xed\xa0\x80",
    "é".as_bytes(),
    "\u{202e}".as_bytes(),
];

pub(crate) struct Damage<'a> {
    pub(crate) samples: &'a [Vec<u8>],
    pub(crate) random: &'a mut Random,
}

impl Damage<'_> {
    /// A damaged one of the sample.
    pub(crate) fn of(&mut self, sample: &[u8]) -> Vec<u8> {
        let mut bytes = sample.to_vec();
        for _ in 0..=self.random.below(4) {
            self.injure(&mut bytes);
            bytes.truncate(MOST);
        }
        bytes
    }

    fn injure(&mut self, bytes: &mut Vec<u8>) {
        let len = bytes.len();
        let at = self.random.below(len + 1);
        match self.random.below(10) {
            0 => self.flip(bytes),
            1 => bytes.truncate(at),
            2 => drop(bytes.drain(..at)),
            3 => drop(bytes.drain(self.range(len))),
            4 => self.repeat(bytes),
            5 | 6 => self.number(bytes),
            7 => {
                let piece = *self.random.of(&PIECES);
                drop(bytes.splice(at..at, piece.iter().copied()));
            }
            8 => self.cross(bytes),
            _ => self.noise(bytes),
        }
    }

    fn range(&mut self, len: usize) -> Range<usize> {
        let (one, other) = (self.random.below(len + 1), self.random.below(len + 1));
        one.min(other)..one.max(other)
    }

    fn flip(&mut self, bytes: &mut [u8]) {
        let at = self.random.below(bytes.len());
        let bit = 1 << self.random.below(8);
        if let Some(byte) = bytes.get_mut(at) {
            *byte ^= bit;
        }
    }

    fn repeat(&mut self, bytes: &mut Vec<u8>) {
        let range = self.range(bytes.len());
        let times = 1 + self.random.below(200);
        let most = MOST / range.len().max(1);
        let part = bytes.get(range.clone()).unwrap_or_default().repeat(times.min(most));
        drop(bytes.splice(range.end..range.end, part));
    }

    /// One of its numbers becomes another.
    fn number(&mut self, bytes: &mut Vec<u8>) {
        let runs = runs(bytes);
        if runs.is_empty() {
            return;
        }
        let (run, number) = (self.random.of(&runs).clone(), *self.random.of(&NUMBERS));
        drop(bytes.splice(run, number.bytes()));
    }

    /// The beginning of this one and the end of another.
    fn cross(&mut self, bytes: &mut Vec<u8>) {
        let other = self.random.of(self.samples);
        let (at, from) = (self.random.below(bytes.len() + 1), self.random.below(other.len() + 1));
        bytes.truncate(at);
        bytes.extend_from_slice(other.get(from..).unwrap_or_default());
    }

    fn noise(&mut self, bytes: &mut [u8]) {
        let range = self.range(bytes.len());
        let most = 1 + self.random.below(16);
        for byte in bytes.get_mut(range).unwrap_or_default().iter_mut().take(most) {
            *byte = self.random.byte();
        }
    }
}

/// The runs of decimal digits.
fn runs(bytes: &[u8]) -> Vec<Range<usize>> {
    let mut runs: Vec<Range<usize>> = Vec::new();
    for (at, _) in bytes.iter().enumerate().filter(|(_, byte)| byte.is_ascii_digit()) {
        match runs.last_mut().filter(|run| run.end == at) {
            Some(run) => run.end = at + 1,
            None => runs.push(at..at + 1),
        }
    }
    runs
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_injury_comes_up_and_none_makes_an_input_too_large() {
        let samples = [b"size: 4096 kB\n".to_vec(), vec![7; MOST]];
        let mut random = Random::new(1);
        let mut longest = 0;
        let mut all = std::collections::BTreeSet::new();
        for turn in 0..2000 {
            let input = Damage { samples: &samples, random: &mut random }.of(&samples[turn % 2]);
            longest = longest.max(input.len());
            all.insert(input);
        }
        assert!(longest <= MOST && all.len() > 1000, "{longest} {}", all.len());
        let has =
            |part: &[u8]| all.iter().any(|input| input.windows(part.len()).any(|w| w == part));
        assert!(has(b"18446744073709551616") && has(b"\xc3\x28") && has(b"\0"));
    }

    #[test]
    fn numbers_are_found_whole() {
        assert_eq!(runs(b"a12 3"), [1..3, 4..5]);
    }
}
