//! What is wrong with an entry, and what to write instead.

use crate::entry::to_deny;
use crate::{Address, Location, NameError, PortsError, excerpt, without_user_info};
use ipnet::IpNet;
use std::borrow::Cow;
use std::fmt;
use std::net::Ipv6Addr;
use std::ops::Range;

/// An entry that cannot be read: the entry as written, where, what is wrong with which part of it, and what to
/// write instead where that can be told. Its message quotes the beginning only of an entry that is very long.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EntryError(Box<Parts>);

#[derive(Clone, Debug, PartialEq, Eq)]
struct Parts {
    text: Box<str>,
    location: Location,
    problem: EntryProblem,
    span: Range<usize>,
    instead: Option<Box<str>>,
}

impl EntryError {
    pub(crate) fn new(
        text: &str,
        location: Location,
        problem: EntryProblem,
        span: Range<usize>,
        instead: Option<Box<str>>,
    ) -> Self {
        Self(Box::new(Parts {
            text: text.into(),
            location,
            problem,
            span,
            instead,
        }))
    }

    /// The same mistake in the operator's deny list: what is suggested there denies all that may have been meant.
    #[must_use]
    pub fn in_a_deny_list(mut self) -> Self {
        match self.0.problem {
            EntryProblem::NoScheme if self.0.text.trim() == "private" => {
                self.0.problem = EntryProblem::Private;
                self.0.instead = None;
            }
            EntryProblem::NoScheme if networks_called(self.0.text.trim()).is_some() => {
                self.0.instead = networks_called(self.0.text.trim()).map(Into::into);
            }
            EntryProblem::NoScheme
            | EntryProblem::NoDefaultPort(_)
            | EntryProblem::UnknownScheme { meant: None, .. } => {
                self.0.instead = to_deny(self.0.text.trim());
            }
            EntryProblem::BareIpv6(_) => {
                let open = self.0.instead.take();
                self.0.instead = open.and_then(|text| match text.strip_suffix(":PORT") {
                    Some(host) => to_deny(host),
                    None => Some(text),
                });
            }
            _ => {}
        }
        self
    }

    /// The entry as it was written.
    pub fn text(&self) -> &str {
        &self.0.text
    }

    /// The same to show it to people: with `*` in place of user and password, and else as it was written, byte by byte.
    pub fn shown(&self) -> Cow<'_, str> {
        match (self.text().contains("://"), self.text().rfind('@')) {
            (false, Some(at)) => Cow::Owned("*".repeat(at) + &self.text()[at..]),
            _ => without_user_info(self.text()),
        }
    }

    /// Where it was written.
    pub fn location(&self) -> &Location {
        &self.0.location
    }

    /// What is wrong.
    pub fn problem(&self) -> &EntryProblem {
        &self.0.problem
    }

    /// The bytes of [`text`](Self::text) that are at fault.
    pub fn span(&self) -> Range<usize> {
        self.0.span.clone()
    }

    /// An entry that can be read and most likely means what the writer meant. `:PORT` at its end stands for the port of the
    /// service, which only the writer knows.
    pub fn instead(&self) -> Option<&str> {
        self.0.instead.as_deref()
    }
}

/// What a word that is most likely no host stands for, on every port.
fn networks_called(word: &str) -> Option<&'static str> {
    match word {
        "loopback" => Some("*://{127.0.0.0/8,[::1]}:*"),
        "link-local" => Some("*://{169.254.0.0/16,[fe80::]/10}:*"),
        "all" | "any" => Some("*://*:*"),
        _ => None,
    }
}

impl fmt::Display for EntryError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "`{}` is no valid entry: {}",
            excerpt(&self.shown()).escape_debug(),
            self.0.problem
        )?;
        match &self.0.instead {
            Some(instead) => write!(f, "; write `{instead}`"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for EntryError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.0.problem)
    }
}

