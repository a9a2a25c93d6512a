//! The Windows event log: what an administrator looks at first. A service writes its state changes there,
//! each with a number of its own; elsewhere nothing is written. The numbers are for filters and alarms.
//!
//! # Invariants
//! - Nothing is written before [`open_event_log`]: a console, a test and a second instance leave no trace.
//! - A number keeps its meaning for ever; numbers stay within 1 to 1000, which the message file that every
//!   Windows has (`EventCreate.exe`) shows as the text alone.
//!
//! On failure: a source that is missing or refuses stops nothing; the text is in the agent's own log too.

#[cfg_attr(windows, path = "event_log/windows.rs")]
#[cfg_attr(not(windows), path = "event_log/other.rs")]
mod imp;

/// The name of the source, and of its key under the log `Application`.
pub const EVENT_SOURCE: &str = "Candor";

/// What happened; the number is the event's id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Message {
    /// The service runs.
    Started = 1,
    /// The service stopped in order.
    Stopped = 2,
    /// The service ended with an error.
    Failed = 3,
    /// The effective level is another one.
    LevelChanged = 10,
    /// Telemetry was turned on or off.
    UploadChanged = 11,
    /// The endpoint is another one.
    EndpointChanged = 12,
    /// Other pins hold.
    PinsChanged = 13,
    /// Something else of the policy changed.
    PolicyChanged = 14,
    /// Telemetry is on and cannot start.
    CannotStart = 20,
    /// The configuration is not used, since it is not understood.
    BadConfiguration = 21,
}

/// How grave a message is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gravity {
    /// Something went its way.
    Information,
    /// Somebody should look.
    Warning,
    /// Something does not work.
    Error,
}

impl Message {
    /// The event's id.
    #[must_use]
    pub const fn id(self) -> u32 {
        self as u32
    }

    /// How grave it is.
    #[must_use]
    pub const fn gravity(self) -> Gravity {
        match self {
            Self::Failed | Self::CannotStart => Gravity::Error,
            Self::BadConfiguration => Gravity::Warning,
            _ => Gravity::Information,
        }
    }

    /// The message of a change, by the audit trail's word for its subject.
    #[must_use]
    pub fn of_change(subject: &str) -> Self {
        match subject {
            "level" => Self::LevelChanged,
            "upload" => Self::UploadChanged,
            "endpoint" => Self::EndpointChanged,
            "pins" => Self::PinsChanged,
            _ => Self::PolicyChanged,
        }
    }
}

/// From now on this process writes to the event log. Called once, by the service's host.
pub fn open_event_log() {
    imp::open();
}

/// Writes one entry, if the log was opened. Returns at once: the log is a local service.
pub fn report_event(message: Message, text: &str) {
    imp::report(message, text);
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [Message; 10] = [
        Message::Started,
        Message::Stopped,
        Message::Failed,
        Message::LevelChanged,
        Message::UploadChanged,
        Message::EndpointChanged,
        Message::PinsChanged,
        Message::PolicyChanged,
        Message::CannotStart,
        Message::BadConfiguration,
    ];

    #[test]
    fn the_numbers_are_those_that_alarms_were_made_for() {
        assert_eq!(ALL.map(Message::id), [1, 2, 3, 10, 11, 12, 13, 14, 20, 21]);
        assert!(ALL.iter().all(|message| (1..=1000).contains(&message.id())));
        let errors = ALL.iter().filter(|message| message.gravity() == Gravity::Error).count();
        assert_eq!(errors, 2);
    }

    #[test]
    fn each_subject_of_the_trail_has_its_own_number() {
        let subjects = ["level", "upload", "endpoint", "pins", "anything else"];
        let ids = subjects.map(|subject| Message::of_change(subject).id());
        assert_eq!(ids, [10, 11, 12, 13, 14]);
    }

    #[test]
    fn a_log_that_was_not_opened_takes_nothing_and_stops_nothing() {
        report_event(Message::Started, "nobody reads this");
    }
}
