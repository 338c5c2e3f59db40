//! A question: a destination as people write it.

use std::collections::BTreeSet;
use std::fmt;
use std::net::{IpAddr, Ipv6Addr};
use std::str::FromStr;

use outport_manifest::Service;
use outport_policy::{Entry, EntryScheme, Host, LabelKind, Name, NameError, Policy, Scheme, Transport, text};

/// A destination to explain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Question {
    /// `tcp://HOST:PORT` or `udp://HOST:PORT`; the URL of a protocol for which there is no interface, which a guest
    /// speaks by itself: `redis://HOST`.
    Socket {
        /// The transport.
        transport: Transport,
        /// The host to reach.
        host: Host,
        /// Its port.
        port: u16,
        /// The URL scheme that it is asked by, where nothing but a socket can speak that.
        scheme: Option<Scheme>,
    },
    /// `https://HOST[:PORT][/…]`, or the URL of another protocol that the host has an interface for, such as
    /// `redis://HOST`. A URL without a host, and a path alone, is the app itself (AL-10).
    Request {
        /// The scheme.
        scheme: Scheme,
        /// The host to reach.
        host: Host,
        /// The port, written or the scheme's own.
        port: u16,
    },
    /// `key-value:LABEL`, `sqlite:LABEL`, `llm:MODEL`: a store, database or model of the host's.
    Open {
        /// What it is.
        kind: LabelKind,
        /// Its label; of a model its name.
        label: String,
    },
    /// A name alone: a look-up.
    Lookup {
        /// The name.
        name: Name,
    },
}

/// The reason why a text is not a destination.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum QuestionError {
    /// An address or a port, and nothing that says what is spoken.
    #[error(
        "`{shown}` needs a protocol: write `tcp://{shown}` for a socket, or the whole URL of a request",
        shown = text::excerpt(.0)
    )]
    NoProtocol(String),
    /// Not a protocol.
    #[error("`{0}` is not a protocol: write `tcp`, `udp`, or the scheme of a URL such as `https`")]
    Protocol(String),
    /// Something before a colon that is neither a protocol nor a kind of label.
    #[error(
        "`{}` is no destination: write `tcp://HOST:PORT`, `udp://HOST:PORT`, a URL such as `https://HOST/` or \
         `redis://HOST`, `key-value:LABEL`, `sqlite:LABEL`, `llm:MODEL`, or a name alone",
        text::excerpt(.0)
    )]
    Form(String),
    /// Neither a name nor an address.
    #[error("`{}` is not a host: {error}", text::excerpt(host))]
    Host {
        /// As it is written.
        host: String,
        /// The reason.
        error: NameError,
    },
    /// No port, and a protocol that has none of its own.
    #[error("`{}` needs a port", text::excerpt(.0))]
    NoPort(String),
    /// A user, and perhaps a password, before the host. Neither is told.
    #[error("the URL of a request with a user in it is refused whatever the policy says: ask about `{0}`")]
    UserInfo(String),
    /// Keys and values, as PostgreSQL's clients take them. There may be a password among them, and none is told.
    #[error("keys and values are no destination: ask about `postgres://HOST:PORT`")]
    KeysAndValues,
    /// More than one `@` before a host, which an interface refuses.
    #[error(
        "what stands before the host is understood in two ways: ask about the host alone, as in `redis://HOST`"
    )]
    Ambiguous,
    /// A network.
    #[error("`{0}` is a network: ask about one of its addresses")]
    Network(String),
    /// An IPv6 address without brackets.
    #[error("an IPv6 address needs brackets: write `{0}`")]
    BareIpv6(String),
    /// Something behind the port of a socket.
    #[error("a socket has no path: ask about `{0}`, or about the whole URL of a request")]
    Path(String),
    /// No label behind `key-value:`.
    #[error("`{0}:` needs a label: write `{0}:default`")]
    NoLabel(&'static str),
    /// Not a port from 1 to 65535.
    #[error("`{0}` is not a port: write a number from 1 to 65535")]
    Port(String),
}

impl FromStr for Question {
    type Err = QuestionError;

