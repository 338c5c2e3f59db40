//! `outport serve`: one component that answers HTTP, without a manifest.

use std::path::PathBuf;

use clap::Args;
use outport_check::Diagnostic;
use outport_manifest::PathRoute;
use outport_policy::AllowList;
use outport_runtime::GuestLinker;
use outport_runtime::component::Component;
use outport_runtime::engine::{Allocation, Engine};
use outport_runtime::guest_env::GuestEnv;
use outport_runtime::guest_pre::GuestPre;
use outport_runtime::http::{HttpComponent, RouteEntry, Router};
use outport_runtime::stdio::{self, WhenFull};

use super::single::{name, refused, review, unusable};
use crate::author_options::AuthorOptions;
use crate::failure::Failure;
use crate::files::Files;
use crate::limit_options::LimitOptions;
use crate::network::Network;
use crate::operator_options::OperatorOptions;
use crate::service::{ServiceOptions, finish};
use crate::signals::{HangUps, StopSignals};
use crate::terminal::Terminal;

/// Serve one component that answers HTTP, without a manifest.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// The component, which exports `wasi:http/incoming-handler` or `wasi:http/handler`
    #[arg(value_name = "COMPONENT.wasm")]
    component: PathBuf,

    #[command(flatten)]
    service: ServiceOptions,

    #[command(flatten)]
    author: AuthorOptions,

    #[command(flatten)]
    operator: OperatorOptions,

    #[command(flatten)]
    limits: LimitOptions,
}

pub(super) fn serve(options: &Options, terminal: Terminal) -> Result<i32, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let hang_ups = HangUps::note(&runtime)?;
    let mut files = Files::default();
    let settings = options.operator.read(&mut files)?;
    let entries = options.author.entries()?;
    let name = name(&options.component);
    review(&name, &entries, &settings, &files, terminal)?;

    let listeners = options.service.bind()?;
    let directories = options.author.directories()?;
    let inside = options
        .operator
        .enter_sandbox(directories.list(), terminal, Terminal::say)?;
    stdio::open(WhenFull::Drop)?;
    let instances = options.service.limits.instances();
    let engine = Engine::new(Allocation::Pool { instances })?
        .under(options.limits.of_all())
        .with_code(inside.code);
    let component =
        Component::load(&options.component, &engine).map_err(|error| unusable(&options.component, error))?;
    engine.stop_compiling();
    let network = Network::open(&options.operator, &settings, &files, inside.audit, terminal)?;
    let gate = network.gate(&name, AllowList::compile(entries).into(), &settings);
    let mut guest_env = GuestEnv::default();
    guest_env.environment = options.author.environment();
    guest_env.directories = directories.clone();
    let limits = options.limits.of_a_request(&options.service.limits)?;
    let guest =
        GuestPre::link(&GuestLinker::new(&engine), &component, gate, guest_env, limits).map_err(refused)?;
    let component = HttpComponent::new(guest).map_err(|error| {
        Failure::unusable(Diagnostic::error(error.to_string()).helped_by("a command runs with `outport run`"))
    })?;
    engine.end_compiling();

    inside.held.seal(directories.list())?;
    runtime.block_on(async {
        let mut signals = StopSignals::listen(hang_ups, network.reload())?;
        let server = options
            .service
            .start(router(component, instances), listeners, terminal)?;
        signals.next().await;
        Ok(finish(server, signals, terminal).await)
    })
}

/// The component answers every path.
fn router(component: HttpComponent, instances: u32) -> Router {
    let route = PathRoute::parse("/...").expect("INVARIANT: a route");
    let entry = RouteEntry { route, component };
    Router::new([entry], instances)
}
