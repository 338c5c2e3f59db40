use super::*;

/// Lines of one run, a second after the other.
#[derive(Default)]
struct Log {
    lines: Vec<String>,
    id: u64,
}

const PROCESS: u64 = 1_700_000_000_000;

impl Log {
    fn put(&mut self, instance: u64, rest: &str) -> &mut Self {
        self.id += 1;
        let ts = second(self.lines.len() as u64);
        self.lines.push(format!(
            "{{\"ts\":\"{ts}\",\"process\":{PROCESS},\"component\":\"web\",\"instance\":{instance},{rest}}}"
        ));
        self
    }

    fn decided(&mut self, instance: u64, attempt: &str, destination: &str, rest: &str) -> u64 {
        let id = self.id + 1;
        let rest = format!("\"id\":{id},\"attempt\":\"{attempt}\",\"destination\":\"{destination}\",{rest}");
        self.put(instance, &rest);
        id
    }

    fn begin(&mut self, instance: u64, name: &str) -> u64 {
        self.decided(
            instance,
            "dns.lookup",
            name,
            "\"verdict\":\"allow\",\"rule\":\"*://*.test:* (spin.toml:1:2)\"",
        )
    }

    fn end(&mut self, instance: u64, lookup: u64, name: &str, addresses: &[&str], rest: &str) {
        for address in addresses {
            let rest = format!("\"name\":\"{name}\",\"lookup\":{lookup},\"verdict\":\"allow\"");
            self.decided(instance, "dns.answer", address, &rest);
        }
        let rest =
            format!("\"decision\":{lookup},\"attempt\":\"dns.lookup\",\"destination\":\"{name}\",{rest}");
        self.put(instance, &rest);
    }

    fn look_up(&mut self, instance: u64, name: &str, addresses: &[&str]) -> u64 {
        let lookup = self.begin(instance, name);
        self.end(instance, lookup, name, addresses, "\"outcome\":\"succeeded\"");
        lookup
    }

    fn why(&self, host: &str, at: u64) -> Answer {
        let (host, port) = Host::written(host);
        let mut why = Why::new(Question {
            host,
            port,
            from: second(at),
            until: second(at),
            components: Vec::new(),
            instances: Vec::new(),
        });
        for line in &self.lines {
            why.add(&Record::parse(line.as_bytes()).unwrap_or_else(|problem| panic!("{line}: {problem}")));
        }
        why.answer()
    }

    /// The names that grant an address to an instance after the last line.
    fn names(&self, instance: u64, address: &str) -> Vec<String> {
        let answer = self.why(address, self.lines.len() as u64);
        let own = answer
            .subjects
            .iter()
            .find(|subject| subject.instance == instance);
        let grants = own.map(|own| own.granted_by.clone()).unwrap_or_default();
        grants
            .into_iter()
            .map(|grant| grant.lookup.name.clone())
            .collect()
    }
}

fn second(second: u64) -> Timestamp {
    Timestamp::from_millis(1_772_000_000_000 + second * 1000)
}

#[test]
fn a_new_answer_takes_the_place_of_the_one_before_for_its_instance_alone() {
    let mut log = Log::default();
    log.look_up(1, "a.test", &["10.0.0.1", "10.0.0.2"]);
    log.look_up(2, "a.test", &["10.0.0.1"]);
    let before = log.lines.len() as u64 - 1;
    let newest = log.look_up(1, "a.test", &["10.0.0.2", "10.0.0.3"]);
    assert_eq!(log.names(1, "10.0.0.1"), [] as [&str; 0]);
    assert_eq!(log.names(2, "10.0.0.1"), ["a.test"]);
    assert_eq!(log.names(1, "10.0.0.3"), ["a.test"]);

    let answer = log.why("10.0.0.2", 99);
    let grant = &answer.subjects[0].granted_by[0];
    assert_eq!(
        (grant.lookup.number, grant.since),
        (newest, second(3)),
        "it was granted all the time"
    );
    assert_eq!(grant.lookup.rule.as_deref(), Some("*://*.test:* (spin.toml:1:2)"));

    let answer = log.why("10.0.0.1", before);
    assert_eq!(
        answer
            .subjects
            .iter()
            .filter(|own| !own.granted_by.is_empty())
            .count(),
        2,
        "at that moment both"
    );
    let answer = log.why("10.0.0.1", 99);
    let own = answer.subjects.iter().find(|own| own.instance == 1).unwrap();
    let (grant, end) = own.ended.last().unwrap();
    assert_eq!(grant.lookup.name, "a.test");
    assert!(
        matches!(end, End::Replaced(lookup) if lookup.number == newest),
        "{end:?}"
    );
}

