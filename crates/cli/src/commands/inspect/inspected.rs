//! A file that was looked at, and which part of an app it is; or why nothing is known of it.

use std::path::Path;

use outport_check::Diagnostic;
use outport_manifest::{DependencyName, Manifest, Part, Source};
use outport_policy::text;
use outport_runtime::app::{AppProblem, AppProblemKind, FetchedCode};
use outport_runtime::cache::CompiledCode;
use outport_runtime::component::{ComponentError, Export};
use outport_runtime::inspection::{Description, Inspection, Interface, is_satisfied, is_served};

/// A file that was looked at.
pub(super) struct Inspected {
    /// The id of the component, if an app has it, or `ID/PART`.
    pub(super) component: Option<String>,
    pub(super) file: String,
    /// Imports that another part of the component satisfies: those that dependencies are called by.
    pub(super) dependencies: Vec<DependencyName>,
    /// It is composed into a component: it stands before a handler, or satisfies imports.
    pub(super) composed: bool,
    pub(super) inspection: Result<Inspection, NotRead>,
}

/// The reason why nothing is known of a file.
pub(super) struct NotRead {
    pub(super) error: String,
    pub(super) advice: Option<String>,
    /// It is there, and can be read, and is no WebAssembly.
    pub(super) is_another: bool,
}

impl NotRead {
    fn of(error: &ComponentError) -> Self {
        Self {
            error: error.to_string(),
            advice: error.advice().map(str::to_owned),
            is_another: !matches!(
                error,
                ComponentError::Missing { .. }
                    | ComponentError::Unreadable { .. }
                    | ComponentError::NotAFile { .. }
            ),
        }
    }

    /// `not_fetched` is why code of the component was not fetched, if it was not.
    pub(super) fn of_problem(problem: &AppProblem, not_fetched: Option<&Diagnostic>) -> Self {
        match (&problem.kind, not_fetched) {
            (AppProblemKind::NotFetched { .. }, Some(why)) => Self {
                error: why.message.clone(),
                advice: why.help.clone(),
                is_another: false,
            },
            (AppProblemKind::Component(error), _) => Self {
                advice: problem.advice(),
                ..Self::of(error)
            },
            (kind, _) => Self {
                error: kind.to_string(),
                advice: problem.advice(),
                is_another: false,
            },
        }
    }
}

pub(super) fn of_file(path: &Path, code: &CompiledCode) -> Inspected {
    let inspection = Inspection::of_file(path, code);
    Inspected {
        component: None,
        file: text::path(path).to_string(),
        dependencies: Vec::new(),
        composed: false,
        inspection: inspection.map_err(|error| NotRead::of(&error)),
    }
}

pub(super) fn of_part(
    part: &Part<'_>,
    manifest: &Manifest,
    fetched: &FetchedCode,
    code: &CompiledCode,
) -> Inspected {
    let (file, inspection) = match Inspection::of_part(part.implementation, manifest, fetched, code) {
        Ok((path, inspection)) => (text::path(&path).to_string(), Ok(inspection)),
        Err(problem) => {
            let written = manifest.source.slice(&part.implementation.span);
            let written = written.trim_matches(['"', '\'']);
            (
                text::message(written).to_string(),
                Err(NotRead::of_problem(&problem, None)),
            )
        }
    };
    Inspected {
        component: Some(format!("{}/{}", part.component, part.name)),
        file,
        dependencies: Vec::new(),
        composed: true,
        inspection,
    }
}

/// The path or URL, as messages show it.
pub(super) fn file_of(source: &Source) -> String {
    match source {
        Source::Path(path) => text::path(Path::new(path)).to_string(),
        Source::Component(id) => format!("the code of {id}"),
        Source::Remote(remote) => text::message(&remote.to_string()).to_string(),
    }
}

impl Inspected {
    /// What else of the component answers calls of an import.
    pub(super) fn satisfied_by(&self, import: &Interface) -> Option<String> {
        let name = import.mapped.as_ref().unwrap_or(&import.name);
        let satisfies = |dependency: &&DependencyName| is_satisfied(name, dependency);
        match self.dependencies.iter().find(satisfies) {
            Some(dependency) => Some(format!("the dependency `{dependency}`")),
            None if self.composed && name.starts_with("wasi:http/handler@") => {
                Some("what it stands before".to_owned())
            }
            None => None,
        }
    }

    pub(super) fn runs(&self) -> bool {
        self.inspection
            .as_ref()
            .is_ok_and(|inspection| inspection.description.is_ok())
    }
}

/// True if the import is provided. One that is no interface never is.
pub(super) fn is_there(import: &Interface) -> bool {
    is_served(import.mapped.as_ref().unwrap_or(&import.name))
}

/// What it can be started for.
pub(super) fn uses(description: &Description) -> Vec<&'static str> {
    let names = description.exports.iter();
    let exports = names.filter_map(|export| Export::of(export.mapped.as_ref().unwrap_or(&export.name)));
    let mut uses: Vec<_> = exports.map(Export::purpose).collect();
    uses.dedup();
    uses
}
