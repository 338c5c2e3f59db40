//! The destination of a connection.

use std::fmt;

use outport_policy::{Attempt, Host, NameError, RequestMethod, Scheme, Spelling};

/// A scheme, a host and a port, each in its one form: equal ones are the same place.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Destination {
    pub(crate) scheme: Scheme,
    pub(crate) host: Host,
    pub(crate) port: u16,
    /// The spelling of the host, if it is a name.
    pub(crate) spelling: Spelling,
}

impl Destination {
    /// The place that an address string of an interface means: `host` is a name, an IPv4 address in any spelling, or an
    /// IPv6 address with or without brackets, and nothing else.
    ///
    /// # Errors
    ///
    /// `host` is neither a name nor an address.
    pub fn new(scheme: Scheme, host: &str, port: u16) -> Result<Self, NameError> {
        Ok(Self {
            scheme,
            spelling: Spelling::of(host),
            host: Host::parse(host)?,
            port,
        })
    }

    /// The scheme of what is spoken there.
    pub fn scheme(&self) -> &Scheme {
        &self.scheme
    }

    /// The name or address that is connected to.
    pub fn host(&self) -> &Host {
        &self.host
    }

    /// The port that is connected to.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// To go there, by a request that relays nothing, for the policy.
    pub(crate) fn attempt_by(&self, method: RequestMethod) -> Attempt<'_> {
        Attempt::Request {
            scheme: &self.scheme,
            host: &self.host,
            port: self.port,
            method,
        }
    }
}

/// `redis://cache.example.com:6379`, as the audit log has it.
impl fmt::Display for Destination {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}:{}", self.scheme, self.host, self.port)
    }
}
