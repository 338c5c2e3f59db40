//! The shared part of `run` and `serve`: a component that no manifest names.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::Args;
use outport_check::{Diagnostic, Severity, Subject, warnings_at_start};
use outport_manifest::StateDir;
use outport_policy::{AllowList, Entry, Label, Policy, text};
use outport_runtime::GuestLinker;
use outport_runtime::component::{Component, ComponentError};
use outport_runtime::engine::Engine;
use outport_runtime::guest_env::GuestEnv;
use outport_runtime::guest_pre::GuestPre;
use outport_runtime::limits::GuestLimits;

use crate::app_options::AppOptions;
use crate::author_options::{AuthorOptions, ENTRIES_OPTION};
use crate::failure::Failure;
use crate::fetching::ClientArguments;
use crate::load_options::LoadOptions;
use crate::reference_options::ReferenceOptions;
use crate::startup::{Ready, Startup};
use crate::state_options::{InitialState, StateOptions};
use crate::terminal::Terminal;

/// Tells what is odd about the entries and about the operator's settings (VAL-1). What the component
/// imports plays no part: nobody wrote down that it needs what it imports.
///
/// # Errors
///
/// There are warnings, and the operator wants none.
pub(super) fn review(component: &str, entries: &[Entry], startup: &Startup<'_>) -> Result<(), Failure> {
    let Startup {
        settings,
        files,
        terminal,
        ..
    } = startup;
    let for_others = settings.client_tls.none_for(component);
    let component = text::message(component).to_string();
    let subject = Subject {
        id: &component,
        location: ENTRIES_OPTION.clone(),
        entries,
        converted: HashSet::new(),
        unread: 0,
        interfaces: None,
        triggers_unread: false,
        dependencies_unread: false,
        triggers: Vec::new(),
        granted: Vec::new(),
    };
    let found = warnings_at_start(&[subject], &settings.operator, settings.config.as_ref());
    let warnings: Vec<Diagnostic> = for_others.into_iter().chain(found).collect();
    terminal.show_all(&settings.remarks, files);
    terminal.show_first(&warnings, files, "");
    let all = settings.remarks.iter().chain(&warnings);
    settings.refuse_warnings(all.filter(|remark| remark.severity == Severity::Warning).count())
}

/// Finds what the labels lead to that the component is given.
///
/// # Errors
///
/// Nothing defines one, or something that is to be put there cannot be read.
pub(super) fn state(
    options: &StateOptions,
    author: &AuthorOptions,
    startup: &Startup<'_>,
) -> Result<InitialState, Failure> {
    let mut wrong = Vec::new();
    let config = startup.settings.config.as_ref();
    let state = options.resolve(author.labels(), config, StateDir::None, &mut wrong);
    if wrong.is_empty() {
        Ok(state)
    } else {
        Err(Failure::unusable_in(&startup.files, wrong))
    }
}

/// Where the component is from that `run` and `serve` are given.
#[derive(Debug, Clone, Args)]
pub(super) struct FromOptions {
    #[command(flatten)]
    references: ReferenceOptions,

    #[command(flatten)]
    client: ClientArguments,
}

/// The file of a component.
pub(super) struct ComponentFile {
    pub(super) path: PathBuf,
    /// The path that it is named by: of an artifact the last part of its repository, as if it were a file.
    pub(super) named: PathBuf,
}

impl FromOptions {
    /// As an app is from elsewhere, which is named in the same way.
    pub(super) fn like(app: &AppOptions) -> Self {
        Self {
            references: app.references().clone(),
            client: app.fetching.client.clone(),
        }
    }

    /// The file, which is pulled where a reference is given.
    pub(super) fn file(
        &self,
        given: &Path,
        loading: &LoadOptions,
        terminal: Terminal,
    ) -> Result<ComponentFile, Failure> {
        let artifact = self.references.pulled(given, &self.client, loading, terminal)?;
        Ok(match artifact {
            Some(artifact) => ComponentFile {
                path: artifact.component()?.to_owned(),
                named: artifact.file_name().into(),
            },
            None => ComponentFile {
                path: given.to_owned(),
                named: given.to_owned(),
            },
        })
    }
}

/// Loads the only component that there is.
///
/// # Errors
///
/// The file cannot be run.
pub(super) fn load(path: &Path, engine: &Engine) -> Result<Component, Failure> {
    let component = Component::load(path, engine).map_err(|error| unusable(path, error))?;
    engine.stop_compiling();
    Ok(component)
}

/// Links the component to what it finds around it, and to a network in which it reaches `entries`.
///
/// # Errors
///
/// It imports what cannot be given to it.
pub(super) fn link(
    component: &Component,
    (name, entries, labels): (&str, Vec<Entry>, Vec<Label>),
    guest_env: GuestEnv,
    limits: GuestLimits,
    ready: &Ready<'_>,
) -> Result<GuestPre, Failure> {
    let entries = ready.startup.in_force(entries);
    let allow = Arc::new(AllowList::compile(entries).with_labels(labels));
    let operator = Arc::new(ready.startup.settings.operator.clone());
    let policy = Policy::new(name, allow.clone(), operator);
    ready.network.show_policy(vec![policy]);
    let gate = ready.network.gate(name, allow, &ready.startup.settings);
    let linker = GuestLinker::new(&ready.engine);
    GuestPre::link(&linker, component, gate, guest_env, limits).map_err(refused)
}

/// A file that cannot be run, with what to do about it.
fn unusable(path: &Path, error: ComponentError) -> Failure {
    let shown = text::path(path);
    if path.is_dir() || path.extension().is_some_and(|extension| extension == "toml") {
        let error = Diagnostic::error(format!("`{shown}` is not a component"));
        return Failure::unusable(error.helped_by(format!("an app runs with `outport up -f {shown}`")));
    }
    let diagnostic = Diagnostic::error(error.to_string());
    Failure::unusable(match error.advice() {
        Some(advice) => diagnostic.helped_by(advice),
        None => diagnostic,
    })
}

/// Anything else that keeps the component from running.
pub(super) fn refused(error: impl std::error::Error) -> Failure {
    Failure::unusable(Diagnostic::error(error.to_string()))
}

/// The name of a component that has no manifest to name it: that of its file, whatever somebody put into it. Messages
/// show it as [`text::message`] does.
pub(super) fn name(path: &Path) -> String {
    path.file_stem()
        .unwrap_or(path.as_os_str())
        .to_string_lossy()
        .into_owned()
}

/// Advice for a component that handles events.
pub(super) const HANDLES_EVENTS: &str = "what handles events is started by an app's triggers, with `outport up`, or once by \
                                         hand, with `outport trigger`";
