//! A device of Windows, opened without any right to it: enough to ask its driver what it remembers.
//!
//! # Invariants
//! - Opening gives no right to read or write, so that nothing here can change or wake a device.
//!
//! On failure: what the driver does not answer is `None`.
#![expect(unsafe_code, reason = "raw calls of the device's driver")]

use std::fs::{File, OpenOptions};
use std::os::windows::fs::OpenOptionsExt as _;
use std::os::windows::io::AsRawHandle as _;
use std::ptr::null_mut;

use windows_sys::Win32::Storage::FileSystem::{FILE_SHARE_READ, FILE_SHARE_WRITE};
use windows_sys::Win32::System::IO::DeviceIoControl;

/// An open device.
#[derive(Debug)]
pub struct Device(File);

impl Device {
    /// The device of a name such as `\\.\PhysicalDrive0`; `None` where there is none.
    #[must_use]
    pub fn open(name: &str) -> Option<Self> {
        let mut options = OpenOptions::new();
        options.access_mode(0).share_mode(FILE_SHARE_READ | FILE_SHARE_WRITE);
        options.open(name).ok().map(Self)
    }

    /// What the driver answers to a control code: at most `room` bytes, `None` where it refuses.
    #[must_use]
    pub fn ask(&self, code: u32, question: &[u8], room: usize) -> Option<Vec<u8>> {
        let mut answer = vec![0_u8; room];
        let (asked, size) = (u32::try_from(question.len()).ok()?, u32::try_from(room).ok()?);
        let mut written = 0;
        // SAFETY: an open device; both buffers are as long as we say, and the driver only reads the
        // first; the call is not overlapped, so that it has ended when it returns.
        let done = unsafe {
            DeviceIoControl(
                self.0.as_raw_handle(),
                code,
                question.as_ptr().cast(),
                asked,
                answer.as_mut_ptr().cast(),
                size,
                &raw mut written,
                null_mut(),
            )
        };
        answer.truncate(usize::try_from(written).ok()?);
        (done != 0).then_some(answer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_that_is_not_there_is_absent() {
        assert!(Device::open(r"\\.\PhysicalDrive4711").is_none());
    }
}
