//! The environment of a guest besides the network: arguments, environment variables, directories, where its
//! standard streams lead, and the variables of its component. Nothing of the host's own is passed on unless it is named
//! here.
//!
//! Directories are [opened once](OpenDirectories), before a guest runs, and every instance gets what was opened then.
//! Paths are not looked at again: should a guest rename, remove or replace a directory, or one that is above it, the
//! next instance has the same directory as the one before.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use outport_egress::GateCtx;
use outport_platform::Platform;
use outport_policy::text;
use wasmtime::component::ResourceTable;
use wasmtime_wasi::filesystem::{FsPerms, WasiFilesystemCtx, WasiFilesystemView};
use wasmtime_wasi::{WasiCtx, WasiCtxBuilder, WasiCtxView, WasiView};

use crate::random::PIECE;
use crate::stdio;
use crate::variables::GuestVariables;

/// The environment of every instance of a component.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct GuestEnv {
    /// Arguments; the first is by custom the program's own name.
    pub arguments: Vec<String>,
    /// Environment variables. One that is there twice reaches the guest twice, and which of them counts is its language's
    /// affair: [`replaced`] leaves the last one.
    pub environment: Vec<(String, String)>,
    /// Directories of the host that the guest sees.
    pub directories: OpenDirectories,
    /// The choice whether the guest reads the process's standard input. By default it reads an empty one.
    pub input: Input,
    /// The variables that the guest reads through the interfaces for them.
    pub variables: GuestVariables,
    /// What its labels of stores stand for. Which of them it may open is for its gate to say.
    pub platform: Platform,
    /// A component whose name each line of output begins with, as `[NAME] `. By default lines are as the guest wrote them.
    pub output_prefix: Option<String>,
}

/// Environment variables of which the last one of a name is left, at the place of the first.
pub fn replaced(variables: impl IntoIterator<Item = (String, String)>) -> Vec<(String, String)> {
    let mut left: Vec<(String, String)> = Vec::new();
    for (name, value) in variables {
        match left.iter_mut().find(|(known, _)| *known == name) {
            Some(known) => known.1 = value,
            None => left.push((name, value)),
        }
    }
    left
}

/// A directory of the host, as the guest sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Directory {
    /// The path on the host.
    pub host: PathBuf,
    /// The path for the guest, such as `/data`.
    pub guest: String,
    /// The access that the guest has to it.
    pub access: Access,
}

/// Directories of the host that were opened. Cheap to clone; clones share what is open.
#[derive(Clone, Default)]
pub struct OpenDirectories {
    directories: Arc<[Directory]>,
    opened: WasiFilesystemCtx,
}

/// The access that a guest has to a directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// List and read.
    Read,
    /// Also create, change and remove.
    Write,
}

/// The source of a guest's standard input.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Input {
    /// Nothing to read.
    #[default]
    Empty,
    /// The process's own.
    Inherited,
}

/// A directory that was to be shown to a guest cannot be opened.
#[derive(Debug, thiserror::Error)]
#[error("cannot open the directory `{}` for the guest's `{guest}`: {reason:#}", text::path(.host))]
#[non_exhaustive]
pub struct DirectoryError {
    /// The host's directory.
    pub host: PathBuf,
    /// The path that the guest would have had for it.
    pub guest: String,
    reason: wasmtime::Error,
}

impl GuestEnv {
    /// The WASI context for one instance, with this gate. It has no right to the network, which is the gate's business.
    pub(crate) fn context(&self, gate: &GateCtx) -> WasiCtx {
        self.context_with(gate, |wasi| {
            wasi.args(&self.arguments).envs(&self.environment);
        })
    }

    /// The same with arguments, environment variables and streams as `own` sets them.
    pub(crate) fn context_with(&self, gate: &GateCtx, own: impl FnOnce(&mut WasiCtxBuilder)) -> WasiCtx {
        let mut wasi = WasiCtxBuilder::new();
        let (output, error) = stdio::of_guests(self.output_prefix.as_deref(), gate);
        wasi.stdout(output).stderr(error).max_random_size(PIECE as u64);
        if self.input == Input::Inherited {
            wasi.inherit_stdin();
        }
        own(&mut wasi);
        let mut wasi = wasi.build();
        self.directories.show_to(&mut wasi);
        wasi
    }
}

impl OpenDirectories {
    /// Opens directories, in this order.
    ///
    /// # Errors
    ///
    /// One that cannot be opened, or is none.
    pub fn open(directories: Vec<Directory>) -> Result<Self, DirectoryError> {
        let mut wasi = WasiCtxBuilder::new();
        for directory in &directories {
            directory.open(&mut wasi)?;
        }
        let mut wasi = wasi.build();
        Ok(Self {
            directories: directories.into(),
            opened: with_files(&mut wasi, |files| files.clone()),
        })
    }

    /// The directories that were opened.
    pub fn list(&self) -> &[Directory] {
        &self.directories
    }

    fn show_to(&self, wasi: &mut WasiCtx) {
        if !self.directories.is_empty() {
            with_files(wasi, |files| files.clone_from(&self.opened));
        }
    }
}

impl fmt::Debug for OpenDirectories {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.list()).finish()
    }
}

/// The part of a WASI context that is about files: wasmtime-wasi shows it only by way of what a store holds.
fn with_files<T>(wasi: &mut WasiCtx, act: impl FnOnce(&mut WasiFilesystemCtx) -> T) -> T {
    struct Whole<'a> {
        ctx: &'a mut WasiCtx,
        table: ResourceTable,
    }
    impl WasiView for Whole<'_> {
        fn ctx(&mut self) -> WasiCtxView<'_> {
            WasiCtxView {
                ctx: self.ctx,
                table: &mut self.table,
            }
        }
    }
    let mut whole = Whole {
        ctx: wasi,
        table: ResourceTable::new(),
    };
    act(whole.filesystem().ctx)
}

impl Directory {
    fn open(&self, wasi: &mut WasiCtxBuilder) -> Result<(), DirectoryError> {
        let permissions = match self.access {
            Access::Read => FsPerms::ReadOnly,
            Access::Write => FsPerms::ReadWrite,
        };
        wasi.preopened_dir(&self.host, &self.guest, permissions)
            .map(|_| ())
            .map_err(|reason| DirectoryError {
                host: self.host.clone(),
                guest: self.guest.clone(),
                reason,
            })
    }
}
