//! URL schemes, and the protocol that an attempt speaks.

use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};

use crate::Name;

/// The transport of a raw socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Transport {
    /// A TCP socket.
    Tcp,
    /// A UDP socket.
    Udp,
}

impl fmt::Display for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Tcp => "tcp",
            Self::Udp => "udp",
        })
    }
}

/// A URL scheme that is spoken over TCP: ASCII letters, lower case. Never `tcp` or `udp`, which are
/// [`Transport`]s.
///
/// Schemes of one protocol are equal, however they are spelled: `rediss` is `redis` with TLS, `mariadb` another name for
/// `mysql` (AL-9). But for HTTP, where `https` is a permission of its own.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Scheme(Spelling);

#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
enum Spelling {
    Http,
    Https,
    Other(Written),
}

/// A scheme other than HTTP's as it is spelled, which is compared by its protocol.
#[derive(Clone)]
struct Written(Box<str>);

impl Scheme {
    /// `http`.
    pub const HTTP: Self = Self(Spelling::Http);
    /// `https`.
    pub const HTTPS: Self = Self(Spelling::Https);

    /// Reads a scheme; case does not matter. `None` where it has anything but ASCII letters or is a transport.
    pub fn parse(text: &str) -> Option<Self> {
        if text.is_empty() || !text.bytes().all(|b| b.is_ascii_alphabetic()) {
            return None;
        }
        match text.to_ascii_lowercase().as_str() {
            "http" => Some(Self::HTTP),
            "https" => Some(Self::HTTPS),
            "tcp" | "udp" => None,
            other => Some(Self(Spelling::Other(Written(other.into())))),
        }
    }

    /// The scheme in lower case.
    pub fn as_str(&self) -> &str {
        match &self.0 {
            Spelling::Http => "http",
            Spelling::Https => "https",
            Spelling::Other(Written(other)) => other,
        }
    }

    /// The scheme that this one most likely was meant to be: one of HTTP, of sockets or of an interface that is a letter
    /// away from it, or has two letters the other way round. `None` for one that means something itself.
    pub fn misspelled(&self) -> Option<&'static str> {
        let written = self.as_str();
        let near = |known: &&str| is_one_slip_away(written.as_bytes(), known.as_bytes());
        if self.default_port().is_some() || OF_OTHERS.contains(&written) {
            return None;
        }
        MEANT.into_iter().find(near)
    }

    /// The codes of going to a URL of this scheme: first by its name, then to one address. The audit log has these codes,
    /// which are never renamed.
    pub(crate) fn operations(&self) -> (&'static str, &'static str) {
        match &self.0 {
            Spelling::Http | Spelling::Https => ("http.request", "http.dial"),
            Spelling::Other(other) => match other.protocol() {
                "redis" => ("redis.connect", "redis.dial"),
                "postgres" => ("postgres.connect", "postgres.dial"),
                "mysql" => ("mysql.connect", "mysql.dial"),
                "mqtt" => ("mqtt.connect", "mqtt.dial"),
                // No interface of Outport speaks it: one of an embedder's.
                _ => ("url.connect", "url.dial"),
            },
        }
    }

    /// The port that a URL without one means, where the scheme has such a port (AL-1).
    pub fn default_port(&self) -> Option<u16> {
        match self.as_str() {
            "http" => Some(80),
            "https" => Some(443),
            "redis" | "rediss" => Some(6379),
            "postgres" | "postgresql" => Some(5432),
            "mysql" | "mariadb" => Some(3306),
            "mqtt" => Some(1883),
            "mqtts" => Some(8883),
            _ => None,
        }
    }
}

/// What may be meant by a scheme that nothing speaks.
const MEANT: [&str; 12] = [
    "https",
    "http",
    "tcp",
    "udp",
    "redis",
    "rediss",
    "postgres",
    "postgresql",
    "mysql",
    "mariadb",
    "mqtt",
    "mqtts",
];

/// Schemes of other protocols that are a letter away from one of those.
const OF_OTHERS: [&str; 3] = ["mssql", "mysqlx", "rdp"];

impl Written {
    fn protocol(&self) -> &str {
        match &*self.0 {
            "rediss" => "redis",
            "postgresql" => "postgres",
            "mariadb" => "mysql",
            "mqtts" => "mqtt",
            other => other,
        }
    }
}

