//! What only Windows' own calls tell of the machine, as the bytes that they give: the firmware's table, the
//! topology of the processors, the installed memory. What the bytes mean is decided by who asked.
//!
//! # Invariants
//! - A call that the system does not know, or refuses, is `None`.
#![expect(unsafe_code, reason = "raw calls of the system information")]

use std::ptr::null_mut;

use windows_sys::Win32::System::SystemInformation::{
    GetLogicalProcessorInformationEx, GetPhysicallyInstalledSystemMemory, GetSystemFirmwareTable,
    RSMB, RelationAll,
};

/// The SMBIOS table behind its eight bytes of versions and length.
#[must_use]
pub fn smbios_table() -> Option<Vec<u8>> {
    // SAFETY: without a buffer the call only tells the length that one must have.
    let length = unsafe { GetSystemFirmwareTable(RSMB, 0, null_mut(), 0) };
    let mut table = vec![0; usize::try_from(length).ok()?];
    // SAFETY: the buffer is valid for `length` bytes.
    let written = unsafe { GetSystemFirmwareTable(RSMB, 0, table.as_mut_ptr(), length) };
    // The table may have grown between the calls; then nothing was written.
    (written > 0 && written <= length).then_some(table)
}

/// The records of `GetLogicalProcessorInformationEx`: of every processor group.
#[must_use]
pub fn processor_topology() -> Option<Vec<u8>> {
    let mut length = 0;
    // SAFETY: without a buffer the call fails and tells the length that one must have.
    unsafe { GetLogicalProcessorInformationEx(RelationAll, null_mut(), &raw mut length) };
    let bytes = usize::try_from(length).ok().filter(|bytes| *bytes > 0)?;
    let mut records = vec![0_u64; bytes.div_ceil(8)];
    // SAFETY: the buffer is at least `length` bytes long, and aligned for the records.
    let done = unsafe {
        GetLogicalProcessorInformationEx(RelationAll, records.as_mut_ptr().cast(), &raw mut length)
    };
    let written = usize::try_from(length).ok()?.min(bytes);
    let bytes = records.iter().flat_map(|word| word.to_ne_bytes()).take(written);
    (done != 0).then(|| bytes.collect())
}

/// What the firmware says is installed, in bytes.
#[must_use]
pub fn installed_memory() -> Option<u64> {
    let mut kib = 0;
    // SAFETY: an output of ours.
    let done = unsafe { GetPhysicallyInstalledSystemMemory(&raw mut kib) };
    if done == 0 { None } else { kib.checked_mul(1024).filter(|bytes| *bytes > 0) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_host_tells_its_processors() {
        let records = processor_topology().unwrap();
        assert!(records.len() >= 32, "{}", records.len());
    }
}
