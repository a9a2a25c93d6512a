//! Windows tells through calls, not through files: there is nothing to record.
//!
//! Always a failure that says so.

use std::io;

use super::recording::Recording;
use crate::{Host, ProbeError};

pub(super) fn record(_host: &Host) -> Result<Recording, ProbeError> {
    let source = io::ErrorKind::Unsupported.into();
    Err(ProbeError::System { what: "files to record: only Linux has them", source })
}
