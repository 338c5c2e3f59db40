//! An app: from what the manifest says to components that are ready to run.
//!
//! Each file is read and compiled once, however many components use it, and all of them at the same time. What is
//! wrong is collected, each with its place in the manifest, so that one start shows all of it.

mod composition;
mod part;
mod problem;
mod sources;
mod triggers;

use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;
use std::sync::Arc;

use outport_egress::{Egress, Gate, TlsProfile};
use outport_manifest::{ComponentId, EventKind, Manifest, Variables};
use outport_platform::Platform;
use outport_policy::AllowList;

pub use self::composition::CompositionError;
pub(crate) use self::composition::{Isolated, Right, file_of, stands_for};
#[cfg(test)]
pub(crate) use self::composition::{leads_to_hosts, right_of};
use self::part::{Part, codes_of, compiled_of};
pub use self::problem::{AppProblem, AppProblemKind};
pub(crate) use self::sources::CodeFile;
use self::sources::Compiled;
pub use self::sources::FetchedCode;
use self::triggers::Events;
use crate::cache::CacheDirectory;
use crate::command::Command;
use crate::component::Component;
use crate::engine::Engine;
use crate::files::{FileTree, FilesProblem};
use crate::http::{HttpComponent, RouteEntry};
use crate::limits::GuestLimits;
use crate::triggers::{Brokers, EventComponent, Listener};

/// An app that is ready to run.
pub struct App {
    /// The routes, and who answers at them.
    pub router: Vec<RouteEntry>,
    /// The components that answer HTTP for other components, by name; routes do not matter. One that has several triggers
    /// answers as the first that has middleware says, and where none has as the first.
    pub callees: Vec<(String, HttpComponent)>,
    /// The gates of all components.
    pub gates: Vec<Gate>,
    /// The components that run once.
    pub commands: Vec<Command>,
    /// What hands events to components, in the order of the manifest.
    pub listeners: Vec<Listener>,
    /// The component that was [built](AppBuilder::build_by_hand) for an event by hand.
    pub by_hand: Option<EventComponent>,
    /// The code of each component.
    pub components: BTreeMap<ComponentId, Component>,
    /// The copies of the app's files, to be kept as long as it runs.
    pub files: Vec<FileTree>,
}

/// The result of building an app, for those who do not want to run it.
pub struct AppCheck {
    /// The code of the components that have any.
    pub components: BTreeMap<ComponentId, Component>,
    /// The files of the components that have any.
    pub files: Vec<FileTree>,
    /// Everything that keeps the app from running.
    pub problems: Vec<AppProblem>,
}

/// Everything that an app is made with, besides its manifest.
pub struct AppBuilder<'a> {
    /// The engine that compiles and runs it.
    pub engine: &'a Engine,
    /// The directory where files are copied to.
    pub cache: &'a CacheDirectory,
    /// The files of code that is from elsewhere.
    pub fetched: &'a FetchedCode,
    /// The operator's side of the network.
    pub egress: &'a Egress,
    /// The allow list of each component by its author's word; one that is not here reaches nothing.
    pub allow: HashMap<ComponentId, AllowList>,
    /// The hosts that parts of components reach of those that they inherit, where the author says which, by the component
    /// and the name of the part. One that should be here and is not reaches nothing.
    pub allow_parts: HashMap<(ComponentId, String), Arc<AllowList>>,
    /// The TLS profiles of each component, by the operator's word.
    pub client_tls: &'a dyn Fn(&ComponentId) -> Vec<Arc<TlsProfile>>,
    /// The app's variables, from which those of each component are filled in.
    pub variables: &'a Variables,
    /// What the labels of stores stand for.
    pub platform: &'a Platform,
    /// The operator's brokers and queues.
    pub brokers: &'a Brokers,
    /// Environment variables of every component, over its own.
    pub environment: &'a [(String, String)],
    /// The text that lines of output begin with.
    pub output_lines: OutputLines,
    /// Bytes that the files of one component may have together.
    pub files_size: u64,
    /// Limits of an instance that answers a request.
    pub request_limits: GuestLimits,
    /// Limits of a command.
    pub command_limits: GuestLimits,
}

/// The text that the lines begin with that components print.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OutputLines {
    /// `[COMPONENT] `.
    Named,
    /// Nothing: they are as they were written.
    Plain,
}

