//! Level 3: what drives and sensors say of their own state.
//!
//! # Invariants
//! - No serial number, no world-wide name.
//! - A drive that sleeps is not woken: it is absent until it is awake.
//!
//! Plain data: nothing here can fail.

use crate::{choice, event, nested};

nested! {
    /// An attribute that an ATA drive keeps of itself.
    pub struct SmartAttribute {
        /// Its number.
        id: u32, Performance;
        /// Its name.
        name: Option<String>, Performance;
        /// Its rating, which falls as it gets worse.
        value: Option<u64>, Performance;
        /// The lowest rating that it had.
        worst: Option<u64>, Performance;
        /// The rating at which the drive counts as failing.
        threshold: Option<u64>, Performance;
        /// The number behind it, in the maker's unit.
        raw: Option<u64>, Performance;
    }
}

nested! {
    /// What an `NVMe` drive keeps of itself.
    pub struct NvmeHealth {
        /// Its critical warnings as bits, by the `NVMe` specification.
        critical_warning: Option<u64>, Performance;
        /// Spare blocks left.
        available_spare: Option<u64>, Performance, unit = "%";
        /// Estimated use of its life; may exceed 100.
        percentage_used: Option<u64>, Performance, unit = "%";
        /// Errors of its media.
        media_errors: Option<u64>, Performance, unit = "{error}";
        /// Losses of power without warning.
        unsafe_shutdowns: Option<u64>, Performance, unit = "{event}";
    }
}

event! {
    /// What a drive says of its own health (SMART); one event for each drive that is awake.
    pub struct Smart = "candor.device.smart", Full, "to replace drives before they fail" {
        /// Its model without the variant's suffix.
        model_family: Option<String>, System;
        /// Whether it expects to go on working.
        healthy: Option<bool>, Performance;
        /// Its temperature.
        temperature: Option<i64>, Performance, unit = "Cel";
        /// Hours that it was on.
        power_on_time: Option<u64>, Performance, unit = "h";
        /// How often it was switched on.
        power_cycles: Option<u64>, Performance, unit = "{event}";
        /// Attributes of an ATA drive; at most 64.
        attributes: Option<Vec<SmartAttribute>>, Performance;
        /// What an `NVMe` drive says.
        nvme: Option<NvmeHealth>, Performance;
    }
}

choice! {
    /// What a sensor measures.
    pub enum SensorKind {
        /// Temperature, in °C.
        Temperature = "temperature",
        /// Speed of a fan, in turns a minute.
        Fan = "fan",
        /// Voltage, in V.
        Voltage = "voltage",
        /// Current, in A.
        Current = "current",
        /// Power, in W.
        Power = "power",
    }
}

nested! {
    /// A sensor.
    pub struct Sensor {
        /// What it measures.
        kind: Option<SensorKind>, System;
        /// The chip or zone that it belongs to.
        chip: Option<String>, System;
        /// Its label, where the driver gives one.
        label: Option<String>, System;
        /// What it measured: °C, turns a minute, V, A or W.
        value: Option<f64>, Performance;
        /// The value at which it is critical, in the same unit.
        critical: Option<f64>, System;
    }
}

event! {
    /// What the sensors measure. Sensors of drives are left out, since reading them may keep a drive awake.
    pub struct Sensors = "candor.device.sensors", Full, "to find heat and failing fans" {
        /// Number of sensors.
        total: Option<u64>, Performance, unit = "{sensor}";
        /// The sensors by chip; at most 128.
        sensors: Vec<Sensor>, Performance;
    }
}
