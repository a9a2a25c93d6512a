//! How many processes there are in which state: level 2, with each report.
//!
//! # Invariants
//! - A number by state and nothing else of any process.
//!
//! Without the list of processes the round fails.

use candor_model::events::process::State;
use candor_model::metrics::process::COUNT;
use candor_model::{Level, Record};

use super::{Reader, Snapshot};
use crate::points::{Sheet, last, whole, word};
use crate::{Host, Moment, Probe, ProbeError, Rhythm};

/// The probe.
#[derive(Debug, Default)]
pub(crate) struct ProcessCount {
    reader: Reader,
}

impl Probe for ProcessCount {
    fn name(&self) -> &'static str {
        "process_count"
    }

    fn level(&self) -> Level {
        Level::Enhanced
    }

    fn rhythm(&self) -> Rhythm {
        Rhythm::EachReport
    }

    fn report(&mut self, host: &Host, now: Moment) -> Result<Vec<Record>, ProbeError> {
        let snapshot = self.reader.read(host, now)?;
        let mut sheet = Sheet::default();
        let points = counts(&snapshot).into_iter().map(|(state, count)| {
            last(vec![state.map(State::word).and_then(word)], now.wall, whole(count))
        });
        sheet.add(&COUNT, points);
        Ok(sheet.into_records())
    }
}

/// Each state with its number; of a host that tells no states, one number without.
fn counts(snapshot: &Snapshot) -> Vec<(Option<State>, u64)> {
    let mut counts: Vec<(Option<State>, u64)> = Vec::new();
    for seen in &snapshot.processes {
        match counts.iter_mut().find(|(state, _)| *state == seen.state) {
            Some((_, count)) => *count += 1,
            None => counts.push((seen.state, 1)),
        }
    }
    counts.sort_unstable();
    counts
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::processes::Seen;
    use crate::samples::at;

    #[test]
    fn processes_are_counted_by_state() {
        let of = |state| Seen { state, ..Seen::default() };
        let states = [State::Sleeping, State::Running, State::Sleeping, State::Defunct];
        let processes = states.into_iter().map(|state| of(Some(state))).collect();
        let snapshot = Snapshot { processes, ..Snapshot::default() };
        let expected =
            [(Some(State::Running), 1), (Some(State::Sleeping), 2), (Some(State::Defunct), 1)];
        assert_eq!(counts(&snapshot), expected);
        let snapshot = Snapshot { processes: vec![of(None), of(None)], ..Snapshot::default() };
        assert_eq!(counts(&snapshot), [(None, 2)]);
    }

    #[test]
    fn this_host_has_a_process_that_runs_or_sleeps() {
        let records = ProcessCount::default().report(&Host::live(), at(0)).unwrap();
        let told = crate::samples::values(&records, "system.process.count");
        assert!(told.iter().map(|(_, count)| count).sum::<f64>() >= 1.0, "{told:?}");
    }
}
