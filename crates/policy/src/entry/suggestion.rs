//! The text to write instead of an entry that cannot be read. A suggestion is offered only if it can be read itself,
//! and if it is short enough to be copied. Nothing that was right is left out of it: of a list `{…}` only the parts
//! that are wrong are written otherwise.
//!
//! Where a port is missing that nobody but the writer knows, `PORT` stands for it: a suggestion of every port would be
//! copied, and permit more than was meant (RSN-5).

use std::borrow::Cow;
use std::net::{Ipv4Addr, Ipv6Addr};

use super::parse::{Mistake, parts};
use super::problem::EntryProblem;
use crate::{HostPattern, Name, Scheme};

/// Bytes of the longest suggestion.
const LONGEST: usize = 500;

/// Stands where the port of a service belongs.
const OPEN_PORT: &str = ":PORT";

/// Parts of a list that are corrected at most.
const MOST_PARTS: usize = 16;

pub(super) fn instead_of(text: &str, mistake: &Mistake<'_>) -> Option<Box<str>> {
    if text.len() > LONGEST {
        return None;
    }
    let hosts_are_a_list = split(text).1.starts_with('{');
    let candidates = match &mistake.problem {
        EntryProblem::NoScheme if is_inside_the_app(text) => vec![format!("http://{text}")],
        EntryProblem::NoScheme => without_scheme(text),
        EntryProblem::Separator(_) => separated(text)
            .map(|(scheme, rest)| format!("{scheme}://{rest}"))
            .into_iter()
            .collect(),
        EntryProblem::UnknownScheme {
            meant: Some(scheme), ..
        } => vec![
            format!("{scheme}://{}", split(text).1),
            any_service(&format!("{scheme}://{}", split(text).1.trim_end_matches('/'))),
        ],
        EntryProblem::UnknownScheme { .. } => vec![of_host(text)],
        EntryProblem::LoneWildcard | EntryProblem::InsecureAllowAll => vec!["*://*:*".to_owned()],
        EntryProblem::BareIpv6(ip) if !hosts_are_a_list => bracketed_ipv6(text, *ip),
        EntryProblem::BareIpv6(_) | EntryProblem::NumericIpv4(_) | EntryProblem::HostBits { .. } => {
            corrected(text, mistake).into_iter().collect()
        }
        EntryProblem::NoDefaultPort(_) => vec![any_service(text.trim_end_matches('/'))],
        EntryProblem::Path | EntryProblem::Query | EntryProblem::Fragment | EntryProblem::UserInfo
            if !has_a_late_at(text) =>
        {
            vec![of_host(text), any_service(&of_host(text))]
        }
        EntryProblem::Ports(_) | EntryProblem::Name(_) | EntryProblem::Scheme(_) => {
            with_list(text, mistake).into_iter().collect()
        }
        EntryProblem::SelfIsHttp if !hosts_are_a_list => vec!["http://self".to_owned()],
        _ => Vec::new(),
    };
    candidates
        .into_iter()
        .find(|text| parts(&with_some_port(text)).is_ok())
        .map(Into::into)
}

/// An entry for a service whose port the writer has to fill in.
fn any_service(host: &str) -> String {
    format!("{host}{OPEN_PORT}")
}

/// The same with a port filled in.
fn with_some_port(text: &str) -> Cow<'_, str> {
    match text.strip_suffix(OPEN_PORT) {
        Some(host) => Cow::Owned(format!("{host}:1")),
        None => Cow::Borrowed(text),
    }
}

/// The same for the deny list, where what has no scheme was meant for every one of them, and for every port where it
/// has none: a suggestion that denies less than the operator meant would be copied.
pub(crate) fn to_deny(text: &str) -> Option<Box<str>> {
    let text = text.trim_end_matches('/');
    let candidates = if text.contains("://") {
        [text.to_owned(), format!("{text}:*")]
    } else {
        [format!("*://{text}"), format!("*://{text}:*")]
    };
    let readable = |text: &String| text.len() <= LONGEST && parts(text).is_ok();
    candidates.into_iter().find(readable).map(Into::into)
}

/// The whole entry with each host that is only spelled wrong in its right spelling.
fn corrected(text: &str, mistake: &Mistake<'_>) -> Option<String> {
    let mut text = with_host(text, mistake)?;
    for _ in 1..MOST_PARTS {
        text = match parts(&text) {
            Ok(_) => return Some(text),
            Err(mistake) => with_host(&text, &mistake)?,
        };
    }
    Some(text)
}

