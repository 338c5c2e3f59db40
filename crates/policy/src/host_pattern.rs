//! The host part of an entry.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

use crate::entry::EntryProblem;
use crate::{Address, Host, Name, NameError};

/// The hosts that an entry names. A pattern may hold a wildcard; a [`Host`] may not.
///
/// | written | matches names | matches addresses |
/// | --- | --- | --- |
/// | `*` | every name | every address |
/// | `example.com` | that name | none |
/// | `*.example.com` | every name below, at any depth, not `example.com` itself | none |
/// | `10.0.0.5`, `[::1]` | none | that address |
/// | `10.0.0.0/8`, `[2001:db8::]/32` | none | every address of the network |
/// | `self`, `self.alt` | the app itself, over HTTP | none |
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum HostPattern {
    /// `*`: every name and every address.
    Any,
    /// A name and nothing else.
    Name(Name),
    /// `*.name`: everything below the name.
    Subdomains(Name),
    /// A literal address.
    Address(Address),
    /// Every address of a network. Canonical like [`Address`]: a network of IPv4-mapped addresses is an IPv4 one.
    Network(IpNet),
    /// `self`: the app that asks.
    ToSelf,
}

impl HostPattern {
    /// True if the pattern covers `host`. This is the definition; the compiled policy finds the same faster.
    pub fn matches(&self, host: &Host) -> bool {
        match (self, host) {
            (Self::Any, _) => true,
            (Self::Name(own), Host::Name(name)) => own == name,
            (Self::Subdomains(apex), Host::Name(name)) => {
                name.parents().any(|parent| parent == apex.as_str())
            }
            (Self::Address(own), Host::Address(address)) => own == address,
            (Self::Network(net), Host::Address(address)) => net.contains(&address.ip()),
            (Self::ToSelf, Host::Name(name)) => name.is_the_app_itself(),
            (Self::Name(_) | Self::Subdomains(_) | Self::ToSelf, Host::Address(_))
            | (Self::Address(_) | Self::Network(_), Host::Name(_)) => false,
        }
    }

    pub(crate) fn parse(text: &str) -> Result<Self, EntryProblem> {
        if text.is_empty() {
            return Err(EntryProblem::NoHost);
        }
        if text == "*" {
            return Ok(Self::Any);
        }
        if let Some(apex) = text.strip_prefix("*.") {
            return parse_name(apex).map(Self::Subdomains);
        }
        if text.contains('*') {
            return Err(EntryProblem::Wildcard);
        }
        // Before the brackets of an address: a network may have its prefix within them.
        if let Some((address, prefix)) = split_network(text) {
            return parse_network(address, prefix);
        }
        if let Some(bare) = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            return parse_ipv6(bare).map(|ip| Self::Address(Address::new(ip.into())));
        }
        if let Ok(ip) = text.parse::<Ipv4Addr>() {
            return Ok(Self::Address(ip.into()));
        }
        if let Ok(ip) = text.parse::<Ipv6Addr>() {
            return Err(EntryProblem::BareIpv6(ip));
        }
        // Asked of the name, not of the text: `SELF`, `self.` and `self.alt` are the app as well.
        parse_name(text).map(|name| {
            if name.is_the_app_itself() {
                Self::ToSelf
            } else {
                Self::Name(name)
            }
        })
    }
}

fn parse_name(text: &str) -> Result<Name, EntryProblem> {
    if text.contains('*') {
        return Err(EntryProblem::Wildcard);
    }
    Name::parse(text).map_err(|error| match error {
        NameError::IsAddress(address) => EntryProblem::NumericIpv4(address),
        other => EntryProblem::Name(other),
    })
}

fn parse_ipv6(text: &str) -> Result<Ipv6Addr, EntryProblem> {
    if text.contains('%') {
        return Err(EntryProblem::Zone);
    }
    text.parse().map_err(|_| EntryProblem::NotIpv6(text.to_owned()))
}

/// Splits `10.0.0.0/8`, `[2001:db8::]/32`, `[2001:db8::/32]` and Spin's `2001:db8::/32` into address and prefix.
fn split_network(text: &str) -> Option<(&str, &str)> {
    let inner = text
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'))
        .unwrap_or(text);
    let (address, prefix) = inner.rsplit_once('/')?;
    let bare = address.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    Some((bare.unwrap_or(address), prefix))
}

fn parse_network(address: &str, prefix: &str) -> Result<HostPattern, EntryProblem> {
    let ip: IpAddr = match address.parse() {
        Ok(ip) => ip,
        Err(_) if address.contains('%') => return Err(EntryProblem::Zone),
        Err(_) if address.contains(':') => return Err(EntryProblem::NotIpv6(address.to_owned())),
        Err(_) => return Err(not_a_network(address)),
    };
    let longest = if ip.is_ipv4() { 32 } else { 128 };
    let digits = !prefix.is_empty() && prefix.len() <= 3 && prefix.bytes().all(|b| b.is_ascii_digit());
    let length = match prefix.parse::<u8>() {
        Ok(length) if digits => length,
        _ if digits => return Err(EntryProblem::PrefixTooLong { longest }),
        _ => return Err(EntryProblem::NotAPrefix(prefix.to_owned())),
    };
    let net = IpNet::new(ip, length).map_err(|_| EntryProblem::PrefixTooLong { longest })?;
    if net.trunc() != net {
        return Err(EntryProblem::HostBits { network: net.trunc() });
    }
    Ok(HostPattern::Network(canonical(net)))
}

/// A name with a slash is a path to most people; a number with a slash was meant to be a network.
fn not_a_network(address: &str) -> EntryProblem {
    match Host::parse(address) {
        Ok(Host::Address(meant)) => EntryProblem::NumericIpv4(meant),
        _ => EntryProblem::Path,
    }
}

/// The network that holds the canonical form of every address of `net` (HL-7).
fn canonical(net: IpNet) -> IpNet {
    match net {
        IpNet::V6(v6) => {
            let mapped = v6.addr().to_ipv4_mapped().zip(v6.prefix_len().checked_sub(96));
            let v4 = mapped.and_then(|(ip, length)| Ipv4Net::new(ip, length).ok());
            v4.map_or(net, IpNet::V4)
        }
        IpNet::V4(_) => net,
    }
}

impl fmt::Display for HostPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Any => f.write_str("*"),
            Self::Name(name) => name.fmt(f),
            Self::Subdomains(apex) => write!(f, "*.{apex}"),
            Self::Address(address) => Host::Address(*address).fmt(f),
            Self::Network(IpNet::V4(net)) => net.fmt(f),
            Self::Network(IpNet::V6(net)) => fmt_ipv6_network(net, f),
            Self::ToSelf => f.write_str("self"),
        }
    }
}

fn fmt_ipv6_network(net: &Ipv6Net, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    write!(f, "[{}]/{}", net.addr(), net.prefix_len())
}
