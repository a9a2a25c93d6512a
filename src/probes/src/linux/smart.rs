//! `candor.device.smart`: what drives say of their own health, asked through smartctl.
//!
//! # Invariants
//! - `-n standby` first asks for the power mode, which wakes no drive; one that sleeps is not asked.
//! - Of smartctl's answer only the fields below are read; it is not asked for the drive's identity,
//!   so that no serial number is printed in the first place.
//! - At most [`MAX_DRIVES`] drives, and no more time than [`BUDGET`] for all of them.
//!
//! Without smartctl, or without the right to open drives, nothing is told.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use candor_model::events::device::{Drive, DriveBus};
use candor_model::events::hardware::{NvmeHealth, Smart, SmartAttribute};
use candor_model::{Level, Record};
use serde_json::Value;

use super::child;
use crate::drives;
use crate::{Host, Moment, Probe, ProbeError, Rhythm};

const MAX_DRIVES: usize = 32;
const MAX_ATTRIBUTES: usize = 64;

/// For one drive; a healthy one answers within some milliseconds.
const EACH: Duration = Duration::from_secs(2);

/// For all drives together, below a probe's deadline.
const BUDGET: Duration = Duration::from_secs(4);

/// Bits 0 and 1 of its exit status.
const NO_ANSWER: i32 = 3;

/// The probe.
#[derive(Debug, Default)]
pub(super) struct SmartProbe;

impl Probe for SmartProbe {
    fn name(&self) -> &'static str {
        "smart"
    }

    fn level(&self) -> Level {
        Level::Full
    }

    fn rhythm(&self) -> Rhythm {
        Rhythm::EachReport
    }

    fn report(&mut self, host: &Host, _now: Moment) -> Result<Vec<Record>, ProbeError> {
        let answers = ask(host, &["-H", "-A"]).unwrap_or_default();
        Ok(answers.into_iter().map(|(drive, answer)| smart(&drive, &answer).into()).collect())
    }
}

/// How many drives were awake and said whether they expect to fail, and how many do.
pub(super) fn failing(host: &Host) -> Option<(u32, u32)> {
    let answers = ask(host, &["-H"])?;
    let verdicts: Vec<bool> = answers.iter().filter_map(|(_, answer)| passed(answer)).collect();
    let failing = verdicts.iter().filter(|passed| !**passed).count();
    Some((u32::try_from(verdicts.len()).ok()?, u32::try_from(failing).ok()?))
}

/// What each drive that is awake answers; `None` where nobody can be asked.
fn ask(host: &Host, what: &[&str]) -> Option<Vec<(Drive, Value)>> {
    let smartctl = child::find(host, "smartctl")?;
    let until = Instant::now() + BUDGET;
    let drives = drives::named(host).into_iter().filter(|(_, drive)| can_answer(drive));
    let answers = drives.take(MAX_DRIVES).filter_map(|(name, drive)| {
        let rest = until.saturating_duration_since(Instant::now()).min(EACH);
        (!rest.is_zero()).then(|| Some((drive, answer(&smartctl, what, &name, rest)?))).flatten()
    });
    Some(answers.collect())
}

fn can_answer(drive: &Drive) -> bool {
    matches!(drive.bus, Some(DriveBus::Nvme | DriveBus::Ata | DriveBus::Sas | DriveBus::Scsi))
}

fn answer(smartctl: &PathBuf, what: &[&str], name: &str, deadline: Duration) -> Option<Value> {
    let device = format!("/dev/{name}");
    let output = child::run(smartctl, &arguments(what, &device), deadline).ok()?;
    has_answered(output.code).then(|| serde_json::from_slice(&output.text).ok()).flatten()
}

fn arguments<'a>(what: &[&'a str], device: &'a str) -> Vec<&'a str> {
    [&["--json=c", "-n", "standby"], what, &[device]].concat()
}

/// Not: it could not be opened, or it sleeps, or smartctl does not know an option (smartctl(8)).
fn has_answered(code: Option<i32>) -> bool {
    code.is_some_and(|code| code & NO_ANSWER == 0)
}

fn passed(answer: &Value) -> Option<bool> {
    answer.pointer("/smart_status/passed")?.as_bool()
}

fn smart(drive: &Drive, answer: &Value) -> Smart {
    let number = |path: &str| answer.pointer(path).and_then(Value::as_u64);
    Smart {
        model_family: drive.model_family.clone(),
        healthy: passed(answer),
        temperature: answer.pointer("/temperature/current").and_then(Value::as_i64),
        power_on_time: number("/power_on_time/hours"),
        power_cycles: number("/power_cycle_count"),
        attributes: answer.pointer("/ata_smart_attributes/table").and_then(attributes),
        nvme: answer.get("nvme_smart_health_information_log").map(nvme),
    }
}

