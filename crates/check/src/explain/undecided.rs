//! The questions that only the addresses of an answer can decide, where none were assumed.
//!
//! Nothing is looked up and no address is invented: what the operator's list and the author's say of addresses is told
//! as it is written.
//!
//! - **Refused answers**: the networks and addresses that the operator denies to the attempt, and the denied names of
//!   which an answer may hold an address, if they are resolved (DL-5).
//! - **Permitted answers**: the networks and addresses that an entry names, where the name alone is not permitted.
//!
//! Not among them: addresses of this machine and link, which are refused to every name, those of an egress proxy, and
//! aliases of denied names (DL-4).

use std::collections::HashSet;
use std::fmt::Write;
use std::net::{Ipv4Addr, Ipv6Addr};

use outport_policy::{Address, Entry, Host, HostPattern, Name, Operator, Policy, Protocol, Transport, text};
use serde::Serialize;

use super::inquiry::stays_inside;
use super::{Assumption, Question};
use crate::findings::DeniedNames;
use crate::renderer::wrap;

/// The part that an answer decides.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Undecided {
    /// The name whose addresses are left open.
    pub name: String,
    /// The entries and networks, with their places, that refuse an answer which they cover.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub refused_answers: Vec<String>,
    /// The entries, with their places, by which an answer that they cover gets through. All others do not.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub permitted_answers: Vec<String>,
    /// The number of further ones of either, which are not listed.
    #[serde(skip_serializing_if = "is_zero")]
    pub more: usize,
}

/// The purpose of an answer.
#[derive(Clone, Copy, Debug)]
pub(super) enum Purpose<'a> {
    /// A connect to a port.
    Port(Protocol<'a>, u16),
    /// A look-up, whatever comes then: an answer of which no port is left is refused.
    AnyPort,
}

/// Entries that are listed.
const MOST_LISTED: usize = 16;

impl Undecided {
    pub(super) fn to_text(&self, columns: usize) -> String {
        let mut text = String::new();
        for (title, entries) in [
            ("An answer is refused if this covers it:", &self.refused_answers),
            (
                "An answer gets through only if this covers it:",
                &self.permitted_answers,
            ),
        ] {
            if entries.is_empty() {
                continue;
            }
            let _ = writeln!(text, "\n{title}");
            for entry in entries {
                let _ = writeln!(text, "{}", wrap(&text::terminal(entry), (2, 4), columns));
            }
            if self.more > 0 {
                let _ = writeln!(text, "  and {} more", self.more);
            }
        }
        text
    }

    pub(super) fn is_empty(&self) -> bool {
        self.refused_answers.is_empty() && self.permitted_answers.is_empty()
    }

    /// The answers that the operator refuses.
    pub(super) fn refused(name: &Name, policy: &Policy, purpose: Purpose<'_>, names: DeniedNames) -> Self {
        let deny = &policy.operator().deny;
        let blocked = deny.blocked_networks().iter();
        let blocked = blocked.map(|blocked| format!("{blocked} ({})", blocked.location()));
        let entries = deny
            .entries()
            .iter()
            .filter(|entry| purpose.is_denied_by(entry) && covers_answers(entry, names))
            .map(|entry| entry.cited().to_string());
        let (refused_answers, more) = listed(blocked.chain(entries));
        Self {
            name: name.to_string(),
            refused_answers,
            more,
            ..Self::default()
        }
    }

    /// The answers that an entry permits by their addresses.
    pub(super) fn permitted(name: &Name, policy: &Policy, transport: Transport, port: u16) -> Self {
        let entries = by_address(policy, transport, port);
        let (permitted_answers, more) = listed(entries.map(|entry| entry.cited().to_string()));
        Self {
            name: name.to_string(),
            permitted_answers,
            more,
            ..Self::default()
        }
    }
}

impl Purpose<'_> {
    /// True if the entry denies it to what its hosts cover.
    fn is_denied_by(self, entry: &Entry) -> bool {
        let mut schemes = entry.schemes().iter();
        schemes.any(|scheme| match self {
            Self::Port(protocol, port) => scheme.denies(protocol) && entry.ports_for(scheme).contains(port),
            Self::AnyPort => {
                scheme.denies(Protocol::Socket(Transport::Tcp)) && entry.ports_for(scheme).is_all()
            }
        })
    }
}

/// True if an entry of the deny list can refuse an address of a name that it does not cover.
fn covers_answers(entry: &Entry, names: DeniedNames) -> bool {
    entry.hosts().iter().any(|host| match host {
        HostPattern::Address(_) | HostPattern::Network(_) => true,
        HostPattern::Name(name) => names == DeniedNames::Resolved && !name.is_localhost(),
        HostPattern::Subdomains(_) | HostPattern::Any | HostPattern::ToSelf => false,
    })
}

