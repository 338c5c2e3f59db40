//! `outport inspect`: what a file is, who made it, what it wants, and what would be made of it.
//!
//! Nothing runs, nothing is compiled. Exit status 1 means that a file cannot run, 2 that one cannot be read.

use std::fmt::Write as _;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use outport_check::Diagnostic;
use outport_manifest::{ComponentId, Manifest, Source, SourceFile};
use outport_policy::text;
use outport_runtime::app::{AppProblem, AppProblemKind};
use outport_runtime::cache::CompiledCode;
use outport_runtime::component::{ComponentError, Export};
use outport_runtime::inspection::{
    Description, Inspection, Interface, Kind, ModuleKind, Producer, is_served,
};
use serde::Serialize;

use crate::app_options::{AppOptions, is_webassembly};
use crate::failure::Failure;
use crate::files::Files;
use crate::kernel_sandbox::SandboxOptions;
use crate::load_options::LoadOptions;
use crate::terminal::Terminal;

/// Say what a file is, who made it, what it imports and exports, and what would be made of it to run it.
///
/// Without a file, each component of the app in this directory, or of the one that `-f` names.
///
/// Exit status 1 says that something of it cannot run, 2 that a file is not there or cannot be read.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// A component or module, or an app: a `spin.toml`, the directory that it is in, or a reference to a registry
    #[arg(value_name = "FILE", conflicts_with_all = ["from", "component"])]
    path: Option<PathBuf>,

    #[command(flatten)]
    app: AppOptions,

    /// Of the app, only this component
    #[arg(long, value_name = "ID")]
    component: Option<String>,

    /// Format of the answer
    #[arg(long, value_enum, default_value_t)]
    format: Format,

    #[command(flatten)]
    loading: LoadOptions,

    #[command(flatten)]
    sandbox: SandboxOptions,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
enum Format {
    /// For people
    #[default]
    Human,
    /// `docs/schema/inspect.json`
    Json,
}

/// A file that was looked at.
struct Inspected {
    /// The id of the component, if an app has it.
    component: Option<String>,
    file: String,
    inspection: Result<Inspection, NotRead>,
}

/// The reason why nothing is known of a file.
struct NotRead {
    error: String,
    advice: Option<String>,
    /// It is there, and can be read, and is no WebAssembly.
    is_another: bool,
}

impl NotRead {
    fn of(error: &ComponentError) -> Self {
        Self {
            error: error.to_string(),
            advice: error.advice().map(str::to_owned),
            is_another: !matches!(
                error,
                ComponentError::Missing { .. }
                    | ComponentError::Unreadable { .. }
                    | ComponentError::NotAFile { .. }
            ),
        }
    }

    /// `not_fetched` is why code of the component was not fetched, if it was not.
    fn of_problem(problem: &AppProblem, not_fetched: Option<&Diagnostic>) -> Self {
        match (&problem.kind, not_fetched) {
            (AppProblemKind::NotFetched { .. }, Some(why)) => Self {
                error: why.message.clone(),
                advice: why.help.clone(),
                is_another: false,
            },
            (AppProblemKind::Component(error), _) => Self {
                advice: problem.advice(),
                ..Self::of(error)
            },
            (kind, _) => Self {
                error: kind.to_string(),
                advice: problem.advice(),
                is_another: false,
            },
        }
    }
}

pub(super) fn inspect(options: &Options, terminal: Terminal) -> Result<i32, Failure> {
    let given = options.app.at(options.path.as_deref());
    let artifact = given.artifact_of(&options.loading, terminal)?;
    let code =
        CompiledCode::nowhere().compiled_apart(options.loading.compiling(), options.sandbox.confinement());
    let inspected = match (&artifact, &options.path) {
        (Some(artifact), _) => match artifact.component() {
            Ok(file) => vec![Inspected {
                file: artifact.reference.to_string(),
                ..of_file(file, &code)
            }],
            Err(_) => options.of_app(given.pulled_as(artifact.clone())?, &code, terminal)?,
        },
        (None, Some(path)) if !is_app(path) => vec![of_file(path, &code)],
        (None, _) => options.of_app(given, &code, terminal)?,
    };
    let is_unread = |one: &Inspected| {
        one.inspection
            .as_ref()
            .is_err_and(|not_read| !not_read.is_another)
    };
    let status = if inspected.iter().any(is_unread) {
        2
    } else {
        i32::from(!inspected.iter().all(Inspected::runs))
    };
    let told = match options.format {
        Format::Human => human(&inspected),
        Format::Json => json(&inspected)?,
    };
    io::stdout().write_all(told.as_bytes())?;
    Ok(status)
}

