//! One entry of `allowed_outbound_hosts` or of the operator's deny list.
//!
//! ```text
//! entry  = scheme "://" host [ ":" port ] [ "/" ]
//! scheme = "*" | letters | "{" scheme { "," scheme } "}"
//! host   = "*" | name | "*." name | IPv4 | "[" IPv6 "]" | network | "self" | "{" host { "," host } "}"
//! port   = "*" | number | number ".." number | number "-" number | "{" port { "," port } "}"
//! ```
//!
//! Text becomes an [`Entry`] once; everything after that works on its parts. What was written is kept beside them
//! for messages, with its place. Nothing ambiguous is read: each mistake is an [`EntryError`] that says what to
//! write instead, and nothing is cut off or skipped.

use crate::entry_error::{EntryError, EntryProblem};
use crate::host_pattern::HostPattern;
use crate::ports::parse_port;
use crate::{Place, PortRange, PortSet, PortsError, Protocol, Scheme, Transport};
use std::fmt;
use std::ops::Range;
use std::sync::Arc;

/// An entry: schemes × hosts × ports, with its text and place. Cheap to clone.
#[derive(Clone)]
pub struct Entry(Arc<Parts>);

struct Parts {
    text: Box<str>,
    place: Place,
    schemes: Vec<EntryScheme>,
    hosts: Vec<HostPattern>,
    ports: EntryPorts,
}

/// The scheme part of an entry.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum EntryScheme {
    /// `*`: every scheme and every socket.
    Any,
    /// `tcp` or `udp`: raw sockets only.
    Socket(Transport),
    /// A URL scheme: host interfaces of that protocol, no socket.
    Url(Scheme),
}

/// The port part of an entry.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum EntryPorts {
    /// None was written: each scheme's own.
    OfScheme,
    /// What was written, in that order.
    Written(Vec<PortSpec>),
}

/// One port or range of ports as written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PortSpec {
    /// `*`, a number, or `a-b`.
    Inclusive(PortRange),
    /// Spin's `a..b`, which leaves `b` out. Holds the ports that are really meant.
    HalfOpen(PortRange),
}

impl Entry {
    /// Reads one entry. White space around it is ignored.
    ///
    /// # Errors
    ///
    /// The first mistake, with the part of the text at fault.
    pub fn parse(text: &str, place: Place) -> Result<Self, EntryError> {
        match parse_parts(text) {
            Ok((schemes, hosts, ports)) => Ok(Self(Arc::new(Parts {
                text: text.trim().into(),
                place,
                schemes,
                hosts,
                ports,
            }))),
            Err(Mistake { problem, at }) => {
                let instead = suggestion::instead_of(text.trim(), &problem);
                Err(EntryError::new(text, place, problem, span_of(text, at), instead))
            }
        }
    }

    /// The entry as it was written, without the white space around it.
    pub fn text(&self) -> &str {
        &self.0.text
    }

    /// Where it was written.
    pub fn place(&self) -> &Place {
        &self.0.place
    }

    /// Its schemes; at least one.
    pub fn schemes(&self) -> &[EntryScheme] {
        &self.0.schemes
    }

    /// Its hosts; at least one.
    pub fn hosts(&self) -> &[HostPattern] {
        &self.0.hosts
    }

    /// Its ports as written.
    pub fn ports(&self) -> &EntryPorts {
        &self.0.ports
    }

    /// The ports that the entry means for one of its schemes.
    pub fn ports_for(&self, scheme: &EntryScheme) -> PortSet {
        match (&self.0.ports, scheme) {
            (EntryPorts::Written(specs), _) => specs.iter().map(|spec| spec.range()).collect(),
            (EntryPorts::OfScheme, EntryScheme::Url(scheme)) => scheme
                .default_port()
                .and_then(PortRange::one)
                .into_iter()
                .collect(),
            (EntryPorts::OfScheme, EntryScheme::Any | EntryScheme::Socket(_)) => PortSet::EMPTY,
        }
    }

    /// Whether the entry can permit a raw socket of any kind (clauses AL-3 and AL-4).
    pub fn permits_sockets(&self) -> bool {
        self.0
            .schemes
            .iter()
            .any(|scheme| !matches!(scheme, EntryScheme::Url(_)))
    }
}

impl EntryScheme {
    /// Whether an entry of this scheme on the allow list permits `protocol` (clauses AL-3, AL-4, AL-6, AL-9).
    pub fn permits(&self, protocol: Protocol<'_>) -> bool {
        match (self, protocol) {
            (Self::Any, _) => true,
            (Self::Socket(own), Protocol::Socket(transport)) => *own == transport,
            (Self::Url(own), Protocol::Url(scheme)) => own == scheme,
            (Self::Socket(_), Protocol::Url(_)) | (Self::Url(_), Protocol::Socket(_)) => false,
        }
    }

