//! What passes for a layer below that has no denials: networks with exceptions, for ports with the same exceptions.
//!
//! Networks that are permitted may be denied in part, on some ports. So the ports are cut where what is denied changes, and
//! for each piece the denied networks are the exceptions of the permitted ones: fewer by far than what would be left of the
//! networks. Pieces with the same exceptions are one.

use std::collections::BTreeSet;

use ipnet::IpNet;
use outport_policy::{PortRange, PortSet};

use super::flow::Flow;
use super::line::Line;
use super::space::{Range, Space};
use super::{MOST_NETWORKS, TooLarge, check};

/// Networks that pass on the same ports.
#[derive(Debug)]
pub(super) struct Slice {
    pub(super) ports: PortSet,
    pub(super) networks: Vec<Network>,
}

/// A network with networks inside it that do not pass.
#[derive(Debug)]
pub(super) struct Network {
    pub(super) cidr: IpNet,
    pub(super) except: Vec<IpNet>,
}

/// What passes of a flow, but for what it has by masks.
pub(super) fn slices(flow: &Flow) -> Result<Vec<Slice>, TooLarge> {
    let mut slices = Vec::new();
    let mut count = 0;
    for group in flow.accepted.groups() {
        let nets = group.ranges().flat_map(Range::networks);
        let nets: Vec<IpNet> = nets.collect();
        let denied = Space::of(nets.iter().map(|net| (*net, group.ports.clone()))).intersection(&flow.denied);
        for (ports, denied) in pieces(&group.ports, &denied) {
            let mut networks = Vec::new();
            for net in &nets {
                let network = with_exceptions(*net, &denied);
                count += network.as_ref().map_or(0, |network| 1 + network.except.len());
                check(count, MOST_NETWORKS, "networks")?;
                networks.extend(network);
            }
            if !networks.is_empty() {
                slices.push(Slice { ports, networks });
            }
        }
    }
    Ok(slices)
}

/// The ports by what is denied on them.
fn pieces(ports: &PortSet, denied: &Space) -> Vec<(PortSet, Vec<IpNet>)> {
    let spans = || denied.v4.spans().iter().chain(denied.v6.spans());
    let mut sets: Vec<&PortSet> = spans().map(|span| &span.ports).collect();
    sets.sort_unstable_by(|a, b| a.ranges().cmp(b.ranges()));
    sets.dedup();
    let ranges = sets.iter().flat_map(|set| set.ranges());
    let borders: BTreeSet<u16> = ranges
        .flat_map(|range| [Some(range.first()), range.last().checked_add(1)])
        .flatten()
        .chain([1])
        .collect();
    let borders: Vec<u16> = borders.into_iter().collect();
    // By the sets that have these ports: only few spans differ in them.
    let mut pieces: Vec<(Vec<bool>, PortSet)> = Vec::new();
    for (index, first) in borders.iter().enumerate() {
        let last = borders.get(index + 1).map_or(u16::MAX, |next| next - 1);
        let piece: PortSet = PortRange::new(*first, last).into_iter().collect();
        let piece = piece.intersection(ports);
        if piece.is_empty() {
            continue;
        }
        let having: Vec<bool> = sets.iter().map(|set| set.contains(*first)).collect();
        match pieces.iter_mut().find(|(known, _)| *known == having) {
            Some((_, ports)) => *ports = ports.union(&piece),
            None => pieces.push((having, piece)),
        }
    }
    let pieces = pieces.into_iter().map(|(_, ports)| {
        let at = |line: &Line| line_on(line, &ports);
        let on = Space {
            v4: at(&denied.v4),
            v6: at(&denied.v6),
        };
        let groups = on.groups();
        let mut nets: Vec<IpNet> = groups
            .iter()
            .flat_map(super::space::Group::ranges)
            .flat_map(Range::networks)
            .collect();
        nets.sort_unstable();
        (ports, nets)
    });
    pieces.collect()
}

/// The addresses of the line that have these ports, all of which they have or none.
fn line_on(line: &Line, ports: &PortSet) -> Line {
    let spans = line.spans().iter().filter_map(|span| {
        let meets = !span.ports.intersection(ports).is_empty();
        meets.then(|| super::line::Span {
            ports: ports.clone(),
            ..span.clone()
        })
    });
    Line::of(spans.collect())
}

/// The network without those of `denied`, which are in order; nothing where that is all of it.
fn with_exceptions(cidr: IpNet, denied: &[IpNet]) -> Option<Network> {
    let inside = denied
        .iter()
        .filter(|net| cidr.contains(*net) || net.contains(&cidr));
    let except: Vec<IpNet> = inside.copied().collect();
    let all = except.iter().any(|net| net.contains(&cidr));
    (!all).then_some(Network { cidr, except })
}
