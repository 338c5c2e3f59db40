//! The mistakes in an entry.

use std::net::Ipv6Addr;

use ipnet::IpNet;

use crate::{Address, NameError, PortsError, text};

/// The kinds of mistakes in an entry (AL-2).
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
    #[error("`://` belongs between the scheme `{0}` and the host")]
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
    #[error("`*` alone is not an entry; everything on every port is written `*://*:*`")]
    LoneWildcard,
    /// `insecure:allow-all`, which Spin 1 had.
    #[error("`insecure:allow-all` is no longer an entry; everything on every port is written `*://*:*`")]
    InsecureAllowAll,
    /// A scheme with anything but letters in it.
    #[error("`{}` is not a scheme: a scheme has ASCII letters only, or is `*`, `tcp` or `udp`", text::excerpt(.0))]
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
    /// Something in brackets that is not an IPv6 address.
    #[error("`{}` is not an IPv6 address", text::excerpt(.0))]
    NotIpv6(String),
    /// An IPv6 address with a zone.
    #[error("an IPv6 zone cannot be part of an entry: it means another thing on every machine")]
    Zone,
    /// An IPv4 address that is not in dotted decimal.
    #[error("this is the address {0} in another spelling; write addresses in dotted decimal")]
    NumericIpv4(Address),
    /// A network with bits set behind its prefix.
    #[error("the address has bits set beyond the prefix; the network that it lies in is {network}")]
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
    /// Something after the slash that is not a number.
    #[error("`/{}` is not a prefix length", text::excerpt(.0))]
    NotAPrefix(String),
    /// Not a name.
    #[error(transparent)]
    Name(NameError),
    /// Not a port.
    #[error(transparent)]
    Ports(PortsError),
    /// A half-open range without a port in it, such as `80..80`.
    #[error("the range `{}` holds no port: `a..b` leaves `b` out, and `a-b` does not", text::excerpt(.0))]
    EmptyRange(String),
    /// No port, and a scheme that has none of its own.
    #[error("`{}` has no default port, so the entry needs one: `:PORT`, or `:*` for every port", text::excerpt(.0))]
    NoDefaultPort(String),
    /// No port, and a URL scheme that Outport does not know.
    #[error(
        "`{}` is a scheme that nothing here speaks, and it has no default port{}",
        text::excerpt(scheme),
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
    #[error("`{}` does not belong after the host; a port is written `:PORT`", text::excerpt(.0))]
    Trailing(String),
}

fn most_likely(meant: Option<&'static str>) -> String {
    meant.map_or(String::new(), |scheme| {
        format!("; `{scheme}` was meant, most likely")
    })
}
