//! The first flight of a guest on a TCP connection, looked at for a ClientHello before it goes on (TLS-1 to TLS-3).
//!
//! ```text
//! bytes of the guest ── Opening ─┬─ passes: sent at once
//!                                ├─ over: what was kept is sent, and nothing is looked at any more
//!                                ├─ kept ─ the guest is told that they are written
//!                                └─ whole ─ ClientHello: names ─ judged ─┬─ permitted: sent, and over
//!                                                                       └─ refused: reset, nothing of it was sent
//! ```
//!
//! A ClientHello of TLS 1.3 may be followed by a second one, where the server answers with a HelloRetryRequest, and OpenSSL
//! takes the name of that. So what follows the first one is looked at like it, until its first bytes tell that it is none.
//!
//! What is kept is bounded by 32 KiB a connection, and is charged to the instance like all that it writes. What was judged
//! is sent from here and not from the memory of the guest, which could have changed it meanwhile; until it is gone, what
//! the guest offers once more stands for it.
//!
//! A ClientHello that is not whole when the guest ends its direction never becomes one: it counts as one that nobody has
//! read. So does whatever begins like TLS and is given up, and a name that is none; of that the deny list is asked about every
//! name that a lenient server could read in it, too: without a port, up to a NUL, without spaces.

mod client_hello;
mod opening;

use std::net::SocketAddr;

use outport_policy::{Attempt, Endpoint, Host, ServerName, TlsNames};

use self::client_hello::{ClientHello, MOST_NAMES};
use self::opening::{Nameless, Opening, Seen};
use crate::asking::Pass;
use crate::denied::Denied;
use crate::enforcer::Enforcer;

/// The first flight on one connection, until it is over.
pub(super) struct FirstFlight {
    remote: Endpoint,
    /// What was permitted for this connection alone, where somebody was asked.
    pass: Pass,
    opening: Opening,
    /// Bytes that were taken of the guest and have not been sent.
    kept: Vec<u8>,
    /// So many of them the guest has been told are written.
    told: usize,
    stage: Stage,
    /// A second ClientHello may follow what is sent.
    may_repeat: bool,
    is_second: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// It is looked at what the guest writes.
    Looking,
    /// What is kept may be sent.
    Sending,
    /// Nothing is sent any more.
    Refused,
}

/// What becomes of bytes that the guest wants sent.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// So many of them are sent as they are.
    Pass(usize),
    /// All of them were taken.
    Taken,
    /// What is kept is sent first.
    SendKept,
    /// What is kept is to be judged.
    Judge(Ending),
    /// Nothing is sent.
    Refused,
}

/// How a ClientHello ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ending {
    /// As it should.
    Whole,
    /// By a byte that cannot stand there, or by the end of what the guest writes.
    Broken,
    /// Beyond what is looked at.
    TooLong,
}

impl FirstFlight {
    /// The one on a connection to `remote` that begins now; none where nothing is looked at.
    pub(super) fn begin(enforcer: &Enforcer, remote: SocketAddr, pass: Pass) -> Option<Box<Self>> {
        let nameless = match enforcer.process().policy.load().tls_names {
            TlsNames::Off => return None,
            TlsNames::Denied | TlsNames::Allowed => Nameless::Passes,
            TlsNames::Required => Nameless::Kept,
        };
        Some(Box::new(Self {
            remote: Endpoint::from(remote),
            pass,
            opening: Opening::new(nameless),
            kept: Vec::new(),
            told: 0,
            stage: Stage::Looking,
            may_repeat: false,
            is_second: false,
        }))
    }

    /// Looks at what the guest wants sent, and takes of it what is kept.
    pub(super) fn take(&mut self, bytes: &[u8]) -> Next {
        match self.stage {
            Stage::Looking => {}
            Stage::Sending => return Next::SendKept,
            Stage::Refused => return Next::Refused,
        }
        let mut opening = self.opening;
        let (looked, seen) = opening.look(bytes);
        let ending = match seen {
            // Noted once it is known how many of them the system took.
            Seen::Passing => return Next::Pass(looked),
            Seen::Over => {
                self.stage = Stage::Sending;
                return Next::SendKept;
            }
            Seen::Kept => None,
            Seen::Whole => Some(Ending::Whole),
            Seen::Malformed => Some(Ending::Broken),
            Seen::TooLong => Some(Ending::TooLong),
        };
        self.opening = opening;
        self.kept.extend_from_slice(&bytes[..looked]);
        match ending {
            Some(ending) => Next::Judge(ending),
            None => {
                self.told = self.kept.len();
                Next::Taken
            }
        }
    }

    /// Notes that `bytes` passed, and were sent.
    pub(super) fn passed(&mut self, bytes: &[u8]) {
        self.opening.look(bytes);
    }

    /// Notes that the guest writes no more.
    pub(super) fn end(&mut self) -> Next {
        match self.stage {
            Stage::Refused => Next::Refused,
            Stage::Looking if self.opening.is_hello() => Next::Judge(Ending::Broken),
            Stage::Looking | Stage::Sending => Next::SendKept,
        }
    }

