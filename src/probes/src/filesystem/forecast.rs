//! When a file system will be full, from how it filled: level 2, a day after the first look and then
//! once a day.
//!
//! ```text
//! growth        median over all pairs of looks of (used2 - used1) / (time2 - time1)   Theil, Sen
//! days to full  what an ordinary user can still have / growth
//! ```
//!
//! Looks are taken once an hour. When [`MAX_LOOKS`] are there, every second one goes and the next
//! ones come half as often, until they lie [`WIDEST`] apart; then the oldest goes. So a file system
//! is judged by its last six weeks at most, in 2 KiB.
//!
//! # Invariants
//! - Time is the wall clock's, since the history outlives restarts: a look that lies in the future
//!   of a clock that was set back is forgotten.
//! - The history holds what is told of a file system, never its real name or path.
//! - Forgetting removes the file too.
//!
//! A history that cannot be read or written is one that begins anew; nothing here fails.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use candor_model::UnixNanos;
use candor_model::events::storage_forecast::{FileSystemForecast, StorageForecast};

use super::{FileSystem, told};
use crate::Moment;
use crate::robust::slope;
use crate::schedule::DAY;

mod file;

/// The most looks of a file system.
const MAX_LOOKS: usize = 128;
/// Seconds between two looks at first, and at last.
const CLOSEST: u64 = 3600;
const WIDEST: u64 = 8 * 3600;
/// What a forecast needs: so many looks over so many seconds.
const FEWEST_LOOKS: usize = 12;
const SHORTEST: u64 = 24 * 3600;
const SECONDS_PER_DAY: f64 = 86_400.0;
/// A forecast beyond is none.
const FARTHEST_DAYS: f64 = 3650.0;

/// Which file system: device and mount point, as they are told.
type Key = (Option<String>, String);

/// How a file system filled.
#[derive(Clone, Debug, PartialEq)]
struct History {
    key: Key,
    /// Seconds between looks.
    spacing: u64,
    /// Seconds since 1970, bytes used; oldest first.
    looks: Vec<(u64, u64)>,
}

/// The histories of all file systems.
#[derive(Debug, Default)]
pub(super) struct Forecast {
    /// Where they are kept over a restart.
    path: Option<PathBuf>,
    is_read: bool,
    histories: Vec<History>,
    /// When it was said last, by the boot clock.
    said: Option<Duration>,
}

impl Forecast {
    pub(super) fn new(path: Option<PathBuf>) -> Self {
        Self { path, ..Self::default() }
    }

    /// Takes a look, and tells the forecast once a day.
    pub(super) fn look(&mut self, all: &[FileSystem], now: Moment) -> Option<StorageForecast> {
        self.read();
        let mut has_changed = false;
        for one in all {
            has_changed |= self.of(one).is_some_and(|history| history.look(now.wall, one.used));
        }
        if has_changed {
            self.write();
        }
        let is_due = self.said.is_none_or(|said| now.boot.abs_diff(said) >= DAY);
        let forecasts = || all.iter().filter_map(|one| self.forecast(one)).collect::<Vec<_>>();
        let file_systems = if is_due { forecasts() } else { Vec::new() };
        (!file_systems.is_empty()).then(|| {
            self.said = Some(now.boot);
            StorageForecast { file_systems }
        })
    }

    /// Forgets everything, on the drive too.
    pub(super) fn reset(&mut self) {
        if let Some(path) = &self.path {
            // What is not there is forgotten already.
            let _ = fs::remove_file(path);
        }
        *self = Self { path: self.path.take(), is_read: true, ..Self::default() };
    }

    /// The history of a file system, a new one where there is room.
    fn of(&mut self, one: &FileSystem) -> Option<&mut History> {
        let key = key(one);
        let at = self.histories.iter().position(|history| history.key == key);
        let at = at.unwrap_or_else(|| {
            self.histories.push(History { key, spacing: CLOSEST, looks: Vec::new() });
            self.histories.len() - 1
        });
        if at >= super::MAX_FILESYSTEMS {
            self.histories.remove(0);
            return self.histories.last_mut();
        }
        self.histories.get_mut(at)
    }

    fn forecast(&self, one: &FileSystem) -> Option<FileSystemForecast> {
        let key = key(one);
        let history = self.histories.iter().find(|history| history.key == key)?;
        let growth = history.growth_per_day()?;
        #[expect(clippy::cast_precision_loss, reason = "a forecast needs no 64 bits")]
        let days = one.free as f64 / growth;
        let is_near = growth > 0.0 && days <= FARTHEST_DAYS;
        let (device, mount_point) = key;
        Some(FileSystemForecast {
            device,
            mount_point,
            growth_per_day: Some(growth),
            days_until_full: is_near.then_some(days),
            observed: history.days(),
        })
    }

    fn read(&mut self) {
        if !std::mem::replace(&mut self.is_read, true) {
            let text = self.path.as_ref().and_then(|path| file::content(path));
            self.histories = text.map(|text| file::parse(&text)).unwrap_or_default();
        }
    }

    fn write(&self) {
        let Some(path) = &self.path else { return };
        let text = file::render(&self.histories);
        if let Err(error) = candor_platform::write_atomic(path, text.as_bytes(), 0o600) {
            tracing::debug!(%error, "the history of the file systems was not kept");
        }
    }
}

