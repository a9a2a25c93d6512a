//! The sockets as the kernel tells them over netlink: one binary answer, instead of tables of text
//! that end after some thousand lines. See `sock_diag(7)`.
//!
//! # Invariants
//! - Only where this process and the host's first one are in the same network; else the tables tell.
//! - All four answers or none: half an answer would look like a host without the other half.
//! - At most [`MAX_SOCKETS`] of each kind.
//!
//! A kernel or a sandbox without it is [`None`]: the tables tell then.

use std::fs;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use candor_model::events::connection::Transport;
use netlink_packet_core::{
    NLM_F_DUMP, NLM_F_REQUEST, NetlinkHeader, NetlinkMessage, NetlinkPayload,
};
use netlink_packet_sock_diag::SockDiagMessage;
use netlink_packet_sock_diag::constants::{AF_INET, AF_INET6, IPPROTO_TCP, IPPROTO_UDP};
use netlink_packet_sock_diag::inet::{
    ExtensionFlags, InetRequest, InetResponse, SocketId, StateFlags,
};
use nix::sys::socket::{
    AddressFamily, MsgFlags, SockFlag, SockProtocol, SockType, recv, send, setsockopt, socket,
    sockopt,
};
use nix::sys::time::TimeVal;

use crate::Host;
use crate::sockets::Socket;

/// What the kernel puts into one answer at most.
const ANSWER_BYTES: usize = 32 << 10;

/// The most sockets of one kind.
const MAX_SOCKETS: usize = 1 << 16;

/// How long the kernel may think; it answers at once.
const PATIENCE: TimeVal = TimeVal::new(2, 0);

/// The sockets of the host's network; `None` where the kernel does not tell them this way.
pub(super) fn all(host: &Host) -> Option<Vec<Socket>> {
    if !host.is_live() || !is_same_network(host) {
        return None;
    }
    let flags = SockFlag::SOCK_CLOEXEC;
    let family = SockProtocol::NetlinkSockDiag;
    let netlink = socket(AddressFamily::Netlink, SockType::Datagram, flags, family).ok()?;
    setsockopt(&netlink, sockopt::ReceiveTimeout, &PATIENCE).ok()?;
    let kinds = [
        (IPPROTO_TCP, AF_INET),
        (IPPROTO_TCP, AF_INET6),
        (IPPROTO_UDP, AF_INET),
        (IPPROTO_UDP, AF_INET6),
    ];
    let mut sockets = Vec::new();
    for (protocol, family) in kinds {
        ask(&netlink, protocol, family)?;
        read(&netlink, transport(protocol), &mut sockets)?;
    }
    Some(sockets)
}

const fn transport(protocol: u8) -> Transport {
    if protocol == IPPROTO_UDP { Transport::Udp } else { Transport::Tcp }
}

/// The kernel makes each network's files anew, so that the same number means the same network.
fn is_same_network(host: &Host) -> bool {
    let number = |path: &Path| fs::metadata(path).ok().map(|meta| meta.ino());
    let own = number(&host.proc("self/net/tcp"));
    own.is_some() && own == number(&host.proc("1/net/tcp"))
}

/// Asks for all sockets of a kind.
fn ask(netlink: &OwnedFd, protocol: u8, family: u8) -> Option<()> {
    let mut header = NetlinkHeader::default();
    header.flags = NLM_F_REQUEST | NLM_F_DUMP;
    let request = InetRequest {
        family,
        protocol,
        extensions: ExtensionFlags::empty(),
        states: StateFlags::all(),
        socket_id: if family == AF_INET6 { SocketId::new_v6() } else { SocketId::new_v4() },
    };
    let mut message = NetlinkMessage::new(header, SockDiagMessage::InetRequest(request).into());
    message.finalize();
    let mut bytes = vec![0; message.buffer_len()];
    message.serialize(&mut bytes);
    let sent = send(netlink.as_raw_fd(), &bytes, MsgFlags::empty()).ok()?;
    (sent == bytes.len()).then_some(())
}

/// Reads until the kernel says that this was all; `None` when it refuses.
fn read(netlink: &OwnedFd, transport: Transport, sockets: &mut Vec<Socket>) -> Option<()> {
    let mut buffer = vec![0; ANSWER_BYTES];
    let most = sockets.len() + MAX_SOCKETS;
    loop {
        let len = recv(netlink.as_raw_fd(), &mut buffer, MsgFlags::empty()).ok()?;
        let mut rest = buffer.get(..len).filter(|answer| !answer.is_empty())?;
        while !rest.is_empty() {
            let message = NetlinkMessage::<SockDiagMessage>::deserialize(rest).ok()?;
            match message.payload {
                NetlinkPayload::Done(_) => return Some(()),
                NetlinkPayload::InnerMessage(SockDiagMessage::InetResponse(told)) => {
                    if sockets.len() < most {
                        sockets.push(of(&told, transport));
                    }
                }
                NetlinkPayload::Noop => {}
                _ => return None,
            }
            let length = usize::try_from(message.header.length).ok()?.next_multiple_of(4);
            rest = rest.get(length..).unwrap_or_default();
        }
    }
}

fn of(told: &InetResponse, transport: Transport) -> Socket {
    let id = &told.header.socket_id;
    Socket {
        transport,
        local: (id.source_address, id.source_port),
        remote: (id.destination_address, id.destination_port),
        state: told.header.state,
        owner: told.header.inode.into(),
    }
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, Ipv6Addr, TcpListener, TcpStream, UdpSocket};

    use super::*;
    use crate::connections::table;
    use crate::sockets::{ESTABLISHED, LISTEN};

    #[test]
    fn the_kernel_tells_the_same_of_our_sockets_as_its_tables() {
        let Some(_) = all(&Host::live()) else {
            println!("skipped: this kernel does not tell sockets over netlink");
            return;
        };
        let v4 = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let v6 = TcpListener::bind((Ipv6Addr::LOCALHOST, 0)).ok();
        let udp = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let open = TcpStream::connect(v4.local_addr().unwrap()).unwrap();
        let (far, _) = v4.accept().unwrap();
        let number = |fd: &dyn AsRawFd| {
            let link = format!("/proc/self/fd/{}", fd.as_raw_fd());
            fs::metadata(link).unwrap().ino()
        };
        let mut inodes = vec![number(&v4), number(&udp), number(&open), number(&far)];
        inodes.extend(v6.as_ref().map(|v6| number(v6)));
        let ours = |mut sockets: Vec<Socket>| {
            sockets.retain(|socket| inodes.contains(&socket.owner));
            sockets.sort_by_key(|socket| socket.owner);
            sockets
        };
        let told = ours(all(&Host::live()).unwrap());
        assert_eq!(told, ours(table::read(&Host::live()).unwrap()));
        assert_eq!(told.len(), inodes.len());
        let states: Vec<_> = told.iter().map(|socket| socket.state).collect();
        assert!(states.contains(&LISTEN) && states.contains(&ESTABLISHED), "{told:?}");
        assert!(told.iter().any(|socket| socket.transport == Transport::Udp));
    }

    #[test]
    fn of_a_recorded_machine_the_kernel_is_not_asked() {
        assert_eq!(all(&Host::new("/usr/..")), None);
    }
}
