//! The files that an app's components are in.
//!
//! Nothing is fetched here: of code from elsewhere somebody says in which file it is, and what that must hash to
//! ([`FetchedCode`]). What is compiled is what was compared with the digest.
//!
//! A component with dependencies or middleware is [put together](super::composition) from several files first; what comes of it is
//! compiled like a file.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

use outport_manifest::{Component as Written, Digest, Manifest, Middleware, Remote, Source, Span};

use super::composition::{Composition, CompositionError, Failed};
use super::{AppProblem, AppProblemKind, beside};
use crate::component::{self, Component, ComponentError};
use crate::engine::Engine;

/// A file, and what it must hash to where the manifest says so.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct CodeFile {
    path: PathBuf,
    digest: Option<String>,
}

/// The files that code from elsewhere is in, on this machine.
#[derive(Debug, Clone, Default)]
pub struct FetchedCode(HashMap<Remote, CodeFile>);

/// The source of a component's code.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Code {
    /// From a file as it is.
    File(CodeFile),
    /// From several files, put together.
    Composed(Composition),
}

/// The result of compiling each code.
pub(super) struct Compiled(Vec<(Code, Result<Component, Arc<Uncompiled>>)>);

/// The reason why there is no component.
enum Uncompiled {
    File(Arc<ComponentError>),
    Composed(Vec<Failed>),
}

impl FetchedCode {
    /// Says that the code of a source is in a file with this digest, which is compared when the code is read.
    pub fn insert(&mut self, source: Remote, path: PathBuf, digest: &Digest) {
        let digest = Some(digest.hex().to_owned());
        self.0.insert(source, CodeFile { path, digest });
    }

    /// The file with the code of a source, if it was fetched.
    pub fn path(&self, source: &Remote) -> Option<&Path> {
        self.0.get(source).map(CodeFile::path)
    }

    pub(super) fn file(&self, source: &Remote) -> Result<CodeFile, AppProblemKind> {
        let file = self.0.get(source).cloned();
        file.ok_or_else(|| AppProblemKind::NotFetched {
            from: source.to_string(),
        })
    }
}

impl CodeFile {
    /// The file that a component's own code is in.
    pub(crate) fn of(
        written: &Written,
        manifest: &Manifest,
        fetched: &FetchedCode,
    ) -> Result<Self, AppProblemKind> {
        match manifest.code_of(written).map(|component| &component.source.value) {
            Some(Source::Path(path)) => Ok(Self::at(manifest, path)),
            Some(Source::Remote(remote)) => fetched.file(remote),
            Some(Source::Component(_)) | None => Err(CompositionError::NoCode {
                id: written.id.value.to_string(),
            }
            .into()),
        }
    }

    /// The file at a path of the manifest.
    pub(super) fn at(manifest: &Manifest, path: &str) -> Self {
        Self {
            path: beside(manifest, path),
            digest: None,
        }
    }

    /// The path of the code.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// The digest that it must have, if one is given.
    pub(crate) fn digest(&self) -> Option<&str> {
        self.digest.as_deref()
    }

    /// The component in it, or that is made of what is in it.
    pub(super) fn component(&self, engine: &Engine) -> Result<Vec<u8>, ComponentError> {
        component::read_as_component(&self.path, self.digest.as_deref(), engine)
    }

    fn compile(&self, engine: &Engine) -> Result<Component, ComponentError> {
        Component::load_file(&self.path, self.digest.as_deref(), engine)
    }
}