    fn from_str(text: &str) -> Result<Self, QuestionError> {
        let text = text.trim();
        let Some((protocol, rest)) = text.split_once("://") else {
            if text.contains('=') {
                return Err(QuestionError::KeysAndValues);
            }
            return bare(text);
        };
        let speaks = |schemes: [&str; 2]| schemes.iter().any(|own| protocol.eq_ignore_ascii_case(own));
        let (speaks_http, is_socket) = (speaks(["http", "https"]), speaks(["tcp", "udp"]));
        if let Some(network) = network_of(rest) {
            return Err(QuestionError::Network(network.to_owned()));
        }
        // What a client is told beside where to connect is not asked about: a user and what is behind the port.
        let (user, rest) = match rest.split(['/', '?', '#']).next().unwrap_or(rest).rfind('@') {
            Some(at) => (Some(&rest[..at]), &rest[at + 1..]),
            None => (None, rest),
        };
        let authority = rest.split(['/', '?', '#']).next().unwrap_or(rest);
        if user.is_some_and(|user| user.contains('@')) {
            return Err(QuestionError::Ambiguous);
        }
        if user.is_some() && speaks_http {
            return Err(QuestionError::UserInfo(format!("{protocol}://{authority}")));
        }
        if is_socket && !matches!(&rest[authority.len()..], "" | "/") {
            return Err(QuestionError::Path(format!("{protocol}://{authority}")));
        }
        let (host, port) = split_port(authority);
        if !authority.starts_with('[') && host.contains(':') {
            return Err(bare_ipv6(protocol, authority, host, port));
        }
        let host = parse_host(if speaks_http && host.is_empty() {
            "self"
        } else {
            host
        })?;
        // Of a URL an empty port is none (RFC 3986, 3.2.3), which a guest may write too.
        let port = port.filter(|port| !port.is_empty());
        let port = port.map(parse_port).transpose()?;
        let needed = || QuestionError::NoPort(text.to_owned());
        let transport = match protocol.to_ascii_lowercase().as_str() {
            "tcp" => Some(Transport::Tcp),
            "udp" => Some(Transport::Udp),
            _ => None,
        };
        if let Some(transport) = transport {
            return Ok(Self::Socket {
                transport,
                host,
                port: port.ok_or_else(needed)?,
                scheme: None,
            });
        }
        let scheme = Scheme::parse(protocol).ok_or_else(|| QuestionError::Protocol(protocol.to_owned()))?;
        let port = port.or_else(|| scheme.default_port()).ok_or_else(needed)?;
        Ok(if is_spoken(&scheme) {
            Self::Request { scheme, host, port }
        } else {
            Self::Socket {
                transport: Transport::Tcp,
                host,
                port,
                scheme: Some(scheme),
            }
        })
    }
}

impl Question {
    /// The name that is asked about, if it is one.
    pub fn name(&self) -> Option<&Name> {
        match self {
            Self::Socket {
                host: Host::Name(name),
                ..
            }
            | Self::Request {
                host: Host::Name(name),
                ..
            }
            | Self::Lookup { name } => Some(name),
            Self::Socket { .. } | Self::Request { .. } | Self::Open { .. } => None,
        }
    }

    /// What is said of the budget of names below a wildcard, if the destination is one of these (BUD-2).
    pub(super) fn budget(&self, policy: &Policy) -> Option<String> {
        let name = match self {
            Self::Lookup { name }
            | Self::Socket {
                host: Host::Name(name),
                ..
            }
            | Self::Request {
                host: Host::Name(name),
                ..
            } if !name.is_localhost() && !name.is_service_chaining() => name,
            _ => return None,
        };
        let lists = policy.wildcards_over(name);
        let wildcards: BTreeSet<&Name> = lists.iter().flatten().copied().collect();
        let wildcards: Vec<String> = wildcards.iter().map(|apex| format!("`*.{apex}`")).collect();
        let most = policy.name_bounds().names_per_wildcard;
        (!wildcards.is_empty()).then(|| {
            format!(
                "of the names below {} the component may ask for {most} different ones in an hour",
                wildcards.join(", and of those below ")
            )
        })
    }

    /// A note, without which the answer would be misread.
    pub(super) fn note(&self) -> Option<String> {
        match self {
            Self::Socket {
                scheme: Some(scheme), ..
            } => Some(format!(
                "Outport has no interface that speaks `{scheme}`, so this is the TCP socket of a client inside the \
                 component"
            )),
            Self::Request { scheme, host, port } if ![Scheme::HTTP, Scheme::HTTPS].contains(scheme) => {
                Some(format!(
                    "this is the interface of the host for `{scheme}`; of a client inside the component, which opens a \
                     socket, ask about `tcp://{host}:{port}`"
                ))
            }
            Self::Open { kind, .. } if !Service::of_label(*kind).is_served() => {
                let lacking = Service::of_label(*kind).lacking();
                Some(format!("{lacking} in Outport yet, so this is what a list says"))
            }
            _ => None,
        }
    }
}

/// True if there is an interface for URLs of this scheme.
pub(crate) fn is_spoken(scheme: &Scheme) -> bool {
    let by_service = || Service::of_scheme(scheme).is_some_and(Service::is_served);
    [Scheme::HTTP, Scheme::HTTPS].contains(scheme) || by_service()
}

