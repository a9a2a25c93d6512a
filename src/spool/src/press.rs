//! Makes the bodies of rows: the codec's framing, and the packing of the finished frames.
//!
//! # Invariants
//! - Whoever makes or takes apart a row's body goes through here, so that every body is packed alike.

use std::cell::RefCell;
use std::fmt;

use candor_model::Kind;

use crate::packing::Packer;
use crate::row::Stored;
use crate::settings::Framing;

/// The framing, and the context that packs.
pub(crate) struct Press {
    pub(crate) framing: Box<dyn Framing>,
    packer: RefCell<Packer>,
}

impl Press {
    pub(crate) fn new(framing: Box<dyn Framing>) -> Self {
        Self { framing, packer: RefCell::default() }
    }

    /// Gives a row its finished frames, packed where that is possible, and its checksum.
    pub(crate) fn finish(&self, row: &mut Stored, frames: &[u8]) {
        match self.packer.borrow_mut().pack(frames) {
            Some(packed) => row.pack(packed),
            None => row.body = frames.to_vec(),
        }
        row.sum = row.checksum();
    }

    /// Where the first `records` frames end; `None` when there is nothing to cut.
    pub(crate) fn cut(&self, kind: Kind, frames: &[u8], records: u32) -> Option<usize> {
        let mut end = 0;
        for _ in 0..records {
            end += self.framing.frame_len(kind, frames.get(end..)?)?;
        }
        (end > 0 && end < frames.len()).then_some(end)
    }
}

impl fmt::Debug for Press {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Press").finish_non_exhaustive()
    }
}
