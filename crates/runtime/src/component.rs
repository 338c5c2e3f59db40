//! A component: its file read and compiled, or the code that an earlier start kept; and what it exports, which
//! decides how it is run.

mod error;
mod export;
mod file;

use std::collections::BTreeSet;
use std::io::{self, Seek};
use std::path::Path;
use std::sync::Arc;

use outport_files::regular_file;
use wasmtime::component::Component as Compiled;
use wasmtime::component::types::ComponentItem;

pub use self::error::ComponentError;
pub use self::export::Export;
pub(crate) use self::export::{INBOUND_HTTP, INBOUND_REDIS};
use self::file::{LARGEST, is_meant, read_from};
pub(crate) use self::file::{check, read, read_bytes};
use crate::app::{Isolated, Right};
use crate::cache::{CompiledCode, ContentHash};
use crate::compiler::CompileError;
use crate::engine::Engine;
use crate::linker::is_provided;
use crate::wasi_2023;

/// A compiled component. Cheap to clone.
#[derive(Clone)]
pub struct Component {
    compiled: Compiled,
    /// The names of the dependencies that were composed into it, as the manifest has them.
    dependencies: Arc<[String]>,
    /// The imports that its parts were given for themselves when it was composed. A file may have imports that are named
    /// alike; to those nothing is given.
    own_imports: Arc<[String]>,
}

impl Component {
    /// Reads, examines and compiles the component at `path`, or maps the code that an earlier start kept.
    ///
    /// # Errors
    ///
    /// When the file cannot be read, or is not a component that this engine can run.
    pub fn load(path: &Path, engine: &Engine) -> Result<Self, ComponentError> {
        Self::load_file(path, None, engine)
    }

    /// The same for a file that must have this SHA-256, in 64 hexadecimal digits.
    pub(crate) fn load_file(
        path: &Path,
        digest: Option<&str>,
        engine: &Engine,
    ) -> Result<Self, ComponentError> {
        let code = code_of(engine, path)?;
        let unreadable = |source: io::Error| ComponentError::unreadable(path, source);
        let mut file = regular_file::open(path).map_err(unreadable)?;
        // Before it is hashed, which reads all of it.
        if file.metadata().map_err(unreadable)?.len() > LARGEST {
            return Err(ComponentError::TooLarge { path: path.into() });
        }
        let content = code.content_of(&mut file).map_err(unreadable)?;
        if is_meant(digest, &content)
            && let Some(compiled) = code.find(engine.wasmtime(), &content)
        {
            return Ok(Self::of(compiled));
        }
        file.rewind().map_err(unreadable)?;
        let bytes = read_from(file, path, digest)?;
        check(path, &bytes)?;
        Self::compile(path, &bytes, engine, &code)
    }

    /// Compiles `bytes`, or maps the code that an earlier start kept. Messages name `path` as where they are from.
    ///
    /// # Errors
    ///
    /// When they are not a component that this engine can run.
    pub(crate) fn from_bytes(path: &Path, bytes: &[u8], engine: &Engine) -> Result<Self, ComponentError> {
        let code = code_of(engine, path)?;
        match code.find(engine.wasmtime(), &ContentHash::of(bytes)) {
            Some(compiled) => Ok(Self::of(compiled)),
            None => Self::compile(path, bytes, engine, &code),
        }
    }

    fn compile(
        path: &Path,
        bytes: &[u8],
        engine: &Engine,
        code: &CompiledCode,
    ) -> Result<Self, ComponentError> {
        code.compile(engine.wasmtime(), bytes, path)
            .map(Self::of)
            .map_err(|reason| ComponentError::not_compiled(path, reason))
    }

    fn of(compiled: Compiled) -> Self {
        Self {
            compiled,
            dependencies: Arc::default(),
            own_imports: Arc::default(),
        }
    }

    /// The same component, which knows what was composed into it, and which imports were made for these parts.
    pub(crate) fn composed_of(self, names: impl Iterator<Item = String>, own_imports: Vec<String>) -> Self {
        Self {
            dependencies: names.collect(),
            own_imports: own_imports.into(),
            ..self
        }
    }

