//! One request and its answer.

use std::sync::Arc;
use std::time::Duration;

use http::{Request, Response};
use http_body_util::BodyExt;
use outport_policy::{Host, Reason};
use tokio::time::{Instant, timeout, timeout_at};
use wasmtime_wasi_http::{Error, RequestOptions, WasiBody};

use super::body::TimedBody;
use super::connection::Connection;
use super::destination::{self, Destination};
use super::dial;
use super::errors;
use super::failure::Delivery;
use super::followed_body;
use super::internal::InternalDestination;
use super::own_body::OwnBody;
use super::slot::ExchangeSlot;
use crate::audit::code_of;
use crate::enforcer::{DecisionId, Enforcer};
use crate::followed::{self, Followed};

/// Judges `request`, sends it, and waits for the head of the answer.
pub(super) async fn send(
    enforcer: &Arc<Enforcer>,
    mut request: Request<OwnBody>,
    options: RequestOptions,
) -> Result<Response<WasiBody>, Error> {
    let completed = destination::complete_path(request.uri_mut());
    let destination = completed.and_then(|()| Destination::of(&request)).map_err(|_| {
        let host = request.uri().host().unwrap_or_default();
        enforcer.refuse("http.request", host, Reason::HttpHost);
        Error::HttpRequestUriInvalid
    })?;
    let decision = authorize(enforcer, &destination, &request)?;
    let method = request.method().clone();
    let followed = Followed::begin(enforcer, decision, &destination.attempt(&method));
    let sent = send_judged(enforcer, &destination, request, options, followed.as_ref()).await;
    match sent {
        Ok(response) => Ok(followed_body::of_response(response, followed.as_ref())),
        Err(error) => {
            let attempt = destination.attempt(&method);
            followed::failed(enforcer, followed.as_ref(), &attempt, &code_of(&error));
            Err(error)
        }
    }
}

async fn send_judged(
    enforcer: &Arc<Enforcer>,
    destination: &Destination,
    request: Request<OwnBody>,
    options: RequestOptions,
    followed: Option<&Arc<Followed>>,
) -> Result<Response<WasiBody>, Error> {
    match &destination.host {
        Host::Name(name) => match InternalDestination::of(name) {
            Some(internal) => {
                let request = request.map(|body| followed_body::of_request(body.lend(), followed));
                enforcer
                    .gate()
                    .call_internal(internal, enforcer.depth(), request)
                    .await
            }
            None => send_out(enforcer, destination, request, options, followed).await,
        },
        Host::Address(_) => send_out(enforcer, destination, request, options, followed).await,
    }
}

fn authorize(
    enforcer: &Enforcer,
    destination: &Destination,
    request: &Request<OwnBody>,
) -> Result<DecisionId, Error> {
    enforcer
        .authorize(&destination.attempt(request.method()), enforcer.usage())
        .map_err(|denied| errors::of_denied_request(denied, &destination.host))
}

async fn send_out(
    enforcer: &Arc<Enforcer>,
    destination: &Destination,
    request: Request<OwnBody>,
    options: RequestOptions,
    followed: Option<&Arc<Followed>>,
) -> Result<Response<WasiBody>, Error> {
    let slot = ExchangeSlot::count(enforcer);
    let account = enforcer.account();
    let first_byte = options.first_byte_timeout.unwrap_or(DEFAULT_TIME);
    let (head, body) = request.into_parts();
    let mut once_more = false;
    let (mut connection, response) = loop {
        let mut connection = match once_more {
            false => connection(enforcer, destination, &options, &slot).await?,
            true => new_connection(enforcer, destination, &options, &slot).await?,
        };
        let lent = followed_body::of_request(body.lend(), followed);
        let attempt = Request::from_parts(head.clone(), lent);
        let sent = timeout(
            first_byte,
            connection.send(destination, attempt, account.as_ref()),
        )
        .await;
        match sent.map_err(|_| Error::ConnectionReadTimeout)? {
            Ok(response) => break (connection, response),
            // The server has closed it a moment ago; there may be others.
            Err(failure) if failure.delivery == Delivery::Unsent && connection.was_used() => {}
            Err(failure) if !once_more && failure.may_repeat(&head.method, &body) => once_more = true,
            Err(failure) => return Err(body.false_length().error().unwrap_or(failure.error)),
        }
    };
    let false_length = body.false_length();
    drop(body);
    connection.mark_used();
    enforcer.gate().pool().give_back(destination, connection);
    let between = options.between_bytes_timeout;
    Ok(response.map(|incoming| TimedBody::new(incoming, between, slot, false_length).boxed_unsync()))
}

/// A connection from the pool that is still permitted, or a new one.
async fn connection(
    enforcer: &Arc<Enforcer>,
    destination: &Destination,
    options: &RequestOptions,
    slot: &ExchangeSlot,
) -> Result<Connection, Error> {
    let pool = enforcer.gate().pool();
    while let Some(connection) = pool.take(destination) {
        if dial::may_reuse(enforcer, destination, connection.reached(), slot) {
            return Ok(connection);
        }
    }
    new_connection(enforcer, destination, options, slot).await
}

async fn new_connection(
    enforcer: &Arc<Enforcer>,
    destination: &Destination,
    options: &RequestOptions,
    slot: &ExchangeSlot,
) -> Result<Connection, Error> {
    let deadline = Instant::now() + options.connect_timeout.unwrap_or(DEFAULT_TIME);
    let connection = timeout_at(deadline, dial::connect(enforcer, destination, slot))
        .await
        .map_err(|_| Error::ConnectionTimeout)??;
    enforcer.gate().pool().offer(destination, &connection);
    Ok(connection)
}

/// The time limit of a phase for which the guest set none.
const DEFAULT_TIME: Duration = Duration::from_secs(600);
