//! `wasi:http` of the two snapshots. That of November is nearly that of 0.2; that of October has other ways to make
//! requests and responses, and four errors in place of 39.
//!
//! Outgoing requests are sent by [`outport_egress::p2::send`], as all of WASI 0.2.

mod november;
mod october;

use wasmtime::component::{Linker, LinkerInstance};
use wasmtime_wasi_http::p2::bindings::http::types::{
    HostFields, HostFutureIncomingResponse, HostFutureTrailers, HostIncomingBody, HostIncomingRequest,
    HostIncomingResponse, HostOutgoingBody, HostOutgoingRequest, HostOutgoingResponse, HostResponseOutparam,
};
use wasmtime_wasi_http::p2::{body, types};
use wasmtime_wasi_http::{FieldMap, WasiHttpView};

pub(crate) use self::october::{Error, RequestOptions};
use crate::guest::Guest;

pub(super) fn add_to_linker(linker: &mut Linker<Guest>) -> wasmtime::Result<()> {
    october::add_to_linker(linker)?;
    november::add_to_linker(linker)
}

/// Defines what `types` has of 0.2 in both snapshots.
fn define_common(interface: &mut LinkerInstance<'_, Guest>) -> wasmtime::Result<()> {
    resources!(interface, http, {
        "fields": FieldMap => HostFields::drop;
        "incoming-request": types::HostIncomingRequest => HostIncomingRequest::drop;
        "outgoing-request": types::HostOutgoingRequest => HostOutgoingRequest::drop;
        "response-outparam": types::HostResponseOutparam => HostResponseOutparam::drop;
        "incoming-response": types::HostIncomingResponse => HostIncomingResponse::drop;
        "outgoing-response": types::HostOutgoingResponse => HostOutgoingResponse::drop;
        "incoming-body": body::HostIncomingBody => HostIncomingBody::drop;
        "outgoing-body": body::HostOutgoingBody => HostOutgoingBody::drop;
        "future-trailers": body::HostFutureTrailers => HostFutureTrailers::drop;
        "future-incoming-response": types::HostFutureIncomingResponse => HostFutureIncomingResponse::drop;
    });
    pass_on!(interface, http, {
        answer "[method]fields.get"(fields, name) => HostFields::get;
        answer "[method]fields.entries"(fields) => HostFields::entries;
        answer "[method]fields.clone"(fields) => HostFields::clone;
        answer "[method]incoming-request.method"(request) => HostIncomingRequest::method;
        answer "[method]incoming-request.path-with-query"(request) => HostIncomingRequest::path_with_query;
        answer "[method]incoming-request.scheme"(request) => HostIncomingRequest::scheme;
        answer "[method]incoming-request.authority"(request) => HostIncomingRequest::authority;
        answer "[method]incoming-request.headers"(request) => HostIncomingRequest::headers;
        answer "[method]incoming-request.consume"(request) => HostIncomingRequest::consume;
        answer "[method]incoming-response.status"(response) => HostIncomingResponse::status;
        answer "[method]incoming-response.headers"(response) => HostIncomingResponse::headers;
        answer "[method]incoming-response.consume"(response) => HostIncomingResponse::consume;
        answer "[method]incoming-body.stream"(body) => HostIncomingBody::stream;
        answer "[static]incoming-body.finish"(body) => HostIncomingBody::finish;
        answer "[method]outgoing-body.write"(body) => HostOutgoingBody::write;
        answer "[method]future-trailers.subscribe"(trailers) => HostFutureTrailers::subscribe;
        answer "[method]future-incoming-response.subscribe"(response) => HostFutureIncomingResponse::subscribe;
    });
    Ok(())
}
