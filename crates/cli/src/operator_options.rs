//! The operator's settings: what no guest may reach whatever its author says, which limits are lifted, and how much of
//! everything there is.
//!
//! It comes from options, wherever they are given ([`configuration`]), and from the runtime config
//! file. What is denied is the union of both; for everything else an option beats the file.
//!
//! | | denied hosts | everything else |
//! | --- | --- | --- |
//! | options | `--disallowed-outbound-hosts` | the other options below |
//! | runtime config file | `disallowed_outbound_hosts`, `block_networks` | `[outbound_networking]`, `[outbound_http]`, `[[client_tls]]`, and what it defines for components |

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use clap::Args;
use outport_check::{DeniedNames, Diagnostic};
use outport_egress::EgressProxies;
use outport_manifest::{DnsServer, Located, OutboundHttp, RuntimeConfig, ServerUrl, SourceFile};
use outport_policy::{DenyList, Entry, Limit, Location, Operator, PortSet, Quotas, RuntimeLimits, TlsNames};
use outport_runtime::cache::CompiledCode;
use outport_runtime::guest_env::Directory;

use crate::audit_output::AuditOptions;
use crate::byte_options::ByteOptions;
use crate::client_tls::ClientTlsProfiles;
use crate::compiled_code::compiled_code;
use crate::configuration::{self, Given};
use crate::egress_proxy::EgressProxyOptions;
use crate::failure::Failure;
use crate::files::Files;
use crate::kernel_sandbox::SandboxOptions;
use crate::learner::Learner;
use crate::list;
use crate::load_options::LoadOptions;
use crate::name_options::NameOptions;
use crate::numbers::number;
use crate::progress;
use crate::spin_environment;
use crate::state_options::StateOptions;
use crate::telemetry::TelemetryOptions;
use crate::terminal::Terminal;
use crate::tls_names::TlsNamesOption;
use crate::written_values::{values_of, values_of_secrets, values_with_urls};

/// Options that only the operator has. They hold for every guest.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Operator options")]
pub(crate) struct OperatorOptions {
    /// Deny these hosts to every guest, whatever its manifest allows
    #[arg(long, value_name = "HOST[,HOST…]")]
    disallowed_outbound_hosts: Vec<String>,

    /// Permit UDP sockets; each destination still needs an entry
    #[arg(long)]
    allow_udp: bool,

    /// Permit these ports below 1024 on loopback: `53`, `80-90`, `*`
    #[arg(long, value_name = "PORTS")]
    allow_loopback_ports: Vec<String>,

    /// Permit link-local and instance-metadata addresses
    #[arg(long)]
    allow_link_local: bool,

    /// Permit names other than `localhost` to resolve to loopback
    #[arg(long)]
    allow_loopback_answers: bool,

    /// Resolve names at these servers instead of the system's
    #[arg(long, value_name = "ADDR[:PORT][,…]")]
    dns_server: Vec<String>,

    /// Do not deny the addresses that denied names resolve to
    ///
    /// Look-ups of denied names and requests to them are refused all the same, but whoever knows such an address can
    /// connect to it, where an entry permits the address itself: a literal, a network, or `*`.
    #[arg(long)]
    no_resolve_disallowed: bool,

    /// Judge the server name too, where a guest opens TLS [default: denied]
    ///
    /// It is judged as a name for the port of the connection, before a byte of TLS goes on. A connection that no name
    /// opened, since an entry has the address itself or every host, is not held to the names of the list.
    #[arg(long, value_name = "LAYERS", value_enum)]
    tls_names: Option<TlsNamesOption>,

    /// Read further settings from a runtime config file; `RUNTIME_CONFIG_FILE` names one as with Spin
    #[arg(long, value_name = "FILE")]
    runtime_config_file: Option<PathBuf>,

    /// Sockets that all guests together may have open, 0 for none [default: 4096]
    #[arg(long, value_name = "N", value_parser = number(0, u32::MAX))]
    max_sockets: Option<u32>,

    /// Sockets that one instance may have open, 0 for none [default: 256]
    #[arg(long, value_name = "N", value_parser = number(0, u32::MAX))]
    max_sockets_per_instance: Option<u32>,

    #[command(flatten)]
    names: NameOptions,

    #[command(flatten)]
    bytes: ByteOptions,

    /// Refuse to start when there are warnings
    #[arg(long)]
    deny_warnings: bool,

    #[command(flatten)]
    egress_proxy: EgressProxyOptions,

    #[command(flatten)]
    pub(crate) loading: LoadOptions,

