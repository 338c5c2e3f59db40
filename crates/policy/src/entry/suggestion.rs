//! What to write instead of an entry that cannot be read. A suggestion is offered only if it can be read itself.

use super::Entry;
use crate::Place;
use crate::entry_error::EntryProblem;
use crate::host_pattern::HostPattern;
use std::net::Ipv6Addr;

pub(super) fn instead_of(text: &str, problem: &EntryProblem) -> Option<Box<str>> {
    let candidates = match problem {
        EntryProblem::NoScheme => vec![format!("*://{text}"), format!("https://{text}")],
        EntryProblem::LoneWildcard | EntryProblem::InsecureAllowAll => vec!["*://*:*".to_owned()],
        EntryProblem::BareIpv6(ip) => bracketed_ipv6(text, *ip),
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

/// Where a scheme has a port of its own the whole was the address. Else the last group was most likely the port.
fn bracketed_ipv6(text: &str, ip: Ipv6Addr) -> Vec<String> {
    let (scheme, rest) = split(text);
    let port_split_off = rest.trim_end_matches('/').rsplit_once(':');
    let split_off = port_split_off.map(|(address, port)| format!("{scheme}://[{address}]:{port}"));
    let whole = format!("{scheme}://[{ip}]");
    let any_port = format!("{whole}:*");
    [whole].into_iter().chain(split_off).chain([any_port]).collect()
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
