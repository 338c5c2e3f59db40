//! What to do about a command that failed since something is not installed.
//!
//! | what is known | from |
//! | --- | --- |
//! | a program is missing | exit code 127, which shells and npm have for it, and their `NAME: not found`; else the first word of the command |
//! | it may not be run | exit code 126 |
//! | a target of Rust, a package of npm or Python | what cargo, Node.js and Python say then |
//!
//! Nothing is guessed from other output: advice that does not fit is worse than none.

use outport_policy::text;

use super::command::Failure;

/// Advice on a command that has failed so, and has said that last.
pub(super) fn advice(how: &Failure, command: &str, said: &str) -> Option<String> {
    match how {
        Failure::Code(127) => {
            let name = missing_program(said).unwrap_or_else(|| first_word(command));
            Some(install(name))
        }
        Failure::Code(126) => Some(format!(
            "`{}` may not be run: `chmod +x` makes a file a program",
            text::quote(first_word(command))
        )),
        Failure::Signal(libc::SIGKILL) => Some(
            "somebody killed it: the system does so when there is too little memory, which `dmesg` tells"
                .into(),
        ),
        _ => missing_part(said),
    }
}

/// The program that a shell did not find: `sh: 1: cargo: not found`, `bash: line 1: cargo: command not found`.
fn missing_program(said: &str) -> Option<&str> {
    said.lines().rev().find_map(|line| {
        let before = line
            .trim_end()
            .strip_suffix(": command not found")
            .or_else(|| line.trim_end().strip_suffix(": not found"))?;
        let name = before.rsplit(": ").next()?.trim();
        (!name.is_empty() && !name.contains(char::is_whitespace)).then_some(name)
    })
}

/// The word that is run: variables that are set before it are not.
fn first_word(command: &str) -> &str {
    let mut words = command.split_whitespace();
    words.find(|word| !word.contains('=')).unwrap_or(command)
}

fn install(name: &str) -> String {
    let known = TOOLS.iter().find(|(names, _)| names.contains(&name));
    match known {
        Some((_, how)) => format!("`{name}` is not installed, or not on the `PATH`: {how}"),
        None => format!(
            "`{}` is not installed, or not on the `PATH`: install it, or correct `build.command`",
            text::quote(name)
        ),
    }
}

/// What cargo, Node.js or Python miss.
fn missing_part(said: &str) -> Option<String> {
    if let Some(target) = between(said, "the `", "` target may not be installed") {
        return Some(format!(
            "`rustup target add {target}` installs what Rust needs for it; a compiler of a distribution has it in a package of \
             its own"
        ));
    }
    if let Some(command) = between(said, "no such command: `", "`") {
        return Some(format!("`cargo install --locked cargo-{command}` installs it"));
    }
    if said.contains("ERR_MODULE_NOT_FOUND") || said.contains("Error: Cannot find module") {
        return Some("`npm install`, where `package.json` is, gets the packages that the build needs".into());
    }
    let module =
        between(said, "No module named '", "'").or_else(|| between(said, "No module named ", "\n"))?;
    Some(format!(
        "`pip install {}` installs it, in the virtual environment that the build runs in; the name of a package may differ",
        module.split('.').next().unwrap_or(module)
    ))
}

/// The word between two texts, of the last line that has both.
fn between<'t>(said: &'t str, before: &str, behind: &str) -> Option<&'t str> {
    let (_, rest) = said.rsplit_once(before)?;
    let (word, _) = rest.split_once(behind)?;
    let is_word = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    (!word.is_empty() && word.len() < 100 && word.chars().all(is_word)).then_some(word)
}