/// True if a path is that of an app rather than of a file to look into.
fn is_app(path: &Path) -> bool {
    path.is_dir() || (path.extension().is_some_and(|extension| extension == "toml") && !is_webassembly(path))
}

fn of_file(path: &Path, code: &CompiledCode) -> Inspected {
    let inspection = Inspection::of_file(path, code);
    Inspected {
        component: None,
        file: text::path(path).to_string(),
        inspection: inspection.map_err(|error| NotRead::of(&error)),
    }
}

impl Options {
    fn of_app(
        &self,
        app: AppOptions,
        code: &CompiledCode,
        terminal: Terminal,
    ) -> Result<Vec<Inspected>, Failure> {
        let mut files = Files::default();
        let source: SourceFile = app.read_manifest(&mut files).map_err(Failure::unusable)?;
        let (manifest, _) = Manifest::parse(&source).complete().map_err(|problems| {
            Failure::unusable_in(&files, problems.0.iter().map(Diagnostic::from).collect())
        })?;
        let cache = self.loading.cache();
        let wanted = |id: &str| self.component.as_deref().is_none_or(|wanted| wanted == id);
        let wants = |id: &ComponentId| wanted(id.as_str());
        let arguments = &app.fetching;
        let fetched = arguments.fetch(&manifest, wants, &cache, &mut files, terminal);
        terminal.show_all(&fetched.remarks, &files);
        let of = manifest
            .components
            .iter()
            .filter(|component| wanted(component.id.value.as_str()));
        let inspected: Vec<_> = of
            .map(|written| {
                let inspection = Inspection::of_component(written, &manifest, &fetched.code, code);
                Inspected {
                    component: Some(written.id.value.to_string()),
                    file: file_of(&written.source.value),
                    inspection: inspection.map_err(|problem| {
                        let why = fetched
                            .wrong
                            .iter()
                            .find(|one| one.component.as_deref() == Some(written.id.value.as_str()));
                        NotRead::of_problem(&problem, why)
                    }),
                }
            })
            .collect();
        match &self.component {
            Some(unknown) if inspected.is_empty() => {
                let known: Vec<String> = manifest
                    .components
                    .iter()
                    .map(|component| format!("`{}`", component.id.value))
                    .collect();
                let unknown = text::quote(unknown);
                let error = Diagnostic::error(format!("the app has no component `{unknown}`"));
                Err(Failure::unusable(
                    error.helped_by(format!("its components are {}", known.join(", "))),
                ))
            }
            _ => Ok(inspected),
        }
    }
}

/// The path or URL, as messages show it.
fn file_of(source: &Source) -> String {
    match source {
        Source::Path(path) => text::path(Path::new(path)).to_string(),
        Source::Component(id) => format!("the code of {id}"),
        Source::Remote(remote) => text::message(&remote.to_string()).to_string(),
    }
}

impl Inspected {
    fn runs(&self) -> bool {
        self.inspection
            .as_ref()
            .is_ok_and(|inspection| inspection.description.is_ok())
    }
}

/// The name of what a file is.
fn kind_of(description: &Description) -> &'static str {
    match description.kind {
        Kind::Component => "a component",
        Kind::OlderComponent => "a component for an earlier version of WASI, which is mapped to a later one",
        Kind::Module(ModuleKind::Command) => {
            "a module for WASI preview 1 with `_start`, of which a command is made by the standard adapter"
        }
        Kind::Module(ModuleKind::FirstAbi) => {
            "a module of Spin's first ABI, of which a component is made under today's names"
        }
        Kind::Module(ModuleKind::World) => {
            "a module with a world of its own, of which a component is made as by `wasm-tools component new`"
        }
        Kind::Module(_) => "a module for WASI preview 1 without `_start`, of which a component is made",
        _ => "WebAssembly",
    }
}

