use super::*;

fn line(rest: &str) -> String {
    format!(
        "{{\"ts\":\"2026-03-01T09:30:00.000Z\",\"process\":1700000000000,\"component\":\"web\",\"instance\":1,{rest}}}"
    )
}

fn decision(id: u64, attempt: &str, destination: &str, rest: &str) -> String {
    line(&format!(
        "\"id\":{id},\"attempt\":\"{attempt}\",\"destination\":\"{destination}\",\"verdict\":\"allow\"{rest}"
    ))
}

fn outcome(id: u64, attempt: &str, destination: &str, rest: &str) -> String {
    line(&format!(
        "\"decision\":{id},\"attempt\":\"{attempt}\",\"destination\":\"{destination}\",{rest}"
    ))
}

fn summary(lines: &[String]) -> Summary {
    let mut summary = Summary::default();
    for line in lines {
        let record = Record::parse(line.as_bytes()).unwrap_or_else(|problem| panic!("{line}: {problem}"));
        summary.add(&record, &Filter::default());
    }
    summary
}

/// Protocol, host and port, then how often it was permitted, failed and ended, and bytes each way.
fn talks(summary: &Summary) -> Vec<String> {
    let components = summary.components();
    let talks = components
        .iter()
        .flat_map(|(_, component)| component.talks.iter());
    let shown = talks.map(|talk| {
        let (host, port) = (&talk.host, talk.port.unwrap_or_default());
        let Flow { sent, received } = talk.flow;
        format!(
            "{} {host} {port}: {}/{}/{} {sent}/{received}",
            talk.protocol, talk.allowed, talk.failed, talk.ended
        )
    });
    shown.collect()
}

#[test]
fn ends_count_for_the_name_that_their_decision_had() {
    let ended = "\"outcome\":\"ended\",\"sent\":10,\"received\":20,\"duration_ms\":5,\"ended_by\":\"guest\"";
    let found = summary(&[
        decision(1, "tcp.connect", "10.0.0.5:5432", ",\"name\":\"db.test\""),
        decision(2, "tcp.connect", "10.0.0.6:5432", ",\"name\":\"db.test\""),
        outcome(
            1,
            "tcp.connect",
            "10.0.0.5:5432",
            "\"outcome\":\"succeeded\",\"duration_ms\":1",
        ),
        outcome(1, "tcp.connect", "10.0.0.5:5432", ended),
        outcome(
            2,
            "tcp.connect",
            "10.0.0.6:5432",
            "\"outcome\":\"failed\",\"error\":\"timeout\",\"name\":\"db.test\"",
        ),
        decision(3, "tcp.connect", "10.0.0.7:80", ""),
        outcome(3, "tcp.connect", "10.0.0.7:80", ended),
        // Its decision is not in the log.
        outcome(9, "tcp.connect", "10.0.0.8:80", ended),
        // The number of another process.
        outcome(2, "tcp.connect", "10.0.0.9:80", ended).replace("1700000000000", "1700000000001"),
    ]);
    assert_eq!(
        talks(&found),
        [
            "tcp db.test 5432: 2/1/1 10/20",
            "tcp 10.0.0.7 80: 1/0/1 10/20",
            "tcp 10.0.0.8 80: 0/0/1 10/20",
            "tcp 10.0.0.9 80: 0/0/1 10/20",
        ]
    );
    let components = found.components();
    let failures: Vec<_> = components[0].1.failures.iter().collect();
    assert_eq!(
        (failures.len(), &*failures[0].host, &*failures[0].error),
        (1, "db.test", "timeout")
    );
    assert_eq!(found.processes(), 2);
}

