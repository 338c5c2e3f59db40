//! Outgoing requests, where WASI 0.2 and 0.3 of wasmtime differ.
//!
//! | what | on 0.2 | on 0.3 | here |
//! | --- | --- | --- | --- |
//! | a request whose path was never set | `HTTP-protocol-error` | `HTTP-request-URI-invalid` | its path is `/` |
//! | a request whose authority was never set | `HTTP-protocol-error` | `HTTP-request-URI-invalid` | it is for the app itself (AL-10), as in Spin |
//! | an authority whose port is empty or none: `host:`, `:`, `host:65536` | taken, and then judged | not taken | taken, and then judged: `host:` has the port of the scheme, a port that is none is `HTTP-request-URI-invalid` |
//! | a body that breaks off while the guest reads it | no code at all | the code, by the trailers | the same code, by `http-error-code` |

use http::uri::{Authority, PathAndQuery};
use wasmtime::component::{Linker, Resource};
use wasmtime_wasi::p2::IoError;
use wasmtime_wasi_http::p2::bindings::http::outgoing_handler;
use wasmtime_wasi_http::p2::bindings::http::types::{ErrorCode, RequestOptions};
use wasmtime_wasi_http::p2::types::HostOutgoingRequest;
use wasmtime_wasi_http::p3::Request;
use wasmtime_wasi_http::p3::bindings::http::client;
use wasmtime_wasi_http::{Error, WasiHttp, WasiHttpView};

use crate::guest::Guest;

/// Puts these in the place of wasmtime's.
pub(crate) fn add_to_linker(linker: &mut Linker<Guest>) -> wasmtime::Result<()> {
    linker.allow_shadowing(true);
    let added = add_shadowing(linker);
    linker.allow_shadowing(false);
    added
}

fn add_shadowing(linker: &mut Linker<Guest>) -> wasmtime::Result<()> {
    type Given = (Resource<HostOutgoingRequest>, Option<Resource<RequestOptions>>);
    linker.instance("wasi:http/outgoing-handler@0.2.12")?.func_wrap(
        "handle",
        |mut store, (request, options): Given| {
            let guest = store.data_mut();
            let written = guest.table().get_mut(&request)?;
            written.path_with_query.get_or_insert_with(|| "/".to_owned());
            written.authority.get_or_insert_with(|| THE_APP.to_owned());
            Ok((
                match outgoing_handler::Host::handle(&mut guest.http(), request, options) {
                    Ok(answer) => Ok(answer),
                    Err(error) => Err(error.downcast()?),
                },
            ))
        },
    )?;
    linker.instance("wasi:http/types@0.2.12")?.func_wrap(
        "http-error-code",
        |mut store, (error,): (Resource<IoError>,)| {
            let error = store.data_mut().table().get(&error)?;
            let told = error.downcast_ref::<ErrorCode>().cloned();
            Ok((told.or_else(|| error.downcast_ref().map(code)),))
        },
    )?;
    linker.instance("wasi:http/types@0.3.0")?.func_wrap(
        "[method]request.set-authority",
        |mut store, (request, written): (Resource<Request>, Option<String>)| {
            let Ok(authority) = written.map(Authority::try_from).transpose() else {
                return Ok((Err(()),));
            };
            store.data_mut().table().get_mut(&request)?.authority = authority;
            Ok((Ok(()),))
        },
    )?;
    linker.instance("wasi:http/client@0.3.0")?.func_wrap_concurrent(
        "send",
        |store, (request,): (Resource<Request>,)| {
            Box::pin(async move {
                store.with(|mut store| {
                    let written = store.get().table().get_mut(&request)?;
                    written
                        .path_with_query
                        .get_or_insert(PathAndQuery::from_static("/"));
                    written.authority.get_or_insert(Authority::from_static(THE_APP));
                    wasmtime::error::Ok(())
                })?;
                let store = store.with_getter::<WasiHttp>(Guest::http);
                Ok((
                    match <WasiHttp as client::HostWithStore<Guest>>::send(&store, request).await {
                        Ok(answer) => Ok(answer),
                        Err(error) => Err(error.downcast()?),
                    },
                ))
            })
        },
    )
}

/// The authority by which the gate knows the app that asks.
const THE_APP: &str = "self";

/// What a body may fail with, in the words of WASI 0.2.
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
