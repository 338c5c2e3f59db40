//! The listening sockets, which the watcher holds from one process to the next: nobody is refused while none serves, and a port
//! that was taken by `--listen …:0` stays.

use std::net::TcpListener;
use std::process::Command;

use outport_manifest::Manifest;

use crate::commands::up;
use crate::failure::Failure;
use crate::inherited::Inherited;
use crate::own_process::HandedOver;
use crate::service::Audience;
use crate::telemetry::bind_admin;

/// The sockets, opened when an app has a use for them.
pub(super) struct Sockets {
    http: Vec<TcpListener>,
    admin: Option<TcpListener>,
}

impl Sockets {
    /// Those that the watcher was started with, if it was.
    pub(super) fn new(inherited: Inherited) -> Self {
        Self {
            http: inherited.http,
            admin: inherited.admin,
        }
    }

    /// Has `command` find those that the app needs, as the options of `up` say.
    pub(super) fn hand_to(
        &mut self,
        command: &mut Command,
        manifest: &Manifest,
        up: &up::Options,
    ) -> Result<HandedOver, Failure> {
        let audience = up.audience(manifest);
        if audience == Audience::Clients && self.http.is_empty() {
            self.http = up.service.bind()?;
        }
        let wanted = up.operator().telemetry.admin_address();
        if let (None, Some(address)) = (&self.admin, wanted) {
            self.admin = Some(bind_admin(address)?.copy()?);
        }
        let http = self.http.iter().filter(|_| audience == Audience::Clients);
        let admin = self.admin.iter().filter(|_| audience != Audience::Nobody);
        let sockets: Vec<_> = http
            .map(|socket| (socket, "http"))
            .chain(admin.map(|socket| (socket, "admin")))
            .collect();
        Ok(HandedOver::to(command, &sockets)?)
    }
}
