//! What becomes of what was permitted, as the audit log has it.

use std::net::SocketAddr;

use outport_e2e::dns::{DnsServer, Reply};
use outport_e2e::http::Origin;
use outport_e2e::outport::{Finished, Outport};
use outport_e2e::schema;
use outport_e2e::tcp::{ClosedPort, Manner, TcpPeer};
use outport_e2e::udp::UdpEcho;

/// `ATTEMPT OUTCOME`, the error or status, and who ended it, of each outcome but those of addresses dialled.
fn told(finished: &Finished) -> Vec<String> {
    let outcomes = finished.outcomes.iter().map(|line| {
        let member = |name: &str| match &line[name] {
            serde_json::Value::Null => String::new(),
            serde_json::Value::String(text) => format!(" {text}"),
            other => format!(" {other}"),
        };
        let members = ["outcome", "status", "error", "ended_by"].map(member).concat();
        format!("{}{members}", line["attempt"].as_str().unwrap_or_default())
    });
    outcomes.filter(|line| !line.starts_with("http.dial")).collect()
}

// proves: RSN-6
#[test]
fn rsn_6_whatever_is_permitted_has_an_outcome_and_an_end() {
    let dns = DnsServer::start();
    dns.answers("there.test", [Reply::addresses(["127.0.0.1"])]);
    let (echo, closing) = (TcpPeer::echo(), TcpPeer::start(Manner::Close));
    let (origin, closed) = (Origin::start("hello"), ClosedPort::take());
    let connect = |to: SocketAddr| format!("tcp.connect {to} as x");
    let nobody = format!("127.0.0.1:{}", closed.number());
    let rows: Vec<(Vec<String>, Vec<&str>)> = vec![
        (
            vec![
                connect(echo.address()),
                "tcp.send x ping".into(),
                "tcp.recv x".into(),
            ],
            vec!["tcp.connect succeeded", "tcp.connect ended guest"],
        ),
        (
            vec![connect(echo.address()), "exit 0".into()],
            vec!["tcp.connect succeeded", "tcp.connect ended instance"],
        ),
        (
            vec![connect(echo.address()), "tcp.shutdown x send".into()],
            vec!["tcp.connect succeeded", "tcp.connect ended guest"],
        ),
        (
            vec![connect(closing.address()), "tcp.recv x".into()],
            vec!["tcp.connect succeeded", "tcp.connect ended peer"],
        ),
        (
            vec![format!("tcp.connect {nobody}")],
            vec!["tcp.connect failed connection-refused"],
        ),
        (
            vec!["dns.lookup there.test".into(), "dns.lookup nowhere.test".into()],
            vec!["dns.lookup succeeded", "dns.lookup failed name-unresolvable"],
        ),
        (
            vec![format!("http.text GET http://{}/", origin.address())],
            vec!["http.request succeeded 200", "http.request ended complete"],
        ),
        (
            vec![format!("http GET http://{nobody}/")],
            vec!["http.request failed connection-refused"],
        ),
        (vec!["tcp.connect 10.0.0.5:80".into()], vec![]),
        // Two layers refuse it.
        (vec!["tcp.connect 169.254.169.254:80".into()], vec![]),
    ];
    for (statements, expected) in rows {
        let run = Outport::script_guest().dns(&dns).args(&statements);
        let run = run.allow("*://127.0.0.1:*").allow("*://*.test:80");
        let finished = run.finish().expect_code(0);
        assert_eq!(told(&finished), expected, "{statements:?}\n{finished}");
        schema::assert_log_of(&finished);
        for outcome in &finished.outcomes {
            let decision = outcome["decision"].to_string();
            let decided = finished.audit.iter().find(|line| line.field("id") == decision);
            let decided = decided.unwrap_or_else(|| panic!("{outcome} of no decision\n{finished}"));
            assert_eq!(decided.field("destination"), outcome["destination"], "{finished}");
            assert_eq!(decided.field("attempt"), outcome["attempt"], "{finished}");
        }
    }
    let run = Outport::script_guest().allow("*://127.0.0.1:*");
    let asked = run.args([format!("http.text GET http://{}/", origin.address())]);
    let finished = asked.finish();
    let mut ends = finished.outcomes.iter().filter(|line| line["outcome"] == "ended");
    let dialled = ends.find(|line| line["attempt"] == "http.dial");
    assert_eq!(dialled.expect("an end")["ended_by"], "peer", "{finished}");

    let run = Outport::script_guest().allow("*://127.0.0.1:*");
    let sent = run.args([
        connect(echo.address()),
        "tcp.send x ping".into(),
        "tcp.recv x".into(),
    ]);
    let finished = sent.finish();
    let end = finished.outcomes.last().expect("an outcome");
    assert_eq!(
        (&end["sent"], &end["received"]),
        (&4.into(), &4.into()),
        "{finished}"
    );

    let echo = UdpEcho::start();
    let run = Outport::script_guest()
        .allow(format!("*://{}", echo.address()))
        .option("--allow-udp");
    let finished = run
        .args([
            format!("udp.connect {} as u", echo.address()),
            "udp.send u one".into(),
            "udp.recv u 5000".into(),
        ])
        .finish();
    let made = finished
        .audit
        .iter()
        .find(|line| line.field("attempt") == "socket.create");
    let made = made.expect("a decision").to_string();
    assert!(!made.contains("\"rule\""), "{made}");
    let ended = told(&finished);
    assert!(
        ended.len() == 1 && ended[0].starts_with("socket.create ended"),
        "{finished}"
    );
    let end = finished.outcomes.last().expect("an outcome");
    assert_eq!(
        (&end["sent"], &end["received"]),
        (&1.into(), &1.into()),
        "{finished}"
    );
}

// proves: RSN-6
#[test]
fn rsn_6_what_is_open_when_the_policy_changes_or_the_process_stops_has_an_end() {
    let echo = TcpPeer::echo();
    let open = |config: &str| {
        Outport::script_guest()
            .allow("*://127.0.0.1:*")
            .file("config.toml", config)
            .option("--runtime-config-file=config.toml")
            .args([
                format!("tcp.connect {} as x", echo.address()),
                "tcp.recv x 60000".into(),
                "print over".into(),
            ])
            .start()
    };
    let run = open("");
    echo.wait_for(1);
    let denied = format!(
        "[outbound_networking]\ndisallowed_outbound_hosts = [\"*://{}\"]\n",
        echo.address()
    );
    run.write("config.toml", denied);
    let finished = run.finish().expect_code(0);
    assert_eq!(
        told(&finished),
        ["tcp.connect succeeded", "tcp.connect ended policy"],
        "{finished}"
    );

    let run = open("");
    echo.wait_for(2);
    let finished = run.stop();
    let told = told(&finished);
    let ended = ["tcp.connect ended host", "tcp.connect ended instance"];
    assert!(told.len() == 2 && ended.contains(&told[1].as_str()), "{finished}");

    // What was sent has not been read, so closing resets, right away or after an end in order.
    let peer = TcpPeer::start(Manner::Stall);
    let run = Outport::script_guest()
        .allow("*://127.0.0.1:*")
        .args([
            format!("tcp.connect {} as x", peer.address()),
            "tcp.send x unread".into(),
            "tcp.recv x 60000".into(),
        ])
        .start();
    run.wait_for_line("2 tcp.send");
    drop(peer);
    let finished = run.finish();
    let told = self::told(&finished);
    let ended = [
        "tcp.connect ended connection-reset reset",
        "tcp.connect ended peer",
    ];
    assert!(told.len() == 2 && ended.contains(&told[1].as_str()), "{finished}");
}