#[test]
fn what_the_host_connects_to_for_a_guest_counts_once() {
    let found = summary(&[
        decision(
            1,
            "redis.connect",
            "redis://cache.test:6379",
            ",\"rule\":\"redis://cache.test (spin.toml:3:4)\"",
        ),
        decision(2, "redis.dial", "10.0.0.5:6379", ",\"name\":\"cache.test\""),
        outcome(
            2,
            "redis.dial",
            "10.0.0.5:6379",
            "\"outcome\":\"succeeded\",\"duration_ms\":1",
        ),
        outcome(
            1,
            "redis.connect",
            "redis://cache.test:6379",
            "\"outcome\":\"succeeded\",\"duration_ms\":2",
        ),
        outcome(
            2,
            "redis.dial",
            "10.0.0.5:6379",
            "\"outcome\":\"ended\",\"sent\":7,\"received\":8",
        ),
        decision(3, "http.request", "https://a.test:443", ""),
        decision(4, "http.dial", "10.0.0.6:443", ",\"name\":\"a.test\""),
        outcome(
            4,
            "http.dial",
            "10.0.0.6:443",
            "\"outcome\":\"failed\",\"error\":\"connection-refused\"",
        ),
        outcome(
            3,
            "http.request",
            "https://a.test:443",
            "\"outcome\":\"failed\",\"error\":\"connection-refused\"",
        ),
        outcome(
            5,
            "socket.create",
            "udp",
            "\"outcome\":\"ended\",\"sent\":3,\"received\":4",
        ),
        decision(6, "dns.answer", "10.0.0.6", ",\"name\":\"a.test\""),
        decision(7, "tcp.bind", "0.0.0.0:0", ""),
    ]);
    assert_eq!(
        talks(&found),
        ["redis cache.test 6379: 1/0/1 7/8", "https a.test 443: 1/1/0 0/0"]
    );
    let components = found.components();
    let web = components[0].1;
    assert_eq!(
        web.failures.iter().count(),
        1,
        "the dial is a part of the request"
    );
    assert_eq!(web.datagrams, Flow { sent: 3, received: 4 });
    let rule = web.talks.iter().next().unwrap().rule.as_deref();
    assert_eq!(rule, Some("redis://cache.test (spin.toml:3:4)"));
}

#[test]
fn refusals_of_the_same_kind_are_one_row_with_its_remedy() {
    let denied = |id, destination: &str| {
        decision(
            id,
            "tcp.connect",
            destination,
            ",\"reason\":\"allow.none\",\"detail\":\"words\",\"remedy\":\"add it\"",
        )
        .replace("allow\",\"reason", "deny\",\"reason")
    };
    let found = summary(&[
        denied(1, "10.0.0.5:1"),
        denied(2, "10.0.0.5:1"),
        denied(3, "10.0.0.5:2"),
    ]);
    let components = found.components();
    let rows: Vec<_> = components[0]
        .1
        .refusals
        .iter()
        .map(|row| (&*row.destination, row.count))
        .collect();
    assert_eq!(rows, [("10.0.0.5:1", 2), ("10.0.0.5:2", 1)]);
    let row = components[0].1.refusals.iter().next().unwrap();
    assert_eq!(
        (row.remedy.as_deref(), &*row.reason),
        (Some("add it"), "allow.none")
    );
    assert_eq!((found.allowed, found.denied), (0, 3));
}

#[test]
fn a_guest_that_scans_takes_neither_memory_nor_the_rows_of_others() {
    let mut found = Summary::default();
    let mut add = |line: String| found.add(&Record::parse(line.as_bytes()).unwrap(), &Filter::default());
    for port in 0..5000 {
        add(decision(port, "tcp.connect", &format!("10.0.0.5:{port}"), ""));
    }
    add(decision(6000, "tcp.connect", "10.0.0.5:1", "").replace("web", "api"));
    for number in 0..3 * COMPONENTS {
        add(decision(7000, "tcp.connect", "10.0.0.5:1", "").replace("web", &format!("component-{number}")));
    }
    let components = found.components();
    let of = |name: &str| components.iter().find(|(own, _)| *own == name).unwrap().1;
    assert_eq!(
        (of("web").talks.iter().count(), of("web").talks.beyond()),
        (ROWS, 5000 - ROWS as u64)
    );
    assert_eq!((of("api").talks.iter().count(), of("api").talks.beyond()), (1, 0));
    assert_eq!(
        (components.len(), found.beyond()),
        (COMPONENTS, 2 * COMPONENTS as u64 + 2)
    );

    let mut found = Summary::default();
    let long = "x".repeat(60_000);
    for number in 0..2 * TEXTS / long.len() {
        let line = decision(1, "tcp.connect", &format!("{long}{number}"), "")
            .replace("web", &format!("c{}", number / 500));
        found.add(&Record::parse(line.as_bytes()).unwrap(), &Filter::default());
    }
    let rows = found
        .components()
        .iter()
        .map(|(_, own)| own.talks.iter().count())
        .sum::<usize>();
    assert!(rows <= TEXTS / long.len(), "{rows}");
}

#[test]
fn lost_lines_are_added_up_in_the_time_that_counts() {
    let mut found = Summary::default();
    let filter = Filter {
        since: Some("2026-03-01T09:30:00Z".parse().unwrap()),
        components: vec!["nobody".to_owned()],
        ..Filter::default()
    };
    for (second, lost) in [(29, 1), (30, 20), (31, 300)] {
        let line = format!("{{\"ts\":\"2026-03-01T09:{second}:00.000Z\",\"lost\":{lost}}}");
        found.add(&Record::parse(line.as_bytes()).unwrap(), &filter);
    }
    assert_eq!((found.lost, found.records), (320, 2));
}
