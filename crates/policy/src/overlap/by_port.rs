//! Rules of one host, found by the ports that they name.
//!
//! Lists that a program writes have thousands of entries for one host, each with a port of its own. A rule for a few
//! ports next to each other is found by the first of them; the others are few, and always among what is found.

use crate::PortSet;

/// Numbers of rules.
#[derive(Clone, Debug, Default)]
pub(super) struct ByPort {
    wide: Vec<usize>,
    /// First port and rule, ascending once sorted.
    narrow: Vec<(u16, usize)>,
}

impl ByPort {
    pub(super) fn insert(&mut self, ports: &PortSet, rule: usize) {
        match hull(ports) {
            Some((first, last)) if last - first < NARROW => self.narrow.push((first, rule)),
            _ => self.wide.push(rule),
        }
    }

    /// Puts the rules in order. INVARIANT: called after the last insert and before the first question.
    pub(super) fn sort(&mut self) {
        self.narrow.sort_unstable();
    }

    /// Every rule that names one of these ports, and perhaps others.
    pub(super) fn near(&self, ports: &PortSet) -> impl Iterator<Item = usize> + use<'_> {
        let narrow = match hull(ports) {
            Some((first, last)) => {
                let from = self
                    .narrow
                    .partition_point(|(own, _)| *own < first.saturating_sub(NARROW - 1));
                let to = self.narrow.partition_point(|(own, _)| *own <= last);
                &self.narrow[from..to]
            }
            None => &[],
        };
        self.wide
            .iter()
            .copied()
            .chain(narrow.iter().map(|(_, rule)| *rule))
    }
}

/// Ports from the first to the last of a rule that is found by the first.
const NARROW: u16 = 16;

/// The first and the last port of a set.
fn hull(ports: &PortSet) -> Option<(u16, u16)> {
    let ranges = ports.ranges();
    Some((ranges.first()?.first(), ranges.last()?.last()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_rule_that_meets_the_ports_is_near_them() {
        let rules = [
            "1",
            "80",
            "80-95",
            "80-96",
            "443",
            "1-65535",
            "65535",
            "65520-65535",
            "80,443",
            "90,95",
            "1024-1030",
        ]
        .map(|text| PortSet::parse(text).unwrap());
        let mut by_port = ByPort::default();
        for (id, ports) in rules.iter().enumerate() {
            by_port.insert(ports, id);
        }
        by_port.sort();
        let asked = [
            "1", "80", "95", "96", "97", "443", "2-79", "81-94", "1-65535", "65535", "1,65535", "1030",
        ];
        for asked in asked.map(|text| PortSet::parse(text).unwrap()) {
            let near: Vec<usize> = by_port.near(&asked).collect();
            for (id, ports) in rules.iter().enumerate() {
                let meets = !ports.intersection(&asked).is_empty();
                assert!(!meets || near.contains(&id), "{ports} is not near {asked}");
            }
        }
        let one = PortSet::parse("443").unwrap();
        assert!(by_port.near(&one).count() <= 5, "most rules are elsewhere");
        assert_eq!(by_port.near(&PortSet::EMPTY).count(), by_port.wide.len());
    }

    #[test]
    fn rules_for_few_ports_are_not_near_ports_far_away() {
        let mut by_port = ByPort::default();
        for port in 1..=200usize {
            by_port.insert(&PortSet::parse(&port.to_string()).unwrap(), port);
        }
        by_port.sort();
        let near: Vec<usize> = by_port.near(&PortSet::parse("80-90").unwrap()).collect();
        assert_eq!(near, (65..=90).collect::<Vec<_>>());
    }
}
