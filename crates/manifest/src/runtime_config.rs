//! The runtime config file: Spin's, with Outport's keys beside.
//!
//! ```toml
//! [outbound_networking]
//! block_networks = ["10.0.0.0/8", "private"]        # Spin's
//! max_socket_connections = 100                      # Spin's
//! max_total_connections = 500                       # Spin's
//! disallowed_outbound_hosts = ["*://*.internal:*"]  # from here on Outport's
//! allow_udp = true
//! allow_loopback_ports = [53, "80-90"]
//! allow_link_local = false
//! allow_loopback_answers = false
//! tls_names = "denied"
//! dns_servers = ["9.9.9.9", "127.0.0.1:5353"]
//! resolve_disallowed = true
//! max_sockets = 4096
//! max_sockets_per_instance = 256
//! max_lookups_per_minute = 600
//! max_names_per_wildcard = 1000
//! max_send_rate = "1MiB"
//! max_receive_rate = "10MiB"
//! max_sent = "1GiB/1h"
//!
//! [component.web]                                   # Outport's, narrower for one component
//! max_lookups_per_minute = 60
//! max_names_per_wildcard = 100
//! max_sent = "100MiB/1h"
//!
//! [outbound_http]                                   # Spin's
//! connection_pooling = true
//! max_connections = 200
//! ```
//!
//! and `[[client_tls]]` ([`crate::ClientTls`]), what the operator defines for components ([`crate::Definition`]), and the
//! servers of triggers ([`crate::BrokerSettings`]). Other sections that Spin knows are accepted and named in a note;
//! a section or key that nobody knows is a mistake, as with Spin.

use outport_policy::{BlockedNetwork, Entry, LabelKind, PortSet, TlsNames};

use crate::reading::brokers::{BrokerSettings, read_broker_settings};
use crate::reading::byte_budget::{ByteLimits, read_byte_limits};
use crate::reading::client_tls::{ClientTls, read_client_tls};
use crate::reading::component::note_not_used;
use crate::reading::component_limits::{ComponentLimits, MOST_NAMES, read_components};
use crate::reading::definitions::{
    Definition, KeyValueBackend, ModelServer, SqliteBackend, read_client, read_key_value_stores,
    read_model_server, read_sqlite_databases, read_word,
};
use crate::reading::entries::parse_denied_entry;
use crate::reading::fields::{Fields, Node};
use crate::report::findings::Findings;
use crate::report::mistake::Mistake;
use crate::report::problem::{Area, Reading};
use crate::report::remark::Remark;
use crate::source::{Located, SourceFile, Span};
use crate::state_dir::StateDir;
use crate::syntax::Repaired;
use crate::values::dns_server::DnsServer;
use crate::values::service::Service;

/// The content of a runtime config file.
#[derive(Debug, Clone)]
pub struct RuntimeConfig {
    /// The file it was read from.
    pub source: SourceFile,
    /// `[outbound_networking]`
    pub networking: OutboundNetworking,
    /// `[outbound_http]`
    pub http: OutboundHttp,
    /// `[[client_tls]]`, in the order of the file: of those for one component and host the first counts.
    pub client_tls: Vec<ClientTls>,
    /// `[key_value_store.LABEL]`, in the order of the file.
    pub key_value_stores: Vec<Definition<KeyValueBackend>>,
    /// `[sqlite_database.LABEL]`, in the order of the file.
    pub sqlite_databases: Vec<Definition<SqliteBackend>>,
    /// `[llm_compute]`
    pub model_server: Option<ModelServer>,
    /// `[component.ID]`, in the order of the file.
    pub components: Vec<ComponentLimits>,
    /// `max_connections` of `[outbound_redis]`, `[outbound_pg]`, `[outbound_mysql]` and `[outbound_mqtt]`.
    pub client_connections: ClientConnections,
    /// `[trigger.redis]`, `[trigger.mqtt]` and `[trigger.sqs]`.
    pub brokers: BrokerSettings,
    /// `state_dir`, relative to the working directory; empty for none.
    pub state_dir: Option<Located<StateDir>>,
    /// The parts that a mistake keeps from being read.
    gaps: Gaps,
}

/// A part that could not be read, and may define labels.
#[derive(Debug, Clone, Default)]
struct Gaps {
    /// Labels whose definitions have mistakes.
    key_value: Vec<String>,
    sqlite: Vec<String>,
    /// True if `[llm_compute]` has mistakes.
    models: bool,
    /// Parts of the file that are not even TOML.
    unread: Vec<Span>,
}

