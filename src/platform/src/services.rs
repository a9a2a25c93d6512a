//! What the service control manager says of every service and driver of Windows, and how long a process runs.
//!
//! # Invariants
//! - Only rights that every user has are asked for.
//!
//! On failure: what the system does not tell is `None`.
#![expect(unsafe_code, reason = "raw calls of the service control manager")]

use std::os::windows::io::{AsRawHandle as _, FromRawHandle as _, OwnedHandle};
use std::ptr::null;
use std::time::{Duration, SystemTime};

use windows_sys::Win32::Foundation::FILETIME;
use windows_sys::Win32::System::Services::{
    CloseServiceHandle, ENUM_SERVICE_STATUS_PROCESSW, EnumServicesStatusExW, OpenSCManagerW,
    SC_ENUM_PROCESS_INFO, SC_HANDLE, SC_MANAGER_ENUMERATE_SERVICE, SERVICE_DRIVER, SERVICE_RUNNING,
    SERVICE_STATE_ALL, SERVICE_STOPPED, SERVICE_WIN32,
};
use windows_sys::Win32::System::Threading::{
    GetProcessTimes, OpenProcess, PROCESS_QUERY_LIMITED_INFORMATION,
};

use crate::security::from_wide;

/// A service or driver.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SystemService {
    /// Its name, which is no display name and in no language.
    pub name: String,
    /// Whether it is a driver.
    pub is_driver: bool,
    /// Whether it runs.
    pub is_running: bool,
    /// What it left when it stopped by itself; `None` while it does not stand still.
    pub exit_code: Option<u32>,
    /// Its process, while it has one.
    pub pid: Option<u32>,
}

/// All of them; `None` where the system does not list them.
#[must_use]
pub fn system_services() -> Option<Vec<SystemService>> {
    // SAFETY: this machine's own manager; a null handle is an answer.
    let manager = unsafe { OpenSCManagerW(null(), null(), SC_MANAGER_ENUMERATE_SERVICE) };
    if manager.is_null() {
        return None;
    }
    let services = list(manager);
    // SAFETY: ours, closed once.
    unsafe { CloseServiceHandle(manager) };
    services
}

fn list(manager: SC_HANDLE) -> Option<Vec<SystemService>> {
    // The most that the call takes at once; more services than fit are asked for again from there.
    const ROOM: usize = 256 * 1024;
    let mut buffer = vec![0_u64; ROOM / 8];
    let mut services = Vec::new();
    let mut resume = 0;
    loop {
        let (mut missing, mut count) = (0, 0);
        let before = resume;
        // SAFETY: the buffer is as long as we say and aligned for the rows; the outputs are ours.
        let done = unsafe {
            EnumServicesStatusExW(
                manager,
                SC_ENUM_PROCESS_INFO,
                SERVICE_WIN32 | SERVICE_DRIVER,
                SERVICE_STATE_ALL,
                buffer.as_mut_ptr().cast(),
                u32::try_from(ROOM).ok()?,
                &raw mut missing,
                &raw mut count,
                &raw mut resume,
                null(),
            )
        };
        let rows = buffer.as_ptr().cast::<ENUM_SERVICE_STATUS_PROCESSW>();
        // SAFETY: the call wrote so many rows, whose names lie behind them in the same buffer.
        services.extend(
            (0..usize::try_from(count).ok()?).map(|row| unsafe { service(&*rows.add(row)) }),
        );
        if done != 0 {
            return Some(services);
        }
        // Neither an end nor a step forward.
        if resume == before || count == 0 {
            return None;
        }
    }
}

/// # Safety
/// The row's name points to UTF-16 that ends with a zero.
unsafe fn service(row: &ENUM_SERVICE_STATUS_PROCESSW) -> SystemService {
    let status = &row.ServiceStatusProcess;
    SystemService {
        // SAFETY: the caller's word.
        name: unsafe { from_wide(row.lpServiceName) }.to_string_lossy().into_owned(),
        is_driver: status.dwServiceType & SERVICE_DRIVER != 0,
        is_running: status.dwCurrentState == SERVICE_RUNNING,
        exit_code: (status.dwCurrentState == SERVICE_STOPPED).then_some(status.dwWin32ExitCode),
        pid: Some(status.dwProcessId).filter(|pid| *pid != 0),
    }
}

/// How long a process runs; `None` where it is gone or may not be looked at.
#[must_use]
pub fn process_age(pid: u32) -> Option<Duration> {
    // SAFETY: takes numbers only; a null handle is an answer.
    let process = unsafe { OpenProcess(PROCESS_QUERY_LIMITED_INFORMATION, 0, pid) };
    if process.is_null() {
        return None;
    }
    // SAFETY: the system just gave it to us, and nobody else closes it.
    let process = unsafe { OwnedHandle::from_raw_handle(process) };
    let [mut created, mut ended, mut kernel, mut user] = [FILETIME::default(); 4];
    // SAFETY: an open process and four structs of ours.
    let done = unsafe {
        GetProcessTimes(
            process.as_raw_handle(),
            &raw mut created,
            &raw mut ended,
            &raw mut kernel,
            &raw mut user,
        )
    };
    let ticks = (u64::from(created.dwHighDateTime) << 32) | u64::from(created.dwLowDateTime);
    // From 1601 to 1970, in units of 100 ns.
    let unix = ticks.checked_sub(116_444_736_000_000_000).filter(|_| done != 0)?;
    let created = SystemTime::UNIX_EPOCH + Duration::from_nanos(unix.checked_mul(100)?);
    SystemTime::now().duration_since(created).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_host_lists_services_by_name() {
        let services = system_services().unwrap();
        assert!(services.iter().any(|service| service.is_running), "{services:?}");
        assert!(services.iter().all(|service| !service.name.is_empty()));
    }

    #[test]
    fn this_process_is_young_and_no_process_has_no_age() {
        assert!(process_age(std::process::id()).unwrap() < Duration::from_hours(1));
        assert_eq!(process_age(u32::MAX), None);
    }
}
