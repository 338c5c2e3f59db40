//! Destinations that are only known by name: those that entries permit, and those that the operator denies.

use std::collections::HashMap;

use outport_policy::{Channel, Entry, Host, HostPattern, Hosts, KeptOut, PortSet, Region, Transport};

use super::flow::{channels, leaves};
use super::request::{NeededHost, Request};

/// A name, or all names below one, with the ports that guests may reach there.
#[derive(Clone, Debug)]
pub(super) struct Named {
    /// [`HostPattern::Name`] or [`HostPattern::Subdomains`].
    pub(super) pattern: HostPattern,
    pub(super) tcp: PortSet,
    pub(super) udp: PortSet,
    /// The first entry that says so.
    pub(super) cited: String,
    /// True if no entry permits raw sockets to all these ports.
    pub(super) by_url_alone: bool,
}

impl Named {
    pub(super) fn ports(&self, transport: Transport) -> &PortSet {
        match transport {
            Transport::Tcp => &self.tcp,
            Transport::Udp => &self.udp,
        }
    }
}

/// The names of the lists, each once, without what the deny list keeps out of them by name.
pub(super) fn permitted(
    request: &Request<'_>,
    kept_out: &KeptOut<'_>,
    direct: Option<&[(HostPattern, PortSet)]>,
) -> Vec<Named> {
    let mut found: Vec<Named> = Vec::new();
    let mut known: HashMap<HostPattern, usize> = HashMap::new();
    let udp_reaches = |region: &Region| ports(region, Transport::Udp, kept_out);
    for entry in request
        .policies
        .iter()
        .flat_map(|policy| policy.allow().entries())
    {
        for region in Region::permitted_by(entry).into_iter().filter(leaves) {
            let Some(pattern) = unknown_names(&region) else {
                continue;
            };
            let (tcp, udp) = (ports(&region, Transport::Tcp, kept_out), udp_reaches(&region));
            let (tcp, udp) = match direct {
                // Through the proxy nothing goes to the name itself.
                Some(direct) => {
                    let direct = direct_ports(&pattern, direct);
                    (tcp.intersection(&direct), udp.intersection(&direct))
                }
                None => (tcp, udp),
            };
            if tcp.is_empty() && udp.is_empty() {
                continue;
            }
            let by_url_alone = !entry.permits_sockets();
            let at = *known.entry(pattern.clone()).or_insert(found.len());
            match found.get_mut(at) {
                Some(named) => {
                    named.tcp = named.tcp.union(&tcp);
                    named.udp = named.udp.union(&udp);
                    named.by_url_alone |= by_url_alone;
                }
                None => found.push(Named {
                    pattern,
                    tcp,
                    udp,
                    cited: entry.cited().to_string(),
                    by_url_alone,
                }),
            }
        }
    }
    found
}

/// The names that are asked for, each with what it is of: those of the lists, through a proxy too, which is told addresses;
/// the denied ones that are resolved ahead; and those of what the process needs.
pub(super) fn asked(request: &Request<'_>, kept_out: &KeptOut<'_>) -> Vec<(HostPattern, String)> {
    let permitted = permitted(request, kept_out, None);
    let denied = denied(request.operator.deny.entries()).into_iter();
    let denied =
        denied.filter(|named| request.resolves_denied && matches!(named.pattern, HostPattern::Name(_)));
    let named = permitted.into_iter().chain(denied);
    let needed = request.needs.iter().filter_map(|need| match &need.at {
        NeededHost::Host(Host::Name(name)) => Some((HostPattern::Name(name.clone()), need.what.clone())),
        _ => None,
    });
    named
        .map(|named| (named.pattern, named.cited))
        .chain(needed)
        .collect()
}

/// The names of the deny list, with the ports that are denied there.
pub(super) fn denied(entries: &[Entry]) -> Vec<Named> {
    let mut found = Vec::new();
    for entry in entries {
        for region in Region::denied_by(entry) {
            let Some(pattern) = unknown_names(&region).filter(|_| leaves(&region)) else {
                continue;
            };
            let on = |transport| {
                let socket = Channel::Socket(transport);
                let denies = region.protocols.contains(socket.protocol());
                if denies {
                    region.ports.clone()
                } else {
                    PortSet::EMPTY
                }
            };
            found.push(Named {
                pattern,
                tcp: on(Transport::Tcp),
                udp: on(Transport::Udp),
                cited: entry.cited().to_string(),
                by_url_alone: false,
            });
        }
    }
    found
}

/// The names of a region, if nobody can know their addresses.
fn unknown_names(region: &Region) -> Option<HostPattern> {
    match &region.hosts {
        Hosts::Pattern(pattern @ (HostPattern::Name(name) | HostPattern::Subdomains(name)))
            if !name.is_localhost() =>
        {
            Some(pattern.clone())
        }
        _ => None,
    }
}

/// The ports that some channel of the transport may reach.
fn ports(region: &Region, transport: Transport, kept_out: &KeptOut<'_>) -> PortSet {
    let speaking = channels(transport).into_iter();
    let speaking = speaking.filter(|channel| region.protocols.contains(channel.protocol()));
    let cuts: Vec<Region> = kept_out.cuts_of(region).map(|cut| cut.region).collect();
    let left = speaking.map(|channel| {
        let cuts = cuts.iter().filter(|cut| {
            // What is denied below the names leaves the others.
            cut.hosts == region.hosts && cut.protocols.contains(channel.protocol())
        });
        cuts.fold(region.ports.clone(), |left, cut| left.difference(&cut.ports))
    });
    left.fold(PortSet::EMPTY, |sum, ports| sum.union(&ports))
}

fn direct_ports(pattern: &HostPattern, direct: &[(HostPattern, PortSet)]) -> PortSet {
    let covers = |wide: &HostPattern| match (wide, pattern) {
        (HostPattern::Any, _) => true,
        (HostPattern::Subdomains(apex), HostPattern::Subdomains(name)) => {
            apex == name || name.parents().any(|parent| parent == apex.as_str())
        }
        (wide, HostPattern::Name(name)) => wide.matches(&outport_policy::Host::Name(name.clone())),
        _ => false,
    };
    let direct = direct.iter().filter(|(wide, _)| covers(wide));
    direct.fold(PortSet::EMPTY, |sum, (_, ports)| sum.union(ports))
}
