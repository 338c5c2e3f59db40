//! Methods of a host trait that are passed on to `wasmtime-wasi` as they are.

/// Writes, inside an `impl` of the trait for [`GateCtxView`](crate::GateCtxView), the methods that are listed: each
/// calls the same method of `wasmtime-wasi`'s own implementation.
macro_rules! pass_on {
    ($trait:ident: $(fn $name:ident($($arg:ident: $type:ty),*) -> $result:ty;)*) => {$(
        fn $name(&mut self, $($arg: $type),*) -> $result {
            <wasmtime_wasi::sockets::WasiSocketsCtxView<'_> as $trait>::$name(&mut self.sockets(), $($arg),*)
        }
    )*};
}
pub(crate) use pass_on;