/// The number of connections that each component may have to servers of a kind. By default only the quotas bound them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ClientConnections {
    /// `[outbound_redis]`
    pub redis: Option<Located<u32>>,
    /// `[outbound_pg]`
    pub postgres: Option<Located<u32>>,
    /// `[outbound_mysql]`
    pub mysql: Option<Located<u32>>,
    /// `[outbound_mqtt]`
    pub mqtt: Option<Located<u32>>,
}

/// `[outbound_networking]`: the operator's policy for all components. A key that is not written is `None` or empty.
#[derive(Debug, Clone, Default)]
pub struct OutboundNetworking {
    /// Networks that nobody may reach (DL-7).
    pub block_networks: Vec<BlockedNetwork>,
    /// Entries that beat every allow (DL-1).
    pub disallowed_outbound_hosts: Vec<Entry>,
    /// True if the addresses of denied names are denied too (DL-5). By default they are.
    pub resolve_disallowed: Option<Located<bool>>,
    /// Lifts RL-2.
    pub allow_udp: Option<Located<bool>>,
    /// Lifts RL-1 for these ports.
    pub allow_loopback_ports: Option<Located<PortSet>>,
    /// Lifts RL-3.
    pub allow_link_local: Option<Located<bool>>,
    /// Lifts the part of DNS-9 about loopback.
    pub allow_loopback_answers: Option<Located<bool>>,
    /// By which layers the names of servers are judged where guests open TLS (TLS-1).
    pub tls_names: Option<Located<TlsNames>>,
    /// Servers instead of the system's (DNS-11).
    pub dns_servers: Vec<Located<DnsServer>>,
    /// Sockets of the whole process (Q-1).
    pub max_sockets: Option<Located<u32>>,
    /// Sockets of one instance (Q-1).
    pub max_sockets_per_instance: Option<Located<u32>>,
    /// Look-ups of one component that servers are asked for in a minute (BUD-1).
    pub max_lookups_per_minute: Option<Located<u32>>,
    /// Names of one component below one wildcard in an hour (BUD-2).
    pub max_names_per_wildcard: Option<Located<u32>>,
    /// Spin's: sockets of the app (Q-2).
    pub max_socket_connections: Option<Located<u32>>,
    /// Spin's: connections of the app, of whatever kind (Q-2).
    pub max_total_connections: Option<Located<u32>>,
    /// Bytes that each component may send and receive (BUD-3).
    pub bytes: ByteLimits,
}

/// `[outbound_http]`: Spin's settings for outgoing HTTP. A key that is not written is `None`.
#[derive(Debug, Clone, Default)]
pub struct OutboundHttp {
    /// True if connections are used again. By default they are.
    pub connection_pooling: Option<Located<bool>>,
    /// Connections for outgoing HTTP at once.
    pub max_connections: Option<Located<u32>>,
}

impl RuntimeConfig {
    /// Reads a runtime config file. All mistakes are reported, each at its place.
    pub fn parse(source: &SourceFile) -> Reading<Self> {
        let repaired = Repaired::of(source);
        let tree = repaired.tree();
        let mut found = Findings::new(source, Area::RuntimeConfig, &tree);
        let mut fields = Fields::new("the runtime config file", 0..0, tree.root.get_ref());
        let networking = fields
            .get("outbound_networking")
            .and_then(|node| read_networking(&mut found, node));
        let http = fields
            .get("outbound_http")
            .and_then(|node| read_http(&mut found, node));
        let client_tls = fields
            .get("client_tls")
            .map(|node| read_client_tls(&mut found, node));
        let key_value_stores = fields
            .get("key_value_store")
            .map(|node| read_key_value_stores(&mut found, node));
        let sqlite_databases = fields
            .get("sqlite_database")
            .map(|node| read_sqlite_databases(&mut found, node));
        let models = fields.get("llm_compute");
        let model_server = models.and_then(|node| {
            note_unserved(&mut found, node, Service::Models);
            read_model_server(&mut found, node)
        });
        let brokers = fields
            .get("trigger")
            .and_then(|node| read_broker_settings(&mut found, node));
        let components = fields
            .get("component")
            .map(|node| read_components(&mut found, node));
        let state_dir = fields.get("state_dir").and_then(|node| node.string(&mut found));
        let mut client = |key, service| {
            fields.get(key).and_then(|node| {
                note_unserved(&mut found, node, service);
                read_client(&mut found, node)
            })
        };
        let client_connections = ClientConnections {
            redis: client("outbound_redis", Service::Redis),
            postgres: client("outbound_pg", Service::Postgres),
            mysql: client("outbound_mysql", Service::Mysql),
            mqtt: client("outbound_mqtt", Service::Mqtt),
        };
        for (key, why) in SPINS_OTHER_SECTIONS {
            if let Some(node) = fields.get(key) {
                note_not_used(&mut found, node, why);
            }
        }
        fields.finish(&mut found);
        let models_are_unclear = models.is_some() && model_server.is_none();
        let key_value_stores = key_value_stores.unwrap_or_default();
        let sqlite_databases = sqlite_databases.unwrap_or_default();
        let config = Self {
            source: source.clone(),
            networking: networking.unwrap_or_default(),
            http: http.unwrap_or_default(),
            client_tls: client_tls.unwrap_or_default(),
            key_value_stores: key_value_stores.read,
            sqlite_databases: sqlite_databases.read,
            model_server,
            components: components.unwrap_or_default(),
            client_connections,
            brokers: brokers.unwrap_or_default(),
            state_dir: state_dir.map(|path| path.map(StateDir::at)),
            gaps: Gaps {
                models: models_are_unclear,
                key_value: key_value_stores.unclear,
                sqlite: sqlite_databases.unclear,
                unread: tree.unread.clone(),
            },
        };
        found.into_reading(config)
    }