    /// Whether an entry of this scheme on the deny list denies `protocol`: it does if the traffic could be what
    /// the entry names (clause DL-2).
    pub fn denies(&self, protocol: Protocol<'_>) -> bool {
        match (self, protocol) {
            (Self::Any, _) => true,
            (Self::Socket(own), Protocol::Socket(transport)) => *own == transport,
            (Self::Socket(own), Protocol::Url(_)) => *own == Transport::Tcp,
            (Self::Url(_), Protocol::Socket(transport)) => transport == Transport::Tcp,
            (Self::Url(own), Protocol::Url(scheme)) => own == scheme,
        }
    }
}

impl PortSpec {
    /// The ports meant.
    pub const fn range(self) -> PortRange {
        match self {
            Self::Inclusive(range) | Self::HalfOpen(range) => range,
        }
    }
}

/// A problem and the part of the text that has it.
struct Mistake<'a> {
    problem: EntryProblem,
    at: &'a str,
}

impl EntryProblem {
    fn at(self, at: &str) -> Mistake<'_> {
        Mistake { problem: self, at }
    }
}

type ParsedParts = (Vec<EntryScheme>, Vec<HostPattern>, EntryPorts);

fn parse_parts(text: &str) -> Result<ParsedParts, Mistake<'_>> {
    let trimmed = text.trim();
    match trimmed {
        "" => return Err(EntryProblem::Empty.at(text)),
        "*" => return Err(EntryProblem::LoneWildcard.at(trimmed)),
        "insecure:allow-all" => return Err(EntryProblem::InsecureAllowAll.at(trimmed)),
        _ => {}
    }
    let (scheme, rest) = trimmed
        .split_once("://")
        .ok_or_else(|| EntryProblem::NoScheme.at(trimmed))?;
    let schemes = parse_list(scheme, parse_scheme)?;
    let (host, port) = split_host(rest)?;
    let hosts = parse_list(host, |part| {
        HostPattern::parse(part).map_err(|problem| problem.at(part))
    })?;
    let ports = match port {
        None => EntryPorts::OfScheme,
        Some(port) => EntryPorts::Written(parse_list(port, parse_port_spec)?),
    };
    check_default_ports(&schemes, &hosts, &ports).map_err(|problem| problem.at(trimmed))?;
    check_self(&schemes, &hosts).map_err(|problem| problem.at(scheme))?;
    Ok((schemes, hosts, ports))
}

/// Splits what stands behind `://` into host and port. Brackets and braces keep their colons and slashes.
fn split_host(rest: &str) -> Result<(&str, Option<&str>), Mistake<'_>> {
    for (sign, problem) in [
        ('?', EntryProblem::Query),
        ('#', EntryProblem::Fragment),
        ('@', EntryProblem::UserInfo),
    ] {
        if let Some(found) = rest.find(sign) {
            return Err(problem.at(&rest[found..]));
        }
    }
    let host_end = if rest.starts_with('{') {
        list_end(rest)?
    } else {
        host_end(rest)
    };
    let (host, tail) = rest.split_at(host_end);
    let unslashed = tail.strip_suffix('/').unwrap_or(tail);
    if let Some(slash) = unslashed.find('/') {
        return Err(EntryProblem::Path.at(&tail[slash..]));
    }
    match unslashed.strip_prefix(':') {
        Some(port) => Ok((host, Some(port))),
        None if unslashed.is_empty() => Ok((host, None)),
        None => Err(EntryProblem::Trailing(unslashed.to_owned()).at(unslashed)),
    }
}

/// Where a host that is no list ends: behind its brackets and prefix, or before the colon of the port.
fn host_end(rest: &str) -> usize {
    if rest.starts_with('[') {
        let behind = rest.find(']').map_or(rest.len(), |bracket| bracket + 1);
        return behind + prefix_length(&rest[behind..]);
    }
    // Spin writes IPv6 networks without brackets: the slash, not a colon, ends the address. Without a slash it is
    // a bare address, which is refused as a whole, so that the message can show what was meant.
    if rest
        .split('{')
        .next()
        .is_some_and(|host| host.matches(':').count() > 1)
    {
        return match rest.find('/').filter(|slash| prefix_length(&rest[*slash..]) > 1) {
            Some(slash) => slash + prefix_length(&rest[slash..]),
            None => rest.len() - usize::from(rest.ends_with('/')),
        };
    }
    let end = rest.find([':', '/']).unwrap_or(rest.len());
    if rest[end..].starts_with('/') {
        end + network_prefix(&rest[..end], &rest[end..])
    } else {
        end
    }
}

