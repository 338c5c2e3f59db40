//! Failures in the words of `wasi:http`.

use std::io;

use outport_policy::Host;
use wasmtime_wasi_http::Error;

use crate::denied::Denied;
use crate::dial::{DialError, LookupFailure, Obstacle};

/// The request to `host` was refused before anything was resolved (RSN-3).
pub(super) fn of_denied_request(denied: Denied, host: &Host) -> Error {
    match host {
        Host::Address(_) if denied.is_about_the_address() => Error::DestinationIpProhibited,
        _ => Error::HttpRequestDenied,
    }
}

/// No connection came about.
pub(super) fn of_dial(error: DialError) -> Error {
    let dns = |rcode: &str| Error::DnsError {
        rcode: Some(rcode.to_owned()),
        info_code: None,
    };
    match error {
        DialError::HostRefused => Error::HttpRequestDenied,
        DialError::AddressRefused => Error::DestinationIpProhibited,
        DialError::Quota => Error::ConnectionLimitReached,
        DialError::Lookup(LookupFailure::Unresolvable) => dns("NXDOMAIN"),
        DialError::Lookup(LookupFailure::OverBudget | LookupFailure::Temporary) => Error::DnsTimeout,
        DialError::Lookup(LookupFailure::Permanent) => dns("REFUSED"),
        DialError::Connect(error) => match Obstacle::of(&error) {
            Obstacle::Refused => Error::ConnectionRefused,
            Obstacle::TimedOut => Error::ConnectionTimeout,
            Obstacle::NoRoute => Error::DestinationIpUnroutable,
            Obstacle::Broken => Error::ConnectionTerminated,
            Obstacle::Prohibited => Error::DestinationIpProhibited,
            Obstacle::Other => Error::DestinationUnavailable,
        },
    }
}

/// The TLS handshake failed.
pub(super) fn of_tls(error: &io::Error) -> Error {
    let tls = error
        .get_ref()
        .and_then(|inner| inner.downcast_ref::<rustls::Error>());
    match tls {
        Some(rustls::Error::InvalidCertificate(_)) => Error::TlsCertificateError,
        Some(rustls::Error::AlertReceived(alert)) => {
            let name = alert.as_str().unwrap_or("unknown alert").to_owned();
            Error::TlsAlertReceived {
                alert_id: Some(u8::from(*alert)),
                alert_message: Some(name),
            }
        }
        _ => Error::TlsProtocolError,
    }
}

/// The exchange of messages failed.
pub(super) fn of_hyper(error: &hyper::Error) -> Error {
    if error.is_timeout() {
        Error::ConnectionReadTimeout
    } else if error.is_incomplete_message() {
        Error::HttpResponseIncomplete
    } else if error.is_parse_too_large() {
        Error::HttpResponseHeaderSectionSize(None)
    } else if error.is_closed() || error.is_canceled() || is_broken(error) {
        Error::ConnectionTerminated
    } else {
        Error::HttpProtocolError
    }
}

/// The same after the head of the answer had come. Whatever cuts the body, one code says that it is not whole.
pub(super) fn of_body(error: &hyper::Error) -> Error {
    match of_hyper(error) {
        Error::ConnectionTerminated => Error::HttpResponseIncomplete,
        error => error,
    }
}

/// The error in the words of HTTP/2.
pub(super) fn h2_error(error: &hyper::Error) -> Option<&h2::Error> {
    source(error)
}

/// True if the other side, or the way to it, ended the exchange, rather than what was said in it.
fn is_broken(error: &hyper::Error) -> bool {
    match (h2_error(error), source::<io::Error>(error)) {
        (Some(error), _) => error.is_io() || error.is_remote(),
        // An alert of TLS has the kind of hyper's words for a chunk that is none.
        (None, Some(error)) => {
            let of_tls = error.get_ref().is_some_and(|inner| inner.is::<rustls::Error>());
            of_tls
                || !matches!(
                    error.kind(),
                    io::ErrorKind::InvalidInput | io::ErrorKind::InvalidData
                )
        }
        (None, None) => false,
    }
}

fn source<E: std::error::Error + 'static>(error: &hyper::Error) -> Option<&E> {
    std::error::Error::source(error).and_then(|source| source.downcast_ref())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::code_of;

    #[test]
    fn what_the_log_has_of_a_failed_connection_is_what_a_request_fails_with() {
        let kinds = [
            io::ErrorKind::ConnectionRefused,
            io::ErrorKind::TimedOut,
            io::ErrorKind::HostUnreachable,
            io::ErrorKind::NetworkUnreachable,
            io::ErrorKind::AddrNotAvailable,
            io::ErrorKind::ConnectionReset,
            io::ErrorKind::ConnectionAborted,
            io::ErrorKind::PermissionDenied,
        ];
        let connect = kinds.map(|kind| DialError::Connect(kind.into()));
        let lookup = [
            LookupFailure::Unresolvable,
            LookupFailure::Temporary,
            LookupFailure::Permanent,
        ];
        let other = [
            DialError::HostRefused,
            DialError::AddressRefused,
            DialError::Quota,
        ];
        for error in connect
            .into_iter()
            .chain(lookup.map(DialError::Lookup))
            .chain(other)
        {
            let (code, text) = (error.code(), format!("{error:?}"));
            assert_eq!(code_of(&of_dial(error)), code, "{text}");
        }
    }
}
