//! `outport inspect`: what a file is, who made it, what it wants, and what would be made of it.
//!
//! Nothing runs, nothing is compiled. Exit status 1 means that a file cannot run, 2 that one cannot be read.

mod human;
mod inspected;
mod json;

use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use outport_check::Diagnostic;
use outport_manifest::{ComponentId, Manifest, Part, SourceFile};
use outport_policy::text;
use outport_runtime::cache::CompiledCode;
use outport_runtime::inspection::Inspection;

use self::human::human;
use self::inspected::{Inspected, NotRead, file_of, of_file, of_part};
use self::json::json;
use crate::app_options::{AppOptions, is_webassembly};
use crate::failure::Failure;
use crate::files::Files;
use crate::kernel_sandbox::SandboxOptions;
use crate::load_options::LoadOptions;
use crate::terminal::{Terminal, print};

/// Say what a file is, who made it, what it imports and exports, and what would be made of it to run it.
///
/// Without a file, each component of the app in this directory, or of the one that `-f` names.
///
/// Exit status 1 says that something of it cannot run, 2 that a file is not there or cannot be read.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// A component or module, or an app: a `spin.toml`, the directory that it is in, or a reference to a registry
    #[arg(value_name = "FILE", conflicts_with_all = ["from", "component"])]
    path: Option<PathBuf>,

    #[command(flatten)]
    app: AppOptions,

    /// Of the app, only this component
    #[arg(long, value_name = "ID")]
    component: Option<String>,

    /// Format of the answer
    #[arg(long, value_enum, default_value_t)]
    format: Format,

    #[command(flatten)]
    loading: LoadOptions,

    #[command(flatten)]
    sandbox: SandboxOptions,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
enum Format {
    /// For people
    #[default]
    Human,
    /// `docs/schema/inspect.json`
    Json,
}

pub(super) fn inspect(options: &Options, terminal: Terminal) -> Result<i32, Failure> {
    let given = options.app.at(options.path.as_deref());
    let artifact = given.artifact_of(&options.loading, terminal)?;
    let code =
        CompiledCode::nowhere().compiled_apart(options.loading.compiling(), options.sandbox.confinement());
    let inspected = match (&artifact, &options.path) {
        (Some(artifact), _) => match artifact.component() {
            Ok(file) => vec![Inspected {
                file: artifact.reference.to_string(),
                ..of_file(file, &code)
            }],
            Err(_) => options.of_app(given.pulled_as(artifact.clone())?, &code, terminal)?,
        },
        (None, Some(path)) if !is_app(path) => vec![of_file(path, &code)],
        (None, _) => options.of_app(given, &code, terminal)?,
    };
    let is_unread = |one: &Inspected| {
        one.inspection
            .as_ref()
            .is_err_and(|not_read| !not_read.is_another)
    };
    let status = if inspected.iter().any(is_unread) {
        2
    } else {
        i32::from(!inspected.iter().all(Inspected::runs))
    };
    let told = match options.format {
        Format::Human => human(&inspected),
        Format::Json => json(&inspected)?,
    };
    print(&told)?;
    Ok(status)
}

/// True if a path is that of an app rather than of a file to look into.
fn is_app(path: &Path) -> bool {
    path.is_dir() || (path.extension().is_some_and(|extension| extension == "toml") && !is_webassembly(path))
}

impl Options {
    fn of_app(
        &self,
        app: AppOptions,
        code: &CompiledCode,
        terminal: Terminal,
    ) -> Result<Vec<Inspected>, Failure> {
        let mut files = Files::default();
        let source: SourceFile = app.read_manifest(&mut files).map_err(Failure::unusable)?;
        let (manifest, _) = Manifest::parse(&source).complete().map_err(|problems| {
            Failure::unusable_in(&files, problems.0.iter().map(Diagnostic::from).collect())
        })?;
        let cache = self.loading.cache();
        let wanted = |id: &str| self.component.as_deref().is_none_or(|wanted| wanted == id);
        let wants = |id: &ComponentId| wanted(id.as_str());
        let arguments = &app.fetching;
        let fetched = arguments.fetch(&manifest, wants, &cache, &mut files, terminal);
        terminal.show_all(&fetched.remarks, &files);
        let of = manifest
            .components
            .iter()
            .filter(|component| wanted(component.id.value.as_str()));
        let parts = manifest.parts();
        let inspected: Vec<_> = of
            .flat_map(|written| {
                let id = &written.id.value;
                let of_it: Vec<&Part<'_>> = parts.iter().filter(|part| part.component == id).collect();
                let why = || {
                    let mut wrong = fetched.wrong.iter();
                    wrong.find(|one| one.component.as_deref() == Some(id.as_str()))
                };
                let inspection = Inspection::of_component(written, &manifest, &fetched.code, code);
                let own = Inspected {
                    component: Some(id.to_string()),
                    file: file_of(&written.source.value),
                    dependencies: of_it.iter().filter_map(|part| part.dependency.cloned()).collect(),
                    composed: false,
                    inspection: inspection.map_err(|problem| NotRead::of_problem(&problem, why())),
                };
                let others: Vec<Inspected> = of_it
                    .into_iter()
                    .map(|part| of_part(part, &manifest, &fetched.code, code))
                    .collect();
                std::iter::once(own).chain(others)
            })
            .collect();
        match &self.component {
            Some(unknown) if inspected.is_empty() => {
                let known: Vec<String> = manifest
                    .components
                    .iter()
                    .map(|component| format!("`{}`", component.id.value))
                    .collect();
                let unknown = text::quote(unknown);
                let error = Diagnostic::error(format!("the app has no component `{unknown}`"));
                Err(Failure::unusable(
                    error.helped_by(format!("its components are {}", known.join(", "))),
                ))
            }
            _ => Ok(inspected),
        }
    }
}
