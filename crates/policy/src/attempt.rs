//! An attempt of a guest, and the situation in which it is made.

use std::fmt;
use std::net::SocketAddr;
use std::time::Instant;

use crate::{
    Address, Endpoint, Grants, Host, LabelKind, Name, Peers, Scheme, ServerName, Transport, Usage, text,
};

/// One attempt of a guest to use the network, in the words of the policy.
#[derive(Clone, Copy, Debug)]
pub enum Attempt<'a> {
    /// Creating a socket.
    CreateSocket {
        /// The socket's transport.
        transport: Transport,
    },
    /// Binding a socket, by the guest's own call or implied by another.
    Bind {
        /// The socket's transport.
        transport: Transport,
        /// The local address asked for.
        local: SocketAddr,
    },
    /// Putting a TCP socket into listening mode.
    Listen {
        /// The socket's local address.
        local: SocketAddr,
    },
    /// Accepting a TCP connection.
    Accept {
        /// The peer that connects.
        peer: SocketAddr,
    },
    /// Connecting a socket.
    Connect {
        /// The socket's transport.
        transport: Transport,
        /// The destination.
        remote: Endpoint,
    },
    /// Sending one datagram, which a UDP socket may do whether it is connected or not.
    Send {
        /// The destination.
        remote: Endpoint,
    },
    /// Letting a datagram in.
    Receive {
        /// The peer that sent it.
        peer: Endpoint,
    },
    /// Looking a name up; asked before a query leaves the machine.
    Lookup {
        /// The name.
        name: &'a Name,
    },
    /// Resolving a name for what was permitted by it, a look-up, a request or a connection of the host's: asked for its
    /// budgets, before a query leaves the machine (BUD-1, BUD-2). It permits no way out.
    Resolve {
        /// The name.
        name: &'a Name,
    },
    /// Taking one address of an answer; asked before the guest sees it.
    Answer {
        /// The name that was looked up.
        name: &'a Name,
        /// The names that the answer led through.
        chain: &'a [Name],
        /// The address.
        address: Address,
        /// The source of the answer.
        source: AnswerSource,
    },
    /// Sending an HTTP request, or using another interface that the host has for URLs; asked before the host is resolved.
    Request {
        /// The URL's scheme.
        scheme: &'a Scheme,
        /// The URL's host.
        host: &'a Host,
        /// The URL's port or the scheme's own.
        port: u16,
        /// The kind of method: would the request open a tunnel? Nothing but HTTP can.
        method: RequestMethod,
    },
    /// Connecting for that to one address of the host.
    Dial {
        /// The URL's scheme.
        scheme: &'a Scheme,
        /// The URL's host.
        host: &'a Host,
        /// The names that the answer led through.
        chain: &'a [Name],
        /// The address and port to connect to.
        remote: Endpoint,
        /// The source of the answer.
        source: AnswerSource,
    },
    /// Speaking TLS on connections that are open, for a guest that gave the server's name (TLS-5). It opens none.
    Tls {
        /// The name, or the address, that the certificate has to be for.
        server: &'a Host,
        /// The endpoints that the instance's TCP connections are open to: the host is given streams, and one of these
        /// is where they lead.
        remotes: &'a [Endpoint],
    },
    /// Sending a ClientHello on a TCP connection that is open (TLS-1). It opens none.
    ClientHello {
        /// What it says of the server.
        server: ServerName<'a>,
        /// Where the connection leads.
        remote: Endpoint,
    },
    /// Opening a store, a database or a model of the host's.
    Open {
        /// The kind of it.
        kind: LabelKind,
        /// The name that the guest has for it.
        label: &'a str,
    },
}

/// The source of the addresses of a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum AnswerSource {
    /// A DNS server, which may say anything.
    Server,
    /// The machine's own hosts file, which its owner wrote.
    HostsFile,
    /// Outport itself, for `localhost` and the names under it.
    Localhost,
}

/// The part of a request's method that matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RequestMethod {
    /// CONNECT, which asks the server to relay.
    Connect,
    /// Any other.
    Other,
}