    /// Judges the ClientHello that is kept, and answers the servers that it is for.
    ///
    /// # Errors
    ///
    /// It is refused, and nothing is sent any more.
    pub(super) fn judge(&mut self, enforcer: &Enforcer, ending: Ending) -> Result<Vec<Host>, Denied> {
        // Whatever goes wrong on the way refuses it.
        self.stage = Stage::Refused;
        let hello = ClientHello::read(&self.kept);
        let servers = Servers::of(&hello);
        let is_whole = ending == Ending::Whole;
        let is_unread = !is_whole || servers.is_unread;
        let is_malformed = is_unread || servers.is_malformed;
        let written = hello.names.first().map_or(&[][..], Vec::as_slice);
        let authorize = |server| {
            let remote = self.remote;
            let attempt = Attempt::ClientHello { server, remote };
            self.pass.with(|| enforcer.authorize_hello(&attempt))
        };
        for host in &servers.hosts {
            // What is refused as malformed anyway needs no entry of the author's for what could be read in it.
            authorize(if is_malformed {
                ServerName::Piece(host)
            } else {
                ServerName::Host(host)
            })?;
        }
        if ending == Ending::TooLong || servers.has_more {
            authorize(ServerName::TooLong)?;
        } else if is_unread {
            authorize(ServerName::Unread(written))?;
        } else if is_malformed {
            authorize(ServerName::Malformed(written))?;
        } else if servers.hosts.is_empty() {
            authorize(ServerName::Missing)?;
        }
        self.may_repeat = is_whole && hello.may_repeat && !self.is_second;
        self.stage = Stage::Sending;
        Ok(servers.hosts)
    }

    /// Where the connection leads.
    pub(super) fn remote(&self) -> Endpoint {
        self.remote
    }

    /// What is to be sent of what is kept, while the guest wants `offered` bytes sent besides those that it was told of.
    pub(super) fn to_send(&self, offered: usize) -> &[u8] {
        let most = self.told.saturating_add(offered).min(self.kept.len());
        &self.kept[..most]
    }

    /// Notes that so many were sent; the number of those that the guest is still to be told of.
    pub(super) fn sent(&mut self, sent: usize) -> usize {
        let sent = sent.min(self.kept.len());
        self.kept.drain(..sent);
        let news = sent.saturating_sub(self.told);
        self.told = self.told.saturating_sub(sent);
        if self.is_over() && self.may_repeat {
            self.may_repeat = false;
            self.is_second = true;
            self.opening = Opening::second();
            self.stage = Stage::Looking;
        }
        news
    }

    /// True if there is something to send of what is kept.
    pub(super) fn is_sending(&self) -> bool {
        self.stage == Stage::Sending && !self.kept.is_empty()
    }

    /// True if all is sent that was kept, and nothing is looked at any more.
    pub(super) fn is_over(&self) -> bool {
        self.stage == Stage::Sending && self.kept.is_empty()
    }
}

/// The servers that a ClientHello is for.
#[derive(Debug, Default, PartialEq, Eq)]
struct Servers {
    /// Every one that a server could take it to be for.
    hosts: Vec<Host>,
    /// A client that keeps to the RFCs does not write it so.
    is_malformed: bool,
    /// Whoever reads it otherwise may find another one: it is broken, or names what is no name.
    is_unread: bool,
    /// There may be others, which nobody looked at.
    has_more: bool,
}

impl Servers {
    fn of(hello: &ClientHello) -> Self {
        let mut servers = Self {
            hosts: Vec::new(),
            is_malformed: hello.is_malformed,
            is_unread: hello.is_unread,
            has_more: hello.has_more,
        };
        for name in &hello.names {
            match text(name).and_then(|text| Host::parse(text).ok()) {
                Some(host) => servers.hosts.push(host),
                None => {
                    servers.is_malformed = true;
                    servers.is_unread = true;
                    servers.note_pieces(name);
                }
            }
        }
        servers
    }

    /// Notes what a server that is lenient could read in what is no name.
    fn note_pieces(&mut self, name: &[u8]) {
        let pieces = name.split(|byte| byte.is_ascii() && !stands_in_a_name(*byte));
        let pieces = pieces.filter_map(text).map(|piece| piece.trim_matches('.'));
        // Digits alone are a port, although they could be an address.
        let is_host = |piece: &str| !piece.bytes().all(|byte| byte.is_ascii_digit());
        for piece in pieces.filter(|piece| is_host(piece)) {
            if self.hosts.len() >= MOST_NAMES {
                self.has_more = true;
                return;
            }
            self.hosts.extend(Host::parse(piece).ok());
        }
    }
}

fn text(bytes: &[u8]) -> Option<&str> {
    std::str::from_utf8(bytes).ok()
}

fn stands_in_a_name(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.')
}

#[cfg(test)]
mod tests;
