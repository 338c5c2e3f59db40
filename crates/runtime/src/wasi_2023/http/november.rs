//! `wasi:http/types` of November 2023.

use std::time::Duration;

use wasmtime::component::{Linker, LinkerInstance, Resource};
use wasmtime_wasi::p2::IoError;
use wasmtime_wasi_http::p2::bindings::http::types::{
    ErrorCode, HostFields, HostFutureIncomingResponse, HostFutureTrailers, HostOutgoingBody,
    HostOutgoingRequest, HostOutgoingResponse, HostRequestOptions, HostResponseOutparam,
};
use wasmtime_wasi_http::p2::body;
use wasmtime_wasi_http::{RequestOptions, WasiHttpView};

use crate::guest::Guest;

pub(super) fn add_to_linker(linker: &mut Linker<Guest>) -> wasmtime::Result<()> {
    let mut types = linker.instance("wasi:http/types@0.2.0-rc-2023-11-10")?;
    super::define_common(&mut types)?;
    resources!(types, http, { "request-options": RequestOptions => HostRequestOptions::drop; });
    pass_on!(types, http, {
        answer "[constructor]fields"() => HostFields::new;
        result "[static]fields.from-list"(entries) => HostFields::from_list;
        result "[method]fields.set"(fields, name, values) => HostFields::set;
        result "[method]fields.delete"(fields, name) => HostFields::delete;
        result "[method]fields.append"(fields, name, value) => HostFields::append;
        answer "[constructor]outgoing-request"(headers) => HostOutgoingRequest::new;
        answer "[method]outgoing-request.body"(request) => HostOutgoingRequest::body;
        answer "[method]outgoing-request.method"(request) => HostOutgoingRequest::method;
        answer "[method]outgoing-request.set-method"(request, method) => HostOutgoingRequest::set_method;
        answer "[method]outgoing-request.path-with-query"(request) => HostOutgoingRequest::path_with_query;
        answer "[method]outgoing-request.set-path-with-query"(request, path)
            => HostOutgoingRequest::set_path_with_query;
        answer "[method]outgoing-request.scheme"(request) => HostOutgoingRequest::scheme;
        answer "[method]outgoing-request.set-scheme"(request, scheme) => HostOutgoingRequest::set_scheme;
        answer "[method]outgoing-request.authority"(request) => HostOutgoingRequest::authority;
        answer "[method]outgoing-request.set-authority"(request, authority) => HostOutgoingRequest::set_authority;
        answer "[method]outgoing-request.headers"(request) => HostOutgoingRequest::headers;
        answer "[constructor]request-options"() => HostRequestOptions::new;
        answer "[constructor]outgoing-response"(headers) => HostOutgoingResponse::new;
        answer "[method]outgoing-response.status-code"(response) => HostOutgoingResponse::status_code;
        answer "[method]outgoing-response.set-status-code"(response, status)
            => HostOutgoingResponse::set_status_code;
        answer "[method]outgoing-response.headers"(response) => HostOutgoingResponse::headers;
        answer "[method]outgoing-response.body"(response) => HostOutgoingResponse::body;
        result "[static]outgoing-body.finish"(body, trailers) => HostOutgoingBody::finish;
        answer "[method]future-incoming-response.get"(response) => HostFutureIncomingResponse::get;
    });
    types.func_wrap("[static]response-outparam.set", |mut store, (param, response)| {
        HostResponseOutparam::set(&mut store.data_mut().http(), param, response)
    })?;
    types.func_wrap("http-error-code", |mut store, (error,): (Resource<IoError>,)| {
        let code = outport_egress::p2::error_code(&store.data_mut().http(), &error)?;
        Ok((code,))
    })?;
    // There is one result less than today: nobody is told that trailers were taken before.
    types.func_wrap(
        "[method]future-trailers.get",
        |mut store, (trailers,): (Resource<body::HostFutureTrailers>,)| {
            let trailers = HostFutureTrailers::get(&mut store.data_mut().http(), trailers)?;
            Ok((trailers.map(|trailers| trailers.unwrap_or_else(|()| Err(taken()))),))
        },
    )?;
    define_timeouts(&mut types)
}

fn taken() -> ErrorCode {
    ErrorCode::InternalError(Some("the trailers were taken before".to_owned()))
}

/// Times in milliseconds, whatever their type is called.
fn define_timeouts(types: &mut LinkerInstance<'_, Guest>) -> wasmtime::Result<()> {
    type Timeout = fn(&mut RequestOptions) -> &mut Option<Duration>;
    let timeouts: [(&str, Timeout); 3] = [
        ("connect-timeout-ms", |options| &mut options.connect_timeout),
        ("first-byte-timeout-ms", |options| &mut options.first_byte_timeout),
        ("between-bytes-timeout-ms", |options| {
            &mut options.between_bytes_timeout
        }),
    ];
    for (name, timeout) in timeouts {
        types.func_wrap(
            &format!("[method]request-options.{name}"),
            move |mut store, (options,): (Resource<RequestOptions>,)| {
                let timeout = *timeout(store.data_mut().table().get_mut(&options)?);
                let in_milliseconds = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
                Ok((timeout.map(in_milliseconds),))
            },
        )?;
        types.func_wrap(
            &format!("[method]request-options.set-{name}"),
            move |mut store, (options, given): (Resource<RequestOptions>, Option<u64>)| {
                let options = store.data_mut().table().get_mut(&options)?;
                *timeout(options) = given.map(Duration::from_millis);
                Ok((Ok::<(), ()>(()),))
            },
        )?;
    }
    Ok(())
}
