//! A component: its bytes looked at before they are compiled, so that what is not a component is refused with
//! words that say what it is and what to do; and what it exports, which decides how it is run.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, Read, Seek};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use outport_components::AdaptError;
use outport_policy::text;
use wasmtime::component::Component as Compiled;
use wasmtime::component::types::ComponentItem;

use crate::app::{Isolated, Right};
use crate::cache::{CompiledCode, ContentHash};
use crate::compiler::CompileError;
use crate::engine::Engine;
use crate::linker::is_provided;
use crate::{regular_file, wasi_2023};

/// A compiled component. Cheap to clone.
#[derive(Clone)]
pub struct Component {
    compiled: Compiled,
    /// The names of the dependencies that were composed into it, as the manifest has them.
    dependencies: Arc<[String]>,
    /// The imports that its parts were given for themselves when it was composed. A file may have imports that are named
    /// alike; to those nothing is given.
    own_imports: Arc<[String]>,
}

/// The export of a component that Outport can start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Export {
    /// `wasi:cli/run` of WASI 0.2.
    CommandP2,
    /// `wasi:cli/run` of WASI 0.3.
    CommandP3,
    /// `wasi:http/incoming-handler` of WASI 0.2.
    HttpP2,
    /// `wasi:http/handler` of WASI 0.3.
    HttpP3,
    /// `fermyon:spin/inbound-http` of Spin's first interfaces, which have no version.
    InboundHttp,
    /// `fermyon:spin/inbound-redis` of Spin's first interfaces, which have no version.
    InboundRedis,
    /// `spin:redis/inbound-redis` of version 3.
    InboundRedisV3,
    /// `handle-cron-event`, a function of the component itself.
    CronEvent,
    /// `handle-message`, a function of the component itself: a message of MQTT.
    MqttMessage,
    /// `handle-queue-message`, a function of the component itself: a message of SQS.
    QueueMessage,
}

/// The reason why a file cannot be run as a component.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ComponentError {
    /// The file is not there.
    #[error("there is no file `{}`", text::path(.path))]
    Missing {
        /// The file.
        path: PathBuf,
    },
    /// The file is there and cannot be read.
    #[error("cannot read `{}`: {source}", text::path(.path))]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
    /// A directory, pipe, socket or device.
    #[error("`{}` was not opened: {source}", text::path(.path))]
    NotAFile {
        /// The path.
        path: PathBuf,
        /// The kind of file that it is.
        source: io::Error,
    },
    /// WebAssembly that cannot be run, whatever is done with it.
    #[error("`{}` cannot be run: {reason}", text::path(.path))]
    Unusable {
        /// The file.
        path: PathBuf,
        /// What it is.
        reason: AdaptError,
    },
    /// WebAssembly's text format.
    #[error("`{}` is WebAssembly text, not a component", text::path(.path))]
    Text {
        /// The file.
        path: PathBuf,
    },
    /// Machine code of another program, which Outport does not run.
    #[error("`{}` is compiled code, not a component", text::path(.path))]
    Precompiled {
        /// The file.
        path: PathBuf,
    },
    /// More than a component may have.
    #[error("`{}` is larger than {} MiB, which no component may be", text::path(.path), LARGEST >> 20)]
    TooLarge {
        /// The file.
        path: PathBuf,
    },
    /// Something else altogether.
    #[error("`{}` is not WebAssembly: it {found}", text::path(.path))]
    NotWebAssembly {
        /// The file.
        path: PathBuf,
        /// The first bytes of the file.
        found: String,
    },
    /// The manifest says what the file hashes to, and it does not.
    #[error("`{}` does not have the digest that the manifest gives", text::path(.path))]
    WrongDigest {
        /// The file.
        path: PathBuf,
    },
    /// The file begins as a component and does not hold up.
    #[error("`{}` is not a valid component: {reason}", text::path(.path))]
    Invalid {
        /// The file.
        path: PathBuf,
        /// The compiler's message.
        reason: String,
    },
    /// The file was not compiled, whatever it is.
    #[error("`{}` was not compiled: {reason}", text::path(.path))]
    NotCompiled {
        /// The file.
        path: PathBuf,
        /// The reason.
        reason: CompileError,
    },
    /// The component cannot be composed with others, whether or not it can be run alone.
    #[error("`{}` cannot be composed: {reason}", text::path(.path))]
    CannotCompose {
        /// The file.
        path: PathBuf,
        /// The composer's message.
        reason: String,
    },
}

