//! Compiled code, kept from one start to the next.
//!
//! Compiling an 18 MB component takes seconds; mapping the machine code that came of it takes milliseconds. So
//! the code lies in files, uncompressed and laid out as it runs, and a start maps the file:
//!
//! ```text
//! bytes of the file ─ SHA-256 ┐
//!                            ├─ name of the file ─ there: map it
//! engine's settings ─ hash ──┘                   └ not there, or broken: compile, write, rename into place
//! ```
//!
//! The SHA-256 of a file that has not changed since an earlier start is remembered ([`known_files`]), so that a start
//! that finds the code does not read the component at all.
//!
//! A mapped file is machine code that this process jumps into: who can write it owns the process. Hence the
//! directory must belong to the user and be closed to everybody else ([`PrivateDirectory`]), files are opened
//! relative to the directory that was examined and never through a symbolic link, and each file is examined
//! after it was opened. Where the directory is not safe the cache is off, and says so once; nothing is repaired
//! behind the user's back. A process that runs guests does not write to it at all: its components are compiled, and
//! their code is filed, by [other processes](crate::compiler).
//!
//! The cache holds at most [`CAPACITY`]; the files that were used least recently go first. It is only a cache:
//! whatever goes wrong with it, the component is compiled and runs.

mod code_counts;
mod code_file;
mod content_hash;
mod directory;
mod filing;
mod known_files;
mod notes;
mod place;

use std::borrow::Cow;
use std::fs::File;
use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::SystemTime;

use outport_components::{AdaptError, Kind};
use outport_egress::meter::Meter;
use wasmtime::component::Component;

use self::code_counts::CodeCounts;
pub use self::code_file::CAPACITY;
use self::code_file::file_name;
pub(crate) use self::code_file::keep_code;
pub(crate) use self::content_hash::ContentHash;
pub(crate) use self::directory::PrivateDirectory;
pub use self::directory::UnsafeDirectory;
use self::filing::Filing;
pub(crate) use self::notes::keep_note;
pub use self::place::CacheDirectory;
use crate::compiler::{CompileError, CompileLimits, CompileWatch, Compiled, CompilerProcess, Confinement};

/// Compiled code of components, in a directory or nowhere.
#[derive(Debug)]
pub struct CompiledCode {
    directory: Option<PrivateDirectory>,
    compiler: Compiler,
    /// True once it was said that code could not be kept.
    told: AtomicBool,
    counts: CodeCounts,
}

/// The party that compiles.
#[derive(Debug)]
enum Compiler {
    /// This process, without any bound.
    Here,
    /// Another one, which also writes to the directory.
    Apart(CompilerProcess),
    /// Nobody.
    Failed(CompileError),
}

impl CompiledCode {
    /// Keeps compiled code in `directory`, which is made, with all its parents, when it is not there.
    ///
    /// # Errors
    ///
    /// When the directory cannot be made, or somebody else could write to it.
    pub fn in_directory(directory: &Path) -> Result<Self, UnsafeDirectory> {
        Ok(Self {
            directory: Some(PrivateDirectory::open(directory)?),
            compiler: Compiler::Here,
            told: AtomicBool::new(false),
            counts: CodeCounts::default(),
        })
    }

    /// Keeps nothing: every component is compiled at every start.
    pub fn nowhere() -> Self {
        Self {
            directory: None,
            compiler: Compiler::Here,
            told: AtomicBool::new(false),
            counts: CodeCounts::default(),
        }
    }

    /// Components are compiled [by other processes](crate::compiler) within `limits`, which also write all that is
    /// written to the directory. They end when this is closed or dropped.
    ///
    /// To be asked while the process has one thread, and before it enters the [sandbox](crate::sandbox::Sandbox). That
    /// no process can be started is an error of the first component that is to be compiled.
    #[must_use]
    pub fn compiled_apart(self, limits: CompileLimits, confinement: Confinement) -> Self {
        let compiler = match CompilerProcess::start(self.directory.as_ref(), limits, confinement) {
            Ok(process) => Compiler::Apart(process),
            Err(error) => Compiler::Failed(CompileError::Failed {
                reason: format!("no process can be started for it: {error}"),
            }),
        };
        Self { compiler, ..self }
    }

