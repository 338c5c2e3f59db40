//! `outport serve`: one component that answers HTTP, without a manifest.

use std::path::PathBuf;

use clap::Args;
use outport_check::Diagnostic;
use outport_manifest::PathRoute;
use outport_runtime::component::Export;
use outport_runtime::engine::Allocation;
use outport_runtime::guest_env::GuestEnv;
use outport_runtime::http::{HttpComponent, RouteAnswer, RouteEntry, Router};
use outport_runtime::stdio::WhenFull;

use super::single::{FromOptions, HANDLES_EVENTS, link, load, name, review, state};
use crate::asking::AskOptions;
use crate::author_options::AuthorOptions;
use crate::failure::Failure;
use crate::inherited::Inherited;
use crate::limit_options::LimitOptions;
use crate::operator_options::OperatorOptions;
use crate::service::{Audience, ServiceOptions, finish, prepare, take_over, until_stopped};
use crate::startup::{Needs, Startup};
use crate::terminal::Terminal;

/// Serve one component that answers HTTP, without a manifest.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// The component, a file or a reference such as `ghcr.io/me/site:1.0`, which exports `wasi:http/incoming-handler`, `wasi:http/handler` or `fermyon:spin/inbound-http`
    #[arg(value_name = "COMPONENT.wasm")]
    component: PathBuf,

    #[command(flatten)]
    from: FromOptions,

    #[command(flatten)]
    service: ServiceOptions,

    #[command(flatten)]
    author: AuthorOptions,

    #[command(flatten)]
    ask: AskOptions,

    #[command(flatten)]
    operator: OperatorOptions,

    #[command(flatten)]
    limits: LimitOptions,
}

impl Options {
    /// Those of a component that another command serves.
    pub(super) fn of(
        component: PathBuf,
        (from, service): (FromOptions, ServiceOptions),
        author: AuthorOptions,
        (operator, limits): (OperatorOptions, LimitOptions),
    ) -> Self {
        Self {
            component,
            from,
            service,
            author,
            // Its lists are open: there is nothing to ask about.
            ask: AskOptions::default(),
            operator,
            limits,
        }
    }
}

pub(super) fn serve(options: &Options, terminal: Terminal) -> Result<i32, Failure> {
    // Before anything is opened, whose descriptors could be taken for them.
    let inherited = Inherited::take()?;
    let mut startup = Startup::begin(&options.operator, terminal)?;
    startup.ask(&options.ask, None)?;
    let entries = options.author.entries()?;
    let file = options
        .from
        .file(&options.component, &options.operator.loading, terminal)?;
    let name = name(&file.named);
    review(&name, &entries, &startup)?;
    let state = state(&options.operator.state, &options.author, &startup)?;
    state
        .lines()
        .for_each(|(label, leads_to)| terminal.say(&format!("{label}: {leads_to}")));
    if let Some(proxies) = &startup.settings.egress_proxies {
        terminal.say(&format!("Egress proxy: {proxies}"));
    }

    let directories = options.author.directories()?;
    options.service.keep_from(directories.list())?;
    let telemetry = &options.operator.telemetry;
    let sockets = options.service.open(inherited, Audience::Clients, telemetry)?;
    let place = sockets.place.expect("INVARIANT: there are clients");
    let stores = state.directories()?;
    place.review(directories.list(), &startup.settings, terminal)?;
    let instances = options.service.limits.instances();
    let inside = startup.enter_sandbox(Needs {
        directories: directories.list(),
        stores: &stores,
        serves: true,
        admin: sockets.admin,
        dashboard: sockets.dashboard,
        app: None,
        allocation: Allocation::Pool { instances },
        memory: options.limits.of_all(),
        when_full: WhenFull::Drop,
        tell: Terminal::say,
    })?;
    let component = load(&file.path, &inside.engine)?;
    let ready = inside.open_network()?;
    let platform = state.platform(ready.network.egress())?;
    let mut guest_env = GuestEnv::default();
    guest_env.environment = options.author.environment();
    guest_env.directories = directories.clone();
    guest_env.platform = platform.clone();
    let limits = options.limits.of_a_request(&options.service.limits);
    let guest = link(
        &component,
        (&name, entries, options.author.labels()),
        guest_env,
        limits,
        &ready,
    )?;
    let component = HttpComponent::new(guest).map_err(|error| {
        let told = Diagnostic::error(error.to_string());
        let exports: Vec<_> = error
            .exports
            .iter()
            .filter_map(|export| Export::of(export))
            .collect();
        Failure::unusable(if exports.iter().any(|export| export.runs_as_command()) {
            told.helped_by("a command runs with `outport run`")
        } else if exports.iter().any(|export| export.handles_events()) {
            told.helped_by(HANDLES_EVENTS)
        } else {
            told
        })
    })?;
    ready.run(directories.list(), async |mut signals, network| {
        state.fill(&platform).await?;
        let telemetry = network.telemetry();
        let router = telemetry.observe(router(component, instances));
        let prepared = prepare(sockets.upgrade, Some(&place), telemetry)?;
        let status = place.serving();
        let server = options.service.start(router, place, network, terminal)?;
        let offer = take_over(prepared, telemetry, terminal)?;
        telemetry.ready(&status);
        let why = until_stopped(&server, &mut signals, offer, (telemetry, terminal)).await;
        Ok(finish(server, why, signals, terminal).await)
    })
}

/// The component answers every path.
fn router(component: HttpComponent, instances: u32) -> Router {
    let route = PathRoute::parse("/...").expect("INVARIANT: a route");
    let egress = component.guest().egress().clone();
    let answer = RouteAnswer::Component(component);
    let entry = RouteEntry { route, answer };
    Router::new([entry], instances).with_egress(&egress)
}
