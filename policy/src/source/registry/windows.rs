//! The thin reading of registry keys, and the notification of their changes.
//!
//! # Invariants
//! - Each known value is asked for by its name: an enumeration ends early, and silently, when a
//!   value grows meanwhile. Only the names of unknown values come from one.
//! - A watch stands on the deepest part of a key that exists, so that a missing key is noticed
//!   when it is made.

use std::io;

use windows_registry::{Key as RegistryKey, LOCAL_MACHINE};
use windows_sys::Win32::System::Registry::{
    REG_NOTIFY_CHANGE_LAST_SET, REG_NOTIFY_CHANGE_NAME, REG_NOTIFY_THREAD_AGNOSTIC,
    RegNotifyChangeKeyValue,
};

use super::{RegistryValue, decode, place, read_values};
use crate::keys::Key;
use crate::layer::{Layer, LayerKind, Reading};
use crate::source::file::{Reader, reading_of};
use crate::source::notice::Event;

/// A key that changes while it is read is read again, so often.
const ATTEMPTS: usize = 3;

/// Reads a key as a layer.
pub(crate) fn read_key(kind: LayerKind, key: &str, reader: Reader) -> Layer {
    let place = place(key);
    let mut reading = Reading::Absent;
    for _ in 0..ATTEMPTS {
        reading = match values(key) {
            Ok(None) => Reading::Absent,
            Ok(Some(values)) => reading_of(read_values(values, &place, kind)),
            Err(error) => reader.reading("the registry key", &error),
        };
        if !matches!(reading, Reading::Unreadable(_)) {
            break;
        }
    }
    Layer::new(kind, &place, reading)
}

fn values(key: &str) -> io::Result<Option<Vec<(String, RegistryValue)>>> {
    let Some(key) = found(LOCAL_MACHINE.open(key))? else { return Ok(None) };
    let mut values = Vec::new();
    for name in Key::ALL.iter().map(|key| key.name()) {
        if let Some(value) = found(key.get_value(name))? {
            values.push((name.to_owned(), decode(u32::from(value.ty()), &value)));
        }
    }
    let names = found(key.values())?.into_iter().flatten().map(|(name, _)| name);
    let unknown = names.filter(|name| Key::from_name(name).is_none());
    values.extend(unknown.map(|name| (name, RegistryValue::Other("unknown value"))));
    Ok(Some(values))
}

/// What was found; `None` where it does not exist.
fn found<T>(result: windows_registry::Result<T>) -> io::Result<Option<T>> {
    match result {
        Ok(found) => Ok(Some(found)),
        Err(error) if is_missing(error.code().0) => Ok(None),
        Err(error) => Err(system_error(error.code().0)),
    }
}

/// What says that there is no such key or value (winerror.h); a key may be deleted while open.
fn is_missing(code: i32) -> bool {
    matches!(win32(code), Some(2 | 3 | 1018))
}

/// The error of a result code. The library hands out the code as a whole, in which the standard
/// library does not recognise what it means.
fn system_error(code: i32) -> io::Error {
    io::Error::from_raw_os_error(win32(code).unwrap_or(code))
}

/// The system's error number in a result code of facility 7 (`HRESULT_FROM_WIN32`).
const fn win32(code: i32) -> Option<i32> {
    if (code >> 16) & 0x1fff == 7 { Some(code & 0xffff) } else { None }
}

/// Writes a `REG_DWORD`; the key is made where it is missing.
pub(crate) fn write_number(key: &str, name: &str, number: u8) -> io::Result<()> {
    let written = LOCAL_MACHINE.create(key).and_then(|key| key.set_u32(name, u32::from(number)));
    written.map_err(|error| system_error(error.code().0))
}

/// Writes a `REG_SZ`; the key is made where it is missing.
pub(crate) fn write_text(key: &str, name: &str, text: &str) -> io::Result<()> {
    let written = LOCAL_MACHINE.create(key).and_then(|key| key.set_string(name, text));
    written.map_err(|error| system_error(error.code().0))
}

/// Writes a `REG_MULTI_SZ`; the key is made where it is missing.
pub(crate) fn write_list(key: &str, name: &str, items: &[String]) -> io::Result<()> {
    let items: Vec<&str> = items.iter().map(String::as_str).collect();
    let written = LOCAL_MACHINE.create(key).and_then(|key| key.set_multi_string(name, &items));
    written.map_err(|error| system_error(error.code().0))
}

/// Removes a value, if it is there.
pub(crate) fn remove_value(key: &str, name: &str) -> io::Result<()> {
    let Some(key) = found(LOCAL_MACHINE.options().read().write().open(key))? else { return Ok(()) };
    found(key.remove_value(name)).map(|_| ())
}

/// One notification of a change of a key. It fires once.
#[derive(Debug)]
pub(crate) struct KeyWatch {
    event: Event,
    // Closing it would fire the event.
    key: OpenKey,
}

#[derive(Debug)]
struct OpenKey(RegistryKey);

#[expect(unsafe_code, reason = "the crate wraps a bare handle and says nothing about threads")]
// SAFETY: a registry handle may be used and closed by any thread of its process.
unsafe impl Send for OpenKey {}

impl KeyWatch {
    /// Watches a key under `HKEY_LOCAL_MACHINE`, or its nearest existing parent.
    pub(crate) fn new(key: &str) -> io::Result<Self> {
        loop {
            let (open, at) = deepest(key)?;
            let watch = Self { event: Event::new()?, key: OpenKey(open) };
            watch.arm()?;
            // What was made between the look and the watch would go unseen.
            if at == key.len() || deepest(key)?.1 == at {
                return Ok(watch);
            }
        }
    }

    /// What fires.
    pub(crate) fn event(&self) -> &Event {
        &self.event
    }

    #[expect(unsafe_code, reason = "no kept crate wraps this call")]
    fn arm(&self) -> io::Result<()> {
        let filter =
            REG_NOTIFY_CHANGE_NAME | REG_NOTIFY_CHANGE_LAST_SET | REG_NOTIFY_THREAD_AGNOSTIC;
        // SAFETY: both handles are open and live as long as `self`; nothing else is passed.
        let status = unsafe {
            RegNotifyChangeKeyValue(self.key.0.as_raw(), 0, filter, self.event.handle(), 1)
        };
        match i32::try_from(status) {
            Ok(0) => Ok(()),
            Ok(code) => Err(io::Error::from_raw_os_error(code)),
            Err(_) => Err(io::ErrorKind::Other.into()),
        }
    }
}

/// The deepest part of a key that exists, and the length of its path.
fn deepest(key: &str) -> io::Result<(RegistryKey, usize)> {
    let mut length = key.len();
    loop {
        if let Some(open) = found(LOCAL_MACHINE.open(&key[..length]))? {
            return Ok((open, length));
        }
        length = key[..length].rfind('\\').ok_or(io::ErrorKind::NotFound)?;
    }
}
