//! One request and its answer.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use http::{Request, Response};
use http_body_util::BodyExt;
use outport_policy::Reason;
use tokio::time::{Instant, timeout, timeout_at};
use tracing::Span;
use wasmtime_wasi_http::{Error, RequestOptions, WasiBody};

use super::authorized::{AuthorizedRequest, Goes};
use super::body::TimedBody;
use super::connection::Connection;
use super::destination;
use super::dial;
use super::failure::Delivery;
use super::followed_body;
use super::own_body::OwnBody;
use crate::audit::code_of;
use crate::dial::{Destination, NotUsed, Said, UseSlot};
use crate::enforcer::Enforcer;
use crate::followed::{self, Followed};
use crate::outgoing::Outgoing;
use crate::spans;
use crate::trace::Trace;

/// Asks about `request` if somebody is to be asked, judges it, sends it, and waits for the head of the answer.
pub(super) async fn send(
    enforcer: &Arc<Enforcer>,
    outgoing: &Outgoing,
    point: &Trace,
    mut request: Request<OwnBody>,
    options: RequestOptions,
) -> Result<Response<WasiBody>, Error> {
    let completed = destination::complete_path(request.uri_mut());
    let destination = completed.and_then(|()| Destination::of(&request)).map_err(|_| {
        let host = request.uri().host().unwrap_or_default();
        enforcer.refuse("http.request", host, Reason::HttpHost);
        Error::HttpRequestUriInvalid
    })?;
    let pass = enforcer.ask_first(&destination.attempt(request.method())).await;
    let sent = exchanged(enforcer, outgoing, point, &destination, request, options);
    if pass.is_empty() {
        return sent.await;
    }
    // Where it is permitted once, so is what belongs to it, such as the connection that it goes by. On the heap, since it is
    // large and would be moved about.
    pass.during(Box::pin(sent)).await
}

/// Judges a request to `destination`, sends it, and waits for the head of the answer.
async fn exchanged(
    enforcer: &Arc<Enforcer>,
    outgoing: &Outgoing,
    point: &Trace,
    destination: &Destination,
    request: Request<OwnBody>,
    options: RequestOptions,
) -> Result<Response<WasiBody>, Error> {
    let mut authorized = AuthorizedRequest::authorize(enforcer, destination, request)?;
    let method = authorized.method().clone();
    let attempt = destination.attempt(&method);
    let trace = trace_of(enforcer, point, destination, &authorized);
    if let Some(context) = trace.context() {
        context.put_into(authorized.headers_mut());
    }
    let followed = Followed::begin_traced(enforcer, authorized.decision(), &attempt, trace.clone());
    let said = Said::default();
    let sent = match authorized.goes(followed.as_ref()) {
        Goes::Inside(internal) => outgoing.call_internal(internal, enforcer.depth()).await,
        Goes::Out(authorized) => {
            let slot = UseSlot::count_at(enforcer, trace).saying(said.clone());
            send_out(enforcer, outgoing, authorized, options, (slot, followed.as_ref())).await
        }
    };
    match sent {
        Ok(response) => Ok(followed_body::of_response(response, followed.as_ref())),
        Err(error) => {
            let code = said.code().map_or_else(|| code_of(&error).into(), Cow::Borrowed);
            followed::failed_saying(enforcer, followed.as_ref(), &attempt, (&*code, said.take()));
            Err(error)
        }
    }
}

/// The point of the request, whose context goes with it: below what the guest says itself, or below `point`.
fn trace_of(
    enforcer: &Enforcer,
    point: &Trace,
    destination: &Destination,
    request: &AuthorizedRequest<'_>,
) -> Trace {
    if !point.is_recorded() {
        return point.below(request.headers(), Span::clone);
    }
    let rule = enforcer.rule_of(&destination.attempt(request.method()));
    let (component, method) = (enforcer.component().name(), request.method());
    let span = |parent: &Span| spans::request(parent, component, method, destination, rule.as_deref());
    enforcer.aside(|| point.below(request.headers(), span))
}

async fn send_out(
    enforcer: &Arc<Enforcer>,
    outgoing: &Outgoing,
    request: AuthorizedRequest<'_>,
    options: RequestOptions,
    (slot, followed): (UseSlot, Option<&Arc<Followed>>),
) -> Result<Response<WasiBody>, Error> {
    let (destination, request) = request.into_parts();
    let payer = enforcer.payer();
    let first_byte = options.first_byte_timeout.unwrap_or(DEFAULT_TIME);
    let (head, body) = request.into_parts();
    let mut once_more = false;
    let (mut connection, response) = loop {
        let mut connection = if once_more {
            new_connection(enforcer, outgoing, destination, &options, &slot).await?
        } else {
            connection(enforcer, outgoing, destination, &options, &slot).await?
        };
        // Lent, so that a request that was not taken can be sent once more with its body.
        let lent = followed_body::of_request(body.lend(), followed);
        let once = Request::from_parts(head.clone(), lent);
        let sent = timeout(first_byte, connection.send(destination, once, Some(&payer))).await;
        match sent.map_err(|_| Error::ConnectionReadTimeout)? {
            Ok(response) => break (connection, response),
            // The server has closed it a moment ago; there may be others.
            Err(failure) if failure.delivery == Delivery::Unsent && connection.was_used() => {}
            Err(failure) if !once_more && failure.may_repeat(&head.method, &body) => once_more = true,
            Err(failure) => return Err(body.false_length().error().unwrap_or(failure.error)),
        }
    };
    let false_length = body.false_length();
    // What the guest still writes once the connection needs no more goes nowhere; see `own_body`.
    drop(body);
    connection.mark_used();
    outgoing.pool().give_back(destination, connection);
    let between = options.between_bytes_timeout;
    Ok(response.map(|incoming| TimedBody::new(incoming, between, slot, false_length).boxed_unsync()))
}

/// A connection from the pool that is still permitted, or a new one.
async fn connection(
    enforcer: &Arc<Enforcer>,
    outgoing: &Outgoing,
    destination: &Destination,
    options: &RequestOptions,
    slot: &UseSlot,
) -> Result<Connection, Error> {
    let pool = outgoing.pool();
    while let Some(idle) = pool.take(destination) {
        match idle.target().authorize_use(enforcer, slot) {
            Ok(permit) => {
                if let Some(connection) = idle.reuse(permit) {
                    return Ok(connection);
                }
            }
            // Another instance may have room for it, and this one may have when it has waited for a slot.
            Err(NotUsed::NoRoom) => {
                pool.put_back(destination, idle);
                break;
            }
            Err(NotUsed::Refused) => pool.discard(destination, idle),
        }
    }
    new_connection(enforcer, outgoing, destination, options, slot).await
}

async fn new_connection(
    enforcer: &Arc<Enforcer>,
    outgoing: &Outgoing,
    destination: &Destination,
    options: &RequestOptions,
    slot: &UseSlot,
) -> Result<Connection, Error> {
    let deadline = Instant::now() + options.connect_timeout.unwrap_or(DEFAULT_TIME);
    let connection = timeout_at(deadline, dial::connect(enforcer, outgoing, destination, slot))
        .await
        .map_err(|_| Error::ConnectionTimeout)??;
    outgoing.pool().offer(destination, &connection);
    Ok(connection)
}

/// The time limit of a phase for which the guest set none.
const DEFAULT_TIME: Duration = Duration::from_secs(600);
