//! The operator's settings of the network, in force: policy, resolver, sinks, and what runs beside them.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use outport_check::{Colour, Colours, CommandWords};
use outport_egress::{AuditSink, DenialReporter, Egress, Gate, ProxyWatch, Refresher, Resolver};
use outport_policy::{AllowList, Operator, Policy, text};
use outport_runtime::descriptors;

use crate::asking::Asking;
use crate::audit_output::{AuditOutput, Record};
use crate::failure::Failure;
use crate::files::Files;
use crate::operator_options::{OperatorOptions, OperatorSettings};
use crate::reload::Reload;
use crate::telemetry::Telemetry;
use crate::terminal::Terminal;

/// The egress of this process, and what runs beside it. Dropping it tells what is still to be told.
pub(crate) struct Network {
    egress: Egress,
    telemetry: Telemetry,
    reload: Reload,
    asking: Option<Arc<Asking>>,
    _refresher: Option<Refresher>,
    _proxy_watch: Option<ProxyWatch>,
}

/// The time that a start waits for the addresses of the denied names, and for those of proxies.
const FIRST_ROUND: Duration = Duration::from_secs(5);

impl Network {
    /// Puts the operator's settings in force, as they were read from `options` with `files`. Where denied names are to
    /// be resolved, waits until each was tried. Whatever changes later is put in force by [`Reload`].
    pub(crate) fn open(
        options: &OperatorOptions,
        settings: &OperatorSettings,
        files: &Files,
        (audit, telemetry, asking): (Option<AuditOutput>, Telemetry, Option<Arc<Asking>>),
        terminal: Terminal,
    ) -> Result<Self, Failure> {
        let mut builder = Egress::builder()
            .operator(within_descriptors(settings.operator.clone()))
            .resolver(Arc::new(resolver(&settings.dns_servers)?))
            .remedies(CommandWords)
            .meter(telemetry.meter());
        if let Some(proxies) = &settings.egress_proxies {
            builder = builder.egress_proxies(proxies.clone());
        }
        let http = &settings.http;
        if http
            .connection_pooling
            .as_ref()
            .is_some_and(|pooling| !pooling.value)
        {
            builder = builder.without_pooling();
        }
        if let Some(limit) = &http.max_connections {
            builder = builder.http_connections(limit.value);
        }
        if !terminal.is_quiet() {
            let report =
                DenialReporter::new(move |line| terminal.insist_now(&painted(line, terminal.paint())))?
                    .recorded_by("`--audit-log`");
            builder = builder.sink(Arc::new(report));
        }
        if let Some(denials) = telemetry.denials() {
            builder = builder.sink(denials);
        }
        if let Some(asking) = &asking {
            builder = builder.questioner(asking.clone());
        }
        if let Some(activity) = telemetry.dashboard() {
            builder = builder.sink(activity).list_grants();
        }
        if let Some(tracer) = telemetry.tracer() {
            builder = builder.tracer(tracer);
        }
        if let Some(learner) = &options.learner {
            builder = builder.sink(Arc::clone(learner) as Arc<dyn AuditSink>);
        }
        if let Some(output) = audit {
            let (log, record) = options.audit.start(output)?;
            builder = match record {
                Record::Required => builder.required_sink(Arc::new(log)),
                Record::Wanted => builder.sink(Arc::new(log)),
            };
        }
        let egress = builder.build()?;
        let proxy_watch = ProxyWatch::start(&egress)?;
        if let Some(watch) = &proxy_watch {
            watch.first_round(FIRST_ROUND);
        }
        telemetry.collect_from(egress.downgrade());
        let names_to_resolve = !settings.operator.deny.exact_names().is_empty();
        // A file that is loaded again may deny names later.
        let may_resolve = names_to_resolve || options.files_to_watch().next().is_some();
        let refresher = if settings.resolve_disallowed && may_resolve {
            Some(Refresher::start(&egress)?)
        } else {
            None
        };
        if let Some(refresher) = refresher.as_ref().filter(|_| names_to_resolve) {
            refresher.first_round(FIRST_ROUND);
        }
        match &refresher {
            Some(refresher) => telemetry.readiness().policy_in_force(refresher.tried()),
            None => telemetry.readiness().policy_in_force(|| true),
        }
        let reload = Reload::start(options, settings, files, (&egress, &telemetry), terminal)?;
        Ok(Self {
            egress,
            telemetry,
            reload,
            asking,
            _refresher: refresher,
            _proxy_watch: proxy_watch,
        })
    }

    /// The gate of a component that no manifest names.
    pub(crate) fn gate(&self, component: &str, allow: Arc<AllowList>, settings: &OperatorSettings) -> Gate {
        let gate = self.egress.gate(component, allow);
        gate.with_tls(settings.client_tls.of(component))
    }

    pub(crate) fn egress(&self) -> &Egress {
        &self.egress
    }

    pub(crate) fn telemetry(&self) -> &Telemetry {
        &self.telemetry
    }

    /// Tells tools what the components may reach.
    pub(crate) fn show_policy(&self, policies: Vec<Policy>) {
        self.telemetry.show_policy(policies, self.egress.downgrade());
    }

    /// Who is asked about what only an author's list refuses, if anybody is.
    pub(crate) fn asking(&self) -> Option<Arc<Asking>> {
        self.asking.clone()
    }

    /// Makes the operator's settings be read again.
    pub(crate) fn reload(&self) -> Reload {
        self.reload.clone()
    }
}

/// The operator's policy, with no more sockets than half of what the process may have open.
pub(crate) fn within_descriptors(mut operator: Operator) -> Operator {
    let half_the_files = u32::try_from(descriptors::raise_limit() / 2).unwrap_or(u32::MAX);
    let sockets = &mut operator.quotas.sockets_per_process;
    *sockets = half_the_files.min(*sockets);
    operator
}

impl Drop for Network {
    fn drop(&mut self) {
        if let Some(asking) = &self.asking {
            asking.close();
        }
        self.egress.stop();
        self.egress.flush();
        self.telemetry.flush();
    }
}

fn resolver(servers: &[SocketAddr]) -> Result<Resolver, Failure> {
    match servers {
        [] => Ok(Resolver::system()?),
        servers => Ok(Resolver::with_servers(servers)?),
    }
}

/// A denial's line, its first word coloured.
fn painted(line: &str, paint: Colours) -> String {
    match line.split_once(':') {
        Some((label, rest)) => format!(
            "{}:{}",
            paint.with(Colour::Red, label),
            text::terminal_lines(rest)
        ),
        None => text::terminal_lines(line),
    }
}
