//! `candor.device.processor`: model, sockets, cores, threads, frequencies, caches, NUMA nodes.
//!
//! Linux reads `sys/devices/system/cpu`, `sys/devices/system/node` and `proc/cpuinfo`; Windows asks
//! `GetLogicalProcessorInformationEx` and the registry's `HARDWARE\DESCRIPTION\System\CentralProcessor`.
//!
//! # Invariants
//! - Counts are of processors that are switched on; the others are counted apart.
//! - A frequency is what the processor can do, never what it happens to run at.
//!
//! Nothing here fails: what is not there is absent.

use candor_model::{Level, Record};

use crate::probe::record;
use crate::{Change, Host, Moment, Probe, ProbeError, Rhythm};

#[cfg(not(windows))]
mod cpulist;
#[cfg(not(windows))]
#[path = "processor/linux.rs"]
mod os;
#[cfg(windows)]
#[path = "processor/windows.rs"]
mod os;
#[cfg_attr(not(any(windows, test)), expect(dead_code, reason = "only Windows has such records"))]
mod records;
#[cfg(not(windows))]
mod topology;

/// The probe.
#[derive(Debug, Default)]
pub(crate) struct Processor;

impl Probe for Processor {
    fn name(&self) -> &'static str {
        "processor"
    }

    fn level(&self) -> Level {
        Level::Basic
    }

    fn rhythm(&self) -> Rhythm {
        Rhythm::Inventory
    }

    fn wakes_on(&self) -> &'static [Change] {
        &[Change::Hardware]
    }

    fn report(&mut self, host: &Host, _now: Moment) -> Result<Vec<Record>, ProbeError> {
        Ok(record(os::processor(host)))
    }
}

/// The base frequency that many x86 models carry in their names, in hertz.
fn named_frequency(model: &str) -> Option<u64> {
    let (_, text) = model.rsplit_once('@')?;
    let text = text.trim();
    let (number, unit) = match text.strip_suffix("GHz") {
        Some(number) => (number, 1_000_000_000),
        None => (text.strip_suffix("MHz")?, 1_000_000),
    };
    let (whole, fraction) = number.trim().split_once('.').unwrap_or((number.trim(), ""));
    let digits = u32::try_from(fraction.len()).ok().filter(|digits| *digits <= 6)?;
    let scale = 10u64.pow(digits);
    let fraction: u64 = if fraction.is_empty() { 0 } else { fraction.parse().ok()? };
    let whole: u64 = whole.parse().ok().filter(|whole| *whole < 100_000)?;
    Some((whole * scale + fraction) * (unit / scale)).filter(|hertz| *hertz > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frequency_in_the_name_is_read_exactly() {
        let named = |model| named_frequency(model);
        assert_eq!(named("Intel(R) Xeon(R) Gold 6248 CPU @ 2.50GHz"), Some(2_500_000_000));
        assert_eq!(named("Pentium III @ 866MHz"), Some(866_000_000));
        assert_eq!(named("Some CPU @ 3GHz"), Some(3_000_000_000));
        assert_eq!(named("AMD Ryzen 7 5800X"), None);
        assert_eq!(named("Odd @ fast"), None);
        assert_eq!(named("Odd @ 0.00GHz"), None);
    }

    #[test]
    fn damage_neither_breaks_it_nor_makes_it_invent() {
        use candor_fuzz::{Says, text};

        text(
            "processor::named_frequency",
            Says::Derived("gigahertz are hertz"),
            &["Intel(R) Xeon(R) CPU E5-2680 @ 2.50GHz"],
            named_frequency,
        );
    }
}