/// The beginning of what stands behind `://`, if that is a network.
fn network_of(rest: &str) -> Option<&str> {
    let (address, behind) = rest.split_once('/')?;
    let address_alone = address.trim_start_matches('[').trim_end_matches(']');
    let digits = behind.find(|c: char| !c.is_ascii_digit()).unwrap_or(behind.len());
    let ends = matches!(behind[digits..].chars().next(), None | Some(':' | ']' | '/'));
    let is_network = digits > 0 && ends && address_alone.parse::<IpAddr>().is_ok();
    is_network.then(|| &rest[..address.len() + 1 + digits])
}

/// The question that a bare IPv6 address was most likely meant as. Where a scheme has a port of its own the whole was
/// the address. Else the last group was most likely the port.
fn bare_ipv6(protocol: &str, authority: &str, host: &str, port: Option<&str>) -> QuestionError {
    let is_address = |text: &str| text.parse::<Ipv6Addr>().is_ok();
    let has_port = Scheme::parse(protocol).is_some_and(|scheme| scheme.default_port().is_some());
    match port {
        _ if has_port && is_address(authority) => {
            QuestionError::BareIpv6(format!("{protocol}://[{authority}]"))
        }
        Some(port) if is_address(host) => QuestionError::BareIpv6(format!("{protocol}://[{host}]:{port}")),
        _ if is_address(authority) => QuestionError::BareIpv6(format!("{protocol}://[{authority}]:PORT")),
        _ => match parse_host(host) {
            Err(error) => error,
            Ok(host) => QuestionError::NoPort(host.to_string()),
        },
    }
}

/// True if an entry is for protocols alone that have no interface, so that it permits nothing (AL-9).
pub fn permits_nothing(entry: &Entry) -> bool {
    let has_no_interface = |scheme: &EntryScheme| matches!(scheme, EntryScheme::Url(url) if !is_spoken(url));
    entry.schemes().iter().all(has_no_interface)
}

fn bare(text: &str) -> Result<Question, QuestionError> {
    if text.starts_with('/') {
        return format!("http://self{text}").parse();
    }
    for kind in LabelKind::ALL {
        let label = text
            .strip_prefix(kind.prefix())
            .and_then(|rest| rest.strip_prefix(':'));
        match label {
            Some("") => return Err(QuestionError::NoLabel(kind.prefix())),
            Some(label) => {
                let label = label.to_owned();
                return Ok(Question::Open { kind, label });
            }
            None => {}
        }
    }
    match Host::parse(text) {
        Ok(Host::Name(name)) => Ok(Question::Lookup { name }),
        Ok(host @ Host::Address(_)) => Err(QuestionError::NoProtocol(format!("{host}:PORT"))),
        Err(_) if network_of(text).is_some_and(|network| network == text) => {
            Err(QuestionError::Network(text.to_owned()))
        }
        Err(_) if split_port(text).1.is_some_and(|port| port.parse::<u16>().is_ok()) => {
            Err(QuestionError::NoProtocol(text.to_owned()))
        }
        Err(_) if has_prefix(text) => Err(QuestionError::Form(text.to_owned())),
        Err(error) => Err(QuestionError::Host {
            host: text.to_owned(),
            error,
        }),
    }
}

/// True if a word and a colon stand before the rest, as in `key-value:default`.
fn has_prefix(text: &str) -> bool {
    let is_of_a_word = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '+');
    text.split_once(':').is_some_and(|(word, rest)| {
        word.starts_with(|c: char| c.is_ascii_alphabetic())
            && word.chars().all(is_of_a_word)
            && !rest.contains('@')
    })
}

fn split_port(authority: &str) -> (&str, Option<&str>) {
    let behind_brackets = authority.rfind(']').unwrap_or(0);
    match authority[behind_brackets..].rfind(':') {
        Some(colon) => {
            let (host, port) = authority.split_at(behind_brackets + colon);
            (host, Some(&port[1..]))
        }
        None => (authority, None),
    }
}

fn parse_host(text: &str) -> Result<Host, QuestionError> {
    Host::parse(text).map_err(|error| QuestionError::Host {
        host: text.to_owned(),
        error,
    })
}

fn parse_port(text: &str) -> Result<u16, QuestionError> {
    let wrong = || QuestionError::Port(text.to_owned());
    match text.parse() {
        Ok(0) | Err(_) => Err(wrong()),
        Ok(port) => Ok(port),
    }
}

