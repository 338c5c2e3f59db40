//! A file, looked at without compiling or running it: `outport inspect`.

use std::path::{Path, PathBuf};

use outport_components::producers;
pub use outport_components::{Description, Interface, Kind, ModuleKind, Producer};
use outport_manifest::{Component as Written, DependencyName, Implementation, Located, Manifest};

use crate::app::{AppProblem, CodeFile, FetchedCode, file_of, stands_for};
use crate::cache::CompiledCode;
use crate::component::{self, ComponentError};
use crate::linker::is_provided;

/// What a file is, what would be made of it, and what it wants.
#[derive(Debug)]
#[non_exhaustive]
pub struct Inspection {
    /// Bytes of the file.
    pub size: usize,
    /// What is known of it, or the reason why it cannot run and who made it.
    pub description: Result<Description, (ComponentError, Vec<Producer>)>,
}

impl Inspection {
    /// Looks at the file at `path`. A component is made of it, if that takes making, by who compiles for `code`.
    ///
    /// # Errors
    ///
    /// When the file cannot be read, or is no WebAssembly.
    pub fn of_file(path: &Path, code: &CompiledCode) -> Result<Self, ComponentError> {
        Self::of(path, None, code)
    }

    /// Looks at the file of a component of an app, without its dependencies.
    ///
    /// # Errors
    ///
    /// As of [`of_file`](Self::of_file).
    pub fn of_component(
        written: &Written,
        manifest: &Manifest,
        fetched: &FetchedCode,
        code: &CompiledCode,
    ) -> Result<Self, AppProblem> {
        let at = |kind| AppProblem::at(manifest, &written.source.span, kind);
        let file = CodeFile::of(written, manifest, fetched).map_err(at)?;
        Self::of(file.path(), file.digest(), code).map_err(|error| at(error.into()))
    }

    /// Looks at the file of a part of a component, and says which it is.
    ///
    /// # Errors
    ///
    /// As of [`of_file`](Self::of_file).
    pub fn of_part(
        implementation: &Located<Implementation>,
        manifest: &Manifest,
        fetched: &FetchedCode,
        code: &CompiledCode,
    ) -> Result<(PathBuf, Self), AppProblem> {
        let at = |kind| AppProblem::at(manifest, &implementation.span, kind);
        let file = file_of(&implementation.value, manifest, fetched).map_err(at)?;
        let inspection = Self::of(file.path(), file.digest(), code).map_err(|error| at(error.into()))?;
        Ok((file.path().to_owned(), inspection))
    }

    fn of(path: &Path, digest: Option<&str>, code: &CompiledCode) -> Result<Self, ComponentError> {
        let bytes = component::read_bytes(path, digest)?;
        let adapted = component::check(path, &bytes).and_then(|()| {
            code.adapt(bytes.clone(), path)
                .map_err(|reason| ComponentError::not_compiled(path, reason))
        });
        let description = adapted.and_then(|component| {
            outport_components::validate(&component)
                .and_then(|()| Description::of(&bytes, &component))
                .map_err(|error| ComponentError::Invalid {
                    path: path.into(),
                    reason: error.to_string(),
                })
        });
        Ok(Self {
            size: bytes.len(),
            description: description.map_err(|error| (error, producers(&bytes))),
        })
    }
}

/// True if a dependency of that name satisfies an import.
pub fn is_satisfied(import: &str, dependency: &DependencyName) -> bool {
    stands_for(dependency, import)
}

/// True if an import of this name, once it is mapped, is there. What is not ends the guest that calls it.
pub fn is_served(import: &str) -> bool {
    is_provided(import)
}