/// Programs of builds, and how they are installed.
const TOOLS: [(&[&str], &str); 14] = [
    (
        &["cargo", "rustc", "rustup"],
        "https://rustup.rs installs Rust, then `rustup target add wasm32-wasip2` what components need",
    ),
    (
        &["cargo-component"],
        "`cargo install --locked cargo-component` installs it",
    ),
    (
        &["node", "npm", "npx"],
        "https://nodejs.org, or the package `npm` of the distribution",
    ),
    (
        &["yarn", "pnpm"],
        "`corepack enable` brings it along with Node.js",
    ),
    (
        &["tsc", "esbuild", "webpack", "rollup", "j2w", "jco"],
        "`npm install`, where `package.json` is, gets it, and `npx` or a script of `npm run` finds it there",
    ),
    (
        &["python", "python3", "pip", "pip3"],
        "https://python.org, or the packages `python3` and `python3-venv` of the distribution",
    ),
    (
        &["componentize-py"],
        "`pip install componentize-py` installs it; a virtual environment has to be active where the build runs",
    ),
    (&["uv", "uvx"], "`pip install uv` installs it"),
    (
        &["go"],
        "https://go.dev/dl, or the package `golang-go` of the distribution",
    ),
    (
        &["tinygo"],
        "https://tinygo.org/getting-started/install; it needs Go beside it",
    ),
    (
        &["make", "cmake", "gcc", "cc", "clang"],
        "a package of the distribution has it: `apt-get install build-essential cmake clang`",
    ),
    (
        &["wasm-tools", "wac", "wkg"],
        "`cargo install --locked` installs it, by the name of its package (`wac-cli`)",
    ),
    (
        &["spin"],
        "https://spinframework.dev/install; `outport build` needs it only where a command calls it",
    ),
    (&["zig", "dotnet", "moon"], "see the pages of the language"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_is_told_by_who_missed_it() {
        let rows = [
            (127, "cargo build", "[web] sh: 1: cargo: not found\n", "rustup.rs"),
            (127, "A=1 cargo build", "", "rustup.rs"),
            (
                127,
                "cd x && npm run build",
                "sh: line 1: npm: command not found\n",
                "nodejs.org",
            ),
            (
                127,
                "npm run build",
                "[web] sh: 1: esbuild: not found\n",
                "`npm install`",
            ),
            (
                127,
                "componentize-py -w x",
                "sh: 1: componentize-py: not found",
                "pip install componentize-py",
            ),
            (127, "tinygo build", "sh: 1: tinygo: not found", "tinygo.org"),
            (127, "go build", "/bin/sh: go: not found", "go.dev"),
            (127, "make", "", "build-essential"),
            (
                127,
                "frobnicate",
                "sh: 1: frobnicate: not found",
                "correct `build.command`",
            ),
            (126, "./build", "sh: 1: ./build: Permission denied", "chmod +x"),
            (
                101,
                "cargo build --target wasm32-wasip2",
                "error[E0463]: can't find crate for `std`\n  = note: the `wasm32-wasip2` target may not be installed\n",
                "rustup target add wasm32-wasip2",
            ),
            (
                101,
                "cargo component build",
                "error: no such command: `component`\n",
                "cargo install --locked cargo-component",
            ),
            (
                1,
                "node build.mjs",
                "code: 'ERR_MODULE_NOT_FOUND'",
                "`npm install`",
            ),
            (
                1,
                "python3 -m componentize",
                "ModuleNotFoundError: No module named 'spin_sdk.http'\n",
                "pip install spin_sdk",
            ),
            (
                1,
                "python3 -m x",
                "/usr/bin/python3: No module named x\n",
                "pip install x",
            ),
        ];
        for (code, command, said, expected) in rows {
            let advice = advice(&Failure::Code(code), command, said).unwrap_or_default();
            assert!(advice.contains(expected), "{command}: {advice}");
        }
    }

    #[test]
    fn nothing_is_advised_where_nothing_is_known() {
        for (code, said) in [
            (1, ""),
            (101, "error: mismatched types"),
            (2, "the `\u{1b}[31m` target may not be installed"),
            (1, "No module named 'a b'"),
        ] {
            assert_eq!(advice(&Failure::Code(code), "cargo build", said), None, "{said}");
        }
        assert_eq!(advice(&Failure::Signal(libc::SIGTERM), "make", ""), None);
    }
}
