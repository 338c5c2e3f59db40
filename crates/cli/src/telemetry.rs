//! What the operator's tools see of this process: opened while the process still may, and told of later.
//!
//! ```text
//! TelemetryOptions ── open ──▶ TelemetryOutputs ── start ──▶ Telemetry ─┬─ meter, tracer, denials ──▶ Network
//!    before the kernel's       listeners, files    in its sandbox       ├─ the dashboard's sink ────▶ Network
//!    sandbox closes                                                     ├─ readiness ───────────────▶ whoever takes a step
//!                                                                       ├─ access log ──────────────▶ Router
//!                                                                       └─ policy ──────────────────▶ the admin listener
//! ```
//!
//! Where no option asks for any of it, nothing is counted and no thread runs.

use std::cell::RefCell;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::rc::Rc;
use std::sync::{Arc, Mutex, OnceLock, PoisonError, Weak};

use clap::Args;
use outport_check::Diagnostic;
use outport_check::explain::EffectivePolicy;
use outport_egress::AuditSink;
use outport_egress::WeakEgress;
use outport_egress::meter::{Meter, MetricDescription};
use outport_egress::trace::Tracer;
use outport_policy::{LearnedAddresses, Operator, Policy};
use outport_runtime::http::Router;
use outport_runtime::stdio;
use outport_telemetry::access_log::AccessLog;
use outport_telemetry::admin::{AdminListener, AdminServer, HostNames, Readiness, Subjects};
use outport_telemetry::dashboard::{Bounds, Dashboard, DashboardListener, DashboardServer};
use outport_telemetry::otlp::{Export, Otlp, Signal};
use outport_telemetry::process;
use outport_telemetry::registry::Registry;

use crate::access_log::{AccessLogOptions, AccessLogOutput};
use crate::audit_output::AuditOutput;
use crate::configuration::blame::not_listened_at;
use crate::failure::Failure;
use crate::files::Files;
use crate::otlp;
use crate::service::address;
use crate::service_manager::ServiceManager;
use crate::terminal::Terminal;

/// The options of what tools see.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Observability")]
pub(crate) struct TelemetryOptions {
    /// Show metrics, health and the policy to tools that connect to this address; port 0 takes a free one
    ///
    /// Traces, metrics and logs go to a collector of OpenTelemetry where `OTEL_EXPORTER_OTLP_ENDPOINT` names one, as the
    /// standard variables say.
    #[arg(long, value_name = "ADDR:PORT", value_parser = address)]
    admin_listen: Option<SocketAddr>,

    /// Let tools call that listener by this name too, beside addresses and `localhost`
    #[arg(
        long,
        value_name = "NAME[,NAME…]",
        value_delimiter = ',',
        value_parser = host_name,
        requires = "admin_listen"
    )]
    admin_host: Vec<String>,

    #[command(flatten)]
    pub(crate) access_log: AccessLogOptions,
}

/// The outputs that were opened before the kernel's sandbox closed.
pub(crate) struct TelemetryOutputs {
    admin: Option<AdminOutput>,
    access_log: Option<AccessLogOutput>,
    otlp: Option<&'static Otlp>,
}

/// The socket that tools connect to.
struct AdminOutput {
    listener: AdminListener,
    names: HostNames,
    begin: Begin,
}

/// An admin listener that somebody else opened.
#[derive(Debug)]
pub(crate) struct HandedAdmin {
    pub(crate) socket: TcpListener,
    pub(crate) begin: Begin,
}

/// When tools are answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Begin {
    /// As soon as there is something to say.
    AtOnce,
    /// When [`Telemetry::answer_tools`] says so: until then another process does, at the same socket.
    Later,
}

impl TelemetryOutputs {
    /// The directory in which a log may be made anew.
    pub(crate) fn log_directory(&self) -> Option<&Path> {
        self.access_log.as_ref()?.directory()
    }
}

/// What tools are told of. Cheap to clone; the admin listener closes with the last of these.
#[derive(Clone)]
pub(crate) struct Telemetry(Rc<Told>);

struct Told {
    registry: Option<Arc<Registry>>,
    readiness: Readiness,
    subjects: Option<Arc<Subjects>>,
    access_log: Option<Arc<AccessLog>>,
    otlp: Option<&'static Otlp>,
    _export: Option<Export>,
    admin: RefCell<Admin>,
    dashboard: Option<(Dashboard, DashboardServer)>,
    /// The socket of the admin listener, for the process that takes over.
    admin_socket: Option<TcpListener>,
    manager: ServiceManager,
}

/// The admin listener, if there is one.
enum Admin {
    None,
    Waiting(AdminListener),
    Answering {
        /// It closes with this.
        _server: AdminServer,
    },
}

