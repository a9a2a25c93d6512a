//! Makes a request's body of the spool's rows. `drain` makes one body at a time.
//!
//! ```text
//! zstd          head | row | row | head | row      a zstd frame each; rows as they lie in the store
//! zstd, whole   one zstd frame \
//! gzip          one member      } over   head row row head row   unpacked
//! none          the bytes       /
//! ```
//! A head is what stands before the rows of one boot (`candor_otlp::request_heads`).
//!
//! # Invariants
//! - Rows that lie packed go out as they lie, but where the receiver wants it otherwise.
//! - Compression costs little memory whatever the body: 210 KiB for the time of one body, at a
//!   window of 32 KiB and level 1. Level 3 with its usual window takes 1.3 MiB and is 1 % smaller.

use std::io::{self, Write as _};

use candor_otlp::request_heads;
use candor_spool::{Kept, Row, RowError, RowId};
use flate2::write::GzEncoder;
use thiserror::Error;
use zstd::bulk::Compressor;
use zstd::zstd_safe::CParameter;

use crate::Compression;
use crate::joining::Form;

/// Two to the power of this is how far back zstd looks. Records repeat within a few KiB.
const WINDOW_LOG: u32 = 15;
/// The fastest ordinary level, and the one with the smallest tables.
const LEVEL: i32 = 1;

/// Why there is no body.
#[derive(Debug, Error)]
pub(crate) enum BodyError {
    /// A row cannot be read.
    #[error("a row cannot be sent")]
    Row {
        /// Which.
        id: RowId,
        /// Why.
        #[source]
        source: RowError,
    },
    /// It could not be compressed.
    #[error("a request cannot be compressed")]
    Compression(#[source] io::Error),
}

/// The body for these rows, compressed.
pub(crate) fn make(
    resource: &[u8],
    rows: &[Row],
    how: Compression,
    form: Form,
) -> Result<Vec<u8>, BodyError> {
    if how == Compression::Zstd && form == Form::Rows {
        return join(resource, rows).map_err(BodyError::Compression);
    }
    compress(assemble(resource, rows)?, how).map_err(BodyError::Compression)
}

/// Runs of rows of the same boot, each with what stands before it.
fn runs<'a>(resource: &[u8], rows: &'a [Row]) -> impl Iterator<Item = (Vec<u8>, &'a [Row])> {
    let runs: Vec<_> = rows.chunk_by(|a, b| a.boot == b.boot).collect();
    let bytes = |run: &[Row]| run.iter().map(Row::size).sum();
    let parts: Vec<(&str, usize)> = runs.iter().map(|run| (&*run[0].boot, bytes(run))).collect();
    request_heads(resource, &parts).into_iter().zip(runs)
}

/// One frame after the other.
fn join(resource: &[u8], rows: &[Row]) -> io::Result<Vec<u8>> {
    let mut body = Vec::new();
    for (head, run) in runs(resource, rows) {
        body.extend(zstd::bulk::compress(&head, LEVEL)?);
        for row in run {
            match row.kept() {
                Kept::Packed(packed) => body.extend_from_slice(packed),
                // Of an earlier version's store.
                Kept::Plain(frames) => body.extend(compressor()?.compress(frames)?),
            }
        }
    }
    Ok(body)
}

/// Everything unpacked.
fn assemble(resource: &[u8], rows: &[Row]) -> Result<Vec<u8>, BodyError> {
    let mut body = Vec::with_capacity(rows.iter().map(Row::size).sum::<usize>() + resource.len());
    for (head, run) in runs(resource, rows) {
        body.extend(head);
        for row in run {
            let frames = row.frames().map_err(|source| BodyError::Row { id: row.id, source })?;
            body.extend_from_slice(&frames);
        }
    }
    Ok(body)
}

/// A body is compressed, or why it cannot be.
fn compress(body: Vec<u8>, how: Compression) -> io::Result<Vec<u8>> {
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
