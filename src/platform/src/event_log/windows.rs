//! The Windows half of `event_log`.
//!
//! # Invariants
//! - The handle is the process' own until it ends: an entry may be its last word.
#![expect(unsafe_code, reason = "raw calls of the event log")]

use std::ffi::OsStr;
use std::ptr::{null, null_mut};
use std::sync::atomic::{AtomicPtr, Ordering};

use windows_sys::Win32::System::EventLog::{
    EVENTLOG_ERROR_TYPE, EVENTLOG_INFORMATION_TYPE, EVENTLOG_WARNING_TYPE, RegisterEventSourceW,
    ReportEventW,
};

use super::{EVENT_SOURCE, Gravity, Message};
use crate::security::wide;

/// The most that one string of an entry may hold, in UTF-16 units (`ReportEventW`).
const MAX_UNITS: usize = 31_839;

/// Null until the log is opened.
static SOURCE: AtomicPtr<core::ffi::c_void> = AtomicPtr::new(null_mut());

pub(super) fn open() {
    let name = wide(OsStr::new(EVENT_SOURCE));
    // SAFETY: the name ends with a zero; no server name means this one.
    let source = unsafe { RegisterEventSourceW(null(), name.as_ptr()) };
    SOURCE.store(source, Ordering::Release);
}

pub(super) fn report(message: Message, text: &str) {
    let source = SOURCE.load(Ordering::Acquire);
    if source.is_null() {
        return;
    }
    let mut text = wide(OsStr::new(&text.replace('\0', " ")));
    if text.len() > MAX_UNITS {
        text.truncate(MAX_UNITS - 1);
        text.push(0);
    }
    let kind = match message.gravity() {
        Gravity::Information => EVENTLOG_INFORMATION_TYPE,
        Gravity::Warning => EVENTLOG_WARNING_TYPE,
        Gravity::Error => EVENTLOG_ERROR_TYPE,
    };
    let strings = [text.as_ptr()];
    // SAFETY: the handle is open for as long as the process lives; one string that ends with a zero, no
    // data, no user. What the log answers changes nothing.
    unsafe {
        ReportEventW(source, kind, 0, message.id(), null_mut(), 1, 0, strings.as_ptr(), null());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_opened_log_takes_short_and_long_texts() {
        open();
        assert!(!SOURCE.load(Ordering::Acquire).is_null());
        report(Message::Started, "a\0b");
        report(Message::Failed, &"x".repeat(100_000));
    }
}
