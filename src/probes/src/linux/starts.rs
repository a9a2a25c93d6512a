//! Starts without an ordered stop before them, in the system's record of logins and starts.
//!
//! ```text
//! record   0 type i16 | 8 line [32] | 44 user [32] | 76 host [256] | …      384 bytes, on some
//! type 1, user `shutdown`: an ordered stop      type 2: a start             architectures 400
//! ```
//!
//! # Invariants
//! - Of a record only its type and, for an ordered stop, the word `shutdown` are looked at: users and
//!   hosts of logins are not.
//! - The first start in the file is not judged: what came before it is not known.
//!
//! A file of another form tells nothing.

const RUN_LEVEL: u16 = 1;
const START: u16 = 2;
/// Types go from 0 to 9, utmp(5).
const LAST_TYPE: u16 = 9;
const SIZES: [usize; 2] = [384, 400];
const USER_AT: usize = 44;

/// How many there are in whole records; `None` when the bytes are no such records.
pub(super) fn unclean(bytes: &[u8]) -> Option<u32> {
    let size = SIZES.into_iter().find(|size| is_whole(bytes, *size))?;
    let mut seen = None;
    let mut unclean = 0;
    for record in bytes.chunks_exact(size) {
        let is_shutdown = record.get(USER_AT..USER_AT + 9) == Some(b"shutdown\0");
        match kind(record) {
            Some(RUN_LEVEL) if is_shutdown => seen = Some(RUN_LEVEL),
            Some(START) => {
                unclean += u32::from(seen == Some(START));
                seen = Some(START);
            }
            _ => {}
        }
    }
    Some(unclean)
}

fn kind(record: &[u8]) -> Option<u16> {
    Some(u16::from_le_bytes([*record.first()?, *record.get(1)?]))
}

fn is_whole(bytes: &[u8], size: usize) -> bool {
    let is_known = |record: &[u8]| kind(record).is_some_and(|kind| kind <= LAST_TYPE);
    !bytes.is_empty() && bytes.len().is_multiple_of(size) && bytes.chunks_exact(size).all(is_known)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(size: usize, kind: u16, user: &str) -> Vec<u8> {
        let mut record = vec![0; size];
        record[..2].copy_from_slice(&kind.to_le_bytes());
        record[USER_AT..USER_AT + user.len()].copy_from_slice(user.as_bytes());
        record
    }

    #[test]
    fn a_start_after_a_start_is_unclean_and_one_after_a_stop_is_not() {
        for size in SIZES {
            let start = record(size, START, "reboot");
            let stop = record(size, RUN_LEVEL, "shutdown");
            let (level, login) = (record(size, RUN_LEVEL, "runlevel"), record(size, 7, "alice"));
            let file = |parts: &[&Vec<u8>]| {
                parts.iter().flat_map(|part| part.iter().copied()).collect::<Vec<_>>()
            };
            assert_eq!(unclean(&file(&[&start, &level, &login, &stop, &start])), Some(0));
            assert_eq!(unclean(&file(&[&start, &level, &login, &start, &start, &stop])), Some(2));
            assert_eq!(unclean(&file(&[&stop, &start])), Some(0));
        }
    }

    #[test]
    fn what_is_no_such_file_tells_nothing() {
        for bytes in [&b""[..], &[0; 383], &[255; 384], &[7; 385]] {
            assert_eq!(unclean(bytes), None);
        }
    }
}
