//! The variables of the environment that Spin's commands read, for operators who come from there.
//!
//! | variable | here |
//! | --- | --- |
//! | `SPIN_VARIABLE_*` | values of variables, as in Spin |
//! | `SPIN_HTTP_LISTEN_ADDR` | `--listen`, unless that or `OUTPORT_LISTEN` is there |
//! | `RUNTIME_CONFIG_FILE` | `--runtime-config-file`, unless that or `OUTPORT_RUNTIME_CONFIG_FILE` is there |
//! | `SPIN_STATE_DIR` | `--state-dir`, unless that or `OUTPORT_STATE_DIR` is there |
//! | `SPIN_MAX_INSTANCE_MEMORY` | `--max-memory`, unless that is there |
//! | `SPIN_TLS_CERT`, `SPIN_TLS_KEY` | `--tls-cert`, `--tls-key`, unless these or `OUTPORT_TLS_CERT`, `OUTPORT_TLS_KEY` are there |
//! | the others below | a warning that says what is not done |
//!
//! A variable that is empty counts as one that is not there.

use std::ffi::OsString;

use outport_check::{Code, Diagnostic};
use outport_policy::Location;

use crate::failure::Failure;

/// The value of a variable, if it has one.
pub(crate) fn variable(name: &str) -> Option<OsString> {
    std::env::var_os(name).filter(|value| !value.is_empty())
}

/// The location of what a variable says.
pub(crate) fn location_of(name: &str) -> Location {
    Location::Environment {
        variable: name.into(),
    }
}

/// The value of a variable, read by what reads the option that it stands for.
///
/// # Errors
///
/// It is not what the option takes.
pub(crate) fn read<T>(name: &str, parse: impl Fn(&str) -> Result<T, String>) -> Result<Option<T>, Failure> {
    let Some(value) = variable(name) else {
        return Ok(None);
    };
    let wrong = |why: &str| {
        let message = format!("the value of `{name}` cannot be used: {why}");
        Failure::unusable(Diagnostic::error(message).at(location_of(name)))
    };
    let text = value.to_str().ok_or_else(|| wrong("it is not UTF-8 text"))?;
    parse(text).map(Some).map_err(|why| wrong(&why))
}

/// A warning for each variable that asks for something which is not done.
pub(crate) fn not_acted_on() -> Vec<Diagnostic> {
    let names = std::env::vars_os().filter_map(|(name, value)| {
        let name = name.into_string().ok()?;
        (!value.is_empty()).then_some(name)
    });
    let mut warnings: Vec<(String, &str)> = names
        .filter_map(|name| {
            let why = why_not(&name)?;
            Some((name, why))
        })
        .collect();
    warnings.sort_unstable();
    warnings
        .into_iter()
        .map(|(name, why)| {
            let message = format!("`{name}` is set and has no effect: {why}");
            Diagnostic::warning(message)
                .coded(Code::Input)
                .at(location_of(&name))
        })
        .collect()
}

fn why_not(name: &str) -> Option<&'static str> {
    let listed = NOT_ACTED_ON.iter().find(|(own, _)| *own == name);
    match listed {
        Some((_, why)) => Some(why),
        None if name.starts_with("SPIN_WASMTIME_") => {
            Some("instances are bounded by `--max-requests`, `--max-memory` and `--max-memory-total`")
        }
        None => None,
    }
}

const NOT_ACTED_ON: [(&str, &str); 7] = [
    (
        "DISABLE_WASMTIME_CACHE",
        "compiled code is kept all the same, in the directory of `--cache-dir`",
    ),
    (
        "SPIN_ALLOW_TRANSIENT_WRITE",
        "guests only read the files of `files`",
    ),
    ("SPIN_ALWAYS_BUILD", "components are not built"),
    (
        "SPIN_HTTP1_MAX_BUF_SIZE",
        "what a connection buffers has a limit of its own that cannot be changed",
    ),
    (
        "SPIN_HTTP_IDLE_INSTANCE_TIMEOUT_SECS",
        "write it as `--idle-instance-timeout`",
    ),
    ("SPIN_LOG_DIR", "what guests write goes to the terminal"),
    (
        "WASMTIME_CACHE_FILE",
        "compiled code is kept in the directory of `--cache-dir`",
    ),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_acted_on_has_a_reason_and_what_is_acted_on_has_none() {
        let rows = [
            ("SPIN_STATE_DIR", false),
            ("SPIN_LOG_DIR", true),
            ("SPIN_WASMTIME_INSTANCE_COUNT", true),
            ("SPIN_VARIABLE_X", false),
            ("SPIN_HTTP_LISTEN_ADDR", false),
            ("RUNTIME_CONFIG_FILE", false),
            ("SPIN_TLS_CERT", false),
            ("PATH", false),
        ];
        for (name, expected) in rows {
            assert_eq!(why_not(name).is_some(), expected, "{name}");
        }
    }
}
