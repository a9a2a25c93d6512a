//! Windows: `GetTcpStatisticsEx`, and the system's own table of TCP's sockets, of both families.
//!
//! # Invariants
//! - The counters wrap at 32 bits: a window over the wrap is left out, as over any counter that fell.
//! - A recorded machine is not this one: nothing is told of it here.

use candor_platform::{SocketTable, socket_table, tcp_counters};

use super::{COUNTERS, STATES};
use crate::sockets::{Socket, tcp_rows};
use crate::{Host, ProbeError};

/// Reads this OS.
#[derive(Debug, Default)]
pub(super) struct Reader(());

impl Reader {
    /// The counters since boot.
    #[expect(clippy::unused_self, reason = "one signature with Linux")]
    pub(super) fn read(&mut self, host: &Host) -> Result<[u64; COUNTERS], ProbeError> {
        let told = host.is_live().then(tcp_counters).flatten();
        let told = told.ok_or_else(|| ProbeError::System {
            what: "the counters of TCP",
            source: std::io::ErrorKind::NotFound.into(),
        })?;
        Ok([told.received, told.sent, told.accepted, told.opened, told.sent_again, told.failed])
    }

    /// How many connections are in each state now: all states or none.
    #[expect(clippy::unused_self, reason = "one signature with Linux")]
    pub(super) fn states(&self, host: &Host) -> [Option<u64>; STATES] {
        let tables =
            [(SocketTable::Tcp4, false), (SocketTable::Tcp6, true)].map(|(table, is_six)| {
                let bytes = host.is_live().then(|| socket_table(table)).flatten()?;
                Some(tcp_rows(&bytes, is_six))
            });
        let [Some(first), second] = tables else { return [None; STATES] };
        count(first.iter().chain(second.iter().flatten())).map(Some)
    }
}

/// A socket's state is the place of its word, beginning with 1.
fn count<'a>(sockets: impl Iterator<Item = &'a Socket>) -> [u64; STATES] {
    let mut counts = [0; STATES];
    for socket in sockets {
        let place = usize::from(socket.state).checked_sub(1);
        if let Some(count) = place.and_then(|place| counts.get_mut(place)) {
            *count += 1;
        }
    }
    counts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_host_counts_segments_and_a_socket_that_listens() {
        let _listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let mut reader = Reader::default();
        assert_eq!(reader.read(&Host::live()).unwrap().len(), COUNTERS);
        assert!(reader.states(&Host::live())[9] >= Some(1));
        assert!(reader.read(&Host::new("/nonexistent")).is_err());
    }
}
