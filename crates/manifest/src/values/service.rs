//! The services of Spin's platform: what a component has of the host beside sockets and HTTP.
//!
//! This is the one table of them. Readers, findings and explanations ask it whether Outport serves something, so a
//! service that is added becomes known to all of them at once.

use outport_policy::{LabelKind, Scheme};

/// A part of Spin's platform that a component uses by an interface of the host's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Service {
    /// Key-value stores, by label.
    KeyValue,
    /// SQLite databases, by label.
    Sqlite,
    /// Models, by name.
    Models,
    /// Redis servers, by address.
    Redis,
    /// PostgreSQL servers, by address.
    Postgres,
    /// MySQL servers, by address.
    Mysql,
    /// MQTT brokers, by address.
    Mqtt,
}

/// All there is to know of a service.
struct Row {
    service: Service,
    /// True if Outport has it.
    served: bool,
    /// Its name, in the plural.
    name: &'static str,
    /// The sentence while it is not served.
    lacking: &'static str,
    /// The labels that grant it, and the table of the runtime config file that says what they lead to.
    labels: Option<(LabelKind, &'static str)>,
    /// URL schemes by which it is reached and permitted, its own first.
    schemes: &'static [&'static str],
    /// Packages, and interfaces of packages that have others, without versions.
    interfaces: &'static [&'static str],
}

const TABLE: [Row; 7] = [
    Row {
        service: Service::KeyValue,
        served: true,
        name: "key-value stores",
        lacking: "there are no key-value stores",
        labels: Some((LabelKind::KeyValueStore, "key_value_store")),
        schemes: &[],
        interfaces: &["fermyon:spin/key-value", "spin:key-value", "wasi:keyvalue"],
    },
    Row {
        service: Service::Sqlite,
        served: true,
        name: "SQLite databases",
        lacking: "there are no databases",
        labels: Some((LabelKind::SqliteDatabase, "sqlite_database")),
        schemes: &[],
        interfaces: &["fermyon:spin/sqlite", "spin:sqlite"],
    },
    Row {
        service: Service::Models,
        served: true,
        name: "models",
        lacking: "there are no models",
        labels: Some((LabelKind::AiModel, "llm_compute")),
        schemes: &[],
        interfaces: &["fermyon:spin/llm", "spin:llm"],
    },
    Row {
        service: Service::Redis,
        served: true,
        name: "Redis clients",
        lacking: "there is no Redis client",
        labels: None,
        schemes: &["redis", "rediss"],
        interfaces: &["fermyon:spin/redis", "spin:redis"],
    },
    Row {
        service: Service::Postgres,
        served: true,
        name: "PostgreSQL clients",
        lacking: "there is no PostgreSQL client",
        labels: None,
        schemes: &["postgres", "postgresql"],
        interfaces: &["fermyon:spin/postgres", "spin:postgres"],
    },
    Row {
        service: Service::Mysql,
        served: true,
        name: "MySQL clients",
        lacking: "there is no MySQL client",
        labels: None,
        schemes: &["mysql", "mariadb"],
        interfaces: &["fermyon:spin/mysql", "spin:mysql"],
    },
    Row {
        service: Service::Mqtt,
        served: true,
        name: "MQTT clients",
        lacking: "there is no MQTT client",
        labels: None,
        schemes: &["mqtt", "mqtts"],
        interfaces: &["fermyon:spin/mqtt", "spin:mqtt"],
    },
];

