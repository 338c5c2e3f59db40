//! A server, from its sockets to its end: served until somebody asks to stop or another process takes over, then given
//! time to finish.

mod sockets;

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use clap::{Args, FromArgMatches};
use outport_check::{Diagnostic, Severity};
use outport_runtime::descriptors;
use outport_runtime::guest_env::Directory;
use outport_runtime::http::{Listeners, Router, Server, ServerLimits};
use tokio::time::timeout;

pub(crate) use self::sockets::{Audience, prepare, take_over};
use crate::dashboard::DashboardOptions;
use crate::failure::Failure;
use crate::files::Files;
use crate::limit_options::ServerLimitOptions;
use crate::network::Network;
use crate::operator_options::OperatorSettings;
use crate::server_tls::{ServedTls, ServerTlsOptions};
use crate::signals::StopSignals;
use crate::telemetry::Telemetry;
use crate::terminal::Terminal;
use crate::upgrade::Offer;

/// The options of a server: where and how to serve.
#[derive(Debug, Args)]
pub(crate) struct ServiceOptions {
    /// Serve at this address; port 0 takes a free one. `SPIN_HTTP_LISTEN_ADDR` is read as with Spin [default: 127.0.0.1:3000]
    #[arg(long, value_name = "ADDR:PORT", value_parser = address)]
    listen: Option<SocketAddr>,

    /// Take the listeners over from the Outport at this Unix socket, if one runs there, and hand them over to the next one
    /// that comes by it
    #[arg(long, value_name = "PATH")]
    upgrade_socket: Option<PathBuf>,

    #[command(flatten)]
    tls: ServerTlsOptions,

    #[command(flatten)]
    dashboard: DashboardOptions,

    #[command(flatten)]
    pub(crate) limits: ServerLimitOptions,
}

/// The place where clients will be served.
pub(crate) struct Place {
    listeners: Listeners,
    tls: Option<ServedTls>,
}

impl Place {
    /// The URL of everything that is served there: `https://127.0.0.1:3000`.
    pub(crate) fn url(&self) -> String {
        let Self { listeners, .. } = self;
        format!("{}://{}", listeners.scheme(), listeners.address())
    }

    /// The line that says what is served.
    pub(crate) fn serving(&self) -> String {
        let scheme = self.listeners.scheme();
        let urls = self.listeners.addresses();
        urls.fold("Serving".to_owned(), |line, address| {
            format!("{line} {scheme}://{address}")
        })
    }

    /// What is odd about it, where guests have `directories`.
    pub(crate) fn remarks(&self, directories: &[Directory]) -> Vec<Diagnostic> {
        let tls = self.tls.as_ref();
        tls.map_or_else(Vec::new, |tls| tls.remarks(directories))
    }

    /// Tells what is odd about it.
    ///
    /// # Errors
    ///
    /// There are warnings, and the operator wants none.
    pub(crate) fn review(
        &self,
        directories: &[Directory],
        settings: &OperatorSettings,
        terminal: Terminal,
    ) -> Result<(), Failure> {
        let remarks = self.remarks(directories);
        terminal.show_all(&remarks, &Files::default());
        let warnings = remarks.iter();
        settings.refuse_warnings(
            warnings
                .filter(|remark| remark.severity == Severity::Warning)
                .count(),
        )
    }
}

impl ServiceOptions {
    /// Those of a command line that says nothing of them.
    pub(crate) fn defaults() -> Result<Self, Failure> {
        let command = Self::augment_args(clap::Command::new("outport"));
        let matches = command.try_get_matches_from(["outport"]);
        let options = matches.and_then(|matches| Self::from_arg_matches(&matches));
        Ok(options.context("the options of a server have no defaults")?)
    }

    /// Refuses files of HTTPS that a start would refuse.
    pub(crate) fn check_tls(&self) -> Result<(), Failure> {
        self.tls.read().map(drop)
    }

    /// Starts to serve, and says so.
    pub(crate) fn start(
        &self,
        router: impl Into<Arc<Router>>,
        place: Place,
        network: &Network,
        terminal: Terminal,
    ) -> Result<Server, Failure> {
        let serving = place.serving();
        let limits = self.limits_of_clients();
        network.telemetry().bound_clients(limits.connections);
        let server = Server::start(router, place.listeners, limits)?;
        if let Some(tls) = place.tls {
            let watch = tls.watch(&network.telemetry().meter(), terminal)?;
            network.reload().tell(watch);
        }
        network.telemetry().say_where_the_dashboard_is(terminal);
        terminal.insist(&serving);
        Ok(server)
    }

    /// Starts what has no clients, and waits for events alone. To be said when it listens.
    pub(crate) fn start_for_events(&self, router: impl Into<Arc<Router>>) -> Result<Server, Failure> {
        let (workers, limits) = (self.limits.workers(), self.limits.server());
        Ok(Server::start_without_clients(router, workers, limits)?)
    }

    /// The bounds on what clients take up, for which there are descriptors.
    fn limits_of_clients(&self) -> ServerLimits {
        let asked = self.limits.server();
        let limits = asked.within(descriptors::raise_limit(), self.limits.workers());
        if limits.connections < FEW_CONNECTIONS.min(asked.connections) {
            tracing::warn!(
                "there are descriptors for {} connections of clients at a time, not for {}: raise the limit \
                 (`ulimit -n`)",
                limits.connections,
                asked.connections
            );
        } else if limits.connections < asked.connections {
            tracing::info!(
                "there are descriptors for {} connections of clients at a time, not for {}",
                limits.connections,
                asked.connections
            );
        }
        limits
    }
}

