//! What a WebAssembly file is, and what makes a component of it that the runtime knows: bytes in, bytes out.
//!
//! ```text
//! component of WASI 0.2.x, 0.3.0 ───────────────────────────────────────────────▶ as it is
//! component of the release candidate of 0.3, or of a snapshot of 2023 ─ names ──▶ names of what is provided
//! module for preview 1, or with a world of its own ─ adapter ─▶ component ─ names ─▶ the same
//! module of Spin's first ABI ─ renamed, given a world ─ adapter ─▶ component ──────▶ the same
//! anything else ────────────────────────────────────────────────────────────────▶ refused: what it is, what to do
//! ```
//!
//! [`identify`] says which of these a file is, by its outermost sections; [`adapt`] makes the component. Neither knows an
//! engine or the network, and neither gives anybody a right: what comes of a file is compiled, linked and judged like any
//! other component.

mod description;
mod error;
mod first_abi;
mod go;
mod module;
mod names;
mod origin;
mod sections;

use std::borrow::Cow;

pub use description::{Description, Interface, MOST_PRODUCERS, Producer, producers};
pub use error::AdaptError;
pub use module::ModuleKind;

/// What a file is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Kind {
    /// A component whose names are those of what is provided, or of what nobody knows.
    Component,
    /// A component with names of versions that equal provided ones.
    OlderComponent,
    /// A core module that a component can be made of.
    Module(ModuleKind),
}

/// What `bytes` are. Neither code nor anything inside of a component is looked at.
///
/// # Errors
///
/// When they are damaged, or of a kind that cannot run: the error says which and what to do.
pub fn identify(bytes: &[u8]) -> Result<Kind, AdaptError> {
    if is_module(bytes) {
        return module::Module::read(bytes)?.kind().map(Kind::Module);
    }
    Ok(match names::map(bytes)? {
        Cow::Borrowed(_) => Kind::Component,
        Cow::Owned(_) => Kind::OlderComponent,
    })
}

/// The component that the runtime knows, made of `bytes`: these themselves where there is nothing to do.
///
/// What comes of it is not validated; the compiler does that.
///
/// # Errors
///
/// When `bytes` are neither a component nor a module that a component can be made of.
pub fn adapt(bytes: &[u8]) -> Result<Cow<'_, [u8]>, AdaptError> {
    if !is_module(bytes) {
        return names::map(bytes);
    }
    let component = module::Module::read(bytes)?.into_component()?;
    Ok(Cow::Owned(names::map(&component)?.into_owned()))
}

/// Says what is wrong with a module or component by itself, whatever an engine provides.
///
/// # Errors
///
/// The validator's.
pub fn validate(bytes: &[u8]) -> Result<(), AdaptError> {
    let features = wasmparser::WasmFeatures::all();
    let mut validator = wasmparser::Validator::new_with_features(features);
    validator
        .validate_all(bytes)
        .map(drop)
        .map_err(AdaptError::invalid)
}

/// The component with the names of what is provided, as [`adapt`] makes it of one.
#[doc(hidden)]
pub fn mapped(component: &[u8]) -> Result<Cow<'_, [u8]>, AdaptError> {
    names::map(component)
}

/// The module that is given to the encoder, as [`adapt`] does.
#[doc(hidden)]
pub fn prepared(module: &[u8]) -> Result<Vec<u8>, AdaptError> {
    let module = module::Module::read(module)?;
    let kind = module.kind()?;
    module.prepared(kind).map(Cow::into_owned)
}

/// The name that [`adapt`] gives an import or export of this name, unless the component has that one as well; none if it
/// stays as it is.
pub fn provided_name(name: &str) -> Option<String> {
    names::provided(name)
}

/// The component with other names of its own imports and exports: those that `new_name` gives.
///
/// # Errors
///
/// When its sections are damaged.
pub fn rename(component: &[u8], new_name: impl Fn(&str) -> Option<String>) -> Result<Vec<u8>, AdaptError> {
    names::rename(component, new_name)
}

/// Changes whenever [`adapt`] makes something else of the same bytes, so that what was kept of an earlier version is made
/// anew.
pub const REVISION: u32 = 3;

/// The first eight bytes of a file say whether it is a module: after the magic number version 1, of layer 0.
fn is_module(bytes: &[u8]) -> bool {
    bytes.starts_with(b"\0asm\x01\0\0\0")
}
