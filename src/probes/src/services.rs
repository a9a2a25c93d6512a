//! Which services run, how long, and how often they were started anew: level 2. Linux with systemd, and
//! Windows; once a minute for restarts, the rest with each report.
//!
//! ```text
//! fs/cgroup/[systemd/|unified/]system.slice/[NAME.slice/]NAME.service   it runs
//! run/systemd/units/invocation:NAME.service -> id                       one id for each start
//! usr/lib/systemd/system/NAME.service                                   it came with a package
//! ```
//! On Windows the service control manager lists them, a new process is a new start, and a service whose
//! program lies in a directory of the system came with it.
//!
//! # Invariants
//! - A service is named only when a package or Windows brought it: the administrator may have named the
//!   others after people or customers. An instance (`getty@tty1`, `CDPUserSvc_3f2a1`) is told as its template.
//! - At most [`MAX_SERVICES`]; the later ones, by name, are not followed.
//! - Said when something changed and once a day, since how long they run changes always.
//!
//! Without control groups of systemd, or where Windows does not list its services, there is no event.

use std::collections::BTreeMap;
use std::time::Duration;

use candor_model::events::usage::{Service, Services};
use candor_model::{Level, Record};

use crate::beat::Beat;
use crate::schedule::DAY;
use crate::{Host, Moment, Probe, ProbeError, Rhythm};

#[cfg(not(windows))]
#[path = "services/unit.rs"]
mod os;
#[cfg(windows)]
#[path = "services/windows.rs"]
mod os;

use os::Unit;

/// The most services that are followed.
const MAX_SERVICES: usize = 256;

/// The probe.
#[derive(Debug, Default)]
pub(crate) struct ServiceUse {
    units: Vec<Unit>,
    beat: Beat,
    said: Option<Said>,
}

/// What was said last, and when by the boot clock.
#[derive(Debug)]
struct Said {
    /// Each name with its instances.
    services: Vec<(String, u64)>,
    count: Option<u64>,
    at: Duration,
}

impl ServiceUse {
    /// Looks which services run now. One that was gone at the last look and is back was started
    /// anew; one that is gone twice is forgotten.
    fn look(&mut self, host: &Host) {
        self.units.iter_mut().for_each(|unit| unit.missed += 1);
        for found in os::running(host, MAX_SERVICES) {
            let known = self.units.iter_mut().find(|known| known.name == found.name);
            if let Some(known) = known {
                known.restarts += u64::from(known.start != found.start);
                (known.start, known.missed) = (found.start, 0);
            } else if self.units.len() < 2 * MAX_SERVICES {
                self.units.push(found);
            }
        }
        self.units.retain(|unit| unit.missed < 2);
    }

    /// The event, with the restarts since the last one.
    fn event(&mut self, host: &Host) -> Services {
        let uptime = os::uptime(host);
        let mut services: BTreeMap<String, Service> = BTreeMap::new();
        let (mut count, mut unnamed) = (0, 0);
        for unit in &self.units {
            let runs = u64::from(unit.missed == 0);
            if runs == 0 && unit.restarts == 0 {
                continue;
            }
            count += runs;
            let Some(name) = unit.told(host) else {
                unnamed += runs;
                continue;
            };
            let new = || Service { name: name.clone(), ..Service::default() };
            let service = services.entry(name.clone()).or_insert_with(new);
            service.restarts += unit.restarts;
            if name.ends_with('@') {
                service.instances = Some(service.instances.unwrap_or(0) + runs);
            }
            if runs > 0 {
                let ran = unit.ran(host, uptime);
                let longest = service.uptime.into_iter().chain(ran.map(|ran| ran.as_secs_f64()));
                service.uptime = longest.reduce(f64::max);
            }
        }
        let services = services.into_values().collect();
        Services { count: Some(count), unnamed: Some(unnamed), services: Some(services) }
    }

