//! One destination: the point that sets are made of.

use std::fmt;

use crate::{Host, Protocol, Scheme, Transport};

/// The protocol that is spoken with a destination; a [`Protocol`] that owns its scheme.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Channel {
    /// A raw socket.
    Socket(Transport),
    /// A host interface of this scheme, such as `wasi:http` for `https`.
    Url(Scheme),
}

/// A protocol, a host and a port. For a socket and a name it is what the guest reaches after looking the name up.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Destination {
    /// The protocol that is spoken.
    pub channel: Channel,
    /// The name or the address.
    pub host: Host,
    /// The port, from 1.
    pub port: u16,
}

impl Channel {
    /// The same as a [`Protocol`].
    pub fn protocol(&self) -> Protocol<'_> {
        match self {
            Self::Socket(transport) => Protocol::Socket(*transport),
            Self::Url(scheme) => Protocol::Url(scheme),
        }
    }
}

impl From<Protocol<'_>> for Channel {
    fn from(protocol: Protocol<'_>) -> Self {
        match protocol {
            Protocol::Socket(transport) => Self::Socket(transport),
            Protocol::Url(scheme) => Self::Url(scheme.clone()),
        }
    }
}

/// `tcp://10.0.0.5:5432`, `https://example.com:443`
impl fmt::Display for Destination {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}:{}", self.channel.protocol(), self.host, self.port)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_destination_is_shown_like_a_url() {
        for (channel, host, shown) in [
            (Channel::Socket(Transport::Tcp), "10.0.0.5", "tcp://10.0.0.5:443"),
            (
                Channel::Url(Scheme::HTTPS),
                "example.com",
                "https://example.com:443",
            ),
            (Channel::Socket(Transport::Udp), "::1", "udp://[::1]:443"),
        ] {
            let host = Host::parse(host).unwrap();
            let port = 443;
            assert_eq!(Destination { channel, host, port }.to_string(), shown);
        }
    }
}
