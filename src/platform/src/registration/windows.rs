//! The Windows half of `registration`.
//!
//! # Invariants
//! - What exists already gets the list anew, so that a repair mends what somebody changed.
#![expect(unsafe_code, reason = "raw calls of the service control manager and the registry")]

use std::ffi::OsStr;
use std::io;
use std::path::Path;
use std::ptr::{null, null_mut};

use windows_sys::Win32::Security::{
    DACL_SECURITY_INFORMATION, PROTECTED_DACL_SECURITY_INFORMATION,
};
use windows_sys::Win32::Storage::FileSystem::CreateDirectoryW;
use windows_sys::Win32::System::Registry::{
    HKEY, HKEY_LOCAL_MACHINE, KEY_ALL_ACCESS, KEY_WOW64_64KEY, REG_DWORD, REG_EXPAND_SZ,
    RRF_NOEXPAND, RRF_RT_REG_EXPAND_SZ, RRF_SUBKEY_WOW6464KEY, RegCloseKey, RegCreateKeyExW,
    RegDeleteTreeW, RegGetValueW, RegSetKeySecurity, RegSetValueExW,
};
use windows_sys::Win32::System::Services::{
    ChangeServiceConfig2W, CloseServiceHandle, OpenSCManagerW, OpenServiceW, QueryServiceConfig2W,
    SC_HANDLE, SC_MANAGER_CONNECT, SERVICE_CHANGE_CONFIG, SERVICE_CONFIG_DELAYED_AUTO_START_INFO,
    SERVICE_CONFIG_PRESHUTDOWN_INFO, SERVICE_CONFIG_REQUIRED_PRIVILEGES_INFO,
    SERVICE_DELAYED_AUTO_START_INFO, SERVICE_PRESHUTDOWN_INFO, SERVICE_QUERY_CONFIG,
    SERVICE_REQUIRED_PRIVILEGES_INFOW,
};

use super::{PRIVILEGES, items, multi_string};
use crate::event_log::EVENT_SOURCE;
use crate::security::{Descriptor, answer, wide};
use crate::{Layout, sddl};

/// The message file that every Windows has: the ids from 1 to 1000 show the text that comes with them.
const MESSAGES: &str = r"%SystemRoot%\System32\EventCreate.exe";
/// Information, warnings and errors.
const TYPES: u32 = 7;
/// The key of everything that the agent writes to the registry.
const OWN_KEY: &str = r"SOFTWARE\Candor";