/// How much of `tail` is the prefix of a network: only behind what looks like an IPv4 address, else it is a path.
fn network_prefix(host: &str, tail: &str) -> usize {
    let numeric = !host.is_empty() && host.bytes().all(|b| b.is_ascii_digit() || b == b'.');
    if numeric && tail.len() > 1 {
        tail.find(':').unwrap_or(tail.trim_end_matches('/').len())
    } else {
        0
    }
}

/// The length of a leading `/digits`, 0 where there is none.
fn prefix_length(tail: &str) -> usize {
    match tail.strip_prefix('/') {
        Some(digits) => match digits.find(|c: char| !c.is_ascii_digit()).unwrap_or(digits.len()) {
            0 => 0,
            n => 1 + n,
        },
        None => 0,
    }
}

fn list_end(text: &str) -> Result<usize, Mistake<'_>> {
    text.find('}')
        .map(|end| end + 1)
        .ok_or_else(|| EntryProblem::OpenList.at(text))
}

fn parse_list<'a, T>(
    text: &'a str,
    parse: impl Fn(&'a str) -> Result<T, Mistake<'a>>,
) -> Result<Vec<T>, Mistake<'a>> {
    let Some(open) = text.strip_prefix('{') else {
        return Ok(vec![parse(text)?]);
    };
    let inner = open
        .strip_suffix('}')
        .ok_or_else(|| EntryProblem::OpenList.at(text))?;
    inner
        .split(',')
        .map(str::trim)
        .map(|part| {
            if part.is_empty() {
                Err(EntryProblem::EmptyPart.at(text))
            } else {
                parse(part)
            }
        })
        .collect()
}

fn parse_scheme(text: &str) -> Result<EntryScheme, Mistake<'_>> {
    if text == "*" {
        return Ok(EntryScheme::Any);
    }
    if text.eq_ignore_ascii_case("tcp") {
        return Ok(EntryScheme::Socket(Transport::Tcp));
    }
    if text.eq_ignore_ascii_case("udp") {
        return Ok(EntryScheme::Socket(Transport::Udp));
    }
    Scheme::parse(text)
        .map(EntryScheme::Url)
        .ok_or_else(|| EntryProblem::Scheme(text.to_owned()).at(text))
}

fn parse_port_spec(text: &str) -> Result<PortSpec, Mistake<'_>> {
    let port = |text: &str| parse_port(text).map_err(EntryProblem::Ports);
    let parsed = if text == "*" {
        Ok(PortSpec::Inclusive(PortRange::ALL))
    } else if let Some((first, end)) = text.split_once("..") {
        port(first)
            .and_then(|first| Ok((first, port(end)?)))
            .and_then(|(first, end)| {
                let range = PortRange::new(first, end - 1);
                range
                    .map(PortSpec::HalfOpen)
                    .ok_or_else(|| EntryProblem::EmptyRange(text.to_owned()))
            })
    } else if let Some((first, last)) = text.split_once('-') {
        port(first)
            .and_then(|first| Ok((first, port(last)?)))
            .and_then(|(first, last)| {
                let range = PortRange::new(first, last).map(PortSpec::Inclusive);
                range.ok_or_else(|| EntryProblem::Ports(PortsError::Empty(text.to_owned())))
            })
    } else {
        port(text).map(|port| PortSpec::Inclusive(PortRange::one(port).unwrap_or(PortRange::ALL)))
    };
    parsed.map_err(|problem| problem.at(text))
}

fn check_default_ports(
    schemes: &[EntryScheme],
    hosts: &[HostPattern],
    ports: &EntryPorts,
) -> Result<(), EntryProblem> {
    // The app itself has one port, which the author does not know.
    if *ports != EntryPorts::OfScheme || hosts == [HostPattern::ToSelf] {
        return Ok(());
    }
    let portless = |scheme: &&EntryScheme| match scheme {
        EntryScheme::Any | EntryScheme::Socket(_) => true,
        EntryScheme::Url(scheme) => scheme.default_port().is_none(),
    };
    match schemes.iter().find(portless) {
        Some(scheme) => Err(EntryProblem::NoDefaultPort(scheme.to_string())),
        None => Ok(()),
    }
}

fn check_self(schemes: &[EntryScheme], hosts: &[HostPattern]) -> Result<(), EntryProblem> {
    let speaks_http = |scheme: &EntryScheme| {
        *scheme == EntryScheme::Any
            || [Scheme::HTTP, Scheme::HTTPS]
                .map(EntryScheme::Url)
                .contains(scheme)
    };
    if hosts.contains(&HostPattern::ToSelf) && !schemes.iter().all(speaks_http) {
        return Err(EntryProblem::SelfIsHttp);
    }
    Ok(())
}

