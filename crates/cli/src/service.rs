//! A server, from its sockets to its end: served until somebody asks to stop or another process takes over, then given
//! time to finish.
//!
//! Its sockets are, in this order:
//!
//! | from | |
//! | --- | --- |
//! | whoever started the process ([`Inherited`]) | served as they are; an option that asks for another address is an error |
//! | the process at `--upgrade-socket` ([`Upgrade`]) | taken over where they are at the address that is asked for |
//! | itself | at `--listen` |

use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use clap::{Args, FromArgMatches};
use outport_check::Diagnostic;
use outport_policy::text;
use outport_runtime::descriptors;
use outport_runtime::guest_env::Directory;
use outport_runtime::http::{Listeners, Router, Server, ServerLimits};
use tokio::time::timeout;

use crate::failure::Failure;
use crate::inherited::Inherited;
use crate::limit_options::ServerLimitOptions;
use crate::network::Network;
use crate::reach::writable_by;
use crate::server_tls::{ServedTls, ServerTlsOptions};
use crate::signals::StopSignals;
use crate::spin_environment;
use crate::telemetry::{Begin, HandedAdmin, Telemetry, TelemetryOptions};
use crate::terminal::Terminal;
use crate::upgrade::{Offer, Prepared, Upgrade, UpgradeError};

/// The options of a server: where and how to serve.
#[derive(Debug, Args)]
pub(crate) struct ServiceOptions {
    /// Serve at this address; port 0 takes a free one. `SPIN_HTTP_LISTEN_ADDR` is read as with Spin [default:
    /// 127.0.0.1:3000]
    #[arg(long, value_name = "ADDR:PORT", env = "OUTPORT_LISTEN", hide_env_values = true, value_parser = address)]
    listen: Option<SocketAddr>,

    /// Take the listeners over from the Outport at this Unix socket, if one runs there, and hand them over to the next one
    /// that comes by it
    #[arg(long, value_name = "PATH")]
    upgrade_socket: Option<PathBuf>,

    #[command(flatten)]
    tls: ServerTlsOptions,

    #[command(flatten)]
    pub(crate) limits: ServerLimitOptions,
}

impl ServiceOptions {
    /// Those of a command line that says nothing of them.
    pub(crate) fn defaults() -> Result<Self, Failure> {
        let command = Self::augment_args(clap::Command::new("outport"));
        let matches = command.try_get_matches_from(["outport"]);
        let options = matches.and_then(|matches| Self::from_arg_matches(&matches));
        Ok(options.context("the options of a server have no defaults")?)
    }

    /// Takes the addresses, so that nobody else does while the rest is made ready; of tools the one that is handed to this
    /// process.
    pub(crate) fn open(
        &self,
        inherited: Inherited,
        audience: Audience,
        telemetry: &TelemetryOptions,
    ) -> Result<Sockets, Failure> {
        if audience == Audience::Nobody {
            return self.open_nothing(&inherited);
        }
        let tls = match audience {
            Audience::Clients => self.tls.read()?,
            Audience::Events | Audience::Nobody => None,
        };
        let is_inherited = !inherited.http.is_empty() || inherited.admin.is_some();
        let mut upgrade = self.meet(is_inherited)?;
        let listeners = if audience == Audience::Clients {
            let listeners = self.listeners(inherited.http, &mut upgrade)?;
            Some(match &tls {
                Some(tls) => listeners.with_tls(tls.tls()),
                None => listeners,
            })
        } else {
            refuse_unserved(&inherited.http)?;
            None
        };
        let wanted = telemetry.admin_address();
        let admin = match (inherited.admin, wanted) {
            (Some(socket), wanted) => {
                if let Some(wanted) = wanted {
                    Inherited::expect_at(std::slice::from_ref(&socket), wanted, "--admin-listen")?;
                }
                let begin = Begin::AtOnce;
                Some(HandedAdmin { socket, begin })
            }
            (None, Some(wanted)) => upgrade.admin(wanted).map(|socket| HandedAdmin {
                socket,
                begin: Begin::Later,
            }),
            (None, None) => None,
        };
        if let Some(path) = &self.upgrade_socket {
            upgrade.listen(path).map_err(refused)?;
        }
        Ok(Sockets {
            listeners,
            tls,
            admin,
            upgrade,
        })
    }

    /// Refuses to meet the next process where a guest can change what is there.
    pub(crate) fn keep_from(&self, directories: &[Directory]) -> Result<(), Failure> {
        let Some(path) = &self.upgrade_socket else {
            return Ok(());
        };
        match writable_by(path, directories) {
            None => Ok(()),
            Some(shared) => {
                let (path, host) = (text::path(path), text::path(&shared.host));
                let error = format!(
                    "the guest can take `{path}` of `--upgrade-socket` away, through `{host}`, which `--dir` opens to it"
                );
                Err(Failure::unusable(
                    Diagnostic::error(error).helped_by("keep it in a directory that no guest can write to"),
                ))
            }
        }
    }

