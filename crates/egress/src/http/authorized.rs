//! A request that the policy permits.

use std::sync::Arc;

use http::{HeaderMap, Method, Request};
use outport_policy::Host;
use wasmtime_wasi_http::{Error, WasiBody};

use super::errors;
use super::followed_body;
use super::internal::InternalDestination;
use super::own_body::OwnBody;
use crate::dial::Destination;
use crate::enforcer::{DecisionId, Enforcer};
use crate::followed::Followed;

/// A request and where it may go. Whatever sends one takes this, and judging makes it.
#[must_use]
pub(super) struct AuthorizedRequest<'a> {
    destination: &'a Destination,
    request: Request<OwnBody>,
    decision: DecisionId,
}

/// The destination of a request that is permitted.
pub(super) enum Goes<'a> {
    /// To the app.
    Inside(InternalRequest),
    /// Out of the process.
    Out(AuthorizedRequest<'a>),
}

/// A request that is permitted, and whose destination is inside the app.
#[must_use]
pub(crate) struct InternalRequest {
    destination: InternalDestination,
    request: Request<WasiBody>,
}

impl<'a> AuthorizedRequest<'a> {
    /// Judges a request to `destination`, which is where it goes whatever its URL says.
    pub(super) fn authorize(
        enforcer: &Enforcer,
        destination: &'a Destination,
        request: Request<OwnBody>,
    ) -> Result<Self, Error> {
        let decision = enforcer
            .authorize(&destination.attempt(request.method()), enforcer.usage())
            .map_err(|denied| errors::of_denied_request(denied, &destination.host))?;
        Ok(AuthorizedRequest {
            destination,
            request,
            decision,
        })
    }

    pub(super) fn decision(&self) -> DecisionId {
        self.decision
    }

    pub(super) fn method(&self) -> &Method {
        self.request.method()
    }

    pub(super) fn headers(&self) -> &HeaderMap {
        self.request.headers()
    }

    pub(super) fn headers_mut(&mut self) -> &mut HeaderMap {
        self.request.headers_mut()
    }

    /// The destination of the request. The body of one that stays inside is lent to the app.
    pub(super) fn goes(self, followed: Option<&Arc<Followed>>) -> Goes<'a> {
        // By the host that was judged: an address is never inside the app.
        let inside = match &self.destination.host {
            Host::Name(name) => InternalDestination::of(name),
            Host::Address(_) => None,
        };
        let Some(destination) = inside else {
            return Goes::Out(self);
        };
        let lend = |body: OwnBody| followed_body::of_request(body.lend(), followed);
        Goes::Inside(InternalRequest {
            destination,
            request: self.request.map(lend),
        })
    }

    pub(super) fn into_parts(self) -> (&'a Destination, Request<OwnBody>) {
        (self.destination, self.request)
    }
}

impl InternalRequest {
    pub(crate) fn into_parts(self) -> (InternalDestination, Request<WasiBody>) {
        (self.destination, self.request)
    }
}
