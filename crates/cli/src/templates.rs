//! The templates of `outport new` and `outport init`: folders inside the program, with places to be filled in.
//!
//! ```text
//! crates/cli/templates/NAME/… ─┐  {{project-name}}, {{crate-name}}, {{route}}, {{url}},
//! Values ──────────────────────┴► {{allowed-outbound-hosts}}, {{database-url}} ─► rendered files, spin.toml among them
//!                                                            policy_test ─► outport.test.toml
//! rendered files ─► rendered    read, and held against the values
//!                   placement   a folder that is there as a whole or not at all
//!                   added       the same component in the manifest of an app that is there already
//! ```
//!
//! A place is told from a variable of the app, `{{ name }}`, by its spelling: variables have no hyphen, and what is none of
//! the six stays. Names of files lose `.tmpl`, since cargo leaves out of a package what looks like another one, and
//! git would obey a `.gitignore`. Nothing is fetched, and nothing is run.

pub(crate) mod added;
pub(crate) mod placement;
mod policy_test;
pub(crate) mod project_name;
mod rendered;

use std::path::{Path, PathBuf};

use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};
use include_dir::{Dir, include_dir};
use outport_manifest::SourceFile;

use project_name::ProjectName;

static FOLDERS: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/templates");

/// A folder to be filled in.
#[derive(Debug)]
pub(crate) struct Template {
    /// The name of its folder: `http-rust`.
    pub(crate) name: &'static str,
    /// One line about it.
    pub(crate) summary: &'static str,
    /// The way in which its component starts.
    pub(crate) start: Start,
    /// The entries that it has unless others are given.
    pub(crate) entries: &'static [&'static str],
    /// The names that its package cannot have: those of the packages that it depends on, and what its compiler refuses.
    reserved: &'static [&'static [&'static str]],
}

/// The way in which a component starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Start {
    /// By requests to a route.
    Http,
    /// Once, when the app does.
    Command,
}

/// A file of an app that is to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Rendered {
    /// Its place in the folder.
    pub(crate) path: PathBuf,
    pub(crate) text: String,
}

/// What is filled in.
#[derive(Debug, Clone)]
pub(crate) struct Values {
    pub(crate) name: ProjectName,
    /// Where a component is that answers HTTP.
    pub(crate) route: String,
    /// The `allowed_outbound_hosts`.
    pub(crate) entries: Vec<String>,
}

/// The route of a component that has the app to itself.
pub(crate) const WHOLE_APP: &str = "/...";

const HTTP: Start = Start::Http;
const COMMAND: Start = Start::Command;
const SOCKET: &[&str] = &["*://localhost:5432"];

/// All of them, in the order in which they are shown.
pub(crate) static ALL: [Template; 9] = [
    template(
        "http-rust",
        "an HTTP component in Rust",
        HTTP,
        &[],
        &[RUST, &["spin-sdk"]],
    ),
    template("http-js", "an HTTP component in JavaScript", HTTP, &[], &[]),
    template("http-python", "an HTTP component in Python", HTTP, &[], &[]),
    template(
        "command-rust",
        "a command in Rust",
        COMMAND,
        &[],
        &[RUST, PROGRAM],
    ),
    template("command-js", "a command in JavaScript", COMMAND, &[], &[]),
    template("command-python", "a command in Python", COMMAND, &[], &[]),
    template(
        "postgres-rust",
        "a command in Rust that asks PostgreSQL over a socket of its own",
        COMMAND,
        SOCKET,
        &[RUST, PROGRAM, &["tokio", "tokio-postgres"]],
    ),
    template(
        "postgres-js",
        "a command in JavaScript that asks PostgreSQL by the host's connection",
        COMMAND,
        &["postgres://localhost:5432"],
        &[],
    ),
    template(
        "postgres-python",
        "a command in Python that asks PostgreSQL over a socket of its own",
        COMMAND,
        SOCKET,
        &[],
    ),
];

