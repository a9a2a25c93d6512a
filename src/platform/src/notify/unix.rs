//! `sd_notify(3)`: datagrams to the socket that `NOTIFY_SOCKET` names; the Linux half of `notify`.
//!
//! # Invariants
//! - A name that begins with `@` is an abstract one.
//! - `WATCHDOG_USEC` counts only for the process that `WATCHDOG_PID` names, if it names one.
//!
//! On failure: silence.

use std::ffi::OsString;
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::Duration;

use super::Word;

#[derive(Debug)]
pub(super) struct Manager {
    socket: UnixDatagram,
    address: SocketAddr,
    patience: Option<Duration>,
}

impl Manager {
    pub(super) fn of_this_process() -> Option<Self> {
        Self::named(|name| std::env::var_os(name), std::process::id())
    }

    fn named(variable: impl Fn(&str) -> Option<OsString>, own_id: u32) -> Option<Self> {
        let name = variable("NOTIFY_SOCKET")?;
        let address = match name.as_bytes().strip_prefix(b"@") {
            Some(name) => SocketAddr::from_abstract_name(name),
            None => SocketAddr::from_pathname(&name),
        };
        let socket = UnixDatagram::unbound().ok()?;
        socket.set_nonblocking(true).ok()?;
        let number = |name: &str| variable(name)?.to_str()?.parse::<u64>().ok();
        let is_ours = number("WATCHDOG_PID").is_none_or(|id| id == u64::from(own_id));
        let patience = number("WATCHDOG_USEC").filter(|micros| is_ours && *micros > 0);
        let patience = patience.map(Duration::from_micros);
        Some(Self { socket, address: address.ok()?, patience })
    }

    pub(super) fn tell(&self, word: Word) {
        let text = match word {
            Word::Ready => "READY=1",
            Word::Stopping => "STOPPING=1",
            Word::Alive => "WATCHDOG=1",
        };
        // A manager that does not listen sees the silence.
        let _ = self.socket.send_to_addr(text.as_bytes(), &self.address);
    }

    pub(super) fn patience(&self) -> Option<Duration> {
        self.patience
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;

    fn manager(variables: &[(&str, &str)]) -> Option<Manager> {
        let variables: HashMap<&str, OsString> =
            variables.iter().map(|(name, value)| (*name, OsString::from(value))).collect();
        Manager::named(|name| variables.get(name).cloned(), 17)
    }

    fn received(socket: &UnixDatagram) -> String {
        let mut bytes = [0; 64];
        let length = socket.recv(&mut bytes).unwrap();
        String::from_utf8(bytes[..length].to_vec()).unwrap()
    }

    #[test]
    fn a_socket_is_told_by_its_path_and_by_its_abstract_name() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("notify");
        let by_path = UnixDatagram::bind(&path).unwrap();
        let name = format!("candor-notify-{}", std::process::id());
        let by_name =
            UnixDatagram::bind_addr(&SocketAddr::from_abstract_name(&name).unwrap()).unwrap();
        for (socket, name) in
            [(by_path, path.to_str().unwrap().to_owned()), (by_name, format!("@{name}"))]
        {
            let manager = manager(&[("NOTIFY_SOCKET", &name)]).unwrap();
            for (word, text) in [
                (Word::Ready, "READY=1"),
                (Word::Alive, "WATCHDOG=1"),
                (Word::Stopping, "STOPPING=1"),
            ] {
                manager.tell(word);
                assert_eq!(received(&socket), text);
            }
        }
    }

    #[test]
    fn the_watchdog_of_another_process_is_not_ours() {
        let patience = |variables: &[(&str, &str)]| {
            let mut all = vec![("NOTIFY_SOCKET", "/nowhere")];
            all.extend(variables);
            manager(&all).unwrap().patience()
        };
        let three = Some(Duration::from_secs(3));
        assert_eq!(patience(&[]), None);
        assert_eq!(patience(&[("WATCHDOG_USEC", "3000000")]), three);
        assert_eq!(patience(&[("WATCHDOG_USEC", "3000000"), ("WATCHDOG_PID", "17")]), three);
        assert_eq!(patience(&[("WATCHDOG_USEC", "3000000"), ("WATCHDOG_PID", "18")]), None);
        assert_eq!(patience(&[("WATCHDOG_USEC", "0")]), None);
        assert_eq!(patience(&[("WATCHDOG_USEC", "soon")]), None);
    }

    #[test]
    fn without_a_socket_there_is_nobody_to_tell_and_a_dead_one_costs_nothing() {
        assert!(manager(&[("WATCHDOG_USEC", "3000000")]).is_none());
        manager(&[("NOTIFY_SOCKET", "/nowhere/at/all")]).unwrap().tell(Word::Ready);
    }
}
