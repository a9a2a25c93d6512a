//! Reading Windows' event log: the records of a channel that a query picks, as the XML in which Windows shows
//! them, and the words that their publisher has for them. What they mean is decided by who asked.
//!
//! # Invariants
//! - Only channels that the asking account may read answer; nothing is written or cleared.
//! - A wait has an end: [`PATIENCE`] for each batch.
//!
//! On failure: a channel, a query or a record that the system does not tell is `None`.
#![expect(unsafe_code, reason = "raw calls of the event log")]

use std::ffi::OsStr;
use std::ptr::{null, null_mut};

use windows_sys::Win32::Foundation::{ERROR_INSUFFICIENT_BUFFER, GetLastError};
use windows_sys::Win32::System::EventLog::{
    EVT_HANDLE, EvtClose, EvtFormatMessage, EvtFormatMessageEvent, EvtNext,
    EvtOpenPublisherMetadata, EvtQuery, EvtQueryChannelPath, EvtQueryForwardDirection,
    EvtQueryReverseDirection, EvtRender, EvtRenderEventXml,
};

use crate::security::wide;

/// Milliseconds that the log may think before it gives a batch.
const PATIENCE: u32 = 2000;
/// Records that are asked for at once.
const BATCH: usize = 32;
/// UTF-16 units of a record or a message; the log's own limit is 64 KiB a record.
const MAX_UNITS: usize = 128 * 1024;

/// A handle of the log that is closed with its owner.
#[derive(Debug)]
struct Handle(EVT_HANDLE);

impl Handle {
    fn owned(handle: EVT_HANDLE) -> Option<Self> {
        (handle != 0).then_some(Self(handle))
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        // SAFETY: ours, closed once.
        unsafe { EvtClose(self.0) };
    }
}

/// In which order records are told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EventOrder {
    /// The newest first.
    NewestFirst,
    /// The oldest first.
    OldestFirst,
}

/// The records that a query picks.
#[derive(Debug)]
pub struct EventQuery {
    results: Handle,
    batch: Vec<Handle>,
}

/// One record.
#[derive(Debug)]
pub struct EventRecord(Handle);

/// Who writes records, with the words for them.
#[derive(Debug)]
pub struct EventPublisher(Handle);

impl EventQuery {
    /// Asks a channel such as `System` by an `XPath` such as `*[System[Level=2]]`; `None` where the system
    /// does not let us, or does not understand it.
    #[must_use]
    pub fn open(channel: &str, query: &str, order: EventOrder) -> Option<Self> {
        let [channel, query] = [channel, query].map(|text| wide(OsStr::new(text)));
        let direction = match order {
            EventOrder::NewestFirst => EvtQueryReverseDirection,
            EventOrder::OldestFirst => EvtQueryForwardDirection,
        };
        let flags = EvtQueryChannelPath | direction;
        // SAFETY: both texts end with a zero; no session means this machine.
        let results = unsafe { EvtQuery(0, channel.as_ptr(), query.as_ptr(), flags) };
        Some(Self { results: Handle::owned(results)?, batch: Vec::new() })
    }

    fn fill(&mut self) {
        let mut handles: [EVT_HANDLE; BATCH] = [0; BATCH];
        let (room, mut count) = (u32::try_from(BATCH).unwrap_or(1), 0);
        // SAFETY: an open query, a place for so many handles, and an output of ours.
        let done = unsafe {
            EvtNext(self.results.0, room, handles.as_mut_ptr(), PATIENCE, 0, &raw mut count)
        };
        let count = usize::try_from(count).unwrap_or_default();
        if done != 0 {
            // Taken from the end.
            self.batch = handles.into_iter().take(count).rev().filter_map(Handle::owned).collect();
        }
    }
}

impl Iterator for EventQuery {
    type Item = EventRecord;

    fn next(&mut self) -> Option<EventRecord> {
        if self.batch.is_empty() {
            self.fill();
        }
        self.batch.pop().map(EventRecord)
    }
}

