//! `candor.quality.alerts` on Windows: what the event log keeps of hardware errors and crashes of the kernel.
//!
//! # Invariants
//! - 0 is said only where the log may be read; how far back it goes is told by `candor.reliability.summary`.
//! - What Windows keeps no record of, such as processes that were killed for want of memory, is absent.

use candor_model::UnixNanos;
use candor_model::events::quality;

use super::history::{History, Trouble};

/// What a history tells; `boot` is when the system started.
pub(super) fn alerts(history: &History, boot: UnixNanos) -> quality::Alerts {
    let since_boot = |trouble| Some(history.count(trouble, boot));
    let ever = |trouble| u32::try_from(history.count(trouble, UnixNanos(0))).ok();
    quality::Alerts {
        machine_checks: since_boot(Trouble::MachineCheck),
        memory_errors_corrected: since_boot(Trouble::MemoryCorrected),
        pcie_errors_corrected: since_boot(Trouble::PcieCorrected),
        kernel_crash_records: ever(Trouble::KernelCrash),
        unclean_shutdowns: ever(Trouble::UncleanStart),
        ..quality::Alerts::default()
    }
}

/// The probe.
#[cfg(windows)]
#[derive(Debug, Default)]
pub(super) struct Alerts {
    system: super::history::Followed,
}

#[cfg(windows)]
impl crate::Probe for Alerts {
    fn name(&self) -> &'static str {
        "alerts"
    }

    fn level(&self) -> candor_model::Level {
        candor_model::Level::Basic
    }

    fn rhythm(&self) -> crate::Rhythm {
        crate::Rhythm::Inventory
    }

    fn report(
        &mut self,
        host: &crate::Host,
        now: crate::Moment,
    ) -> Result<Vec<candor_model::Record>, crate::ProbeError> {
        let history = host.is_live().then(|| self.system.look()).flatten();
        let boot = u64::try_from(now.boot.as_nanos()).unwrap_or_default();
        let boot = UnixNanos(now.wall.0.saturating_sub(boot));
        Ok(history.map(|history| alerts(history, boot).into()).into_iter().collect())
    }

    fn reset(&mut self) {
        *self = Self::default();
    }
}

#[cfg(test)]
mod tests {
    use super::super::history::tests::history;
    use super::*;

    #[test]
    fn hardware_errors_count_since_boot_and_crashes_as_far_as_the_log_goes() {
        let whea = "Microsoft-Windows-WHEA-Logger";
        let history = history(&[
            (whea, 47, "2026-11-01T10:00:00Z"),
            ("Microsoft-Windows-WER-SystemErrorReporting", 1001, "2026-11-01T11:00:00Z"),
            ("Microsoft-Windows-Kernel-Power", 41, "2026-11-01T11:00:00Z"),
            (whea, 47, "2026-11-03T10:00:00Z"),
            (whea, 17, "2026-11-03T10:00:00Z"),
        ]);
        let boot: jiff::Timestamp = "2026-11-02T00:00:00Z".parse().unwrap();
        let boot = UnixNanos(u64::try_from(boot.as_nanosecond()).unwrap());
        let expected = quality::Alerts {
            machine_checks: Some(0),
            memory_errors_corrected: Some(1),
            pcie_errors_corrected: Some(1),
            kernel_crash_records: Some(1),
            unclean_shutdowns: Some(1),
            ..quality::Alerts::default()
        };
        assert_eq!(alerts(&history, boot), expected);
    }
}
