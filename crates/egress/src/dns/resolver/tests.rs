use std::collections::HashMap;
use std::sync::Mutex;

use hickory_resolver::proto::op::{Message, MessageType, OpCode, ResponseCode};
use hickory_resolver::proto::rr::rdata::{A, AAAA, CNAME};
use hickory_resolver::proto::rr::{Name as WireName, RData, Record, RecordType};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, UdpSocket};

use super::super::chain::written;
use super::*;
use crate::testing::{addresses, name};

mod in_order;

/// The reply of the server to a question.
#[derive(Clone, Debug)]
enum Reply {
    Records(Vec<Record>),
    Code(ResponseCode),
    /// Over UDP only the header, over TCP the records.
    Truncated(Vec<Record>),
    /// Bytes that are no message, behind the id of the question.
    Garbage,
    Silence,
}

/// A DNS server on loopback, over UDP and TCP, that answers by a table and notes what it was asked.
struct Server {
    address: SocketAddr,
    asked: Arc<Mutex<Vec<String>>>,
}

type Table = HashMap<(&'static str, RecordType), Reply>;

impl Server {
    async fn start(table: Table) -> Self {
        let (udp, tcp) = loop {
            let udp = UdpSocket::bind("127.0.0.1:0").await.unwrap();
            // The port of the one may be taken for the other.
            if let Ok(tcp) = TcpListener::bind(udp.local_addr().unwrap()).await {
                break (udp, tcp);
            }
        };
        let address = udp.local_addr().unwrap();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let (table, noted) = (Arc::new(table), asked.clone());
        let (tcp_table, tcp_noted) = (table.clone(), asked.clone());
        tokio::spawn(async move {
            let mut buffer = [0; 1500];
            while let Ok((length, peer)) = udp.recv_from(&mut buffer).await {
                if let Some(reply) = reply(&table, &noted, &buffer[..length], "udp") {
                    udp.send_to(&reply, peer).await.unwrap();
                }
            }
        });
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = tcp.accept().await {
                let (table, noted) = (tcp_table.clone(), tcp_noted.clone());
                tokio::spawn(async move {
                    while let Ok(length) = stream.read_u16().await {
                        let mut question = vec![0; length.into()];
                        stream.read_exact(&mut question).await.unwrap();
                        if let Some(reply) = reply(&table, &noted, &question, "tcp") {
                            stream.write_u16(reply.len().try_into().unwrap()).await.unwrap();
                            stream.write_all(&reply).await.unwrap();
                        }
                    }
                });
            }
        });
        Self { address, asked }
    }

    fn resolver(&self) -> Resolver {
        self.resolver_with(&[])
    }

    fn resolver_with(&self, search: &[&str]) -> Resolver {
        let search = search.iter().map(|domain| name(domain)).collect();
        let hosts_file = PathBuf::from("/nonexistent/hosts");
        Resolver::new(ResolverParts {
            servers: vec![self.address],
            search,
            hosts_file,
        })
        .unwrap()
    }

    /// `transport name type` of every question so far, sorted, since the two families race.
    fn asked(&self) -> Vec<String> {
        let mut asked = self.asked.lock().unwrap().clone();
        asked.sort();
        asked
    }
}

fn reply(table: &Table, noted: &Mutex<Vec<String>>, question: &[u8], transport: &str) -> Option<Vec<u8>> {
    let question = Message::from_vec(question).unwrap();
    let query = question.queries[0].clone();
    let asked = format!("{}.", written(query.name()).unwrap());
    noted
        .lock()
        .unwrap()
        .push(format!("{transport} {asked} {}", query.query_type()));
    let reply = table
        .get(&(asked.trim_end_matches('.'), query.query_type()))
        .cloned();

    let mut message = Message::new(question.metadata.id, MessageType::Response, OpCode::Query);
    message.metadata.recursion_desired = true;
    message.metadata.recursion_available = true;
    let mut answers = Vec::new();
    match reply.unwrap_or(Reply::Records(Vec::new())) {
        Reply::Silence => return None,
        Reply::Garbage => {
            let id = question.metadata.id.to_be_bytes();
            return Some([&id[..], &[0x81, 0x80, 0xff]].concat());
        }
        Reply::Records(records) => answers = records,
        Reply::Code(code) => message.metadata.response_code = code,
        Reply::Truncated(_) if transport == "udp" => message.metadata.truncation = true,
        Reply::Truncated(records) => answers = records,
    }
    message.add_query(query);
    message.add_answers(answers);
    Some(message.to_vec().unwrap())
}

fn record(owner: &str, ttl: u32, data: RData) -> Record {
    Record::from_rdata(wire_name(owner), ttl, data)
}

