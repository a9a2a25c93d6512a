//! What the agent says of itself: its settings, their changes, and how well it does.

use crate::{choice, event, nested};

choice! {
    /// Which layer decided.
    pub enum Layer {
        /// Management policy.
        Policy = "policy",
        /// The operator's setting.
        Operator = "operator",
        /// Windows' own registry setting.
        WindowsSetting = "windows_setting",
        /// `agent.toml`.
        Configuration = "configuration",
        /// Remote settings, which can only lower.
        Remote = "remote",
        /// The built-in default.
        Default = "default",
    }
}

choice! {
    /// In which role a change was made.
    pub enum Role {
        /// Root, or an elevated administrator.
        Administrator = "administrator",
        /// The management policy changed.
        Management = "management",
        /// The agent itself, for example when a raise expired.
        Agent = "agent",
    }
}

event! {
    /// What this agent is set to: its level and where that comes from, where it uploads to.
    pub struct Settings = "candor.agent.settings", Security, "to show the owner's decision to the receiver" {
        /// The effective level, 0 to 3.
        level: Option<u32>, Software;
        /// The layer that decided the level.
        level_source: Option<Layer>, Software;
        /// Whether upload is on.
        upload_enabled: Option<bool>, Software;
        /// Host name of the events endpoint, without user, path or query.
        endpoint_host: Option<String>, Software;
        /// Number of certificate pins.
        pins: Option<u32>, Software;
        /// Version of the agent.
        agent_version: &'static str, Software;
        /// SHA-256 of the catalog that this agent enforces, first 16 hexadecimal digits.
        catalog_hash: Option<String>, Software;
    }
}

event! {
    /// A change of level, upload, endpoint or pins. Who made it and the reason given stay on the host.
    pub struct Change = "candor.agent.change", Security, "to show the owner's decision to the receiver" {
        /// What changed: `level`, `upload`, `endpoint` or `pins`.
        subject: &'static str, Software;
        /// The value before.
        from: Option<String>, Software;
        /// The value after.
        to: Option<String>, Software;
        /// The layer through which it changed.
        layer: Option<Layer>, Software;
        /// The role in which it was made.
        role: Option<Role>, Software;
    }
}

event! {
    /// Records that will never arrive: a range of sequence numbers that this agent dropped, and why. Told before older records are caught up, so that silence and loss can be told apart.
    pub struct Gap = "candor.gap", Security, "to know whether the data is complete and what it costs" {
        /// Why: the drop reason's word.
        cause: &'static str, Performance;
        /// Records dropped in the range.
        count: u64, Performance, unit = "{record}";
        /// The first sequence number of the range.
        first: u64, Performance;
        /// The last sequence number of the range; where `count` is less than the range, some numbers in it were delivered.
        last: u64, Performance;
    }
}

nested! {
    /// A drop reason with its count.
    pub struct Dropped {
        /// The reason's word.
        reason: &'static str, Performance;
        /// Records dropped for it since installation.
        count: u64, Performance;
    }
}

nested! {
    /// A probe that failed.
    pub struct FailedProbe {
        /// Name of the probe.
        name: &'static str, Software;
        /// Failed rounds since the agent started.
        failures: u64, Performance;
    }
}

event! {
    /// The ledger and the agent's own cost: what was uploaded, what was dropped and why.
    pub struct Health = "candor.telemetry.health", Basic, "to know whether the data is complete and what it costs" {
        /// Records generated since installation.
        generated: Option<u64>, Performance, unit = "{record}";
        /// Records uploaded since installation.
        uploaded: Option<u64>, Performance, unit = "{record}";
        /// Records dropped since installation.
        dropped: Option<u64>, Performance, unit = "{record}";
        /// Records that wait.
        pending: Option<u64>, Performance, unit = "{record}";
        /// Uploaded in percent of what was decided, leaving out what the owner took back.
        percent_uploaded: Option<f64>, Performance, unit = "%";
        /// Dropped in percent of what was decided, leaving out what the owner took back.
        percent_dropped: Option<f64>, Performance, unit = "%";
        /// Drops by reason; only reasons that occurred.
        dropped_by_reason: Vec<Dropped>, Performance;
        /// Time of the last accepted upload, RFC 3339.
        last_upload: Option<String>, Performance;
        /// Probes that failed.
        failed_probes: Vec<FailedProbe>, Performance;
        /// Resident memory of the agent.
        rss_bytes: Option<u64>, Performance, unit = "By";
        /// CPU time of the agent since it started.
        cpu_ms: Option<u64>, Performance, unit = "ms";
        /// Bytes of request bodies accepted since the agent started.
        bytes_uploaded: Option<u64>, Performance, unit = "By";
    }
}
