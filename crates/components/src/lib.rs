//! What a WebAssembly file is, and what makes a component of it that the runtime knows: bytes in, bytes out.
//!
//! ```text
//! component of WASI 0.2.x, 0.3.0 ─────────────────────────────────────────────▶ as it is
//! component of the release candidate of 0.3, or of a snapshot of 2023 ─ names ─▶ names of what is provided
//! module for preview 1, or with a world of its own ─ adapter ─▶ component ─────▶ names
//! module of Spin's first ABI ─ renamed, given a world ─ adapter ─▶ component ──▶ names
//! anything else ───────────────────────────────────────────────────────────────▶ refused: what it is, what to do
//! ```
//!
//! [`adapt`] does it all. It knows neither an engine nor the network, and gives nobody a right: what comes of a file is
//! compiled, linked and judged like any other component.

mod error;
mod names;

use std::borrow::Cow;

pub use error::AdaptError;

/// The component that the runtime knows, made of `bytes`: these themselves where there is nothing to do.
///
/// What comes of it is not validated; the compiler does that.
///
/// # Errors
///
/// When `bytes` are neither a component nor a module that a component can be made of.
pub fn adapt(bytes: &[u8]) -> Result<Cow<'_, [u8]>, AdaptError> {
    names::map(bytes)
}

/// Changes whenever [`adapt`] makes something else of the same bytes, so that what was kept of an earlier version is made
/// anew.
pub const REVISION: u32 = 1;
