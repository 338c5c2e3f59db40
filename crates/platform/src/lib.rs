//! What the host has for guests beside the network: stores that outlive an instance, models, and connections to servers
//! that it speaks to on their behalf.
//!
//! ```text
//! guest ─ open("default") ─▶ adapter of a version ─▶ gate: is the label granted? ─▶ Platform: what it stands for
//!                                 │                                                       │
//!                                 └── get, set, … ────────────────────────────────────────▶ backend
//! ```
//!
//! A label is granted by the component's own list, which the gate knows ([`AllowList::with_labels`]); it is judged there
//! as an attempt like any other, counted, and told with its reason (HI-5, HI-8). What a label stands for is the operator's
//! and the same for all components: two that list it share it.
//!
//! An address that a guest gives is parsed by the interface, judged by the gate, and connected to by it ([`Dialer`], HI-1):
//! nothing in this crate resolves a name or opens a socket.
//!
//! Three steps for an embedder: keep a [`PlatformCtx`] in the store's data beside the gate, give both out by
//! [`PlatformView`], and call [`add_to_linker`].
//!
//! [`Dialer`]: outport_egress::Dialer
//! [`AllowList::with_labels`]: outport_policy::AllowList::with_labels

#![cfg_attr(
    test,
    allow(
        clippy::disallowed_methods,
        reason = "tests are the servers that the platform connects to, and their clients"
    )
)]
// What interfaces share is there without any of them, too; and `tls` needs none of it.
#![cfg_attr(
    not(any(
        feature = "key-value",
        feature = "llm",
        feature = "postgres",
        feature = "redis",
        feature = "sqlite"
    )),
    allow(dead_code, reason = "nobody uses what the interfaces share")
)]

#[cfg(any(
    feature = "mysql",
    feature = "mqtt",
    feature = "postgres",
    feature = "redis",
    feature = "sqs"
))]
mod address;
mod ctx;
#[cfg(any(feature = "key-value", feature = "sqlite"))]
mod embedded_sqlite;
#[cfg(feature = "key-value")]
pub mod key_value;
#[cfg(any(feature = "mqtt", feature = "redis", feature = "sqs"))]
pub mod listening;
#[cfg(feature = "llm")]
pub mod llm;
#[cfg(feature = "mqtt")]
pub mod mqtt;
#[cfg(feature = "mysql")]
pub mod mysql;
#[cfg(any(
    feature = "mqtt",
    feature = "mysql",
    feature = "postgres",
    feature = "redis",
    feature = "sqs"
))]
mod not_opened;
#[cfg(any(feature = "llm", feature = "sqlite", feature = "sqs"))]
#[cfg_attr(
    not(all(feature = "llm", feature = "sqlite", feature = "sqs")),
    allow(
        dead_code,
        unused_imports,
        reason = "each of the three uses what the others do not"
    )
)]
mod operator_server;
mod part;
#[cfg(any(
    feature = "key-value",
    feature = "mysql",
    feature = "postgres",
    feature = "sqlite"
))]
mod pieces;
#[cfg(any(
    feature = "mqtt",
    feature = "mysql",
    feature = "postgres",
    feature = "redis",
    feature = "sqs"
))]
mod places;
mod platform;
#[cfg(feature = "postgres")]
pub mod postgres;
#[cfg(any(feature = "mysql", feature = "postgres"))]
pub mod rdbms;
#[cfg(feature = "redis")]
pub mod redis;
#[cfg(any(feature = "mysql", feature = "postgres"))]
mod room;
#[cfg(any(feature = "mysql", feature = "postgres"))]
mod row_stream;
#[cfg(feature = "sqlite")]
pub mod sqlite;
#[cfg(feature = "sqs")]
pub mod sqs;
#[cfg(feature = "tls")]
pub mod tls;
#[cfg(all(
    test,
    any(feature = "mqtt", feature = "mysql", feature = "postgres", feature = "redis")
))]
mod told;
#[cfg(any(feature = "key-value", feature = "llm", feature = "sqlite"))]
mod trouble;
#[cfg(any(feature = "key-value", feature = "llm", feature = "sqlite"))]
mod work;

