//! What is new in a channel of Windows' event log since the last look.
//!
//! # Invariants
//! - The first look tells nothing: it notes how far the channel goes.
//! - At most [`MAX_NEW`] records a look: of more, the newest.
//! - A channel that was emptied numbers its records anew: what stands in it then is new.
//! - A look that finds nothing takes nothing back: the log may only have been too slow to answer.
//!
//! A channel that may not be read is `None`, as on a system without one.

use super::entry::Entry;

/// Records that are looked at in one look.
const MAX_NEW: usize = 2000;

/// How far a channel was read.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Mark(Option<u64>);

impl Mark {
    /// Of records as the channel tells them, newest first, those that came since the last look; oldest first.
    pub(crate) fn new_of<T>(
        &mut self,
        records: impl Iterator<Item = (Entry, T)>,
    ) -> Vec<(Entry, T)> {
        let mut records = records.peekable();
        let Some(newest) = records.peek().map(|(entry, _)| entry.number) else {
            self.0.get_or_insert(0);
            return Vec::new();
        };
        let Some(last) = self.0.replace(newest) else { return Vec::new() };
        let was_emptied = newest < last;
        let is_new = |(entry, _): &(Entry, T)| was_emptied || entry.number > last;
        let mut new: Vec<_> = records.take_while(is_new).take(MAX_NEW).collect();
        new.reverse();
        new
    }
}

/// The records of a channel that a query picks; those of another form are left out.
#[cfg(windows)]
pub(crate) fn records(
    channel: &str,
    query: &str,
    order: candor_platform::EventOrder,
) -> Option<impl Iterator<Item = (Entry, candor_platform::EventRecord)>> {
    let records = candor_platform::EventQuery::open(channel, query, order)?;
    Some(records.filter_map(|record| Some((Entry::parse(&record.xml()?)?, record))))
}

#[cfg(test)]
mod tests {
    use super::super::entry::tests::xml;
    use super::*;

    fn look(mark: &mut Mark, numbers: impl IntoIterator<Item = u64>) -> Vec<u64> {
        let entry = |n| Entry::parse(&xml("disk", 7, 2, "2023-11-07T08:21:40Z", n)).unwrap();
        let new = mark.new_of(numbers.into_iter().map(|n| (entry(n), ())));
        new.into_iter().map(|(entry, ())| entry.number).collect()
    }

    #[test]
    fn each_look_tells_what_came_since_the_one_before() {
        let mut mark = Mark::default();
        assert_eq!(look(&mut mark, [3, 2, 1]), [0; 0], "nothing from before");
        assert_eq!(look(&mut mark, [3, 2, 1]), [0; 0]);
        assert_eq!(look(&mut mark, [6, 5, 3, 2, 1]), [5, 6]);
    }

    #[test]
    fn an_empty_channel_is_a_first_look_and_an_emptied_one_begins_anew() {
        let mut mark = Mark::default();
        assert_eq!(look(&mut mark, []), [0; 0]);
        assert_eq!(look(&mut mark, [1]), [1]);
        assert_eq!(look(&mut mark, [900]), [900]);
        assert_eq!(look(&mut mark, [2, 1]), [1, 2]);
    }

    #[test]
    fn a_look_that_finds_nothing_does_not_make_old_records_new() {
        let mut mark = Mark::default();
        assert_eq!(look(&mut mark, [3, 2, 1]), [0; 0]);
        assert_eq!(look(&mut mark, []), [0; 0]);
        assert_eq!(look(&mut mark, [4, 3, 2, 1]), [4]);
    }

    #[test]
    fn of_very_many_records_the_newest_are_told() {
        let mut mark = Mark::default();
        assert_eq!(look(&mut mark, [1]), [0; 0]);
        let new = look(&mut mark, (1..=5000).rev());
        assert_eq!((new.len(), new.first(), new.last()), (MAX_NEW, Some(&3001), Some(&5000)));
    }
}
