//! Outgoing requests of WASI 0.3 as 0.2 has them, where wasmtime's differ.
//!
//! | what | wasmtime | here |
//! | --- | --- | --- |
//! | a request whose path was never set | `HTTP-request-URI-invalid` | its path is `/` |
//! | a request whose authority was never set | `HTTP-request-URI-invalid` | it is for the app itself (AL-10), as in Spin |
//! | an authority whose port is empty or none: `host:`, `:`, `host:65536` | not taken | taken, and then judged: `host:` has the port of the scheme, a port that is none is `HTTP-request-URI-invalid` |

use http::uri::{Authority, PathAndQuery};
use wasmtime::component::{Linker, LinkerInstance, Resource};
use wasmtime_wasi_http::p3::Request;
use wasmtime_wasi_http::p3::bindings::http::{client, types};
use wasmtime_wasi_http::{WasiHttp, WasiHttpCtxView};

use crate::ctx::GateView;
use crate::http::THE_APP;

/// Links all of `wasi:http` of WASI 0.3, by the hooks of the gate. The linker has to allow shadowing.
pub(super) fn add_http<T: GateView + 'static>(linker: &mut Linker<T>) -> wasmtime::Result<()> {
    types::add_to_linker::<T, WasiHttp>(linker, http)?;
    linker.instance("wasi:http/types@0.3.0")?.func_wrap(
        "[method]request.set-authority",
        |mut store, (request, written): (Resource<Request>, Option<String>)| {
            let Ok(authority) = written.map(Authority::try_from).transpose() else {
                return Ok((Err(()),));
            };
            http(store.data_mut()).table.get_mut(&request)?.authority = authority;
            Ok((Ok(()),))
        },
    )?;
    define_client(&mut linker.instance("wasi:http/client@0.3.0")?, http)
}

fn http<T: GateView>(state: &mut T) -> WasiHttpCtxView<'_> {
    state.gate().into_http()
}

/// Defines all of `wasi:http/client`, by the hooks of `view`.
pub(crate) fn define_client<T: Send + 'static>(
    instance: &mut LinkerInstance<'_, T>,
    view: fn(&mut T) -> WasiHttpCtxView<'_>,
) -> wasmtime::Result<()> {
    instance.func_wrap_concurrent("send", move |store, (request,): (Resource<Request>,)| {
        Box::pin(async move {
            store.with(|mut store| {
                let written = view(store.get()).table.get_mut(&request)?;
                written
                    .path_with_query
                    .get_or_insert(PathAndQuery::from_static("/"));
                written.authority.get_or_insert(Authority::from_static(THE_APP));
                wasmtime::error::Ok(())
            })?;
            let store = store.with_getter::<WasiHttp>(view);
            Ok((
                match <WasiHttp as client::HostWithStore<T>>::send(&store, request).await {
                    Ok(answer) => Ok(answer),
                    Err(error) => Err(error.downcast()?),
                },
            ))
        })
    })
}