impl ComponentError {
    fn unreadable(path: &Path, source: io::Error) -> Self {
        match source.kind() {
            io::ErrorKind::NotFound => Self::Missing { path: path.into() },
            io::ErrorKind::InvalidInput => Self::NotAFile {
                path: path.into(),
                source,
            },
            _ => Self::Unreadable {
                path: path.into(),
                source,
            },
        }
    }

    pub(crate) fn not_compiled(path: &Path, reason: CompileError) -> Self {
        match reason {
            CompileError::Invalid { reason } => Self::Invalid {
                path: path.into(),
                reason,
            },
            reason => Self::NotCompiled {
                path: path.into(),
                reason,
            },
        }
    }

    /// Advice on what to do about it, as a sentence without full stop.
    pub fn advice(&self) -> Option<&'static str> {
        match self {
            Self::NotAFile { .. } => {
                Some("give the path of a file; write the output of a program to one first")
            }
            Self::Missing { path } if path.to_str().is_some_and(|path| path.contains("://")) => {
                Some("a path belongs there: download the file first")
            }
            Self::Missing { .. } => Some("build the component first, or correct the path"),
            Self::Unusable { reason, .. } => reason.advice(),
            Self::Text { .. } => Some("turn it into a binary: `wasm-tools parse FILE.wat -o FILE.wasm`"),
            Self::Precompiled { .. } => {
                Some("give the component itself; Outport compiles it once and keeps the result")
            }
            Self::NotCompiled { reason, .. } => reason.advice(),
            Self::Unreadable { .. }
            | Self::TooLarge { .. }
            | Self::WrongDigest { .. }
            | Self::NotWebAssembly { .. }
            | Self::Invalid { .. }
            | Self::CannotCompose { .. } => None,
        }
    }
}

impl Component {
    /// Reads, examines and compiles the component at `path`, or maps the code that an earlier start kept.
    ///
    /// # Errors
    ///
    /// When the file cannot be read, or is not a component that this engine can run.
    pub fn load(path: &Path, engine: &Engine) -> Result<Self, ComponentError> {
        Self::load_file(path, None, engine)
    }

    /// The same for a file that must have this SHA-256, in 64 hexadecimal digits.
    pub(crate) fn load_file(
        path: &Path,
        digest: Option<&str>,
        engine: &Engine,
    ) -> Result<Self, ComponentError> {
        let code = code_of(engine, path)?;
        let unreadable = |source: io::Error| ComponentError::unreadable(path, source);
        let mut file = regular_file::open(path).map_err(unreadable)?;
        // Before it is hashed, which reads all of it.
        if file.metadata().map_err(unreadable)?.len() > LARGEST {
            return Err(ComponentError::TooLarge { path: path.into() });
        }
        let content = code.content_of(&mut file).map_err(unreadable)?;
        if is_meant(digest, &content)
            && let Some(compiled) = code.find(engine.wasmtime(), &content)
        {
            return Ok(Self::of(compiled));
        }
        file.rewind().map_err(unreadable)?;
        let bytes = read_from(file, path, digest)?;
        check(path, &bytes)?;
        Self::compile(path, &bytes, engine, &code)
    }

    /// Compiles `bytes`, or maps the code that an earlier start kept. Messages name `path` as where they are from.
    ///
    /// # Errors
    ///
    /// When they are not a component that this engine can run.
    pub(crate) fn from_bytes(path: &Path, bytes: &[u8], engine: &Engine) -> Result<Self, ComponentError> {
        let code = code_of(engine, path)?;
        match code.find(engine.wasmtime(), &ContentHash::of(bytes)) {
            Some(compiled) => Ok(Self::of(compiled)),
            None => Self::compile(path, bytes, engine, &code),
        }
    }

    fn compile(
        path: &Path,
        bytes: &[u8],
        engine: &Engine,
        code: &CompiledCode,
    ) -> Result<Self, ComponentError> {
        code.compile(engine.wasmtime(), bytes, path)
            .map(Self::of)
            .map_err(|reason| ComponentError::not_compiled(path, reason))
    }

