//! The version that a program, library or driver of Windows carries in its resources: the numbers, not the text
//! that stands beside them in some language.
//!
//! # Invariants
//! - Of the file only its resources are read.
//!
//! On failure: a file without a version, or that may not be read, is `None`.
#![expect(unsafe_code, reason = "raw calls of the version library")]

use std::path::Path;
use std::ptr::{null_mut, read_unaligned};

use windows_sys::Win32::Storage::FileSystem::{
    GetFileVersionInfoSizeW, GetFileVersionInfoW, VS_FIXEDFILEINFO, VerQueryValueW,
};

use crate::security::wide;

/// What `VS_FIXEDFILEINFO` begins with.
const SIGNATURE: u32 = 0xFEEF_04BD;
/// Resources of versions have a few kilobytes.
const MAX_BYTES: u32 = 1 << 20;

/// The version of a file: major, minor, build, revision.
#[must_use]
pub fn file_version(path: &Path) -> Option<[u16; 4]> {
    let path = wide(path.as_os_str());
    // SAFETY: the path ends with a zero; the second argument is not used.
    let size = unsafe { GetFileVersionInfoSizeW(path.as_ptr(), null_mut()) };
    if size == 0 || size > MAX_BYTES {
        return None;
    }
    let mut block = vec![0_u64; usize::try_from(size).ok()?.div_ceil(8)];
    // SAFETY: the buffer has at least `size` bytes.
    if unsafe { GetFileVersionInfoW(path.as_ptr(), 0, size, block.as_mut_ptr().cast()) } == 0 {
        return None;
    }
    let (root, mut found, mut length) = ([u16::from(b'\\'), 0], null_mut(), 0);
    // SAFETY: a block as the system wrote it, a text that ends with a zero, and outputs of ours.
    let done = unsafe {
        VerQueryValueW(block.as_ptr().cast(), root.as_ptr(), &raw mut found, &raw mut length)
    };
    let is_whole = usize::try_from(length).ok()? >= size_of::<VS_FIXEDFILEINFO>();
    if done == 0 || found.is_null() || !is_whole {
        return None;
    }
    // SAFETY: the system says that so many bytes of the block lie there.
    let told = unsafe { read_unaligned(found.cast::<VS_FIXEDFILEINFO>()) };
    (told.dwSignature == SIGNATURE).then(|| numbers(told.dwFileVersionMS, told.dwFileVersionLS))
}

fn numbers(upper: u32, lower: u32) -> [u16; 4] {
    let [a, b] = [upper, lower].map(u32::to_be_bytes);
    [[a[0], a[1]], [a[2], a[3]], [b[0], b[1]], [b[2], b[3]]].map(u16::from_be_bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_library_of_this_windows_has_a_version_and_a_text_has_none() {
        let system = std::env::var_os("SystemRoot").unwrap();
        let library = Path::new(&system).join(r"System32\kernel32.dll");
        assert!(file_version(&library).unwrap()[0] >= 6);
        let text = tempfile::NamedTempFile::new().unwrap();
        assert_eq!(file_version(text.path()), None);
        assert_eq!(file_version(Path::new(r"C:\there\is\no.sys")), None);
    }

    #[test]
    fn a_version_is_two_words_of_two_numbers() {
        assert_eq!(numbers(0x000A_0000, 0x4A61_0456), [10, 0, 19041, 1110]);
    }
}