    /// The same, which tells `watch` of what takes longer than a moment to compile. Default: after a second the log is told.
    /// To be asked after [`compiled_apart`](Self::compiled_apart): what this process compiles itself is not told of.
    #[must_use]
    pub fn watched(self, watch: CompileWatch) -> Self {
        let compiler = match self.compiler {
            Compiler::Apart(process) => Compiler::Apart(process.watched(watch)),
            other => other,
        };
        Self { compiler, ..self }
    }

    /// The same, which counts by `meter` where code comes from. Default: nothing is counted.
    #[must_use]
    pub fn counted(self, meter: &Meter) -> Self {
        let counts = CodeCounts::of(meter);
        Self { counts, ..self }
    }

    /// There will be nothing more to compile: other processes end meanwhile. Dropping waits for that.
    pub fn close(&self) {
        if let Compiler::Apart(process) = &self.compiler {
            process.close();
        }
    }

    /// The content of a plain file that is open at its beginning, which is read only where it is not known.
    ///
    /// # Errors
    ///
    /// When the file cannot be read.
    pub(crate) fn content_of(&self, file: &mut File) -> io::Result<ContentHash> {
        match self.filing() {
            Some(filing) => known_files::content_of(file, filing, SystemTime::now()),
            None => ContentHash::of_file(file),
        }
    }

    /// The component with this content, if its code is kept.
    pub(crate) fn find(&self, engine: &wasmtime::Engine, content: &ContentHash) -> Option<Component> {
        let filing = self.filing()?;
        let name = file_name(engine, content);
        match mapped(filing, &name, engine).ok()? {
            Ok(component) => {
                self.counts.hit.increment(1);
                Some(component)
            }
            Err(error) => {
                let error = format_args!("{error:#}");
                tracing::debug!(file = name, %error, "compiled code is broken, and is compiled again");
                // With a keeper this process has no right to remove it; the code that is compiled next takes its
                // name.
                if filing.keeper.is_none() {
                    filing.directory.remove(&*name);
                }
                None
            }
        }
    }

    /// Compiles a component, which is from `path`, and keeps its code.
    ///
    /// # Errors
    ///
    /// When `bytes` are not a component that this engine can run, or beyond the limits of compiling.
    pub(crate) fn compile(
        &self,
        engine: &wasmtime::Engine,
        bytes: &[u8],
        path: &Path,
    ) -> Result<Component, CompileError> {
        let compiled = self.compile_uncounted(engine, bytes, path);
        self.counts.count(&compiled);
        compiled
    }

    fn compile_uncounted(
        &self,
        engine: &wasmtime::Engine,
        bytes: &[u8],
        path: &Path,
    ) -> Result<Component, CompileError> {
        let invalid = |error: wasmtime::Error| CompileError::Invalid {
            reason: format!("{error:#}"),
        };
        let compiled = match &self.compiler {
            Compiler::Here => return self.compile_here(engine, bytes).map_err(invalid),
            Compiler::Apart(process) => process.compile(bytes, path)?,
            Compiler::Failed(error) => return Err(error.clone()),
        };
        match (compiled, self.filing()) {
            (Compiled::Here(code), filing) => {
                // A directory that is there, but on a full disk or one that nobody can write to.
                if filing.is_some() && !self.told.swap(true, Ordering::Relaxed) {
                    tracing::warn!(
                        "compiled code could not be written to its directory, and each start compiles again; \
                         `--cache-dir DIR` names another one"
                    );
                }
                load(&code, engine).map_err(invalid)
            }
            (Compiled::Kept, Some(filing)) => {
                let name = file_name(engine, &ContentHash::of(bytes));
                mapped(filing, &name, engine)
                    .map_err(|error| CompileError::Failed {
                        reason: format!("its code cannot be opened: {error}"),
                    })?
                    .map_err(invalid)
            }
            (Compiled::Kept, None) => Err(CompileError::Failed {
                reason: "its code was kept, and there is no directory for it".into(),
            }),
        }
    }