#[test]
fn of_two_look_ups_in_flight_the_later_one_wins_whichever_answers_first() {
    for later_first in [true, false] {
        let mut log = Log::default();
        let (one, other) = (log.begin(1, "a.test"), log.begin(1, "a.test"));
        let succeeded = "\"outcome\":\"succeeded\"";
        if later_first {
            log.end(1, other, "a.test", &["10.0.0.2"], succeeded);
            log.end(1, one, "a.test", &["10.0.0.1"], succeeded);
        } else {
            log.end(1, one, "a.test", &["10.0.0.1"], succeeded);
            log.end(1, other, "a.test", &["10.0.0.2"], succeeded);
        }
        assert_eq!(log.names(1, "10.0.0.1"), [] as [&str; 0]);
        assert_eq!(log.names(1, "10.0.0.2"), ["a.test"]);
    }
}

#[test]
fn what_fails_changes_nothing_and_what_has_no_address_ends_what_was_granted() {
    let rows = [
        (
            "\"outcome\":\"failed\",\"error\":\"temporary-resolver-failure\"",
            true,
        ),
        (
            "\"outcome\":\"failed\",\"error\":\"permanent-resolver-failure\"",
            true,
        ),
        ("\"outcome\":\"failed\",\"error\":\"abandoned\"", true),
        ("\"outcome\":\"failed\",\"error\":\"name-unresolvable\"", false),
        ("\"outcome\":\"failed\",\"error\":\"access-denied\"", false),
    ];
    for (outcome, stays) in rows {
        let mut log = Log::default();
        log.look_up(1, "a.test", &["10.0.0.1"]);
        let lookup = log.begin(1, "a.test");
        log.end(1, lookup, "a.test", &[], outcome);
        let expected: &[&str] = if stays { &["a.test"] } else { &[] };
        assert_eq!(log.names(1, "10.0.0.1"), expected, "{outcome}");
    }
}

#[test]
fn an_address_of_two_names_stays_until_both_drop_it_and_a_name_makes_room() {
    let mut log = Log::default();
    log.look_up(1, "a.test", &["10.0.0.1"]);
    log.look_up(1, "b.test", &["10.0.0.1"]);
    log.look_up(1, "a.test", &["10.0.0.9"]);
    assert_eq!(log.names(1, "10.0.0.1"), ["b.test"]);
    let lookup = log.begin(1, "c.test");
    log.end(
        1,
        lookup,
        "c.test",
        &["10.0.0.8"],
        "\"outcome\":\"succeeded\",\"evicted\":\"b.test\"",
    );
    assert_eq!(log.names(1, "10.0.0.1"), [] as [&str; 0]);
    let answer = log.why("10.0.0.1", 99);
    let (grant, end) = answer.subjects[0].ended.last().unwrap();
    assert_eq!(grant.lookup.name, "b.test");
    assert!(
        matches!(end, End::Evicted { by, .. } if by == "c.test"),
        "{end:?}"
    );
}

#[test]
fn an_attempt_is_told_with_what_was_granted_at_its_line() {
    let mut log = Log::default();
    let lookup = log.look_up(1, "a.test", &["10.0.0.1"]);
    let at = log.lines.len() as u64;
    let rule = "\"verdict\":\"allow\",\"name\":\"a.test\",\"rule\":\"*://a.test:5432 (spin.toml:1:2) by look-up of a.test\"";
    log.decided(1, "tcp.connect", "10.0.0.1:5432", rule);
    log.look_up(1, "a.test", &["10.0.0.2"]);
    let refused = log.lines.len() as u64;
    log.decided(
        1,
        "tcp.connect",
        "10.0.0.1:5432",
        "\"verdict\":\"deny\",\"reason\":\"grant.replaced\",\"remedy\":\"look up\"",
    );

    let answer = log.why("10.0.0.1:5432", at);
    let attempt = &answer.subjects[0].attempts[0];
    assert_eq!(
        (attempt.verdict, attempt.granted_by[0].lookup.number),
        (Verdict::Allow, lookup)
    );
    assert_eq!(answer.unknown, []);
    assert_eq!(
        log.why("10.0.0.1:80", at).subjects[0].attempts.len(),
        0,
        "another port"
    );

    let answer = log.why("10.0.0.1", refused);
    let attempt = &answer.subjects[0].attempts[0];
    assert_eq!((attempt.verdict, attempt.granted_by.len()), (Verdict::Deny, 0));
    assert!(matches!(&attempt.ended, Some((grant, End::Replaced(_))) if grant.lookup.number == lookup));
    assert_eq!(
        answer.subjects[0].before.as_ref().map(|before| before.verdict),
        Some(Verdict::Allow)
    );

    let answer = log.why("A.test.:5432", at);
    assert_eq!(answer.subjects[0].attempts.len(), 1, "by its name");
    assert_eq!(
        answer.subjects[0].granted_by[0].lookup.granted,
        ["10.0.0.1".parse::<IpAddr>().unwrap()]
    );
}