    fn of(compiled: Compiled) -> Self {
        Self {
            compiled,
            dependencies: Arc::default(),
            own_imports: Arc::default(),
        }
    }

    /// The same component, which knows what was composed into it, and which imports were made for these parts.
    pub(crate) fn composed_of(self, names: impl Iterator<Item = String>, own_imports: Vec<String>) -> Self {
        Self {
            dependencies: names.collect(),
            own_imports: own_imports.into(),
            ..self
        }
    }

    /// The meaning of an import that was made for a part when the component was composed; none of any other, whatever it
    /// is called.
    pub(crate) fn own_import<'n>(&self, name: &'n str) -> Option<Isolated<'n>> {
        let is_own = self.own_imports.iter().any(|own| own == name);
        is_own.then(|| Isolated::parse(name)).flatten()
    }

    /// The names of the dependencies that were composed into it, as the manifest has them.
    pub(crate) fn dependencies(&self) -> &[String] {
        &self.dependencies
    }

    /// The component of wasmtime behind this one.
    pub fn wasmtime(&self) -> &Compiled {
        &self.compiled
    }

    /// True if the component exports it.
    pub fn has(&self, export: Export) -> bool {
        self.exports().any(|name| export.is_in(&name))
    }

    /// Names of the interfaces and functions that the component exports.
    pub fn exports(&self) -> impl Iterator<Item = String> {
        let engine = self.compiled.engine();
        let names: Vec<_> = self
            .compiled
            .component_type()
            .exports(engine)
            .map(|(name, _)| name.to_owned())
            .collect();
        names.into_iter()
    }

    /// Names of the interfaces and functions that the component is given, without those that a dependency in it is
    /// kept from. What a part has of its own is called as for all.
    pub fn given_imports(&self) -> impl Iterator<Item = String> {
        let given = |name: String| match self.own_import(&name) {
            None => Some(name),
            Some(isolated) if isolated.right == Right::Narrowed => Some(isolated.import.to_owned()),
            Some(_) => None,
        };
        self.imports().filter_map(given)
    }

    /// The numbers of the parts that reach only some of the hosts that the component reaches, in their order.
    pub(crate) fn narrowed(&self) -> BTreeSet<usize> {
        let own = self.own_imports.iter().filter_map(|name| Isolated::parse(name));
        own.filter(|own| own.right == Right::Narrowed)
            .map(|own| own.part)
            .collect()
    }

    /// Names of the interfaces and functions that the component is given, that nobody provides, and that trap when they
    /// are called. An interface of types alone is none of them.
    pub fn trapped_imports(&self) -> impl Iterator<Item = String> {
        let engine = self.compiled.engine();
        let imports = self.compiled.component_type();
        let trapped: Vec<_> = imports
            .imports(engine)
            .filter(|(name, import)| {
                self.own_import(name).is_none() && !is_provided(name) && is_callable(&import.ty, engine)
            })
            .map(|(name, _)| name.to_owned())
            .collect();
        trapped.into_iter()
    }

    /// Names of the interfaces that the component is given of a snapshot of WASI whose sockets are not served: making
    /// one, or looking a name up, answers an error.
    pub fn refused_sockets(&self) -> impl Iterator<Item = String> {
        let engine = self.compiled.engine();
        let imports = self.compiled.component_type();
        let refused: Vec<_> = imports
            .imports(engine)
            .filter(|(name, import)| wasi_2023::refuses(name) && is_callable(&import.ty, engine))
            .map(|(name, _)| name.to_owned())
            .collect();
        refused.into_iter()
    }

    /// Names of the interfaces and functions that the component imports.
    pub fn imports(&self) -> impl Iterator<Item = String> {
        let engine = self.compiled.engine();
        let names: Vec<_> = self
            .compiled
            .component_type()
            .imports(engine)
            .map(|(name, _)| name.to_owned())
            .collect();
        names.into_iter()
    }
}

fn is_callable(item: &ComponentItem, engine: &wasmtime::Engine) -> bool {
    match item {
        ComponentItem::ComponentFunc(_) => true,
        ComponentItem::ComponentInstance(interface) => interface
            .exports(engine)
            .any(|(_, export)| matches!(export.ty, ComponentItem::ComponentFunc(_))),
        _ => false,
    }
}

