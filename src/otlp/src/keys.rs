//! The attribute keys that Candor's records carry beside their own fields, each spelled once.
//!
//! # Invariants
//! - A catalog field never takes one of these names (the catalog's own test sees to it for
//!   `candor.*`), so that lifting them out of a decoded record loses nothing.

/// Stable id of a record: an attribute of a `LogRecord` or `Span`, `metadata` of a `Metric`.
pub const UID: &str = "log.record.uid";
/// Level of the record, 0 to 3; beside [`UID`].
pub const LEVEL: &str = "candor.level";
/// Number of the record in its host's sequence without gaps; beside [`UID`].
pub const SEQ: &str = "candor.seq";
/// Boot in which the record was observed; an attribute of the scope.
pub const BOOT_ID: &str = "candor.boot_id";
/// Name of the scope of Candor's own records.
pub const SCOPE: &str = "candor";
/// Random id of the installation; an attribute of the resource.
pub const INSTALL_ID: &str = "service.instance.id";
/// Random id of the agent's installation; an attribute of a local program's resource, whose
/// [`INSTALL_ID`] is the program's own.
pub const AGENT_ID: &str = "candor.install_id";
/// What every key of Candor's own begins with: no program may use it.
pub const RESERVED: &str = "candor.";
