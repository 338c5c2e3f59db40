//! `outport up`: the app that a `spin.toml` describes.
//!
//! Its HTTP triggers are served, and its events waited for, until somebody asks to stop. Its command triggers run once, at
//! start, all at the same time; an app of command triggers alone ends with them.

mod build_first;
mod summary;

use std::collections::HashMap;
use std::convert::Infallible;
use std::fs;
use std::path::PathBuf;
use std::sync::Arc;

use clap::Args;
use outport_check::{Diagnostic, allow_list, denied_triggers, part_lists, policies};
use outport_manifest::{Component, ComponentId, EventKind, IdentifierError, Located, Manifest, ResolvedApp};
use outport_platform::Platform;
use outport_runtime::app::{App, AppBuilder, FetchedCode, OutputLines};
use outport_runtime::command::{Command, CommandError};
use outport_runtime::engine::Allocation;
use outport_runtime::guest_env::{Access, Directory};
use outport_runtime::http::Router;
use outport_runtime::memory_ceiling::MemoryCeiling;
use outport_runtime::stdio::WhenFull;
use outport_runtime::triggers::Brokers;
use summary::Summary;
use tokio::task::JoinSet;

use super::TRAPPED;
use crate::app_options::AppOptions;
use crate::app_problem::{self, check_component};
use crate::asking::AskOptions;
use crate::author_options::{Variable, environment};
use crate::brokers;
use crate::failure::Failure;
use crate::files::Files;
use crate::inherited::Inherited;
use crate::learner;
use crate::limit_options::LimitOptions;
use crate::network::Network;
use crate::operator_options::OperatorOptions;
use crate::service::{Audience, Place, ServiceOptions, finish, prepare, take_over, until_stopped};
use crate::signals::StopSignals;
use crate::startup::{Needs, Ready, Startup};
use crate::state_options::InitialState;
use crate::terminal::Terminal;
use crate::upgrade::Upgrade;

/// Run the app that a `spin.toml` describes.
///
/// Serves its HTTP triggers and waits for its events until Ctrl-C, and runs its command triggers once.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// The same as `-f`: a `spin.toml`, its directory, or a reference such as `ghcr.io/me/app:1.0`
    #[arg(value_name = "DIR_OR_FILE", conflicts_with = "from")]
    path: Option<PathBuf>,

    #[command(flatten)]
    app: AppOptions,

    /// Run only this component; may be given several times
    #[arg(long, value_name = "ID", value_parser = component_id)]
    pub(super) component: Vec<ComponentId>,

    /// Set an environment variable of every component; without `=VALUE` the host's own value is passed on
    #[arg(long, value_name = "NAME[=VALUE]")]
    env: Vec<Variable>,

    /// Print the components' output as it is, without `[COMPONENT]` before each line
    #[arg(long)]
    no_output_prefix: bool,

    /// Build the app first, as `outport build` does
    #[arg(long)]
    pub(super) build: bool,

    #[command(flatten)]
    pub(super) ask: AskOptions,

    #[command(flatten)]
    pub(super) service: ServiceOptions,

    #[command(flatten)]
    operator: OperatorOptions,

    #[command(flatten)]
    limits: LimitOptions,
}

