//! The problems that keep an app from running although its manifest reads well.

use std::fmt;
use std::sync::Arc;

use outport_manifest::{Manifest, Source, Span, TemplateError};
use outport_policy::{Location, text};

use super::{CompositionError, beside};
use crate::command::NotACommand;
use crate::component::ComponentError;
use crate::files::FilesError;
use crate::guest_pre::LinkError;
use crate::http::NotAnHttpComponent;
use crate::triggers::{NoConnector, NotAnEventComponent};

/// Something that keeps an app from running, and the place in the manifest that led to it.
#[derive(Debug)]
#[non_exhaustive]
pub struct AppProblem {
    /// The kind of problem.
    pub kind: AppProblemKind,
    /// The place of the problem.
    pub location: Location,
    /// The command that makes the file that is missing.
    build: Option<String>,
}

/// The kinds of problems of an app.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AppProblemKind {
    /// A component's file is missing, or is not a component.
    #[error("{0}")]
    Component(Arc<ComponentError>),
    /// Code from elsewhere that nobody has fetched.
    #[error("`{}` was not fetched", text::quote(from))]
    NotFetched {
        /// The URL, or the package and its versions.
        from: String,
    },
    /// A variable of a component is made of one that the app does not have.
    #[error(transparent)]
    Variable(#[from] TemplateError),
    /// A component cannot be composed with its dependencies.
    #[error("{0}")]
    Composition(Arc<CompositionError>),
    /// The files that a component asks for cannot be given to it.
    #[error(transparent)]
    Files(#[from] FilesError),
    /// A component of an HTTP trigger has no handler.
    #[error(transparent)]
    NotAnHttpComponent(#[from] NotAnHttpComponent),
    /// A component of a command trigger has no `run`.
    #[error(transparent)]
    NotACommand(#[from] NotACommand),
    /// A component of a trigger that hands events over has no function for them.
    #[error(transparent)]
    NotAnEventComponent(#[from] NotAnEventComponent),
    /// Nothing can listen to what a trigger names.
    #[error(transparent)]
    NoConnector(#[from] NoConnector),
    /// A component cannot be linked.
    #[error(transparent)]
    Link(#[from] LinkError),
}

impl AppProblem {
    pub(crate) fn at(manifest: &Manifest, span: &Span, kind: AppProblemKind) -> Self {
        Self {
            kind,
            location: manifest.source.location(span),
            build: None,
        }
    }

    /// True if the same would be told of both.
    pub(super) fn is_like(&self, other: &Self) -> bool {
        self.location == other.location && self.kind.to_string() == other.kind.to_string()
    }

    /// Looks in the manifest for how the missing file of a component is made.
    pub(super) fn say_how_to_build(&mut self, manifest: &Manifest) {
        let AppProblemKind::Component(error) = &self.kind else {
            return;
        };
        let ComponentError::Missing { path } = &**error else {
            return;
        };
        let is_from = |source: &Source| matches!(source, Source::Path(own) if beside(manifest, own) == *path);
        let mut components = manifest.components.iter();
        let build = components
            .find(|component| is_from(&component.source.value))
            .and_then(|component| component.build.as_ref())
            .filter(|build| !build.commands.is_empty());
        self.build = build.map(|build| {
            let commands: Vec<&str> = build
                .commands
                .iter()
                .map(|command| command.value.as_str())
                .collect();
            match &build.workdir {
                Some(directory) => format!("`{}` in `{}`", commands.join(" && "), directory.value),
                None => format!("`{}`", commands.join(" && ")),
            }
        });
    }

    /// Advice on what to do about it, as a sentence without full stop.
    pub fn advice(&self) -> Option<String> {
        if let Some(build) = &self.build {
            return Some(format!(
                "build it with `outport build`, which runs {build}; or correct the path"
            ));
        }
        match &self.kind {
            AppProblemKind::Component(error) => error.advice().map(str::to_owned),
            AppProblemKind::Files(error) => error.advice().map(str::to_owned),
            AppProblemKind::Composition(error) => error.advice().map(str::to_owned),
            AppProblemKind::NotAnHttpComponent(error) => error.advice().map(str::to_owned),
            AppProblemKind::NoConnector(none) => none.advice().map(str::to_owned),
            _ => None,
        }
    }
}

impl From<ComponentError> for AppProblemKind {
    fn from(error: ComponentError) -> Self {
        Self::Component(Arc::new(error))
    }
}

impl From<CompositionError> for AppProblemKind {
    fn from(error: CompositionError) -> Self {
        Self::Composition(Arc::new(error))
    }
}

impl std::error::Error for AppProblem {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.kind)
    }
}

/// `spin.toml:12:10: there is no file …`
impl fmt::Display for AppProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.location, self.kind)
    }
}
