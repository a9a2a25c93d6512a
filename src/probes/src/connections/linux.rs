//! Linux: the kernel is asked over netlink, and its tables are read where it does not answer.

use super::{Owners, diagnosis, owner, table};
use crate::Host;
use crate::sockets::Socket;

/// The sockets of the host's network and whose they are; `None` where nothing tells.
pub(super) fn read(host: &Host) -> Option<(Vec<Socket>, Owners)> {
    let sockets = diagnosis::all(host).or_else(|| table::read(host))?;
    let wanted = sockets.iter().map(|socket| socket.owner).filter(|owner| *owner > 0).collect();
    let owners = owner::of(host, &wanted);
    Some((sockets, owners))
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;
    use std::sync::Arc;

    use candor_model::events::connection::{
        Connection, Direction, Listening, Map, Port, Reach, Transport,
    };
    use candor_model::{EventDef as _, Record};

    use crate::connections::Connections;
    use crate::samples::at;
    use crate::{Host, Probe as _, Pseudonym, Settings};

    const HEAD: &str = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n";

    fn line(local: &str, remote: &str, state: &str, inode: u32) -> String {
        format!(
            "   0: {local} {remote} {state} 00000000:00000000 00:00000000 00000000     0        0 {inode} 1 0 100 0 0 10 0\n"
        )
    }

    fn probe() -> Connections {
        let pseudonym: Pseudonym = Arc::new(|domain, value| format!("{domain}#{}", value.len()));
        Connections::new(&Settings { pseudonym, ..Settings::default() })
    }

    #[test]
    fn ports_and_connections_are_told_without_any_address() {
        let root = tempfile::tempdir().unwrap();
        let host = Host::new(root.path());
        fs::create_dir_all(host.proc("1/net")).unwrap();
        fs::create_dir_all(host.proc("40/fd")).unwrap();
        fs::write(host.proc("40/comm"), "nginx\n").unwrap();
        symlink("socket:[11]", host.proc("40/fd/3")).unwrap();
        symlink("/dev/null", host.proc("40/fd/4")).unwrap();
        // 0.0.0.0:80 listens; twice 10.0.0.1:80 <- 192.0.2.7; 10.0.0.1 -> 198.51.100.20:443; 127.0.0.1 -> 127.0.0.1:5432.
        let tcp = [
            line("00000000:0050", "00000000:0000", "0A", 11),
            line("0100000A:0050", "070200C0:D431", "01", 0),
            line("0100000A:0050", "070200C0:D432", "01", 0),
            line("0100000A:C001", "146433C6:01BB", "01", 11),
            line("0100007F:C002", "0100007F:1538", "06", 0),
        ];
        fs::write(host.proc("1/net/tcp"), [HEAD, &tcp.concat()].concat()).unwrap();
        fs::write(
            host.proc("1/net/udp"),
            [HEAD, &line("0100007F:0035", "00000000:0000", "07", 0)].concat(),
        )
        .unwrap();
        let records = probe().report(&host, at(0)).unwrap();
        let port = |port, transport, reach, program: Option<&str>| Port {
            transport: Some(transport),
            port,
            reach: Some(reach),
            program: program.map(str::to_owned),
        };
        let listening = Listening {
            total: Some(2),
            left_out: Some(0),
            ports: vec![
                port(53, Transport::Udp, Reach::Loopback, None),
                port(80, Transport::Tcp, Reach::Any, Some("nginx")),
            ],
        };
        let connection = |direction, reach, remote: Option<&str>, port, count| Connection {
            transport: Some(Transport::Tcp),
            direction: Some(direction),
            remote: remote.map(str::to_owned),
            reach: Some(reach),
            port,
            state: Some("established"),
            program: None,
            count,
        };
        let map = Map {
            total: Some(4),
            left_out: Some(0),
            connections: vec![
                connection(Direction::Inbound, Reach::Public, Some("remote-address#9"), 80, 2),
                Connection {
                    state: Some("time_wait"),
                    ..connection(Direction::Outbound, Reach::Loopback, None, 5432, 1)
                },
                Connection {
                    program: Some("nginx".to_owned()),
                    ..connection(
                        Direction::Outbound,
                        Reach::Public,
                        Some("remote-address#13"),
                        443,
                        1,
                    )
                },
            ],
        };
        assert_eq!(
            records,
            [Record::Event(listening.into_event()), Record::Event(map.into_event())]
        );
    }

    #[test]
    fn a_host_without_tables_says_nothing() {
        assert_eq!(probe().report(&Host::new("/nonexistent"), at(0)).unwrap(), []);
    }
}
