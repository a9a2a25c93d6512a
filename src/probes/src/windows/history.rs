//! What the channel `System` of Windows' event log tells of the host's own troubles: hardware errors, crashes of
//! the kernel, starts, failed updates. `alerts` and `reliability` count them.
//!
//! ```text
//! Microsoft-Windows-WHEA-Logger                    17 PCI Express corrected, 18 machine check, 19 the same
//!                                                  corrected, 47 memory corrected
//! Microsoft-Windows-WER-SystemErrorReporting 1001  the kernel crashed
//! Microsoft-Windows-Kernel-General           12    a start
//! Microsoft-Windows-Kernel-Power             41    a start without an ordered stop before it
//! Microsoft-Windows-WindowsUpdateClient      20    an update failed
//! ```
//!
//! # Invariants
//! - Of a record only its publisher, number and time are looked at.
//! - At most [`MAX_MARKS`] are kept: of more, the newest.
//!
//! A channel that may not be read tells nothing, which is not zero.

use candor_model::UnixNanos;

use super::entry::Entry;

const MAX_MARKS: usize = 4096;

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Trouble {
    MachineCheck,
    MemoryCorrected,
    PcieCorrected,
    KernelCrash,
    Start,
    UncleanStart,
    FailedUpdate,
}

const KNOWN: [(&str, u32, Trouble); 8] = [
    ("Microsoft-Windows-WHEA-Logger", 17, Trouble::PcieCorrected),
    ("Microsoft-Windows-WHEA-Logger", 18, Trouble::MachineCheck),
    ("Microsoft-Windows-WHEA-Logger", 19, Trouble::MachineCheck),
    ("Microsoft-Windows-WHEA-Logger", 47, Trouble::MemoryCorrected),
    ("Microsoft-Windows-WER-SystemErrorReporting", 1001, Trouble::KernelCrash),
    ("Microsoft-Windows-Kernel-General", 12, Trouble::Start),
    ("Microsoft-Windows-Kernel-Power", 41, Trouble::UncleanStart),
    ("Microsoft-Windows-WindowsUpdateClient", 20, Trouble::FailedUpdate),
];

/// What happened when, oldest first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct History {
    marks: Vec<(Trouble, UnixNanos)>,
    /// The oldest record of the channel.
    pub(super) begins: Option<UnixNanos>,
}

impl History {
    /// Notes what is known of these records, oldest first.
    pub(super) fn note<'a>(&mut self, entries: impl Iterator<Item = &'a Entry>) {
        self.marks.extend(entries.filter_map(|entry| Some((trouble(entry)?, entry.time))));
        let over = self.marks.len().saturating_sub(MAX_MARKS);
        self.marks.drain(..over);
    }

    /// How often this happened since then.
    pub(super) fn count(&self, trouble: Trouble, since: UnixNanos) -> u64 {
        let marks = self.marks.iter().filter(|(known, time)| *known == trouble && *time >= since);
        marks.fold(0, |count, _| count + 1)
    }

    /// When it last happened.
    pub(super) fn last(&self, trouble: Trouble) -> Option<UnixNanos> {
        self.marks.iter().rev().find(|(known, _)| *known == trouble).map(|(_, time)| *time)
    }
}

fn trouble(entry: &Entry) -> Option<Trouble> {
    let is_it = |(provider, id, _): &&(&str, u32, Trouble)| {
        *id == entry.id && provider.eq_ignore_ascii_case(&entry.provider)
    };
    KNOWN.iter().find(is_it).map(|(_, _, trouble)| *trouble)
}

/// The query that picks them all.
#[cfg(any(windows, test))]
fn query() -> String {
    let picks =
        KNOWN.map(|(provider, id, _)| format!("(Provider[@Name='{provider}'] and EventID={id})"));
    format!("*[System[{}]]", picks.join(" or "))
}

/// The history of this host, followed: the whole channel is looked through once.
#[cfg(windows)]
#[derive(Debug, Default)]
pub(super) struct Followed {
    history: History,
    mark: super::channel::Mark,
    has_looked: bool,
}

#[cfg(windows)]
impl Followed {
    /// The history until now; `None` where the channel may not be read.
    pub(super) fn look(&mut self) -> Option<&History> {
        use super::channel::records;
        use candor_platform::EventOrder::{NewestFirst, OldestFirst};

        const CHANNEL: &str = "System";
        // The mark first: what comes between the two looks is then seen by the next one.
        let new = self.mark.new_of(records(CHANNEL, "*", NewestFirst)?);
        if std::mem::replace(&mut self.has_looked, true) {
            self.history.note(new.iter().map(|(entry, _)| entry));
        } else {
            let mut newest: Vec<_> = records(CHANNEL, &query(), NewestFirst)?
                .map(|(entry, _)| entry)
                .take(MAX_MARKS)
                .collect();
            newest.reverse();
            self.history.note(newest.iter());
        }
        let mut oldest = records(CHANNEL, "*", OldestFirst)?;
        self.history.begins = oldest.next().map(|(entry, _)| entry.time);
        Some(&self.history)
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::super::entry::tests::xml;
    use super::*;

    /// A history of records, each as its publisher, number and time.
    pub(in crate::windows) fn history(records: &[(&str, u32, &str)]) -> History {
        let entry = |(provider, id, time): &(&str, u32, &str)| {
            Entry::parse(&xml(provider, *id, 4, time, 1))
        };
        let entries: Vec<_> = records.iter().filter_map(entry).collect();
        let mut history = History::default();
        history.note(entries.iter());
        history.begins = entries.first().map(|entry| entry.time);
        history
    }

    #[test]
    fn what_is_known_is_counted_since_a_moment_and_nothing_else() {
        let history = history(&[
            ("Microsoft-Windows-WHEA-Logger", 19, "2026-11-01T10:00:00Z"),
            ("Microsoft-Windows-WHEA-Logger", 18, "2026-11-02T10:00:00Z"),
            ("Microsoft-Windows-WHEA-Logger", 1, "2026-11-02T10:00:00Z"),
            ("Somebody", 18, "2026-11-02T10:00:00Z"),
        ]);
        let since = history.marks[1].1;
        assert_eq!(history.count(Trouble::MachineCheck, UnixNanos(0)), 2);
        assert_eq!(history.count(Trouble::MachineCheck, since), 1);
        assert_eq!(history.last(Trouble::MachineCheck), Some(since));
        assert_eq!(history.last(Trouble::Start), None);
    }

    #[test]
    fn the_query_names_each_that_is_known_and_fits_the_logs_limit() {
        let query = query();
        assert!(KNOWN.iter().all(|(provider, id, _)| {
            query.contains(&format!("(Provider[@Name='{provider}'] and EventID={id})"))
        }));
        // The event log refuses more than some twenty expressions.
        assert!(query.matches('=').count() <= 20, "{query}");
    }

    #[test]
    fn of_very_many_the_newest_are_kept() {
        let start = ("Microsoft-Windows-Kernel-General", 12, "2026-11-01T10:00:00Z");
        let mut history = history(&[start]);
        let later = Entry::parse(&xml(start.0, start.1, 4, "2026-11-02T10:00:00Z", 1)).unwrap();
        history.note(std::iter::repeat_n(&later, MAX_MARKS));
        assert_eq!(history.count(Trouble::Start, UnixNanos(0)), MAX_MARKS as u64);
        assert_eq!(history.count(Trouble::Start, later.time), MAX_MARKS as u64);
    }
}
