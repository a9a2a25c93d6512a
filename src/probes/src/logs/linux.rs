//! Linux: systemd's journal where it is, else the kernel's own log.

use candor_model::UnixNanos;

use super::Line;
use super::journal::Journal;
use crate::linux::kmsg::{Entry, Kmsg};
use crate::{Host, Moment, ProbeError};

/// Where the records come from, and how far it was read.
#[derive(Default)]
pub(super) struct Source {
    journal: Journal,
    kmsg: Kmsg,
    has_looked: bool,
}

impl Source {
    /// What was logged since the last look.
    pub(super) fn lines(&mut self, host: &Host, now: Moment) -> Result<Vec<Line>, ProbeError> {
        let since = now.wall.0;
        let is_first = !std::mem::replace(&mut self.has_looked, true);
        if let Some(program) = Journal::program(host) {
            return self.journal.read(&program, UnixNanos(since));
        }
        let entries = self.kmsg.read(host, now).into_iter();
        let entries = entries.filter(|entry| !is_first || entry.time.0 >= since);
        let line = |entry: Entry| Line {
            source: if entry.is_kernel { "kernel".to_owned() } else { identifier(&entry.message) },
            severity: entry.severity,
            time: entry.time,
            message: entry.message,
        };
        Ok(entries.map(line).collect())
    }
}

/// `systemd[1]: …`: who wrote into the kernel's log.
fn identifier(message: &str) -> String {
    let name = message.split([':', '[', ' ']).next().unwrap_or_default();
    if name.is_empty() { "user".to_owned() } else { name.to_owned() }
}

#[cfg(test)]
mod tests {
    use candor_model::{Record, Value};

    use crate::logs::Logs;
    use crate::samples::at;
    use crate::{Host, Probe as _, Settings};

    #[test]
    fn the_kernels_log_is_told_where_there_is_no_journal_and_not_where_policy_limits_it() {
        let root = tempfile::tempdir().unwrap();
        let host = Host::new(root.path());
        std::fs::create_dir_all(host.path("dev")).unwrap();
        let micros = at(0).monotonic.as_micros();
        let old = at(0).monotonic.as_micros() - 16 * 60 * 1_000_000;
        let log = format!(
            "4,1,{old},-;old\n3,2,{micros},-;I/O error\n6,3,{micros},-;fine\n12,4,{micros},-;systemd[1]: odd\n"
        );
        std::fs::write(host.path("dev/kmsg"), log).unwrap();
        let settings = Settings::default();
        let mut probe = Logs::new(&settings);
        settings.limit_logs.set(true);
        assert_eq!(probe.report(&host, at(0)).unwrap(), []);
        settings.limit_logs.set(false);
        let records = probe.report(&host, at(0)).unwrap();
        let Record::Event(first) = &records[0] else { panic!("an event") };
        let fields: Vec<_> =
            first.fields().map(|(entry, value)| (entry.name, value.clone())).collect();
        let expected = [("source", "kernel"), ("severity", "error"), ("message", "I/O error")]
            .map(|(name, value)| (name, Value::from(value)));
        assert_eq!((records.len(), fields), (2, expected.to_vec()));
        assert_eq!(first.time(), Some(at(0).wall));
        assert_eq!(probe.report(&host, at(10)).unwrap(), [], "read once");
    }

    #[test]
    fn damage_neither_breaks_it_nor_makes_it_invent() {
        use candor_fuzz::{Says, text};

        text("logs/linux::identifier", Says::Stands, &["systemd[1]: x"], super::identifier);
    }
}
