//! Every metric, by subject.

use crate::MetricEntry;

/// Every metric of the catalog.
pub(crate) static ALL: &[&MetricEntry] = &[];
