//! The engine, and the place where compiled code is kept.

use outport_runtime::cache::CompiledCode;
use outport_runtime::engine::{Allocation, Engine, EngineError};
use outport_runtime::memory_ceiling::MemoryCeiling;

use crate::diagnostic::Diagnostic;
use crate::files::Files;
use crate::terminal::Terminal;

/// What components are compiled by.
pub(crate) struct EngineRoom {
    pub(crate) engine: Engine,
    pub(crate) code: CompiledCode,
}

impl EngineRoom {
    /// An engine whose guests may together have so much memory.
    pub(crate) fn open(
        allocation: Allocation,
        memory: MemoryCeiling,
        code: CompiledCode,
    ) -> Result<EngineRoom, EngineError> {
        Ok(EngineRoom {
            engine: Engine::new(allocation)?.under(memory),
            code,
        })
    }
}

/// The place for compiled code. One that is not safe is not used, which is worth a word since every start is slow then.
pub(crate) fn compiled_code(terminal: Terminal) -> CompiledCode {
    let Some(directory) = CompiledCode::default_directory() else {
        return CompiledCode::nowhere();
    };
    CompiledCode::in_directory(&directory).unwrap_or_else(|error| {
        let warning = Diagnostic::warning(format!("compiled code is not kept: {error}"));
        terminal.show(&warning, &Files::default());
        CompiledCode::nowhere()
    })
}
