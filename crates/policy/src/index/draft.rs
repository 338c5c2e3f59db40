//! An index while it is compiled: the cells by pattern, before the tables are laid out.

use std::collections::HashMap;

use foldhash::fast::RandomState;
use ipnet::IpNet;

use super::cell::{CellDraft, EntryId};
use super::{Index, Match, Networks};
use crate::{Entry, HostPattern, Name};

#[derive(Default)]
pub(super) struct Drafts {
    any: CellDraft,
    names: HashMap<Name, CellDraft, RandomState>,
    subdomains: HashMap<Name, CellDraft, RandomState>,
    networks: HashMap<IpNet, CellDraft, RandomState>,
    to_self: Option<EntryId>,
    named: CellDraft,
}

impl Drafts {
    pub(super) fn add(&mut self, id: EntryId, entry: &Entry, host: &HostPattern) {
        let draft = match host {
            HostPattern::Any => &mut self.any,
            HostPattern::Name(name) => self.names.entry(name.clone()).or_default(),
            HostPattern::Subdomains(apex) => self.subdomains.entry(apex.clone()).or_default(),
            HostPattern::Address(address) => self.networks.entry(address.ip().into()).or_default(),
            HostPattern::Network(net) => self.networks.entry(*net).or_default(),
            HostPattern::ToSelf => {
                self.to_self.get_or_insert(id);
                return;
            }
        };
        add(draft, id, entry);
        match host {
            // Of all names this one alone says which addresses it has.
            HostPattern::Name(name) | HostPattern::Subdomains(name) if name.is_localhost() => {}
            HostPattern::Name(_) | HostPattern::Subdomains(_) => add(&mut self.named, id, entry),
            _ => {}
        }
    }

    pub(super) fn finish(self, entries: Vec<Entry>) -> Index {
        let networks = self.networks.into_iter().map(|(net, draft)| {
            let by = if net.prefix_len() == net.max_prefix_len() {
                Match::Address
            } else {
                Match::Network
            };
            (net, (by, draft.finish()))
        });
        Index {
            entries,
            any: self.any.finish(),
            names: finish_names(self.names),
            subdomains: finish_names(self.subdomains),
            networks: Networks::compile(networks),
            to_self: self.to_self,
            named: self.named.finish(),
        }
    }
}

fn add(draft: &mut CellDraft, id: EntryId, entry: &Entry) {
    for scheme in entry.schemes() {
        for range in entry.ports_for(scheme).ranges() {
            draft.add(scheme, *range, id);
        }
    }
}

fn finish_names(drafts: HashMap<Name, CellDraft, RandomState>) -> HashMap<Name, super::Cell, RandomState> {
    drafts
        .into_iter()
        .map(|(name, draft)| (name, draft.finish()))
        .collect()
}
