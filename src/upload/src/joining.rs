//! How the rows of a zstd request are joined. Each row lies in the store as a zstd frame, and frames
//! that follow each other are a zstd stream (RFC 8878, section 3.1); but there are receivers that
//! read the first frame and stop. Pure; `drain` asks and reports.
//!
//! ```text
//! rows as they lie --400, 415, 422, 500 before any success--> the same rows as one frame
//!        ^                                                         |
//!        +--- next drain, unless that very request succeeded <-----+
//! ```
//!
//! # Invariants
//! - A receiver that took frames in a row once is never doubted again: its refusals are refusals.
//! - No record is split off or given up before both ways were tried.
//! - What was found out lasts until another endpoint serves, and not over a restart.

use crate::{Answer, Endpoint};

/// Where the frames of a request come from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Form {
    /// The rows' own frames, one after the other: nothing is unpacked.
    #[default]
    Rows,
    /// One frame, packed anew.
    Whole,
}

/// What is known of one receiver.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Joining {
    endpoint: Option<Endpoint>,
    form: Form,
    /// The receiver took a request of this form.
    proven: bool,
    /// The last request was of the other form, with the same rows.
    repeated: bool,
}

impl Joining {
    /// A drain to this endpoint begins.
    pub(crate) fn begin(&mut self, endpoint: &Endpoint) {
        if self.endpoint.as_ref() != Some(endpoint) || !self.proven {
            *self = Self { endpoint: Some(endpoint.clone()), ..Self::default() };
        }
    }

    pub(crate) const fn form(&self) -> Form {
        self.form
    }

    /// The receiver took a request.
    pub(crate) const fn took(&mut self) {
        // Another request than the one that was refused proves nothing of the other form.
        self.proven |= matches!(self.form, Form::Rows) || self.repeated;
        self.repeated = false;
    }

    /// The receiver did not take a request. Whether the same rows are to go in the other form first.
    pub(crate) const fn refused(&mut self, answer: &Answer) -> bool {
        let doubtful = matches!(answer, Answer::Http { status: 400 | 415 | 422 | 500, .. });
        self.repeated = doubtful && !self.proven && matches!(self.form, Form::Rows);
        if self.repeated {
            self.form = Form::Whole;
        }
        self.repeated
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Said;

    fn endpoint() -> Endpoint {
        "https://a".parse().unwrap()
    }

    fn begun() -> Joining {
        let mut joining = Joining::default();
        joining.begin(&endpoint());
        joining
    }

    fn status(status: u16) -> Answer {
        Answer::Http { status, retry_after: None, said: Said::Words(String::new()) }
    }

    #[test]
    fn a_receiver_that_takes_rows_is_never_doubted_again() {
        let mut joining = begun();
        joining.took();
        assert!(!joining.refused(&status(400)));
        joining.begin(&endpoint());
        assert!(!joining.refused(&status(500)));
        assert_eq!(joining.form(), Form::Rows);
    }

    #[test]
    fn one_that_takes_the_same_rows_only_as_a_whole_gets_them_so_from_then_on() {
        for code in [400, 415, 422, 500] {
            let mut joining = begun();
            assert!(joining.refused(&status(code)));
            joining.took();
            joining.begin(&endpoint());
            assert_eq!(joining.form(), Form::Whole);
            joining.begin(&"https://b".parse().unwrap());
            assert_eq!(joining.form(), Form::Rows, "another receiver is asked anew");
        }
    }

    #[test]
    fn one_that_refuses_both_is_sought_through_as_a_whole_and_asked_again_at_the_next_drain() {
        let mut joining = begun();
        assert!(joining.refused(&status(400)));
        assert!(!joining.refused(&status(400)));
        joining.took();
        assert_eq!(joining.form(), Form::Whole);
        joining.begin(&endpoint());
        assert_eq!(joining.form(), Form::Rows);
    }

    #[test]
    fn what_says_nothing_of_the_body_raises_no_doubt() {
        for answer in [status(401), status(413), status(429), status(503), Answer::Lost("x".into())]
        {
            assert!(!begun().refused(&answer), "{answer:?}");
        }
    }
}
