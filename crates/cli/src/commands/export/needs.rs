//! What the process connects to beside what its guests ask for: the layer below has to let that pass as well.
//!
//! | what | from |
//! | --- | --- |
//! | name servers, where anything is looked up | `--dns-server`, the runtime config file, `/etc/resolv.conf`, the cluster |
//! | egress proxies | `--egress-proxy` |
//! | stores, databases, models behind labels that the components list | the runtime config file |
//! | brokers and queues of triggers | the runtime config file, the environment |
//! | collectors of telemetry | the environment |
//!
//! Servers of triggers that the manifest names are no exception: the component's own list has to permit them.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use outport_check::export::{Need, NeededHost, Spoken, Target};
use outport_egress::{EgressProxies, ResolverParts};
use outport_manifest::{EventKind, KeyValueBackend, ResolvedApp, ServerUrl, SqliteBackend, StateDir, Stores};
use outport_policy::{Host, HostPattern, Label, Policy, text};
use outport_telemetry::otlp::Signal;

use crate::brokers;
use crate::failure::Failure;
use crate::operator_options::OperatorSettings;
use crate::otlp;
use crate::spin_environment::{read, variable};
use crate::terminal::Terminal;

pub(super) fn of(
    app: &ResolvedApp,
    policies: &[Policy],
    settings: &OperatorSettings,
    target: Target,
    terminal: Terminal,
) -> Result<Vec<Need>, Failure> {
    let mut needs = of_proxies(settings);
    needs.extend(of_stores(policies, settings));
    needs.extend(of_brokers(app, policies, settings)?);
    needs.extend(of_telemetry(terminal)?);
    if looks_up(policies, settings, &needs) {
        let servers = of_name_servers(settings, target);
        needs.splice(0..0, servers);
    }
    let mut needs: Vec<Need> = needs.into_iter().flat_map(located).collect();
    let mut known = Vec::new();
    needs.retain(|need| {
        let place = (need.at.clone(), need.port, need.spoken);
        let is_new = !known.contains(&place);
        known.push(place);
        is_new
    });
    Ok(needs)
}

/// The same with `localhost` as the two addresses that it has.
fn located(need: Need) -> Vec<Need> {
    match &need.at {
        NeededHost::Host(Host::Name(name)) if name.is_localhost() => {
            let both = [IpAddr::from(Ipv4Addr::LOCALHOST), Ipv6Addr::LOCALHOST.into()];
            both.map(|ip| Need {
                at: NeededHost::Host(Host::Address(ip.into())),
                ..need.clone()
            })
            .to_vec()
        }
        _ => vec![need],
    }
}

/// True if any name has to be resolved.
fn looks_up(policies: &[Policy], settings: &OperatorSettings, needs: &[Need]) -> bool {
    let is_name = |pattern: &HostPattern| match pattern {
        HostPattern::Any => true,
        HostPattern::Name(name) | HostPattern::Subdomains(name) => {
            !name.is_localhost() && !name.is_service_chaining()
        }
        HostPattern::Address(_) | HostPattern::Network(_) | HostPattern::ToSelf => false,
    };
    let mut hosts = policies
        .iter()
        .flat_map(|policy| policy.allow().entries())
        .flat_map(|entry| entry.hosts());
    let denied = settings.resolve_disallowed && !settings.operator.deny.exact_names().is_empty();
    let needed = |need: &Need| matches!(&need.at, NeededHost::Host(Host::Name(name)) if !name.is_localhost());
    denied || hosts.any(is_name) || needs.iter().any(needed)
}

fn of_name_servers(settings: &OperatorSettings, target: Target) -> Vec<Need> {
    let need = |what: &str, at, port| Need {
        what: what.to_owned(),
        at,
        port,
        spoken: Spoken::UdpAndTcp,
    };
    let at = |servers: &[SocketAddr], from: &str| {
        let needs = servers.iter().map(|server| {
            let what = format!("the name server {server} ({from})");
            need(
                &what,
                NeededHost::Host(Host::Address(server.ip().into())),
                server.port(),
            )
        });
        needs.collect()
    };
    if !settings.dns_servers.is_empty() {
        return at(&settings.dns_servers, "--dns-server");
    }
    match target {
        Target::Nftables => at(&ResolverParts::system().servers, "/etc/resolv.conf"),
        Target::NetworkPolicy | Target::Cilium => {
            let what = "the name servers of the cluster (`k8s-app: kube-dns` in `kube-system`)";
            vec![need(what, NeededHost::ClusterDns, 53)]
        }
    }
}

fn of_proxies(settings: &OperatorSettings) -> Vec<Need> {
    let servers = settings.egress_proxies.iter().flat_map(EgressProxies::servers);
    let needs = servers.map(|server| Need {
        what: format!("the egress proxy {server} (--egress-proxy)"),
        at: NeededHost::Host(server.host().clone()),
        port: server.port(),
        spoken: Spoken::Tcp,
    });
    needs.collect()
}

