//! Several servers (DNS-14).

use super::super::super::servers::QUESTIONS;
use super::*;

fn both(v4: Reply, v6: Reply) -> Table {
    Table::from([
        (("db.example", RecordType::A), v4),
        (("db.example", RecordType::AAAA), v6),
    ])
}

fn good() -> Table {
    both(
        Reply::Records(vec![a("db.example", 0, "10.0.0.2")]),
        Reply::Records(vec![aaaa("db.example", 0, "fd00::2")]),
    )
}

fn resolver(servers: &[&Server]) -> Resolver {
    Resolver::new(ResolverParts {
        servers: servers.iter().map(|server| server.address).collect(),
        search: Vec::new(),
        hosts_file: PathBuf::from("/nonexistent/hosts"),
    })
    .unwrap()
}

/// Addresses, or the error without what the library says of it.
fn result(answer: Result<Answer, ResolveError>) -> String {
    match answer {
        Ok(answer) => {
            let texts = answer.addresses.iter().map(ToString::to_string);
            format!("{} {:?}", texts.collect::<Vec<_>>().join(" "), answer.extent)
        }
        Err(error) => format!("{error:?}")
            .split(' ')
            .next()
            .unwrap_or_default()
            .to_owned(),
    }
}

/// An alias of `db.example` that leads to `label` under `example`.
fn cname_to(label: &str) -> Record {
    let target = WireName::from_labels([label.as_bytes(), b"example"]).unwrap();
    let owner = WireName::from_labels(["db", "example"].map(str::as_bytes)).unwrap();
    Record::from_rdata(owner, 0, RData::CNAME(CNAME(target)))
}

// proves: DNS-14
#[tokio::test]
async fn the_next_server_is_asked_when_one_fails_and_not_when_it_has_an_answer() {
    const SECOND: &str = "10.0.0.2 fd00::2 Whole";
    let rows = [
        (
            Reply::Records(vec![a("db.example", 0, "10.0.0.1")]),
            "10.0.0.1 Whole",
            0,
        ),
        (Reply::Records(Vec::new()), "NoAddress", 0),
        (Reply::Code(ResponseCode::NXDomain), "NoSuchName", 0),
        (Reply::Code(ResponseCode::ServFail), SECOND, 2),
        (Reply::Code(ResponseCode::Refused), SECOND, 2),
        (Reply::Code(ResponseCode::NotImp), SECOND, 2),
        (Reply::Code(ResponseCode::FormErr), SECOND, 2),
        (Reply::Garbage, SECOND, 2),
        (Reply::Records(vec![cname_to("a\u{1b}[31m\ndenied:")]), SECOND, 2),
        (Reply::Records(vec![cname_to("db")]), SECOND, 2),
        (Reply::Silence, SECOND, 2),
    ];
    let tried = rows.map(|(reply, expected, questions)| async move {
        let first = Server::start(both(reply.clone(), reply.clone())).await;
        let second = Server::start(good()).await;
        let began = Instant::now();
        let found = resolver(&[&first, &second]).resolve(&name("db.example")).await;
        assert_eq!(result(found), expected, "{reply:?}");
        assert_eq!(second.asked().len(), questions, "{reply:?}");
        assert!(began.elapsed() < Duration::from_secs(10), "{reply:?}");
    });
    futures::future::join_all(tried).await;
}

// proves: DNS-14
#[tokio::test]
async fn the_servers_are_asked_in_the_order_given_however_often() {
    let first = Server::start(good()).await;
    let second = Server::start(good()).await;
    let resolver = resolver(&[&first, &second]);
    for _ in 0..50 {
        resolver.resolve(&name("db.example")).await.unwrap();
    }
    assert_eq!((first.asked().len(), second.asked().len()), (100, 0));
}

// proves: DNS-14
#[tokio::test]
async fn a_server_that_is_slow_for_one_family_does_not_delay_what_another_has_answered() {
    for (v4, v6) in [
        (Reply::Code(ResponseCode::ServFail), Reply::Silence),
        (Reply::Silence, Reply::Code(ResponseCode::ServFail)),
    ] {
        let first = Server::start(both(v4, v6)).await;
        let second = Server::start(good()).await;
        // A try of a silent server takes two seconds. What else the machine is doing should not count, so one time of
        // five is enough.
        let mut took = Vec::new();
        for _ in 0..5 {
            let began = Instant::now();
            let found = resolver(&[&first, &second]).resolve(&name("db.example")).await;
            assert_eq!(result(found), "10.0.0.2 fd00::2 Whole");
            took.push(began.elapsed());
            if took.last() < Some(&Duration::from_secs(1)) {
                break;
            }
        }
        assert!(took.last() < Some(&Duration::from_secs(1)), "{took:?}");
    }
}

