//! What `outport --version --verbose` says: the version, and what was built in.
//!
//! As with rustc and cargo the first line is that of `--version`, and each further one has a name and a value.

use std::ffi::OsString;
use std::fmt::Write;

use outport_runtime::engine::{WASI_VERSIONS, WASMTIME_VERSION};

/// True if a command line that asks for the version asks for all of it.
pub(crate) fn is_all_asked(words: &[OsString]) -> bool {
    let words = words.iter().map(|word| word.to_string_lossy());
    let mut words = words.skip(1).take_while(|word| word != "--");
    words.any(|word| {
        let letters = word.strip_prefix('-').unwrap_or_default();
        let are_flags = !letters.is_empty() && letters.chars().all(|letter| "vVqh".contains(letter));
        word == "--verbose" || (are_flags && letters.contains('v'))
    })
}

/// All of it, with its line ends.
pub(crate) fn description() -> String {
    let linked = if cfg!(target_feature = "crt-static") {
        "static"
    } else {
        "dynamic"
    };
    let rows = [
        ("commit", or_unknown(env!("OUTPORT_BUILT_COMMIT"))),
        ("target", &format!("{} ({linked})", env!("OUTPORT_BUILT_TARGET"))),
        ("profile", or_unknown(env!("OUTPORT_BUILT_PROFILE"))),
        ("rustc", or_unknown(env!("OUTPORT_BUILT_RUSTC"))),
        ("wasmtime", WASMTIME_VERSION),
        ("wasi", &WASI_VERSIONS.join(", ")),
        ("interfaces", &outport_platform::INTERFACES.join(", ")),
        ("crypto", "ring, by rustls"),
        ("allocator", "mimalloc"),
    ];
    let mut text = format!("outport {}\n", env!("CARGO_PKG_VERSION"));
    for (name, value) in rows {
        let _ = writeln!(text, "{name}: {value}");
    }
    text
}

fn or_unknown(value: &str) -> &str {
    if value.is_empty() { "unknown" } else { value }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_is_asked_for_by_verbose_wherever_it_stands() {
        let rows: [(&[&str], bool); 9] = [
            (&["-V"], false),
            (&["--version"], false),
            (&["-V", "-v"], true),
            (&["-vV"], true),
            (&["-Vv"], true),
            (&["--version", "--verbose"], true),
            (&["-v", "up", "--version"], true),
            (&["-V", "--verb"], false),
            (&["-V", "--", "-v"], false),
        ];
        for (line, expected) in rows {
            let line = ["outport"].iter().chain(line);
            let words: Vec<OsString> = line.map(OsString::from).collect();
            assert_eq!(is_all_asked(&words), expected, "{words:?}");
        }
    }

    #[test]
    fn what_was_built_in_is_known() {
        let text = description();
        assert!(text.starts_with(&format!("outport {}\n", env!("CARGO_PKG_VERSION"))));
        for (name, part) in [
            ("target", "-linux-"),
            ("rustc", "1."),
            ("wasmtime", "48."),
            ("wasi", "0.2."),
            ("interfaces", "key-value"),
        ] {
            let line = text.lines().find(|line| line.starts_with(&format!("{name}: ")));
            let line = line.unwrap_or_else(|| panic!("no `{name}` in {text}"));
            assert!(line.contains(part), "{line}");
        }
    }
}