impl Code {
    /// The code of a component behind `middleware`.
    pub(super) fn of(
        (written, middleware): (&Written, &[Middleware]),
        manifest: &Manifest,
        fetched: &FetchedCode,
    ) -> Result<Self, Vec<AppProblem>> {
        let file = CodeFile::of(written, manifest, fetched)
            .map_err(|kind| AppProblem::at(manifest, &written.source.span, kind));
        if written.dependencies.list.is_empty() && middleware.is_empty() {
            return file.map(Code::File).map_err(|problem| vec![problem]);
        }
        let (file, problem) = match file {
            Ok(file) => (Some(file), None),
            Err(problem) => (None, Some(problem)),
        };
        match (
            Composition::of((written, middleware), file, manifest, fetched),
            problem,
        ) {
            (Ok(Some(composition)), None) => Ok(Self::Composed(composition)),
            (Ok(_), problem) => Err(problem.into_iter().collect()),
            (Err(problems), problem) => Err(problem.into_iter().chain(problems).collect()),
        }
    }

    fn compile(&self, engine: &Engine) -> Result<Component, Uncompiled> {
        match self {
            Self::File(file) => file
                .compile(engine)
                .map_err(|error| Uncompiled::File(Arc::new(error))),
            Self::Composed(composition) => {
                compile_composed(composition, engine).map_err(Uncompiled::Composed)
            }
        }
    }
}

/// INVARIANT: a component whose dependencies are not isolated as they should be is never answered.
fn compile_composed(composition: &Composition, engine: &Engine) -> Result<Component, Vec<Failed>> {
    let composed = composition.compose(engine)?;
    let component = Component::from_bytes(composition.main().path(), &composed.bytes, engine)
        .map_err(|error| vec![Failed::whole(error)])?
        .composed_of(composition.names(), composed.isolated.clone());
    // Looked at in what was compiled, not in what should have been: an import that went missing is a right that was
    // not taken away.
    let imports: Vec<String> = component.imports().collect();
    match composed.isolated.into_iter().find(|name| !imports.contains(name)) {
        None => Ok(component),
        Some(import) => Err(vec![Failed::whole(CompositionError::NotIsolated { import })]),
    }
}

impl Compiled {
    /// Compiles every code once, several at a time.
    pub(super) fn from<'c>(codes: impl IntoIterator<Item = &'c Code>, engine: &Engine) -> Self {
        let mut wanted: Vec<Code> = Vec::new();
        for code in codes {
            // A walk, since an app has a few components.
            if !wanted.contains(code) {
                wanted.push(code.clone());
            }
        }
        let compiled = Mutex::new(Vec::new());
        let next = AtomicUsize::new(0);
        let compile_some = || {
            while let Some(code) = wanted.get(next.fetch_add(1, Ordering::Relaxed)) {
                let component = code.compile(engine).map_err(Arc::new);
                compiled
                    .lock()
                    .expect("nobody panics with the list locked")
                    .push((code.clone(), component));
            }
        };
        let threads = thread::available_parallelism()
            .map_or(1, usize::from)
            .min(wanted.len());
        thread::scope(|scope| {
            for _ in 1..threads {
                scope.spawn(compile_some);
            }
            compile_some();
        });
        Self(compiled.into_inner().expect("nobody panics with the list locked"))
    }

    /// The component of a code that was among those to compile. What is wrong with it has its place at `span`, unless
    /// one of its dependencies is at fault.
    pub(super) fn component(
        &self,
        code: &Code,
        span: &Span,
        manifest: &Manifest,
    ) -> Result<Component, Vec<AppProblem>> {
        let (_, compiled) = self
            .0
            .iter()
            .find(|(own, _)| own == code)
            .expect("INVARIANT: every code of the app was compiled");
        match compiled {
            Ok(component) => Ok(component.clone()),
            Err(uncompiled) => Err(match &**uncompiled {
                Uncompiled::File(error) => {
                    let kind = AppProblemKind::Component(Arc::clone(error));
                    vec![AppProblem::at(manifest, span, kind)]
                }
                Uncompiled::Composed(failed) => failed
                    .iter()
                    .map(|Failed { fault, span: own }| {
                        AppProblem::at(manifest, own.as_ref().unwrap_or(span), fault.clone().into())
                    })
                    .collect(),
            }),
        }
    }
}
