//! A new connection for a request: [dialled](crate::dial) like any, then TLS and HTTP on it.

use std::sync::Arc;

use wasmtime_wasi_http::Error;

use super::connection::Connection;
use super::errors;
use crate::dial::{self, Connected, Destination, UseSlot};
use crate::enforcer::Enforcer;
use crate::outgoing::Outgoing;

/// A new connection for `destination`, to exactly one of the addresses that were judged.
pub(super) async fn connect(
    enforcer: &Arc<Enforcer>,
    outgoing: &Outgoing,
    destination: &Destination,
    slot: &UseSlot,
) -> Result<Connection, Error> {
    let places = enforcer.process().usage.http_connections();
    let Connected {
        stream,
        target,
        followed,
    } = dial::dial(enforcer, destination, slot, places)
        .await
        .map_err(errors::of_dial)?;
    let connector = outgoing.tls().connector(&destination.host);
    let established = Connection::establish(stream, target, destination, &connector).await;
    if let Some(followed) = followed {
        match &established {
            Ok(_) => followed.succeeded(None),
            Err(error) => followed.note_error(error),
        }
    }
    established
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, TcpStream};
    use std::time::Duration;

    use http_body_util::{BodyExt, Empty};
    use outport_policy::Scheme;
    use tokio::io::AsyncReadExt;

    use super::*;
    use crate::testing::{Script, World, deny, instance};

    // proves: DL-9
    #[tokio::test]
    #[expect(clippy::disallowed_methods, reason = "clients of a server, and no guest")]
    async fn what_a_new_deny_list_forbids_while_it_is_connected_to_is_closed() {
        let world = World::new(Script::new());
        let egress = world.egress();
        let enforcer = instance(&egress, &["*://*:*"]);
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let at = listener.local_addr().unwrap();
        // One waits to be accepted, and there is room for no other.
        rustix::net::listen(&listener, 0).unwrap();
        let mut waiting = Vec::new();
        while let Ok(stream) = TcpStream::connect_timeout(&at, Duration::from_millis(50)) {
            waiting.push(stream);
        }
        let slot = UseSlot::count(&enforcer);
        let destination = Destination::new(Scheme::HTTP, &at.ip().to_string(), at.port()).unwrap();
        let outgoing = Outgoing::new(&enforcer.process().usage);
        let connecting = connect(&enforcer, &outgoing, &destination, &slot);
        tokio::pin!(connecting);
        assert!(
            tokio::time::timeout(Duration::from_millis(50), &mut connecting)
                .await
                .is_err()
        );
        let mut operator = (*egress.operator()).clone();
        operator.deny = deny(&[&format!("*://{at}")]);
        egress.replace_operator(operator);
        listener.set_nonblocking(true).unwrap();
        while listener.accept().is_ok() {}

        // The system asks again after a second, and gets its connection.
        let connected = tokio::time::timeout(Duration::from_secs(10), connecting)
            .await
            .unwrap();
        let (peer, _) = std::iter::from_fn(|| listener.accept().ok()).last().unwrap();
        peer.set_nonblocking(true).unwrap();
        let mut peer = tokio::net::TcpStream::from_std(peer).unwrap();
        let body = Empty::new().map_err(|never| match never {}).boxed_unsync();
        let mut request = http::Request::new(body);
        *request.uri_mut() = "/".parse().unwrap();
        if let Ok(mut connection) = connected {
            assert!(connection.send(&destination, request, None).await.is_err());
        }
        let mut sent = Vec::new();
        peer.read_to_end(&mut sent).await.unwrap();
        assert_eq!(sent, b"", "the server reads the end, and nothing before it");
        assert_eq!(enforcer.usage_counter().usage().connections_of_process, 0);
    }
}