impl EventRecord {
    /// The record as XML.
    #[must_use]
    pub fn xml(&self) -> Option<String> {
        let mut buffer = vec![0_u16; 4096];
        for _ in 0..2 {
            let (mut used, mut properties) = (0, 0);
            let bytes = u32::try_from(buffer.len() * 2).ok()?;
            // SAFETY: an open record; the buffer is as long as we say, and the outputs are ours.
            let done = unsafe {
                EvtRender(
                    0,
                    self.0.0,
                    EvtRenderEventXml,
                    bytes,
                    buffer.as_mut_ptr().cast(),
                    &raw mut used,
                    &raw mut properties,
                )
            };
            let units = usize::try_from(used).ok()?.div_ceil(2);
            if done != 0 {
                return Some(text(buffer.get(..units)?));
            }
            grow(&mut buffer, units)?;
        }
        None
    }

    /// What its publisher says of it, in the system's language.
    #[must_use]
    pub fn message(&self, publisher: &EventPublisher) -> Option<String> {
        let mut buffer = vec![0_u16; 1024];
        for _ in 0..2 {
            let mut used = 0;
            let units = u32::try_from(buffer.len()).ok()?;
            // SAFETY: an open record and its publisher; the buffer is as long as we say.
            let done = unsafe {
                EvtFormatMessage(
                    publisher.0.0,
                    self.0.0,
                    0,
                    0,
                    null(),
                    EvtFormatMessageEvent,
                    units,
                    buffer.as_mut_ptr(),
                    &raw mut used,
                )
            };
            let used = usize::try_from(used).ok()?;
            if done != 0 {
                return Some(text(buffer.get(..used)?));
            }
            grow(&mut buffer, used)?;
        }
        None
    }
}

impl EventPublisher {
    /// The publisher of a name such as `Microsoft-Windows-Kernel-Power`; `None` where it left no words.
    #[must_use]
    pub fn open(name: &str) -> Option<Self> {
        let name = wide(OsStr::new(name));
        // SAFETY: the name ends with a zero; no session and no file mean what is installed here.
        let publisher = unsafe { EvtOpenPublisherMetadata(0, name.as_ptr(), null_mut(), 0, 0) };
        Handle::owned(publisher).map(Self)
    }
}

/// Makes room where the call said that it wants more, within bounds.
fn grow(buffer: &mut Vec<u16>, units: usize) -> Option<()> {
    // SAFETY: reads this thread's last error.
    let is_short = unsafe { GetLastError() } == ERROR_INSUFFICIENT_BUFFER;
    let is_sane = units > buffer.len() && units <= MAX_UNITS;
    (is_short && is_sane).then(|| buffer.resize(units, 0))
}

/// Up to the zero.
fn text(units: &[u16]) -> String {
    let end = units.iter().position(|unit| *unit == 0).unwrap_or(units.len());
    String::from_utf16_lossy(units.get(..end).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_channel_that_is_not_there_tells_nothing() {
        let records =
            EventQuery::open("Candor-There-Is-No-Such-Channel", "*", EventOrder::NewestFirst);
        assert_eq!(records.map(Iterator::count).unwrap_or_default(), 0);
    }

    #[test]
    fn each_record_of_this_hosts_system_log_is_told_in_xml() {
        // Under wine there is no log to read, and nobody who could be asked for words.
        let records = EventQuery::open("System", "*", EventOrder::OldestFirst)
            .into_iter()
            .flatten()
            .take(100);
        for record in records {
            let xml = record.xml().unwrap();
            assert!(xml.starts_with("<Event ") && xml.ends_with("</Event>"), "{xml}");
            assert!(EventPublisher::open("Candor-There-Is-No-Such-Publisher").is_none());
        }
    }

    #[test]
    fn a_text_ends_at_its_zero_or_with_its_buffer() {
        assert_eq!(text(&[97, 0, 98]), "a");
        assert_eq!(text(&[97, 98]), "ab");
    }
}
