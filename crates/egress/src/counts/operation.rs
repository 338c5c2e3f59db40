//! The operations of the policy, numbered, for a table with a place for each.

use outport_policy::{Attempt, LabelKind, Scheme, Transport};

/// The number of operations.
pub(super) const OPERATIONS: usize = DIALS + PROTOCOLS;

/// The place of the attempt's operation: the same for two attempts if they have the same code.
pub(super) fn place_of(attempt: &Attempt<'_>) -> usize {
    match attempt {
        Attempt::CreateSocket { .. } => 0,
        Attempt::Bind { transport, .. } => 1 + of_transport(*transport),
        Attempt::Listen { .. } => 3,
        Attempt::Accept { .. } => 4,
        Attempt::Connect { transport, .. } => 5 + of_transport(*transport),
        Attempt::Send { .. } => 7,
        Attempt::Receive { .. } => 8,
        Attempt::Lookup { .. } => 9,
        Attempt::Answer { .. } => 10,
        Attempt::Tls { .. } => 11,
        Attempt::ClientHello { .. } => 12,
        Attempt::Open { kind, .. } => match kind {
            LabelKind::KeyValueStore => 13,
            LabelKind::SqliteDatabase => 14,
            LabelKind::AiModel => 15,
        },
        Attempt::Resolve { .. } => 16,
        Attempt::Request { scheme, .. } => REQUESTS + of_scheme(scheme),
        Attempt::Dial { scheme, .. } => DIALS + of_scheme(scheme),
    }
}

const REQUESTS: usize = 17;
const DIALS: usize = REQUESTS + PROTOCOLS;
const PROTOCOLS: usize = 6;

fn of_transport(transport: Transport) -> usize {
    match transport {
        Transport::Tcp => 0,
        Transport::Udp => 1,
    }
}

fn of_scheme(scheme: &Scheme) -> usize {
    match scheme.as_str() {
        "http" | "https" => 0,
        "redis" | "rediss" => 1,
        "postgres" | "postgresql" => 2,
        "mysql" | "mariadb" => 3,
        "mqtt" | "mqtts" => 4,
        _ => 5,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use outport_policy::{Address, AnswerSource, Endpoint, Host, Name, RequestMethod, ServerName};

    use super::*;

    #[test]
    fn two_attempts_have_one_place_if_they_have_one_code() {
        let host = Host::parse("10.0.0.1").unwrap();
        let name = Name::parse("db.example").unwrap();
        let local = "127.0.0.1:80".parse().unwrap();
        let remote = Endpoint::from(local);
        let address = Address::new("127.0.0.1".parse().unwrap());
        let source = AnswerSource::Server;
        let mut attempts = vec![
            Attempt::Listen { local },
            Attempt::Accept { peer: local },
            Attempt::Send { remote },
            Attempt::Receive { peer: remote },
            Attempt::Lookup { name: &name },
            Attempt::Resolve { name: &name },
            Attempt::Answer {
                name: &name,
                chain: &[],
                address,
                source,
            },
            Attempt::Tls {
                server: &host,
                remotes: &[],
            },
            Attempt::ClientHello {
                server: ServerName::Host(&host),
                remote,
            },
        ];
        for transport in [Transport::Tcp, Transport::Udp] {
            attempts.push(Attempt::CreateSocket { transport });
            attempts.push(Attempt::Bind { transport, local });
            attempts.push(Attempt::Connect { transport, remote });
        }
        for kind in [
            LabelKind::KeyValueStore,
            LabelKind::SqliteDatabase,
            LabelKind::AiModel,
        ] {
            attempts.push(Attempt::Open { kind, label: "x" });
        }
        let schemes = [
            "http",
            "https",
            "redis",
            "rediss",
            "postgres",
            "postgresql",
            "mysql",
            "mariadb",
            "mqtt",
            "mqtts",
            "amqp",
            "x",
        ]
        .map(|scheme| Scheme::parse(scheme).unwrap());
        for scheme in &schemes {
            let host = &host;
            attempts.push(Attempt::Request {
                scheme,
                host,
                port: 80,
                method: RequestMethod::Other,
            });
            attempts.push(Attempt::Dial {
                scheme,
                host,
                chain: &[],
                remote,
                source,
            });
        }
        let mut places = HashMap::new();
        let mut codes = HashMap::new();
        for attempt in &attempts {
            let (place, code) = (place_of(attempt), attempt.operation());
            assert!(place < OPERATIONS, "{attempt}");
            assert_eq!(*places.entry(code).or_insert(place), place, "{attempt}");
            assert_eq!(*codes.entry(place).or_insert(code), code, "{attempt}");
        }
        assert_eq!(places.len(), OPERATIONS, "each place is an operation's");
    }
}
