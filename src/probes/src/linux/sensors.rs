//! `candor.device.sensors`: temperatures, fans, voltages, currents and power.
//!
//! Read from `sys/class/hwmon` (`Documentation/hwmon/sysfs-interface.rst`) and, for zones that are not
//! there too, from `sys/class/thermal`.
//!
//! # Invariants
//! - Sensors of drives are not read: on some drives that resets the time after which they sleep.
//! - A sensor that cannot be read now has no value.
//!
//! Nothing here fails: what is not there is absent.

use candor_model::events::hardware::{Sensor, SensorKind, Sensors};
use candor_model::{Level, Record};

use crate::filler::fact;
use crate::probe::record;
use crate::{Host, Moment, Probe, ProbeError, Rhythm};

const MAX_LISTED: usize = 128;
/// Chips that stand for drives.
const DRIVES: [&str; 2] = ["drivetemp", "nvme"];
/// No sensor of a working machine is beyond, in its own unit; a broken one is.
const MOST: f64 = 1e6;

/// The probe.
#[derive(Debug, Default)]
pub(super) struct SensorsProbe;

impl Probe for SensorsProbe {
    fn name(&self) -> &'static str {
        "sensors"
    }

    fn level(&self) -> Level {
        Level::Full
    }

    fn rhythm(&self) -> Rhythm {
        Rhythm::EachReport
    }

    fn report(&mut self, host: &Host, _now: Moment) -> Result<Vec<Record>, ProbeError> {
        let mut sensors = chips(host);
        sensors.extend(zones(host, &sensors));
        let total = (!sensors.is_empty()).then_some(sensors.len() as u64);
        sensors.truncate(MAX_LISTED);
        Ok(record(Sensors { total, sensors }))
    }
}

fn chips(host: &Host) -> Vec<Sensor> {
    let directory = host.sys("class/hwmon");
    let mut sensors = Vec::new();
    for name in host.names(&directory) {
        let chip = directory.join(name);
        let label = host.text(&chip.join("name")).and_then(|name| fact(&name));
        if label.as_deref().is_some_and(|label| DRIVES.contains(&label)) {
            continue;
        }
        for file in host.names(&chip) {
            let Some((stem, kind, unit)) = sensor(&file) else { continue };
            let number =
                |suffix: &str| measured(host.text(&chip.join(format!("{stem}_{suffix}")))?, unit);
            sensors.push(Sensor {
                kind: Some(kind),
                chip: label.clone(),
                label: host
                    .text(&chip.join(format!("{stem}_label")))
                    .and_then(|label| fact(&label)),
                value: host.text(&chip.join(&file)).and_then(|text| measured(text, unit)),
                critical: number("crit"),
            });
        }
    }
    sensors
}

/// The stem of a file that holds a reading, what it measures, and how many of its units are one.
fn sensor(file: &str) -> Option<(&str, SensorKind, f64)> {
    let (stem, what) = file.split_once('_')?;
    let kind = stem.trim_end_matches(|c: char| c.is_ascii_digit());
    let (kind, unit) = match kind {
        "temp" => (SensorKind::Temperature, 1e3),
        "fan" => (SensorKind::Fan, 1.0),
        "in" => (SensorKind::Voltage, 1e3),
        "curr" => (SensorKind::Current, 1e3),
        "power" => (SensorKind::Power, 1e6),
        _ => return None,
    };
    let is_reading = what == "input" || (what == "average" && kind == SensorKind::Power);
    is_reading.then_some((stem, kind, unit))
}

#[expect(clippy::needless_pass_by_value, reason = "it is the file's text and nobody else's")]
fn measured(text: String, unit: f64) -> Option<f64> {
    let number: i32 = text.parse().ok()?;
    Some(f64::from(number) / unit).filter(|value| value.abs() < MOST)
}

fn zones(host: &Host, known: &[Sensor]) -> Vec<Sensor> {
    let directory = host.sys("class/thermal");
    let names = host.names(&directory).into_iter().filter(|name| name.starts_with("thermal_zone"));
    let zone = |name: String| {
        let kind = fact(&host.text(&directory.join(&name).join("type"))?)?;
        // Most zones are chips too; the kernel writes `-` there as `_`.
        let chip = kind.replace('-', "_");
        let is_known = known.iter().any(|sensor| sensor.chip.as_deref() == Some(chip.as_str()));
        let value = measured(host.text(&directory.join(&name).join("temp"))?, 1e3);
        let sensor = Sensor {
            kind: Some(SensorKind::Temperature),
            chip: Some(kind),
            value,
            ..Sensor::default()
        };
        (!is_known).then_some(sensor)
    };
    names.filter_map(zone).collect()
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn host(files: &[(&str, &str)]) -> (tempfile::TempDir, Host) {
        let root = tempfile::tempdir().unwrap();
        for (path, content) in files {
            let path = root.path().join("sys/class").join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, format!("{content}\n")).unwrap();
        }
        let host = Host::new(root.path());
        (root, host)
    }

    #[test]
    fn each_kind_has_its_unit_and_drives_are_left_alone() {
        let (_root, host) = host(&[
            ("hwmon/hwmon0/name", "coretemp"),
            ("hwmon/hwmon0/temp1_input", "45500"),
            ("hwmon/hwmon0/temp1_label", "Package id 0"),
            ("hwmon/hwmon0/temp1_crit", "100000"),
            ("hwmon/hwmon0/fan1_input", "1200"),
            ("hwmon/hwmon0/in0_input", "1056"),
            ("hwmon/hwmon0/power1_average", "12500000"),
            ("hwmon/hwmon0/temp2_input", "broken"),
            ("hwmon/hwmon1/name", "drivetemp"),
            ("hwmon/hwmon1/temp1_input", "30000"),
            ("thermal/thermal_zone0/type", "acpitz"),
            ("thermal/thermal_zone0/temp", "27800"),
            ("thermal/thermal_zone1/type", "coretemp"),
            ("thermal/thermal_zone1/temp", "45000"),
        ]);
        let sensors = [chips(&host), zones(&host, &chips(&host))].concat();
        let rows: Vec<_> =
            sensors.iter().map(|one| (one.kind.unwrap().word(), one.value, one.critical)).collect();
        assert_eq!(
            rows,
            [
                ("fan", Some(1200.0), None),
                ("voltage", Some(1.056), None),
                ("power", Some(12.5), None),
                ("temperature", Some(45.5), Some(100.0)),
                ("temperature", None, None),
                ("temperature", Some(27.8), None),
            ]
        );
        assert_eq!(sensors[3].label.as_deref(), Some("Package id 0"));
        assert_eq!(sensors[5].chip.as_deref(), Some("acpitz"));
    }

    #[test]
    fn a_host_without_sensors_says_nothing() {
        let (_root, host) = host(&[]);
        assert_eq!(SensorsProbe.report(&host, Moment::default()).unwrap(), []);
    }

    #[test]
    fn damage_neither_breaks_it_nor_makes_it_invent() {
        use candor_fuzz::{Says, text};

        text(
            "linux/sensors::sensor",
            Says::Derived("what a unit holds"),
            &["temp1_input", "power1_average"],
            |file| sensor(file).map(|(stem, ..)| stem.to_owned()),
        );
        text("linux/sensors::measured", Says::Derived("thousandths"), &["45500"], |text| {
            measured(text.to_owned(), 1e3)
        });
    }
}