impl Service {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::KeyValue,
        Self::Sqlite,
        Self::Models,
        Self::Redis,
        Self::Postgres,
        Self::Mysql,
        Self::Mqtt,
    ];

    /// True if Outport has it.
    pub fn is_served(self) -> bool {
        self.row().served
    }

    /// Its name in messages, in the plural: "key-value stores".
    pub fn name(self) -> &'static str {
        self.row().name
    }

    /// The sentence where it is asked for and not served: "there are no models".
    pub fn lacking(self) -> &'static str {
        self.row().lacking
    }

    /// The labels that grant it. None of what is reached by address.
    pub fn labels(self) -> Option<LabelKind> {
        self.row().labels.map(|(kind, _)| kind)
    }

    /// The service that is granted by labels of this kind.
    pub fn of_label(kind: LabelKind) -> Self {
        match kind {
            LabelKind::KeyValueStore => Self::KeyValue,
            LabelKind::SqliteDatabase => Self::Sqlite,
            LabelKind::AiModel => Self::Models,
        }
    }

    /// The table of the runtime config file that says what its labels lead to: `key_value_store`.
    pub fn table(self) -> Option<&'static str> {
        self.row().labels.map(|(_, table)| table)
    }

    /// The scheme of the entries that permit it, for what is reached by address: `redis`.
    pub fn scheme(self) -> Option<&'static str> {
        self.row().schemes.first().copied()
    }

    /// Its interface as a message calls it: `spin:key-value`.
    pub fn interface(self) -> &'static str {
        let of_spin = |interface: &&&str| interface.starts_with("spin:");
        let interfaces = self.row().interfaces;
        interfaces.iter().find(of_spin).unwrap_or(&interfaces[0])
    }

    /// The service that addresses of this scheme are for.
    pub fn of_scheme(scheme: &Scheme) -> Option<Self> {
        let row = TABLE.iter().find(|row| row.schemes.contains(&scheme.as_str()))?;
        Some(row.service)
    }

    /// The service that a component with this import can use, whatever the version.
    pub fn of_import(import: &str) -> Option<Self> {
        let name = import.split('@').next().unwrap_or(import);
        let package = name.split('/').next().unwrap_or(name);
        let row = TABLE.iter().find(|row| {
            let interfaces = row.interfaces;
            interfaces.contains(&name) || interfaces.contains(&package)
        })?;
        // Its types, and what a trigger calls, lead nowhere.
        let opens = !name.ends_with("/inbound-redis") && !name.ends_with("types");
        opens.then_some(row.service)
    }

    fn row(self) -> &'static Row {
        let mut rows = TABLE.iter();
        rows.find(|row| row.service == self)
            .expect("INVARIANT: every service has its row")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_service_has_its_row_and_is_found_by_what_stands_in_it() {
        for service in Service::ALL {
            let row = service.row();
            for interface in row.interfaces {
                assert_eq!(Service::of_import(interface), Some(service), "{interface}");
            }
            for scheme in row.schemes {
                let scheme = Scheme::parse(scheme).expect(scheme);
                assert_eq!(Service::of_scheme(&scheme), Some(service), "{scheme}");
            }
            assert_ne!(
                service.labels().is_some(),
                service.scheme().is_some(),
                "{service:?}"
            );
            if let Some(kind) = service.labels() {
                assert_eq!(Service::of_label(kind), service);
            }
        }
    }

    #[test]
    fn imports_of_every_version_tell_their_service() {
        for (import, service) in [
            ("fermyon:spin/key-value@2.0.0", Some(Service::KeyValue)),
            ("spin:key-value/key-value@3.0.0", Some(Service::KeyValue)),
            ("wasi:keyvalue/atomics@0.2.0-draft2", Some(Service::KeyValue)),
            ("spin:sqlite/sqlite@3.1.0", Some(Service::Sqlite)),
            ("fermyon:spin/llm@2.0.0", Some(Service::Models)),
            ("spin:postgres/postgres@4.2.0", Some(Service::Postgres)),
            ("spin:redis/redis@3.0.0", Some(Service::Redis)),
            ("fermyon:spin/mqtt@2.0.0", Some(Service::Mqtt)),
            ("spin:mqtt/mqtt@3.0.0", Some(Service::Mqtt)),
            ("spin:redis/inbound-redis@3.0.0", None),
            ("spin:postgres/types@4.2.0", None),
            ("fermyon:spin/redis", Some(Service::Redis)),
            ("fermyon:spin/redis-types", None),
            ("fermyon:spin/inbound-redis", None),
            ("fermyon:spin/http", None),
            ("fermyon:spin/rdbms-types@2.0.0", None),
            ("wasi:sockets/tcp@0.2.0", None),
            ("fermyon:spin/variables@2.0.0", None),
        ] {
            assert_eq!(Service::of_import(import), service, "{import}");
        }
    }
}
