//! The engine, and the place where compiled code is kept.

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
    pub(crate) fn open(allocation: Allocation, terminal: Terminal) -> Result<EngineRoom, EngineError> {
        Ok(EngineRoom {
            engine: Engine::new(allocation)?,
            code: compiled_code(terminal),
        })
    }
}

/// A place that is not safe is not used, which is worth a word since every start is slow then.
fn compiled_code(terminal: Terminal) -> CompiledCode {
    let Some(directory) = CompiledCode::default_directory() else {
        return CompiledCode::nowhere();
    };
    CompiledCode::in_directory(&directory).unwrap_or_else(|error| {
        let warning = Diagnostic::warning(format!("compiled code is not kept: {error}"));
        terminal.show(&warning, &Files::default());
        CompiledCode::nowhere()
    })
}
