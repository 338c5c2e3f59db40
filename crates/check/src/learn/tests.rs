//! From decisions to lists, a row for each kind.

mod lists;
mod properties;

use outport_policy::{Entry, Location, Name};

use super::*;

/// A decision that permits, unless `refused` has a reason.
fn event<'a>(attempt: &'a str, destination: &'a str, name: Option<&'a str>) -> Event<'a> {
    Event {
        at: "2026-03-01T09:30:00.000Z",
        process: 1,
        component: "web",
        instance: 1,
        attempt,
        destination,
        name,
        lookup: None,
        refused: None,
    }
}

fn refused<'a>(mut event: Event<'a>, reason: &'a str, also: Option<&'a str>) -> Event<'a> {
    event.refused = Some(Refused {
        reason,
        detail: "",
        remedy: None,
        also,
    });
    event
}

/// A look-up with its answer.
fn looked_up<'a>(name: &'a str, addresses: &[&'a str]) -> Vec<Event<'a>> {
    let answers = addresses
        .iter()
        .map(|address| event("dns.answer", address, Some(name)));
    std::iter::once(event("dns.lookup", name, None))
        .chain(answers)
        .collect()
}

fn seen(events: &[Event<'_>]) -> Seen {
    let mut collector = Collector::default();
    events.iter().for_each(|event| collector.decision(event));
    collector.finish()
}

fn list(seen: &Seen, name: &str, fold: Fold) -> Vec<String> {
    let uses = seen.uses_of(name);
    least(&uses, fold)
        .iter()
        .map(|one| one.entry.to_string())
        .collect()
}

fn proposed(events: &[Event<'_>]) -> Vec<String> {
    list(&seen(events), "web", Fold::default())
}

fn entries(texts: &[&str]) -> Vec<Entry> {
    let parse = |text: &&str| Entry::parse(text, Location::Code).unwrap();
    texts.iter().map(parse).collect()
}

#[test]
fn an_entry_has_what_was_used_and_nothing_wider() {
    let db = looked_up("db.test", &["192.0.2.1", "192.0.2.2"]);
    let with = |more: &[Event<'static>]| [db.clone(), more.to_vec()].concat();
    let rows: Vec<(Vec<Event<'_>>, &[&str])> = vec![
        (vec![], &[]),
        (
            vec![event("tcp.connect", "192.0.2.9:5432", None)],
            &["*://192.0.2.9:5432"],
        ),
        (
            vec![event("tcp.connect", "[2001:db8::1]:80", None)],
            &["*://[2001:db8::1]:80"],
        ),
        (
            vec![event("udp.send", "192.0.2.9:53", None)],
            &["udp://192.0.2.9:53"],
        ),
        // The same host and port by TCP permits it too.
        (
            vec![
                event("udp.send", "192.0.2.9:53", None),
                event("tcp.connect", "192.0.2.9:53", None),
                event("udp.send", "192.0.2.9:54", None),
            ],
            &["*://192.0.2.9:53", "udp://192.0.2.9:54"],
        ),
        (
            with(&[event("tcp.connect", "192.0.2.2:5432", None)]),
            &["*://db.test:5432"],
        ),
        (
            with(&[
                event("tcp.connect", "192.0.2.2:5433", None),
                event("tcp.connect", "192.0.2.1:5432", None),
                event("tcp.connect", "192.0.2.1:80", None),
            ]),
            &["*://db.test:{80,5432-5433}"],
        ),
        // An address that the answer does not have.
        (
            with(&[event("tcp.connect", "192.0.2.3:5432", None)]),
            &["*://192.0.2.3:5432", "tcp://db.test:9"],
        ),
        (db.clone(), &["tcp://db.test:9"]),
        (
            vec![event("http.request", "https://api.test:443", None)],
            &["https://api.test"],
        ),
        (
            vec![
                event("http.request", "http://api.test:8080", None),
                event("http.request", "http://api.test:80", None),
            ],
            &["http://api.test:{80,8080}"],
        ),
        (
            vec![event("redis.connect", "redis://c.test:6379", None)],
            &["redis://c.test"],
        ),
        (
            vec![event("postgres.connect", "postgres://c.test:5433", None)],
            &["postgres://c.test:5433"],
        ),
        (
            vec![event("mysql.connect", "mysql://[::1]:3306", None)],
            &["mysql://[::1]"],
        ),
        (
            vec![event("mqtt.connect", "mqtts://c.test:8883", None)],
            &["mqtts://c.test"],
        ),
        (
            vec![event("http.request", "http://self.alt:80", None)],
            &["http://self"],
        ),
        (
            vec![event("http.request", "http://other.spin.internal:80", None)],
            &["http://other.spin.internal"],
        ),
        // What a socket may reach a request may.
        (
            with(&[
                event("tcp.connect", "192.0.2.2:443", None),
                event("http.request", "https://db.test:443", None),
            ]),
            &["*://db.test:443"],
        ),
        // No entry has to permit these.
        (
            vec![
                event("tcp.bind", "0.0.0.0:0", None),
                event("socket.create", "tcp", None),
                event("key_value.open", "default", None),
                event("tls.connect", "db.test:443", None),
                event("udp.receive", "192.0.2.9:53", None),
                event("something.new", "192.0.2.9:53", None),
                event("tcp.connect", "no address", None),
                event("http.request", "http://", None),
                event("http.request", "ftp//x:1", None),
            ],
            &[],
        ),
    ];
    for (events, expected) in rows {
        assert_eq!(proposed(&events), expected, "{events:?}");
    }
}

#[test]
fn answers_that_rotate_among_fifty_addresses_give_one_entry() {
    let addresses: Vec<String> = (0..50).map(|last| format!("192.0.2.{last}")).collect();
    let sockets: Vec<String> = addresses
        .iter()
        .map(|address| format!("{address}:5432"))
        .collect();
    let mut events = Vec::new();
    for (address, socket) in addresses.iter().zip(&sockets) {
        events.extend(looked_up("db.test", &[address]));
        events.push(event("tcp.connect", socket, None));
    }
    let seen = seen(&events);
    assert_eq!(list(&seen, "web", Fold::default()), ["*://db.test:5432"]);
    let uses = seen.uses_of("web");
    let connect = uses
        .iter()
        .find(|used| matches!(used.target, Target::Socket { .. }));
    assert_eq!(
        connect.map(|used| (used.times.count, used.addresses.len())),
        Some((50, 50))
    );
}

#[test]
fn a_connection_belongs_to_the_name_that_was_looked_up_last() {
    let mut events = looked_up("a.test", &["192.0.2.1"]);
    events.extend(looked_up("b.test", &["192.0.2.1"]));
    events.push(event("tcp.connect", "192.0.2.1:80", None));
    // An alias was looked up in the meantime by another instance, which is none of this one's business.
    let mut other = event("tcp.connect", "192.0.2.1:81", None);
    other.instance = 2;
    events.push(other);
    let seen = seen(&events);
    assert_eq!(
        list(&seen, "web", Fold::default()),
        ["*://192.0.2.1:81", "tcp://a.test:9", "*://b.test:80"]
    );
    let uses = seen.uses_of("web");
    let names = uses.iter().flat_map(|used| &used.also_named).map(Name::as_str);
    assert_eq!(names.collect::<Vec<_>>(), ["a.test"]);
}

#[test]
fn what_another_layer_refuses_is_told_and_never_proposed() {
    let rows = [
        (
            refused(event("tcp.connect", "192.0.2.1:80", None), "deny.host", None),
            1,
        ),
        (
            refused(
                event("tcp.connect", "127.0.0.1:80", None),
                "runtime.loopback-port",
                Some("allow.none"),
            ),
            1,
        ),
        // The author's list refuses first, and the operator too.
        (
            refused(
                event("tcp.connect", "192.0.2.1:80", None),
                "allow.no-match",
                Some("quota.sockets"),
            ),
            1,
        ),
        (
            refused(event("dns.lookup", "a.test", None), "dns.name-not-allowed", None),
            1,
        ),
        (
            refused(
                event("dns.answer", "127.0.0.1", Some("a.test")),
                "dns.rebinding",
                None,
            ),
            1,
        ),
        (
            refused(event("tcp.listen", "0.0.0.0:0", None), "hard.listen", None),
            1,
        ),
        (
            refused(
                event("http.request", "https://a.test:443", None),
                "allow.not-inherited",
                None,
            ),
            1,
        ),
        (
            refused(event("tcp.connect", "192.0.2.1:80", None), "grant.replaced", None),
            1,
        ),
        // With an empty list it is not even bound; where it would go is told next.
        (
            refused(event("tcp.bind", "0.0.0.0:0", None), "allow.none", None),
            0,
        ),
    ];
    for (event, told) in rows {
        let seen = seen(&[event]);
        assert_eq!(list(&seen, "web", Fold::default()), [] as [&str; 0], "{event:?}");
        assert_eq!(seen.refusals().count(), told, "{event:?}");
    }
}

#[test]
fn what_the_list_alone_refused_is_a_use() {
    let rows = [
        (
            "tcp.connect",
            "192.0.2.1:80",
            None,
            "allow.none",
            "*://192.0.2.1:80",
        ),
        (
            "tcp.connect",
            "192.0.2.1:80",
            Some("a.test"),
            "allow.port",
            "*://a.test:80",
        ),
        (
            "udp.send",
            "192.0.2.1:80",
            None,
            "allow.scheme",
            "udp://192.0.2.1:80",
        ),
        (
            "http.request",
            "https://a.test:443",
            None,
            "allow.no-match",
            "https://a.test",
        ),
        (
            "redis.connect",
            "redis://a.test:7000",
            None,
            "allow.none",
            "redis://a.test:7000",
        ),
        (
            "tcp.connect",
            "192.0.2.1:80",
            None,
            "allow.name-not-looked-up",
            "*://192.0.2.1:80",
        ),
    ];
    for (attempt, destination, name, reason, entry) in rows {
        let event = refused(event(attempt, destination, name), reason, None);
        assert_eq!(proposed(&[event]), [entry], "{attempt} {reason}");
    }
}

#[test]
fn a_request_of_which_no_address_was_permitted_is_taken_back() {
    let request = event("http.request", "https://a.test:443", None);
    let denied = refused(
        event("http.dial", "10.0.0.1:443", Some("a.test")),
        "deny.network",
        None,
    );
    let permitted = event("http.dial", "192.0.2.1:443", Some("a.test"));
    let other = refused(
        event("http.dial", "10.0.0.1:443", Some("b.test")),
        "deny.network",
        None,
    );
    let none: [&str; 0] = [];
    assert_eq!(proposed(&[request, denied]), none);
    assert_eq!(proposed(&[request, denied, permitted]), ["https://a.test"]);
    assert_eq!(proposed(&[request, permitted, denied]), ["https://a.test"]);
    assert_eq!(proposed(&[request, other]), ["https://a.test"]);
}

#[test]
fn a_name_without_an_address_is_told_and_ends_what_it_granted() {
    let mut collector = Collector::default();
    for event in looked_up("a.test", &["192.0.2.1"]) {
        collector.decision(&event);
    }
    collector.decision(&event("dns.lookup", "none.test", None));
    collector.decision(&event("dns.lookup", "a.test", None));
    collector.failed_lookup(&FailedLookup {
        process: 1,
        component: "web",
        instance: 1,
        name: "a.test",
        lookup: None,
    });
    collector.decision(&event("tcp.connect", "192.0.2.1:80", None));
    let seen = collector.finish();
    assert_eq!(
        list(&seen, "web", Fold::default()),
        ["*://192.0.2.1:80", "tcp://a.test:9"]
    );
    let unanswered: Vec<&str> = seen.unanswered().map(|one| one.name.as_str()).collect();
    assert_eq!(unanswered, ["none.test"]);
}

#[test]
fn two_processes_in_one_log_are_two() {
    let mut events = looked_up("a.test", &["192.0.2.1"]);
    events.push(event("tcp.connect", "192.0.2.1:80", None));
    // Its instances are numbered anew, and it looked nothing up.
    let mut other = event("tcp.connect", "192.0.2.1:81", None);
    other.process = 2;
    events.push(other);
    // The first one goes on, as it does while another one takes its place.
    events.push(event("tcp.connect", "192.0.2.1:82", None));
    assert_eq!(proposed(&events), ["*://192.0.2.1:81", "*://a.test:{80,82}"]);
}

#[test]
fn of_two_look_ups_in_flight_the_later_one_counts() {
    let numbered = |address, number| {
        let mut answer = event("dns.answer", address, Some("a.test"));
        answer.lookup = Some(number);
        answer
    };
    let events = [
        event("dns.lookup", "a.test", None),
        event("dns.lookup", "a.test", None),
        numbered("192.0.2.2", 2),
        numbered("192.0.2.1", 1),
        event("tcp.connect", "192.0.2.2:80", None),
    ];
    assert_eq!(proposed(&events), ["*://a.test:80"]);
}

#[test]
fn what_a_quota_refuses_is_a_use_and_what_came_to_nothing_was_tried() {
    let quota = |attempt, destination| refused(event(attempt, destination, None), "quota.sockets", None);
    let quota = seen(&[
        quota("tcp.connect", "192.0.2.1:80"),
        quota("http.request", "https://a.test:443"),
        quota("dns.lookup", "b.test"),
    ]);
    assert_eq!(
        list(&quota, "web", Fold::default()),
        ["*://192.0.2.1:80", "https://a.test"]
    );
    assert_eq!(quota.refusals().count(), 3);
    assert!(!quota.has_permits());
    let vain = seen(&[
        event("dns.lookup", "b.test", None),
        event("http.request", "https://a.test:443", None),
        refused(
            event("http.dial", "10.0.0.1:443", Some("a.test")),
            "deny.network",
            None,
        ),
    ]);
    assert_eq!(list(&vain, "web", Fold::default()), [] as [&str; 0]);
    let hosts = |seen: &Seen| {
        let tried = seen.tried_of("web");
        let mut hosts: Vec<String> = tried.iter().map(|one| one.target.host().to_string()).collect();
        hosts.sort();
        hosts
    };
    assert_eq!(hosts(&quota), ["b.test"]);
    assert_eq!(hosts(&vain), ["a.test", "b.test"]);
    assert!(vain.has_permits());
}

#[test]
fn what_a_part_uses_its_component_has_to_permit_too() {
    let mut of_part = event("http.request", "https://a.test:443", None);
    of_part.component = "web/dep";
    let seen = seen(&[of_part, event("http.request", "https://b.test:443", None)]);
    assert_eq!(list(&seen, "web/dep", Fold::default()), ["https://a.test"]);
    assert_eq!(
        list(&seen, "web", Fold::default()),
        ["https://a.test", "https://b.test"]
    );
}

#[test]
fn a_hostile_log_takes_a_bounded_place() {
    let mut collector = Collector::default();
    for number in 0..MOST_USES + 10 {
        let destination = format!("https://n{number}.test:443");
        collector.decision(&event("http.request", &destination, None));
        let destination = format!("192.0.2.1:{number}");
        collector.decision(&refused(
            event("tcp.connect", &destination, None),
            "deny.host",
            None,
        ));
        let component = format!("c{number}");
        let mut other = event("tcp.bind", "0.0.0.0:0", None);
        other.component = &component;
        collector.decision(&other);
    }
    let seen = collector.finish();
    assert_eq!(seen.uses_of("web").len(), MOST_USES);
    assert_eq!(seen.refusals().count(), MOST_REFUSALS);
    assert!(seen.left_out() > 0 && seen.lost() > 0);
}