impl History {
    /// Takes a look where one is due.
    fn look(&mut self, now: UnixNanos, used: u64) -> bool {
        let now = now.0 / 1_000_000_000;
        self.looks.retain(|(time, _)| *time <= now);
        let is_due = self.looks.last().is_none_or(|(time, _)| now - time >= self.spacing);
        if !is_due {
            return false;
        }
        if self.looks.len() >= MAX_LOOKS && self.spacing < WIDEST {
            let mut number = 0;
            self.looks.retain(|_| {
                number += 1;
                number % 2 == 1
            });
            self.spacing *= 2;
        } else if self.looks.len() >= MAX_LOOKS {
            self.looks.remove(0);
        }
        self.looks.push((now, used));
        true
    }

    /// How long it was watched, in days.
    fn days(&self) -> Option<f64> {
        let ((first, _), (last, _)) = self.looks.first().zip(self.looks.last())?;
        #[expect(clippy::cast_precision_loss, reason = "days need no 64 bits")]
        Some((last - first) as f64 / SECONDS_PER_DAY)
    }

    #[expect(clippy::cast_precision_loss, reason = "a slope needs no 64 bits")]
    fn growth_per_day(&self) -> Option<f64> {
        let ((first, _), (last, _)) = self.looks.first().zip(self.looks.last())?;
        if self.looks.len() < FEWEST_LOOKS || last - first < SHORTEST {
            return None;
        }
        let days = |time: u64| (time - first) as f64 / SECONDS_PER_DAY;
        let points: Vec<_> =
            self.looks.iter().map(|(time, used)| (days(*time), *used as f64)).collect();
        slope(&points)
    }
}

fn key(one: &FileSystem) -> Key {
    (one.device.clone(), told(&one.mount_point))
}

#[cfg(test)]
mod tests {
    use super::*;

    const GIB: u64 = 1 << 30;

    /// So many hours into a test, by all clocks.
    fn hour(hour: u64) -> Moment {
        crate::samples::at(hour * 3600)
    }

    fn disk(used: u64, free: u64) -> FileSystem {
        FileSystem {
            device: Some("/dev/vda1".to_owned()),
            kind: "ext4".to_owned(),
            is_read_only: false,
            mount_point: "/home/jane".to_owned(),
            used,
            free,
            reserved: None,
        }
    }

    /// Fills by 1 GiB each 6 hours, 100 GiB free at the end.
    fn fill(
        forecast: &mut Forecast,
        hours: std::ops::RangeInclusive<u64>,
    ) -> Option<StorageForecast> {
        hours.filter_map(|at| forecast.look(&[disk(at * GIB / 6, 100 * GIB)], hour(at))).last()
    }

    #[test]
    fn a_day_of_looks_tells_the_growth_and_the_days_until_full() {
        let mut forecast = Forecast::default();
        assert_eq!(fill(&mut forecast, 0..=23), None);
        let told = fill(&mut forecast, 24..=24).unwrap();
        let [one] = &told.file_systems[..] else { panic!("one file system") };
        // 4 GiB a day; 100 / 4.
        let growth = one.growth_per_day.unwrap();
        assert!((growth / 4.0 / 1_073_741_824.0 - 1.0).abs() < 1e-6, "{growth}");
        assert!((one.days_until_full.unwrap() - 25.0).abs() < 1e-3, "{one:?}");
        assert_eq!(one.observed, Some(1.0));
        assert_eq!(
            (one.device.as_deref(), one.mount_point.as_str()),
            (Some("/dev/vda1"), "/home/*")
        );
        assert_eq!(fill(&mut forecast, 25..=47), None, "once a day");
        assert!(fill(&mut forecast, 48..=48).is_some());
    }

    #[test]
    fn one_that_empties_or_hardly_grows_has_no_day_on_which_it_is_full() {
        for step in [-1_i64, 0, 1] {
            let mut forecast = Forecast::default();
            let used =
                |at: u64| 1_000_000_u64.saturating_add_signed(step * i64::try_from(at).unwrap());
            let looks =
                (0..=24).filter_map(|at| forecast.look(&[disk(used(at), 100 * GIB)], hour(at)));
            let told = looks.last().unwrap();
            assert_eq!(told.file_systems[0].days_until_full, None, "{step}");
        }
    }

    #[test]
    fn looks_are_thinned_and_bounded() {
        let mut forecast = Forecast::default();
        fill(&mut forecast, 0..=24 * 90);
        let history = &forecast.histories[0];
        assert_eq!((history.looks.len(), history.spacing), (MAX_LOOKS, WIDEST));
        assert!(history.looks.is_sorted());
        let many: Vec<_> = (0..100)
            .map(|n| FileSystem { device: Some(format!("/dev/vd{n}")), ..disk(1, 1) })
            .collect();
        forecast.look(&many, hour(24 * 91));
        assert_eq!(forecast.histories.len(), super::super::MAX_FILESYSTEMS);
    }

    #[test]
    fn a_clock_that_is_set_back_forgets_the_future_and_tells_nothing_of_it() {
        let mut forecast = Forecast::default();
        fill(&mut forecast, 100..=124);
        assert!(forecast.look(&[disk(5 * GIB, GIB)], hour(50)).is_none());
        assert_eq!(forecast.histories[0].looks.len(), 1);
    }

    #[test]
    fn the_history_outlives_a_restart_and_a_reset_removes_it() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("forecast");
        fill(&mut Forecast::new(Some(path.clone())), 0..=20);
        let mut forecast = Forecast::new(Some(path.clone()));
        assert!(fill(&mut forecast, 21..=24).is_some());
        let text = fs::read_to_string(&path).unwrap();
        assert!(!text.contains("jane"), "{text}");
        forecast.reset();
        assert!(!path.exists());
        assert_eq!(fill(&mut forecast, 25..=40), None);
    }
}
