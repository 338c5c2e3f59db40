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
        if gap.addr().to_ipv4_mapped().is_some() {
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

#[cfg(test)]
mod tests {
    use super::super::draft::Draft;
    use super::super::list_of_rules::rules_of;
    use super::*;
    use crate::{DenyList, Entry, Limit, Location, Operator, PortSet, RuntimeLimits};

    fn entries(texts: &[&str]) -> Vec<Entry> {
        let parse = |text: &&str| Entry::parse(text, Location::Code).unwrap();
        texts.iter().map(parse).collect()
    }

    fn kept_out(deny: &[&str]) -> Rules {
        let operator = Operator {
            deny: DenyList::compile(entries(deny), Vec::new()),
            limits: RuntimeLimits {
                udp: Limit::Lifted,
                loopback_ports: PortSet::all(),
                link_local: Limit::Lifted,
                loopback_answers: Limit::Holds,
            },
            ..Operator::default()
        };
        Rules::new(Draft::of(&operator).rules)
    }

    fn left(rules: &Rules, allow: &str) -> String {
        let region = Region::permitted_by(&entries(&[allow])[0]).remove(0);
        match rules.left(&region, &Filter::default()) {
            Search::Found(destination) => destination.to_string(),
            Search::Nothing => "nothing".to_owned(),
            Search::GaveUp => "gave up".to_owned(),
        }
    }

    // proves: VAL-2
    #[test]
    fn one_more_name_than_rules_is_tried() {
        for count in 0..4 {
            let names: Vec<String> = (1..=count)
                .map(|n| match n {
                    1 => "tcp://{www.a.example,host.example}:1".to_owned(),
                    n => format!("tcp://www{n}.a.example:1"),
                })
                .collect();
            let names: Vec<&str> = names.iter().map(String::as_str).collect();
            let rules = Rules::new(rules_of(&entries(&names)).collect());
            let next = match count + 1 {
                1 => "tcp://www.a.example:1".to_owned(),
                n => format!("tcp://www{n}.a.example:1"),
            };
            assert_eq!(left(&rules, "tcp://*.a.example:1"), next, "{count}");
        }
    }

    // proves: VAL-2, HL-7
    #[test]
    fn in_a_network_an_address_is_found_that_embeds_nothing_denied() {
        let all_but_zero = "*://{0.0.0.1,0.0.0.2/31,0.0.0.4/30,0.0.0.8/29,0.0.0.16/28,0.0.0.32/27,0.0.0.64/26,\
            0.0.0.128/25}:1";
        for (allow, deny, expected) in [
            (
                "tcp://[2001:db8::]/32:1",
                "*://0.0.0.0/0:*",
                "tcp://[2001:db8::1]:1",
            ),
            (
                "tcp://[2002::]/16:1",
                "*://10.0.0.0/8:*",
                "tcp://[2002:4000:1::]:1",
            ),
            (
                "tcp://[64:ff9b::]/96:1",
                "*://0.0.0.0/1:*",
                "tcp://[64:ff9b::8000:1]:1",
            ),
            (
                "tcp://[64:ff9b::]/96:1",
                "*://{0.0.0.0/1,128.0.0.0/1}:*",
                "nothing",
            ),
            ("tcp://[64:ff9b::]/120:1", all_but_zero, "tcp://[64:ff9b::]:1"),
            // Only what is an IPv4 address by the time anybody looks.
            ("tcp://[::fffe:0:0]/95:1", "*://[::fffe:0:0]/96:1", "nothing"),
            // Of two addresses in one the first is denied with each of the second that is tried, or the other way round.
            (
                "tcp://[2001::]/32:1",
                "*://{0.0.0.0/8,1.1.1.1,254.254.254.254,255.255.255.254/31}:1",
                "gave up",
            ),
            ("tcp://[2001::]/32:1", "*://0.0.0.0/0:1", "nothing"),
        ] {
            assert_eq!(
                left(&kept_out(&[deny]), allow),
                expected,
                "{allow} without {deny}"
            );
        }
    }

    // proves: HL-7
    #[test]
    fn where_one_gap_has_no_address_the_next_one_is_tried() {
        // 64:ff9b:1:c80a:0:1:: embeds 200.10.0.1 by one layout and 10.0.1.0 by another.
        let rules = kept_out(&["*://{10.0.0.0/8,200.11.128.0/17}:*"]);
        let gap: Ipv6Net = "64:ff9b:1:c80a::/63".parse().unwrap();
        let form = &Embedding::ALL[2];
        let reach = form.reach(gap).unwrap();
        assert_eq!(reach.to_string(), "200.10.0.0/15");
        let region = Region::permitted_by(&entries(&["tcp://[::]/0:1"])[0]).remove(0);
        let live = Live::new(rules.channels(&region.protocols), &region.ports);
        let Search::Found(found) = rules.address_of_form(form, reach, gap, &live, &Filter::default()) else {
            panic!("nothing was found")
        };
        assert_eq!(found.to_string(), "tcp://[64:ff9b:1:c80b:0:100::]:1");
    }

    #[test]
    fn one_form_that_every_address_has_or_all_forms_together_make_a_gap_dead() {
        use Certainty::{EveryAddress as Every, EveryAddressTogether as Together, SomeAddresses as Some};
        use Search::{GaveUp, Nothing};
        for (forms, verdict) in [
            (&[][..], GaveUp),
            (&[(Every, Nothing)], Nothing),
            (&[(Every, GaveUp)], GaveUp),
            (&[(Some, Nothing)], GaveUp),
            (&[(Every, GaveUp), (Every, Nothing)], Nothing),
            (&[(Every, Nothing), (Every, GaveUp)], Nothing),
            (&[(Every, GaveUp), (Some, Nothing)], GaveUp),
            (&[(Some, GaveUp), (Every, Nothing)], Nothing),
            (&[(Together, Nothing), (Together, Nothing)], Nothing),
            (&[(Together, Nothing), (Together, GaveUp)], GaveUp),
            (&[(Together, GaveUp), (Together, Nothing)], GaveUp),
            (&[(Some, GaveUp), (Together, Nothing)], Nothing),
            (&[(Together, Nothing), (Some, GaveUp)], Nothing),
        ] {
            let mut noted = Forms::default();
            for (certainty, search) in forms {
                noted.note(*certainty, search.clone());
            }
            assert_eq!(noted.verdict(), verdict, "{forms:?}");
        }
    }
}