/// What cargo refuses as the name of a package: keywords of Rust, and names that the compiler has for itself.
const RUST: &[&str] = &[
    "abstract",
    "alloc",
    "as",
    "async",
    "await",
    "become",
    "box",
    "break",
    "const",
    "continue",
    "core",
    "crate",
    "do",
    "dyn",
    "else",
    "enum",
    "extern",
    "false",
    "final",
    "fn",
    "for",
    "gen",
    "if",
    "impl",
    "in",
    "let",
    "loop",
    "macro",
    "match",
    "mod",
    "move",
    "mut",
    "override",
    "priv",
    "proc-macro",
    "pub",
    "ref",
    "return",
    "self",
    "static",
    "std",
    "struct",
    "super",
    "test",
    "trait",
    "true",
    "try",
    "type",
    "typeof",
    "unsafe",
    "unsized",
    "use",
    "virtual",
    "where",
    "while",
    "yield",
];
/// What cargo refuses as the name of a program besides: its folders for what it builds.
const PROGRAM: &[&str] = &["build", "deps", "examples", "incremental"];

const fn template(
    name: &'static str,
    summary: &'static str,
    start: Start,
    entries: &'static [&'static str],
    reserved: &'static [&'static [&'static str]],
) -> Template {
    Template {
        name,
        summary,
        start,
        entries,
        reserved,
    }
}

/// The reader of a template's name on the command line.
pub(crate) fn parser() -> impl TypedValueParser<Value = &'static Template> {
    let names = ALL
        .iter()
        .map(|one| PossibleValue::new(one.name).help(one.summary));
    PossibleValuesParser::new(names).map(|name| {
        ALL.iter()
            .find(|one| one.name == name)
            .expect("INVARIANT: the parser takes the names of the templates alone")
    })
}

/// A line for each template: its name, and what it is.
pub(crate) fn lines() -> impl Iterator<Item = String> {
    let width = ALL.iter().map(|one| one.name.len()).max().unwrap_or_default();
    ALL.iter()
        .map(move |one| format!("{:width$}  {}", one.name, one.summary))
}

impl Template {
    /// True if the language of the template has no package of that name for an author.
    pub(crate) fn reserves(&self, name: &ProjectName) -> bool {
        self.reserved.iter().any(|names| names.contains(&name.as_str()))
    }

    /// The entries that a component has unless others are given.
    pub(crate) fn default_entries(&self) -> Vec<String> {
        self.entries.iter().map(|entry| (*entry).to_owned()).collect()
    }

    /// The files of an app, each below its folder, in no particular order. What is to be put in place is read first.
    ///
    /// # Errors
    ///
    /// The manifest among them is not what was asked for: a mistake of the program's.
    pub(crate) fn files(&self, values: &Values) -> anyhow::Result<Vec<Rendered>> {
        let files = self.render(values);
        match rendered::check(&files, self.start, values) {
            Ok(()) => Ok(files),
            Err(error) => Err(error.context(format!(
                "internal error: the template `{}` cannot be filled in so",
                self.name
            ))),
        }
    }

    fn render(&self, values: &Values) -> Vec<Rendered> {
        let folder = FOLDERS
            .get_dir(self.name)
            .expect("INVARIANT: each template has a folder, which a test holds");
        let mut files = Vec::new();
        render_folder(folder, Path::new(self.name), values, &mut files);
        let tests = policy_test::of(&SourceFile::new(MANIFEST, manifest(&files)), values);
        files.push(Rendered {
            path: POLICY_TESTS.into(),
            text: format!("{TESTS_BEGIN}{tests}"),
        });
        files
    }
}

/// The text of the manifest among the files.
pub(crate) fn manifest(files: &[Rendered]) -> &str {
    text_of(files, MANIFEST)
}

/// The text of the policy's tests among the files.
pub(crate) fn policy_tests(files: &[Rendered]) -> &str {
    text_of(files, POLICY_TESTS)
}