    /// True if the label may be defined in what a mistake keeps from being read. That is told already.
    pub(crate) fn may_define(&self, kind: LabelKind, label: &str) -> bool {
        // All models are those of one server.
        let (is_unclear, written) = match kind {
            LabelKind::AiModel => (self.gaps.models, "llm_compute"),
            _ => (self.unclear(kind).iter().any(|own| own == label), label),
        };
        let mut unread = self.gaps.unread.iter();
        is_unclear || unread.any(|span| self.source.slice(span).contains(written))
    }

    /// The labels of that kind whose definitions have mistakes.
    pub(crate) fn unclear(&self, kind: LabelKind) -> &[String] {
        match kind {
            LabelKind::KeyValueStore => &self.gaps.key_value,
            LabelKind::SqliteDatabase => &self.gaps.sqlite,
            LabelKind::AiModel => &[],
        }
    }
}

fn read_networking(found: &mut Findings, node: Node<'_>) -> Option<OutboundNetworking> {
    let mut fields = node.table(found, "`[outbound_networking]`")?;
    let networking = OutboundNetworking {
        block_networks: read_networks(found, &mut fields),
        disallowed_outbound_hosts: read_disallowed(found, &mut fields),
        resolve_disallowed: read_flag(found, &mut fields, "resolve_disallowed"),
        allow_udp: read_flag(found, &mut fields, "allow_udp"),
        allow_loopback_ports: fields
            .get("allow_loopback_ports")
            .and_then(|node| read_ports(found, node)),
        allow_link_local: read_flag(found, &mut fields, "allow_link_local"),
        allow_loopback_answers: read_flag(found, &mut fields, "allow_loopback_answers"),
        tls_names: fields
            .get("tls_names")
            .and_then(|node| read_tls_names(found, node)),
        dns_servers: read_dns_servers(found, &mut fields),
        max_sockets: read_limit(found, &mut fields, "max_sockets"),
        max_sockets_per_instance: read_limit(found, &mut fields, "max_sockets_per_instance"),
        max_lookups_per_minute: read_name_limit(found, &mut fields, "max_lookups_per_minute"),
        max_names_per_wildcard: read_name_limit(found, &mut fields, "max_names_per_wildcard"),
        max_socket_connections: read_limit(found, &mut fields, "max_socket_connections"),
        max_total_connections: read_limit(found, &mut fields, "max_total_connections"),
        bytes: read_byte_limits(found, &mut fields),
    };
    fields.finish(found);
    Some(networking)
}

fn read_http(found: &mut Findings, node: Node<'_>) -> Option<OutboundHttp> {
    let mut fields = node.table(found, "`[outbound_http]`")?;
    let connection_pooling = read_flag(found, &mut fields, "connection_pooling");
    let max_connections = read_limit(found, &mut fields, "max_connections");
    let old = fields.get("max_concurrent_requests");
    if let Some(node) = old {
        let remark = Remark::Deprecated {
            key: "max_concurrent_requests",
            instead: "max_connections",
        };
        found.remark(&node.span(), remark);
    }
    let old = old.and_then(|node| node.count(found));
    if let (Some(old), Some(_)) = (&old, &max_connections) {
        let (key, wrong) = (
            "max_concurrent_requests".into(),
            "and `max_connections` exclude each other".into(),
        );
        found.report(
            &old.span,
            Mistake::Value {
                key,
                wrong,
                help: Some("remove it".into()),
            },
        );
    }
    fields.finish(found);
    // Spin's old key let one request more through than it said.
    let old = old.map(|count| count.map(|count| count.saturating_add(1)));
    Some(OutboundHttp {
        connection_pooling,
        max_connections: max_connections.or(old),
    })
}

