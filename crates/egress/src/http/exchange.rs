//! One request and its answer.

use std::sync::Arc;
use std::time::Duration;

use http::{Request, Response};
use http_body_util::BodyExt;
use outport_policy::{Host, Reason};
use tokio::time::{Instant, timeout, timeout_at};
use wasmtime_wasi_http::{Error, RequestOptions, WasiBody};

use super::body::TimedBody;
use super::connection::{Connection, Unsent};
use super::destination::{self, Destination};
use super::dial;
use super::errors;
use super::internal::InternalDestination;
use super::slot::ExchangeSlot;
use crate::instance::InstanceGate;

/// Judges `request`, sends it, and waits for the head of the answer.
pub(super) async fn send(
    gate: &Arc<InstanceGate>,
    mut request: Request<WasiBody>,
    options: RequestOptions,
) -> Result<Response<WasiBody>, Error> {
    let completed = destination::complete_path(request.uri_mut());
    let destination = completed.and_then(|()| Destination::of(&request)).map_err(|_| {
        let host = request.uri().host().unwrap_or_default();
        gate.refuse("http.request", host, Reason::HttpHost);
        Error::HttpRequestUriInvalid
    })?;
    judge(gate, &destination, &request)?;
    match &destination.host {
        Host::Name(name) => match InternalDestination::of(name) {
            Some(internal) => gate.gate().call_internal(internal, gate.depth(), request).await,
            None => send_out(gate, destination, request, options).await,
        },
        Host::Address(_) => send_out(gate, destination, request, options).await,
    }
}

fn judge(gate: &InstanceGate, destination: &Destination, request: &Request<WasiBody>) -> Result<(), Error> {
    gate.judge("http.request", &destination.attempt(request.method()))
        .map_err(|refusal| errors::of_request_refusal(refusal, &destination.host))
}

async fn send_out(
    gate: &Arc<InstanceGate>,
    destination: Destination,
    mut request: Request<WasiBody>,
    options: RequestOptions,
) -> Result<Response<WasiBody>, Error> {
    let slot = ExchangeSlot::count(gate);
    let account = gate.account();
    let first_byte = options.first_byte_timeout.unwrap_or(DEFAULT_TIME);
    // A connection from the pool may have been closed by the server a moment ago. Then not a byte of the request
    // was sent, and it is sent on another one.
    let (mut connection, response) = loop {
        let mut connection = connection(gate, &destination, &options, &slot).await?;
        let sent = timeout(
            first_byte,
            connection.send(&destination, request, account.as_ref()),
        )
        .await;
        match sent.map_err(|_| Error::ConnectionReadTimeout)? {
            Ok(response) => break (connection, response),
            Err(Unsent {
                request: Some(unsent),
                ..
            }) if connection.was_used() => request = unsent,
            Err(Unsent { error, .. }) => return Err(error),
        }
    };
    connection.mark_used();
    gate.gate().pool().give_back(destination, connection);
    let between = options.between_bytes_timeout;
    Ok(response.map(|incoming| TimedBody::new(incoming, between, slot).boxed_unsync()))
}

/// A connection from the pool that is still permitted, or a new one.
async fn connection(
    gate: &Arc<InstanceGate>,
    destination: &Destination,
    options: &RequestOptions,
    slot: &ExchangeSlot,
) -> Result<Connection, Error> {
    let pool = gate.gate().pool();
    while let Some(connection) = pool.take(destination) {
        if dial::may_reuse(gate, destination, connection.reached(), slot) {
            return Ok(connection);
        }
    }
    let deadline = Instant::now() + options.connect_timeout.unwrap_or(DEFAULT_TIME);
    let connection = timeout_at(deadline, dial::connect(gate, destination, slot))
        .await
        .map_err(|_| Error::ConnectionTimeout)??;
    pool.offer(destination, &connection);
    Ok(connection)
}

/// The time limit of a phase for which the guest set none.
const DEFAULT_TIME: Duration = Duration::from_secs(600);
