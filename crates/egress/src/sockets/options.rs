//! The options of a socket, in the units of WASI. Those about keeping alive are for TCP alone.
//!
//! WASI calls zero an invalid argument for each of them, and lets the system make of a value what it can: one that is
//! too large becomes the largest there is.

use std::os::fd::{AsFd, BorrowedFd};
use std::time::Duration;

use rustix::io::Errno;
use rustix::net::sockopt;
use wasmtime_wasi::sockets::ErrorCode;

use super::Family;

/// The options of one socket.
pub(crate) struct Options<'a> {
    socket: BorrowedFd<'a>,
    family: Family,
}

type Outcome<T> = Result<T, ErrorCode>;

impl<'a> Options<'a> {
    pub(super) fn new(socket: BorrowedFd<'a>, family: Family) -> Self {
        Options { socket, family }
    }

    pub(crate) fn keep_alive_enabled(&self) -> Outcome<bool> {
        Ok(sockopt::socket_keepalive(self.socket)?)
    }

    pub(crate) fn set_keep_alive_enabled(&self, enabled: bool) -> Outcome<()> {
        Ok(sockopt::set_socket_keepalive(self.socket, enabled)?)
    }

    /// Nanoseconds.
    pub(crate) fn keep_alive_idle_time(&self) -> Outcome<u64> {
        Ok(nanoseconds(sockopt::tcp_keepidle(self.socket)?))
    }

    pub(crate) fn set_keep_alive_idle_time(&self, nanoseconds: u64) -> Outcome<()> {
        Ok(sockopt::set_tcp_keepidle(self.socket, seconds(nanoseconds)?)?)
    }

    /// Nanoseconds.
    pub(crate) fn keep_alive_interval(&self) -> Outcome<u64> {
        Ok(nanoseconds(sockopt::tcp_keepintvl(self.socket)?))
    }

    pub(crate) fn set_keep_alive_interval(&self, nanoseconds: u64) -> Outcome<()> {
        Ok(sockopt::set_tcp_keepintvl(self.socket, seconds(nanoseconds)?)?)
    }

    pub(crate) fn keep_alive_count(&self) -> Outcome<u32> {
        Ok(sockopt::tcp_keepcnt(self.socket)?)
    }

    pub(crate) fn set_keep_alive_count(&self, count: u32) -> Outcome<()> {
        let count = not_zero(count.into())?.min(MOST_KEEP_ALIVES.into());
        let count = u32::try_from(count).unwrap_or(MOST_KEEP_ALIVES);
        Ok(sockopt::set_tcp_keepcnt(self.socket, count)?)
    }

    pub(crate) fn hop_limit(&self) -> Outcome<u8> {
        match self.family {
            Family::V4 => u8::try_from(sockopt::ip_ttl(self.socket)?).map_err(|_| ErrorCode::NotSupported),
            Family::V6 => Ok(sockopt::ipv6_unicast_hops(self.socket)?),
        }
    }

    pub(crate) fn set_hop_limit(&self, limit: u8) -> Outcome<()> {
        not_zero(limit.into())?;
        let set = match self.family {
            Family::V4 => sockopt::set_ip_ttl(self.socket, limit.into()),
            Family::V6 => sockopt::set_ipv6_unicast_hops(self.socket, Some(limit)),
        };
        Ok(set?)
    }

    /// Bytes.
    pub(crate) fn receive_buffer_size(&self) -> Outcome<u64> {
        Ok(asked_for(sockopt::socket_recv_buffer_size(self.socket)?))
    }

    pub(crate) fn set_receive_buffer_size(&self, bytes: u64) -> Outcome<()> {
        as_a_hint(sockopt::set_socket_recv_buffer_size(self.socket, buffer(bytes)?))
    }

    /// Bytes.
    pub(crate) fn send_buffer_size(&self) -> Outcome<u64> {
        Ok(asked_for(sockopt::socket_send_buffer_size(self.socket)?))
    }

    pub(crate) fn set_send_buffer_size(&self, bytes: u64) -> Outcome<()> {
        as_a_hint(sockopt::set_socket_send_buffer_size(self.socket, buffer(bytes)?))
    }
}