impl Export {
    /// What an export of this name is, if it can be started.
    pub fn of(export: &str) -> Option<Self> {
        ALL.into_iter().find(|known| known.is_in(export))
    }

    /// What it is started for: `answers HTTP (WASI 0.2)`.
    pub fn purpose(self) -> &'static str {
        match self {
            Self::CommandP2 => "runs as a command (WASI 0.2)",
            Self::CommandP3 => "runs as a command (WASI 0.3)",
            Self::HttpP2 => "answers HTTP (WASI 0.2)",
            Self::HttpP3 => "answers HTTP (WASI 0.3)",
            Self::InboundHttp => "answers HTTP (Spin's first interface)",
            Self::InboundRedis => "handles messages of Redis (Spin's first interface)",
            Self::InboundRedisV3 => "handles messages of Redis",
            Self::CronEvent => "handles events of a clock",
            Self::MqttMessage => "handles messages of MQTT",
            Self::QueueMessage => "handles messages of SQS",
        }
    }

    /// Whether it is started for requests.
    pub fn answers_http(self) -> bool {
        matches!(self, Self::HttpP2 | Self::HttpP3 | Self::InboundHttp)
    }

    /// Whether it is run once, to its end.
    pub fn runs_as_command(self) -> bool {
        matches!(self, Self::CommandP2 | Self::CommandP3)
    }

    /// Whether it is started for events.
    pub fn handles_events(self) -> bool {
        matches!(
            self,
            Self::InboundRedis
                | Self::InboundRedisV3
                | Self::CronEvent
                | Self::MqttMessage
                | Self::QueueMessage
        )
    }

    /// What a message calls it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::CommandP2 | Self::CommandP3 => "wasi:cli/run",
            Self::HttpP2 => "wasi:http/incoming-handler",
            Self::HttpP3 => "wasi:http/handler",
            Self::InboundHttp => INBOUND_HTTP,
            Self::InboundRedis => INBOUND_REDIS,
            Self::InboundRedisV3 => "spin:redis/inbound-redis",
            Self::CronEvent => "handle-cron-event",
            Self::MqttMessage => "handle-message",
            Self::QueueMessage => "handle-queue-message",
        }
    }

    fn is_in(self, export: &str) -> bool {
        let (interface, version) = export.split_once('@').unwrap_or((export, ""));
        let track = match self {
            Self::CommandP2 | Self::HttpP2 => "0.2.",
            Self::CommandP3 | Self::HttpP3 => "0.3.",
            Self::InboundRedisV3 => "3.",
            // Without a version.
            _ => return export == self.name(),
        };
        // A release candidate is another interface: its functions may differ.
        interface == self.name() && version.starts_with(track) && !version.contains('-')
    }
}

const ALL: [Export; 10] = [
    Export::CommandP2,
    Export::CommandP3,
    Export::HttpP2,
    Export::HttpP3,
    Export::InboundHttp,
    Export::InboundRedis,
    Export::InboundRedisV3,
    Export::CronEvent,
    Export::MqttMessage,
    Export::QueueMessage,
];

/// Spin's first interface of components that answer HTTP.
pub(crate) const INBOUND_HTTP: &str = "fermyon:spin/inbound-http";

/// The same for messages of Redis.
pub(crate) const INBOUND_REDIS: &str = "fermyon:spin/inbound-redis";

/// Reads the component at `path`, which must have this SHA-256 where one is given, in 64 hexadecimal digits.
///
/// # Errors
///
/// When the file cannot be read, is another one, or no component.
pub(crate) fn read(path: &Path, digest: Option<&str>) -> Result<Vec<u8>, ComponentError> {
    let bytes = read_bytes(path, digest)?;
    check(path, &bytes)?;
    Ok(bytes)
}

/// The same whatever WebAssembly it is.
pub(crate) fn read_bytes(path: &Path, digest: Option<&str>) -> Result<Vec<u8>, ComponentError> {
    let file = regular_file::open(path).map_err(|source| ComponentError::unreadable(path, source))?;
    read_from(file, path, digest)
}