fn read_flag(found: &mut Findings, fields: &mut Fields<'_>, key: &'static str) -> Option<Located<bool>> {
    fields.get(key).and_then(|node| node.boolean(found))
}

fn read_limit(found: &mut Findings, fields: &mut Fields<'_>, key: &'static str) -> Option<Located<u32>> {
    fields.get(key).and_then(|node| node.count(found))
}

fn read_name_limit(found: &mut Findings, fields: &mut Fields<'_>, key: &'static str) -> Option<Located<u32>> {
    fields.get(key).and_then(|node| node.count_to(found, MOST_NAMES))
}

fn read_strings(found: &mut Findings, fields: &mut Fields<'_>, key: &'static str) -> Vec<Located<String>> {
    fields
        .get(key)
        .map(|node| node.strings(found))
        .unwrap_or_default()
}

fn read_networks(found: &mut Findings, fields: &mut Fields<'_>) -> Vec<BlockedNetwork> {
    let mut networks = Vec::new();
    for text in read_strings(found, fields, "block_networks") {
        match BlockedNetwork::parse(&text.value, found.source().location(&text.span)) {
            Ok(network) => networks.push(network),
            Err(error) => found.report(&text.span, Mistake::Network(error)),
        }
    }
    networks
}

fn read_disallowed(found: &mut Findings, fields: &mut Fields<'_>) -> Vec<Entry> {
    let texts = read_strings(found, fields, "disallowed_outbound_hosts");
    texts
        .iter()
        .filter_map(|text| parse_denied_entry(found, text))
        .collect()
}

fn read_dns_servers(found: &mut Findings, fields: &mut Fields<'_>) -> Vec<Located<DnsServer>> {
    let mut servers = Vec::new();
    for text in read_strings(found, fields, "dns_servers") {
        match text.value.parse() {
            Ok(server) => servers.push(Located::new(server, text.span)),
            Err(error) => found.report(
                &text.span,
                Mistake::DnsServer {
                    text: text.value,
                    error,
                },
            ),
        }
    }
    servers
}

/// One string (`"53,80-90"`), one number, or an array of both.
fn read_ports(found: &mut Findings, node: Node<'_>) -> Option<Located<PortSet>> {
    let items = if node.is_array() {
        node.items(found, "an array")
    } else {
        vec![node]
    };
    let sets = items.into_iter().filter_map(|item| read_port_set(found, item));
    let ports = sets
        .reduce(|all, more| all.union(&more))
        .unwrap_or(PortSet::EMPTY);
    Some(Located::new(ports, node.span()))
}

fn read_tls_names(found: &mut Findings, node: Node<'_>) -> Option<Located<TlsNames>> {
    let word = read_word(found, node, &TLS_NAMES)?;
    Some(Located::new(word.parse().ok()?, node.span()))
}

fn read_port_set(found: &mut Findings, node: Node<'_>) -> Option<PortSet> {
    let text = match node.integer() {
        Some(number) => Located::new(number.to_string(), node.span()),
        None if node.is_string() => node.string(found)?,
        None => return node.wrong_type(found, "a port, a range of ports in quotes, or an array of these"),
    };
    match PortSet::parse(&text.value) {
        Ok(ports) => Some(ports),
        Err(error) => {
            found.report(&text.span, Mistake::Ports(error));
            None
        }
    }
}

/// Says that a section has no effect, while nobody serves what it is for.
fn note_unserved(found: &mut Findings, node: Node<'_>, service: Service) {
    if !service.is_served() {
        note_not_used(found, node, service.lacking());
    }
}

/// The words of `tls_names`.
const TLS_NAMES: [&str; 4] = [
    TlsNames::Off.as_str(),
    TlsNames::Denied.as_str(),
    TlsNames::Allowed.as_str(),
    TlsNames::Required.as_str(),
];

/// The other sections that Spin has in this file.
const SPINS_OTHER_SECTIONS: [(&str, &str); 7] = [
    ("blob_store", "there are no stores for blobs"),
    ("config_provider", NO_PROVIDERS),
    ("log_dir", "the output of guests goes to the terminal"),
    (
        "postgres",
        "which authorities are trusted is written in `[[client_tls]]`",
    ),
    ("telemetry", "decisions are logged with `--audit-log`"),
    ("variables_provider", NO_PROVIDERS),
    ("wasmtime", "the engine has its own settings"),
];

const NO_PROVIDERS: &str = "variables are set by `--variable`, the environment and their defaults";