fn wire_name(text: &str) -> WireName {
    WireName::from_labels(text.split('.').map(str::as_bytes)).unwrap()
}

fn a(owner: &str, ttl: u32, address: &str) -> Record {
    record(owner, ttl, RData::A(A(address.parse().unwrap())))
}

fn aaaa(owner: &str, ttl: u32, address: &str) -> Record {
    record(owner, ttl, RData::AAAA(AAAA(address.parse().unwrap())))
}

fn cname(owner: &str, ttl: u32, target: &str) -> Record {
    record(owner, ttl, RData::CNAME(CNAME(wire_name(target))))
}

// proves: DNS-2, DNS-11
#[tokio::test]
async fn both_families_are_asked_in_lower_case_and_kept_for_their_ttl() {
    let table = Table::from([
        (
            ("db.example", RecordType::A),
            Reply::Records(vec![a("db.example", 60, "10.0.0.1")]),
        ),
        (
            ("db.example", RecordType::AAAA),
            Reply::Records(vec![aaaa("db.example", 30, "fd00::1")]),
        ),
    ]);
    let server = Server::start(table).await;
    let resolver = server.resolver();
    for _ in 0..2 {
        let answer = resolver.resolve(&name("DB.Example")).await.unwrap();
        assert_eq!(answer.addresses, addresses(&["10.0.0.1", "fd00::1"]));
        assert_eq!((answer.chain, answer.source), (Vec::new(), AnswerSource::Server));
        assert!(
            answer.ttl <= Duration::from_secs(30) && answer.ttl > Duration::from_secs(25),
            "{:?}",
            answer.ttl
        );
    }
    assert_eq!(
        server.asked(),
        ["udp db.example. A", "udp db.example. AAAA"],
        "the second time it was known"
    );
}

#[tokio::test]
async fn an_answer_with_a_ttl_of_zero_is_asked_for_every_time() {
    let table = Table::from([(
        ("db.example", RecordType::A),
        Reply::Records(vec![a("db.example", 0, "10.0.0.1")]),
    )]);
    let server = Server::start(table).await;
    let resolver = server.resolver();
    for questions in [2, 4] {
        assert_eq!(
            resolver.resolve(&name("db.example")).await.unwrap().ttl,
            Duration::ZERO
        );
        assert_eq!(server.asked().len(), questions);
    }
}

// proves: DL-4
#[tokio::test]
async fn the_chain_is_known_whether_the_server_follows_it_or_not() {
    let table = Table::from([
        (
            ("whole.example", RecordType::A),
            Reply::Records(vec![
                cname("whole.example", 60, "b.example"),
                cname("b.example", 60, "c.example"),
                a("c.example", 60, "10.0.0.1"),
                a("stranger.example", 60, "10.6.6.6"),
            ]),
        ),
        (
            ("part.example", RecordType::A),
            Reply::Records(vec![cname("part.example", 60, "d.example")]),
        ),
        (
            ("d.example", RecordType::A),
            Reply::Records(vec![a("d.example", 60, "10.0.0.2")]),
        ),
        (
            ("on.example", RecordType::A),
            Reply::Records(vec![cname("on.example", 20, "whole.example")]),
        ),
    ]);
    let resolver = Server::start(table).await.resolver();
    let rows = [
        (
            "whole.example",
            vec![name("b.example"), name("c.example")],
            "10.0.0.1",
        ),
        ("part.example", vec![name("d.example")], "10.0.0.2"),
        (
            "on.example",
            vec![name("whole.example"), name("b.example"), name("c.example")],
            "10.0.0.1",
        ),
    ];
    for (asked, chain, address) in rows {
        let answer = resolver.resolve(&name(asked)).await.unwrap();
        assert_eq!(
            (answer.chain, answer.addresses),
            (chain, addresses(&[address])),
            "{asked}"
        );
    }
}

#[tokio::test]
async fn addresses_of_another_name_are_no_answer() {
    let table = Table::from([(
        ("db.example", RecordType::A),
        Reply::Records(vec![a("stranger.example", 60, "10.6.6.6")]),
    )]);
    let result = Server::start(table)
        .await
        .resolver()
        .resolve(&name("db.example"))
        .await;
    assert!(result.is_err(), "{result:?}");
}