// proves: DNS-14
#[tokio::test]
async fn a_silent_server_costs_a_chain_of_aliases_its_time_once() {
    let silent = Server::start(both(Reply::Silence, Reply::Silence)).await;
    let mut table = Table::from([(
        ("d.example", RecordType::A),
        Reply::Records(vec![a("d.example", 0, "10.0.0.2")]),
    )]);
    for family in [RecordType::A, RecordType::AAAA] {
        for (owner, target) in [("db.example", "c.example"), ("c.example", "d.example")] {
            table.insert((owner, family), Reply::Records(vec![cname(owner, 0, target)]));
        }
    }
    let second = Server::start(table).await;
    let found = resolver(&[&silent, &second]).resolve(&name("db.example")).await;
    assert_eq!(result(found), "10.0.0.2 Whole");
}

// proves: DNS-14, DNS-5
#[tokio::test]
async fn that_asking_again_does_not_help_is_said_if_every_server_refuses() {
    let (refused, failed) = (ResponseCode::Refused, ResponseCode::ServFail);
    let rows = [
        (vec![refused], "Refused"),
        (vec![refused, refused], "Refused"),
        (vec![refused, failed], "Failed"),
        (vec![failed, refused], "Failed"),
    ];
    for (codes, expected) in rows {
        let mut servers = Vec::new();
        for code in &codes {
            servers.push(Server::start(both(Reply::Code(*code), Reply::Code(*code))).await);
        }
        let found = resolver(&servers.iter().collect::<Vec<_>>())
            .resolve(&name("db.example"))
            .await;
        assert_eq!(result(found), expected, "{codes:?}");
    }
}

// proves: DNS-2
#[tokio::test]
async fn every_name_can_be_asked_for_and_led_to() {
    let label = "-".repeat(63);
    let longest = format!("{label}.{label}.{label}.{}", "-".repeat(61));
    let rows = [
        "-db.example",
        "db-.example",
        "-",
        "--.-",
        "_db.-x_.example",
        "3-.com",
        &longest,
    ];
    for text in rows {
        let asked: &'static str = text.to_owned().leak();
        let table = Table::from([
            (
                (asked, RecordType::A),
                Reply::Records(vec![a(asked, 60, "10.0.0.1")]),
            ),
            (
                ("alias.example", RecordType::A),
                Reply::Records(vec![cname("alias.example", 60, asked), a(asked, 60, "10.0.0.1")]),
            ),
        ]);
        let server = Server::start(table).await;
        let found = server.resolver().resolve(&name(text)).await;
        assert_eq!(result(found), "10.0.0.1 Whole", "{text}");
        assert_eq!(server.asked()[0], format!("udp {text}. A"));
        let led = server.resolver().resolve(&name("alias.example")).await.unwrap();
        assert_eq!(led.chain, [name(text)], "{text}");
    }
}

/// Nobody says which look-up a message is of, so none is ever asked for by more of them than this (BUD-1).
// proves: BUD-1
#[tokio::test]
async fn servers_do_not_make_a_flood_of_one_look_up() {
    let fails = || {
        both(
            Reply::Code(ResponseCode::ServFail),
            Reply::Code(ResponseCode::ServFail),
        )
    };
    let mut servers = Vec::new();
    for _ in 0..16 {
        servers.push(Server::start(fails()).await);
    }
    let all: Vec<&Server> = servers.iter().collect();
    let resolver = resolver(&all);
    let asked = || servers.iter().map(|server| server.asked().len()).sum::<usize>();
    let question = name("db.example");
    assert_eq!(result(resolver.resolve(&question).await), "Failed");
    // Without a bound it would be each of them three times for both families, which is 96.
    assert_eq!(asked(), QUESTIONS);
    // The next look-up has as many of its own.
    assert_eq!(result(resolver.resolve(&question).await), "Failed");
    assert_eq!(asked(), 2 * QUESTIONS);
}

#[tokio::test]
async fn the_longest_way_of_aliases_has_room_behind_servers_that_fail() {
    let alias = |from: usize| {
        let owner = format!("n{from}.example");
        Reply::Records(vec![cname(&owner, 0, &format!("n{}.example", from + 1))])
    };
    let names: Vec<&'static str> = (0..=16)
        .map(|number| &*format!("n{number}.example").leak())
        .collect();
    let mut table = Table::new();
    for (number, name) in names.iter().enumerate().take(16) {
        table.insert((name, RecordType::A), alias(number));
        table.insert((name, RecordType::AAAA), alias(number));
    }
    table.insert(
        (names[16], RecordType::A),
        Reply::Records(vec![a(names[16], 0, "10.0.0.2")]),
    );
    table.insert(
        (names[16], RecordType::AAAA),
        Reply::Records(vec![aaaa(names[16], 0, "fd00::2")]),
    );
    let refuses = |name| {
        [RecordType::A, RecordType::AAAA].map(|family| ((name, family), Reply::Code(ResponseCode::ServFail)))
    };
    let failing = || Table::from_iter(names.iter().flat_map(|name| refuses(*name)));
    let (one, other) = (Server::start(failing()).await, Server::start(failing()).await);
    let good = Server::start(table).await;
    let answer = resolver(&[&one, &other, &good])
        .resolve(&name("n0.example"))
        .await;
    assert_eq!(result(answer), "10.0.0.2 fd00::2 Whole");
}
