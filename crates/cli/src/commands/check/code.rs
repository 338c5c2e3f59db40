//! The code of an app as `up` would use it: what it imports and exports, and what would keep it from running.
//!
//! The same function that makes an app ready to run is asked ([`AppBuilder::check`]), so that `check` cannot find less
//! than `up` refuses. Code from elsewhere is fetched as `up` does; nothing is run, and nothing that a
//! component would reach is resolved.

use std::collections::{BTreeSet, HashMap};

use outport_check::{Diagnostic, Interfaces};
use outport_egress::Egress;
use outport_manifest::{Component, ComponentId, Manifest, ResolvedApp, Source};
use outport_platform::Platform;
use outport_policy::Location;
use outport_runtime::app::{AppBuilder, AppProblem, AppProblemKind, OutputLines};
use outport_runtime::engine::{Allocation, Engine};
use outport_runtime::limits::GuestLimits;
use outport_runtime::triggers::Brokers;

use crate::app_problem;
use crate::failure::Failure;
use crate::fetching::FetchArguments;
use crate::files::Files;
use crate::interfaces;
use crate::operator_options::OperatorOptions;
use crate::terminal::Terminal;
use crate::unmatched;

/// The facts that are known of the code of an app.
#[derive(Default)]
pub(super) struct ExaminedCode {
    /// Imports and exports of the components whose code could be read.
    pub(super) interfaces: HashMap<ComponentId, Interfaces>,
    /// The findings that would keep the app from running.
    pub(super) findings: Vec<Diagnostic>,
}

impl ExaminedCode {
    /// Examines the code of every component that has a source.
    pub(super) fn of(
        ResolvedApp {
            manifest, variables, ..
        }: &ResolvedApp,
        (operator, brokers): (&OperatorOptions, &Brokers),
        fetching: &FetchArguments,
        files: &mut Files,
        terminal: Terminal,
    ) -> Result<Self, Failure> {
        let with_source: BTreeSet<&ComponentId> = manifest
            .components
            .iter()
            .filter(|component| has_source(component))
            .map(|component| &component.id.value)
            .collect();
        if with_source.is_empty() {
            return Ok(Self::default());
        }
        let cache = operator.loading.cache();
        let wants = |id: &ComponentId| with_source.contains(id);
        let fetched = fetching.fetch(manifest, wants, &cache, files, terminal);
        let code = operator.compiled_code(&[], terminal);
        // As for an app that is served, since a pool of instances has limits of its own.
        let engine = Engine::new(Allocation::Pool { instances: 1 })?.with_code(code);
        let egress = Egress::builder().build()?;
        let builder = AppBuilder {
            platform: &Platform::default(),
            brokers,
            engine: &engine,
            cache: &cache,
            fetched: &fetched.code,
            egress: &egress,
            allow: HashMap::new(),
            allow_parts: HashMap::new(),
            client_tls: &|_| Vec::new(),
            variables,
            environment: &[],
            output_lines: OutputLines::Plain,
            files_size: operator.loading.files(),
            request_limits: GuestLimits::of_a_request(),
            command_limits: GuestLimits::of_a_command(),
        };
        let components = components_by_place(manifest);
        let examined = builder.check(manifest, |id| with_source.contains(id));
        let problems = examined.problems.iter();
        let problems = problems.filter_map(|problem| finding(problem, &components));
        let unmatched = unmatched::findings(&examined.files, &manifest.source);
        Ok(Self {
            interfaces: examined
                .components
                .iter()
                .map(|(id, component)| (id.clone(), interfaces::of(component)))
                .collect(),
            findings: fetched
                .wrong
                .into_iter()
                .chain(fetched.remarks)
                .chain(problems)
                .chain(unmatched)
                .collect(),
        })
    }
}

/// True if the component has a source. Where the source has a mistake the manifest has an empty one.
fn has_source(component: &Component) -> bool {
    !matches!(&component.source.value, Source::Path(path) if path.is_empty())
}

/// A problem, unless it comes of another that is told anyway: a variable without a value, or one that does not exist; code
/// that was not fetched.
fn finding(problem: &AppProblem, components: &HashMap<Location, &ComponentId>) -> Option<Diagnostic> {
    let component = components.get(&problem.location).map(|id| id.to_string());
    match &problem.kind {
        AppProblemKind::Variable(_) | AppProblemKind::NotFetched { .. } => None,
        _ => Some(Diagnostic {
            component,
            ..app_problem::diagnostic(problem)
        }),
    }
}

/// The components by the places of their sources and triggers, where problems are.
fn components_by_place(manifest: &Manifest) -> HashMap<Location, &ComponentId> {
    let sources = manifest
        .components
        .iter()
        .map(|component| (&component.source.span, &component.id.value));
    let http = manifest.http_triggers.iter().filter_map(|trigger| {
        let id = trigger.component()?;
        let spans = [&id.span, &trigger.route.span];
        Some(spans.map(|span| (span, &id.value)))
    });
    let commands = manifest
        .command_triggers
        .iter()
        .map(|trigger| (&trigger.component.span, &trigger.component.value));
    let events = manifest.event_triggers.iter().flat_map(|trigger| {
        let spans = [&trigger.component.span, &trigger.span];
        spans.map(|span| (span, &trigger.component.value))
    });
    sources
        .chain(http.flatten())
        .chain(commands)
        .chain(events)
        .map(|(span, id)| (manifest.source.location(span), id))
        .collect()
}