    /// Whether the event says something new, or the last one is a day old.
    fn is_news(&self, event: &Services, now: Moment) -> bool {
        let Some(said) = &self.said else { return true };
        let services = event.services.iter().flatten();
        let was_restarted = services.clone().any(|service| service.restarts > 0);
        let is_same = said.services == brief(event) && said.count == event.count;
        was_restarted || !is_same || now.boot.abs_diff(said.at) >= DAY
    }
}

/// A service of Windows that is started once for each session has the session's number at its end:
/// `CDPUserSvc_3f2a1` becomes `CDPUserSvc@`.
#[cfg(any(windows, test))]
pub(crate) fn template(name: &str) -> String {
    let is_session = |number: &str| {
        number.len() >= 4 && number.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
    };
    match name.rsplit_once('_') {
        Some((stem, number)) if !stem.is_empty() && is_session(number) => format!("{stem}@"),
        _ => name.to_owned(),
    }
}

/// Each name with its instances.
fn brief(event: &Services) -> Vec<(String, u64)> {
    let services = event.services.iter().flatten();
    services.map(|service| (service.name.clone(), service.instances.unwrap_or(1))).collect()
}

impl Probe for ServiceUse {
    fn name(&self) -> &'static str {
        "services"
    }

    fn level(&self) -> Level {
        Level::Enhanced
    }

    fn rhythm(&self) -> Rhythm {
        Rhythm::Sampled
    }

    fn sample(&mut self, host: &Host, now: Moment) -> Result<(), ProbeError> {
        if self.beat.is_due(now) {
            self.look(host);
        }
        Ok(())
    }

    fn report(&mut self, host: &Host, now: Moment) -> Result<Vec<Record>, ProbeError> {
        self.look(host);
        if self.units.is_empty() {
            return Ok(Vec::new());
        }
        let event = self.event(host);
        if !self.is_news(&event, now) {
            return Ok(Vec::new());
        }
        self.units.iter_mut().for_each(|unit| unit.restarts = 0);
        self.said = Some(Said { services: brief(&event), count: event.count, at: now.boot });
        Ok(vec![event.into()])
    }

    fn reset(&mut self) {
        *self = Self::default();
    }
}

#[cfg(test)]
#[cfg(unix)]
mod tests {
    use std::fs;

    use super::*;
    use crate::samples::at;

    pub(super) struct Machine {
        _root: tempfile::TempDir,
        pub(super) host: Host,
    }

    impl Machine {
        pub(super) fn new() -> Self {
            let root = tempfile::tempdir().unwrap();
            let host = Host::new(root.path());
            let machine = Self { _root: root, host };
            machine.file("proc/uptime", "5000.00 1.0");
            machine
        }

        fn file(&self, path: &str, text: &str) {
            let path = self.host.path(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, format!("{text}\n")).unwrap();
        }

        /// A service whose process started so many seconds after the machine.
        pub(super) fn service(&self, group: &str, pid: u32, second: u64) {
            let group = format!("sys/fs/cgroup/system.slice/{group}");
            self.file(&format!("{group}/cgroup.procs"), &pid.to_string());
            let stat = format!(
                "{pid} (a) S) S 1 1 1 0 -1 0 0 0 0 0 0 0 0 0 20 0 1 0 {} 1 1",
                second * 100
            );
            self.file(&format!("proc/{pid}/stat"), &stat);
        }

        fn packaged(&self, name: &str) {
            self.file(&format!("usr/lib/systemd/system/{name}"), "[Service]");
        }

        fn invocation(&self, name: &str, id: &str) {
            let link = self.host.path(format!("run/systemd/units/invocation:{name}"));
            fs::create_dir_all(link.parent().unwrap()).unwrap();
            let _ = fs::remove_file(&link);
            std::os::unix::fs::symlink(id, link).unwrap();
        }

        fn stop(&self, group: &str) {
            fs::remove_dir_all(self.host.sys(&format!("fs/cgroup/system.slice/{group}"))).unwrap();
        }
    }