// proves: DNS-5
#[tokio::test]
async fn the_server_says_why_there_is_no_address() {
    let table = |v4: &Reply, v6: &Reply| {
        Table::from([
            (("db.example", RecordType::A), v4.clone()),
            (("db.example", RecordType::AAAA), v6.clone()),
        ])
    };
    let kind = |error: ResolveError| match error {
        ResolveError::Failed { .. } => "failed",
        ResolveError::Refused { .. } => "refused",
        ResolveError::NoSuchName => "no such name",
        ResolveError::NoAddress => "no address",
        ResolveError::TimedOut => "timed out",
    };
    let gone = Reply::Code(ResponseCode::NXDomain);
    let empty = Reply::Records(Vec::new());
    let failed = Reply::Code(ResponseCode::ServFail);
    let refused = Reply::Code(ResponseCode::Refused);
    let rows = [
        (&gone, &gone, "no such name"),
        (&empty, &empty, "no address"),
        (&failed, &failed, "failed"),
        (&refused, &refused, "refused"),
        (&gone, &empty, "no such name"),
        (&gone, &failed, "failed"),
        (&gone, &refused, "refused"),
        (&gone, &Reply::Silence, "timed out"),
        (&empty, &failed, "failed"),
    ];
    for (one, other, expected) in rows {
        for (v4, v6) in [(one, other), (other, one)] {
            let result = Server::start(table(v4, v6))
                .await
                .resolver()
                .resolve(&name("db.example"))
                .await;
            assert_eq!(kind(result.unwrap_err()), expected, "{v4:?} and {v6:?}");
        }
    }
}

#[tokio::test]
async fn one_family_is_enough() {
    let rows = [
        Reply::Code(ResponseCode::ServFail),
        Reply::Code(ResponseCode::NXDomain),
        Reply::Silence,
    ];
    for (index, other) in rows.into_iter().enumerate() {
        let table = Table::from([
            (
                ("db.example", RecordType::A),
                Reply::Records(vec![a("db.example", 60, "10.0.0.1")]),
            ),
            (("db.example", RecordType::AAAA), other),
        ]);
        let start = Instant::now();
        let answer = Server::start(table)
            .await
            .resolver()
            .resolve(&name("db.example"))
            .await
            .unwrap();
        assert_eq!(answer.addresses, addresses(&["10.0.0.1"]), "row {index}");
        assert!(start.elapsed() < Duration::from_secs(15), "row {index}");
    }
}

#[tokio::test]
async fn a_truncated_answer_is_asked_for_again_over_tcp() {
    let records: Vec<Record> = (0..200)
        .map(|index| a("db.example", 60, &format!("10.0.0.{index}")))
        .collect();
    let table = Table::from([(("db.example", RecordType::A), Reply::Truncated(records))]);
    let server = Server::start(table).await;
    let answer = server.resolver().resolve(&name("db.example")).await.unwrap();
    assert_eq!(answer.addresses.len(), 200);
    assert!(
        server.asked().contains(&"tcp db.example. A".to_owned()),
        "{:?}",
        server.asked()
    );
}

// proves: DNS-2
#[tokio::test]
async fn search_domains_apply_only_to_names_without_a_dot() {
    let server = Server::start(Table::new()).await;
    let resolver = server.resolver_with(&["corp.example", "example"]);
    let expanded = |text: &str| {
        resolver
            .expand(&name(text))
            .iter()
            .map(ToString::to_string)
            .collect::<Vec<_>>()
    };
    assert_eq!(expanded("db"), ["db.corp.example", "db.example", "db"]);
    assert_eq!(expanded("db.corp"), ["db.corp"]);
}

// proves: DNS-11
#[tokio::test]
async fn the_hosts_file_comes_before_the_servers() {
    let folder = tempfile::tempdir().unwrap();
    let hosts_file = folder.path().join("hosts");
    std::fs::write(&hosts_file, "10.0.0.9 db.example db").unwrap();
    let server = Server::start(Table::new()).await;
    let parts = ResolverParts {
        servers: vec![server.address],
        search: vec![name("corp.example")],
        hosts_file,
    };
    let resolver = Resolver::new(parts).unwrap();
    for text in ["db.example", "db"] {
        assert_eq!(resolver.expand(&name(text)), [name(text)]);
        let answer = resolver.resolve(&name(text)).await.unwrap();
        assert_eq!(
            (answer.addresses, answer.source),
            (addresses(&["10.0.0.9"]), AnswerSource::HostsFile)
        );
    }
    assert_eq!(server.asked(), [] as [&str; 0]);
}

#[test]
fn a_resolver_serves_runtimes_that_come_and_go() {
    let new_runtime = || {
        tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap()
    };
    let host = new_runtime();
    let table = Table::from([(
        ("db.example", RecordType::A),
        Reply::Records(vec![a("db.example", 0, "10.0.0.1")]),
    )]);
    let resolver = host.block_on(Server::start(table)).resolver();
    // The server keeps running on its own thread.
    std::thread::spawn(move || host.block_on(std::future::pending::<()>()));
    for _ in 0..3 {
        let answer = new_runtime()
            .block_on(resolver.resolve(&name("db.example")))
            .unwrap();
        assert_eq!(answer.addresses, addresses(&["10.0.0.1"]));
    }
}