    /// The component that is made of a file, which is from `path`: what can take long is done by who compiles.
    ///
    /// # Errors
    ///
    /// When no component can be made of it, or not within the limits of compiling.
    pub(crate) fn adapt(&self, bytes: Vec<u8>, path: &Path) -> Result<Vec<u8>, CompileError> {
        let invalid = |error: AdaptError| CompileError::Invalid {
            reason: error.to_string(),
        };
        match (
            outport_components::identify(&bytes).map_err(invalid)?,
            &self.compiler,
        ) {
            (Kind::Component, _) => Ok(bytes),
            (Kind::Module(_), Compiler::Apart(process)) => process.adapt(&bytes, path),
            (Kind::Module(_), Compiler::Failed(error)) => Err(error.clone()),
            _ => outport_components::adapt(&bytes)
                .map(Cow::into_owned)
                .map_err(invalid),
        }
    }

    fn compile_here(&self, engine: &wasmtime::Engine, bytes: &[u8]) -> wasmtime::Result<Component> {
        let adapted = outport_components::adapt(bytes)?;
        let component = Component::from_binary(engine, &adapted)?;
        if let Some(directory) = &self.directory {
            let kept = component
                .serialize()
                .map_err(|error| io::Error::other(format!("{error:#}")))
                .and_then(|code| keep_code(directory, engine, &ContentHash::of(bytes), &code));
            if let Err(error) = kept {
                tracing::debug!(%error, "compiled code was not kept");
            }
        }
        Ok(component)
    }

    fn filing(&self) -> Option<Filing<'_>> {
        let keeper = match &self.compiler {
            Compiler::Apart(process) => Some(process),
            Compiler::Here | Compiler::Failed(_) => None,
        };
        Some(Filing {
            directory: self.directory.as_ref()?,
            keeper,
        })
    }
}

/// The component in a file, or why it cannot be had; an error if there is no such file.
fn mapped(
    filing: Filing<'_>,
    name: &str,
    engine: &wasmtime::Engine,
) -> io::Result<wasmtime::Result<Component>> {
    let file = filing
        .directory
        .open_file(name)?
        .ok_or_else(|| io::Error::from(io::ErrorKind::NotFound))?;
    let component = map(&file, engine);
    if component.is_ok() {
        filing.mark_used(name, &file);
    }
    Ok(component)
}

#[allow(
    unsafe_code,
    reason = "mapping compiled code is what the cache is for; see SAFETY"
)]
fn map(file: &File, engine: &wasmtime::Engine) -> wasmtime::Result<Component> {
    let path = directory::path_of(file);
    // SAFETY: the file must be code that this engine's compiler wrote, and must stay as it is while it is
    // mapped. `PrivateDirectory` only hands out files that belong to this user, in a directory that nobody else
    // can write to; this module writes a file under another name, complete, before it gets the name that is
    // looked for, and never changes it afterwards. `path` names the open file itself, not a name that could
    // lead elsewhere by now. Wasmtime compares version, settings and features of the file with the engine's.
    unsafe { Component::deserialize_file(engine, path) }
}

