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

/// An address string as the log has it, of which `part` is not understood: without the string, which may have a password.
pub(crate) fn address_with(part: &str) -> String {
    match part.strip_suffix(" that is missing") {
        Some(missing) => {
            let missing = missing.strip_prefix("a ").unwrap_or(missing);
            format!("an address without a {missing}")
        }
        None if part.starts_with("an address") => part.to_owned(),
        None => format!("an address with {part}"),
    }
}

/// `redis://cache.example.com:6379`, as the audit log has it.
impl fmt::Display for Destination {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}:{}", self.scheme, self.host, self.port)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_shown_by_what_is_wrong_with_it() {
        for (part, shown) in [
            ("a scheme that is missing", "an address without a scheme"),
            ("a fragment", "an address with a fragment"),
            ("the port 0", "an address with the port 0"),
            (
                "an address string that is too long",
                "an address string that is too long",
            ),
        ] {
            assert_eq!(address_with(part), shown);
        }
    }
}
