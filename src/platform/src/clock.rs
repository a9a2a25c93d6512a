//! The three clocks: wall time as a label, boot time for schedules and ages, monotonic time for
//! rates. Every room that needs time is handed a [`Clock`]; tests hand it a [`ManualClock`].
//!
//! # Invariants
//! - Boot time counts suspend, monotonic time does not; neither ever goes back.
//! - Wall time may jump either way and decides nothing.
//!
//! On failure: a clock that the system does not have stands at zero.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

#[cfg_attr(unix, path = "clock/unix.rs")]
#[cfg_attr(windows, path = "clock/windows.rs")]
mod imp;

/// What tells the time.
pub trait Clock: Send + Sync {
    /// The time of day: a label, it may be wrong and may jump.
    fn wall(&self) -> SystemTime;

    /// Time since boot, suspend included.
    fn boot(&self) -> Duration;

    /// Time since boot, suspend left out.
    fn monotonic(&self) -> Duration;
}

/// The host's own clocks.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn wall(&self) -> SystemTime {
        SystemTime::now()
    }

    fn boot(&self) -> Duration {
        imp::boot()
    }

    fn monotonic(&self) -> Duration {
        imp::monotonic()
    }
}

impl<T: Clock + ?Sized> Clock for Arc<T> {
    fn wall(&self) -> SystemTime {
        (**self).wall()
    }

    fn boot(&self) -> Duration {
        (**self).boot()
    }

    fn monotonic(&self) -> Duration {
        (**self).monotonic()
    }
}

/// Clocks that stand still until a test moves them. Clones share the same time.
#[derive(Clone, Debug)]
pub struct ManualClock(Arc<Mutex<Times>>);

#[derive(Clone, Copy, Debug)]
struct Times {
    wall: SystemTime,
    boot: Duration,
    monotonic: Duration,
}

impl ManualClock {
    /// Clocks at this wall time, one second after boot.
    #[must_use]
    pub fn new(wall: SystemTime) -> Self {
        let second = Duration::from_secs(1);
        Self(Arc::new(Mutex::new(Times { wall, boot: second, monotonic: second })))
    }

    /// Time passes while the host runs.
    pub fn advance(&self, by: Duration) {
        self.change(|times| {
            times.wall += by;
            times.boot += by;
            times.monotonic += by;
        });
    }

    /// Time passes while the host sleeps.
    pub fn suspend(&self, by: Duration) {
        self.change(|times| {
            times.wall += by;
            times.boot += by;
        });
    }

    /// Somebody sets the clock.
    pub fn set_wall(&self, wall: SystemTime) {
        self.change(|times| times.wall = wall);
    }

    fn change(&self, change: impl FnOnce(&mut Times)) {
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner));
    }

    fn times(&self) -> Times {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Clock for ManualClock {
    fn wall(&self) -> SystemTime {
        self.times().wall
    }

    fn boot(&self) -> Duration {
        self.times().boot
    }

    fn monotonic(&self) -> Duration {
        self.times().monotonic
    }
}

/// What names this boot: the kernel's random id, or Windows' boot counter; `None` where the host
/// does not tell.
#[must_use]
pub fn boot_id() -> Option<String> {
    imp::boot_id()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hosts_clocks_run_and_boot_is_not_behind_monotonic() {
        let clock = SystemClock;
        let (boot, monotonic) = (clock.boot(), clock.monotonic());
        assert!(boot > Duration::ZERO && monotonic > Duration::ZERO);
        assert!(boot + Duration::from_secs(1) >= monotonic, "{boot:?} {monotonic:?}");
        while clock.boot() == boot || clock.monotonic() == monotonic {
            std::hint::spin_loop();
        }
        assert!(clock.boot() > boot && clock.monotonic() > monotonic);
    }

    #[test]
    fn only_boot_and_wall_time_count_suspend() {
        let clock = ManualClock::new(SystemTime::UNIX_EPOCH);
        let (boot, monotonic) = (clock.boot(), clock.monotonic());
        clock.clone().suspend(Duration::from_mins(1));
        clock.advance(Duration::from_secs(1));
        assert_eq!(clock.boot(), boot + Duration::from_secs(61));
        assert_eq!(clock.monotonic(), monotonic + Duration::from_secs(1));
        assert_eq!(clock.wall(), SystemTime::UNIX_EPOCH + Duration::from_secs(61));
    }

    #[test]
    fn setting_the_clock_moves_wall_time_alone() {
        let clock = ManualClock::new(SystemTime::UNIX_EPOCH + Duration::from_secs(9));
        let boot = clock.boot();
        clock.set_wall(SystemTime::UNIX_EPOCH);
        assert_eq!((clock.wall(), clock.boot()), (SystemTime::UNIX_EPOCH, boot));
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn the_boot_has_an_id_without_white_space() {
        let id = boot_id().unwrap();
        assert_eq!((id.len(), id.trim()), (36, id.as_str()));
    }
}
