//! The sockets of a server: from whoever has them, and to the process that takes over.
//!
//! They are, in this order:
//!
//! | from | |
//! | --- | --- |
//! | whoever started the process ([`Inherited`]) | served as they are; an option that asks for another address is an error |
//! | the process at `--upgrade-socket` ([`Upgrade`]) | taken over where they are at the address that is asked for |
//! | itself | at `--listen` |

use std::net::{SocketAddr, TcpListener};

use outport_check::Diagnostic;
use outport_policy::text;
use outport_runtime::guest_env::Directory;
use outport_runtime::http::Listeners;
use outport_telemetry::dashboard::DashboardListener;

use super::{DEFAULT, Place, ServiceOptions};
use crate::configuration::blame::not_listened_at;
use crate::failure::Failure;
use crate::inherited::Inherited;
use crate::reach::writable_by;
use crate::telemetry::{Begin, HandedAdmin, Telemetry, TelemetryOptions};
use crate::terminal::Terminal;
use crate::upgrade::{Offer, Prepared, Upgrade, UpgradeError};

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
    pub(crate) place: Option<Place>,
    /// For tools, where it was handed to this process.
    pub(crate) admin: Option<HandedAdmin>,
    /// For the person who runs it.
    pub(crate) dashboard: Option<DashboardListener>,
    pub(crate) upgrade: Upgrade,
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
    place: Option<&Place>,
    telemetry: &Telemetry,
) -> Result<Prepared, Failure> {
    if !upgrade.is_offered() {
        return Ok(upgrade.prepare(Vec::new(), None));
    }
    let http = place.map(|place| place.listeners.copies()).transpose()?;
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

fn bind(wanted: SocketAddr, workers: usize) -> Result<Listeners, Failure> {
    let bound = Listeners::bind(wanted, workers);
    Ok(bound.map_err(|error| not_listened_at("listen", &error.to_string()))?)
}

impl ServiceOptions {
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
        let is_inherited = !inherited.http.is_empty() || inherited.admin.is_some();
        let mut upgrade = self.meet(is_inherited)?;
        let place = if audience == Audience::Clients {
            Some(self.place(inherited.http, &mut upgrade)?)
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
            place,
            admin,
            dashboard: self.dashboard.open()?,
            upgrade,
        })
    }

    /// Listens where clients are to be served, for a process that does it.
    pub(crate) fn bind(&self) -> Result<Vec<TcpListener>, Failure> {
        let wanted = self.listen.unwrap_or(DEFAULT);
        Ok(bind(wanted, self.limits.workers())?.copies()?)
    }

    /// True if `--upgrade-socket` was given.
    pub(crate) fn has_an_upgrade_socket(&self) -> bool {
        self.upgrade_socket.is_some()
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
        Ok(Sockets {
            dashboard: self.dashboard.open()?,
            ..Sockets::default()
        })
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

    fn place(&self, inherited: Vec<TcpListener>, upgrade: &mut Upgrade) -> Result<Place, Failure> {
        let tls = self.tls.read()?;
        let listeners = self.listeners(inherited, upgrade)?;
        let listeners = match &tls {
            Some(tls) => listeners.with_tls(tls.tls()),
            None => listeners,
        };
        Ok(Place { listeners, tls })
    }

    fn listeners(&self, inherited: Vec<TcpListener>, upgrade: &mut Upgrade) -> Result<Listeners, Failure> {
        let workers = self.limits.workers();
        if !inherited.is_empty() {
            if let Some(wanted) = self.listen {
                Inherited::expect_at(&inherited, wanted, "--listen")?;
            }
            return Ok(Listeners::adopt(inherited, workers)?);
        }
        let wanted = self.listen.unwrap_or(DEFAULT);
        Ok(match upgrade.http(wanted) {
            Some(sockets) => Listeners::adopt(sockets, workers)?,
            None => bind(wanted, workers)?,
        })
    }
}