impl PartialEq for Written {
    fn eq(&self, other: &Self) -> bool {
        self.protocol() == other.protocol()
    }
}

impl Eq for Written {}

impl Hash for Written {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.protocol().hash(state);
    }
}

impl PartialOrd for Written {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Written {
    fn cmp(&self, other: &Self) -> Ordering {
        self.protocol().cmp(other.protocol())
    }
}

/// True if one letter more, less, another one, or two that are swapped make the one of the other.
fn is_one_slip_away(written: &[u8], meant: &[u8]) -> bool {
    let same = written.iter().zip(meant).take_while(|(a, b)| a == b).count();
    let (written, meant) = (&written[same..], &meant[same..]);
    match (written, meant) {
        ([a, b, rest @ ..], [c, d, other @ ..]) if a == d && b == c && rest == other => true,
        ([_, rest @ ..], [_, other @ ..]) if rest == other => true,
        ([_, rest @ ..], _) if rest == meant => true,
        (_, [_, other @ ..]) => other == written,
        _ => false,
    }
}

impl fmt::Display for Scheme {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for Scheme {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The protocol that an attempt speaks: a raw transport, or a URL scheme over TCP.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Protocol<'a> {
    /// A raw socket.
    Socket(Transport),
    /// A host interface of this scheme, such as `wasi:http` for `https`.
    Url(&'a Scheme),
}

impl Protocol<'_> {
    /// True if `name` is not a host under this protocol but the app itself, which only requests reach (AL-10).
    pub(crate) fn reaches_the_app(self, name: &Name) -> bool {
        self.speaks_http() && name.is_the_app_itself()
    }

    /// True if `name` is not a host under this protocol but a component of the app, which only requests reach
    /// (AL-7).
    pub(crate) fn reaches_a_component(self, name: &Name) -> bool {
        self.speaks_http() && name.is_service_chaining()
    }

    /// True if `name` is a component of the app, and nothing that this protocol could reach (AL-7).
    pub(crate) fn is_kept_from(self, name: &Name) -> bool {
        !self.speaks_http() && name.is_service_chaining()
    }

    fn speaks_http(self) -> bool {
        matches!(self, Self::Url(Scheme(Spelling::Http | Spelling::Https)))
    }
}

impl fmt::Display for Protocol<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Socket(transport) => transport.fmt(f),
            Self::Url(scheme) => scheme.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // proves: AL-2
    #[test]
    fn a_scheme_that_is_a_slip_away_was_meant() {
        for (written, meant) in [
            // One letter less, one more, another one, two swapped.
            ("htps", Some("https")),
            ("ttp", Some("http")),
            ("tc", Some("tcp")),
            ("httpss", Some("https")),
            ("uudp", Some("udp")),
            ("httpz", Some("https")),
            ("xttp", Some("http")),
            ("tpc", Some("tcp")),
            ("htpt", Some("http")),
            ("HTPS", Some("https")),
            ("reddis", Some("redis")),
            ("redisss", Some("rediss")),
            ("postgress", Some("postgres")),
            ("postgressql", Some("postgresql")),
            ("msyql", Some("mysql")),
            ("maria", None),
            ("mariabd", Some("mariadb")),
            ("mqt", Some("mqtt")),
            ("mqttss", Some("mqtts")),
            // Two slips, or what is a scheme itself.
            ("tcpxy", None),
            ("hps", None),
            ("ptc", None),
            ("redis", None),
            ("http", None),
            ("mqtt", None),
            // What others speak.
            ("mssql", None),
            ("mysqlx", None),
            ("rdp", None),
        ] {
            let scheme = Scheme::parse(written).unwrap();
            assert_eq!(scheme.misspelled(), meant, "{written}");
        }
    }

    #[test]
    fn schemes_and_protocols_are_shown_in_lower_case() {
        let redis = Scheme::parse("REDIS").unwrap();
        assert_eq!(format!("{redis} {redis:?}"), "redis redis");
        for (protocol, shown) in [
            (Protocol::Socket(Transport::Tcp), "tcp"),
            (Protocol::Socket(Transport::Udp), "udp"),
            (Protocol::Url(&Scheme::HTTPS), "https"),
            (Protocol::Url(&redis), "redis"),
        ] {
            assert_eq!(protocol.to_string(), shown);
        }
    }
}
