//! `wasi:http` of October 2023.

use std::time::Duration;

use wasmtime::component::{ComponentType, Lift, Linker, LinkerInstance, Lower, Resource};
use wasmtime_wasi_http::p2::bindings::http::types::{
    ErrorCode, HostFields, HostFutureIncomingResponse, HostFutureTrailers, HostOutgoingBody,
    HostOutgoingRequest, HostOutgoingResponse, HostResponseOutparam, Method, Scheme,
};
use wasmtime_wasi_http::p2::{body, types};
use wasmtime_wasi_http::{FieldMap, WasiHttpCtxView, WasiHttpView};

use crate::guest::Guest;

pub(super) fn add_to_linker(linker: &mut Linker<Guest>) -> wasmtime::Result<()> {
    let mut interface = linker.instance("wasi:http/types@0.2.0-rc-2023-10-18")?;
    super::define_common(&mut interface)?;
    pass_on!(interface, http, {
        answer "[method]outgoing-request.write"(request) => HostOutgoingRequest::body;
        answer "[method]outgoing-response.write"(response) => HostOutgoingResponse::body;
    });
    define_fields(&mut interface)?;
    define_outgoing(&mut interface)?;
    define_futures(&mut interface)?;

    type Sent = (Resource<types::HostOutgoingRequest>, Option<RequestOptions>);
    linker
        .instance("wasi:http/outgoing-handler@0.2.0-rc-2023-10-18")?
        .func_wrap("handle", |mut store, (request, options): Sent| {
            let mut view = store.data_mut().http();
            let options = options.map(RequestOptions::of_today);
            let options = options.map(|options| view.table.push(options)).transpose()?;
            let lent = options
                .as_ref()
                .map(|options| Resource::new_borrow(options.rep()));
            let sent = outport_egress::p2::send(&mut view, request, lent)?;
            if let Some(options) = options {
                view.table.delete(options)?;
            }
            Ok((sent.map_err(Error::from),))
        })
}

/// Nobody is told that a field cannot be, so the guest ends.
fn define_fields(interface: &mut LinkerInstance<'_, Guest>) -> wasmtime::Result<()> {
    interface.func_wrap("[constructor]fields", |mut store, (entries,)| {
        let fields = HostFields::from_list(&mut store.data_mut().http(), entries);
        Ok((fields.map_err(|error| refused("a header field", &error))?,))
    })?;
    interface.func_wrap("[method]fields.set", |mut store, (fields, name, values)| {
        HostFields::set(&mut store.data_mut().http(), fields, name, values)
            .map_err(|error| refused("a header field", &error))
    })?;
    interface.func_wrap("[method]fields.delete", |mut store, (fields, name)| {
        HostFields::delete(&mut store.data_mut().http(), fields, name)
            .map_err(|error| refused("a header field", &error))
    })?;
    interface.func_wrap("[method]fields.append", |mut store, (fields, name, value)| {
        HostFields::append(&mut store.data_mut().http(), fields, name, value)
            .map_err(|error| refused("a header field", &error))
    })
}

fn define_outgoing(interface: &mut LinkerInstance<'_, Guest>) -> wasmtime::Result<()> {
    type Made = (
        Method,
        Option<String>,
        Option<Scheme>,
        Option<String>,
        Resource<FieldMap>,
    );
    interface.func_wrap(
        "[constructor]outgoing-request",
        |mut store, (method, path, scheme, authority, headers): Made| {
            let mut view = store.data_mut().http();
            let headers = HostFields::clone(&mut view, headers)?;
            let request = HostOutgoingRequest::new(&mut view, headers)?;
            let request = || Resource::new_borrow(request.rep());
            let set = [
                (
                    "method",
                    HostOutgoingRequest::set_method(&mut view, request(), method)?,
                ),
                (
                    "path",
                    HostOutgoingRequest::set_path_with_query(&mut view, request(), path)?,
                ),
                (
                    "scheme",
                    HostOutgoingRequest::set_scheme(&mut view, request(), scheme)?,
                ),
                (
                    "authority",
                    HostOutgoingRequest::set_authority(&mut view, request(), authority)?,
                ),
            ];
            if let Some((what, _)) = set.iter().find(|(_, set)| set.is_err()) {
                wasmtime::bail!("the guest made a request whose {what} cannot be");
            }
            Ok((Resource::<types::HostOutgoingRequest>::new_own(request().rep()),))
        },
    )?;
    interface.func_wrap(
        "[constructor]outgoing-response",
        |mut store, (status, headers): (u16, Resource<FieldMap>)| {
            let mut view = store.data_mut().http();
            let headers = HostFields::clone(&mut view, headers)?;
            let response = HostOutgoingResponse::new(&mut view, headers)?;
            let lent = Resource::new_borrow(response.rep());
            if HostOutgoingResponse::set_status_code(&mut view, lent, status)?.is_err() {
                wasmtime::bail!("the guest made a response whose status {status} cannot be");
            }
            Ok((response,))
        },
    )?;
    type Answered = (
        Resource<types::HostResponseOutparam>,
        Result<Resource<types::HostOutgoingResponse>, Error>,
    );
    interface.func_wrap(
        "[static]response-outparam.set",
        |mut store, (param, response): Answered| {
            let response = response.map_err(ErrorCode::from);
            HostResponseOutparam::set(&mut store.data_mut().http(), param, response)
        },
    )?;
    // A body that is not as long as was said is never ended as if it were whole; the guest ends in place of an answer.
    interface.func_wrap("[static]outgoing-body.finish", |mut store, (body, trailers)| {
        HostOutgoingBody::finish(&mut store.data_mut().http(), body, trailers)
            .map_err(|error| refused("a body", &error))
    })
}