    fn said(probe: &mut ServiceUse, machine: &Machine, second: u64) -> Option<Services> {
        probe.sample(&machine.host, at(second)).unwrap();
        probe.look(&machine.host);
        let event = probe.event(&machine.host);
        (!probe.report(&machine.host, at(second)).unwrap().is_empty()).then_some(event)
    }

    #[test]
    fn a_session_at_the_end_of_a_name_is_cut_off() {
        for (name, told) in [
            ("CDPUserSvc_3f2a1", "CDPUserSvc@"),
            ("OneSyncSvc_12ab34cd", "OneSyncSvc@"),
            ("clr_optimization_v4.0.30319_64", "clr_optimization_v4.0.30319_64"),
            ("Dhcp", "Dhcp"),
            ("_3f2a1", "_3f2a1"),
            ("Name_XYZ123", "Name_XYZ123"),
        ] {
            assert_eq!(template(name), told);
        }
    }

    #[test]
    fn packaged_services_are_named_templates_counted_and_the_administrators_own_unnamed() {
        let machine = Machine::new();
        machine.packaged("ssh.service");
        machine.packaged("getty@.service");
        machine.service("ssh.service", 10, 1000);
        machine.service("system-getty.slice/getty@tty1.service", 11, 2000);
        machine.service("system-getty.slice/getty@tty2.service", 12, 4000);
        machine.service("jane-backup.service", 13, 1);
        let event = said(&mut ServiceUse::default(), &machine, 0).unwrap();
        assert_eq!((event.count, event.unnamed), (Some(4), Some(1)));
        let service = |name: &str, instances, uptime| Service {
            name: name.to_owned(),
            instances,
            uptime: Some(uptime),
            restarts: 0,
        };
        let expected = [service("getty@", Some(2), 3000.0), service("ssh", None, 4000.0)];
        assert_eq!(event.services.unwrap(), expected);
    }

    #[test]
    fn a_new_invocation_is_a_restart_and_news() {
        let machine = Machine::new();
        machine.packaged("ssh.service");
        machine.service("ssh.service", 10, 1000);
        machine.invocation("ssh.service", "aa");
        let mut probe = ServiceUse::default();
        assert!(said(&mut probe, &machine, 0).is_some());
        assert!(said(&mut probe, &machine, 900).is_none(), "nothing changed");
        machine.invocation("ssh.service", "bb");
        probe.sample(&machine.host, at(1000)).unwrap();
        machine.invocation("ssh.service", "cc");
        let event = said(&mut probe, &machine, 1800).unwrap();
        assert_eq!(event.services.unwrap()[0].restarts, 2);
        assert!(said(&mut probe, &machine, 2700).is_none(), "they are said once");
    }

    #[test]
    fn a_service_that_comes_or_goes_is_news_and_so_is_a_day() {
        let machine = Machine::new();
        machine.packaged("ssh.service");
        machine.packaged("cron.service");
        machine.service("ssh.service", 10, 1000);
        machine.service("cron.service", 11, 1000);
        let mut probe = ServiceUse::default();
        said(&mut probe, &machine, 0).unwrap();
        machine.stop("cron.service");
        let event = said(&mut probe, &machine, 900).unwrap();
        assert_eq!(event.count, Some(1));
        assert_eq!(brief(&event), [("ssh".to_owned(), 1)]);
        assert!(said(&mut probe, &machine, 1800).is_none());
        assert!(said(&mut probe, &machine, 900 + 86_400).is_some());
    }

    #[test]
    fn a_host_without_systemd_says_nothing() {
        let root = tempfile::tempdir().unwrap();
        let host = Host::new(root.path());
        assert_eq!(ServiceUse::default().report(&host, at(0)).unwrap(), []);
    }

    #[test]
    fn damage_neither_breaks_it_nor_makes_it_invent() {
        use candor_fuzz::{Says, text};

        text("services::template", Says::Stands, &["CDPUserSvc_3f2a1"], template);
    }
}