pub(super) fn up(options: &Options, terminal: Terminal) -> Result<i32, Failure> {
    // Before anything is opened, whose descriptors could be taken for them.
    let inherited = Inherited::take()?;
    if let Some(status) = options.build_first(terminal)? {
        return Ok(status);
    }
    let mut startup = Startup::begin(&options.operator, terminal)?;
    let mut remarks = startup.settings.remarks.clone();
    let app_options = options.app_at().pulled(&options.operator.loading, terminal)?;
    startup.ask(&options.ask, app_options.own_manifest().as_deref())?;
    let written = app_options.read(&mut startup.files, &mut remarks)?;
    let components = &written.manifest.components;
    if components.len() > 1 {
        startup.share_questions();
    }
    remarks.extend(startup.settings.client_tls.unknown_components(components));
    options.check_components(&written.manifest)?;
    let state = options.state(&written.manifest, &app_options, &startup)?;
    let config = startup.settings.config.as_ref();
    let brokers = brokers::with_credentials(config, &written.manifest, |id| options.wants(id))?;
    options.refuse_denied_triggers(&written, &brokers, &startup)?;
    let stores = state.directories()?;
    // Before the kernel's sandbox closes, and before guests are there.
    let fetched = options.fetch(&written.manifest, &app_options, &mut startup)?;
    let audience = options.audience(&written.manifest);
    let telemetry = &options.operator.telemetry;
    let sockets = options.service.open(inherited, audience, telemetry)?;
    let place = sockets.place;
    remarks.extend(place.iter().flat_map(|place| place.remarks(&[])));
    let ready = startup
        .enter_sandbox(Needs {
            directories: &options.copies(&written.manifest),
            stores: &stores,
            serves: audience == Audience::Clients,
            admin: sockets.admin,
            dashboard: sockets.dashboard,
            app: Some(&written.manifest.application.name.value),
            allocation: match audience {
                Audience::Clients | Audience::Events => Allocation::Pool {
                    instances: options.service.limits.instances(),
                },
                Audience::Nobody => Allocation::Single,
            },
            memory: options.limits.of_all(),
            when_full: WhenFull::Drop,
            tell: Terminal::say,
        })?
        .open_network()?;
    let platform = state.platform(ready.network.egress())?;
    let app = options.build(&written, (&platform, &brokers, &fetched), &ready, None)?;
    ready.engine.end_compiling();
    let Startup { settings, files, .. } = &ready.startup;
    let summary = Summary {
        written: &written,
        settings,
        state: &state,
        remarks: &remarks,
        app: &app,
        served_at: place.as_ref().map(Place::url),
        learning: options.operator.learner.is_some(),
        wanted: &|id| options.wants(id),
    };
    summary.show(files, terminal);
    settings.refuse_warnings(summary.warnings())?;
    // Files of the app are the guests' to read.
    ready.run(&[], async |signals, network| {
        state.fill(&platform).await?;
        options
            .run(app, (place, sockets.upgrade), (signals, network), terminal)
            .await
    })
}

impl Options {
    /// Those of an app that is not served: one of its components is started by hand.
    pub(super) fn by_hand(
        app: AppOptions,
        (env, no_output_prefix): (Vec<Variable>, bool),
        service: ServiceOptions,
        operator: OperatorOptions,
        limits: LimitOptions,
    ) -> Self {
        Self {
            path: None,
            app,
            component: Vec::new(),
            env,
            no_output_prefix,
            build: false,
            ask: AskOptions::default(),
            service,
            operator,
            limits,
        }
    }

    pub(super) fn operator(&self) -> &OperatorOptions {
        &self.operator
    }

    pub(super) fn app_options(&self) -> &AppOptions {
        &self.app
    }

    /// The app that is meant, by `-f` or without.
    pub(super) fn app_at(&self) -> AppOptions {
        self.app.at(self.path.as_deref())
    }

    /// Memory of all instances.
    pub(super) fn memory(&self) -> MemoryCeiling {
        self.limits.of_all()
    }

    pub(super) fn wants(&self, id: &ComponentId) -> bool {
        self.component.is_empty() || self.component.contains(id)
    }

    /// What the labels of the components lead to.
    pub(super) fn state(
        &self,
        manifest: &Manifest,
        app: &AppOptions,
        startup: &Startup<'_>,
    ) -> Result<InitialState, Failure> {
        let components = manifest.components.iter();
        let wanted = components.filter(|component| self.wants(&component.id.value));
        let labels = wanted.flat_map(|component| component.labels(&manifest.source));
        let mut wrong = Vec::new();
        let config = startup.settings.config.as_ref();
        let options = &self.operator.state;
        let state = options.resolve(labels.collect(), config, app.state_dir(), &mut wrong);
        if wrong.is_empty() {
            Ok(state)
        } else {
            Err(Failure::unusable_in(&startup.files, wrong))
        }
    }

    pub(super) fn check_components(&self, manifest: &Manifest) -> Result<(), Failure> {
        for id in &self.component {
            check_component(id, manifest)?;
        }
        if self.serves_http(manifest) || self.runs_commands(manifest) || self.waits_for_events(manifest) {
            return Ok(());
        }
        let wanted: Vec<_> = self.component.iter().map(|id| format!("`{id}`")).collect();
        Err(Failure::unusable(
            Diagnostic::error(format!(
                "there is nothing to start: no trigger starts {}",
                wanted.join(" or ")
            ))
            .helped_by("leave `--component` out, or name a component that has a trigger"),
        ))
    }

