//! The end of a guest that did not end by itself: what happened, where, and on which way it got there.

use std::fmt;

use outport_policy::text;
use wasmtime::{FrameInfo, WasmBacktrace};

use crate::linker::NotProvided;

/// A guest was stopped: it trapped, called what is not there, or used up a limit.
///
/// Displays as one line of what happened and a line for each of the innermost functions. Names come from the
/// guest, so whatever would move a terminal's cursor is escaped, and what is too long is cut.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Trap {
    /// The component.
    pub component: String,
    /// The export that was running, such as `wasi:cli/run`.
    pub export: &'static str,
    /// The message.
    pub message: String,
    /// Functions, the innermost first; at most [`SHOWN_FRAMES`].
    pub frames: Vec<Frame>,
    /// The number of further frames.
    pub hidden_frames: usize,
    /// True if the guest called what Outport does not provide. The message says all there is to it, so the functions
    /// are shown only where they are asked for, by `{:#}`.
    pub not_provided: bool,
}

/// One function on the way to the trap.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Frame {
    /// The function's name, or its number where the component carries no names.
    pub function: String,
    /// The core module that it is in, where it has a name.
    pub module: Option<String>,
    /// The place in the module, in bytes.
    pub offset: Option<usize>,
}

/// The number of functions that a trap shows.
pub const SHOWN_FRAMES: usize = 10;

impl Trap {
    pub(crate) fn of(error: &wasmtime::Error, component: &str, export: &'static str) -> Self {
        let frames = error
            .downcast_ref::<WasmBacktrace>()
            .map_or(&[][..], WasmBacktrace::frames);
        Self {
            component: component.to_owned(),
            export,
            message: message(error),
            frames: frames.iter().take(SHOWN_FRAMES).map(Frame::of).collect(),
            hidden_frames: frames.len().saturating_sub(SHOWN_FRAMES),
            not_provided: error.root_cause().is::<NotProvided>(),
        }
    }
}

impl std::error::Error for Trap {}

impl fmt::Display for Trap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "component `{}` trapped in `{}`: {}",
            self.component, self.export, self.message
        )?;
        if self.not_provided && !f.alternate() {
            return Ok(());
        }
        for frame in &self.frames {
            write!(f, "\n    at {frame}")?;
        }
        match self.hidden_frames {
            0 => Ok(()),
            more => write!(f, "\n    and {more} more"),
        }
    }
}

impl Frame {
    fn of(frame: &FrameInfo) -> Self {
        let function = match frame.func_name() {
            Some(name) => text::begin(format_args!("{:#}", rustc_demangle::demangle(name))),
            None => format!("function {}", frame.func_index()),
        };
        Self {
            function,
            module: frame.module().name().map(str::to_owned),
            offset: frame.module_offset(),
        }
    }
}

impl fmt::Display for Frame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", text::begin(format_args!("{}", self.function)))?;
        let module = self
            .module
            .as_ref()
            .map(|name| text::begin(format_args!("{name}")));
        match (module, self.offset) {
            (Some(module), Some(offset)) => write!(f, " ({module}+{offset:#x})"),
            (Some(module), None) => write!(f, " ({module})"),
            (None, Some(offset)) => write!(f, " (+{offset:#x})"),
            (None, None) => Ok(()),
        }
    }
}

/// The innermost cause: outer ones only repeat the backtrace.
fn message(error: &wasmtime::Error) -> String {
    let cause = error.root_cause().to_string();
    let plain = cause.strip_prefix("wasm trap: ").unwrap_or(&cause);
    text::begin(format_args!("{plain}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trap_shows_what_where_and_how_it_got_there() {
        let frame = |function: &str| Frame {
            function: function.into(),
            module: None,
            offset: Some(16),
        };
        let mut trap = Trap {
            component: "shop".into(),
            export: "wasi:cli/run",
            message: "wasm `unreachable` instruction executed".into(),
            frames: vec![frame("shop::pay"), frame("evil\x1b[2J")],
            hidden_frames: 3,
            not_provided: false,
        };
        assert_eq!(
            trap.to_string(),
            "component `shop` trapped in `wasi:cli/run`: wasm `unreachable` instruction executed\n    \
             at shop::pay (+0x10)\n    at evil\\u{1b}[2J (+0x10)\n    and 3 more"
        );
        trap.not_provided = true;
        assert_eq!(trap.to_string().lines().count(), 1);
        assert_eq!(format!("{trap:#}").lines().count(), 4);
    }
}
