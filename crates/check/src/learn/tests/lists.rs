//! Lists put together, and held against those that are there.

use outport_policy::{Entry, Location};

use super::super::*;
use super::{Event, entries, event, list, looked_up, seen};

#[test]
fn nothing_is_folded_unless_it_is_asked_for() {
    let names = Fold {
        names: true,
        networks: false,
    };
    let networks = Fold {
        names: false,
        networks: true,
    };
    let request = |url: &'static str| event("http.request", url, None);
    let connect = |to: &'static str| event("tcp.connect", to, None);
    let rows: Vec<(Vec<Event<'_>>, Fold, &[&str])> = vec![
        (
            vec![
                request("https://a.example.com:443"),
                request("https://b.example.com:443"),
                request("https://c.example.com:443"),
                request("https://x.c.example.com:443"),
            ],
            names,
            &["https://*.example.com"],
        ),
        // Two are no rule, other ports are others, and nobody owns `co.uk` or `test`.
        (
            vec![
                request("https://a.example.com:443"),
                request("https://b.example.com:443"),
            ],
            names,
            &["https://a.example.com", "https://b.example.com"],
        ),
        (
            vec![
                request("https://a.example.com:443"),
                request("https://b.example.com:443"),
                request("https://c.example.com:444"),
            ],
            names,
            &[
                "https://a.example.com",
                "https://b.example.com",
                "https://c.example.com:444",
            ],
        ),
        (
            vec![
                request("https://a.co.uk:443"),
                request("https://b.co.uk:443"),
                request("https://c.co.uk:443"),
            ],
            names,
            &["https://a.co.uk", "https://b.co.uk", "https://c.co.uk"],
        ),
        (
            vec![
                request("https://a.test:443"),
                request("https://b.test:443"),
                request("https://c.test:443"),
            ],
            names,
            &["https://a.test", "https://b.test", "https://c.test"],
        ),
        (
            vec![
                connect("192.0.2.4:1"),
                connect("192.0.2.7:1"),
                connect("192.0.3.7:1"),
            ],
            networks,
            &["*://192.0.2.4/30:1", "*://192.0.3.7:1"],
        ),
        (
            vec![connect("[2001:db8::4]:1"), connect("[2001:db8::7]:1")],
            networks,
            &["*://[2001:db8::4]/126:1"],
        ),
        // A metadata service lies between them.
        (
            vec![connect("100.100.100.199:80"), connect("100.100.100.201:80")],
            networks,
            &["*://100.100.100.199:80", "*://100.100.100.201:80"],
        ),
        // Such an entry would say that names may lead to this machine.
        (
            vec![connect("127.0.0.1:1024"), connect("127.0.0.2:1024")],
            networks,
            &["*://127.0.0.1:1024", "*://127.0.0.2:1024"],
        ),
    ];
    for (events, fold, expected) in rows {
        let seen = seen(&events);
        assert_eq!(list(&seen, "web", fold), expected, "{events:?}");
        let uses = seen.uses_of("web");
        assert!(
            least(&uses, Fold::default())
                .iter()
                .all(|one| one.folded.is_none())
        );
    }
    let seen = seen(&[connect("192.0.2.4:1"), connect("192.0.2.7:1")]);
    let uses = seen.uses_of("web");
    let folded = least(&uses, networks).remove(0).folded.unwrap();
    assert_eq!(folded.lets_in, "the other 2 addresses of 192.0.2.4/30, on port 1");
    assert_eq!(folded.instead_of, ["*://192.0.2.4:1", "*://192.0.2.7:1"]);
}

type Row = (
    &'static [&'static str],
    &'static [char],
    &'static [&'static str],
    &'static [&'static str],
);

