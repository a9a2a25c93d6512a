//! Reading the kernel's text tables byte by byte: words and whole numbers. The level 2
//! probes use it at every sample; the crate `procfs` allocates for each line and field, and that
//! alone would cost the round more than the system calls do.
//!
//! # Invariants
//! - Nothing here allocates, and nothing panics on any input.
//! - What is no whole number of 64 bits is [`None`], never zero.

/// The lines of a table.
pub(crate) fn lines(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    text.split(|byte| *byte == b'\n')
}

/// The words of a line.
pub(crate) fn words(line: &[u8]) -> impl Iterator<Item = &[u8]> {
    line.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty())
}

/// A whole number in decimal digits; a sign, a fraction or an overflow is none.
pub(crate) fn number(word: &[u8]) -> Option<u64> {
    if word.is_empty() {
        return None;
    }
    word.iter().try_fold(0_u64, |sum, byte| {
        let digit = byte.is_ascii_digit().then(|| u64::from(byte - b'0'))?;
        sum.checked_mul(10)?.checked_add(digit)
    })
}

/// The next `N` words, all of which must be numbers.
pub(crate) fn numbers<'a, const N: usize>(
    words: &mut impl Iterator<Item = &'a [u8]>,
) -> Option<[u64; N]> {
    let mut values = [0; N];
    for value in &mut values {
        *value = number(words.next()?)?;
    }
    Some(values)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_whole_decimal_numbers_of_64_bits_are_numbers() {
        assert_eq!(number(b"0"), Some(0));
        assert_eq!(number(b"18446744073709551615"), Some(u64::MAX));
        for word in
            [&b""[..], b"-1", b"+1", b"1.5", b"0x1", b"18446744073709551616", b" 1", b"\xff"]
        {
            assert_eq!(number(word), None, "{word:?}");
        }
    }

    #[test]
    fn a_missing_or_malformed_word_leaves_no_half_row() {
        assert_eq!(numbers::<2>(&mut words(b" 1\t2 3")), Some([1, 2]));
        assert_eq!(numbers::<2>(&mut words(b"1")), None);
        assert_eq!(numbers::<2>(&mut words(b"1 x")), None);
    }
}
