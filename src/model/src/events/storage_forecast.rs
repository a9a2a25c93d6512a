//! Level 2: when file systems will be full.
//!
//! # Invariants
//! - A file system is named as in `system.filesystem.usage`: never by what a person called it.
//!
//! Plain data: nothing here can fail.

use crate::{event, nested};

nested! {
    /// One file system.
    pub struct FileSystemForecast {
        /// The kernel's name of the device; absent where its name was chosen by a person.
        device: Option<String>, System;
        /// Where it is mounted: a path of the system itself, else its class such as `/home/*`.
        mount_point: String, System;
        /// How many bytes more are used each day: the median slope over all pairs of looks
        /// (Theil and Sen). Negative when it empties.
        growth_per_day: Option<f64>, Performance, unit = "By/d";
        /// Days until nothing is left at this rate; absent when it does not grow, and beyond ten years.
        days_until_full: Option<f64>, Performance, unit = "d";
        /// How long it has been watched for this.
        observed: Option<f64>, Performance, unit = "d";
    }
}

event! {
    /// When file systems will be full, from how they filled on this host: after a day of looks, then
    /// once a day.
    pub struct StorageForecast = "candor.storage.forecast", Enhanced, "to find drives that will be full soon" {
        /// The local file systems.
        file_systems: Vec<FileSystemForecast>, Performance;
    }
}