impl fmt::Display for Question {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Socket {
                transport,
                host,
                port,
                scheme,
            } => match scheme {
                Some(scheme) => write!(f, "{scheme}://{host}:{port}"),
                None => write!(f, "{transport}://{host}:{port}"),
            },
            Self::Request { scheme, host, port } => write!(f, "{scheme}://{host}:{port}"),
            Self::Open { kind, label } => write!(f, "{}:{label}", kind.prefix()),
            Self::Lookup { name } => name.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_destination_is_read_as_people_write_it() {
        for (text, expected) in [
            ("tcp://10.0.0.5:5432", Ok("tcp://10.0.0.5:5432")),
            ("TCP://[::1]:53/", Ok("tcp://[::1]:53")),
            ("udp://Example.COM.:53", Ok("udp://example.com:53")),
            (
                "https://api.example.com/a/b?c#d",
                Ok("https://api.example.com:443"),
            ),
            ("http://[2001:db8::1]:8080/", Ok("http://[2001:db8::1]:8080")),
            ("redis://cache", Ok("redis://cache:6379")),
            ("http://example.com:/", Ok("http://example.com:80")),
            ("tcp://example.com:", Err("`tcp://example.com:` needs a port")),
            ("example.com", Ok("example.com")),
            ("key-value:default", Ok("key-value:default")),
            ("sqlite:my_orders", Ok("sqlite:my_orders")),
            ("llm:llama2-chat", Ok("llm:llama2-chat")),
            ("llm:org/model:7b", Ok("llm:org/model:7b")),
            ("sqlite:", Err("`sqlite:` needs a label: write `sqlite:default`")),
            ("sqlite.example.com", Ok("sqlite.example.com")),
            (
                "kv:default",
                Err("`kv:default` is no destination: write `tcp://HOST:PORT`, `udp://HOST:PORT`, a URL"),
            ),
            ("redis:default", Err("`redis:default` is no destination")),
            ("redis:6379", Err("`redis:6379` needs a protocol")),
            ("tcp://127.1:80", Ok("tcp://127.0.0.1:80")),
            ("10.0.0.5", Err("`10.0.0.5:PORT` needs a protocol")),
            (
                "db.example.com:5432",
                Err("`db.example.com:5432` needs a protocol"),
            ),
            ("tcp://db.example.com", Err("`tcp://db.example.com` needs a port")),
            ("tcp://db.example.com:0", Err("`0` is not a port")),
            ("tcp://db.example.com:99999", Err("`99999` is not a port")),
            ("h2://db.example.com:1", Err("`h2` is not a protocol")),
            (
                "https://user:pw@host/x",
                Err(
                    "the URL of a request with a user in it is refused whatever the policy says: ask about \
                     `https://host`",
                ),
            ),
            ("redis://user:pw@localhost/0", Ok("redis://localhost:6379")),
            (
                "host=db.example.com password=hunter2",
                Err("keys and values are no destination"),
            ),
            (
                "redis://:hunter2@a@b",
                Err("what stands before the host is understood in two ways"),
            ),
            (
                "postgres://u:p@db.example.com:1/x?y",
                Ok("postgres://db.example.com:1"),
            ),
            ("tcp://10.0.0.0/8:80", Err("`10.0.0.0/8` is a network")),
            ("https://10.0.0.0/8", Err("`10.0.0.0/8` is a network")),
            ("10.0.0.0/8", Err("`10.0.0.0/8` is a network")),
            ("tcp://[2001:db8::]/32:80", Err("`[2001:db8::]/32` is a network")),
            ("http://10.0.0.1/8a", Ok("http://10.0.0.1:80")),
            (
                "tcp://2001:db8::1:80",
                Err("an IPv6 address needs brackets: write `tcp://[2001:db8::1]:80`"),
            ),
            (
                "http://::1/",
                Err("an IPv6 address needs brackets: write `http://[::1]`"),
            ),
            ("2001:db8::1", Err("`[2001:db8::1]:PORT` needs a protocol")),
            (
                "tcp://db.example.com:5432/x",
                Err("a socket has no path: ask about `tcp://db.example.com:5432`"),
            ),
            ("https:///a", Ok("https://self:443")),
            ("http://:80/a", Ok("http://self:80")),
            ("/a/b?c", Ok("http://self:80")),
            ("http://self.alt/", Ok("http://self.alt:80")),
            ("tcp://:80", Err("`` is not a host")),
            (
                "tcp://u:pw@db.example.com",
                Err("`tcp://****@db.example.com` needs a port"),
            ),
            (
                "u:pw@db.example.com:5432",
                Err("`****@db.example.com:5432` needs a protocol"),
            ),
            ("u:pw@db.example.com", Err("`****@db.example.com` is not a host")),
        ] {
            match (text.parse::<Question>(), expected) {
                (Ok(question), Ok(shown)) => assert_eq!(question.to_string(), shown, "{text}"),
                (Err(error), Err(message)) => {
                    assert!(error.to_string().starts_with(message), "{text}: {error}")
                }
                (found, _) => panic!("{text}: {found:?}"),
            }
        }
    }
}
