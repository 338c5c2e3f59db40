//! Who talks to what: an edge from a component to a destination for each way of talking, with its counts.
//!
//! There are [`EDGES`] of them at most. A component has [`EDGES_OF_A_COMPONENT`] at most, of which [`REFUSED_OF_A_COMPONENT`]
//! may be of what it was only refused: so neither can one component hide what another does, nor a scan what it does itself.
//! What is beyond is summed up in an edge to [`OTHERS`]. An edge is never forgotten, so its counts are true.

use std::collections::HashMap;
use std::sync::Arc;

use serde::Serialize;

use super::text::Text;

/// Edges in all.
pub(super) const EDGES: usize = 2_000;

/// Edges of one component.
pub(super) const EDGES_OF_A_COMPONENT: usize = 500;

/// Those that nothing was permitted on.
pub(super) const REFUSED_OF_A_COMPONENT: usize = 100;

/// The destination of what there is no edge for.
pub(super) const OTHERS: &str = "others";

/// An edge, as the page gets it.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Edge {
    pub(super) id: usize,
    pub(super) component: Text,
    /// `tcp`, `udp`, `dns`, `https`, `redis`, …
    pub(super) kind: Text,
    /// The name, or else the address, with its port.
    pub(super) to: Text,
    /// The address last connected to, where `to` is a name.
    pub(super) address: Option<Text>,
    pub(super) allowed: u64,
    pub(super) refused: u64,
    pub(super) failed: u64,
    pub(super) open: u64,
    pub(super) sent: u64,
    pub(super) received: u64,
    /// Milliseconds since 1970.
    pub(super) last: u64,
    /// The rule that permitted it last.
    pub(super) rule: Option<Text>,
    /// The code of its last refusal.
    pub(super) reason: Option<&'static str>,
    /// The error of its last failure.
    pub(super) error: Option<Text>,
    /// The number of its last change.
    #[serde(skip)]
    pub(super) changed: u64,
    #[serde(skip)]
    was_permitted: bool,
}

/// All edges.
#[derive(Default)]
pub(super) struct Edges {
    edges: Vec<Edge>,
    by_key: HashMap<Key, usize>,
    of_components: HashMap<Text, Share>,
    /// Attempts that were summed up in an edge to [`OTHERS`].
    pub(super) folded: u64,
}

type Key = (Text, Text, Text);

#[derive(Default)]
struct Share {
    permitted: usize,
    refused: usize,
}

/// What is known of an edge.
#[derive(Clone, Copy)]
pub(super) struct Ends<'e> {
    pub(super) component: &'e Arc<str>,
    pub(super) kind: &'e str,
    pub(super) to: &'e str,
}

impl Edges {
    /// The edge with these ends; is it of what is permitted, it may be one of more.
    pub(super) fn of(&mut self, ends: Ends<'_>, is_permitted: bool) -> &mut Edge {
        let component = Text::from(ends.component);
        let key = (component.clone(), Text::whole(ends.kind), Text::bounded(ends.to));
        let id = match self.by_key.get(&key) {
            Some(id) => *id,
            None if self.has_room(&component, is_permitted) => self.add(key, is_permitted),
            None => {
                self.folded += 1;
                let others = (component.clone(), Text::whole(OTHERS), Text::whole(OTHERS));
                match self.by_key.get(&others) {
                    Some(id) => *id,
                    // One for each component, of which there are as many as the operator runs.
                    None => self.add(others, true),
                }
            }
        };
        let edge = &mut self.edges[id];
        if is_permitted && !edge.was_permitted {
            edge.was_permitted = true;
            let share = self.of_components.entry(component).or_default();
            share.refused -= 1;
            share.permitted += 1;
        }
        edge
    }

    fn has_room(&self, component: &Text, is_permitted: bool) -> bool {
        let share = self.of_components.get(component);
        let (permitted, refused) = share.map_or((0, 0), |share| (share.permitted, share.refused));
        self.edges.len() < EDGES
            && permitted + refused < EDGES_OF_A_COMPONENT
            && (is_permitted || refused < REFUSED_OF_A_COMPONENT)
    }

    fn add(&mut self, key: Key, is_permitted: bool) -> usize {
        let id = self.edges.len();
        let share = self.of_components.entry(key.0.clone()).or_default();
        if is_permitted {
            share.permitted += 1;
        } else {
            share.refused += 1;
        }
        self.edges.push(Edge {
            id,
            component: key.0.clone(),
            kind: key.1.clone(),
            to: key.2.clone(),
            address: None,
            allowed: 0,
            refused: 0,
            failed: 0,
            open: 0,
            sent: 0,
            received: 0,
            last: 0,
            rule: None,
            reason: None,
            error: None,
            changed: 0,
            was_permitted: is_permitted,
        });
        self.by_key.insert(key, id);
        id
    }