fn span_of(text: &str, part: &str) -> Range<usize> {
    let start = (part.as_ptr() as usize).saturating_sub(text.as_ptr() as usize);
    start..start + part.len()
}

/// What to write instead of an entry that cannot be read. A suggestion is offered only if it can be read itself.
mod suggestion {
    use super::{Entry, EntryProblem, Place};

    pub(super) fn instead_of(text: &str, problem: &EntryProblem) -> Option<Box<str>> {
        let candidates = match problem {
            EntryProblem::NoScheme => vec![format!("*://{text}"), format!("https://{text}")],
            EntryProblem::LoneWildcard | EntryProblem::InsecureAllowAll => vec!["*://*:*".to_owned()],
            EntryProblem::BareIpv6(ip) => vec![text.replacen(&written_ipv6(text), &format!("[{ip}]"), 1)],
            EntryProblem::NumericIpv4(address) => vec![with_host(text, &address.to_string())],
            EntryProblem::HostBits { network } => vec![with_host(text, &bracketed(network))],
            EntryProblem::NoDefaultPort(_) => vec![format!("{}:*", text.trim_end_matches('/'))],
            EntryProblem::Path | EntryProblem::Query | EntryProblem::Fragment => vec![without_path(text)],
            EntryProblem::UserInfo => vec![without_user(text)],
            EntryProblem::SelfIsHttp => vec!["http://self".to_owned()],
            _ => Vec::new(),
        };
        candidates
            .into_iter()
            .find(|text| Entry::parse(text, Place::Code).is_ok())
            .map(Into::into)
    }

    fn bracketed(network: &ipnet::IpNet) -> String {
        super::HostPattern::Network(*network).to_string()
    }

    fn split(text: &str) -> (&str, &str) {
        text.split_once("://").unwrap_or(("*", text))
    }

    /// The bare address, and not the last group of it, which may be a port: that cannot be told apart.
    fn written_ipv6(text: &str) -> String {
        split(text).1.trim_end_matches('/').to_owned()
    }

    fn with_host(text: &str, host: &str) -> String {
        let (scheme, rest) = split(text);
        let behind = rest.rfind(']').unwrap_or(0);
        let bare_ipv6 = behind == 0 && rest.matches(':').count() > 1;
        let port_from = if bare_ipv6 {
            rest.find('/').unwrap_or(0)
        } else {
            behind
        };
        let port = rest[port_from..]
            .find(':')
            .map_or("", |colon| &rest[port_from + colon..]);
        format!("{scheme}://{host}{port}")
    }

    fn without_path(text: &str) -> String {
        let (scheme, rest) = split(text);
        let host = rest.split(['/', '?', '#']).next().unwrap_or(rest);
        format!("{scheme}://{host}")
    }

    fn without_user(text: &str) -> String {
        let (scheme, rest) = split(text);
        let host = rest.rsplit('@').next().unwrap_or(rest);
        format!("{scheme}://{host}")
    }
}

/// Two entries are equal if they mean the same in the same order; text and place do not count.
impl PartialEq for Entry {
    fn eq(&self, other: &Self) -> bool {
        self.0.schemes == other.0.schemes && self.0.hosts == other.0.hosts && self.0.ports == other.0.ports
    }
}

impl Eq for Entry {}

/// The canonical spelling; reading it gives an equal entry.
impl fmt::Display for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt_list(&self.0.schemes, f)?;
        f.write_str("://")?;
        fmt_list(&self.0.hosts, f)?;
        match &self.0.ports {
            EntryPorts::OfScheme => Ok(()),
            EntryPorts::Written(specs) => {
                f.write_str(":")?;
                fmt_list(specs, f)
            }
        }
    }
}

fn fmt_list<T: fmt::Display>(parts: &[T], f: &mut fmt::Formatter<'_>) -> fmt::Result {
    if let [part] = parts {
        return part.fmt(f);
    }
    for (i, part) in parts.iter().enumerate() {
        f.write_str(if i == 0 { "{" } else { "," })?;
        part.fmt(f)?;
    }
    f.write_str("}")
}

impl fmt::Display for EntryScheme {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Any => f.write_str("*"),
            Self::Socket(transport) => transport.fmt(f),
            Self::Url(scheme) => scheme.fmt(f),
        }
    }
}

impl fmt::Display for PortSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Inclusive(range) => range.fmt(f),
            Self::HalfOpen(range) => write!(f, "{}..{}", range.first(), u32::from(range.last()) + 1),
        }
    }
}

impl fmt::Debug for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` ({})", self.text(), self.place())
    }
}

#[cfg(test)]
mod tests;
