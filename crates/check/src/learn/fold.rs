//! Entries put together, where somebody asked for it: names below one parent into a wildcard, addresses into a network.
//!
//! | asked | what is put together | into |
//! | --- | --- | --- |
//! | names | three names or more right below one parent, of the same scheme and ports | `*.PARENT` |
//! | networks | two addresses or more of the same scheme and ports, within a /24 or a /64 | their longest common prefix |
//!
//! Never below a public suffix (`*.com`, `*.co.uk`, `*.github.io`) or a single label, where anybody may have a name. Never a
//! network of loopback or link-local addresses: such an entry says that answers with them are meant (DNS-9). Nor one in which
//! a metadata service is, however near its address lies.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;
use outport_policy::{Host, METADATA_SERVICES, Name, redundant};

use super::least::{Draft, DraftHost, Kind};
use crate::findings::is_public_suffix;

/// What may be put together. Default: nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Fold {
    /// Names, into wildcards.
    pub names: bool,
    /// Addresses, into networks.
    pub networks: bool,
}

/// An entry that stands for several.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Folded {
    /// The entries whose place it takes.
    pub instead_of: Vec<String>,
    /// What it lets in besides.
    pub lets_in: String,
}

/// The drafts, put together as asked.
pub(super) fn fold(mut drafts: Vec<Draft<'_>>, asked: Fold) -> Vec<Draft<'_>> {
    if asked.names {
        drafts = together(drafts, LEAST_NAMES, parent_of, wildcard);
    }
    if asked.networks {
        drafts = together(drafts, LEAST_ADDRESSES, network_of, network);
    }
    if asked == Fold::default() {
        return drafts;
    }
    without_needless(drafts)
}

/// Hosts put together, and which others that has.
struct Put {
    host: String,
    lets_in: String,
}

/// Puts those together that have the same scheme, the same ports and the same group.
fn together<'u, G: Ord + Clone>(
    drafts: Vec<Draft<'u>>,
    at_least: usize,
    group_of: fn(&Host) -> Option<G>,
    put: fn(&G, &[Draft<'u>]) -> Option<Put>,
) -> Vec<Draft<'u>> {
    let mut groups: BTreeMap<(Kind, Vec<u16>, G), Vec<Draft<'u>>> = BTreeMap::new();
    let mut result = Vec::new();
    for draft in drafts {
        let group = match &draft.host {
            DraftHost::One(host) if draft.kind != Kind::App => group_of(host),
            _ => None,
        };
        match group {
            Some(group) => {
                let ports = draft.ports.iter().copied().collect();
                let key = (draft.kind.clone(), ports, group);
                groups.entry(key).or_default().push(draft);
            }
            None => result.push(draft),
        }
    }
    for ((kind, _, group), members) in groups {
        let put = (members.len() >= at_least)
            .then(|| put(&group, &members))
            .flatten();
        match put {
            None => result.extend(members),
            Some(Put { host, lets_in }) => result.push(Draft {
                kind,
                host: DraftHost::Pattern(host),
                ports: members[0].ports.clone(),
                folded: Some(Folded {
                    instead_of: members.iter().map(Draft::text).collect(),
                    lets_in: format!("{lets_in}, on {}", ports(&members[0])),
                }),
                uses: members.into_iter().flat_map(|member| member.uses).collect(),
            }),
        }
    }
    result
}

fn ports(draft: &Draft<'_>) -> String {
    let word = if draft.ports.len() == 1 { "port" } else { "ports" };
    format!("{word} {}", draft.ports_text())
}

/// The name right above, where a wildcard below it is nobody else's.
fn parent_of(host: &Host) -> Option<Name> {
    let Host::Name(name) = host else { return None };
    let parent = Name::parse(name.parents().next()?).ok()?;
    (parent.has_dot() && !is_public_suffix(&parent)).then_some(parent)
}

fn wildcard(parent: &Name, _: &[Draft<'_>]) -> Option<Put> {
    Some(Put {
        host: format!("*.{parent}"),
        lets_in: format!("every other name below `{parent}`"),
    })
}

/// The widest network that the address may be put into.
fn network_of(host: &Host) -> Option<IpNet> {
    let Host::Address(address) = host else { return None };
    let is_of_its_own = address.reads_as_loopback()
        || address.reads_as_link_local()
        || address.reads_as_multicast()
        || address.reads_as_metadata_service()
        // Of addresses that stand for others, those in between do too.
        || address.readings().count() > 1;
    if is_of_its_own {
        return None;
    }
    let widest = match address.ip() {
        IpAddr::V4(_) => WIDEST_V4,
        IpAddr::V6(_) => WIDEST_V6,
    };
    IpNet::new(address.ip(), widest).ok().map(|net| net.trunc())
}

fn network(_: &IpNet, members: &[Draft<'_>]) -> Option<Put> {
    let addresses = members.iter().filter_map(|member| match &member.host {
        DraftHost::One(Host::Address(address)) => Some(address.ip()),
        _ => None,
    });
    let net = common(addresses)?;
    if METADATA_SERVICES.iter().any(|service| net.contains(service)) {
        return None;
    }
    let size = match net {
        IpNet::V4(_) => 32 - net.prefix_len(),
        IpNet::V6(_) => 128 - net.prefix_len(),
    };
    let others = (1_u128 << size).saturating_sub(members.len() as u128);
    let lets_in = match others {
        0 => "no other address".to_owned(),
        1 => format!("the other address of {net}"),
        others => format!("the other {others} addresses of {net}"),
    };
    let host = match net {
        IpNet::V4(net) => net.to_string(),
        IpNet::V6(net) => format!("[{}]/{}", net.addr(), net.prefix_len()),
    };
    Some(Put { host, lets_in })
}

/// The longest prefix that all have, which are of one family.
fn common(addresses: impl Iterator<Item = IpAddr>) -> Option<IpNet> {
    let (mut first, mut last): (Option<IpAddr>, Option<IpAddr>) = (None, None);
    for address in addresses {
        first = Some(first.map_or(address, |first| first.min(address)));
        last = Some(last.map_or(address, |last| last.max(address)));
    }
    let prefix = match (first?, last?) {
        (IpAddr::V4(a), IpAddr::V4(b)) => (bits_v4(a) ^ bits_v4(b)).leading_zeros(),
        (IpAddr::V6(a), IpAddr::V6(b)) => (bits_v6(a) ^ bits_v6(b)).leading_zeros(),
        _ => return None,
    };
    IpNet::new(first?, u8::try_from(prefix).ok()?)
        .ok()
        .map(|net| net.trunc())
}

fn bits_v4(address: Ipv4Addr) -> u32 {
    address.to_bits()
}

fn bits_v6(address: Ipv6Addr) -> u128 {
    address.to_bits()
}

/// Without those that a wildcard or a network permits all of, whose uses become that one's.
fn without_needless(drafts: Vec<Draft<'_>>) -> Vec<Draft<'_>> {
    let parsed: Vec<_> = drafts
        .into_iter()
        .filter_map(|draft| Some((draft.clone().entry()?.entry, draft)))
        .collect();
    let (entries, mut drafts): (Vec<_>, Vec<_>) = parsed.into_iter().unzip();
    let mut needless: Vec<(usize, Option<usize>)> = Vec::new();
    for one in redundant(&entries) {
        let covered_by = one.covered_by.first();
        let owner = covered_by.and_then(|by| entries.iter().position(|entry| entry == *by));
        needless.push((one.number, owner));
    }
    for (number, owner) in &needless {
        let uses = std::mem::take(&mut drafts[*number].uses);
        if let Some(owner) = owner {
            drafts[*owner].uses.extend(uses);
        }
    }
    let is_needless = |number: &usize| needless.iter().any(|(own, _)| own == number);
    let kept = drafts.into_iter().enumerate();
    let kept = kept
        .filter(|(number, _)| !is_needless(number))
        .map(|(_, draft)| draft);
    let mut kept: Vec<_> = kept.collect();
    kept.sort_by_key(Draft::text);
    kept
}

/// So many names below one parent are more than chance.
const LEAST_NAMES: usize = 3;

/// So many addresses make a network.
const LEAST_ADDRESSES: usize = 2;

const WIDEST_V4: u8 = 24;
const WIDEST_V6: u8 = 64;