    #[command(flatten)]
    pub(crate) state: StateOptions,

    #[command(flatten)]
    pub(crate) sandbox: SandboxOptions,

    // These have a heading of their own, and so stand last.
    #[command(flatten)]
    pub(crate) audit: AuditOptions,

    #[command(flatten)]
    pub(crate) telemetry: TelemetryOptions,

    /// Where the values of all these are from.
    #[arg(skip = Given::of_the_process())]
    pub(crate) given: Given,

    /// Who learns what guests use, of a run for which their lists are open; nobody, but for `outport learn`.
    #[arg(skip)]
    pub(crate) learner: Option<Arc<Learner>>,
}

/// The options that are read again while guests run, as far as the configuration file says them.
pub(crate) const READ_AGAIN: [&str; 13] = [
    "allow-link-local",
    "allow-loopback-answers",
    "allow-loopback-ports",
    "allow-udp",
    "disallowed-outbound-hosts",
    "max-lookups-per-minute",
    "max-names-per-wildcard",
    "max-receive-rate",
    "max-send-rate",
    "max-sent",
    "max-sockets",
    "max-sockets-per-instance",
    "tls-names",
];

/// The settings that the operator's options, environment and runtime config file say, in one.
pub(crate) struct OperatorSettings {
    pub(crate) operator: Operator,
    /// The proxies that connections of guests go through, if any.
    pub(crate) egress_proxies: Option<EgressProxies>,
    /// Empty: the system's.
    pub(crate) dns_servers: Vec<SocketAddr>,
    pub(crate) resolve_disallowed: bool,
    pub(crate) deny_warnings: bool,
    /// Certificates for outgoing HTTPS.
    pub(crate) client_tls: ClientTlsProfiles,
    /// Settings of outgoing HTTP.
    pub(crate) http: OutboundHttp,
    /// The runtime config file, if there is one, for what it defines for components.
    pub(crate) config: Option<RuntimeConfig>,
    /// The remarks on the runtime config file.
    pub(crate) remarks: Vec<Diagnostic>,
}

impl OperatorSettings {
    /// Refuses to start with so many warnings, if the operator wants none.
    pub(crate) fn refuse_warnings(&self, count: usize) -> Result<(), Failure> {
        if count == 0 || !self.deny_warnings {
            return Ok(());
        }
        Err(anyhow::anyhow!("not started because of {count} warning(s), as `--deny-warnings` asks").into())
    }

    /// The treatment of the denied names.
    pub(crate) fn denied_names(&self) -> DeniedNames {
        if self.resolve_disallowed {
            DeniedNames::Resolved
        } else {
            DeniedNames::LeftAlone
        }
    }
}

impl OperatorOptions {
    /// The place for compiled code, and those who compile. Guests see `directories`. The process must have one thread.
    pub(crate) fn compiled_code(&self, directories: &[Directory], terminal: Terminal) -> CompiledCode {
        let code = compiled_code(&self.loading.cache(), directories, terminal)
            .compiled_apart(self.loading.compiling(), self.sandbox.confinement());
        match progress::of_compiling(terminal) {
            Some(watch) => code.watched(watch),
            None => code,
        }
    }

    /// The same with what another reading says of [`READ_AGAIN`].
    pub(crate) fn with_policy_of(&self, now: Self) -> Self {
        Self {
            disallowed_outbound_hosts: now.disallowed_outbound_hosts,
            allow_udp: now.allow_udp,
            allow_loopback_ports: now.allow_loopback_ports,
            allow_link_local: now.allow_link_local,
            allow_loopback_answers: now.allow_loopback_answers,
            max_sockets: now.max_sockets,
            max_sockets_per_instance: now.max_sockets_per_instance,
            tls_names: now.tls_names,
            names: now.names,
            bytes: now.bytes,
            given: now.given,
            ..self.clone()
        }
    }

    /// Reads everything. May be asked again, to learn what has changed.
    pub(crate) fn read(&self, files: &mut Files) -> Result<OperatorSettings, Failure> {
        let mut wrong = Vec::new();
        let settings = self.read_tentatively(files, &mut wrong);
        if wrong.is_empty() {
            Ok(settings)
        } else {
            Err(Failure::Unusable {
                diagnostics: wrong,
                files: files.clone(),
            })
        }
    }

    /// Reads what can be read, for looking at it and never for running with it; what is wrong is put to the rest.
    pub(crate) fn read_tentatively(
        &self,
        files: &mut Files,
        wrong: &mut Vec<Diagnostic>,
    ) -> OperatorSettings {
        let (config, remarks) = self.config(files, wrong);
        self.merge(config, remarks, wrong)
    }