/// Refuses what cannot run, whatever is made of it.
pub(crate) fn check(path: &Path, bytes: &[u8]) -> Result<(), ComponentError> {
    match outport_components::identify(bytes) {
        // The compiler says best what is wrong with it.
        Ok(_) | Err(AdaptError::Invalid { .. }) => Ok(()),
        Err(reason) => Err(ComponentError::Unusable {
            path: path.into(),
            reason,
        }),
    }
}

/// The same as a component, where the file holds what one can be made of.
///
/// # Errors
///
/// As of [`read`]; or when none can be made.
pub(crate) fn read_as_component(
    path: &Path,
    digest: Option<&str>,
    engine: &Engine,
) -> Result<Vec<u8>, ComponentError> {
    let code = code_of(engine, path)?;
    code.adapt(read(path, digest)?, path)
        .map_err(|reason| ComponentError::not_compiled(path, reason))
}

/// The file may grow while it is read, and need not be a component: what is none is refused by its beginning.
fn read_from(mut file: File, path: &Path, digest: Option<&str>) -> Result<Vec<u8>, ComponentError> {
    let mut bytes = Vec::new();
    let mut read = |most: u64, bytes: &mut Vec<u8>| {
        (&mut file)
            .take(most)
            .read_to_end(bytes)
            .map_err(|source| ComponentError::unreadable(path, source))
    };
    read(BEGINNING, &mut bytes)?;
    // With a digest the file is read whole first, so that a wrong one is told as that, whatever is in it.
    if digest.is_none() && !is_binary(&bytes) {
        examine(path, &bytes)?;
    }
    // One byte more than may be, to tell a file that has as much from one that has more.
    read(LARGEST - BEGINNING + 1, &mut bytes)?;
    if bytes.len() as u64 > LARGEST {
        return Err(ComponentError::TooLarge { path: path.into() });
    }
    if !is_meant(digest, &ContentHash::of(&bytes)) {
        return Err(ComponentError::WrongDigest { path: path.into() });
    }
    examine(path, &bytes)?;
    Ok(bytes)
}

/// True if it begins as WebAssembly or as machine code does, of which the rest says more.
fn is_binary(beginning: &[u8]) -> bool {
    beginning.starts_with(b"\0asm") || beginning.starts_with(b"\x7fELF")
}

/// The keeper of compiled code that compiles the component from `path`.
fn code_of(engine: &Engine, path: &Path) -> Result<Arc<CompiledCode>, ComponentError> {
    engine.code().ok_or_else(|| ComponentError::NotCompiled {
        path: path.into(),
        reason: CompileError::Failed {
            reason: "the engine compiles nothing any more".into(),
        },
    })
}

fn is_meant(digest: Option<&str>, content: &ContentHash) -> bool {
    digest.is_none_or(|digest| digest == content.hex())
}

/// Names of exports for a message.
pub(crate) fn list(exports: &[String]) -> String {
    if exports.is_empty() {
        return "nothing".into();
    }
    let quoted: Vec<_> = exports
        .iter()
        .map(|export| format!("`{}`", export.escape_debug()))
        .collect();
    quoted.join(", ")
}

/// Refuses what is neither a component nor a module by its first eight bytes: magic, version, layer.
fn examine(path: &Path, bytes: &[u8]) -> Result<(), ComponentError> {
    let path = || path.to_path_buf();
    match bytes {
        [b'\0', b'a', b's', b'm', _, _, COMPONENT_LAYER, 0, ..]
        | [b'\0', b'a', b's', b'm', 1, 0, 0, 0, ..] => Ok(()),
        _ if wasmtime::Engine::detect_precompiled(bytes).is_some() => {
            Err(ComponentError::Precompiled { path: path() })
        }
        _ if is_text(bytes) => Err(ComponentError::Text { path: path() }),
        _ => Err(ComponentError::NotWebAssembly {
            path: path(),
            found: describe(bytes),
        }),
    }
}

fn is_text(bytes: &[u8]) -> bool {
    let text = bytes.trim_ascii_start();
    text.starts_with(b"(component") || text.starts_with(b"(module") || text.starts_with(b";;")
}

fn describe(bytes: &[u8]) -> String {
    match bytes {
        [] => "is empty".into(),
        [b'\0', b'a', b's', b'm', ..] => "is cut short, or of an unknown version".into(),
        [0x7f, b'E', b'L', b'F', ..] => "is a native program or library".into(),
        _ => format!("begins with `{}`", bytes[..bytes.len().min(8)].escape_ascii()),
    }
}