pub use ctx::{PlatformCtx, PlatformCtxView, PlatformView};
#[cfg(any(feature = "llm", feature = "sqlite", feature = "sqs"))]
pub use operator_server::ServerError;
pub use part::{PartView, add_for_part};
pub use platform::{Platform, PlatformBuilder};
use wasmtime::component::Linker;

/// The features that are on, each of which is an interface.
pub const INTERFACES: &[&str] = &[
    #[cfg(feature = "key-value")]
    "key-value",
    #[cfg(feature = "llm")]
    "llm",
    #[cfg(feature = "mqtt")]
    "mqtt",
    #[cfg(feature = "mysql")]
    "mysql",
    #[cfg(feature = "postgres")]
    "postgres",
    #[cfg(feature = "redis")]
    "redis",
    #[cfg(feature = "sqlite")]
    "sqlite",
    #[cfg(feature = "sqs")]
    "sqs",
    #[cfg(feature = "tls")]
    "tls",
];

/// Adds the interfaces of every feature that is on, but for those of [`tls`], which have a context of their own.
///
/// # Errors
///
/// What the linker reports, as when it has one of them already.
pub fn add_to_linker<T: PlatformView + 'static>(linker: &mut Linker<T>) -> wasmtime::Result<()> {
    interfaces().try_for_each(|interface| (interface.add)(linker))
}

/// Adds those interfaces of which a component with these `imports` has one, in any version. What a component does not use
/// costs it neither time at its start nor memory.
///
/// # Errors
///
/// What the linker reports, as when it has one of them already.
pub fn add_imported_to_linker<T: PlatformView + 'static>(
    linker: &mut Linker<T>,
    imports: &[&str],
) -> wasmtime::Result<()> {
    interfaces()
        .filter(|interface| imports.iter().any(|import| interface.has(import)))
        .try_for_each(|interface| (interface.add)(linker))
}

/// An interface, and what adds all of its versions.
struct Interface<T: 'static> {
    /// Packages, and interfaces of packages that have others, without versions.
    names: &'static [&'static str],
    add: fn(&mut Linker<T>) -> wasmtime::Result<()>,
}

impl<T> Interface<T> {
    fn has(&self, import: &str) -> bool {
        let names = self.names.iter();
        let mut rests = names.filter_map(|name| import.strip_prefix(name));
        rests.any(|rest| rest.is_empty() || rest.starts_with(['/', '@']))
    }
}

fn interfaces<T: PlatformView + 'static>() -> impl Iterator<Item = Interface<T>> {
    [
        #[cfg(feature = "key-value")]
        Interface {
            names: &["fermyon:spin/key-value", "spin:key-value", "wasi:keyvalue"],
            add: key_value::add_to_linker,
        },
        #[cfg(feature = "llm")]
        Interface {
            names: &["fermyon:spin/llm"],
            add: llm::add_to_linker,
        },
        #[cfg(feature = "mqtt")]
        Interface {
            names: &["fermyon:spin/mqtt", "spin:mqtt"],
            add: mqtt::add_to_linker,
        },
        #[cfg(feature = "mysql")]
        Interface {
            names: &["fermyon:spin/mysql", "spin:mysql"],
            add: mysql::add_to_linker,
        },
        #[cfg(feature = "postgres")]
        Interface {
            names: &["fermyon:spin/postgres", "spin:postgres"],
            add: postgres::add_to_linker,
        },
        #[cfg(any(feature = "mysql", feature = "postgres"))]
        Interface {
            names: &["fermyon:spin/rdbms-types"],
            add: rdbms::add_to_linker,
        },
        #[cfg(feature = "redis")]
        Interface {
            names: &["fermyon:spin/redis", "fermyon:spin/redis-types", "spin:redis"],
            add: redis::add_to_linker,
        },
        #[cfg(feature = "sqlite")]
        Interface {
            names: &["fermyon:spin/sqlite", "spin:sqlite"],
            add: sqlite::add_to_linker,
        },
    ]
    .into_iter()
}
