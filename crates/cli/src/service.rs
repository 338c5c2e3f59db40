//! A server, from its sockets to its end: served until somebody asks to stop, then given time to finish.

use std::net::SocketAddr;
use std::sync::Arc;

use clap::Args;
use outport_runtime::descriptors;
use outport_runtime::http::{ListenError, Listeners, Server, Site};

use crate::failure::Failure;
use crate::limit_options::ServerLimitOptions;
use crate::signals::StopSignals;
use crate::terminal::Terminal;

/// Where and how to serve.
#[derive(Debug, Args)]
pub(crate) struct ServiceOptions {
    /// Serve at this address; port 0 takes a free one
    #[arg(long, value_name = "ADDR:PORT", default_value = "127.0.0.1:3000", value_parser = address)]
    listen: SocketAddr,

    #[command(flatten)]
    pub(crate) limits: ServerLimitOptions,
}

impl ServiceOptions {
    /// Takes the address, so that nobody else does while the rest is made ready.
    pub(crate) fn bind(&self) -> Result<Listeners, ListenError> {
        Listeners::bind(self.listen, self.limits.workers())
    }

    /// Starts to serve, and says so.
    pub(crate) fn start(
        &self,
        site: impl Into<Arc<Site>>,
        listeners: Listeners,
        terminal: Terminal,
    ) -> Result<Server, Failure> {
        let address = listeners.address();
        let asked = self.limits.server();
        let limits = asked.within(descriptors::raise_limit(), self.limits.workers());
        if limits.connections < FEW_CONNECTIONS.min(asked.connections) {
            tracing::warn!(
                "there are descriptors for {} connections of clients at a time, not for {}: raise the limit (`ulimit -n`)",
                limits.connections,
                asked.connections
            );
        } else if limits.connections < asked.connections {
            tracing::info!(
                "{} connections of clients at a time, for which there are descriptors, not {}",
                limits.connections,
                asked.connections
            );
        }
        let server = Server::start(site, listeners, limits)?;
        terminal.insist(&format!("Serving http://{address}"));
        Ok(server)
    }
}

/// Lets the server finish what it is at. A second signal ends the wait; answers the exit status.
pub(crate) async fn finish(mut server: Server, mut signals: StopSignals, terminal: Terminal) -> i32 {
    terminal.say("Stopping; once more to stop at once");
    server.stop();
    let status = tokio::select! {
        () = server.ended() => 0,
        status = signals.next() => status,
    };
    signals.end_at_once();
    status
}

fn address(text: &str) -> Result<SocketAddr, String> {
    text.parse()
        .map_err(|_| "write an IP address and a port, such as `127.0.0.1:3000` or `[::1]:3000`".into())
}

/// So few connections that a handful of clients has all of them.
const FEW_CONNECTIONS: usize = 64;