    /// True if there should be a runtime config file.
    pub(crate) fn names_a_runtime_config(&self) -> bool {
        self.runtime_config_file.is_some()
    }

    /// The files that may change while guests run, each with its name for messages.
    pub(crate) fn files_to_watch(&self) -> impl Iterator<Item = (PathBuf, &'static str)> {
        let own = self
            .given
            .file()
            .map(|path| (path.to_owned(), configuration::WHAT));
        let spins = self
            .runtime_config_file
            .clone()
            .map(|path| (path, RUNTIME_CONFIG));
        own.into_iter().chain(spins)
    }

    fn config(
        &self,
        files: &mut Files,
        wrong: &mut Vec<Diagnostic>,
    ) -> (Option<RuntimeConfig>, Vec<Diagnostic>) {
        let mut remarks = spin_environment::not_acted_on();
        remarks.extend(configuration::misspelled());
        self.given.keep_file_in(files);
        let Some(path) = &self.runtime_config_file else {
            return (None, remarks);
        };
        let source = match files.read_operators(path, RUNTIME_CONFIG) {
            Ok(source) => source,
            Err(unreadable) => {
                wrong.push(unreadable.at(self.given.location("runtime-config-file")));
                return (None, remarks);
            }
        };
        conceal_secrets(&source, files);
        let reading = RuntimeConfig::parse(&source);
        wrong.extend(reading.problems().iter().map(Diagnostic::from));
        remarks.extend(reading.notes().iter().map(Diagnostic::from));
        (Some(reading.tentative().clone()), remarks)
    }

    fn merge(
        &self,
        file: Option<RuntimeConfig>,
        mut remarks: Vec<Diagnostic>,
        wrong: &mut Vec<Diagnostic>,
    ) -> OperatorSettings {
        let config = file.as_ref();
        let client_tls = config
            .map(|config| ClientTlsProfiles::read(config, wrong))
            .unwrap_or_default();
        let http = config.map(|config| config.http.clone()).unwrap_or_default();
        let config = config.map(|config| config.networking.clone()).unwrap_or_default();
        let defaults = self.names.put_into(Quotas::default(), file.as_ref());
        let mut denied = self.denied(wrong);
        denied.extend(config.disallowed_outbound_hosts);
        let limits = RuntimeLimits {
            udp: lifted(self.allow_udp, config.allow_udp),
            loopback_ports: self.loopback_ports(config.allow_loopback_ports, wrong),
            link_local: lifted(self.allow_link_local, config.allow_link_local),
            loopback_answers: lifted(self.allow_loopback_answers, config.allow_loopback_answers),
        };
        let allows_udp = limits.udp == Limit::Lifted;
        let egress_proxies = self.egress_proxy.read(allows_udp, wrong, &mut remarks);
        let first = |option: Option<u32>, file: Option<Located<u32>>, default| {
            option.or(file.map(|file| file.value)).unwrap_or(default)
        };
        let quotas = Quotas {
            sockets_per_instance: first(
                self.max_sockets_per_instance,
                config.max_sockets_per_instance,
                defaults.sockets_per_instance,
            ),
            sockets_per_process: first(self.max_sockets, config.max_sockets, defaults.sockets_per_process),
            sockets_per_component: config.max_socket_connections.map(|limit| limit.value),
            total_connections: config.max_total_connections.map(|limit| limit.value),
            bytes: self.bytes.read(file.as_ref(), &self.given, &mut remarks),
            ..defaults
        };
        let tls_names = self.tls_names.map(TlsNames::from);
        let dns_servers = self.dns_servers(&config.dns_servers, wrong);
        let resolve_in_file = config.resolve_disallowed.is_none_or(|resolve| resolve.value);
        OperatorSettings {
            operator: Operator {
                deny: DenyList::compile(denied, config.block_networks),
                limits,
                quotas,
                egress_proxy: egress_proxies.as_ref().map(EgressProxies::rule),
                tls_names: tls_names
                    .or(config.tls_names.map(|mode| mode.value))
                    .unwrap_or_default(),
            },
            egress_proxies,
            dns_servers,
            resolve_disallowed: resolve_in_file && !self.no_resolve_disallowed,
            deny_warnings: self.deny_warnings,
            client_tls,
            http,
            config: file,
            remarks,
        }
    }