/// The number of bytes of a file that show that it is not a component.
const BEGINNING: u64 = 64;

/// Bytes of the largest component. Compiled it is several times as large, and all of it is in memory meanwhile.
const LARGEST: u64 = 1 << 30;

/// The layer field of a component; a core module has 0 there.
const COMPONENT_LAYER: u8 = 1;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_never_ends_is_refused_by_what_it_is_or_its_length() {
        let read = |path: &Path| read(path, None).expect_err("it is not a component").to_string();
        assert_eq!(
            read(Path::new("/dev/zero")),
            "`/dev/zero` was not opened: it is a device, not a file"
        );
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("long.wasm");
        std::fs::write(&path, b"\0asm\x0d\0\x01\0").unwrap();
        File::options()
            .write(true)
            .open(&path)
            .unwrap()
            .set_len(LARGEST + 1)
            .unwrap();
        let engine = Engine::new(crate::engine::Allocation::Single).expect("this machine can run wasm");
        let error = Component::load_file(&path, None, &engine).err();
        assert!(
            matches!(error, Some(ComponentError::TooLarge { .. })),
            "{error:?}"
        );
    }

    #[test]
    fn what_is_not_a_component_is_refused_by_what_it_is() {
        let cases: &[(&[u8], &str)] = &[
            (b"", "`x` is not WebAssembly: it is empty"),
            (
                b"\0asm",
                "`x` is not WebAssembly: it is cut short, or of an unknown version",
            ),
            (
                b"\0asm\x02\0\0\0",
                "`x` is not WebAssembly: it is cut short, or of an unknown version",
            ),
            (b" (module)", "`x` is WebAssembly text, not a component"),
            (b"(component)", "`x` is WebAssembly text, not a component"),
            (
                b"\x7fELF\x02\x01\x01",
                "`x` is not WebAssembly: it is a native program or library",
            ),
            (
                b"#!/bin/sh\n",
                "`x` is not WebAssembly: it begins with `#!/bin/s`",
            ),
            (b"\x1b[31m", "`x` is not WebAssembly: it begins with `\\x1b[31m`"),
        ];
        for (bytes, message) in cases {
            let error = examine(Path::new("x"), bytes).expect_err("it is not a component");
            assert_eq!(error.to_string(), *message);
        }
        examine(Path::new("x"), b"\0asm\x0d\0\x01\0").expect("an empty component");
        examine(Path::new("x"), b"\0asm\x01\0\0\0").expect("an empty module");
    }

    #[test]
    fn an_export_is_an_interface_of_one_track_of_wasi() {
        // (export, expected)
        let cases: &[(&str, &[Export])] = &[
            ("wasi:cli/run@0.2.0", &[Export::CommandP2]),
            ("wasi:cli/run@0.2.12", &[Export::CommandP2]),
            ("wasi:cli/run@0.3.0", &[Export::CommandP3]),
            ("wasi:cli/run@0.3.0-rc-2026-03-15", &[]),
            ("wasi:cli/run", &[]),
            ("wasi:http/incoming-handler@0.2.6", &[Export::HttpP2]),
            ("wasi:http/handler@0.3.0", &[Export::HttpP3]),
            ("wasi:http/handler@0.4.0", &[]),
            ("fermyon:spin/inbound-http", &[Export::InboundHttp]),
            ("fermyon:spin/inbound-http@2.0.0", &[]),
            ("fermyon:spin/inbound-redis", &[Export::InboundRedis]),
            ("fermyon:spin/inbound-redis@2.0.0", &[]),
            ("spin:redis/inbound-redis@3.0.0", &[Export::InboundRedisV3]),
            ("spin:redis/inbound-redis", &[]),
            ("handle-cron-event", &[Export::CronEvent]),
            ("handle-message", &[Export::MqttMessage]),
            ("handle-queue-message", &[Export::QueueMessage]),
            ("a:b/handle-message", &[]),
        ];
        for (export, expected) in cases {
            let found: Vec<_> = ALL.into_iter().filter(|known| known.is_in(export)).collect();
            assert_eq!(found, *expected, "{export}");
        }
    }
}
