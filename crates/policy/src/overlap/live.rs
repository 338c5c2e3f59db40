//! The part of one host that is still live: ports by protocol.

use super::rules::Rule;
use crate::{Channel, PortSet};

/// Ports by protocol, for one host or a part of the hosts that is treated alike.
#[derive(Clone, Debug)]
pub(super) struct Live(Vec<(Channel, PortSet)>);

impl Live {
    pub(super) fn new(channels: impl Iterator<Item = Channel>, ports: &PortSet) -> Self {
        Self(channels.map(|channel| (channel, ports.clone())).collect())
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The ports that are live for any protocol.
    pub(super) fn ports(&self) -> PortSet {
        match &self.0[..] {
            [(_, ports)] => ports.clone(),
            all => all
                .iter()
                .flat_map(|(_, ports)| ports.ranges())
                .copied()
                .collect(),
        }
    }

    /// Takes away what the rule covers.
    pub(super) fn subtract(&mut self, rule: &Rule) {
        for (channel, ports) in &mut self.0 {
            if rule.protocols.contains(channel.protocol()) && meet(ports, &rule.ports) {
                *ports = ports.difference(&rule.ports);
            }
        }
        self.0.retain(|(_, ports)| !ports.is_empty());
    }

    /// One protocol and port that are live.
    pub(super) fn example(&self) -> Option<(Channel, u16)> {
        let (channel, ports) = self.0.first()?;
        Some((channel.clone(), ports.ranges().first()?.first()))
    }
}

/// True if two sets have a port in common, without making the set of those.
pub(super) fn meet(a: &PortSet, b: &PortSet) -> bool {
    let (mut a, mut b) = (a.ranges(), b.ranges());
    while let ([x, ..], [y, ..]) = (a, b) {
        if x.last() < y.first() {
            a = &a[1..];
        } else if y.last() < x.first() {
            b = &b[1..];
        } else {
            return true;
        }
    }
    false
}