/// The facts that the decision has to know beside the policy: the instance's own state, counted things, and the time.
#[derive(Clone, Copy, Debug)]
pub struct Situation<'a> {
    /// The grants of the names that the instance looked up.
    pub grants: &'a Grants,
    /// The peers that the instance sent datagrams to.
    pub peers: &'a Peers,
    /// The usage right now.
    pub usage: Usage,
    /// The time of the attempt.
    pub now: Instant,
}

impl Attempt<'_> {
    /// The name of the attempt in the audit log: `tcp.connect`, `udp.send`, `dns.lookup`, … A code is never renamed.
    pub fn operation(&self) -> &'static str {
        match self {
            Self::CreateSocket { .. } => "socket.create",
            Self::Bind { transport, .. } => match transport {
                Transport::Tcp => "tcp.bind",
                Transport::Udp => "udp.bind",
            },
            Self::Listen { .. } => "tcp.listen",
            Self::Accept { .. } => "tcp.accept",
            Self::Connect { transport, .. } => match transport {
                Transport::Tcp => "tcp.connect",
                Transport::Udp => "udp.connect",
            },
            Self::Send { .. } => "udp.send",
            Self::Receive { .. } => "udp.receive",
            Self::Lookup { .. } => "dns.lookup",
            Self::Resolve { .. } => "dns.resolve",
            Self::Answer { .. } => "dns.answer",
            Self::Request { scheme, .. } => scheme.operations().0,
            Self::Dial { scheme, .. } => scheme.operations().1,
            Self::Tls { .. } => "tls.connect",
            Self::ClientHello { .. } => "tls.hello",
            Self::Open { kind, .. } => kind.operation(),
        }
    }

    /// The endpoint that is connected to, sent to, or received from; none of what is judged by a name or without
    /// either.
    pub(crate) fn remote(&self) -> Option<Endpoint> {
        match *self {
            Self::Connect { remote, .. }
            | Self::Send { remote }
            | Self::Dial { remote, .. }
            | Self::Receive { peer: remote } => Some(remote),
            _ => None,
        }
    }
}

/// The attempt, for people: `tcp 10.0.0.5:5432`, `look-up of db.example.com`.
impl fmt::Display for Attempt<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::CreateSocket { transport } => write!(f, "{transport} socket"),
            Self::Bind { transport, local } => write!(f, "{transport} bind to {local}"),
            Self::Listen { local } => write!(f, "listen on {local}"),
            Self::Accept { peer } => write!(f, "accept from {peer}"),
            Self::Connect { transport, remote } => write!(f, "{transport} {remote}"),
            Self::Send { remote } => write!(f, "{} {remote}", Transport::Udp),
            Self::Receive { peer } => write!(f, "datagram from {peer}"),
            Self::Lookup { name } => write!(f, "look-up of {name}"),
            Self::Resolve { name } => write!(f, "resolution of {name}"),
            Self::Answer { name, address, .. } => write!(f, "answer {address} for {name}"),
            Self::Request {
                scheme, host, port, ..
            } => write!(f, "{scheme}://{host}:{port}"),
            Self::Dial {
                scheme, host, remote, ..
            } => write!(f, "{scheme}://{host} at {remote}"),
            Self::Tls { server, .. } => write!(f, "TLS with {server}"),
            Self::ClientHello { server, remote } => match server {
                ServerName::Host(server) | ServerName::Piece(server) => {
                    write!(f, "TLS with {server} at {remote}")
                }
                ServerName::Missing => write!(f, "TLS without a server name at {remote}"),
                ServerName::Malformed(_) => write!(f, "malformed TLS at {remote}"),
                ServerName::Unread(_) => write!(f, "TLS that cannot be read at {remote}"),
                ServerName::TooLong => write!(f, "a ClientHello that is too long at {remote}"),
            },
            Self::Open { kind, label } => write!(f, "{kind} `{}`", text::excerpt(label)),
        }
    }
}