#[test]
fn numbers_of_another_process_are_others() {
    let mut log = Log::default();
    log.look_up(1, "a.test", &["10.0.0.1"]);
    let mut other = Log::default();
    other.look_up(1, "a.test", &["10.0.0.2"]);
    // Both write at once, as during an upgrade, with the same numbers.
    let others = other
        .lines
        .iter()
        .map(|line| line.replace(&PROCESS.to_string(), "1700000000001"));
    let mixed = log
        .lines
        .iter()
        .cloned()
        .zip(others)
        .flat_map(|(one, other)| [one, other]);
    let mixed = Log {
        lines: mixed.collect(),
        id: 0,
    };
    let grants = |address: &str| {
        let subjects = mixed.why(address, 99).subjects;
        subjects
            .iter()
            .map(|own| (own.run.process(), own.granted_by.len()))
            .collect::<Vec<_>>()
    };
    assert_eq!(grants("10.0.0.1"), [(Some(PROCESS), 1)]);
    assert_eq!(grants("10.0.0.2"), [(Some(PROCESS + 1), 1)]);

    // Older lines name no process: a start tells one run from the next.
    let without = |log: &Log| {
        log.lines
            .iter()
            .map(|line| line.replace(&format!("\"process\":{PROCESS},"), ""))
            .collect::<Vec<_>>()
    };
    let started = format!("{{\"ts\":\"{}\",\"started\":true}}", second(0));
    let lines = [without(&log), vec![started], without(&other)].concat();
    let answer = Log { lines, id: 0 }.why("10.0.0.1", 99);
    assert_eq!(
        (answer.subjects.len(), answer.subjects[0].granted_by.len()),
        (1, 1)
    );
}

#[test]
fn what_the_log_cannot_tell_is_said() {
    let mut log = Log::default();
    assert_eq!(log.why("10.0.0.1", 0).unknown, [Unknown::Empty]);
    log.decided(
        1,
        "tcp.connect",
        "10.0.0.1:1",
        "\"verdict\":\"deny\",\"reason\":\"allow.none\"",
    );
    assert_eq!(log.why("10.0.0.1", 0).unknown, [Unknown::OnlyDenials]);
    let rule = "\"verdict\":\"allow\",\"rule\":\"*://a.test:1 (spin.toml:1:2) by look-up of a.test\"";
    log.decided(1, "tcp.connect", "10.0.0.1:1", rule);
    assert_eq!(log.why("10.0.0.1", 1).unknown, [Unknown::BeginsAt(second(0))]);
    log.lines.push(format!("{{\"ts\":\"{}\",\"lost\":7}}", second(2)));
    assert_eq!(
        log.why("10.0.0.2", 9).unknown,
        [Unknown::EndsBefore(second(2)), Unknown::Lost(7)]
    );
    assert_eq!(log.why("10.0.0.2", 1).unknown, [], "they were lost later");
    log.lines.remove(0);
    assert_eq!(log.why("10.0.0.2", 0).unknown, [Unknown::BeginsLater(second(1))]);
    log.decided(
        1,
        "dns.answer",
        "10.0.0.1",
        "\"name\":\"a.test\",\"verdict\":\"allow\"",
    );
    assert_eq!(
        log.why("10.0.0.2", 2).unknown,
        [Unknown::Lost(7), Unknown::WithoutLookups]
    );
}

#[test]
fn instances_beyond_a_bound_are_counted_and_memory_does_not_grow_with_them() {
    let mut log = Log::default();
    for instance in 0..5 * SUBJECTS as u64 {
        log.look_up(instance, "a.test", &["10.0.0.1"]);
    }
    let answer = log.why("10.0.0.1", 1_000_000);
    assert_eq!(answer.subjects.len(), answer::SUBJECTS_TOLD);
    assert_eq!(
        answer.subjects[0].instance,
        5 * SUBJECTS as u64 - 1,
        "who was heard of last"
    );
    assert!(answer.beyond > 0 && answer.beyond < 2 * SUBJECTS as u64);
    assert!(answer.unknown.contains(&Unknown::Forgotten));
}
