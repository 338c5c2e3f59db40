//! Packets to anywhere, in a network namespace where rules of nftables decide whether they leave.
//!
//! One packet of TCP or UDP is sent by a raw socket to each destination. What a rule of the output hook drops is refused with
//! EPERM, so the verdict is the result of a system call, and nothing has to be waited for. All addresses are routed to the
//! loopback interface, where everything that arrives is dropped; connections are not tracked, so that no packet is taken for
//! the answer to another one.

use std::io::Write;
use std::net::{IpAddr, SocketAddr, SocketAddrV6};
use std::os::fd::OwnedFd;
use std::path::Path;
use std::process::{Command, Stdio};

use outport_policy::Transport;
use rustix::io::Errno;
use rustix::net::{AddressFamily, SendFlags, SocketType, ipproto, sendto, socket};

use super::scenes::Probe;

/// The four raw sockets.
pub(super) struct Prober {
    sockets: Vec<((Transport, bool), OwnedFd)>,
}

const ROUTES: [&str; 4] = [
    "ip route add local 0.0.0.0/1 dev lo",
    "ip route add local 128.0.0.0/1 dev lo",
    "ip -6 route add local ::/1 dev lo",
    "ip -6 route add local 8000::/1 dev lo",
];

const APART: &str = "table inet apart {
    chain untracked { type filter hook output priority raw; policy accept; notrack; }
    chain arriving { type filter hook input priority raw; policy drop; }
}";

impl Prober {
    /// Sets the namespace up, which is the test's own.
    pub(super) fn new() -> Self {
        for route in ROUTES {
            let mut words = route.split(' ');
            let program = words.next().unwrap();
            let status = Command::new(program)
                .args(words)
                .status()
                .expect("package iproute2");
            assert!(status.success(), "{route}");
        }
        load(APART);
        let all = [Transport::Tcp, Transport::Udp]
            .into_iter()
            .flat_map(|transport| {
                [false, true].map(|is_v6| {
                    let family = if is_v6 {
                        AddressFamily::INET6
                    } else {
                        AddressFamily::INET
                    };
                    let protocol = match transport {
                        Transport::Tcp => ipproto::TCP,
                        Transport::Udp => ipproto::UDP,
                    };
                    let socket =
                        socket(family, SocketType::RAW, Some(protocol)).expect("root of the namespace");
                    rustix::net::sockopt::set_socket_broadcast(&socket, true).unwrap();
                    ((transport, is_v6), socket)
                })
            });
        Self {
            sockets: all.collect(),
        }
    }

    /// True if a packet leaves.
    pub(super) fn passes(&self, probe: Probe) -> bool {
        let key = (probe.transport, probe.remote.is_ipv6());
        let (_, socket) = self.sockets.iter().find(|(known, _)| *known == key).unwrap();
        let packet = match probe.transport {
            Transport::Tcp => tcp(probe.remote.port()),
            Transport::Udp => udp(probe.remote.port()),
        };
        // The port is in the packet.
        let to = match probe.remote.ip() {
            IpAddr::V4(ip) => SocketAddr::from((ip, 0)),
            // Of addresses of a link, that of loopback.
            IpAddr::V6(ip) => SocketAddrV6::new(ip, 0, 0, u32::from(is_of_link(ip))).into(),
        };
        match sendto(socket, &packet, SendFlags::empty(), &to) {
            Ok(_) => true,
            Err(Errno::PERM) => false,
            Err(error) => panic!("{probe:?}: {error}"),
        }
    }
}

const NFT: &str = "/usr/sbin/nft";

/// Loads rules.
pub(super) fn load(rules: &str) {
    nft(&["-f", "-"], rules);
}

/// Runs `nft` with rules as its input.
pub(super) fn nft(arguments: &[&str], rules: &str) {
    // Where Debian has it, which is in nobody's path but root's.
    let program = if Path::new(NFT).exists() { NFT } else { "nft" };
    let nft = Command::new(program)
        .args(arguments)
        .stdin(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let mut nft = nft.expect("package nftables");
    let mut input = nft.stdin.take().unwrap();
    input.write_all(rules.as_bytes()).unwrap();
    drop(input);
    let output = nft.wait_with_output().unwrap();
    assert!(
        output.status.success(),
        "{}\n{rules}",
        String::from_utf8_lossy(&output.stderr)
    );
}

fn is_of_link(ip: std::net::Ipv6Addr) -> bool {
    ip.is_unicast_link_local() || ip.is_multicast()
}

/// The header of a SYN.
fn tcp(port: u16) -> Vec<u8> {
    let mut packet = vec![0; 20];
    packet[..2].copy_from_slice(&4000_u16.to_be_bytes());
    packet[2..4].copy_from_slice(&port.to_be_bytes());
    packet[12] = 5 << 4;
    packet[13] = 2;
    packet
}

/// An empty datagram.
fn udp(port: u16) -> Vec<u8> {
    let mut packet = vec![0; 8];
    packet[..2].copy_from_slice(&4000_u16.to_be_bytes());
    packet[2..4].copy_from_slice(&port.to_be_bytes());
    packet[5] = 8;
    packet
}