fn human(inspected: &[Inspected]) -> String {
    let mut told = String::new();
    for (number, one) in inspected.iter().enumerate() {
        if number > 0 {
            told.push('\n');
        }
        let _ = tell(&mut told, one);
    }
    told
}

fn tell(to: &mut String, one: &Inspected) -> std::fmt::Result {
    let of = one.component.as_ref().map(|id| format!("component `{id}`, "));
    write!(to, "{}`{}`", of.unwrap_or_default(), one.file)?;
    match &one.inspection {
        Err(NotRead { error, advice, .. }) => {
            writeln!(to)?;
            tell_refusal(to, error, advice.as_deref())
        }
        Ok(inspection) => match &inspection.description {
            Ok(description) => {
                writeln!(to, ": {} ({})", kind_of(description), size(inspection.size))?;
                tell_producers(to, &description.producers)?;
                tell_interfaces(to, description)
            }
            Err((error, producers)) => {
                writeln!(to, " ({})", size(inspection.size))?;
                tell_producers(to, producers)?;
                tell_refusal(to, &reason_of(error), error.advice())
            }
        },
    }
}

/// The reason without the file, which is named before.
fn reason_of(error: &ComponentError) -> String {
    match error {
        ComponentError::Unusable { reason, .. } => reason.to_string(),
        error => error.to_string(),
    }
}

fn tell_refusal(to: &mut String, error: &str, advice: Option<&str>) -> std::fmt::Result {
    writeln!(to, "  cannot run: {}", text::message(error))?;
    match advice {
        Some(advice) => writeln!(to, "  help: {advice}"),
        None => Ok(()),
    }
}

fn tell_producers(to: &mut String, producers: &[Producer]) -> std::fmt::Result {
    let named = |is_language: bool| -> Vec<String> {
        let of = producers
            .iter()
            .filter(|producer| (producer.field == "language") == is_language);
        of.map(|producer| {
            text::message(format!("{} {}", producer.name, producer.version).trim_end()).to_string()
        })
        .collect()
    };
    for (how, named) in [("written in", named(true)), ("made by", named(false))] {
        if !named.is_empty() {
            writeln!(to, "  {how} {}", named.join(", "))?;
        }
    }
    Ok(())
}

fn tell_interfaces(to: &mut String, description: &Description) -> std::fmt::Result {
    let uses = uses(description);
    if uses.is_empty() {
        writeln!(to, "  starts for nothing: it exports nothing that Outport calls")?;
    }
    for a_use in uses {
        writeln!(to, "  {a_use}")?;
    }
    for (module, count) in &description.module_imports {
        writeln!(to, "  imports {count} of module `{}`", text::message(module))?;
    }
    for (title, interfaces) in [
        ("imports", &description.imports),
        ("exports", &description.exports),
    ] {
        if !interfaces.is_empty() {
            writeln!(to, "  {title}")?;
        }
        for interface in interfaces {
            write!(to, "    {}", text::message(&interface.name))?;
            if let Some(mapped) = &interface.mapped {
                write!(to, "  as {}", text::message(mapped))?;
            }
            if title == "imports" && !is_there(interface) {
                write!(to, "  (not provided: ends the guest when it is called)")?;
            }
            writeln!(to)?;
        }
    }
    Ok(())
}

/// True if the import is provided. One that is no interface never is.
fn is_there(import: &Interface) -> bool {
    is_served(import.mapped.as_ref().unwrap_or(&import.name))
}

/// What it can be started for.
fn uses(description: &Description) -> Vec<&'static str> {
    let names = description.exports.iter();
    let exports = names.filter_map(|export| Export::of(export.mapped.as_ref().unwrap_or(&export.name)));
    let mut uses: Vec<_> = exports.map(Export::purpose).collect();
    uses.dedup();
    uses
}