impl TelemetryOptions {
    /// Opens what tools connect to, unless they do so at a socket that was `handed` to this process, and what is written to.
    /// The audit log, which is open, has a file of its own; requests are logged where the process `serves` clients.
    pub(crate) fn open(
        &self,
        handed: Option<HandedAdmin>,
        audit: Option<&AuditOutput>,
        serves: bool,
        terminal: Terminal,
    ) -> Result<TelemetryOutputs, Failure> {
        let admin = match (handed, self.admin_listen) {
            (Some(handed), _) => Some((AdminListener::adopt(handed.socket)?, handed.begin)),
            (None, Some(address)) => Some((bind_admin(address)?, Begin::AtOnce)),
            (None, None) => None,
        };
        if let Some((listener, _)) = admin
            .as_ref()
            .filter(|(admin, _)| !admin.address().ip().is_loopback())
        {
            warn_of_others(listener.address(), terminal);
        }
        let admin = match admin {
            Some((listener, begin)) => Some(AdminOutput {
                listener,
                names: self.host_names()?,
                begin,
            }),
            None => None,
        };
        Ok(TelemetryOutputs {
            admin,
            access_log: self.access_log.open(audit, serves, terminal)?,
            otlp: otlp::wanted(terminal)?,
        })
    }
}

/// Listens for tools.
pub(crate) fn bind_admin(address: SocketAddr) -> Result<AdminListener, Failure> {
    AdminListener::bind(address).map_err(|error| {
        let error = format!("{error}; choose another address with `--admin-listen`: port 0 takes a free one");
        not_listened_at("admin-listen", &error).into()
    })
}

impl TelemetryOptions {
    /// The address of `--admin-listen`.
    pub(crate) fn admin_address(&self) -> Option<SocketAddr> {
        self.admin_listen
    }

    fn host_names(&self) -> Result<HostNames, Failure> {
        Ok(HostNames::parse(self.admin_host.iter().map(String::as_str))?)
    }
}

/// A name of a host.
fn host_name(text: &str) -> Result<String, String> {
    let name = text.trim();
    HostNames::parse([name]).map_err(|error| format!("{error}; {WRITE_A_NAME}"))?;
    Ok(name.to_owned())
}

