//! The search for a destination that is left.
//!
//! For a name it is one question. Below a name and for `*` there are more names than rules, so some fresh name is
//! tried until no rule inside covers it. For a network it is a walk to the gaps between the rules.
//!
//! IPv6 addresses may embed IPv4 addresses, which have rules of their own. In a gap the search prefers an address
//! that embeds nothing. Where there is none, all of the gap is of one form of embedding, and the gaps of the IPv4
//! rules are tried. Forms with two IPv4 addresses in one are searched one address at a time: what is found is
//! right, but if nothing is found, that is no proof, and the search says so.

use std::ops::ControlFlow;

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

use super::live::Live;
use super::networks::Prefix;
use super::rules::{Readings, Rule, Rules};
use crate::algebra::{Certainty, Embedding, samples};
use crate::{Destination, Host, HostPattern, Hosts, Name, Region};

/// The way in which a search ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Search {
    /// This is left.
    Found(Destination),
    /// Nothing is left, for certain.
    Nothing,
    /// Nothing was found.
    GaveUp,
}

/// The rules that count.
#[derive(Clone, Copy, Default)]
pub(crate) struct Filter<'f> {
    /// Rules of these owners count; `None`: all.
    pub(crate) owners: Option<&'f dyn Fn(usize) -> bool>,
    /// The choice whether rules for `*` count.
    pub(crate) wildcards: Wildcards,
}

/// The choice whether rules for `*` count.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Wildcards {
    #[default]
    Count,
    Ignored,
}

impl Filter<'_> {
    pub(super) fn passes(&self, rule: &Rule) -> bool {
        let owner = self.owners.is_none_or(|owners| owners(rule.owner));
        owner && (self.wildcards == Wildcards::Count || rule.host != HostPattern::Any)
    }
}

impl Rules {
    /// Looks for a destination of the region that no rule covers.
    pub(super) fn left(&self, region: &Region, filter: &Filter<'_>) -> Search {
        let Hosts::Pattern(pattern) = &region.hosts else {
            return Search::GaveUp;
        };
        let mut live = Live::new(self.channels(&region.protocols), &region.ports);
        self.subtract(&mut live, pattern, filter);
        if live.is_empty() {
            return Search::Nothing;
        }
        match pattern {
            HostPattern::Name(_) | HostPattern::ToSelf | HostPattern::Address(_) => {
                found(&live, host_of(pattern))
            }
            HostPattern::Any => self.fresh_name(&live, filter, |n| match n {
                1 => "host.example".to_owned(),
                n => format!("host{n}.example{n}"),
            }),
            HostPattern::Subdomains(apex) => self.fresh_name(&live, filter, |n| match n {
                1 => format!("www.{apex}"),
                n => format!("www{n}.{apex}"),
            }),
            HostPattern::Network(net) => self.address_in(*net, live, filter),
        }
    }

    fn subtract(&self, live: &mut Live, pattern: &HostPattern, filter: &Filter<'_>) {
        let ports = live.ports();
        let any = match filter.wildcards {
            Wildcards::Count => Some(self.for_any(&ports)),
            Wildcards::Ignored => None,
        };
        let above = any
            .into_iter()
            .flatten()
            .chain(self.above_but_any(pattern, &ports));
        for rule in above.filter(|rule| filter.passes(rule)) {
            live.subtract(rule);
            if live.is_empty() {
                return;
            }
        }
    }

    /// Each rule inside covers at most one of the names, so one more name than rules is enough.
    fn fresh_name(&self, live: &Live, filter: &Filter<'_>, name: impl Fn(usize) -> String) -> Search {
        // No rule takes more than one of these names, but for those above all of them, which are taken off already.
        for n in 1..=self.len() + 1 {
            let Ok(name) = Name::parse(&name(n)) else {
                return Search::GaveUp;
            };
            let pattern = HostPattern::Name(name);
            let mut left = live.clone();
            self.subtract(&mut left, &pattern, filter);
            if !left.is_empty() {
                return found(&left, host_of(&pattern));
            }
        }
        Search::GaveUp
    }

    fn address_in(&self, net: IpNet, live: Live, filter: &Filter<'_>) -> Search {
        let rule = |id| Some(self.get(id)).filter(|rule| filter.passes(rule));
        let walked = match net {
            IpNet::V4(_) => self.v4.gaps(Prefix::of(net), live, &rule, &mut |gap, live| {
                ControlFlow::Break(found(live, host_of(&HostPattern::Network(gap.as_v4().into()))))
            }),
            IpNet::V6(_) => {
                let mut gave_up = false;
                let walked =
                    self.v6.gaps(
                        Prefix::of(net),
                        live,
                        &rule,
                        &mut |gap, live| match self.address_in_gap(gap.as_v6(), live, filter) {
                            Search::Nothing => ControlFlow::Continue(()),
                            Search::GaveUp => {
                                gave_up = true;
                                ControlFlow::Continue(())
                            }
                            found => ControlFlow::Break(found),
                        },
                    );
                match walked {
                    ControlFlow::Continue(()) if gave_up => ControlFlow::Break(Search::GaveUp),
                    walked => walked,
                }
            }
        };
        match walked {
            ControlFlow::Break(search) => search,
            ControlFlow::Continue(()) => Search::Nothing,
        }
    }

