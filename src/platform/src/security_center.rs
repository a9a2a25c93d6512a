//! What Windows' Security Center says of the protection against malicious programs, whoever's product it is.
//!
//! # Invariants
//! - The library is looked for when it is asked, in the system's own directory alone: servers do not have it.
//!
//! On failure: a host without the library or the service tells nothing.
#![expect(unsafe_code, reason = "raw calls of the Security Center")]

use std::ffi::OsStr;
use std::ptr::null_mut;

use windows_sys::Win32::Foundation::FreeLibrary;
use windows_sys::Win32::System::LibraryLoader::{
    GetProcAddress, LOAD_LIBRARY_SEARCH_SYSTEM32, LoadLibraryExW,
};

use crate::security::wide;

/// `WSC_SECURITY_PROVIDER_ANTIVIRUS`.
const ANTIVIRUS: u32 = 4;

/// `WscGetSecurityProviderHealth`: providers in, health out.
type Health = unsafe extern "system" fn(u32, *mut i32) -> i32;

/// How well the host is protected, as `WSC_SECURITY_PROVIDER_HEALTH` numbers it: 0 good, 1 not watched,
/// 2 poor, 3 put off by its owner. `None` where the Security Center does not run.
#[must_use]
pub fn antivirus_health() -> Option<i32> {
    let name = wide(OsStr::new("wscapi.dll"));
    // SAFETY: the name ends with a zero; the second argument must be null.
    let library =
        unsafe { LoadLibraryExW(name.as_ptr(), null_mut(), LOAD_LIBRARY_SEARCH_SYSTEM32) };
    if library.is_null() {
        return None;
    }
    // SAFETY: an open library, and a name that ends with a zero.
    let call = unsafe { GetProcAddress(library, c"WscGetSecurityProviderHealth".as_ptr().cast()) };
    let health = call.and_then(|call| {
        // SAFETY: the function of this name has this signature (wscapi.h).
        let call: Health = unsafe { std::mem::transmute(call) };
        let mut health = -1;
        // SAFETY: an output of ours. Everything but S_OK, such as S_FALSE where the service does not run,
        // says that it was not written.
        (unsafe { call(ANTIVIRUS, &raw mut health) } == 0).then_some(health)
    });
    // SAFETY: ours, given back once; nothing of it is used any more.
    unsafe { FreeLibrary(library) };
    health
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_host_answers_with_a_number_of_the_list_or_not_at_all() {
        let health = antivirus_health();
        assert!(health.is_none_or(|health| (0..=3).contains(&health)), "{health:?}");
    }
}
