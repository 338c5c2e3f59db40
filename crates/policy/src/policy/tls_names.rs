//! Names held to TLS (TLS-1, TLS-5): what the [deny list](super::deny_list) and the [allow list](super::allow_list) say to
//! the server name of a ClientHello, by [`TlsNames`].
//!
//! | | `denied` | `allowed` | `required` |
//! | --- | --- | --- | --- |
//! | a name that the deny list has for that port | refused | refused | refused |
//! | another one, where an entry matches the address or every host | passes | passes | passes |
//! | another one, where a look-up opened the connection | passes | needs an entry | needs an entry |
//! | no name, where a look-up opened the connection | passes | passes | refused |
//! | malformed, and all of it is read | passes | refused | refused |
//! | what cannot be read, what is no name, too long | refused where the deny list has names for that port | refused | refused |
//!
//! Whether a look-up opened the connection is asked of the list as it is: an address that no entry matches was reached by a
//! grant, or not at all. A grant that has ended since changes nothing, as it ends no connection (DNS-6).

use super::Policy;
use crate::deny_list::DenyMatch;
use crate::index::Side;
use crate::{
    Denial, Endpoint, Entry, Host, Protocol, Reason, Rule, ServerName, Setting, TlsNames, Transport,
};

/// What carries TLS.
const TCP: Protocol<'static> = Protocol::Socket(Transport::Tcp);

impl Policy {
    /// The refusal of a server that TLS is to be spoken with, on any of the ports that the guest has a connection to
    /// (TLS-5). The name stands in the log as it was given.
    #[cold]
    pub(super) fn denies_server(&self, server: &Host, remotes: &[Endpoint]) -> Option<Denial<'_>> {
        if self.operator.tls_names == TlsNames::Off {
            return None;
        }
        let mut refusals = remotes.iter().map(|remote| self.denies_on(server, remote.port));
        refusals.find_map(|refusal| refusal).map(Denial::from)
    }

    /// The refusal of a ClientHello on a connection to `port` by the deny list.
    #[cold]
    pub(super) fn denies_hello(&self, server: ServerName<'_>, port: u16) -> Option<Denial<'_>> {
        if self.operator.tls_names == TlsNames::Off {
            return None;
        }
        match server {
            ServerName::Host(server) | ServerName::Piece(server) => self
                .denies_on(server, port)
                .map(|refusal| Denial::from(refusal).named(name_of(server))),
            ServerName::TooLong | ServerName::Unread(_) => self
                .operator
                .deny
                .refuses_unread_name(TCP, port)
                .map(Denial::from),
            ServerName::Missing | ServerName::Malformed(_) => None,
        }
    }

    fn denies_on(&self, server: &Host, port: u16) -> Option<DenyMatch<'_>> {
        let deny = &self.operator.deny;
        let refusal = match server {
            Host::Name(name) => deny.refuses_name(name, &[], TCP, port),
            Host::Address(address) => deny.refuses_address(*address, TCP, port),
        };
        refusal.map(|refusal| DenyMatch {
            reason: Reason::DenyTlsName,
            ..refusal
        })
    }

    /// What the own list says to a server that TLS is to be spoken with, on one of these connections: it is refused where
    /// it would be on each of them. The ClientHello says which one it is, and is judged as well.
    #[cold]
    pub(super) fn permits_server(&self, server: &Host, remotes: &[Endpoint]) -> Result<Rule<'_>, Denial<'_>> {
        let mut refusal = None;
        for remote in remotes {
            match self.permits_hello(ServerName::Host(server), *remote) {
                Ok(rule) => return Ok(rule),
                Err(denial) => refusal = Some(denial.named(None)),
            }
        }
        // Without a connection there is nobody to speak with.
        refusal.map_or(Ok(Rule::Harmless), Err)
    }

    /// What the own list says to a ClientHello on a connection to `remote`.
    #[cold]
    pub(super) fn permits_hello(
        &self,
        server: ServerName<'_>,
        remote: Endpoint,
    ) -> Result<Rule<'_>, Denial<'_>> {
        let mode = self.operator.tls_names;
        if !mode.asks_the_author() || self.allow.is_the_operators() {
            return Ok(Rule::Harmless);
        }
        let lifted_by = |mode| Err(Denial::new(Reason::AllowTlsName).lifted_by(Setting::TlsNames(mode)));
        match server {
            ServerName::Malformed(_) | ServerName::Unread(_) | ServerName::TooLong => {
                lifted_by(TlsNames::Denied)
            }
            // It is refused as malformed by itself.
            ServerName::Piece(_) => Ok(Rule::Harmless),
            ServerName::Missing if mode == TlsNames::Required && self.meant(remote).is_none() => {
                lifted_by(TlsNames::Allowed)
            }
            ServerName::Missing => Ok(Rule::Harmless),
            ServerName::Host(server) => {
                let named = || self.allow.permits_host(server, TCP, remote.port);
                self.meant(remote).or_else(named).map(Rule::Entry).ok_or_else(|| {
                    let closest = self.allow.closest_of_tls(server, remote.port);
                    let denial = Denial::new(Reason::AllowTlsName).near(closest);
                    match server {
                        Host::Name(name) => denial.named(Some(name.clone())),
                        // An entry for it would permit connections to it, which is not what was tried.
                        Host::Address(_) => denial.lifted_by(Setting::TlsNames(TlsNames::Denied)),
                    }
                })
            }
        }
    }

    /// The entry that matches the address itself or every host, if one does: then no name opened the connection.
    fn meant(&self, remote: Endpoint) -> Option<&Entry> {
        let found = self
            .allow
            .at(remote.address)
            .find(Side::Allow, TCP, remote.port)?;
        Some(found.entry)
    }
}

fn name_of(server: &Host) -> Option<crate::Name> {
    match server {
        Host::Name(name) => Some(name.clone()),
        Host::Address(_) => None,
    }
}
