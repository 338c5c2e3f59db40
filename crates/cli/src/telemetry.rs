//! What the operator's tools see of this process: opened while the process still may, and told of later.
//!
//! ```text
//! TelemetryOptions ── open ──▶ TelemetryOutputs ── start ──▶ Telemetry ─┬─ meter ──────▶ Network
//!    before the kernel's       listeners, files    in its sandbox       ├─ readiness ──▶ whoever takes a step
//!    sandbox closes                                                     └─ policy ─────▶ the admin listener
//! ```
//!
//! Where no option asks for any of it, nothing is counted and no thread runs.

use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};

use clap::Args;
use outport_check::Diagnostic;
use outport_check::explain::EffectivePolicy;
use outport_egress::WeakEgress;
use outport_egress::meter::{Meter, MetricDescription};
use outport_policy::{LearnedAddresses, Operator, Policy};
use outport_telemetry::admin::{AdminListener, AdminServer, HostNames, Readiness, Subjects};
use outport_telemetry::process;
use outport_telemetry::registry::Registry;

use crate::failure::Failure;
use crate::files::Files;
use crate::service::address;
use crate::terminal::Terminal;

/// The options of what tools see.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct TelemetryOptions {
    /// Show metrics, health and the policy to tools that connect to this address; port 0 takes a free one
    #[arg(
        long,
        value_name = "ADDR:PORT",
        env = "OUTPORT_ADMIN_LISTEN",
        hide_env_values = true,
        value_parser = address
    )]
    admin_listen: Option<SocketAddr>,

    /// Let tools call that listener by this name too, beside addresses and `localhost`
    #[arg(
        long,
        value_name = "NAME[,NAME…]",
        env = "OUTPORT_ADMIN_HOST",
        hide_env_values = true,
        value_delimiter = ','
    )]
    admin_host: Vec<String>,
}

/// The outputs that were opened before the kernel's sandbox closed.
pub(crate) struct TelemetryOutputs {
    admin: Option<(AdminListener, HostNames)>,
}

/// What tools are told of. Cheap to clone; the admin listener closes with the last of these.
#[derive(Clone)]
pub(crate) struct Telemetry(Arc<Told>);

struct Told {
    registry: Option<Arc<Registry>>,
    readiness: Readiness,
    subjects: Option<Arc<Subjects>>,
    _admin: Option<AdminServer>,
}

impl TelemetryOptions {
    /// Opens what tools connect to, and what is written to.
    pub(crate) fn open(&self, terminal: Terminal) -> Result<TelemetryOutputs, Failure> {
        let names = HostNames::parse(self.admin_host.iter().map(|name| name.trim()));
        let names = names.map_err(|error| {
            let error = Diagnostic::error(format!("`--admin-host`: {error}"));
            Failure::unusable(error.helped_by("write a name without a port, such as `metrics.example.com`"))
        })?;
        let admin = self.admin_listen.map(AdminListener::bind).transpose();
        let admin = admin.map_err(|error| {
            let advice = "choose another address with `--admin-listen`; port 0 takes a free one";
            Failure::unusable(Diagnostic::error(error.to_string()).helped_by(advice))
        })?;
        if let Some(listener) = admin.as_ref().filter(|admin| !admin.address().ip().is_loopback()) {
            warn_of_others(listener.address(), terminal);
        }
        Ok(TelemetryOutputs {
            admin: admin.map(|admin| (admin, names)),
        })
    }
}

fn warn_of_others(address: SocketAddr, terminal: Terminal) {
    let warning = Diagnostic::warning(format!(
        "whoever reaches {address} can read the metrics and the policy of this process"
    ));
    let advice = format!(
        "let only tools reach it, or listen with `--admin-listen 127.0.0.1:{}`",
        address.port()
    );
    terminal.show(&warning.helped_by(advice), &Files::default());
}

impl Telemetry {
    /// Starts to tell.
    pub(crate) fn start(outputs: TelemetryOutputs, terminal: Terminal) -> Result<Self, Failure> {
        let readiness = Readiness::default();
        let registry = outputs.admin.is_some().then(registry);
        let admin = match (outputs.admin, &registry) {
            (Some((listener, names)), Some(registry)) => {
                let subjects = Arc::new(Subjects {
                    registry: registry.clone(),
                    readiness: readiness.clone(),
                    names,
                    policy: OnceLock::new(),
                });
                let server = listener.start(subjects.clone())?;
                terminal.insist(&format!("Admin listener: http://{}", server.address()));
                Some((subjects, server))
            }
            _ => None,
        };
        let (subjects, server) = admin.unzip();
        Ok(Self(Arc::new(Told {
            registry,
            readiness,
            subjects,
            _admin: server,
        })))
    }

    /// The meter by which all is counted.
    pub(crate) fn meter(&self) -> Meter {
        self.0.registry.as_ref().map(Registry::meter).unwrap_or_default()
    }

    /// The steps to being ready.
    pub(crate) fn readiness(&self) -> &Readiness {
        &self.0.readiness
    }

    /// Says what the policies of the components are, under whatever operator is in force when somebody asks.
    pub(crate) fn show_policy(&self, policies: Vec<Policy>, egress: WeakEgress) {
        let Some(subjects) = &self.0.subjects else { return };
        let effective = move || {
            let egress = egress.upgrade()?;
            let operator = as_configured(&egress.operator());
            Some(EffectivePolicy::of(&policies, &operator).to_json())
        };
        let _ = subjects.policy.set(Box::new(effective));
    }
}

/// The metrics of everything that this program is made of, as they are documented.
const METRICS: &[(&str, &[MetricDescription])] = &[
    ("Requests, instances and events", outport_runtime::METRICS),
    ("The network, and the host's interfaces", outport_egress::METRICS),
    ("The process", outport_telemetry::METRICS),
];

/// The counts of everything that this program is made of.
fn registry() -> Arc<Registry> {
    let registry = Registry::new(METRICS.iter().flat_map(|(_, metrics)| *metrics));
    process::collect(&registry, env!("CARGO_PKG_VERSION"));
    registry
}

/// The operator's side as it is written: what `outport explain` knows. Addresses of denied names come and go.
fn as_configured(operator: &Operator) -> Operator {
    let mut configured = operator.clone();
    configured.deny = operator.deny.with_learned(LearnedAddresses::default());
    configured
}