    /// The meaning of an import that was made for a part when the component was composed; none of any other, whatever it
    /// is called.
    pub(crate) fn own_import<'n>(&self, name: &'n str) -> Option<Isolated<'n>> {
        let is_own = self.own_imports.iter().any(|own| own == name);
        is_own.then(|| Isolated::parse(name)).flatten()
    }

    /// The names of the dependencies that were composed into it, as the manifest has them.
    pub(crate) fn dependencies(&self) -> &[String] {
        &self.dependencies
    }

    /// The component of wasmtime behind this one.
    pub fn wasmtime(&self) -> &Compiled {
        &self.compiled
    }

    /// True if the component exports it.
    pub fn has(&self, export: Export) -> bool {
        self.exports().any(|name| export.is_in(&name))
    }

    /// Names of the interfaces and functions that the component exports.
    pub fn exports(&self) -> impl Iterator<Item = String> {
        let engine = self.compiled.engine();
        let names: Vec<_> = self
            .compiled
            .component_type()
            .exports(engine)
            .map(|(name, _)| name.to_owned())
            .collect();
        names.into_iter()
    }

    /// Names of the interfaces and functions that the component is given, without those that a dependency in it is
    /// kept from. What a part has of its own is called as for all.
    pub fn given_imports(&self) -> impl Iterator<Item = String> {
        let given = |name: String| match self.own_import(&name) {
            None => Some(name),
            Some(isolated) if isolated.right == Right::Narrowed => Some(isolated.import.to_owned()),
            Some(_) => None,
        };
        self.imports().filter_map(given)
    }

    /// The numbers of the parts that reach only some of the hosts that the component reaches, in their order.
    pub(crate) fn narrowed(&self) -> BTreeSet<usize> {
        let own = self.own_imports.iter().filter_map(|name| Isolated::parse(name));
        own.filter(|own| own.right == Right::Narrowed)
            .map(|own| own.part)
            .collect()
    }

    /// Names of the interfaces and functions that the component is given, that nobody provides, and that trap when they
    /// are called. An interface of types alone is none of them.
    pub fn trapped_imports(&self) -> impl Iterator<Item = String> {
        let engine = self.compiled.engine();
        let imports = self.compiled.component_type();
        let trapped: Vec<_> = imports
            .imports(engine)
            .filter(|(name, import)| {
                self.own_import(name).is_none() && !is_provided(name) && is_callable(&import.ty, engine)
            })
            .map(|(name, _)| name.to_owned())
            .collect();
        trapped.into_iter()
    }

    /// Names of the interfaces that the component is given of a snapshot of WASI whose sockets are not served: making
    /// one, or looking a name up, answers an error.
    pub fn refused_sockets(&self) -> impl Iterator<Item = String> {
        let engine = self.compiled.engine();
        let imports = self.compiled.component_type();
        let refused: Vec<_> = imports
            .imports(engine)
            .filter(|(name, import)| wasi_2023::refuses(name) && is_callable(&import.ty, engine))
            .map(|(name, _)| name.to_owned())
            .collect();
        refused.into_iter()
    }

    /// Names of the interfaces and functions that the component imports.
    pub fn imports(&self) -> impl Iterator<Item = String> {
        let engine = self.compiled.engine();
        let names: Vec<_> = self
            .compiled
            .component_type()
            .imports(engine)
            .map(|(name, _)| name.to_owned())
            .collect();
        names.into_iter()
    }
}

fn is_callable(item: &ComponentItem, engine: &wasmtime::Engine) -> bool {
    match item {
        ComponentItem::ComponentFunc(_) => true,
        ComponentItem::ComponentInstance(interface) => interface
            .exports(engine)
            .any(|(_, export)| matches!(export.ty, ComponentItem::ComponentFunc(_))),
        _ => false,
    }
}

/// Names of exports for a message.
pub(crate) fn list(exports: &[String]) -> String {
    if exports.is_empty() {
        return "nothing".into();
    }
    let quoted: Vec<_> = exports
        .iter()
        .map(|export| format!("`{}`", export.escape_debug()))
        .collect();
    quoted.join(", ")
}

/// The same as a component, where the file holds what one can be made of.
///
/// # Errors
///
/// As of [`read`]; or when none can be made.
pub(crate) fn read_as_component(
    path: &Path,
    digest: Option<&str>,
    engine: &Engine,
) -> Result<Vec<u8>, ComponentError> {
    let code = code_of(engine, path)?;
    code.adapt(read(path, digest)?, path)
        .map_err(|reason| ComponentError::not_compiled(path, reason))
}

/// The keeper of compiled code that compiles the component from `path`.
fn code_of(engine: &Engine, path: &Path) -> Result<Arc<CompiledCode>, ComponentError> {
    engine.code().ok_or_else(|| ComponentError::NotCompiled {
        path: path.into(),
        reason: CompileError::Failed {
            reason: "the engine compiles nothing any more".into(),
        },
    })
}

#[cfg(test)]
mod tests {
    use std::fs::File;

    use super::*;

    #[test]
    fn a_file_that_never_ends_is_refused_by_what_it_is_or_its_length() {
        let read = |path: &Path| read(path, None).expect_err("it is not a component").to_string();
        assert_eq!(
            read(Path::new("/dev/zero")),
            "`/dev/zero` was not opened: it is a device, not a file"
        );
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("long.wasm");
        std::fs::write(&path, b"\0asm\x0d\0\x01\0").unwrap();
        File::options()
            .write(true)
            .open(&path)
            .unwrap()
            .set_len(LARGEST + 1)
            .unwrap();
        let engine = Engine::new(crate::engine::Allocation::Single).expect("this machine can run wasm");
        let error = Component::load_file(&path, None, &engine).err();
        assert!(
            matches!(error, Some(ComponentError::TooLarge { .. })),
            "{error:?}"
        );
    }
}
