//! Power as Windows tells it. Whether the link is metered is told only by components that a service
//! would have to load for it; nobody tells here.

use windows_sys::Win32::System::Power::{GetSystemPowerStatus, SYSTEM_POWER_STATUS};

use crate::{Host, Surroundings};

/// `ACLineStatus`: 0 offline, 1 online, 255 unknown.
const OFFLINE: u8 = 0;
const ONLINE: u8 = 1;

pub(super) fn surroundings(_host: &Host) -> Surroundings {
    let mut status = SYSTEM_POWER_STATUS::default();
    #[expect(unsafe_code, reason = "the system fills a structure of ours")]
    // SAFETY: `status` is a valid place for one structure, for the time of the call.
    let told = unsafe { GetSystemPowerStatus(&raw mut status) } != 0;
    let line = told.then_some(status.ACLineStatus);
    let is_on_battery = match line {
        Some(OFFLINE) => Some(true),
        Some(ONLINE) => Some(false),
        _ => None,
    };
    Surroundings { is_on_battery, is_metered: None }
}
