//! The refusals of requests, each of which is an attempt. Those of Spin's first interface are in [`spin_v1`](super::spin_v1).

use outport_egress::{GateView, ShutGate};
use wasmtime::component::{LinkerInstance, Resource};
use wasmtime_wasi_http::RequestOptions;
use wasmtime_wasi_http::p2::bindings::http::types as p2_http;
use wasmtime_wasi_http::p2::types::{HostFutureIncomingResponse, HostOutgoingRequest};
use wasmtime_wasi_http::p3 as p3_http;
use wasmtime_wasi_http::p3::bindings::http::types as p3_http_types;

use crate::guest::Guest;
use crate::wasi_2023::{HttpErrorOfOctober, HttpOptionsOfOctober, OCTOBER};

/// Defines a function that answers; says whether it is one of those.
pub(super) fn define(
    instance: &mut LinkerInstance<'_, Guest>,
    (interface, version, function): (&str, &str, &str),
    shut: ShutGate,
) -> wasmtime::Result<bool> {
    match (interface, function) {
        ("wasi:http/outgoing-handler", "handle") if version == OCTOBER => {
            type Given = (Resource<HostOutgoingRequest>, Option<HttpOptionsOfOctober>);
            instance.func_wrap(function, move |mut store, (request, _): Given| {
                let denied = HttpErrorOfOctober::from(refuse_request(store.data_mut(), &shut, request)?);
                Ok((Err::<Resource<HostFutureIncomingResponse>, _>(denied),))
            })?;
        }
        ("wasi:http/outgoing-handler", "handle") => {
            type Given = (Resource<HostOutgoingRequest>, Option<Resource<RequestOptions>>);
            instance.func_wrap(function, move |mut store, (request, options): Given| {
                let guest = store.data_mut();
                if let Some(options) = options {
                    guest.table().delete(options)?;
                }
                let denied = refuse_request(guest, &shut, request)?;
                Ok((Err::<Resource<HostFutureIncomingResponse>, _>(denied),))
            })?;
        }
        ("wasi:http/client", "send") => {
            type Given = (Resource<p3_http::Request>,);
            instance.func_wrap_concurrent(function, move |store, (request,): Given| {
                let shut = shut.clone();
                Box::pin(async move {
                    store.with(|mut store| {
                        let guest = store.get();
                        let request = guest.table().delete(request)?;
                        let scheme = request.scheme.as_ref().map(|scheme| scheme.as_str());
                        let authority = request
                            .authority
                            .as_ref()
                            .map_or("", |authority| authority.as_str());
                        shut.refuse_request(guest.gate().ctx, request.method.as_str(), scheme, authority);
                        wasmtime::error::Ok(())
                    })?;
                    let denied = p3_http_types::ErrorCode::HttpRequestDenied;
                    Ok((Err::<Resource<p3_http::Response>, _>(denied),))
                })
            })?;
        }
        _ => return Ok(false),
    }
    Ok(true)
}

/// Refuses a request of WASI 0.2.
fn refuse_request(
    guest: &mut Guest,
    shut: &ShutGate,
    request: Resource<HostOutgoingRequest>,
) -> wasmtime::Result<p2_http::ErrorCode> {
    let request = guest.table().delete(request)?;
    let scheme = request.scheme.as_ref().map(scheme_of);
    let authority = request.authority.as_deref().unwrap_or_default();
    shut.refuse_request(guest.gate().ctx, method_of(&request.method), scheme, authority);
    Ok(p2_http::ErrorCode::HttpRequestDenied)
}

/// Of methods only CONNECT differs to the policy.
fn method_of(method: &p2_http::Method) -> &str {
    match method {
        p2_http::Method::Connect => "CONNECT",
        p2_http::Method::Other(other) => other,
        _ => "GET",
    }
}

fn scheme_of(scheme: &p2_http::Scheme) -> &str {
    match scheme {
        p2_http::Scheme::Http => "http",
        p2_http::Scheme::Https => "https",
        p2_http::Scheme::Other(other) => other,
    }
}
