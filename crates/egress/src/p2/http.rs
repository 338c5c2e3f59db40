//! Outgoing requests of WASI 0.2 as 0.3 has them, where wasmtime's differ.
//!
//! | what | wasmtime | here |
//! | --- | --- | --- |
//! | a request whose path was never set | `HTTP-protocol-error` | its path is `/` |
//! | a request whose authority was never set | `HTTP-protocol-error` | it is for the app itself (AL-10), as in Spin |
//! | a body that breaks off while the guest reads it | no code at all | the code that 0.3 has for it, by `http-error-code` |

use wasmtime::component::{Linker, LinkerInstance, Resource};
use wasmtime_wasi::p2::IoError;
use wasmtime_wasi_http::p2::bindings::http::outgoing_handler;
use wasmtime_wasi_http::p2::bindings::http::types::{ErrorCode, RequestOptions};
use wasmtime_wasi_http::p2::bindings::{self, LinkOptions};
use wasmtime_wasi_http::p2::types::{HostFutureIncomingResponse, HostOutgoingRequest};
use wasmtime_wasi_http::{Error, WasiHttp, WasiHttpCtxView};

use crate::ctx::GateView;
use crate::http::THE_APP;

/// Links all of `wasi:http` of WASI 0.2, by the hooks of the gate. The linker has to allow shadowing.
pub(super) fn add_http<T: GateView + 'static>(linker: &mut Linker<T>) -> wasmtime::Result<()> {
    let options = LinkOptions::default();
    bindings::http::types::add_to_linker::<T, WasiHttp>(linker, &(&options).into(), http)?;
    define_outgoing_handler(&mut linker.instance("wasi:http/outgoing-handler@0.2.12")?, http)?;
    linker
        .instance("wasi:http/types@0.2.12")?
        .func_wrap("http-error-code", |mut store, (error,): (Resource<IoError>,)| {
            Ok((error_code(&http(store.data_mut()), &error)?,))
        })
}

fn http<T: GateView>(state: &mut T) -> WasiHttpCtxView<'_> {
    state.gate().into_http()
}

/// Defines all of `wasi:http/outgoing-handler`, by the hooks of `view`.
pub(crate) fn define_outgoing_handler<T: 'static>(
    instance: &mut LinkerInstance<'_, T>,
    view: fn(&mut T) -> WasiHttpCtxView<'_>,
) -> wasmtime::Result<()> {
    type Given = (Resource<HostOutgoingRequest>, Option<Resource<RequestOptions>>);
    instance.func_wrap("handle", move |mut store, (request, options): Given| {
        Ok((send(&mut view(store.data_mut()), request, options)?,))
    })
}

/// Sends a request as guests of WASI 0.2 do by `wasi:http/outgoing-handler`, by the hooks of `view`. For interfaces that
/// only differ from that one in their types.
///
/// # Errors
///
/// The guest has to be stopped: it gave a handle that is none, or has as many as it may.
pub fn send(
    view: &mut WasiHttpCtxView<'_>,
    request: Resource<HostOutgoingRequest>,
    options: Option<Resource<RequestOptions>>,
) -> wasmtime::Result<Result<Resource<HostFutureIncomingResponse>, ErrorCode>> {
    let written = view.table.get_mut(&request)?;
    written.path_with_query.get_or_insert_with(|| "/".to_owned());
    written.authority.get_or_insert_with(|| THE_APP.to_owned());
    match outgoing_handler::Host::handle(view, request, options) {
        Ok(answer) => Ok(Ok(answer)),
        Err(error) => Ok(Err(error.downcast()?)),
    }
}

/// The code of HTTP that a failure of a stream has, if it is a body's, as WASI 0.2 has them.
///
/// # Errors
///
/// The guest gave a handle that is none.
pub fn error_code(
    view: &WasiHttpCtxView<'_>,
    error: &Resource<IoError>,
) -> wasmtime::Result<Option<ErrorCode>> {
    let error = view.table.get(error)?;
    let told = error.downcast_ref::<ErrorCode>().cloned();
    Ok(told.or_else(|| error.downcast_ref().map(code)))
}

/// The error of a body, in the words of WASI 0.2.
fn code(error: &Error) -> ErrorCode {
    match error {
        Error::ConnectionTerminated => ErrorCode::ConnectionTerminated,
        Error::ConnectionReadTimeout => ErrorCode::ConnectionReadTimeout,
        Error::HttpResponseIncomplete => ErrorCode::HttpResponseIncomplete,
        Error::HttpResponseHeaderSectionSize(size) => ErrorCode::HttpResponseHeaderSectionSize(*size),
        Error::HttpRequestBodySize(size) => ErrorCode::HttpRequestBodySize(*size),
        Error::HttpResponseBodySize(size) => ErrorCode::HttpResponseBodySize(*size),
        _ => ErrorCode::HttpProtocolError,
    }
}