    /// The edge with this number.
    pub(super) fn numbered(&mut self, id: usize) -> Option<&mut Edge> {
        self.edges.get_mut(id)
    }

    /// Those that have changed since, the one that changed first in front, `most` at most.
    pub(super) fn changed_since(&self, change: u64, most: usize) -> Vec<Edge> {
        let mut changed: Vec<&Edge> = self.edges.iter().filter(|edge| edge.changed > change).collect();
        changed.sort_unstable_by_key(|edge| edge.changed);
        changed.into_iter().take(most).cloned().collect()
    }
}

impl Edge {
    /// Notes the rule that permitted it; a new text is made only where it is another one.
    pub(super) fn permitted_by(&mut self, rule: Option<&str>) {
        if self.rule.as_deref() != rule {
            self.rule = rule.map(Text::bounded);
        }
    }

    /// Notes the address that it leads to.
    pub(super) fn leads_to(&mut self, address: &str) {
        if *address != *self.to && self.address.as_deref() != Some(address) {
            self.address = Some(Text::bounded(address));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn component(name: &str) -> Arc<str> {
        name.into()
    }

    fn count(edges: &mut Edges, component: &Arc<str>, to: &str, is_permitted: bool) -> usize {
        let ends = Ends {
            component,
            kind: "tcp",
            to,
        };
        let edge = edges.of(ends, is_permitted);
        if is_permitted {
            edge.allowed += 1;
        } else {
            edge.refused += 1;
        }
        edge.id
    }

    #[test]
    fn a_scan_hides_neither_what_its_component_does_nor_what_others_do() {
        let (mut edges, scanner, other) = (Edges::default(), component("scanner"), component("other"));
        for port in 0..10_000 {
            count(&mut edges, &scanner, &format!("10.0.0.1:{port}"), false);
        }
        assert_eq!(edges.edges.len(), REFUSED_OF_A_COMPONENT + 1);
        assert_eq!(edges.folded, 10_000 - REFUSED_OF_A_COMPONENT as u64);
        for own in [&scanner, &other] {
            let id = count(&mut edges, own, "db.example.com:5432", true);
            assert_eq!(&*edges.edges[id].to, "db.example.com:5432");
        }
        let refused: u64 = edges.edges.iter().map(|edge| edge.refused).sum();
        assert_eq!(refused, 10_000, "nothing is lost");
    }

    #[test]
    fn what_was_refused_and_is_permitted_later_is_one_edge_and_gives_its_place_back() {
        let (mut edges, own) = (Edges::default(), component("web"));
        let first = count(&mut edges, &own, "10.0.0.1:1", false);
        assert_eq!(count(&mut edges, &own, "10.0.0.1:1", true), first);
        for port in 0..REFUSED_OF_A_COMPONENT {
            count(&mut edges, &own, &format!("10.0.0.2:{port}"), false);
        }
        assert_eq!(edges.folded, 0);
        count(&mut edges, &own, "10.0.0.3:1", false);
        assert_eq!(edges.folded, 1);
    }

    #[test]
    fn there_are_so_many_edges_whatever_components_do() {
        let mut edges = Edges::default();
        for number in 0..20 {
            let own = component(&format!("component-{number}"));
            for port in 0..1_000 {
                count(&mut edges, &own, &format!("10.0.0.1:{port}"), true);
            }
        }
        assert!(edges.edges.len() <= EDGES + 20, "{}", edges.edges.len());
        let allowed: u64 = edges.edges.iter().map(|edge| edge.allowed).sum();
        assert_eq!(allowed, 20_000);
        let long = count(&mut edges, &component("new"), &"é".repeat(5_000), true);
        assert_eq!(&*edges.edges[long].to, OTHERS);
        let mut edges = Edges::default();
        let long = count(&mut edges, &component("new"), &"é".repeat(5_000), true);
        assert_eq!(edges.edges[long].to.chars().count(), 301);
    }

    #[test]
    fn what_changed_is_told_in_order_and_as_much_as_is_asked_for() {
        let (mut edges, own) = (Edges::default(), component("web"));
        for number in 0..10 {
            let id = count(&mut edges, &own, &format!("10.0.0.1:{number}"), true);
            edges.edges[id].changed = 100 - number;
        }
        let told = |edges: &Edges, since, most| -> Vec<u64> {
            let changed = edges.changed_since(since, most);
            changed.iter().map(|edge| edge.changed).collect()
        };
        assert_eq!(told(&edges, 0, 3), [91, 92, 93]);
        assert_eq!(told(&edges, 97, 10), [98, 99, 100]);
        assert!(told(&edges, 100, 10).is_empty());
    }
}
