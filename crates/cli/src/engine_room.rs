//! The engine, and the place where compiled code is kept.

use std::path::PathBuf;

use outport_runtime::cache::CompiledCode;
use outport_runtime::engine::{Allocation, Engine, EngineError};

use crate::diagnostic::Diagnostic;
use crate::files::Files;
use crate::terminal::Terminal;

/// What components are compiled by.
pub(crate) struct EngineRoom {
    pub(crate) engine: Engine,
    pub(crate) code: CompiledCode,
}

impl EngineRoom {
    pub(crate) fn open(allocation: Allocation, code: CompiledCode) -> Result<EngineRoom, EngineError> {
        Ok(EngineRoom {
            engine: Engine::new(allocation)?,
            code,
        })
    }
}

/// The place for compiled code, and its directory. One that is not safe is not used, which is worth a word since every
/// start is slow then.
pub(crate) fn compiled_code(terminal: Terminal) -> (CompiledCode, Option<PathBuf>) {
    let Some(directory) = CompiledCode::default_directory() else {
        return (CompiledCode::nowhere(), None);
    };
    match CompiledCode::in_directory(&directory) {
        Ok(code) => (code, Some(directory)),
        Err(error) => {
            let warning = Diagnostic::warning(format!("compiled code is not kept: {error}"));
            terminal.show(&warning, &Files::default());
            (CompiledCode::nowhere(), None)
        }
    }
}