/// A note on what is allowed as long as it has no address of a denied name of which nothing is assumed. None where there is
/// no such name, or no address is asked for.
pub(super) fn unknown_names(
    question: &Question,
    operator: &Operator,
    assumed: &[Assumption],
) -> Option<String> {
    let purpose = match question {
        Question::Socket { transport, port, .. } => Purpose::Port(Protocol::Socket(*transport), *port),
        Question::Request {
            host: Host::Name(name),
            ..
        } if stays_inside(name) => return None,
        Question::Request { scheme, port, .. } => Purpose::Port(Protocol::Url(scheme), *port),
        Question::Lookup { .. } => Purpose::AnyPort,
        Question::Open { .. } | Question::Tls { .. } => return None,
    };
    let denying = operator.deny.entries().iter();
    let hosts = denying
        .filter(|entry| purpose.is_denied_by(entry))
        .flat_map(Entry::hosts);
    // Those that are said already are as good as seen.
    let mut seen: HashSet<&Name> = assumed.iter().map(|assumption| &assumption.name).collect();
    let unknown: Vec<&Name> = hosts
        .filter_map(|host| match host {
            HostPattern::Name(name) if !name.is_localhost() => Some(name),
            _ => None,
        })
        .filter(|name| seen.insert(name))
        .collect();
    let (say, option) = match unknown.as_slice() {
        [] => return None,
        [name] => (name.to_string(), format!("{name}=ADDRESS")),
        [names @ .., last] if names.len() < MOST_NAMED => {
            let names: Vec<String> = names.iter().map(ToString::to_string).collect();
            (
                format!("{} and {last}", names.join(", ")),
                "NAME=ADDRESS".to_owned(),
            )
        }
        names => {
            let named: Vec<String> = names.iter().take(MOST_NAMED).map(ToString::to_string).collect();
            let more = names.len() - MOST_NAMED;
            (
                format!("{} and {more} more", named.join(", ")),
                "NAME=ADDRESS".to_owned(),
            )
        }
    };
    Some(format!(
        "this is denied if a denied name has the same address: say what {say} {} to with `--dns {option}`",
        if unknown.len() == 1 { "resolves" } else { "resolve" }
    ))
}

/// Denied names that a note names.
const MOST_NAMED: usize = 3;

/// True if an entry permits the port for addresses or networks that it names.
pub(super) fn has_addresses(policy: &Policy, transport: Transport, port: u16) -> bool {
    by_address(policy, transport, port).next().is_some()
}

/// The entries that permit the port for addresses or networks that they name.
fn by_address(policy: &Policy, transport: Transport, port: u16) -> impl Iterator<Item = &Entry> {
    let protocol = Protocol::Socket(transport);
    policy.allow().entries().iter().filter(move |entry| {
        let mut schemes = entry.schemes().iter();
        schemes.any(|scheme| scheme.permits(protocol) && entry.ports_for(scheme).contains(port))
            && entry.hosts().iter().any(is_of_addresses)
    })
}

fn is_of_addresses(host: &HostPattern) -> bool {
    matches!(host, HostPattern::Address(_) | HostPattern::Network(_))
}

fn listed(texts: impl Iterator<Item = String>) -> (Vec<String>, usize) {
    let mut texts = texts;
    let listed = texts.by_ref().take(MOST_LISTED).collect();
    (listed, texts.count())
}

fn is_zero(number: &usize) -> bool {
    *number == 0
}

/// An address that stands for every answer of which no list speaks: `free` of the operator's list, and of the author's
/// where there is one such. It is judged and never shown. Where each one that is tried is denied, one that is.
pub(super) fn any_answer(policy: &Policy, free: impl Fn(Address) -> bool) -> Address {
    let documentation = [[203, 0, 113, 1], [198, 51, 100, 1], [192, 0, 2, 1]].map(Ipv4Addr::from);
    let public = (1..=223).filter(|first| *first != Ipv4Addr::LOCALHOST.octets()[0]);
    let public = public.map(|first| Ipv4Addr::new(first, 1, 1, 1));
    let v6 = (0..=255).map(|low| Ipv6Addr::new(0x2600 + low, 1, 1, 1, 1, 1, 1, 1));
    let v4 = documentation.into_iter().chain(public).map(Address::from);
    let mut all_free = v4
        .chain(v6.map(|ip| Address::new(ip.into())))
        .filter(|address| free(*address));
    let Some(any) = all_free.next() else {
        return documentation[0].into();
    };
    let unnamed = |address: &Address| {
        let mut hosts = policy.allow().entries().iter().flat_map(Entry::hosts);
        !hosts.any(|host| match host {
            HostPattern::Address(own) => own == address,
            HostPattern::Network(net) => net.contains(&address.ip()),
            HostPattern::Any | HostPattern::Name(_) | HostPattern::Subdomains(_) | HostPattern::ToSelf => {
                false
            }
        })
    };
    std::iter::once(any).chain(all_free).find(unnamed).unwrap_or(any)
}
