//! The stage that a request came to that was not answered, and whether it may be sent once more.
//!
//! A server may close a connection that was idle at the very moment at which it is used again. What every client does
//! then, and what is done here: the request is sent once more, on a new connection, if the server cannot have acted on
//! it.
//!
//! | what happened | sent once more |
//! | --- | --- |
//! | no byte was sent | always, and on any connection |
//! | HTTP/2: `REFUSED_STREAM`, or a stream after the last one of a graceful GOAWAY | if nothing was taken of its body |
//! | a connection that had been used before broke, and nothing of an answer came | if nothing was taken of its body, and either its body was still to come or its method is idempotent |
//! | anything else | never |

use http::Method;
use wasmtime_wasi_http::Error;

use super::errors;
use super::own_body::OwnBody;

/// A request that was not answered.
pub(super) struct Failure {
    pub(super) error: Error,
    pub(super) delivery: Delivery,
}

/// The stage that a request came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Delivery {
    /// No byte of it was sent.
    Unsent,
    /// The server says that it has not looked at it.
    Refused,
    /// Sent on a connection that was used before, of which nothing came back.
    Unheard,
    /// The server may have it.
    Perhaps,
}

impl Failure {
    /// The meaning of `error`. `unheard` is for a connection that was used before, and that is silent since.
    pub(super) fn of(error: &hyper::Error, unheard: bool) -> Self {
        let delivery = match errors::h2_error(error) {
            Some(error) if was_refused(error) => Delivery::Refused,
            // A reset is an answer, too.
            Some(error) if !error.is_io() => Delivery::Perhaps,
            _ if unheard && !error.is_user() && !error.is_timeout() => Delivery::Unheard,
            _ => Delivery::Perhaps,
        };
        Self {
            error: errors::of_hyper(error),
            delivery,
        }
    }

    /// True if the request may be sent once more, on a new connection.
    pub(super) fn may_repeat(&self, method: &Method, body: &OwnBody) -> bool {
        match self.delivery {
            Delivery::Unsent => true,
            Delivery::Refused => body.is_untouched(),
            Delivery::Unheard => body.is_untouched() && (body.is_awaited() || is_idempotent(method)),
            Delivery::Perhaps => false,
        }
    }
}

/// RFC 9113, section 8.7. Of a GOAWAY only the graceful one counts: after any other, streams that the server has looked
/// at fail with the same error.
fn was_refused(error: &h2::Error) -> bool {
    match error.reason() {
        Some(h2::Reason::REFUSED_STREAM) => error.is_reset() && error.is_remote(),
        Some(h2::Reason::NO_ERROR) => error.is_go_away() && error.is_remote(),
        _ => false,
    }
}

/// RFC 9110, section 9.2.2.
fn is_idempotent(method: &Method) -> bool {
    matches!(
        *method,
        Method::GET | Method::HEAD | Method::OPTIONS | Method::TRACE | Method::PUT | Method::DELETE
    )
}

#[cfg(test)]
mod tests;