#[allow(unsafe_code, reason = "compiled code comes from another process; see SAFETY")]
fn load(code: &[u8], engine: &wasmtime::Engine) -> wasmtime::Result<Component> {
    // SAFETY: it must be code that this engine's compiler wrote. It was written by a process that this one started,
    // from the same program, and has come through pipes that nobody else has. Wasmtime compares version, settings and
    // features with the engine's.
    unsafe { Component::deserialize(engine, code) }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt, symlink};
    use std::path::PathBuf;
    use std::{fs, iter};

    use super::*;
    use crate::engine::{Allocation, Engine};

    /// `(component)`
    const EMPTY: &[u8] = b"\0asm\x0d\0\x01\0";

    fn engine() -> Engine {
        Engine::new(Allocation::Single).expect("this machine can run wasm")
    }

    fn files(directory: &Path) -> Vec<PathBuf> {
        fs::read_dir(directory)
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .collect()
    }

    #[test]
    fn a_second_start_maps_what_the_first_one_compiled() {
        let folder = tempfile::tempdir().unwrap();
        let place = folder.path().join("a/b");
        let cache = CompiledCode::in_directory(&place).unwrap();
        cache.compile(engine().wasmtime(), EMPTY, Path::new("x")).unwrap();
        let [file] = files(&place).try_into().expect("one file");
        let cache = CompiledCode::in_directory(&place).unwrap();
        let name = file.file_name().unwrap().to_str().unwrap();
        let mapped = mapped(cache.filing().unwrap(), name, engine().wasmtime()).unwrap();
        mapped.expect("it is as it was written");
    }

    #[test]
    fn pooled_and_single_engines_share_compiled_code() {
        let pooled = Engine::new(Allocation::Pool { instances: 4 }).unwrap();
        let content = ContentHash::of(EMPTY);
        let name = file_name(engine().wasmtime(), &content);
        assert_eq!(name, file_name(pooled.wasmtime(), &content));
        assert_eq!(name, file_name(&crate::engine::compiling().unwrap(), &content));
    }

    #[test]
    fn broken_code_is_made_anew() {
        let folder = tempfile::tempdir().unwrap();
        let place = folder.path().join("c");
        let cache = CompiledCode::in_directory(&place).unwrap();
        cache.compile(engine().wasmtime(), EMPTY, Path::new("x")).unwrap();
        let [file] = files(&place).try_into().expect("one file");
        let whole = fs::read(&file).unwrap();
        let halves = [&whole[..whole.len() / 2], b"".as_slice(), b"garbage"];
        for half in halves {
            fs::write(&file, half).unwrap();
            assert!(cache.find(engine().wasmtime(), &ContentHash::of(EMPTY)).is_none());
            cache.compile(engine().wasmtime(), EMPTY, Path::new("x")).unwrap();
            assert!(cache.find(engine().wasmtime(), &ContentHash::of(EMPTY)).is_some());
            assert_eq!(fs::read(&file).unwrap().len(), whole.len());
        }
    }

    #[test]
    fn a_directory_that_others_can_write_to_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        for mode in [0o770, 0o707, 0o777, 0o1777] {
            fs::set_permissions(folder.path(), fs::Permissions::from_mode(mode)).unwrap();
            let refusal = CompiledCode::in_directory(folder.path()).expect_err("it is open to others");
            assert!(
                matches!(refusal, UnsafeDirectory::OpenToOthers { .. }),
                "{mode:o}: {refusal}"
            );
        }
    }

    #[test]
    fn a_symbolic_link_is_refused_as_directory_and_as_file() {
        let folder = tempfile::tempdir().unwrap();
        let real = folder.path().join("real");
        CompiledCode::in_directory(&real).unwrap();
        symlink(&real, folder.path().join("link")).unwrap();
        CompiledCode::in_directory(&folder.path().join("link")).expect_err("a link is not a directory");

        fs::write(folder.path().join("elsewhere"), b"x").unwrap();
        symlink(folder.path().join("elsewhere"), real.join("x.cwasm")).unwrap();
        let directory = PrivateDirectory::open(&real).unwrap();
        assert!(!matches!(directory.open_file("x.cwasm"), Ok(Some(_))));
    }

    #[test]
    fn the_least_recently_used_code_goes_first() {
        let folder = tempfile::tempdir().unwrap();
        let directory = PrivateDirectory::open(&folder.path().join("c")).unwrap();
        for (name, age) in iter::zip(["old.cwasm", "used.cwasm", "new.cwasm"], [5, 4, 3]) {
            directory.write(name, &[0; 100]).unwrap();
            let file = directory.open_file(name).unwrap().unwrap();
            file.set_modified(std::time::SystemTime::now() - std::time::Duration::from_secs(age * 3600))
                .unwrap();
        }
        directory.mark_used(&directory.open_file("old.cwasm").unwrap().unwrap());
        directory.shrink_to(200, "new.cwasm").unwrap();
        let mut left: Vec<_> = files(&folder.path().join("c"));
        left.sort();
        let left: Vec<_> = left
            .iter()
            .map(|file| file.file_name().unwrap().to_str().unwrap())
            .collect();
        assert_eq!(left, ["new.cwasm", "old.cwasm"]);
    }
}
