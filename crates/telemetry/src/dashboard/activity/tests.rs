//! What a real egress tells, and what is made of it.

use std::net::TcpListener;
use std::sync::Arc;

use outport_egress::{Destination, Egress, GateCtx};
use outport_policy::{AllowList, Scheme};

use super::super::edges::REFUSED_OF_A_COMPONENT;
use super::super::refusals::REFUSALS;
use super::*;

/// An instance that may reach what `list` says, and what is summed up of it.
fn instance(list: &[&str]) -> (Arc<Activity>, Egress, GateCtx) {
    let activity = Arc::new(Activity::default());
    let egress = Egress::builder().sink(activity.clone()).list_grants();
    let egress = egress.build().unwrap();
    let allow = AllowList::parse(list).unwrap();
    let instance = egress.gate("shop", Arc::new(allow)).open();
    (activity, egress, instance)
}

fn redis(host: &str, port: u16) -> Destination {
    Destination::new(Scheme::parse("redis").unwrap(), host, port).unwrap()
}

#[tokio::test]
async fn a_connection_is_one_edge_from_its_decision_to_its_end() {
    let server = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = server.local_addr().unwrap().port();
    let (activity, egress, instance) = instance(&[&format!("redis://127.0.0.1:{port}")]);
    let connection = instance
        .dialer()
        .connect(&redis("127.0.0.1", port))
        .await
        .unwrap();
    let told = activity.since(0, 100);
    let [edge] = told.edges.as_slice() else {
        panic!("one edge: {told:?}");
    };
    assert_eq!((&*edge.component, &*edge.kind), ("shop", "redis"));
    assert_eq!(*edge.to, format!("127.0.0.1:{port}"));
    assert_eq!((edge.allowed, edge.refused, edge.failed, edge.open), (1, 0, 0, 1));
    assert!(
        edge.rule
            .as_deref()
            .unwrap()
            .starts_with(&format!("redis://127.0.0.1:{port}"))
    );
    assert!(activity.since(told.until, 100).edges.is_empty());
    drop(connection);
    let after = activity.since(told.until, 100);
    assert_eq!(after.edges.len(), 1);
    assert_eq!((after.edges[0].allowed, after.edges[0].open), (1, 0));
    assert!(
        activity.lock().open.is_empty(),
        "nothing is remembered of what is over"
    );
    drop((instance, egress));
}

#[tokio::test]
async fn what_fails_is_counted_with_its_error() {
    let port = {
        let gone = TcpListener::bind("127.0.0.1:0").unwrap();
        gone.local_addr().unwrap().port()
    };
    let (activity, _egress, instance) = instance(&["redis://127.0.0.1:*"]);
    assert!(
        instance
            .dialer()
            .connect(&redis("127.0.0.1", port))
            .await
            .is_err()
    );
    let told = activity.since(0, 100);
    let edge = &told.edges[0];
    assert_eq!((told.edges.len(), edge.allowed, edge.open), (1, 1, 0));
    assert!(
        edge.failed > 0 && edge.error.as_deref() == Some("connection-refused"),
        "{edge:?}"
    );
    assert!(activity.lock().open.is_empty());
}

#[tokio::test]
async fn a_refusal_has_its_remedy_and_however_many_there_are_the_newest_are_kept() {
    let (activity, _egress, instance) = instance(&["redis://known.example.com"]);
    let dialer = instance.dialer();
    for _ in 0..3 {
        assert!(dialer.connect(&redis("other.example.com", 6379)).await.is_err());
    }
    let told = activity.since(0, 100);
    let refusal = &told.refusals[0];
    assert_eq!((told.refusals.len(), refusal.count), (1, 3));
    assert_eq!(refusal.reasons[0].reason, "allow.no-match");
    let remedy = refusal.reasons[0].remedy.as_deref().unwrap();
    assert!(remedy.contains("redis://other.example.com"), "{remedy}");
    for number in 0..2 * REFUSALS {
        let host = format!("host-{number}.example.com");
        assert!(dialer.connect(&redis(&host, 6379)).await.is_err());
    }
    let told = activity.since(0, 10_000);
    assert_eq!(told.refusals.len(), REFUSALS);
    let newest = told.refusals.last().unwrap();
    assert!(
        newest.to.contains(&format!("host-{}.", 2 * REFUSALS - 1)),
        "{newest:?}"
    );
    assert_eq!(told.edges.len(), REFUSED_OF_A_COMPONENT + 1);
    let refused: u64 = told.edges.iter().map(|edge| edge.refused).sum();
    assert_eq!(refused, 2 * REFUSALS as u64 + 3);
}

#[tokio::test]
async fn a_reader_gets_all_of_it_in_pieces() {
    let (activity, _egress, instance) = instance(&[]);
    for number in 0..50 {
        let host = format!("host-{number}.example.com");
        assert!(instance.dialer().connect(&redis(&host, 6379)).await.is_err());
    }
    let (mut seen, mut edges, mut refusals) = (0, Vec::new(), Vec::new());
    loop {
        let piece = activity.since(seen, 7);
        if piece.edges.is_empty() && piece.refusals.is_empty() {
            break;
        }
        assert!(piece.until > seen && piece.edges.len() <= 7 && piece.refusals.len() <= 7);
        seen = piece.until;
        edges.extend(piece.edges.iter().map(|edge| edge.id));
        refusals.extend(piece.refusals.iter().map(|refusal| refusal.id));
    }
    refusals.sort_unstable();
    edges.sort_unstable();
    assert_eq!(edges, (0..50).collect::<Vec<_>>());
    assert_eq!(refusals, (1..=50).collect::<Vec<_>>());
}

#[test]
fn a_destination_goes_by_its_name() {
    let rows = [
        (
            "10.0.0.5:5432",
            Some("db.test"),
            "tcp.connect",
            "tcp",
            "db.test:5432",
        ),
        (
            "[fd00::5]:5432",
            Some("db.test"),
            "tcp.connect",
            "tcp",
            "db.test:5432",
        ),
        ("10.0.0.5:5432", None, "tcp.connect", "tcp", "10.0.0.5:5432"),
        ("10.0.0.5", Some("db.test"), "dns.answer", "dns", "db.test"),
        ("fd00::5432", Some("db.test"), "dns.answer", "dns", "db.test"),
        (
            "https://api.test:443",
            None,
            "http.request",
            "https",
            "api.test:443",
        ),
        (
            "rediss://cache.test:6380",
            None,
            "redis.connect",
            "redis",
            "cache.test:6380",
        ),
        ("ldap://dir.test:389", None, "url.connect", "ldap", "dir.test:389"),
        ("default", None, "key-value.open", "key-value", "default"),
    ];
    for (written, name, attempt, kind, to) in rows {
        let shown = destination(written, name, attempt);
        assert_eq!((shown.kind, shown.to.as_str()), (kind, to), "{written} {attempt}");
    }
}
