//! Whom a request takes the listener for, by its header `Host`.

use std::net::IpAddr;

use http::uri::Authority;
use outport_policy::{Name, text};

/// The names that the listener is called by, beside its addresses and `localhost`.
#[derive(Clone, Debug, Default)]
pub struct HostNames(Vec<Name>);

/// A text that is not a name.
#[derive(Debug, thiserror::Error)]
#[error("`{}` is not a valid name of a host", text::excerpt(.0))]
pub struct NotAHostName(String);

impl HostNames {
    /// Those names.
    ///
    /// # Errors
    ///
    /// One of them cannot be resolved by DNS.
    pub fn parse<'t>(names: impl IntoIterator<Item = &'t str>) -> Result<Self, NotAHostName> {
        let names = names
            .into_iter()
            .map(|name| Name::parse(name).map_err(|_| NotAHostName(name.to_owned())));
        Ok(Self(names.collect::<Result<_, _>>()?))
    }

    /// True if that is what a tool of the operator's calls the listener, as `HOST` or `HOST:PORT`.
    pub(super) fn include(&self, authority: &str) -> bool {
        let Ok(authority) = authority.parse::<Authority>() else {
            return false;
        };
        if authority.as_str().contains('@') {
            return false;
        }
        let host = authority.host();
        let address = host
            .strip_prefix('[')
            .and_then(|host| host.strip_suffix(']'))
            .unwrap_or(host);
        if address.parse::<IpAddr>().is_ok() {
            return true;
        }
        Name::parse(host).is_ok_and(|name| name.is_localhost() || self.0.contains(&name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_listener_is_called_by_addresses_localhost_and_its_names() {
        let names = HostNames::parse(["Metrics.example.com", "outport"]).unwrap();
        for (host, is_its) in [
            ("127.0.0.1:9090", true),
            ("127.0.0.1", true),
            ("[::1]:9090", true),
            ("10.1.2.3:80", true),
            ("localhost:9090", true),
            ("LOCALHOST", true),
            ("metrics.example.com:9090", true),
            ("outport", true),
            ("evil.example.com:9090", false),
            ("example.com", false),
            ("127.0.0.1.evil.example", false),
            ("localhost.evil.example", false),
            ("user@127.0.0.1", false),
            ("127.0.0.1:9090/path", false),
            ("", false),
            ("a b", false),
        ] {
            assert_eq!(names.include(host), is_its, "{host}");
        }
        assert!(HostNames::parse(["a b"]).is_err());
    }
}
