//! What is linked, and in which order. One call is enough, and nothing is forgotten by it:
//!
//! ```text
//! add_wasi_to_linker    WASI of wasmtime ─▶ then as below                     for a linker that has nothing yet
//! add_to_linker         sockets, look-ups and HTTP of WASI 0.2 ─▶ and of 0.3   for a linker that has WASI already
//!                       what the build has no gate for ─▶ shut
//! ```
//!
//! Whatever leads to the network takes the place of what was there before. What is there afterwards is refused: of two
//! definitions of one function wasmtime's linker takes none but with `allow_shadowing`, which is off again when these
//! functions return. So the other order is an error and not a way past the gate, unless somebody turns shadowing on and
//! links wasmtime's interfaces once more.
//!
//! WASI 0.3 is linked where the engine has what it needs; without that it compiles no component that would import it.

use wasmtime::component::Linker;
use wasmtime_wasi::WasiView;

use crate::ctx::GateView;
use crate::p2;
#[cfg(not(feature = "p3"))]
use crate::shut_interfaces;

/// Puts the gate in front of everything in a linker that leads to the network: the sockets and look-ups of WASI 0.2 and 0.3,
/// and outgoing HTTP of both. To be called after the `add_to_linker` functions of `wasmtime-wasi` and `wasmtime-wasi-http`,
/// whose interfaces it replaces: a linker with both before and this behind it has no way past the gate.
///
/// `wasi:http` is linked as a whole, so `wasmtime-wasi-http` need not be. Without the features `http` and `p3` of this
/// crate what they are for has no gate, and is shut where it is linked: see [`Cargo features`](crate#cargo-features).
///
/// # Errors
///
/// What the linker reports.
pub fn add_to_linker<T: GateView + 'static>(linker: &mut Linker<T>) -> wasmtime::Result<()> {
    p2::add_to_linker(linker)?;
    #[cfg(feature = "p3")]
    if speaks_0_3(linker.engine()) {
        crate::p3::add_to_linker(linker)?;
    }
    #[cfg(not(feature = "p3"))]
    shadowing(linker, |linker| {
        shut_interfaces::shut(linker, shut_interfaces::OF_0_3)
    })?;
    Ok(())
}

/// All of WASI for a linker that has none: that of wasmtime, and the gate in the place of its network.
///
/// # Errors
///
/// What the linker reports, such as that it has WASI already: then it is [`add_to_linker`] that is wanted.
pub fn add_wasi_to_linker<T: WasiView + GateView + 'static>(linker: &mut Linker<T>) -> wasmtime::Result<()> {
    wasmtime_wasi::p2::add_to_linker_async(linker)?;
    #[cfg(feature = "p3")]
    if speaks_0_3(linker.engine()) {
        wasmtime_wasi::p3::add_to_linker(linker)?;
    }
    add_to_linker(linker)
}

/// Links what takes the place of what is there.
pub(crate) fn shadowing<T: 'static>(
    linker: &mut Linker<T>,
    add: impl FnOnce(&mut Linker<T>) -> wasmtime::Result<()>,
) -> wasmtime::Result<()> {
    linker.allow_shadowing(true);
    let added = add(linker);
    linker.allow_shadowing(false);
    added
}

/// True if functions of WASI 0.3 can be linked, which an engine without concurrency refuses.
#[cfg(feature = "p3")]
fn speaks_0_3(engine: &wasmtime::Engine) -> bool {
    let mut probe = Linker::<()>::new(engine);
    let added = probe
        .root()
        .func_wrap_concurrent("probe", |_, (): ()| Box::pin(async { Ok(()) }));
    added.is_ok()
}
