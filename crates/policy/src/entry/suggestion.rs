//! What to write instead of an entry that cannot be read. A suggestion is offered only if it can be read itself.

use super::Entry;
use crate::Place;
use crate::entry_error::EntryProblem;
use crate::host_pattern::HostPattern;

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
    HostPattern::Network(*network).to_string()
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
