//! Level 2: a value that is far outside what this host usually shows.
//!
//! Plain data: nothing here can fail.

use crate::{choice, event};

choice! {
    /// What was made of a metric's points to have one number for each window.
    pub enum Measure {
        /// The mean of the distribution.
        Mean = "mean",
        /// What was counted, for each second.
        Rate = "rate",
    }
}

event! {
    /// A value far outside this host's own baseline, when it leaves it. Judged by a robust score:
    /// 0.6745 times the distance from the median, divided by the median absolute deviation, over at
    /// most the last seven days of windows (Iglewicz and Hoaglin, 1993).
    pub struct Anomaly = "candor.anomaly", Enhanced, "to see trouble that no fixed limit would show" {
        /// The metric, by its name in the catalog.
        metric: String, Software;
        /// What was made of the metric's points.
        measure: Option<Measure>, Software;
        /// The value.
        value: Option<f64>, Performance;
        /// The median of the baseline.
        baseline: Option<f64>, Performance;
        /// The score; above 0 when the value is above the median.
        score: Option<f64>, Performance;
        /// How many windows the baseline has.
        windows: Option<u64>, Performance, unit = "{window}";
    }
}
