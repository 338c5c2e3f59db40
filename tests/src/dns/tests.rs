//! The server against a resolver that many programs use.

use std::net::IpAddr;
use std::time::{Duration, Instant};

use hickory_resolver::config::{ConnectionConfig, NameServerConfig, ResolverConfig, ResolverOpts};
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::{Resolver, TokioResolver};

use super::{DnsServer, RecordType, Reply, Transport};

fn resolver(server: &DnsServer) -> TokioResolver {
    let [mut udp, mut tcp] = [ConnectionConfig::udp(), ConnectionConfig::tcp()];
    udp.port = server.address().port();
    tcp.port = server.address().port();
    let name_server = NameServerConfig::new(server.address().ip(), true, vec![udp, tcp]);
    let config = ResolverConfig::from_parts(None, Vec::new(), vec![name_server]);
    let mut options = ResolverOpts::default();
    options.timeout = Duration::from_secs(2);
    options.attempts = 0;
    let builder = Resolver::builder_with_config(config, TokioRuntimeProvider::default());
    builder.with_options(options).build().unwrap()
}

async fn lookup(server: &DnsServer, name: &str) -> Result<Vec<IpAddr>, String> {
    let answer = resolver(server)
        .lookup_ip(format!("{name}."))
        .await
        .map_err(|error| error.to_string())?;
    let mut addresses: Vec<_> = answer.iter().collect();
    addresses.sort();
    Ok(addresses)
}

fn addresses(texts: &[&str]) -> Vec<IpAddr> {
    texts.iter().map(|text| text.parse().unwrap()).collect()
}

#[tokio::test]
async fn answers_change_from_query_to_query_and_the_last_one_repeats() {
    let server = DnsServer::start();
    server.answers(
        "db.test",
        [
            Reply::addresses(["10.0.0.5"]),
            Reply::addresses(["10.0.0.6", "fd00::6"]),
        ],
    );
    assert_eq!(lookup(&server, "db.test").await, Ok(addresses(&["10.0.0.5"])));
    for _ in 0..2 {
        assert_eq!(
            lookup(&server, "db.test").await,
            Ok(addresses(&["10.0.0.6", "fd00::6"]))
        );
    }
}

#[tokio::test]
async fn a_script_for_one_type_goes_before_the_one_for_the_name() {
    let server = DnsServer::start();
    server.answers("db.test", [Reply::addresses(["10.0.0.5"])]);
    server.answers_of(RecordType::AAAA, "db.test", [Reply::addresses(["fd00::5"])]);
    assert_eq!(
        lookup(&server, "db.test").await,
        Ok(addresses(&["10.0.0.5", "fd00::5"]))
    );
}

#[tokio::test]
async fn a_chain_of_aliases_leads_to_the_addresses() {
    let server = DnsServer::start();
    server.answers(
        "www.test",
        [Reply::addresses(["10.0.0.5"]).via(["cdn.test", "edge.test"])],
    );
    server.answers("half.test", [Reply::alias(["plain.test"])]);
    server.answers("plain.test", [Reply::addresses(["10.0.0.5"])]);
    for name in ["www.test", "half.test"] {
        assert_eq!(
            lookup(&server, name).await,
            Ok(addresses(&["10.0.0.5"])),
            "{name}"
        );
    }
}

#[tokio::test]
async fn failures_fail() {
    let server = DnsServer::start();
    server.answers("none.test", [Reply::nodata()]);
    server.answers("broken.test", [Reply::servfail()]);
    server.answers("no.test", [Reply::refused()]);
    server.answers("quiet.test", [Reply::silence()]);
    server.answers("loop.test", [Reply::alias_loop("loop.test", "pool.test")]);
    server.answers("forged.test", [Reply::addresses(["10.0.0.5"]).wrong_id()]);
    server.answers(
        "foreign.test",
        [Reply::addresses(["10.0.0.5"]).owned_by("other.test")],
    );
    server.answers(
        "other.test",
        [Reply::addresses(["10.0.0.5"]).to_the_question("foreign.test")],
    );
    server.answers("garbled.test", [Reply::garbage(&[0xff; 40])]);
    server.answers("huge.test", [Reply::many_addresses(500).oversized()]);
    for name in [
        "other.test",
        "garbled.test",
        "huge.test",
        "unknown.test",
        "none.test",
        "broken.test",
        "no.test",
        "quiet.test",
        "loop.test",
        "forged.test",
        "foreign.test",
    ] {
        let answer = lookup(&server, name).await;
        assert!(answer.is_err(), "{name} gave {answer:?}");
        assert!(!server.queries_for(name).is_empty(), "{name} was never asked for");
    }
}

#[tokio::test]
async fn a_truncated_answer_comes_whole_over_tcp() {
    let server = DnsServer::start();
    server.answers("tc.test", [Reply::addresses(["10.0.0.5"]).truncated()]);
    server.answers("big.test", [Reply::many_addresses(500)]);
    for (name, count) in [("tc.test", 1), ("big.test", 500)] {
        assert_eq!(lookup(&server, name).await.unwrap().len(), count, "{name}");
        assert!(
            server
                .queries_for(name)
                .iter()
                .any(|query| query.transport == Transport::Tcp),
            "{name}"
        );
    }
}

#[tokio::test]
async fn a_delayed_answer_takes_its_time_and_holds_no_other_up() {
    let server = DnsServer::start();
    let delay = Duration::from_millis(800);
    server.answers("slow.test", [Reply::addresses(["10.0.0.5"]).after(delay)]);
    server.answers("fast.test", [Reply::addresses(["10.0.0.6"])]);
    let start = Instant::now();
    let slow = async { (lookup(&server, "slow.test").await.unwrap(), start.elapsed()) };
    let fast = async { (lookup(&server, "fast.test").await.unwrap(), start.elapsed()) };
    let ((_, slow), (_, fast)) = tokio::join!(slow, fast);
    assert!(slow >= delay && fast < slow, "slow took {slow:?}, fast {fast:?}");
}

#[tokio::test]
async fn a_server_that_dies_answers_nothing_more() {
    let server = DnsServer::start();
    server.answers("last.test", [Reply::death()]);
    server.answers("db.test", [Reply::addresses(["10.0.0.5"])]);
    assert!(lookup(&server, "last.test").await.is_err());
    assert!(lookup(&server, "db.test").await.is_err());
}

#[tokio::test]
async fn the_log_has_every_query_in_the_case_it_was_sent_in() {
    let server = DnsServer::start();
    let _ = resolver(&server).lookup("Some.Name.test.", RecordType::A).await;
    let query = server.queries().into_iter().next().unwrap();
    assert_eq!(
        (query.record_type, query.transport),
        (RecordType::A, Transport::Udp)
    );
    assert!(
        query.name.eq_ignore_ascii_case("some.name.test"),
        "{}",
        query.name
    );
    assert_eq!(server.queries_for("SOME.NAME.TEST")[0], query);
}