fn text_of<'f>(files: &'f [Rendered], name: &str) -> &'f str {
    let file = files.iter().find(|file| file.path == Path::new(name));
    file.map_or("", |file| &file.text)
}

pub(crate) const MANIFEST: &str = "spin.toml";
pub(crate) const POLICY_TESTS: &str = "outport.test.toml";

/// What a file of tests begins with.
pub(crate) const TESTS_BEGIN: &str =
    "# What the components may reach, and what not. `outport check` holds the policy to it.\n";

fn render_folder(folder: &Dir<'_>, root: &Path, values: &Values, files: &mut Vec<Rendered>) {
    for file in folder.files() {
        let text = file
            .contents_utf8()
            .expect("INVARIANT: templates are text, which a test holds");
        let path = file.path().strip_prefix(root).unwrap_or(file.path());
        files.push(Rendered {
            path: file_name(path),
            text: values.fill_in(text),
        });
    }
    for inner in folder.dirs() {
        render_folder(inner, root, values, files);
    }
}

/// `Cargo.toml` for `Cargo.toml.tmpl`.
fn file_name(path: &Path) -> PathBuf {
    let name = path.file_name().and_then(|name| name.to_str());
    let Some(bare) = name.and_then(|name| name.strip_suffix(".tmpl")) else {
        return path.to_owned();
    };
    match bare {
        "gitignore" => path.with_file_name(".gitignore"),
        bare => path.with_file_name(bare),
    }
}

impl Values {
    fn fill_in(&self, text: &str) -> String {
        let entries: toml_edit::Array = self.entries.iter().map(String::as_str).collect();
        let places = [
            ("{{project-name}}", self.name.as_str().to_owned()),
            ("{{crate-name}}", self.name.as_str().replace('-', "_")),
            ("{{route}}", toml_edit::Value::from(&self.route).to_string()),
            (
                "{{url}}",
                in_a_shell(&format!("http://127.0.0.1:3000{}", path_of(&self.route))),
            ),
            (
                "{{allowed-outbound-hosts}}",
                toml_edit::Value::from(entries).to_string(),
            ),
            (
                "{{database-url}}",
                toml_edit::Value::from(self.database_url()).to_string(),
            ),
        ];
        let mut filled = String::with_capacity(text.len());
        let mut rest = text;
        // Front to back, and never in what was filled in: a value may look like a place.
        while let Some(begin) = rest.find("{{") {
            let (before, from) = rest.split_at(begin);
            filled.push_str(before);
            let place = places.iter().find(|(place, _)| from.starts_with(place));
            let (place, value) = place.map_or(("{{", "{{"), |(place, value)| (*place, &**value));
            filled.push_str(value);
            rest = &from[place.len()..];
        }
        filled + rest
    }

    /// The server of the first entry that names one, so that what may be reached is what is asked.
    fn database_url(&self) -> String {
        let server = self.entries.iter().find_map(|entry| {
            let (_, server) = entry.split_once("://")?;
            let is_one = !server.is_empty() && !server.contains(['*', '{', '/', ',', ' ']);
            let (host, port) = server.rsplit_once(':').unwrap_or((server, ""));
            let has_a_port = port.is_empty() || port.parse::<u16>().is_ok();
            (is_one && has_a_port && !host.is_empty()).then_some(server)
        });
        format!(
            "postgres://postgres@{}/postgres",
            server.unwrap_or("localhost:5432")
        )
    }
}

/// A path that a route takes: `/shop/` for `/shop/...`.
fn path_of(route: &str) -> String {
    let path = route.replace("...", "").replace(':', "");
    format!("/{}", path.trim_start_matches('/'))
}

/// A word as a shell reads it. What a path may have besides these means something else to one.
fn in_a_shell(word: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "/:-._~%@+,=".contains(c);
    if word.chars().all(is_plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests;
