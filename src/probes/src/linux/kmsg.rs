//! The kernel's log, record by record, since the last look.
//!
//! ```text
//! 6,339,5140900,-;NET: Registered protocol family 10
//! │ │   │       │  message, other bytes as \xNN; further lines hold more of it for machines
//! │ │   │       flags
//! │ │   microseconds since boot, without suspend
//! │ sequence number
//! facility * 8 + severity
//! ```
//! `Documentation/ABI/testing/dev-kmsg`; a recorded machine has the same lines in a file.
//!
//! # Invariants
//! - The device stays open, so that each record is read once; a reading never waits.
//! - At most [`MAX_RECORDS`] are read at once.
//!
//! Where the log may not be read, it is empty. Records that the kernel threw away are left out.

use std::fs::File;
use std::io::{self, Read as _};
use std::os::unix::fs::OpenOptionsExt as _;

use candor_model::UnixNanos;
use nix::fcntl::OFlag;

use crate::{Host, Moment};

const MAX_RECORDS: usize = 20_000;

/// The kernel cuts a record well below.
const RECORD_BYTES: usize = 8192;

/// One record.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Entry {
    /// Its number since boot.
    pub(crate) record: u64,
    /// 0 is worst; 4 is a warning.
    pub(crate) severity: u8,
    /// Whether the kernel itself wrote it, and not a program into the kernel's log.
    pub(crate) is_kernel: bool,
    pub(crate) time: UnixNanos,
    pub(crate) message: String,
}

/// The log.
#[derive(Debug, Default)]
pub(crate) struct Kmsg {
    file: Option<File>,
    /// How many lines of a recorded log were read.
    lines: usize,
}

impl Kmsg {
    /// The records since the last look.
    pub(crate) fn read(&mut self, host: &Host, now: Moment) -> Vec<Entry> {
        if host.is_live() { self.live(host, now) } else { self.recorded(host, now) }
    }

    fn recorded(&mut self, host: &Host, now: Moment) -> Vec<Entry> {
        let text = host.content(&host.path("dev/kmsg")).unwrap_or_default();
        let lines: Vec<_> = text.lines().skip(self.lines).take(MAX_RECORDS).collect();
        self.lines += lines.len();
        lines.into_iter().filter_map(|line| parse(line.as_bytes(), now)).collect()
    }

    fn live(&mut self, host: &Host, now: Moment) -> Vec<Entry> {
        if self.file.is_none() {
            let mut options = File::options();
            options.read(true).custom_flags(OFlag::O_NONBLOCK.bits());
            self.file = options.open(host.path("dev/kmsg")).ok();
        }
        let Some(file) = &mut self.file else { return Vec::new() };
        let mut entries = Vec::new();
        let mut buffer = vec![0; RECORD_BYTES];
        for _ in 0..MAX_RECORDS {
            match file.read(&mut buffer) {
                Ok(0) => break,
                Ok(len) => entries.extend(parse(buffer.get(..len).unwrap_or_default(), now)),
                // The next record was overwritten; the one after it comes next.
                Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {}
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => {
                    if error.kind() != io::ErrorKind::WouldBlock {
                        self.file = None;
                    }
                    break;
                }
            }
        }
        entries
    }
}

fn parse(record: &[u8], now: Moment) -> Option<Entry> {
    let line = record.split(|byte| *byte == b'\n').next()?;
    let line = String::from_utf8_lossy(line);
    let (head, message) = line.split_once(';')?;
    let mut fields = head.split(',');
    let priority: u32 = fields.next()?.parse().ok()?;
    let record = fields.next()?.parse().ok()?;
    let micros: u64 = fields.next()?.parse().ok()?;
    let since_boot = micros.checked_mul(1000)?;
    let age = u64::try_from(now.monotonic.as_nanos()).ok()?.saturating_sub(since_boot);
    Some(Entry {
        record,
        severity: u8::try_from(priority & 7).ok()?,
        is_kernel: priority >> 3 == 0,
        time: UnixNanos(now.wall.0.saturating_sub(age)),
        message: message.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples::at;

    #[test]
    fn a_record_tells_severity_time_and_its_first_line() {
        let now = at(100);
        let since_boot = u64::try_from(now.monotonic.as_micros()).unwrap() - 5_000_000;
        let record = format!("12,7,{since_boot},-;usb 1-1: reset; again\n SUBSYSTEM=usb\n");
        let expected = Entry {
            record: 7,
            severity: 4,
            is_kernel: false,
            time: at(95).wall,
            message: "usb 1-1: reset; again".to_owned(),
        };
        assert_eq!(parse(record.as_bytes(), now), Some(expected));
        for bad in [
            "",
            "6",
            "6,1",
            "6,1,x,-;m",
            "6,1,2,- no message",
            "-1,1,2,-;m",
            "6,1,99999999999999999999,-;m",
        ] {
            assert_eq!(parse(bad.as_bytes(), now), None, "{bad}");
        }
    }

    #[test]
    fn each_record_of_a_recorded_log_is_read_once() {
        let root = tempfile::tempdir().unwrap();
        let host = Host::new(root.path());
        let mut kmsg = Kmsg::default();
        assert_eq!(kmsg.read(&host, at(0)), []);
        std::fs::create_dir_all(host.path("dev")).unwrap();
        std::fs::write(host.path("dev/kmsg"), "3,1,1,-;first\n").unwrap();
        assert_eq!(kmsg.read(&host, at(0)).len(), 1);
        std::fs::write(host.path("dev/kmsg"), "3,1,1,-;first\n3,2,2,-;second\n").unwrap();
        let second = kmsg.read(&host, at(0));
        assert_eq!(
            second.iter().map(|entry| entry.message.as_str()).collect::<Vec<_>>(),
            ["second"]
        );
    }

    #[test]
    fn reading_this_hosts_log_does_not_wait() {
        let mut kmsg = Kmsg::default();
        let first = kmsg.read(&Host::live(), at(0)).len();
        assert!(kmsg.read(&Host::live(), at(1)).len() <= first.max(1000));
    }

    #[test]
    fn damage_neither_breaks_it_nor_makes_it_invent() {
        use candor_fuzz::{Says, bytes};

        bytes(
            "linux/kmsg::parse",
            Says::Derived("the time counts from boot"),
            &[b"4,17,99999999,-;usb 1-1: reset\n SUBSYSTEM=usb\n".to_vec()],
            |record: &[u8]| parse(record, at(100)),
        );
    }
}