/// The entry with another host in place of the one at fault.
fn with_host(text: &str, mistake: &Mistake<'_>) -> Option<String> {
    let host = match &mistake.problem {
        EntryProblem::BareIpv6(ip) => format!("[{ip}]"),
        EntryProblem::NumericIpv4(address) => address.to_string(),
        EntryProblem::HostBits { network } => HostPattern::Network(*network).to_string(),
        _ => return None,
    };
    let span = mistake.span_in(text);
    Some(format!(
        "{}{host}{}",
        text.get(..span.start)?,
        text.get(span.end..)?
    ))
}

/// True if the host is the app itself or a component of it, which HTTP alone reaches.
fn is_inside_the_app(text: &str) -> bool {
    let host = text.split(':').next().unwrap_or(text);
    Name::parse(host).is_ok_and(|name| name.is_the_app_itself() || name.is_service_chaining())
}

fn split(text: &str) -> (&str, &str) {
    text.split_once("://").unwrap_or(("*", text))
}

/// The suggestions for a bare IPv6 address. Where a scheme has a port of its own the whole was the address. Else the
/// last group was most likely the port.
fn bracketed_ipv6(text: &str, ip: Ipv6Addr) -> Vec<String> {
    let (scheme, rest) = split(text);
    let port_split_off = rest.trim_end_matches('/').rsplit_once(':');
    let split_off = port_split_off.map(|(address, port)| format!("{scheme}://[{address}]:{port}"));
    let whole = format!("{scheme}://[{ip}]");
    let open = any_service(&whole);
    [whole].into_iter().chain(split_off).chain([open]).collect()
}

/// The text before the first colon or slash of a text without `://`, if that is a scheme, and what is behind them.
/// What looks like a port is one: `http:80` is a host of that name.
pub(super) fn separated(text: &str) -> Option<(&'static str, &str)> {
    let end = text.find([':', '/'])?;
    let rest = text[end..].trim_start_matches([':', '/']);
    let is_port = rest
        .bytes()
        .all(|b| b.is_ascii_digit() || b"*{},.- ".contains(&b));
    let known = ["http", "https", "tcp", "udp", "*"];
    let scheme = known
        .into_iter()
        .find(|own| text[..end].eq_ignore_ascii_case(own))?;
    let is_address = rest.split([':', '/']).next()?.parse::<Ipv4Addr>().is_ok();
    (!is_port || is_address).then_some((scheme, rest))
}

/// A name alone is most often that of a web server. An address or a network is not.
fn without_scheme(text: &str) -> Vec<String> {
    let with_any = format!("*://{text}");
    match HostPattern::parse(text) {
        Ok(host @ (HostPattern::Address(_) | HostPattern::Network(_))) => {
            vec![any_service(&format!("*://{host}"))]
        }
        Err(EntryProblem::BareIpv6(ip)) => vec![any_service(&format!("*://[{ip}]"))],
        _ => vec![with_any, format!("https://{text}")],
    }
}

/// The same without user, path and what follows it. Of a scheme that nothing here speaks it is the entry for the one that
/// was meant, or else for a socket: the one that is written would permit nothing (AL-9).
fn of_host(text: &str) -> String {
    let (scheme, rest) = split(text);
    let host = rest.rsplit('@').next().unwrap_or(rest);
    let host = host.split(['/', '?', '#']).next().unwrap_or(host);
    let Some(url) = Scheme::parse(scheme).filter(|url| url.default_port().is_none()) else {
        return format!("{scheme}://{host}");
    };
    if let Some(meant) = url.misspelled() {
        return format!("{meant}://{host}");
    }
    let behind_brackets = host.rfind([']', '}']).unwrap_or(0);
    match usual_port(url.as_str()) {
        _ if host[behind_brackets..].contains(':') => format!("*://{host}"),
        Some(port) => format!("*://{host}:{port}"),
        None => any_service(&format!("*://{host}")),
    }
}

/// The ports of schemes that have none in an entry.
fn usual_port(scheme: &str) -> Option<u16> {
    match scheme {
        "ws" => Some(80),
        "wss" => Some(443),
        "ftp" => Some(21),
        _ => None,
    }
}

/// True if an `@` comes late: what stands before it may be the host and a path, or a user and a password.
fn has_a_late_at(text: &str) -> bool {
    let (_, rest) = split(text);
    let authority = rest.split(['/', '?', '#']).next().unwrap_or(rest);
    rest[authority.len()..].contains('@')
}

/// The part at fault as a list, if it holds commas. Where it has braces already, that can be read no better.
fn with_list(text: &str, mistake: &Mistake<'_>) -> Option<String> {
    let span = mistake.span_in(text);
    let part = text.get(span.clone()).filter(|part| part.contains(','))?;
    Some(format!("{}{{{part}}}{}", &text[..span.start], &text[span.end..]))
}