    /// The directories that the files of the app will be copied to, if it has any: those that the process still writes
    /// to then.
    pub(super) fn copies(&self, manifest: &Manifest) -> Vec<Directory> {
        let has_files =
            |component: &Component| self.wants(&component.id.value) && !component.files.is_empty();
        if !manifest.components.iter().any(has_files) {
            return Vec::new();
        }
        let host = self.operator.loading.cache().files();
        // Only what is there can be named to the kernel. Whoever copies says what went wrong.
        if fs::create_dir_all(&host).is_err() {
            return Vec::new();
        }
        vec![Directory {
            host,
            guest: "/".to_owned(),
            access: Access::Write,
        }]
    }

    pub(super) fn audience(&self, manifest: &Manifest) -> Audience {
        if self.serves_http(manifest) {
            Audience::Clients
        } else if self.waits_for_events(manifest) {
            Audience::Events
        } else {
            Audience::Nobody
        }
    }

    fn serves_http(&self, manifest: &Manifest) -> bool {
        manifest.http_triggers.iter().any(|trigger| {
            // What nobody starts is no reason to serve where components were picked.
            let picked = |id: &Located<ComponentId>| self.wants(&id.value);
            trigger.component().map_or(self.component.is_empty(), picked)
        })
    }

    pub(super) fn runs_commands(&self, manifest: &Manifest) -> bool {
        let mut triggers = manifest.command_triggers.iter();
        triggers.any(|trigger| self.wants(&trigger.component.value))
    }

    /// Refuses to start where events would never come.
    fn refuse_denied_triggers(
        &self,
        written: &ResolvedApp,
        brokers: &Brokers,
        startup: &Startup<'_>,
    ) -> Result<(), Failure> {
        let of_all = Arc::new(startup.settings.operator.clone());
        let mut denied = denied_triggers(written, &of_all, &brokers::kinds(brokers));
        denied.retain(|finding| {
            let id = finding
                .component
                .as_deref()
                .and_then(|id| ComponentId::parse(id).ok());
            id.is_none_or(|id| self.wants(&id))
        });
        if denied.is_empty() {
            Ok(())
        } else {
            Err(Failure::unusable_in(&startup.files, denied))
        }
    }

    pub(super) fn waits_for_events(&self, manifest: &Manifest) -> bool {
        let mut triggers = manifest.event_triggers.iter();
        triggers.any(|trigger| self.wants(&trigger.component.value))
    }

    /// Fetches what is not beside the manifest.
    pub(super) fn fetch(
        &self,
        manifest: &Manifest,
        app: &AppOptions,
        startup: &mut Startup<'_>,
    ) -> Result<FetchedCode, Failure> {
        let cache = self.operator.loading.cache();
        let wants = |id: &ComponentId| self.wants(id);
        let arguments = &app.fetching;
        let fetched = arguments.fetch(manifest, wants, &cache, &mut startup.files, startup.terminal);
        startup.terminal.show_all(&fetched.remarks, &startup.files);
        if fetched.wrong.is_empty() {
            Ok(fetched.code)
        } else {
            Err(Failure::unusable_in(&startup.files, fetched.wrong))
        }
    }

    /// Makes the app; where a component is to be handed an event of a type by hand, or to be started as a command, for that
    /// alone.
    pub(super) fn build(
        &self,
        written: &ResolvedApp,
        (platform, brokers, fetched): (&Platform, &Brokers, &FetchedCode),
        ready: &Ready<'_>,
        by_hand: Option<(&ComponentId, Option<EventKind>)>,
    ) -> Result<App, Failure> {
        let Startup { settings, files, .. } = &ready.startup;
        let written = &*learner::in_force(written, self.operator.learner.as_deref());
        let allow: HashMap<_, _> = written
            .components()
            .map(|(component, entries)| {
                (
                    component.id.value.clone(),
                    allow_list(component, entries, &written.manifest),
                )
            })
            .collect();
        let of_all = Arc::new(settings.operator.clone());
        let mut shown = policies(written, &of_all);
        shown.retain(|policy| {
            // A part is called `component/part`.
            let id = policy.component().split('/').next().unwrap_or_default();
            self.component.is_empty() || self.component.iter().any(|wanted| wanted.as_str() == id)
        });
        ready.network.show_policy(shown);
        let builder = AppBuilder {
            engine: &ready.engine,
            cache: &self.operator.loading.cache(),
            fetched,
            egress: ready.network.egress(),
            allow,
            allow_parts: part_lists(written),
            client_tls: &|id| settings.client_tls.of(id.as_str()),
            platform,
            brokers,
            variables: &written.variables,
            environment: &environment(&self.env),
            output_lines: if self.no_output_prefix {
                OutputLines::Plain
            } else {
                OutputLines::Named
            },
            files_size: self.operator.loading.files(),
            request_limits: self.limits.of_a_request(&self.service.limits),
            command_limits: self.limits.of_a_command(),
        };
        let wanted = |id: &ComponentId| self.wants(id);
        let built = match by_hand {
            None => builder.build(&written.manifest, wanted),
            Some(by_hand) => builder.build_by_hand(&written.manifest, by_hand),
        };
        built.map_err(|problems| {
            Failure::unusable_in(files, problems.iter().map(app_problem::diagnostic).collect())
        })
    }