#[test]
fn entries_that_are_there_stay_are_wider_or_were_never_used() {
    let mut events = looked_up("db.test", &["192.0.2.1"]);
    events.push(event("tcp.connect", "192.0.2.1:5432", None));
    events.push(event("http.request", "https://api.test:443", None));
    let seen = seen(&events);
    let uses = seen.uses_of("web");
    // (entries that are there, what becomes of each, added, added where the rest is pruned)
    let rows: [Row; 7] = [
        (
            &[],
            &[],
            &["https://api.test", "*://db.test:5432"],
            &["https://api.test", "*://db.test:5432"],
        ),
        (&["https://api.test", "*://db.test:5432"], &['=', '='], &[], &[]),
        (
            &["*://*:*"],
            &['~'],
            &[],
            &["https://api.test", "*://db.test:5432"],
        ),
        (
            &["https://api.test", "https://other.test"],
            &['=', '-'],
            &["*://db.test:5432"],
            &["*://db.test:5432"],
        ),
        (
            &["*://db.test:{5432,5433}"],
            &['~'],
            &["https://api.test"],
            &["https://api.test", "*://db.test:5432"],
        ),
        // Neither permits it alone.
        (
            &["*://192.0.2.0/24:5432", "tcp://db.test:1", "https://api.test"],
            &['~', '~', '='],
            &[],
            &["*://db.test:5432"],
        ),
        (
            &["*://db.test:1", "*://db.test:5432"],
            &['-', '='],
            &["https://api.test"],
            &["https://api.test"],
        ),
    ];
    for (present, standing, added, pruned) in rows {
        let entries = entries(present);
        let comparison = Comparison::of("web", &entries, (&uses, &[]), Fold::default());
        let marks = comparison.present.iter().map(mark);
        assert_eq!(marks.collect::<Vec<_>>(), standing, "{present:?}");
        assert_eq!(comparison.additions(false), added, "{present:?}");
        assert_eq!(comparison.additions(true), pruned, "{present:?}");
    }
}

#[test]
fn what_was_asked_for_in_vain_is_not_taken_out() {
    let mut events = looked_up("db.test", &["192.0.2.1"]);
    events.extend(looked_up("used.example.com", &["192.0.2.2"]));
    events.push(event("tcp.connect", "192.0.2.2:80", None));
    events.push(event("dns.lookup", "down.example.com", None));
    let seen = seen(&events);
    let (uses, tried) = (seen.uses_of("web"), seen.tried_of("web"));
    // (entries that are there, what becomes of each, added where the rest is pruned, taken out)
    let rows: [Row; 6] = [
        // It only looked up: the entry has the port, which this run did not see.
        (&["*://db.test:5432"], &['?'], &["*://used.example.com:80"], &[]),
        (
            &["*://down.example.com:80", "*://*.test:5432"],
            &['?', '?'],
            &["*://used.example.com:80"],
            &[],
        ),
        // The look-up that failed needs it.
        (
            &["*://*.example.com:80"],
            &['~'],
            &["tcp://db.test:9", "*://used.example.com:80"],
            &[],
        ),
        (
            &["*://*.example.com:80", "tcp://down.example.com:81"],
            &['~', '?'],
            &["tcp://db.test:9", "*://used.example.com:80"],
            &["*://*.example.com:80"],
        ),
        (
            &["https://other.test", "tcp://db.test:9"],
            &['-', '='],
            &["*://used.example.com:80"],
            &["https://other.test"],
        ),
        (&[], &[], &["tcp://db.test:9", "*://used.example.com:80"], &[]),
    ];
    for (present, standing, pruned, taken) in rows {
        let entries = entries(present);
        let comparison = Comparison::of("web", &entries, (&uses, &tried), Fold::default());
        let marks: Vec<char> = comparison.present.iter().map(mark).collect();
        assert_eq!(marks, standing, "{present:?}");
        assert_eq!(comparison.additions(true), pruned, "{present:?}");
        let needless: Vec<String> = comparison.needless().map(ToString::to_string).collect();
        assert_eq!(needless, taken, "{present:?}");
    }
}

fn mark(one: &Present<'_>) -> char {
    match one {
        Present::Needed { .. } => '=',
        Present::AskedFor { .. } => '?',
        Present::Wider { .. } => '~',
        Present::NeverUsed(_) => '-',
    }
}

#[test]
fn an_entry_with_variables_in_it_is_its_authors() {
    let seen = seen(&[event("tcp.connect", "192.0.2.1:80", None)]);
    let uses = seen.uses_of("web");
    let parse = |text| Entry::parse_filled_in(text, Location::Code).unwrap();
    let present = [parse("*://192.0.2.0/24:*"), parse("https://never.test")];
    let comparison = Comparison::of("web", &present, (&uses, &[]), Fold::default());
    assert!(matches!(comparison.present[0], Present::Needed { .. }));
    assert!(matches!(comparison.present[1], Present::NeverUsed(_)));
    assert_eq!(comparison.additions(true), Vec::<String>::new());
    assert_eq!(comparison.needless().count(), 0);
}
