//! What goes first after an outage: the newest report of each lane, once, and then the backlog
//! from its oldest on. So a receiver sees at once how the host is, and hears its history later.
//!
//! ```text
//! nothing old waits                          plain: oldest first
//! the oldest waits too long                  fresh: the newest report ahead, chosen anew each time
//! a row of that report was settled           begun: that report and no other goes ahead, until
//!                                            what waited before it is gone
//! ```
//!
//! # Invariants
//! - Pure: what it decides from is handed in.
//! - One report a catch-up goes ahead, so new rows cannot starve the backlog. The security lane is
//!   not touched: it goes before everything anyway.

use crate::row::RowId;

/// Rows of one lane, by their ids.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ahead {
    pub(crate) level: i64,
    /// The last id before them.
    pub(crate) after: i64,
    /// The last of them; parts of a row that was split lie below it.
    pub(crate) last: i64,
}

/// The oldest row.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Oldest {
    pub(crate) id: i64,
    /// How long it has waited, in milliseconds.
    pub(crate) age: u64,
}

/// Where a catch-up stands.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum Order {
    /// There is none.
    #[default]
    Plain,
    /// Nothing of the newest report is settled yet.
    Fresh(Vec<Ahead>),
    /// The report that goes ahead is chosen.
    Begun(Vec<Ahead>),
}

impl Order {
    /// The order now; an oldest row that waited longer than `most` milliseconds is a backlog.
    pub(crate) fn look(self, oldest: Option<Oldest>, most: u64, newest: Vec<Ahead>) -> Self {
        let Some(oldest) = oldest.filter(|oldest| oldest.age > most) else { return Self::Plain };
        match self {
            Self::Begun(ahead) if ahead.iter().any(|lane| oldest.id <= lane.last) => {
                Self::Begun(ahead)
            }
            _ => Self::Fresh(newest),
        }
    }

    /// The order after these rows were settled.
    pub(crate) fn settled(self, rows: &[RowId]) -> Self {
        match self {
            Self::Fresh(ahead) if rows.iter().any(|row| holds(&ahead, *row)) => Self::Begun(ahead),
            other => other,
        }
    }

    /// What goes ahead of the backlog.
    pub(crate) fn ahead(&self) -> &[Ahead] {
        match self {
            Self::Plain => &[],
            Self::Fresh(ahead) | Self::Begun(ahead) => ahead,
        }
    }
}

fn holds(ahead: &[Ahead], row: RowId) -> bool {
    ahead.iter().any(|lane| lane.after < row.0 && row.0 <= lane.last)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(last: i64) -> Vec<Ahead> {
        vec![Ahead { level: 1, after: last - 5, last }]
    }

    const fn oldest(id: i64, age: u64) -> Oldest {
        Oldest { id, age }
    }

    #[test]
    fn what_waits_no_longer_than_it_may_goes_in_plain_order() {
        for before in [Order::Plain, Order::Fresh(report(9)), Order::Begun(report(9))] {
            assert_eq!(before.clone().look(Some(oldest(1, 100)), 100, report(9)), Order::Plain);
            assert_eq!(before.look(None, 100, report(9)), Order::Plain);
        }
    }

    #[test]
    fn the_newest_report_is_chosen_anew_until_a_row_of_it_is_settled() {
        let order = Order::Plain.look(Some(oldest(1, 101)), 100, report(10));
        assert_eq!(order.ahead(), report(10));
        let order = order.look(Some(oldest(1, 500)), 100, report(20));
        assert_eq!(order.ahead(), report(20));
        let order = order.settled(&[RowId(3), RowId(15), RowId(21)]);
        assert_eq!(order, Order::Fresh(report(20)), "neither row is one of the report");
        let order =
            order.settled(&[RowId(3), RowId(20)]).look(Some(oldest(1, 900)), 100, report(30));
        assert_eq!(order, Order::Begun(report(20)), "no second report goes ahead");
        let order = order.look(Some(oldest(21, 900)), 100, report(40));
        assert_eq!(order, Order::Fresh(report(40)), "what waited before it is gone");
    }
}