/// `80 KiB`
fn size(bytes: usize) -> String {
    match bytes {
        bytes if bytes < 10 << 10 => format!("{bytes} bytes"),
        bytes if bytes < 10 << 20 => format!("{} KiB", bytes >> 10),
        bytes => format!("{} MiB", bytes >> 20),
    }
}

#[derive(Serialize)]
struct JsonFile<'i> {
    #[serde(skip_serializing_if = "Option::is_none")]
    component: Option<&'i str>,
    file: &'i str,
    runs: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    size: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    kind: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<JsonError>,
    producers: Vec<JsonProducer<'i>>,
    uses: Vec<&'static str>,
    module_imports: Vec<JsonModule<'i>>,
    imports: Vec<JsonInterface<'i>>,
    exports: Vec<JsonInterface<'i>>,
}

#[derive(Serialize)]
struct JsonError {
    message: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    help: Option<String>,
}

#[derive(Serialize)]
struct JsonProducer<'i> {
    field: &'i str,
    name: &'i str,
    version: &'i str,
}

#[derive(Serialize)]
struct JsonModule<'i> {
    module: &'i str,
    count: usize,
}

#[derive(Serialize)]
struct JsonInterface<'i> {
    name: &'i str,
    #[serde(skip_serializing_if = "Option::is_none")]
    mapped: Option<&'i str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    provided: Option<bool>,
}

fn json(inspected: &[Inspected]) -> Result<String, Failure> {
    let files: Vec<_> = inspected.iter().map(json_of).collect();
    let mut told = serde_json::to_string_pretty(&serde_json::json!({ "version": 1, "files": files }))
        .map_err(anyhow::Error::from)?;
    told.push('\n');
    Ok(told)
}

fn json_of(one: &Inspected) -> JsonFile<'_> {
    let mut file = JsonFile {
        component: one.component.as_deref(),
        file: &one.file,
        runs: one.runs(),
        size: None,
        kind: None,
        error: None,
        producers: Vec::new(),
        uses: Vec::new(),
        module_imports: Vec::new(),
        imports: Vec::new(),
        exports: Vec::new(),
    };
    let inspection = match &one.inspection {
        Ok(inspection) => inspection,
        Err(NotRead { error, advice, .. }) => {
            let (message, help) = (error.clone(), advice.clone());
            file.error = Some(JsonError { message, help });
            return file;
        }
    };
    file.size = Some(inspection.size);
    match &inspection.description {
        Err((error, producers)) => {
            file.error = Some(error_of(error));
            file.producers = producers.iter().map(producer).collect();
        }
        Ok(description) => {
            file.kind = Some(match description.kind {
                Kind::Component => "component",
                Kind::OlderComponent => "older-component",
                Kind::Module(ModuleKind::Command) => "command-module",
                Kind::Module(ModuleKind::FirstAbi) => "first-abi-module",
                Kind::Module(ModuleKind::World) => "world-module",
                _ => "reactor-module",
            });
            file.producers = description.producers.iter().map(producer).collect();
            file.uses = uses(description);
            let modules = description.module_imports.iter();
            file.module_imports = modules
                .map(|(module, count)| JsonModule {
                    module,
                    count: *count,
                })
                .collect();
            let interface = |interface, provided| interface_of(interface, provided);
            let imports = description.imports.iter();
            file.imports = imports
                .map(|import| interface(import, Some(is_there(import))))
                .collect();
            file.exports = description
                .exports
                .iter()
                .map(|export| interface(export, None))
                .collect();
        }
    }
    file
}

fn error_of(error: &ComponentError) -> JsonError {
    JsonError {
        message: error.to_string(),
        help: error.advice().map(str::to_owned),
    }
}

fn producer(producer: &Producer) -> JsonProducer<'_> {
    JsonProducer {
        field: &producer.field,
        name: &producer.name,
        version: &producer.version,
    }
}

fn interface_of(interface: &Interface, provided: Option<bool>) -> JsonInterface<'_> {
    JsonInterface {
        name: &interface.name,
        mapped: interface.mapped.as_deref(),
        provided,
    }
}