    /// Runs the app to its end; its files stay as long.
    async fn run(
        &self,
        app: App,
        (place, upgrade): (Option<Place>, Upgrade),
        (mut signals, network): (StopSignals, &Network),
        terminal: Terminal,
    ) -> Result<i32, Failure> {
        let (_files, telemetry) = (app.files, network.telemetry());
        if place.is_none() {
            telemetry.say_where_the_dashboard_is(terminal);
        }
        if place.is_none() && app.listeners.is_empty() {
            telemetry.ready("Running commands");
            let status = tokio::select! {
                biased;
                status = run_all(app.commands, terminal) => status,
                status = signals.next() => status,
                never = telemetry.manager().keep_watch(async || {}) => match never {},
            };
            signals.end_at_once();
            return Ok(status);
        }
        let handled = app.listeners.iter().map(|listener| listener.component.clone());
        let router = Router::new(app.router, self.service.limits.instances())
            .with_egress(network.egress())
            .with_callees(app.callees)
            .with_event_components(handled);
        let router = Arc::new(telemetry.observe(router));
        router.answer_calls_from(&app.gates);
        let prepared = prepare(upgrade, place.as_ref(), telemetry)?;
        let serving = place.as_ref().map(Place::serving);
        let server = match place {
            Some(place) => self.service.start(router, place, network, terminal)?,
            None => self.service.start_for_events(router)?,
        };
        // The one before asks for no more events from here on.
        let offer = take_over(prepared, telemetry, terminal)?;
        app.listeners
            .into_iter()
            .for_each(|listener| server.listen(listener));
        if serving.is_none() {
            terminal.insist(WAITING);
        }
        telemetry.ready(serving.as_deref().unwrap_or(WAITING));
        let why = tokio::select! {
            biased;
            why = until_stopped(&server, &mut signals, offer, (telemetry, terminal)) => why,
            never = run_beside(app.commands, terminal) => match never {},
        };
        Ok(finish(server, why, signals, terminal).await)
    }
}

/// Said where there are no clients.
const WAITING: &str = "Waiting for events";

/// Runs commands next to a server, which goes on when they have ended.
async fn run_beside(commands: Vec<Command>, terminal: Terminal) -> Infallible {
    run_all(commands, terminal).await;
    std::future::pending().await
}

/// Runs commands until all have ended. Answers the first exit status that is not 0, in the order in which they end.
async fn run_all(commands: Vec<Command>, terminal: Terminal) -> i32 {
    let mut running = JoinSet::new();
    for command in commands {
        running.spawn(async move { status(command.run().await, terminal) });
    }
    let mut first = 0;
    while let Some(ended) = running.join_next().await {
        let status = ended.unwrap_or(TRAPPED);
        if first == 0 {
            first = status;
        }
    }
    first
}

/// The exit status of a command, of which is said what went wrong.
pub(super) fn status(outcome: Result<i32, CommandError>, terminal: Terminal) -> i32 {
    match outcome {
        Ok(status) => status,
        Err(error) => {
            let told = if terminal.is_verbose() {
                format!("{error:#}")
            } else {
                error.to_string()
            };
            terminal.show(&Diagnostic::error(told), &Files::default());
            TRAPPED
        }
    }
}

pub(super) fn component_id(text: &str) -> Result<ComponentId, IdentifierError> {
    ComponentId::parse(text)
}