    /// Looks in a network in which no rule for IPv6 addresses lies.
    fn address_in_gap(&self, gap: Ipv6Net, live: &Live, filter: &Filter<'_>) -> Search {
        if let Some(address) = samples(gap).find(|address| address.embedded().next().is_none()) {
            return found(live, Some(Host::Address(address)));
        }
        if gap.prefix_len() >= 96 && gap.addr().to_ipv4_mapped().is_some() {
            // Never seen: these are IPv4 addresses by the time anybody looks.
            return Search::Nothing;
        }
        // Every address of the gap embeds IPv4 addresses now, and one that is dead makes it dead.
        let mut forms = Forms::default();
        for (form, reach) in Embedding::ALL
            .iter()
            .filter_map(|form| Some((form, form.reach(gap)?)))
        {
            let search = self.address_of_form(form, reach, gap, live, filter);
            if matches!(search, Search::Found(_)) {
                return search;
            }
            forms.note(form.certainty(gap), search);
        }
        forms.verdict()
    }

    /// `Nothing` if no IPv4 address that the form may embed is live.
    fn address_of_form(
        &self,
        form: &Embedding,
        reach: Ipv4Net,
        gap: Ipv6Net,
        live: &Live,
        filter: &Filter<'_>,
    ) -> Search {
        let mut left = live.clone();
        let ports = left.ports();
        for rule in self
            .above_embedded(reach, &ports)
            .filter(|rule| filter.passes(rule))
        {
            left.subtract(rule);
        }
        let rule = |id| {
            let rule = self.get(id);
            (filter.passes(rule) && rule.readings == Readings::All).then_some(rule)
        };
        let mut tries = 0;
        let walked = self.v4.gaps(Prefix::v4(reach), left, &rule, &mut |v4, _| {
            tries += 1;
            let ips = v4.as_v4().hosts().take(2);
            for address in ips.flat_map(|ip| form.construct(gap, ip)) {
                let mut left = live.clone();
                self.subtract(&mut left, &HostPattern::Address(address), filter);
                if !left.is_empty() {
                    return ControlFlow::Break(found(&left, Some(Host::Address(address))));
                }
            }
            if tries < MOST_TRIES {
                ControlFlow::Continue(())
            } else {
                ControlFlow::Break(Search::GaveUp)
            }
        });
        match walked {
            ControlFlow::Break(search) => search,
            ControlFlow::Continue(()) if tries == 0 => Search::Nothing,
            ControlFlow::Continue(()) => Search::GaveUp,
        }
    }
}

/// The answers that the forms of embedding that are possible in a gap give, one after the other.
#[derive(Default)]
struct Forms {
    dead_for_certain: bool,
    all_dead: Option<bool>,
}

impl Forms {
    fn note(&mut self, certainty: Certainty, search: Search) {
        let dead = search == Search::Nothing;
        self.dead_for_certain |= dead && certainty == Certainty::EveryAddress;
        if certainty != Certainty::SomeAddresses {
            self.all_dead = Some(dead && self.all_dead.unwrap_or(true));
        }
    }

    fn verdict(&self) -> Search {
        if self.dead_for_certain || self.all_dead == Some(true) {
            Search::Nothing
        } else {
            Search::GaveUp
        }
    }
}

/// Gaps of the IPv4 rules to try in one gap of the IPv6 rules.
const MOST_TRIES: usize = 256;

fn found(live: &Live, host: Option<Host>) -> Search {
    match (live.example(), host) {
        (Some((channel, port)), Some(host)) => Search::Found(Destination { channel, host, port }),
        _ => Search::GaveUp,
    }
}

/// A host that the pattern matches.
pub(super) fn host_of(pattern: &HostPattern) -> Option<Host> {
    let name = |text: &str| Name::parse(text).ok().map(Host::Name);
    match pattern {
        HostPattern::Any => name("host.example"),
        HostPattern::ToSelf => name("self"),
        HostPattern::Name(own) => Some(Host::Name(own.clone())),
        HostPattern::Subdomains(apex) => name(&format!("www.{apex}")),
        HostPattern::Address(address) => Some(Host::Address(*address)),
        HostPattern::Network(IpNet::V4(net)) => net.hosts().next().map(|ip| Host::Address(ip.into())),
        HostPattern::Network(IpNet::V6(net)) => samples(*net).next().map(Host::Address),
    }
}