/// The kinds of mistakes in an entry (clause AL-2).
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EntryProblem {
    /// Nothing but white space.
    #[error("it is empty; an entry looks like `*://db.example.com:5432`")]
    Empty,
    /// No `://`.
    #[error("it has no scheme; sockets need `*://`, HTTP needs `http://` or `https://` before the host")]
    NoScheme,
    /// A scheme with another sign behind it than `://`, such as `http//example.com`.
    #[error("between the scheme `{0}` and the host stands `://`")]
    Separator(&'static str),
    /// Several entries in one string, such as `https://a.example,https://b.example`.
    #[error("these are several entries in one string: each is a string of its own")]
    SeveralEntries,
    /// `private` in a deny list, which is a word of `block_networks`.
    #[error(
        "as an entry it would be a host of this name; the private networks are denied by `block_networks = \
         [\"private\"]` below `[outbound_networking]` in the runtime config file"
    )]
    Private,
    /// `*` alone.
    #[error("`*` alone is no entry; everything on every port is written `*://*:*`")]
    LoneWildcard,
    /// `insecure:allow-all`, which Spin 1 had.
    #[error("`insecure:allow-all` is no longer an entry; everything on every port is written `*://*:*`")]
    InsecureAllowAll,
    /// A scheme with anything but letters in it.
    #[error("`{}` is no scheme: a scheme has ASCII letters only, or is `*`, `tcp` or `udp`", excerpt(.0))]
    Scheme(String),
    /// Nothing between `://` and the port.
    #[error("it names no host; every host is written `*`")]
    NoHost,
    /// A path after the host.
    #[error("a path cannot be part of an entry: what is allowed is a host and its ports")]
    Path,
    /// A query after the host.
    #[error("a query cannot be part of an entry: what is allowed is a host and its ports")]
    Query,
    /// A fragment after the host.
    #[error("a fragment cannot be part of an entry: what is allowed is a host and its ports")]
    Fragment,
    /// User and password before the host.
    #[error("user info cannot be part of an entry: what is allowed is a host and its ports")]
    UserInfo,
    /// A wildcard inside a name.
    #[error("`*` stands for a whole host, or at the start as `*.` for everything below a name")]
    Wildcard,
    /// `::1` without brackets.
    #[error("the IPv6 address {0} needs brackets")]
    BareIpv6(Ipv6Addr),
    /// Something in brackets that is no IPv6 address.
    #[error("`{}` is no IPv6 address", excerpt(.0))]
    NotIpv6(String),
    /// An IPv6 address with a zone.
    #[error("an IPv6 zone cannot be part of an entry: it means another thing on every machine")]
    Zone,
    /// An IPv4 address that is not in dotted decimal.
    #[error("this is the address {0} in another spelling; write addresses in dotted decimal")]
    NumericIpv4(Address),
    /// A network with bits set behind its prefix.
    #[error("the address has bits set behind the prefix; the network that it lies in is {network}")]
    HostBits {
        /// The network that was probably meant.
        network: IpNet,
    },
    /// A prefix of more bits than the address has.
    #[error("the prefix is too long: at most /{longest} for this kind of address")]
    PrefixTooLong {
        /// 32 or 128.
        longest: u8,
    },
    /// Something after the slash that is no number.
    #[error("`/{}` is no prefix length", excerpt(.0))]
    NotAPrefix(String),
    /// Not a name.
    #[error(transparent)]
    Name(NameError),
    /// Not a port.
    #[error(transparent)]
    Ports(PortsError),
    /// A half-open range without a port in it, such as `80..80`.
    #[error("the range `{}` holds no port: `a..b` leaves `b` out, and `a-b` does not", excerpt(.0))]
    EmptyRange(String),
    /// No port, and a scheme that has none of its own.
    #[error("`{}` has no default port, so the entry needs one: `:PORT`, or `:*` for every port", excerpt(.0))]
    NoDefaultPort(String),
    /// No port, and a URL scheme that Outport does not know.
    #[error(
        "`{}` is a scheme that nothing here speaks, and it has no default port{}",
        excerpt(scheme),
        most_likely(*meant)
    )]
    UnknownScheme {
        /// The scheme.
        scheme: String,
        /// The one that it is a slip away from.
        meant: Option<&'static str>,
    },
    /// A list `{…}` that is not closed.
    #[error("the list that `{{` opens is not closed by `}}`")]
    OpenList,
    /// A list with nothing, or an empty part, in it.
    #[error("the list has an empty part")]
    EmptyPart,
    /// `self` with a scheme that is not HTTP.
    #[error("`self` is reached by HTTP only: write `http://self`")]
    SelfIsHttp,
    /// Something between the host and the port.
    #[error("`{}` does not belong behind the host; a port is written `:PORT`", excerpt(.0))]
    Trailing(String),
}

fn most_likely(meant: Option<&'static str>) -> String {
    meant.map_or(String::new(), |scheme| {
        format!("; `{scheme}` was meant, most likely")
    })
}
