//! Any run at all, held to the decider: every use is permitted, and without any one entry some use is not.

use std::collections::BTreeSet;

use outport_policy::{
    AllowList, Attempt, Decision, Endpoint, Entry, Grants, Host, Name, Operator, Peers, Policy, Quotas,
    RequestMethod, Scheme, Situation, Transport, Usage,
};
use proptest::prelude::*;

use super::super::*;
use super::{entries, event, looked_up, proposed, seen};

/// What one run did: names of a few, which answer with addresses of a few, by turns.
fn runs() -> impl Strategy<Value = Vec<Event<'static>>> {
    const NAMES: [&str; 4] = ["a.test", "b.test", "c.example.com", "localhost"];
    const ADDRESSES: [&str; 4] = ["192.0.2.1", "192.0.2.2", "2001:db8::1", "127.0.0.1"];
    const SOCKETS: [&str; 6] = [
        "192.0.2.1:80",
        "192.0.2.1:443",
        "192.0.2.2:443",
        "[2001:db8::1]:443",
        "127.0.0.1:8080",
        "192.0.2.3:53",
    ];
    const URLS: [&str; 6] = [
        "http://a.test:80",
        "https://a.test:443",
        "https://192.0.2.1:443",
        "redis://b.test:6379",
        "http://self.alt:80",
        "http://x.spin.internal:80",
    ];
    let lookup = (
        0..NAMES.len(),
        proptest::sample::subsequence(ADDRESSES.to_vec(), 1..3),
    )
        .prop_map(|(name, addresses)| looked_up(NAMES[name], &addresses));
    let socket = (0..SOCKETS.len(), any::<bool>()).prop_map(|(to, tcp)| {
        let attempt = if tcp { "tcp.connect" } else { "udp.send" };
        vec![event(attempt, SOCKETS[to], None)]
    });
    let request = (0..URLS.len()).prop_map(|url| {
        let attempt = if url == 3 { "redis.connect" } else { "http.request" };
        vec![event(attempt, URLS[url], None)]
    });
    let failed = (0..NAMES.len()).prop_map(|name| vec![event("dns.lookup", NAMES[name], None)]);
    proptest::collection::vec(prop_oneof![lookup, socket, request, failed], 0..12)
        .prop_map(|steps| steps.into_iter().flatten().collect())
}

proptest! {
    #[test]
    fn the_list_suffices_and_without_any_one_entry_it_does_not(events in runs()) {
        let seen = seen(&events);
        let uses = seen.uses_of("web");
        let list: Vec<Entry> = least(&uses, Fold::default()).into_iter().map(|one| one.entry).collect();
        let whole = AllowList::compile(list.clone());
        for used in &uses {
            prop_assert!(permits(&whole, used), "{used:?} by {list:?}");
        }
        // What is reached by name has other addresses on another day, for which an entry for today's does nothing.
        let on_another_day = uses.iter().map(|used| Use { more_addresses: true, ..(*used).clone() });
        let uses: Vec<Use> = on_another_day.collect();
        for number in 0..list.len() {
            let mut without = list.clone();
            let one = without.remove(number);
            let without = AllowList::compile(without);
            prop_assert!(uses.iter().any(|used| !permits(&without, used)), "{one} is needless in {list:?}");
        }
    }

    #[test]
    fn a_list_that_was_written_needs_no_change(events in runs(), there in proptest::sample::subsequence(
        vec!["*://a.test:80", "https://*.test", "*://192.0.2.0/24:443", "*://*:443", "tcp://b.test:9", "http://self"], 0..5,
    ), prune in any::<bool>(), names in any::<bool>()) {
        let fold = Fold { names, networks: names };
        let seen = seen(&events);
        let (uses, tried) = (seen.uses_of("web"), seen.tried_of("web"));
        let present = entries(&there);
        let comparison = Comparison::of("web", &present, (&uses, &tried), fold);
        let needless: BTreeSet<String> = comparison.needless().map(ToString::to_string).collect();
        let kept = present.iter().filter(|entry| !prune || !needless.contains(&entry.to_string()));
        let added = comparison.additions(prune);
        let texts: Vec<String> = kept.map(ToString::to_string).chain(added).collect();
        let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
        let written = entries(&texts);
        let whole = AllowList::compile(written.clone());
        for used in &uses {
            prop_assert!(permits(&whole, used), "{used:?} by {written:?}");
        }
        let there = AllowList::compile(present.clone());
        for one in tried.iter().filter(|one| permits(&there, one)) {
            prop_assert!(permits(&whole, one), "{one:?} by {written:?}, as by {present:?}");
        }
        let again = Comparison::of("web", &written, (&uses, &tried), fold);
        prop_assert_eq!(again.additions(prune), Vec::<String>::new());
        if prune {
            prop_assert_eq!(again.needless().count(), 0);
        }
    }

    /// A line that an author would have been told to add is the one that is proposed.
    #[test]
    fn an_entry_for_one_use_is_its_remedy(port in 1_u16.., https in any::<bool>(), kind in 0..4_u8) {
        let address = std::net::Ipv4Addr::new(192, 0, 2, 1);
        let socket = format!("{address}:{port}");
        let scheme = if https { Scheme::HTTPS } else { Scheme::HTTP };
        let url = format!("{scheme}://a.test:{port}");
        let host = Host::parse("a.test").unwrap();
        let remote = Endpoint::new(address, port);
        let (attempt, events) = match kind {
            0 => (Attempt::Connect { transport: Transport::Tcp, remote }, vec![event("tcp.connect", &socket, None)]),
            1 => (Attempt::Send { remote }, vec![event("udp.send", &socket, None)]),
            2 => (
                Attempt::Request { scheme: &scheme, host: &host, port, method: RequestMethod::Other },
                vec![event("http.request", &url, None)],
            ),
            _ => (
                Attempt::Connect { transport: Transport::Tcp, remote },
                [looked_up("a.test", &["192.0.2.1"]), vec![event("tcp.connect", &socket, None)]].concat(),
            ),
        };
        let mut operator = Operator::default();
        operator.limits.udp = outport_policy::Limit::Lifted;
        let elsewhere = AllowList::parse(["*://elsewhere.test:1"]).unwrap();
        let policy = Policy::new("web", elsewhere.into(), operator.into());
        let mut grants = Grants::new(8);
        if kind == 3 {
            let ticket = grants.begin(Name::parse("a.test").unwrap());
            let outcome = outport_policy::LookupOutcome::Answered { chain: vec![], addresses: vec![address.into()] };
            grants.settle(ticket, outcome, std::time::Instant::now());
        }
        let situation = Situation {
            grants: &grants,
            peers: &Peers::from(&Quotas::default()),
            usage: Usage::default(),
            now: std::time::Instant::now(),
        };
        let Decision::Deny(denial) = policy.decide(&attempt, &situation) else { panic!("the list is for elsewhere") };
        let Some(outport_policy::Remedy::AddEntry(entry)) = denial.remedy(&attempt) else { panic!("an entry") };
        prop_assert_eq!(proposed(&events), vec![entry]);
    }
}