/// Leaves the service of this name [`PRIVILEGES`].
///
/// # Errors
/// The service control manager's.
pub fn require_privileges(service: &str) -> io::Result<()> {
    let mut list = multi_string(&PRIVILEGES);
    let info = SERVICE_REQUIRED_PRIVILEGES_INFOW { pmszRequiredPrivileges: list.as_mut_ptr() };
    let service = Registered::open(service, SERVICE_CHANGE_CONFIG)?;
    // SAFETY: the struct is that of the level, and its list, which ends with two zeros, outlives the call.
    let done = unsafe {
        ChangeServiceConfig2W(
            service.0,
            SERVICE_CONFIG_REQUIRED_PRIVILEGES_INFO,
            (&raw const info).cast(),
        )
    };
    if done == 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// The privileges that the service keeps; none where no list was ever set.
///
/// # Errors
/// The service control manager's.
pub fn required_privileges(service: &str) -> io::Result<Vec<String>> {
    let (buffer, written) = config(service, SERVICE_CONFIG_REQUIRED_PRIVILEGES_INFO)?;
    let start = buffer.as_ptr();
    // SAFETY: the system filled in the struct of the level at the start of the aligned buffer.
    let list =
        unsafe { (*start.cast::<SERVICE_REQUIRED_PRIVILEGES_INFOW>()).pmszRequiredPrivileges };
    if list.is_null() {
        return Ok(Vec::new());
    }
    let offset = (list as usize).saturating_sub(start as usize);
    let units = written.saturating_sub(offset) / 2;
    // SAFETY: the list lies behind the struct in the same buffer, and ends within what was written.
    Ok(items(unsafe { std::slice::from_raw_parts(list, units) }))
}

/// Whether the automatic start waits until the host is up.
///
/// # Errors
/// The service control manager's.
pub fn has_delayed_start(service: &str) -> io::Result<bool> {
    let (buffer, _) = config(service, SERVICE_CONFIG_DELAYED_AUTO_START_INFO)?;
    // SAFETY: the system filled in the struct of the level at the start of the aligned buffer.
    let info = unsafe { &*buffer.as_ptr().cast::<SERVICE_DELAYED_AUTO_START_INFO>() };
    Ok(info.fDelayedAutostart != 0)
}

/// How long the host waits for the service when it goes down.
///
/// # Errors
/// The service control manager's.
pub fn preshutdown_timeout(service: &str) -> io::Result<std::time::Duration> {
    let (buffer, _) = config(service, SERVICE_CONFIG_PRESHUTDOWN_INFO)?;
    // SAFETY: the system filled in the struct of the level at the start of the aligned buffer.
    let info = unsafe { &*buffer.as_ptr().cast::<SERVICE_PRESHUTDOWN_INFO>() };
    Ok(std::time::Duration::from_millis(info.dwPreshutdownTimeout.into()))
}

/// One level of a service's configuration, and how many bytes of it were written.
fn config(service: &str, level: u32) -> io::Result<(Vec<u64>, usize)> {
    // The largest that there is, `QueryServiceConfig2W` says.
    const ROOM: usize = 8 * 1024;
    let mut buffer = vec![0_u64; ROOM / 8];
    let mut needed = 0;
    let size = u32::try_from(ROOM).unwrap_or_default();
    let service = Registered::open(service, SERVICE_QUERY_CONFIG)?;
    // SAFETY: the buffer is as long as we say and aligned for every struct that it may get.
    let done = unsafe {
        QueryServiceConfig2W(service.0, level, buffer.as_mut_ptr().cast(), size, &raw mut needed)
    };
    if done == 0 {
        return Err(io::Error::last_os_error());
    }
    let written = usize::try_from(needed).unwrap_or_default();
    Ok((buffer, if written == 0 { ROOM } else { written.min(ROOM) }))
}

/// An open service.
struct Registered(SC_HANDLE);

impl Registered {
    fn open(name: &str, access: u32) -> io::Result<Self> {
        let name = wide(OsStr::new(name));
        // SAFETY: this machine's own manager; a null handle is an answer.
        let manager = Self(unsafe { OpenSCManagerW(null(), null(), SC_MANAGER_CONNECT) });
        if manager.0.is_null() {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: an open manager and a name that ends with a zero.
        let service = Self(unsafe { OpenServiceW(manager.0, name.as_ptr(), access) });
        if service.0.is_null() { Err(io::Error::last_os_error()) } else { Ok(service) }
    }
}

impl Drop for Registered {
    fn drop(&mut self) {
        if !self.0.is_null() {
            // SAFETY: ours, closed once.
            unsafe { CloseServiceHandle(self.0) };
        }
    }
}

/// Makes the directories of a service with the rights of its account, or sets them anew.
///
/// # Errors
/// The system's, for the first directory that refuses.
pub fn furnish_directories(layout: &Layout) -> io::Result<()> {
    furnish(layout.root(), &sddl::shared_dir())?;
    let private = sddl::private_dir(None);
    furnish(&layout.state_dir(), &private)?;
    furnish(&layout.log_dir(), &private)
}

fn furnish(dir: &Path, list: &str) -> io::Result<()> {
    let descriptor = Descriptor::from_sddl(list)?;
    let attributes = descriptor.attributes();
    let name = wide(dir.as_os_str());
    // SAFETY: the name ends with a zero; the attributes and what they point to live until the end.
    if unsafe { CreateDirectoryW(name.as_ptr(), &raw const attributes) } != 0 {
        return Ok(());
    }
    let error = io::Error::last_os_error();
    if error.kind() == io::ErrorKind::AlreadyExists && dir.is_dir() {
        return descriptor.apply_list_to(dir);
    }
    Err(error)
}

/// Makes the registry key of the operator's setting, which the service may write.
///
/// # Errors
/// The registry's.
pub fn furnish_settings_key() -> io::Result<()> {
    let key = OwnedKey::create(OWN_KEY)?;
    let descriptor = Descriptor::from_sddl(&sddl::settings_key())?;
    let what = DACL_SECURITY_INFORMATION | PROTECTED_DACL_SECURITY_INFORMATION;
    // SAFETY: an open key and a valid descriptor.
    answer(unsafe { RegSetKeySecurity(key.0, what, descriptor.as_ptr()) })
}

/// Removes what the agent ever wrote to the registry as the operator's setting.
///
/// # Errors
/// The registry's; that nothing is there is none.
pub fn remove_settings() -> io::Result<()> {
    remove_tree(OWN_KEY)
}

/// Registers the agent as a source of the log `Application`.
///
/// # Errors
/// The registry's.
pub fn furnish_event_source() -> io::Result<()> {
    let key = OwnedKey::create(&event_source_key())?;
    let file: Vec<u8> =
        wide(OsStr::new(MESSAGES)).iter().flat_map(|unit| unit.to_le_bytes()).collect();
    key.set("EventMessageFile", REG_EXPAND_SZ, &file)?;
    key.set("TypesSupported", REG_DWORD, &TYPES.to_le_bytes())
}

/// Takes the source away again.
///
/// # Errors
/// The registry's; that there is none is no error.
pub fn remove_event_source() -> io::Result<()> {
    remove_tree(&event_source_key())
}

/// Whether the source is registered, with a message file.
#[must_use]
pub fn has_event_source() -> bool {
    let (key, name) = (wide(OsStr::new(&event_source_key())), wide(OsStr::new("EventMessageFile")));
    let kinds = RRF_RT_REG_EXPAND_SZ | RRF_NOEXPAND | RRF_SUBKEY_WOW6464KEY;
    // SAFETY: both names end with a zero; neither type, value nor length is asked for.
    let code = unsafe {
        RegGetValueW(
            HKEY_LOCAL_MACHINE,
            key.as_ptr(),
            name.as_ptr(),
            kinds,
            null_mut(),
            null_mut(),
            null_mut(),
        )
    };
    code == 0
}

fn event_source_key() -> String {
    format!(r"SYSTEM\CurrentControlSet\Services\EventLog\Application\{EVENT_SOURCE}")
}

/// An open key below `HKEY_LOCAL_MACHINE`.
struct OwnedKey(HKEY);

impl OwnedKey {
    fn create(path: &str) -> io::Result<Self> {
        let path = wide(OsStr::new(path));
        let mut key = null_mut();
        // SAFETY: the path ends with a zero; the key is an output of ours; all else is left to the system.
        let code = unsafe {
            RegCreateKeyExW(
                HKEY_LOCAL_MACHINE,
                path.as_ptr(),
                0,
                null(),
                0,
                KEY_ALL_ACCESS | KEY_WOW64_64KEY,
                null(),
                &raw mut key,
                null_mut(),
            )
        };
        answer(code).map(|()| Self(key))
    }

    fn set(&self, name: &str, kind: u32, value: &[u8]) -> io::Result<()> {
        let name = wide(OsStr::new(name));
        let length = u32::try_from(value.len()).unwrap_or_default();
        // SAFETY: an open key, a name that ends with a zero, and a value as long as we say.
        answer(unsafe { RegSetValueExW(self.0, name.as_ptr(), 0, kind, value.as_ptr(), length) })
    }
}

impl Drop for OwnedKey {
    fn drop(&mut self) {
        // SAFETY: ours, closed once.
        unsafe { RegCloseKey(self.0) };
    }
}

fn remove_tree(path: &str) -> io::Result<()> {
    let path = wide(OsStr::new(path));
    // SAFETY: the path ends with a zero.
    let removed = answer(unsafe { RegDeleteTreeW(HKEY_LOCAL_MACHINE, path.as_ptr()) });
    match removed {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_is_registered_and_taken_away_again() {
        furnish_event_source().unwrap();
        assert!(has_event_source());
        furnish_event_source().unwrap();
        remove_event_source().unwrap();
        assert!(!has_event_source());
        remove_event_source().unwrap();
    }

    #[test]
    fn directories_are_made_and_made_good_again() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().join("Candor");
        std::fs::create_dir(&root).unwrap();
        for path in [root.join("state"), root.clone()] {
            furnish(&path, &sddl::private_dir(None)).unwrap();
            furnish(&path, &sddl::private_dir(None)).unwrap();
            assert!(path.is_dir());
        }
        assert!(furnish(&root.join("a/b/c"), &sddl::shared_dir()).is_err(), "no parent");
    }
}