    /// Denied hosts of the options.
    fn denied(&self, wrong: &mut Vec<Diagnostic>) -> Vec<Entry> {
        let lists = self.disallowed_outbound_hosts.iter();
        let locations = self.given.locations("disallowed-outbound-hosts");
        let entries = lists.zip(locations).flat_map(|(list, location)| {
            parse_entries(std::slice::from_ref(list), ListOf::Denied, &location, wrong)
        });
        entries.collect()
    }

    fn loopback_ports(&self, file: Option<Located<PortSet>>, wrong: &mut Vec<Diagnostic>) -> PortSet {
        let mut ports = file.map(|file| file.value).unwrap_or_default();
        let locations = self.given.locations("allow-loopback-ports");
        for (text, location) in self.allow_loopback_ports.iter().zip(locations) {
            match PortSet::parse(text) {
                Ok(more) => ports = ports.union(&more),
                Err(_) if text.trim().is_empty() => {
                    let error = Diagnostic::error("there is no port in it").at(location);
                    wrong.push(error.helped_by("write a number, a range such as `80-90`, or `*`"));
                }
                Err(error) => wrong.push(bad_value(location, text, &error)),
            }
        }
        ports
    }

    fn dns_servers(&self, file: &[Located<DnsServer>], wrong: &mut Vec<Diagnostic>) -> Vec<SocketAddr> {
        if self.dns_server.is_empty() {
            return file.iter().map(|server| server.value.0).collect();
        }
        let mut servers = Vec::new();
        let lists = self.dns_server.iter().zip(self.given.locations("dns-server"));
        let items =
            lists.flat_map(|(list, location)| list::items(list).map(move |item| (item, location.clone())));
        for (text, location) in items {
            match text.parse::<DnsServer>() {
                Ok(server) => servers.push((rank(&location), server.0)),
                Err(error) => wrong.push(
                    bad_value(location, text, &error)
                        .helped_by("write an IP address, with or without a port, such as `9.9.9.9:53`"),
                ),
            }
        }
        // The first is asked first.
        servers.sort_by_key(|(rank, _)| *rank);
        servers.into_iter().map(|(_, server)| server).collect()
    }
}

/// Keeps tokens out of what is quoted, and of the URLs of servers all but scheme, host and port. They are looked for in the
/// text, since nobody knows what was read where there is a mistake.
fn conceal_secrets(source: &SourceFile, files: &mut Files) {
    let text = source.text();
    for secret in values_of_secrets(text) {
        files.conceal(source.path(), secret);
    }
    let urls = ["url", "address", "endpoint"];
    let named = urls.iter().flat_map(|key| values_of(key, text));
    for url in named.chain(values_with_urls(text)) {
        for part in ServerUrl::hidden_parts(&text[url.clone()]) {
            files.conceal(source.path(), url.start + part.start..url.start + part.end);
        }
    }
}

/// The entries in values of an option or of the environment; what is none is reported, each for itself.
pub(crate) fn parse_entries(
    lists: &[String],
    of: ListOf,
    location: &Location,
    wrong: &mut Vec<Diagnostic>,
) -> Vec<Entry> {
    let mut entries = Vec::new();
    for item in lists.iter().flat_map(|list| list::items(list)) {
        match (Entry::parse(item, location.clone()), of) {
            (Ok(entry), _) => entries.push(entry),
            (Err(error), ListOf::Allowed) => wrong.push(Diagnostic::from(&error)),
            (Err(error), ListOf::Denied) => wrong.push(Diagnostic::from(&error.in_a_deny_list())),
        }
    }
    entries
}

/// The effect of the entries of a list.
#[derive(Clone, Copy)]
pub(crate) enum ListOf {
    Allowed,
    Denied,
}

/// What was typed counts before the environment, and that before the configuration file.
fn rank(location: &Location) -> u8 {
    match location {
        Location::File { .. } => 2,
        Location::Environment { .. } => 1,
        Location::Option { .. } | Location::Code => 0,
    }
}

fn bad_value(location: Location, text: &str, error: &dyn std::error::Error) -> Diagnostic {
    let wrong = Diagnostic::error(format!("`{text}` cannot be used: {error}"));
    match location {
        // It is quoted from there.
        Location::File { .. } => wrong.at(location),
        location => wrong.at(location).quoting(text),
    }
}

/// The name of the runtime config file for messages.
const RUNTIME_CONFIG: &str = "runtime config file";

fn lifted(option: bool, file: Option<Located<bool>>) -> Limit {
    Limit::lifted_if(option || file.is_some_and(|file| file.value))
}