const WRITE_A_NAME: &str = "write a name without a port, such as `metrics.example.com`";

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
    /// Starts to tell, of an app with this name if it has one.
    pub(crate) fn start(
        (outputs, dashboard): (TelemetryOutputs, Option<(DashboardListener, Bounds)>),
        app: Option<&str>,
        manager: ServiceManager,
        terminal: Terminal,
    ) -> Result<Self, Failure> {
        let readiness = Readiness::default();
        let otlp = outputs.otlp;
        let registry = (outputs.admin.is_some() || otlp.is_some() || dashboard.is_some()).then(registry);
        if let Some(output) = otlp.and_then(Otlp::output) {
            stdio::observe(output);
        }
        let export = match (otlp, &registry) {
            (Some(otlp), Some(registry)) => {
                let export = otlp.start(registry, app.unwrap_or("outport"))?;
                terminal.say(&otlp::destinations(otlp));
                Some(export)
            }
            _ => None,
        };
        let dashboard = match (dashboard, &registry) {
            (Some((listener, bounds)), Some(registry)) => {
                let dashboard = Dashboard::new(registry.clone(), app, bounds);
                let server = listener.start(&dashboard)?;
                Some((dashboard, server))
            }
            _ => None,
        };
        let mut admin_socket = None;
        let (subjects, admin) = match (outputs.admin, &registry) {
            (Some(output), Some(registry)) => {
                let subjects = Arc::new(Subjects {
                    registry: registry.clone(),
                    readiness: readiness.clone(),
                    names: output.names,
                    policy: OnceLock::new(),
                });
                admin_socket = Some(output.listener.copy()?);
                let admin = match output.begin {
                    Begin::AtOnce => answering(output.listener, &subjects, terminal)?,
                    Begin::Later => Admin::Waiting(output.listener),
                };
                (Some(subjects), admin)
            }
            _ => (None, Admin::None),
        };
        let meter = registry.as_ref().map(Registry::meter).unwrap_or_default();
        let access_log = outputs
            .access_log
            .map(|output| output.start(&meter))
            .transpose()?;
        Ok(Self(Rc::new(Told {
            registry,
            readiness,
            subjects,
            access_log,
            otlp,
            _export: export,
            dashboard,
            admin: RefCell::new(admin),
            admin_socket,
            manager,
        })))
    }

    /// Answers tools, if they were to wait for the process that this one takes over from.
    pub(crate) fn answer_tools(&self, terminal: Terminal) -> io::Result<()> {
        let mut admin = self.0.admin.borrow_mut();
        *admin = match (std::mem::replace(&mut *admin, Admin::None), &self.0.subjects) {
            (Admin::Waiting(listener), Some(subjects)) => answering(listener, subjects, terminal)?,
            (as_it_is, _) => as_it_is,
        };
        Ok(())
    }

    /// Leaves tools to the process that has taken over.
    pub(crate) fn leave_tools(&self) {
        self.0.admin.replace(Admin::None);
    }

    /// The socket of the admin listener, for a process that will take over.
    pub(crate) fn admin_socket(&self) -> io::Result<Option<TcpListener>> {
        self.0
            .admin_socket
            .as_ref()
            .map(TcpListener::try_clone)
            .transpose()
    }

    /// The service manager, which is told what becomes of this process.
    pub(crate) fn manager(&self) -> &ServiceManager {
        &self.0.manager
    }

    /// Tells all that look at it that the process does what it is there for, as `status` says in a line.
    pub(crate) fn ready(&self, status: &str) {
        self.0.readiness.listening();
        self.0.manager.ready(status);
    }

    /// The meter by which all is counted.
    pub(crate) fn meter(&self) -> Meter {
        let is_read = self.0.subjects.is_some()
            || self.0.dashboard.is_some()
            || self.0.otlp.is_some_and(|otlp| otlp.exports(Signal::Metrics));
        let registry = self.0.registry.as_ref().filter(|_| is_read);
        registry.map(Registry::meter).unwrap_or_default()
    }

    /// What chooses the requests that have spans, if any are exported.
    pub(crate) fn tracer(&self) -> Option<Arc<dyn Tracer>> {
        self.0.otlp?.tracer()
    }

    /// What takes denials beside the terminal and the audit log, if they are exported.
    pub(crate) fn denials(&self) -> Option<Arc<dyn AuditSink>> {
        self.0.otlp?.denials()
    }

    /// What takes all decisions and outcomes for the live page, if there is one.
    pub(crate) fn dashboard(&self) -> Option<Arc<dyn AuditSink>> {
        let (dashboard, _) = self.0.dashboard.as_ref()?;
        Some(dashboard.sink())
    }

    /// Says on the terminal where the live page is, if there is one. Its URL is a secret: this goes to no log.
    pub(crate) fn say_where_the_dashboard_is(&self, terminal: Terminal) {
        if let Some((_, server)) = &self.0.dashboard {
            terminal.insist(&format!("Dashboard {}", server.url()));
        }
    }

    /// Shows how many connections clients may have.
    pub(crate) fn bound_clients(&self, connections: usize) {
        if let Some((dashboard, _)) = &self.0.dashboard {
            dashboard.bound_clients(connections);
        }
    }

    /// Has the egress say what it knows when somebody collects.
    pub(crate) fn collect_from(&self, egress: WeakEgress) {
        if let Some((dashboard, _)) = &self.0.dashboard {
            dashboard.watch(egress.clone());
        }
        if let Some(registry) = &self.0.registry {
            registry.on_collect(move || {
                if let Some(egress) = egress.upgrade() {
                    egress.collect();
                }
            });
        }
    }

    /// The router with those who are told of its requests.
    pub(crate) fn observe(&self, router: Router) -> Router {
        match &self.0.access_log {
            Some(log) => router.with_observer(log.clone()),
            None => router,
        }
    }

    /// The access log, for whoever opens it again and does not keep it from ending.
    pub(crate) fn access_log(&self) -> Weak<AccessLog> {
        self.0.access_log.as_ref().map(Arc::downgrade).unwrap_or_default()
    }

    /// Writes out what is still under way, within about a second.
    pub(crate) fn flush(&self) {
        if let Some(log) = &self.0.access_log {
            log.flush();
        }
    }

    /// The steps to being ready.
    pub(crate) fn readiness(&self) -> &Readiness {
        &self.0.readiness
    }

    /// Says what the policies of the components are, under whatever operator is in force when somebody asks.
    pub(crate) fn show_policy(&self, policies: Vec<Policy>, egress: WeakEgress) {
        if let Some((dashboard, _)) = &self.0.dashboard {
            dashboard.show_components(policies.iter().map(Policy::component));
        }
        let Some(subjects) = &self.0.subjects else { return };
        // Written once for each operator: of a large app that takes a while, on the thread that answers probes too.
        let last: Mutex<Option<(Arc<Operator>, String)>> = Mutex::default();
        let effective = move || {
            let operator = egress.upgrade()?.operator();
            let mut last = last.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some((_, text)) = last.as_ref().filter(|(of, _)| Arc::ptr_eq(of, &operator)) {
                return Some(text.clone());
            }
            let text = EffectivePolicy::of(&policies, &as_configured(&operator)).to_json();
            *last = Some((operator, text.clone()));
            Some(text)
        };
        let _ = subjects.policy.set(Box::new(effective));
    }
}

fn answering(listener: AdminListener, subjects: &Arc<Subjects>, terminal: Terminal) -> io::Result<Admin> {
    let server = listener.start(subjects.clone())?;
    terminal.insist(&format!("Admin listener: http://{}", server.address()));
    Ok(Admin::Answering { _server: server })
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

#[cfg(test)]
mod documented;
