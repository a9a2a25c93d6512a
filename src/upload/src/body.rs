//! Compresses a request's body. `uploader` makes one body at a time from the spool's rows.
//!
//! # Invariants
//! - Compression costs little memory whatever the body: a window of 128 KiB, level 1; the tables
//!   live only as long as one body.

use std::io::{self, Write as _};

use flate2::write::GzEncoder;
use zstd::zstd_safe::CParameter;

use crate::Compression;

/// Two to the power of this is how far back zstd looks. Rows repeat within a few KiB.
const WINDOW_LOG: u32 = 17;
/// Level 1; see the memory test below and the module's invariant.
const LEVEL: i32 = 1;

/// A body is compressed, or why it cannot be.
pub(crate) fn compress(body: Vec<u8>, how: Compression) -> io::Result<Vec<u8>> {
    match how {
        Compression::None => Ok(body),
        Compression::Zstd => zstandard(&body),
        Compression::Gzip => {
            let mut gzip = GzEncoder::new(Vec::new(), flate2::Compression::fast());
            gzip.write_all(&body)?;
            gzip.finish()
        }
    }
}

fn zstandard(body: &[u8]) -> io::Result<Vec<u8>> {
    let mut compressor = zstd::bulk::Compressor::new(LEVEL)?;
    compressor.set_parameter(CParameter::WindowLog(WINDOW_LOG))?;
    compressor.compress(body)
}

/// The `Content-Encoding` header, when there is one.
pub(crate) const fn encoding(how: Compression) -> Option<&'static str> {
    match how {
        Compression::None => None,
        Compression::Zstd => Some("zstd"),
        Compression::Gzip => Some("gzip"),
    }
}