fn attributes(table: &Value) -> Option<Vec<SmartAttribute>> {
    let rows = table.as_array()?.iter().take(MAX_ATTRIBUTES);
    Some(rows.filter_map(attribute).collect())
}

fn attribute(row: &Value) -> Option<SmartAttribute> {
    let number = |key: &str| row.get(key).and_then(Value::as_u64);
    Some(SmartAttribute {
        id: u32::try_from(number("id")?).ok()?,
        name: row.get("name").and_then(Value::as_str).map(str::to_owned),
        value: number("value"),
        worst: number("worst"),
        threshold: number("thresh"),
        raw: row.pointer("/raw/value").and_then(Value::as_u64),
    })
}

fn nvme(log: &Value) -> NvmeHealth {
    let number = |key: &str| log.get(key).and_then(Value::as_u64);
    NvmeHealth {
        critical_warning: number("critical_warning"),
        available_spare: number("available_spare"),
        percentage_used: number("percentage_used"),
        media_errors: number("media_errors"),
        unsafe_shutdowns: number("unsafe_shutdowns"),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_drive_that_sleeps_is_not_woken_and_says_nothing() {
        let asked = ["--json=c", "-n", "standby", "-H", "-A", "/dev/sda"];
        assert_eq!(arguments(&["-H", "-A"], "/dev/sda"), asked);
        // Asleep; not opened or an option unknown; killed. Bit 3 says that it expects to fail.
        assert_eq!(
            [Some(2), Some(1), None, Some(0), Some(8)].map(has_answered),
            [false, false, false, true, true]
        );
    }

    #[test]
    fn an_ata_drive_tells_its_attributes_and_no_identity() {
        let answer = json!({
            "serial_number": "S3CR3T",
            "smart_status": { "passed": false },
            "temperature": { "current": 41 },
            "power_on_time": { "hours": 31_000 },
            "power_cycle_count": 77,
            "ata_smart_attributes": { "table": [
                { "id": 5, "name": "Reallocated_Sector_Ct", "value": 1, "worst": 1, "thresh": 10, "raw": { "value": 3999 } },
                { "name": "no id" }
            ] }
        });
        let smart = smart(&Drive::default(), &answer);
        assert_eq!(
            (smart.healthy, smart.temperature, smart.power_cycles),
            (Some(false), Some(41), Some(77))
        );
        let [attribute] = smart.attributes.as_deref().unwrap() else { panic!("one attribute") };
        assert_eq!((attribute.id, attribute.threshold, attribute.raw), (5, Some(10), Some(3999)));
        assert!(!format!("{smart:?}").contains("S3CR3T"));
    }

    #[test]
    fn an_nvme_drive_tells_its_log() {
        let answer = json!({
            "smart_status": { "passed": true },
            "nvme_smart_health_information_log":
                { "critical_warning": 0, "available_spare": 100, "percentage_used": 3, "media_errors": 0, "unsafe_shutdowns": 12 }
        });
        let smart = smart(&Drive::default(), &answer);
        let nvme = smart.nvme.unwrap();
        assert_eq!(
            (smart.healthy, nvme.percentage_used, nvme.unsafe_shutdowns),
            (Some(true), Some(3), Some(12))
        );
        assert_eq!(smart.attributes, None);
    }

    #[test]
    fn an_answer_without_a_verdict_or_of_another_form_tells_nothing() {
        for answer in [json!({}), json!([]), json!({ "smart_status": 1, "temperature": "hot" })] {
            assert_eq!(smart(&Drive::default(), &answer), Smart::default());
        }
    }

    #[test]
    fn damage_neither_breaks_it_nor_makes_it_invent() {
        use candor_fuzz::{Says, text};

        text(
            "linux/smart::smart",
            Says::Stands,
            &[
                "{\"smart_status\":{\"passed\":true},\"temperature\":{\"current\":34},\"power_on_time\":{\"hours\":17},\"ata_smart_attributes\":{\"table\":[{\"id\":5,\"name\":\"X\",\"value\":100,\"worst\":99,\"thresh\":10,\"raw\":{\"value\":3}}]},\"nvme_smart_health_information_log\":{\"critical_warning\":2,\"media_errors\":6}}",
            ],
            |text| {
                serde_json::from_str::<Value>(text)
                    .ok()
                    .map(|answer| smart(&Drive::default(), &answer))
            },
        );
    }
}