fn of_stores(policies: &[Policy], settings: &OperatorSettings) -> Vec<Need> {
    let Some(config) = &settings.config else {
        return Vec::new();
    };
    let wanted: Vec<Label> = policies
        .iter()
        .flat_map(|policy| policy.allow().labels())
        .cloned()
        .collect();
    let stores = Stores::resolve(&wanted, Some(config), &StateDir::None);
    let stores = stores.tentative();
    let key_value = stores.key_value.iter().filter_map(|store| match &store.backend {
        KeyValueBackend::Redis(url) => Some(("key-value store", &store.label, url)),
        KeyValueBackend::Local(_) => None,
    });
    let sqlite = stores.sqlite.iter().filter_map(|store| match &store.backend {
        SqliteBackend::LibSql { url, .. } => Some(("database", &store.label, url)),
        SqliteBackend::Local(_) => None,
    });
    let labelled = key_value.chain(sqlite).map(|(kind, label, url)| {
        let what = format!(
            "the server of the {kind} `{}` (runtime config file)",
            text::excerpt(label)
        );
        of_url(what, url)
    });
    let models = stores.models.iter().map(|models| {
        of_url(
            "the server of models (`[llm_compute]`)".to_owned(),
            &models.server.url,
        )
    });
    labelled.chain(models).collect()
}

/// The operator's brokers, of triggers that the components have.
fn of_brokers(
    app: &ResolvedApp,
    policies: &[Policy],
    settings: &OperatorSettings,
) -> Result<Vec<Need>, Failure> {
    let own = brokers::kinds(&brokers::settings(settings.config.as_ref())?);
    let is_meant = |id: &str| policies.iter().any(|policy| policy.component() == id);
    let triggers = app.manifest.event_triggers.iter();
    let wanted: Vec<_> = triggers
        .filter(|trigger| is_meant(trigger.component.value.as_str()))
        .map(|trigger| trigger.source.kind())
        .filter(|kind| own.contains(kind))
        .collect();
    let written = settings.config.iter().flat_map(|config| config.brokers.servers());
    let mut needs: Vec<Need> = written
        .filter(|(table, _)| wanted.iter().any(|kind| table_of(*kind) == *table))
        .map(|(table, server)| {
            of_url(
                format!("the server of `[{table}]` (runtime config file)"),
                &server.value,
            )
        })
        .collect();
    let is_written = settings
        .config
        .as_ref()
        .is_some_and(|config| config.brokers.sqs_endpoint.is_some());
    if wanted.contains(&EventKind::Sqs) && !is_written {
        for variable in ["AWS_ENDPOINT_URL_SQS", "AWS_ENDPOINT_URL"] {
            if let Some(url) = read(variable, |text| Ok(text.to_owned()))? {
                let url = ServerUrl::parse(&url, &WEB);
                needs.extend(url.map(|url| of_url(format!("the server of queues ({variable})"), &url)));
                break;
            }
        }
    }
    Ok(needs)
}

/// The table of the runtime config file that has the server of such triggers.
fn table_of(kind: EventKind) -> &'static str {
    match kind {
        EventKind::Redis => "trigger.redis",
        EventKind::Mqtt => "trigger.mqtt",
        EventKind::Sqs => "trigger.sqs",
        EventKind::Cron => "",
    }
}

fn of_telemetry(terminal: Terminal) -> Result<Vec<Need>, Failure> {
    let Some(otlp) = otlp::wanted(terminal)? else {
        return Ok(Vec::new());
    };
    let servers = otlp.settings().destinations().into_iter();
    let needs = servers.filter_map(|(server, signals)| {
        let url = ServerUrl::parse(&server, &WEB).ok()?;
        let mut variables: Vec<String> = signals.into_iter().map(written_for).collect();
        variables.dedup();
        let what = format!("the collector {url} ({})", variables.join(", "));
        Some(of_url(what, &url))
    });
    Ok(needs.collect())
}

/// The variable that says where a signal goes: its own beats the one of all.
fn written_for(signal: Signal) -> String {
    let own = signal.variable("_ENDPOINT");
    let is_set = variable(&own).is_some();
    if is_set {
        own
    } else {
        "OTEL_EXPORTER_OTLP_ENDPOINT".to_owned()
    }
}

/// The schemes of servers that are spoken to by HTTP.
const WEB: [(&str, u16); 2] = [("http", 80), ("https", 443)];

fn of_url(what: String, url: &ServerUrl) -> Need {
    Need {
        what,
        at: NeededHost::Host(url.host().clone()),
        port: url.port(),
        spoken: Spoken::Tcp,
    }
}
