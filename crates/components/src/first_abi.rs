//! Modules of Spin's first ABI: what its SDKs made before there were components, and TinyGo's until its third SDK.
//!
//! Their imports and exports have the flat types that today's canonical ABI gives the same functions: so only names differ,
//! and no adapter of its own is needed. A module is renamed, and given the world that its exports make of the unversioned
//! `fermyon:spin`; then it is a module with a world like any other.
//!
//! What a handler answers stays allocated, as that ABI had nothing to free it with: an instance is for one request.
//!
//! `_start`, which TinyGo exports too, is not called: nor did Spin call it.

use wit_component::StringEncoding;
use wit_parser::Resolve;

use crate::AdaptError;
use crate::sections::{self, Item, NewName, Section, Side};

/// True if a module with these exports is one.
pub(crate) fn is_exported<'n>(mut exports: impl Iterator<Item = &'n str>) -> bool {
    exports.any(|export| HANDLERS.iter().any(|(old, _)| *old == export))
}

/// True if that ABI has the import.
pub(crate) fn has(module: &str) -> bool {
    IMPORTS.iter().any(|(old, _)| *old == module)
}

/// The same module under today's names, with a world.
pub(crate) fn modernize(bytes: &[u8], sections: &[Section<'_>]) -> Result<Vec<u8>, AdaptError> {
    let exports = || {
        let of_exports = sections
            .iter()
            .filter(|section| section.side == Side::ModuleExport);
        of_exports.flat_map(|section| section.items.iter().map(|item| item.name))
    };
    let has_today = exports().any(|export| export == REALLOC);
    let new_name = |side: Side, item: &Item<'_>| -> Option<NewName> {
        match side {
            Side::ModuleImport => {
                let (_, interface) = IMPORTS.iter().find(|(old, _)| *old == item.module)?;
                let function = match (item.module, item.name) {
                    ("wasi-outbound-http", "request") => "send-request",
                    (_, function) => function,
                };
                Some((format!("fermyon:spin/{interface}"), function.to_owned()))
            }
            Side::ModuleExport if item.name == "canonical_abi_realloc" && !has_today => {
                Some((String::new(), REALLOC.to_owned()))
            }
            Side::ModuleExport => {
                let (_, new) = HANDLERS.iter().find(|(old, _)| *old == item.name)?;
                Some((String::new(), (*new).to_owned()))
            }
            Side::Import | Side::Export => None,
        }
    };
    let mut module = sections::rename(bytes, sections, new_name).unwrap_or_else(|| bytes.to_vec());
    let triggers = HANDLERS.map(|(old, _)| exports().any(|export| export == old));
    let world = match triggers {
        [true, true] => "both-triggers",
        [false, true] => "redis-trigger",
        _ => "http-trigger",
    };
    let mut resolve = Resolve::default();
    let package = resolve
        .push_str("fermyon-spin.wit", WIT)
        .map_err(AdaptError::of)?;
    let world = resolve
        .select_world(&[package], Some(world))
        .map_err(AdaptError::of)?;
    wit_component::embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8)
        .map_err(AdaptError::of)?;
    Ok(module)
}

/// The unversioned interfaces, as the later generations of that ABI's SDKs have them.
const WIT: &str = include_str!("../wit/fermyon-spin.wit");

/// What a handler is exported as, then and now.
const HANDLERS: [(&str, &str); 2] = [
    ("handle-http-request", "fermyon:spin/inbound-http#handle-request"),
    (
        "handle-redis-message",
        "fermyon:spin/inbound-redis#handle-message",
    ),
];

/// The module of an import then, and the interface now.
const IMPORTS: [(&str, &str); 8] = [
    ("key-value", "key-value"),
    ("llm", "llm"),
    ("outbound-mysql", "mysql"),
    ("outbound-pg", "postgres"),
    ("outbound-redis", "redis"),
    ("spin-config", "config"),
    ("sqlite", "sqlite"),
    ("wasi-outbound-http", "http"),
];

/// What allocates for the host.
const REALLOC: &str = "cabi_realloc";