/// The options that a guest has given a socket, for the one to a proxy that takes its place. How far packets go is not
/// among them: that is about the way to the peer, which the proxy goes.
#[derive(Clone, Debug, Default)]
pub(crate) struct Carried {
    keep_alive: Option<bool>,
    idle: Option<Duration>,
    interval: Option<Duration>,
    count: Option<u32>,
    receive_buffer: Option<usize>,
    send_buffer: Option<usize>,
}

impl Carried {
    /// Those of `socket`.
    pub(super) fn of(socket: BorrowedFd<'_>) -> Self {
        Self {
            keep_alive: sockopt::socket_keepalive(socket).ok(),
            idle: sockopt::tcp_keepidle(socket).ok(),
            interval: sockopt::tcp_keepintvl(socket).ok(),
            count: sockopt::tcp_keepcnt(socket).ok(),
            receive_buffer: sockopt::socket_recv_buffer_size(socket).ok(),
            send_buffer: sockopt::socket_send_buffer_size(socket).ok(),
        }
    }

    /// Gives a new socket those that it has not got anyway: a buffer whose size was set does not grow by itself any more.
    /// What the system does not take is left as it is.
    pub(crate) fn give(&self, socket: impl AsFd) {
        let socket = socket.as_fd();
        let own = Self::of(socket);
        let differs = |wanted: Option<usize>, own: Option<usize>| wanted.filter(|_| wanted != own);
        if let Some(on) = self.keep_alive.filter(|_| self.keep_alive != own.keep_alive) {
            let _ = sockopt::set_socket_keepalive(socket, on);
        }
        if let Some(time) = self.idle.filter(|_| self.idle != own.idle) {
            let _ = sockopt::set_tcp_keepidle(socket, time);
        }
        if let Some(time) = self.interval.filter(|_| self.interval != own.interval) {
            let _ = sockopt::set_tcp_keepintvl(socket, time);
        }
        if let Some(count) = self.count.filter(|_| self.count != own.count) {
            let _ = sockopt::set_tcp_keepcnt(socket, count);
        }
        // Linux tells the double of what it is asked for.
        let half = |bytes: usize| {
            if cfg!(target_os = "linux") {
                bytes / 2
            } else {
                bytes
            }
        };
        if let Some(bytes) = differs(self.receive_buffer, own.receive_buffer) {
            let _ = sockopt::set_socket_recv_buffer_size(socket, half(bytes));
        }
        if let Some(bytes) = differs(self.send_buffer, own.send_buffer) {
            let _ = sockopt::set_socket_send_buffer_size(socket, half(bytes));
        }
    }
}

/// As many as Linux takes.
const MOST_KEEP_ALIVES: u32 = 127;

/// Seconds; as many as Linux takes.
const LONGEST_KEEP_ALIVE: u64 = 32_767;

fn not_zero(value: u64) -> Outcome<u64> {
    match value {
        0 => Err(ErrorCode::InvalidArgument),
        value => Ok(value),
    }
}

fn nanoseconds(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

/// The system counts in seconds, of which it wants one at least.
fn seconds(nanoseconds: u64) -> Outcome<Duration> {
    let time = Duration::from_nanos(not_zero(nanoseconds)?);
    Ok(time.clamp(Duration::from_secs(1), Duration::from_secs(LONGEST_KEEP_ALIVE)))
}

fn buffer(bytes: u64) -> Outcome<usize> {
    const LARGEST: usize = i32::MAX as usize;
    Ok(usize::try_from(not_zero(bytes)?).unwrap_or(LARGEST).min(LARGEST))
}

/// Linux doubles what it is asked for, to make room for its own notes, and tells the double.
fn asked_for(bytes: usize) -> u64 {
    let bytes = if cfg!(target_os = "linux") {
        bytes / 2
    } else {
        bytes
    };
    u64::try_from(bytes).unwrap_or(u64::MAX)
}

/// Systems that know no larger buffer say so; WASI wants them to do what they can.
fn as_a_hint(set: rustix::io::Result<()>) -> Outcome<()> {
    match set {
        Ok(()) | Err(Errno::NOBUFS) => Ok(()),
        Err(errno) => Err(errno.into()),
    }
}
