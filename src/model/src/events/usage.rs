//! Level 2: which services of the operating system run, how long, and how often they were started
//! anew.
//!
//! # Invariants
//! - Only services that came with a package are named; those that the administrator wrote are
//!   counted.
//!
//! Plain data: nothing here can fail.

use crate::{event, nested};

nested! {
    /// One service that runs.
    pub struct Service {
        /// Its name as its package or Windows gave it; of a template without the instance: `getty@`.
        name: String, Software;
        /// How many instances of a template run; absent for a service that is no template.
        instances: Option<u64>, Performance, unit = "{instance}";
        /// How long its oldest process has been running, suspended time included.
        uptime: Option<f64>, Performance, unit = "s";
        /// How often it was seen to have been started anew since the last event.
        restarts: u64, Performance, unit = "{restart}";
    }
}

event! {
    /// The services that run. Sent when they changed, when one was started anew, and once a day.
    pub struct Services = "candor.usage.services", Enhanced, "to see which services are used and which of them fail" {
        /// How many services run.
        count: Option<u64>, Performance, unit = "{service}";
        /// Of these, how many came with no package and are not named.
        unnamed: Option<u64>, Performance, unit = "{service}";
        /// Those that are named, by name.
        services: Option<Vec<Service>>, Performance;
    }
}