    /// What only runs at start has nothing to inherit.
    fn open_nothing(&self, inherited: &Inherited) -> Result<Sockets, Failure> {
        refuse_unserved(&inherited.http)?;
        if self.upgrade_socket.is_some() {
            let error =
                "`--upgrade-socket` is for what goes on until somebody stops it, and this only runs once";
            return Err(Failure::unusable(
                Diagnostic::error(error).helped_by("leave it out"),
            ));
        }
        Ok(Sockets::default())
    }

    fn meet(&self, is_inherited: bool) -> Result<Upgrade, Failure> {
        match &self.upgrade_socket {
            None => Ok(Upgrade::default()),
            Some(_) if is_inherited => {
                let error = "this process was started with its sockets, and `--upgrade-socket` would take them from another";
                Err(Failure::unusable(Diagnostic::error(error).helped_by(
                    "leave `--upgrade-socket` out: whoever opened the sockets holds them from one process to the next",
                )))
            }
            Some(path) => Upgrade::meet(path).map_err(refused),
        }
    }

    fn listeners(&self, inherited: Vec<TcpListener>, upgrade: &mut Upgrade) -> Result<Listeners, Failure> {
        let (asked, by) = match self.listen {
            Some(listen) => (Some(listen), "--listen"),
            None => (
                spin_environment::read(SPINS_LISTEN_VARIABLE, address)?,
                SPINS_LISTEN_VARIABLE,
            ),
        };
        let workers = self.limits.workers();
        if !inherited.is_empty() {
            if let Some(wanted) = asked {
                Inherited::expect_at(&inherited, wanted, by)?;
            }
            return Ok(Listeners::adopt(inherited, workers)?);
        }
        let wanted = asked.unwrap_or(DEFAULT);
        Ok(match upgrade.http(wanted) {
            Some(sockets) => Listeners::adopt(sockets, workers)?,
            None => Listeners::bind(wanted, workers)?,
        })
    }

    /// Starts to serve, and says so.
    pub(crate) fn start(
        &self,
        router: impl Into<Arc<Router>>,
        (listeners, tls): (Listeners, Option<ServedTls>),
        network: &Network,
        terminal: Terminal,
    ) -> Result<Server, Failure> {
        let status = serving(&listeners);
        let limits = self.limits_of_clients();
        let server = Server::start(router, listeners, limits)?;
        if let Some(tls) = tls {
            let watch = tls.watch(&network.telemetry().meter(), terminal)?;
            network.reload().tell(watch);
        }
        terminal.insist(&status);
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

/// Whom a server is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Audience {
    /// Clients, and maybe events.
    Clients,
    /// Events alone.
    Events,
    /// There is no server: what there is runs once.
    Nobody,
}

/// The sockets of a server, and where they go when it ends.
#[derive(Default)]
pub(crate) struct Sockets {
    /// For clients.
    pub(crate) listeners: Option<Listeners>,
    /// Where these speak HTTPS.
    pub(crate) tls: Option<ServedTls>,
    /// For tools, where it was handed to this process.
    pub(crate) admin: Option<HandedAdmin>,
    pub(crate) upgrade: Upgrade,
}

/// The URL of everything that is served, at the first of the addresses: `https://127.0.0.1:3000`.
pub(crate) fn url(listeners: &Listeners) -> String {
    format!("{}://{}", listeners.scheme(), listeners.address())
}

/// The line that says what is served.
pub(crate) fn serving(listeners: &Listeners) -> String {
    let mut line = format!("Serving {}", url(listeners));
    for address in listeners.addresses().skip(1) {
        line.push_str(&format!(" {}://{address}", listeners.scheme()));
    }
    line
}

fn refuse_unserved(sockets: &[TcpListener]) -> Result<(), Failure> {
    if sockets.is_empty() {
        return Ok(());
    }
    let error = "this process was started with a socket for clients, and the app has no HTTP trigger that would answer them";
    Err(Failure::unusable(
        Diagnostic::error(error).helped_by("start it without the socket"),
    ))
}

fn refused(error: UpgradeError) -> Failure {
    let told = Diagnostic::error(format!("`--upgrade-socket`: {error}"));
    Failure::unusable(told.helped_by(error.advice()))
}

/// The copies of the sockets that a process which takes over will get. Made before they are served.
pub(crate) fn prepare(
    upgrade: Upgrade,
    listeners: Option<&Listeners>,
    telemetry: &Telemetry,
) -> Result<Prepared, Failure> {
    if !upgrade.is_offered() {
        return Ok(upgrade.prepare(Vec::new(), None));
    }
    let http = listeners.map(Listeners::copies).transpose()?;
    Ok(upgrade.prepare(http.unwrap_or_default(), telemetry.admin_socket()?))
}

/// Has the process before stop, if there is one, now that this one serves its clients.
pub(crate) fn take_over(
    prepared: Prepared,
    telemetry: &Telemetry,
    terminal: Terminal,
) -> Result<Offer, Failure> {
    let (offer, before) = prepared.take_over(terminal)?;
    if let Some(process) = before {
        terminal.say(&format!("Took over from process {process}"));
    }
    telemetry.answer_tools(terminal)?;
    Ok(offer)
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

/// Spin's variable for the address.
const SPINS_LISTEN_VARIABLE: &str = "SPIN_HTTP_LISTEN_ADDR";

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