impl AppBuilder<'_> {
    /// Makes the app of `manifest`: the triggers whose component `wanted` picks.
    ///
    /// # Errors
    ///
    /// Everything that keeps the app from running.
    pub fn build(
        self,
        manifest: &Manifest,
        wanted: impl Fn(&ComponentId) -> bool,
    ) -> Result<App, Vec<AppProblem>> {
        match self.draft(manifest, wanted, Events::OfTriggers) {
            (app, problems) if problems.is_empty() => Ok(app),
            (_, problems) => Err(problems),
        }
    }

    /// Makes the app of `manifest` so that a component can be started by hand, whether or not a trigger does that: for
    /// an event of a type, or without one as a command, which is among the app's [`commands`](App::commands) then.
    /// Nothing listens.
    ///
    /// # Errors
    ///
    /// Everything that keeps the app from running.
    pub fn build_by_hand(
        self,
        manifest: &Manifest,
        (id, kind): (&ComponentId, Option<EventKind>),
    ) -> Result<App, Vec<AppProblem>> {
        match self.draft(manifest, |_| true, Events::ByHand(id, kind)) {
            (app, problems) if problems.is_empty() => Ok(app),
            (_, problems) => Err(problems),
        }
    }

    /// Does all that [`build`](AppBuilder::build) does, and answers what it found instead of an app. `manifest`
    /// may have gaps.
    pub fn check(self, manifest: &Manifest, wanted: impl Fn(&ComponentId) -> bool) -> AppCheck {
        let (app, problems) = self.draft(manifest, wanted, Events::OfTriggers);
        AppCheck {
            components: app.components,
            files: app.files,
            problems,
        }
    }

    /// As much of the app as could be made, and what is missing.
    fn draft(
        mut self,
        manifest: &Manifest,
        wanted: impl Fn(&ComponentId) -> bool,
        events: Events<'_>,
    ) -> (App, Vec<AppProblem>) {
        let components = manifest
            .components
            .iter()
            .filter(|component| wanted(&component.id.value));
        let mut problems = Vec::new();
        let mut codes = Vec::new();
        for component in components {
            match codes_of(component, manifest, self.fetched) {
                Ok(of_it) => codes.push((component, of_it)),
                Err(found) => {
                    problems.extend(found);
                    problems.extend(self.problems_of_files(component, manifest));
                }
            }
        }
        let all = codes.iter().flat_map(|(_, of_it)| of_it);
        let compiled = Compiled::from(all.map(|(_, code)| code), self.engine);
        let mut parts = BTreeMap::new();
        for (written, of_it) in &codes {
            let part = match compiled_of(written, of_it, &compiled, manifest) {
                Ok(compiled) => self.part(written, compiled, manifest),
                Err(mut found) => {
                    found.extend(self.problems_of_files(written, manifest));
                    Err(found)
                }
            };
            match part {
                Ok(part) => drop(parts.insert(&written.id.value, part)),
                Err(found) => problems.extend(found),
            }
        }
        let app = self.triggers(manifest, &parts, events, &mut problems);
        problems
            .iter_mut()
            .for_each(|problem| problem.say_how_to_build(manifest));
        (app, problems)
    }

    fn part<'m>(
        &mut self,
        written: &'m outport_manifest::Component,
        compiled: Vec<(Option<&'m str>, Component)>,
        manifest: &Manifest,
    ) -> Result<Part<'m>, Vec<AppProblem>> {
        let id = &written.id.value;
        let allow = self
            .allow
            .remove(id)
            .unwrap_or_else(|| AllowList::compile(Vec::new()));
        let gate = self.egress.gate(id.as_str(), allow.into());
        let files = FileTree::copy(written, &directory_of(manifest), self.cache, self.files_size)
            .map_err(|problems| of_files(problems, manifest))?;
        Ok(Part {
            written,
            compiled,
            gate: gate.with_tls((self.client_tls)(id)),
            files,
        })
    }

    /// The problems of the files of a component that has no code, told beside that.
    fn problems_of_files(
        &self,
        written: &outport_manifest::Component,
        manifest: &Manifest,
    ) -> Vec<AppProblem> {
        let problems = FileTree::look(written, &directory_of(manifest), self.files_size);
        of_files(problems, manifest)
    }
}

fn of_files(problems: Vec<FilesProblem>, manifest: &Manifest) -> Vec<AppProblem> {
    let as_problem = |FilesProblem { error, span }| AppProblem::at(manifest, &span, error.into());
    problems.into_iter().map(as_problem).collect()
}

/// The directory that the manifest is in.
fn directory_of(manifest: &Manifest) -> PathBuf {
    manifest
        .source
        .path()
        .parent()
        .map_or_else(PathBuf::new, PathBuf::from)
}

/// The path that a path of the manifest leads to.
fn beside(manifest: &Manifest, path: &str) -> PathBuf {
    manifest.source.path().with_file_name(path)
}
