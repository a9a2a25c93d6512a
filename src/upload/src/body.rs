//! Compresses a request's body. `uploader` makes one body at a time from the spool's rows.
//!
//! # Invariants
//! - Compression costs little memory whatever the body: 210 KiB for the time of one body, at a
//!   window of 32 KiB and level 1. Level 3 with its usual window takes 1.3 MiB and is 1 % smaller.

use std::io::{self, Write as _};

use flate2::write::GzEncoder;
use zstd::bulk::Compressor;
use zstd::zstd_safe::CParameter;

use crate::Compression;

/// Two to the power of this is how far back zstd looks. Records repeat within a few KiB.
const WINDOW_LOG: u32 = 15;
/// The fastest ordinary level, and the one with the smallest tables.
const LEVEL: i32 = 1;

/// A body is compressed, or why it cannot be.
pub(crate) fn compress(body: Vec<u8>, how: Compression) -> io::Result<Vec<u8>> {
    match how {
        Compression::None => Ok(body),
        Compression::Zstd => compressor()?.compress(&body),
        Compression::Gzip => {
            let mut gzip = GzEncoder::new(Vec::new(), flate2::Compression::fast());
            gzip.write_all(&body)?;
            gzip.finish()
        }
    }
}

fn compressor() -> io::Result<Compressor<'static>> {
    let mut compressor = Compressor::new(LEVEL)?;
    compressor.set_parameter(CParameter::WindowLog(WINDOW_LOG))?;
    Ok(compressor)
}

/// The `Content-Encoding` header, when there is one.
pub(crate) const fn encoding(how: Compression) -> Option<&'static str> {
    match how {
        Compression::None => None,
        Compression::Zstd => Some("zstd"),
        Compression::Gzip => Some("gzip"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Records much like ours: names that repeat, ids and numbers that do not.
    fn body() -> Vec<u8> {
        let mut body = Vec::new();
        let mut noise = 1_u64;
        while body.len() < 256 * 1024 {
            noise = noise.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            body.extend_from_slice(b"\x0a\x18system.cpu.utilization cpu.mode user candor.level");
            body.extend(noise.to_le_bytes());
            body.extend_from_slice(b"system.filesystem.usage system.device mountpoint state free");
            body.extend((noise >> 40).to_le_bytes());
        }
        body
    }

    #[test]
    fn every_compression_reads_back_and_is_smaller() {
        let body = body();
        let zstd = compress(body.clone(), Compression::Zstd).unwrap();
        assert_eq!(zstd::decode_all(zstd.as_slice()).unwrap(), body);
        let gzip = compress(body.clone(), Compression::Gzip).unwrap();
        let mut plain = Vec::new();
        io::Read::read_to_end(&mut flate2::read::GzDecoder::new(gzip.as_slice()), &mut plain)
            .unwrap();
        assert_eq!(plain, body);
        assert!(zstd.len() < body.len() / 4 && gzip.len() < body.len() / 4);
        assert_eq!(compress(body.clone(), Compression::None).unwrap(), body);
    }

    #[test]
    fn compression_keeps_to_its_memory() {
        let body = body();
        let mut compressor = compressor().unwrap();
        let narrow = compressor.compress(&body).unwrap().len();
        assert!(compressor.context_mut().sizeof() < 256 * 1024);
        // What eight times the window and level 3 would gain.
        let wide = zstd::bulk::compress(&body, 3).unwrap().len();
        assert!(narrow * 100 <= wide * 105, "{narrow} instead of {wide} bytes");
    }
}
