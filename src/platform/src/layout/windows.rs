//! The root of an installed system on Windows; the Windows half of `layout`.
//!
//! # Invariants
//! - The folder is asked of the shell, not of the environment: a service's variables may differ
//!   from a console's.
//!
//! On failure: where the shell does not answer, the folder that Windows makes by default.
#![expect(unsafe_code, reason = "a raw call of the shell's known folders")]

use std::path::PathBuf;

use windows_sys::Win32::System::Com::CoTaskMemFree;
use windows_sys::Win32::UI::Shell::{FOLDERID_ProgramData, SHGetKnownFolderPath};

use crate::security::from_wide;

pub(super) fn default_root() -> PathBuf {
    program_data_dir().join("Candor")
}

/// `%ProgramData%`, in which other programs of the system keep their state, too.
pub(crate) fn program_data_dir() -> PathBuf {
    program_data().unwrap_or_else(|| PathBuf::from(r"C:\ProgramData"))
}

fn program_data() -> Option<PathBuf> {
    let mut text: *mut u16 = std::ptr::null_mut();
    // SAFETY: the id is a constant; the out pointer is ours; no token means this process's user.
    let answer = unsafe {
        SHGetKnownFolderPath(&FOLDERID_ProgramData, 0, std::ptr::null_mut(), &raw mut text)
    };
    let path = (answer == 0 && !text.is_null()).then(|| {
        // SAFETY: on success the shell gives a string that ends with a zero.
        PathBuf::from(unsafe { from_wide(text) })
    });
    // SAFETY: the documentation asks to free it in either case; null is allowed.
    unsafe { CoTaskMemFree(text.cast()) };
    path
}