fn define_futures(interface: &mut LinkerInstance<'_, Guest>) -> wasmtime::Result<()> {
    interface.func_wrap(
        "[method]future-trailers.get",
        |mut store, (trailers,): (Resource<body::HostFutureTrailers>,)| {
            let mut view = store.data_mut().http();
            let Some(trailers) = HostFutureTrailers::get(&mut view, trailers)? else {
                return Ok((None,));
            };
            Ok((Some(trailers_of(&mut view, trailers)?),))
        },
    )?;
    interface.func_wrap(
        "[method]future-incoming-response.get",
        |mut store, (response,): (Resource<types::HostFutureIncomingResponse>,)| {
            let response = HostFutureIncomingResponse::get(&mut store.data_mut().http(), response)?;
            Ok((response.map(|taken| taken.map(|response| response.map_err(Error::from))),))
        },
    )
}

type TrailersToday = Result<Result<Option<Resource<FieldMap>>, ErrorCode>, ()>;

/// A message without trailers has empty ones.
fn trailers_of(
    view: &mut WasiHttpCtxView<'_>,
    trailers: TrailersToday,
) -> wasmtime::Result<Result<Resource<FieldMap>, Error>> {
    Ok(match trailers {
        Ok(Ok(Some(trailers))) => Ok(trailers),
        Ok(Ok(None)) => Ok(HostFields::new(view)?),
        Ok(Err(code)) => Err(code.into()),
        Err(()) => Err(Error::Unexpected("the trailers were taken before".to_owned())),
    })
}

/// The end of a guest that would have been told an error if there were one for it.
fn refused(what: &str, error: &dyn std::fmt::Debug) -> wasmtime::Error {
    wasmtime::format_err!("the guest made {what} that cannot be: {error:?}")
}

/// Times in milliseconds.
#[derive(ComponentType, Lift)]
#[component(record)]
pub(crate) struct RequestOptions {
    #[component(name = "connect-timeout-ms")]
    connect_timeout: Option<u32>,
    #[component(name = "first-byte-timeout-ms")]
    first_byte_timeout: Option<u32>,
    #[component(name = "between-bytes-timeout-ms")]
    between_bytes_timeout: Option<u32>,
}

impl RequestOptions {
    fn of_today(self) -> wasmtime_wasi_http::RequestOptions {
        let time = |milliseconds: Option<u32>| milliseconds.map(|time| Duration::from_millis(time.into()));
        wasmtime_wasi_http::RequestOptions {
            connect_timeout: time(self.connect_timeout),
            first_byte_timeout: time(self.first_byte_timeout),
            between_bytes_timeout: time(self.between_bytes_timeout),
        }
    }
}

#[derive(ComponentType, Lift, Lower, Debug)]
#[component(variant)]
pub(crate) enum Error {
    #[component(name = "invalid-url")]
    InvalidUrl(String),
    #[component(name = "timeout-error")]
    Timeout(String),
    #[component(name = "protocol-error")]
    Protocol(String),
    #[component(name = "unexpected-error")]
    Unexpected(String),
}

impl From<ErrorCode> for Error {
    fn from(code: ErrorCode) -> Self {
        let text = format!("{code:?}");
        match code {
            ErrorCode::HttpRequestUriInvalid | ErrorCode::HttpRequestUriTooLong => Self::InvalidUrl(text),
            ErrorCode::ConnectionReadTimeout
            | ErrorCode::ConnectionTimeout
            | ErrorCode::ConnectionWriteTimeout
            | ErrorCode::DnsTimeout
            | ErrorCode::HttpResponseTimeout => Self::Timeout(text),
            ErrorCode::HttpProtocolError
            | ErrorCode::HttpResponseContentCoding(_)
            | ErrorCode::HttpResponseIncomplete
            | ErrorCode::HttpResponseTransferCoding(_)
            | ErrorCode::HttpUpgradeFailed
            | ErrorCode::TlsAlertReceived(_)
            | ErrorCode::TlsCertificateError
            | ErrorCode::TlsProtocolError => Self::Protocol(text),
            _ => Self::Unexpected(text),
        }
    }
}

impl From<Error> for ErrorCode {
    fn from(error: Error) -> Self {
        let (what, text) = match error {
            Error::InvalidUrl(text) => ("invalid URL", text),
            Error::Timeout(text) => ("timeout", text),
            Error::Protocol(text) => ("protocol error", text),
            Error::Unexpected(text) => ("unexpected error", text),
        };
        Self::InternalError(Some(format!("{what}: {text}")))
    }
}
