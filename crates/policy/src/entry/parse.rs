//! From the text of an entry to its parts.
//!
//! The text is cut from left to right: scheme, host, port. Each cut knows what may follow, so that a colon of an
//! IPv6 address is not taken for the port's and the slash of a network not for a path. A mistake keeps the part of
//! the text that has it.

use std::ops::Range;

use super::problem::EntryProblem;
use super::{EntryPorts, EntryScheme, PortSpec, suggestion};
use crate::host_pattern::HostPattern;
use crate::ports::parse_port;
use crate::{PortRange, PortsError, Scheme, Transport};

/// A problem and the part of the text that has it.
pub(super) struct Mistake<'a> {
    pub(super) problem: EntryProblem,
    at: &'a str,
}

impl Mistake<'_> {
    /// The bytes of `text` that are at fault.
    pub(super) fn span_in(&self, text: &str) -> Range<usize> {
        let start = (self.at.as_ptr() as usize).saturating_sub(text.as_ptr() as usize);
        start..start + self.at.len()
    }
}

impl EntryProblem {
    fn at(self, at: &str) -> Mistake<'_> {
        Mistake { problem: self, at }
    }
}

/// Schemes, hosts and ports.
pub(super) type ParsedParts = (Vec<EntryScheme>, Vec<HostPattern>, EntryPorts);

pub(super) fn parts(text: &str) -> Result<ParsedParts, Mistake<'_>> {
    let trimmed = text.trim();
    match trimmed {
        "" => return Err(EntryProblem::Empty.at(text)),
        "*" => return Err(EntryProblem::LoneWildcard.at(trimmed)),
        "insecure:allow-all" => return Err(EntryProblem::InsecureAllowAll.at(trimmed)),
        _ => {}
    }
    let (scheme, rest) = trimmed
        .split_once("://")
        .ok_or_else(|| without_separator(trimmed).at(trimmed))?;
    if let Some(second) = second_entry(rest) {
        return Err(EntryProblem::SeveralEntries.at(second));
    }
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

fn without_separator(text: &str) -> EntryProblem {
    match suggestion::separated(text) {
        Some((scheme, _)) => EntryProblem::Separator(scheme),
        None => EntryProblem::NoScheme,
    }
}

/// The text behind a comma, a semicolon or white space, if it has a `://` of its own.
fn second_entry(rest: &str) -> Option<&str> {
    // Most entries have none of these, and are looked through no further.
    let separated = |b: u8| matches!(b, b',' | b';' | b' ' | b'\t' | b'\n');
    if !rest.bytes().any(separated) {
        return None;
    }
    let scheme_end = rest.find("://")?;
    let start = rest[..scheme_end].bytes().rposition(separated)? + 1;
    Some(&rest[start..])
}

/// Splits what stands behind `://` into host and port. Brackets and braces keep their colons and slashes.
fn split_host(rest: &str) -> Result<(&str, Option<&str>), Mistake<'_>> {
    // A password may hold anything; what stands before the `@` of the host is none of the other parts.
    let authority = rest.split(['/', '?', '#']).next().unwrap_or(rest);
    if let Some(found) = authority.find('@') {
        return Err(EntryProblem::UserInfo.at(&rest[found..]));
    }
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

/// The end of a host that is no list: behind its brackets and prefix, or before the colon of the port.
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
        return match rest.find('/').filter(|slash| prefix_length(&rest[*slash..]) != 0) {
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

/// The length of the part of `tail` that is the prefix of a network: only behind what looks like an IPv4 address, else
/// it is a path.
fn network_prefix(host: &str, tail: &str) -> usize {
    let numeric = !host.is_empty() && host.bytes().all(|b| b.is_ascii_digit() || b == b'.');
    if numeric {
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
        port(text).and_then(|port| {
            let one = PortRange::one(port).map(PortSpec::Inclusive);
            one.ok_or(EntryProblem::Ports(PortsError::Zero))
        })
    };
    parsed.map_err(|problem| problem.at(text))
}

fn check_default_ports(
    schemes: &[EntryScheme],
    hosts: &[HostPattern],
    ports: &EntryPorts,
) -> Result<(), EntryProblem> {
    // The app itself has one port, which the author does not know.
    if *ports != EntryPorts::OfScheme || hosts.iter().all(|host| *host == HostPattern::ToSelf) {
        return Ok(());
    }
    let portless = |scheme: &&EntryScheme| match scheme {
        EntryScheme::Any | EntryScheme::Socket(_) => true,
        EntryScheme::Url(scheme) => scheme.default_port().is_none(),
    };
    match (schemes, schemes.iter().find(portless)) {
        (_, None) => Ok(()),
        ([EntryScheme::Url(scheme)], _) => Err(EntryProblem::UnknownScheme {
            scheme: scheme.to_string(),
            meant: scheme.misspelled(),
        }),
        (_, Some(scheme)) => Err(EntryProblem::NoDefaultPort(scheme.to_string())),
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
