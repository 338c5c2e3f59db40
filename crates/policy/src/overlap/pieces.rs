//! Rules in an order, found by a piece of that order and by the ports that they name.
//!
//! What lies inside a wide pattern is a long piece of the list of rules, of which few name the ports of an entry. So
//! the list is cut into blocks, blocks of two blocks and so on, each of which has its [rules by port](ByPort); a piece
//! is some whole blocks, and what remains at both ends is looked through. Blocks are made when somebody asks for a long
//! piece first: most lists have no wide entries.
//!
//! ```text
//! rules   |. . . .|. . . .|. . . .|. . . .|. .
//! level 0 |       |       |       |       |
//! level 1 |               |               |
//! asked:        ===========================      two rules, one block, one of level 1, one rule
//! ```

use std::ops::Range;
use std::sync::OnceLock;

use super::by_port::ByPort;
use super::rules::Rule;
use crate::PortSet;

/// Rules of an order; what they are is told when they are asked for.
#[derive(Debug, Default)]
pub(super) struct Pieces {
    order: Vec<usize>,
    levels: OnceLock<Vec<Vec<ByPort>>>,
}

impl Pieces {
    pub(super) fn new(order: Vec<usize>) -> Self {
        Self {
            order,
            levels: OnceLock::new(),
        }
    }

    /// The number of rules.
    pub(super) fn len(&self) -> usize {
        self.order.len()
    }

    /// The rules of the piece that name one of these ports, and perhaps others. `rules` are those that the numbers
    /// stand for.
    pub(super) fn near<'a>(
        &'a self,
        piece: Range<usize>,
        rules: &'a [Rule],
        ports: &PortSet,
    ) -> impl Iterator<Item = usize> + use<'a> {
        let mut parts = Vec::new();
        if piece.len() < LONG {
            parts.push(Part::Rules(&self.order[piece]));
        } else {
            let (first, last) = (piece.start.div_ceil(BLOCK), piece.end / BLOCK);
            parts.push(Part::Rules(&self.order[piece.start..first * BLOCK]));
            self.blocks(first..last, rules, &mut parts);
            parts.push(Part::Rules(&self.order[last * BLOCK..piece.end]));
        }
        let ports = ports.clone();
        parts.into_iter().flat_map(move |part| part.near(&ports))
    }

    /// The largest blocks that make up these of the lowest level.
    fn blocks<'a>(&'a self, blocks: Range<usize>, rules: &[Rule], parts: &mut Vec<Part<'a>>) {
        let levels = self.levels.get_or_init(|| levels(&self.order, rules));
        let mut at = blocks.start;
        while at < blocks.end {
            let fits = |level: &usize| at.is_multiple_of(1 << level) && at + (1 << level) <= blocks.end;
            let level = (0..levels.len()).take_while(fits).last().unwrap_or(0);
            parts.push(Part::Block(&levels[level][at >> level]));
            at += 1 << level;
        }
    }
}

/// A part of a piece.
enum Part<'a> {
    Rules(&'a [usize]),
    Block(&'a ByPort),
}

impl<'a> Part<'a> {
    fn near(self, ports: &PortSet) -> Box<dyn Iterator<Item = usize> + 'a> {
        match self {
            Self::Rules(rules) => Box::new(rules.iter().copied()),
            Self::Block(block) => Box::new(block.near(ports)),
        }
    }
}

/// The whole blocks of each level, from the lowest to the one with a single block.
fn levels(order: &[usize], rules: &[Rule]) -> Vec<Vec<ByPort>> {
    let size = |level: usize| BLOCK << level;
    let levels = (0..usize::BITS as usize).take_while(|level| size(*level) <= order.len());
    levels
        .map(|level| {
            let blocks = order.chunks_exact(size(level));
            blocks.map(|block| by_port(block, rules)).collect()
        })
        .collect()
}

fn by_port(block: &[usize], rules: &[Rule]) -> ByPort {
    let mut by_port = ByPort::default();
    for id in block {
        by_port.insert(&rules[*id].ports, *id);
    }
    by_port.sort();
    by_port
}

/// Rules of a block of the lowest level.
const BLOCK: usize = 64;

/// Rules of the shortest piece for which blocks are made.
const LONG: usize = 2 * BLOCK;

#[cfg(test)]
mod tests {
    use super::super::rules::Readings;
    use super::*;
    use crate::{HostPattern, Protocols};

    fn rule(ports: &str, owner: usize) -> Rule {
        Rule {
            protocols: Protocols::all(),
            host: HostPattern::Any,
            ports: PortSet::parse(ports).unwrap(),
            readings: Readings::All,
            owner,
        }
    }

    #[test]
    fn a_piece_has_each_of_its_rules_once_that_names_the_ports_and_no_rule_of_others() {
        let texts = ["1-65535", "80", "443", "8000-8100", "80,5432"];
        for count in [0, 1, 63, 64, 127, 128, 129, 1000] {
            let rules: Vec<Rule> = (0..count).map(|n| rule(texts[n * n % 5], n)).collect();
            let order: Vec<usize> = (0..count).rev().collect();
            let pieces = Pieces::new(order.clone());
            assert_eq!(pieces.len(), count);
            let ends = [0, 1, 60, 64, 65, 127, 128, 200, 256, 511, 512, 999, 1000];
            let ends = ends.into_iter().filter(|end| *end <= count);
            for (start, end) in ends
                .clone()
                .flat_map(|end| ends.clone().map(move |start| (start, end)))
            {
                if start > end {
                    continue;
                }
                for ports in ["80", "5432", "1-65535", "9"].map(|text| PortSet::parse(text).unwrap()) {
                    let mut near: Vec<usize> = pieces.near(start..end, &rules, &ports).collect();
                    near.sort_unstable();
                    let all = near.len();
                    near.dedup();
                    assert_eq!(near.len(), all, "{start}..{end} of {count}: one was found twice");
                    assert!(near.iter().all(|id| order[start..end].contains(id)));
                    for id in &order[start..end] {
                        let meets = !rules[*id].ports.intersection(&ports).is_empty();
                        assert!(
                            !meets || near.contains(id),
                            "{start}..{end} of {count}: {id}, {ports}"
                        );
                    }
                }
            }
        }
    }

    #[test]
    fn a_long_piece_is_not_looked_through() {
        let rules: Vec<Rule> = (0..10_000).map(|n| rule(&(n + 1).to_string(), n)).collect();
        let pieces = Pieces::new((0..rules.len()).collect());
        let near = pieces.near(1..9_999, &rules, &PortSet::parse("5000").unwrap());
        let most = 2 * BLOCK + 16 * 16;
        assert!(near.count() < most);
        // 1, 2-3, 4-7, 8-15, 16-31, 32-63, 64-127, 128-143, 144-151, 152-155
        let mut parts = Vec::new();
        pieces.blocks(1..156, &rules, &mut parts);
        assert_eq!(parts.len(), 10);
    }
}
