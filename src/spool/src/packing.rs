//! A row's frames as they lie in the store: one zstd frame, made once at the commit. It goes into a
//! request as it is, since zstd frames that follow each other are a zstd stream.
//!
//! # Invariants
//! - A packed row says how long it is unpacked, and that is believed up to [`MOST`] only: no row
//!   takes more memory than that, whatever lies there.
//! - One context for all rows: the writer thread compresses, nobody else.
//!
//! On failure (there is no memory for it) the row is kept as it is; a row says which it is.

use std::io;

use zstd::bulk::{Compressor, decompress};
use zstd::zstd_safe::{CParameter, get_frame_content_size};

/// What a row may hold at most: the largest record and its frame, or a full row.
pub(crate) const MOST: usize = (1 << 20) + (64 << 10);

/// Two to the power of this is how far back zstd looks. Records repeat within a few KiB, and what
/// it costs in memory is about four times this.
const WINDOW_LOG: u32 = 15;
/// The fastest ordinary level, and the one with the smallest tables.
const LEVEL: i32 = 1;

/// Packs rows.
#[derive(Default)]
pub(crate) struct Packer(Option<Compressor<'static>>);

impl Packer {
    /// The frames as one zstd frame; `None` where there is no memory for it.
    pub(crate) fn pack(&mut self, frames: &[u8]) -> Option<Vec<u8>> {
        match self.compressor().and_then(|compressor| compressor.compress(frames)) {
            Ok(packed) => Some(packed),
            Err(error) => {
                tracing::debug!(%error, "a row is kept as it is");
                self.0 = None;
                None
            }
        }
    }

    fn compressor(&mut self) -> io::Result<&mut Compressor<'static>> {
        if self.0.is_none() {
            let mut compressor = Compressor::new(LEVEL)?;
            compressor.set_parameter(CParameter::WindowLog(WINDOW_LOG))?;
            self.0 = Some(compressor);
        }
        self.0.as_mut().ok_or_else(|| io::ErrorKind::OutOfMemory.into())
    }
}

/// How long a packed row is unpacked; `None` where it does not say, or says too much.
pub(crate) fn unpacked_len(packed: &[u8]) -> Option<usize> {
    let told = get_frame_content_size(packed).ok()??;
    usize::try_from(told).ok().filter(|length| *length <= MOST)
}

/// The frames of a packed row.
pub(crate) fn unpack(packed: &[u8]) -> io::Result<Vec<u8>> {
    let length = unpacked_len(packed).ok_or(io::ErrorKind::InvalidData)?;
    let frames = decompress(packed, length)?;
    if frames.len() == length { Ok(frames) } else { Err(io::ErrorKind::InvalidData.into()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_packed_reads_back_and_says_its_length() {
        let mut context = Packer::default();
        for length in [0, 1, 64, 5000, 64 * 1024, MOST] {
            let frames: Vec<u8> = (0..=250).cycle().take(length).collect();
            let packed = context.pack(&frames).unwrap();
            assert_eq!(unpacked_len(&packed), Some(length));
            assert_eq!(unpack(&packed).unwrap(), frames);
        }
    }

    #[test]
    fn what_tells_more_than_a_row_holds_or_does_not_tell_is_not_unpacked() {
        let bomb = zstd::bulk::compress(&vec![0; 64 << 20], 1).unwrap();
        assert_eq!(unpacked_len(&bomb), None);
        assert!(unpack(&bomb).is_err());
        let silent = zstd::stream::encode_all(&[7; 100][..], 1).unwrap();
        assert!(unpack(&silent).is_err());
        assert!(unpack(b"no zstd frame").is_err());
    }

    #[test]
    fn a_flip_anywhere_is_an_error_or_other_bytes_and_never_more_than_it_may_be() {
        let frames: Vec<u8> = (0..3000_u32).flat_map(|n| (n / 7).to_le_bytes()).collect();
        let packed = Packer::default().pack(&frames).unwrap();
        for place in 0..packed.len() {
            for bit in 0..8 {
                let mut bent = packed.clone();
                bent[place] ^= 1 << bit;
                assert!(
                    unpack(&bent).is_ok_and(|found| found.len() <= MOST) || unpack(&bent).is_err()
                );
            }
        }
    }

    #[test]
    fn a_context_keeps_to_its_memory() {
        let mut packer = Packer::default();
        packer.pack(&vec![3; 64 * 1024]).unwrap();
        assert!(packer.compressor().unwrap().context_mut().sizeof() < 256 * 1024);
    }
}
