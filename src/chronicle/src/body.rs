//! From a request's body as it left to its records.
//!
//! # Invariants
//! - What unfolds to more than any body of ours is not read.
//! - A few bodies are held at a time, the latest used.

use std::io::{self, Read};

use candor_journal::{Entry, Reader};
use candor_otlp::{DecodedRecord, Place, decode_at, places};

/// The largest body that is unpacked. Ours are far smaller: 256 KiB, or one record of at most 1 MiB.
const LARGEST: u64 = 8 << 20;
/// Bodies that are held: logs, metrics and spans of one report leave one after the other.
const HELD: usize = 4;

/// An unpacked body and where its records stand.
pub(crate) struct Body {
    entry: u64,
    pub(crate) bytes: Vec<u8>,
    pub(crate) places: Vec<Place>,
}

impl Body {
    /// The body of an entry; `None` where its bytes are gone or are not what was written.
    pub(crate) fn read(journal: &Reader, entry: &Entry) -> Option<Self> {
        let sent = journal.body(entry).ok()??;
        let bytes = unpack(&sent, &entry.request.encoding).ok()?;
        let places = places(&bytes).ok()?;
        Some(Self { entry: entry.number, bytes, places })
    }

    /// The record with a number. It stands where the runs say; else it is looked for.
    pub(crate) fn record(&self, entry: &Entry, seq: u64) -> Option<(DecodedRecord, &Place)> {
        let kind = entry.request.kind;
        let decoded = |place| Some((decode_at(kind, &self.bytes, place).ok()?, place));
        let expected = place_of(entry, seq).and_then(|at| decoded(self.places.get(at)?));
        expected.filter(|(record, _)| record.seq == Some(seq)).or_else(|| {
            self.places.iter().filter_map(decoded).find(|(record, _)| record.seq == Some(seq))
        })
    }
}

/// The how-manieth record of a request has this number.
fn place_of(entry: &Entry, seq: u64) -> Option<usize> {
    let mut before = 0;
    for run in &entry.request.runs {
        if (run.first..=run.last()).contains(&seq) {
            return usize::try_from(before + seq - run.first).ok();
        }
        before += u64::from(run.records);
    }
    None
}

/// A body as it was before it was compressed.
pub(crate) fn unpack(sent: &[u8], encoding: &str) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let read = match encoding {
        "zstd" => zstd::Decoder::new(sent)?.take(LARGEST).read_to_end(&mut bytes),
        "gzip" => flate2::read::MultiGzDecoder::new(sent).take(LARGEST).read_to_end(&mut bytes),
        _ => sent.take(LARGEST).read_to_end(&mut bytes),
    };
    read.map(|_| bytes)
}

/// The bodies that were read last.
#[derive(Default)]
pub(crate) struct Bodies {
    held: Vec<Option<Body>>,
    numbers: Vec<u64>,
}

impl Bodies {
    /// The body of an entry, read if it is not held; `None` where it cannot be read.
    pub(crate) fn get(&mut self, journal: &Reader, entry: &Entry) -> Option<&Body> {
        let at = self.numbers.iter().position(|number| *number == entry.number);
        if let Some(at) = at {
            return self.held[at].as_ref();
        }
        if self.held.len() == HELD {
            self.held.remove(0);
            self.numbers.remove(0);
        }
        self.held.push(Body::read(journal, entry));
        self.numbers.push(entry.number);
        self.held.last()?.as_ref().filter(|body| body.entry == entry.number)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    #[test]
    fn every_encoding_is_unpacked_also_in_several_frames() {
        let frames = |text: &[u8]| zstd::bulk::compress(text, 1).unwrap();
        let two = [frames(b"one "), frames(b"two")].concat();
        assert_eq!(unpack(&two, "zstd").unwrap(), b"one two");
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        gzip.write_all(b"one two").unwrap();
        assert_eq!(unpack(&gzip.finish().unwrap(), "gzip").unwrap(), b"one two");
        assert_eq!(unpack(b"one two", "identity").unwrap(), b"one two");
        assert!(unpack(b"one two", "zstd").is_err());
    }
}
