//! Rate limits: a bucket for each process and one for each user, refilled with time.
//!
//! # Invariants
//! - A limit of one user or process is not used up by another.
//! - The number of buckets is bounded; when there is no room, those that are full again go first,
//!   since a new bucket is the same as a full one.
//!
//! On failure: a sender for whom there is no room shares one bucket with all others like him.

use std::collections::HashMap;
use std::time::Duration;

use crate::admission::Granted;
use crate::{Caller, Rate};

/// Most buckets of a provider.
const MAX_BUCKETS: usize = 512;
/// A bucket holds so many seconds of its rate, one record at least: a batch that was saved up passes.
const BURST: f64 = 10.0;

/// Whose bucket it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Owner {
    User(u32),
    Process(u32),
    /// On TCP, or where the system does not tell, all share one.
    Nobody,
    Crowd,
}

/// What is left, and when that was so.
#[derive(Clone, Copy, Debug)]
struct Bucket {
    left: f64,
    at: Duration,
}

/// The buckets of one provider.
#[derive(Debug, Default)]
pub(crate) struct Limiter {
    buckets: HashMap<Owner, Bucket>,
}

impl Limiter {
    /// Takes up to so many records from the sender's buckets.
    pub(crate) fn take(
        &mut self,
        rate: &Rate,
        caller: &Caller,
        records: u32,
        now: Duration,
    ) -> Granted {
        let process = caller.pid().map_or(Owner::Nobody, Owner::Process);
        let user = caller.uid().map_or(Owner::Nobody, Owner::User);
        let user_rate = if user == Owner::Nobody { rate.peer } else { rate.user };
        let left = self.left(process, rate.peer, now).min(self.left(user, user_rate, now));
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "`as` saturates"
        )]
        let granted = records.min(left as u32);
        self.spend(process, rate.peer, granted, now);
        if user != process {
            self.spend(user, user_rate, granted, now);
        }
        let wait = (granted < records).then(|| {
            let wait = |owner, rate: f64| (1.0 - self.left(owner, rate, now)).max(0.0) / rate;
            Duration::from_secs_f64(wait(process, rate.peer).max(wait(user, user_rate)))
        });
        Granted { records: granted, retry_after: wait }
    }

    fn left(&self, owner: Owner, rate: f64, now: Duration) -> f64 {
        let bucket = self.buckets.get(&self.place(owner));
        bucket.map_or(capacity(rate), |bucket| filled(bucket, rate, now))
    }

    fn spend(&mut self, owner: Owner, rate: f64, records: u32, now: Duration) {
        if self.buckets.len() >= MAX_BUCKETS {
            let is_used = |bucket: &mut Bucket| filled(bucket, rate, now) < capacity(rate);
            self.buckets.retain(|_, bucket| is_used(bucket));
        }
        let owner = self.place(owner);
        let full = Bucket { left: capacity(rate), at: now };
        let bucket = self.buckets.entry(owner).or_insert(full);
        *bucket = Bucket { left: filled(bucket, rate, now) - f64::from(records), at: now };
    }

    /// The owner's own bucket where there is one or room for one.
    fn place(&self, owner: Owner) -> Owner {
        let has_place = self.buckets.contains_key(&owner) || self.buckets.len() < MAX_BUCKETS;
        if has_place { owner } else { Owner::Crowd }
    }
}

fn filled(bucket: &Bucket, rate: f64, now: Duration) -> f64 {
    let seconds = now.saturating_sub(bucket.at).as_secs_f64();
    (bucket.left + seconds * rate).min(capacity(rate))
}

/// What a full bucket holds.
fn capacity(rate: f64) -> f64 {
    (rate * BURST).max(1.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Transport;

    const RATE: Rate = Rate { peer: 1.0, user: 2.0 };

    fn process(uid: u32, pid: u32) -> Caller {
        let transport = Transport::Socket {
            uid: Some(uid),
            gids: Vec::new(),
            pid: Some(pid),
            executable: None,
        };
        Caller { transport, token: None }
    }

    fn passes(limiter: &mut Limiter, caller: &Caller, now: Duration) -> u32 {
        limiter.take(&RATE, caller, 60, now).records + limiter.take(&RATE, caller, 40, now).records
    }

    #[test]
    fn a_process_has_its_limit_and_its_user_has_another() {
        let mut limiter = Limiter::default();
        let now = Duration::from_secs(1);
        assert_eq!(passes(&mut limiter, &process(1, 10), now), 10);
        assert_eq!(passes(&mut limiter, &process(1, 11), now), 10);
        assert_eq!(passes(&mut limiter, &process(1, 12), now), 0, "the user's is used up");
        assert_eq!(passes(&mut limiter, &process(2, 13), now), 10);
    }

    #[test]
    fn a_bucket_fills_with_time_and_says_how_long_it_takes() {
        let mut limiter = Limiter::default();
        let caller = Caller::loopback();
        assert_eq!(passes(&mut limiter, &caller, Duration::ZERO), 10);
        let wait = limiter.take(&RATE, &caller, 1, Duration::ZERO).retry_after;
        assert_eq!(wait, Some(Duration::from_secs(1)));
        assert_eq!(passes(&mut limiter, &caller, Duration::from_secs(3)), 3);
        assert_eq!(
            passes(&mut limiter, &caller, Duration::from_secs(1)),
            0,
            "a clock that goes back"
        );
    }

    #[test]
    fn of_a_rate_of_one_an_hour_the_first_passes_at_once_and_the_next_in_an_hour() {
        let rate = Rate { peer: 1.0 / 3600.0, user: 1.0 };
        let (mut limiter, caller) = (Limiter::default(), Caller::loopback());
        let mut take = |hours| limiter.take(&rate, &caller, 2, Duration::from_hours(hours));
        let Granted { records: 1, retry_after: Some(wait) } = take(0) else { unreachable!("one") };
        assert!((wait.as_secs_f64() - 3600.0).abs() < 1e-3, "{wait:?}");
        assert_eq!(take(9).records, 1, "more than one is not saved up");
    }

    #[test]
    fn many_processes_do_not_make_many_buckets() {
        let mut limiter = Limiter::default();
        for pid in 0..10_000 {
            limiter.take(&RATE, &process(pid, pid), 1, Duration::ZERO);
        }
        assert!(limiter.buckets.len() <= MAX_BUCKETS + 1, "{}", limiter.buckets.len());
        assert_eq!(passes(&mut limiter, &process(7, 20_000), Duration::from_mins(1)), 10);
    }
}