/// Waits until somebody asks to stop, another process has taken over, or a part of the server has failed: then the exit
/// status is 1, and whoever watches the process starts it anew, rather than that it serves with less than it should. Tells
/// the service manager meanwhile that everything works.
pub(crate) async fn until_stopped(
    server: &Server,
    signals: &mut StopSignals,
    mut offer: Offer,
    (telemetry, terminal): (&Telemetry, Terminal),
) -> Stop {
    let taken = tokio::select! {
        biased;
        _ = signals.next() => {
            offer.withdraw();
            return Stop::Asked;
        }
        () = server.failed() => {
            offer.withdraw();
            signals.stopping();
            tracing::error!("the server stops, since a part of it has failed");
            return Stop::Failed;
        }
        taken = offer.taken_over() => taken,
        never = telemetry.manager().keep_watch(async || server.responds().await) => match never {},
    };
    let process = taken.process;
    terminal.dated().say(&format!(
        "Process {process} has taken over; what runs here is finished"
    ));
    signals.passed_on();
    telemetry.leave_tools();
    offer.withdraw();
    // Who listens for events and does not come to an end is cut off with the rest.
    let _ = timeout(PASSING_ON, server.pass_on()).await;
    taken.stopped();
    Stop::PassedOn
}

/// Why a server stops.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stop {
    /// Somebody asked.
    Asked,
    /// A part of it has failed.
    Failed,
    /// Another process serves, and nobody has asked.
    PassedOn,
}

/// Lets the server finish what it is at. A second signal ends the wait, which is said where there is one; answers the
/// exit status.
pub(crate) async fn finish(
    mut server: Server,
    why: Stop,
    mut signals: StopSignals,
    terminal: Terminal,
) -> i32 {
    if why == Stop::PassedOn {
        let asked = tokio::select! {
            () = server.ended() => false,
            _ = signals.next() => true,
        };
        if !asked {
            signals.end_at_once();
            return 0;
        }
    }
    server.stop();
    if why != Stop::PassedOn {
        signals.ends_within(server.time_to_stop());
    }
    let ended = async {
        if timeout(MOMENT, server.ended()).await.is_err() {
            terminal.dated().say("Stopping; a second signal stops at once");
            server.ended().await;
        }
    };
    let status = tokio::select! {
        () = ended => 0,
        status = signals.next() => status,
    };
    signals.end_at_once();
    match why {
        Stop::Failed => status.max(1),
        Stop::Asked | Stop::PassedOn => status,
    }
}

/// The address that an option has: an IP address or `localhost`, and a port.
pub(crate) fn address(text: &str) -> Result<SocketAddr, String> {
    if let Ok(address) = text.parse() {
        return Ok(address);
    }
    let Some((host, port)) = text.rsplit_once(':').or_else(|| as_port(text)) else {
        return Err("write a port too, such as `127.0.0.1:3000`".into());
    };
    if port.is_empty() || !port.bytes().all(|digit| digit.is_ascii_digit()) {
        return Err("write an IP address and a port, such as `127.0.0.1:3000` or `[::1]:3000`".into());
    }
    let port: u16 = port.parse().map_err(|_| "the highest port is 65535".to_owned())?;
    match host {
        "localhost" => Ok((Ipv4Addr::LOCALHOST, port).into()),
        "" => Err(format!(
            "write the address too: `127.0.0.1:{port}`, or `0.0.0.0:{port}` for all of this machine's"
        )),
        _ => Err(format!(
            "write an IP address, such as `127.0.0.1:{port}` or `[::1]:{port}`; `localhost` is the only name \
             that is taken"
        )),
    }
}

/// A port alone, as other programs take one.
fn as_port(text: &str) -> Option<(&str, &str)> {
    let is_number = !text.is_empty() && text.bytes().all(|digit| digit.is_ascii_digit());
    is_number.then_some(("", text))
}

/// The address where a server is reached unless something else is wanted: from this machine.
const DEFAULT: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 3000);

/// The time that a server that has nothing to finish takes to end: that which idle connections get, and a little.
const MOMENT: Duration = Duration::from_millis(700);

/// The time to stop asking for events.
const PASSING_ON: Duration = Duration::from_secs(8);

/// So few connections that a handful of clients has all of them.
const FEW_CONNECTIONS: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_to_serve_is_an_address_or_localhost() {
        let rows = [
            ("127.0.0.1:3000", Ok("127.0.0.1:3000")),
            ("[::1]:0", Ok("[::1]:0")),
            ("localhost:8080", Ok("127.0.0.1:8080")),
            ("127.0.0.1:80000", Err("the highest port is 65535")),
            ("localhost:65536", Err("the highest port is 65535")),
            ("127.0.0.1", Err("a port too")),
            ("127.0.0.1:", Err("an IP address and a port")),
            ("127.0.0.1:http", Err("an IP address and a port")),
            ("example.com:80", Err("`localhost` is the only name")),
            ("::1:3000x", Err("an IP address and a port")),
            (":3000", Err("the address too")),
            ("9090", Err("the address too: `127.0.0.1:9090`")),
            ("90900", Err("the highest port is 65535")),
            ("", Err("a port too")),
        ];
        for (text, expected) in rows {
            match (address(text), expected) {
                (Ok(address), Ok(expected)) => assert_eq!(address.to_string(), expected, "{text}"),
                (Err(error), Err(part)) => assert!(error.contains(part), "{text}: {error}"),
                (read, _) => panic!("{text}: {read:?}"),
            }
        }
    }
}
