//! The place where compiled code is kept.

use std::path::Path;

use outport_check::Diagnostic;
use outport_policy::text;
use outport_runtime::cache::{CacheDirectory, CompiledCode};
use outport_runtime::guest_env::{Access, Directory};

use crate::files::Files;
use crate::terminal::Terminal;

/// The place for compiled code. One that is not safe is not used, nor one that guests can write to by what they are
/// shown; both are worth a word, since every start is slow then.
pub(crate) fn compiled_code(
    cache: &CacheDirectory,
    guests: &[Directory],
    terminal: Terminal,
) -> CompiledCode {
    let refused = match cache.compiled() {
        None => "neither `HOME` nor `XDG_CACHE_HOME` names a directory".to_owned(),
        Some(directory) => match (CompiledCode::in_directory(&directory), holder(&directory, guests)) {
            (Ok(code), None) => return code,
            (Ok(_), Some(shared)) => format!(
                "the guest can write to `{}`, which `--dir {}` opens to it",
                text::path(&directory),
                text::path(&shared.host)
            ),
            (Err(error), _) => error.to_string(),
        },
    };
    let warning = Diagnostic::warning(format!("compiled code is not kept: {refused}"))
        .helped_by("each start compiles again; `--cache-dir DIR` names a directory to keep it in");
    terminal.show(&warning, &Files::default());
    CompiledCode::nowhere()
}

/// The directory in which a guest could write compiled code: one that holds the place for it, or is in that.
fn holder<'d>(code: &Path, guests: &'d [Directory]) -> Option<&'d Directory> {
    let code = code.canonicalize().ok()?;
    guests
        .iter()
        .filter(|shared| shared.access == Access::Write)
        .find(|shared| {
            let shared = shared.host.canonicalize();
            shared.is_ok_and(|shared| code.starts_with(&shared) || shared.starts_with(&code))
        })
}
