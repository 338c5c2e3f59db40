//! Where a request may lead.
//!
//! A manifest, or a server that was asked, can name any address, and the machine that fetches stands inside a network that
//! others cannot reach. What is asked is only ever a request for a file, but even that may do something somewhere:
//!
//! | where to | named by the operator, or a manifest here | … by a server inside | … by one outside |
//! | --- | --- | --- | --- |
//! | outside | yes | yes | yes |
//! | this machine, private networks | yes | yes | no |
//! | link-local addresses, metadata services | no | no | no |
//!
//! A server names something by a redirect, by the place that a registry has for tokens, uploads or its packages, or in the
//! manifest of an app that is from there. What it names is asked by [`Request::within`](super::Request::within) what its
//! answer may lead to, [`Response::reach`](super::Response::reach): once a chain has been outside it may not come back.
//!
//! An address is looked at as such, and a name by all that it stands for, when it is resolved for the connection. A proxy
//! resolves names by itself, and keeps what it keeps.

use std::net::{IpAddr, SocketAddr};

use hickory_resolver::TokioResolver;
use hickory_resolver::lookup_ip::LookupIp;
use hickory_resolver::net::NetError;
use outport_policy::Address;
use reqwest::Url;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use url::Host;

use super::FetchErrorKind;

/// Where an address is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// On this machine.
    Loopback,
    /// In a network that is not globally reachable.
    Private,
    /// Where nobody else is, or a cloud tells secrets of the machine.
    Forbidden,
    /// Anywhere else.
    Outside,
}

/// Where a request may lead, by who named it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Reach {
    /// To all but what is forbidden.
    #[default]
    Anywhere,
    /// To the outside only.
    Outside,
}

impl Place {
    pub(super) fn of_address(ip: IpAddr) -> Self {
        let address = Address::new(ip);
        if address.reads_as_link_local()
            || address.reads_as_metadata_service()
            || address.reads_as_multicast()
        {
            Self::Forbidden
        } else if address.reads_as_loopback() {
            Self::Loopback
        } else if address.reads_as_private() {
            Self::Private
        } else {
            Self::Outside
        }
    }

    /// Where the server of a URL is, as far as the URL alone tells.
    pub(super) fn of_url(url: &Url) -> Option<Self> {
        match url.host()? {
            Host::Ipv4(ip) => Some(Self::of_address(ip.into())),
            Host::Ipv6(ip) => Some(Self::of_address(ip.into())),
            // RFC 6761: these are never anything else.
            Host::Domain(name) => {
                let name = name.trim_end_matches('.');
                (name == "localhost" || name.ends_with(".localhost")).then_some(Self::Loopback)
            }
        }
    }
}

impl Reach {
    /// # Errors
    ///
    /// A request may not lead there.
    pub(super) fn permit(self, place: Place) -> Result<(), FetchErrorKind> {
        match (place, self) {
            (Place::Forbidden, _) => Err(FetchErrorKind::ForbiddenAddress),
            (Place::Loopback | Place::Private, Self::Outside) => Err(FetchErrorKind::RedirectInside),
            _ => Ok(()),
        }
    }

    /// Where a redirect by a server at `place` may lead.
    pub(super) fn after(self, place: Place) -> Self {
        match place {
            Place::Outside => Self::Outside,
            _ => self,
        }
    }
}

/// The name servers and the hosts file of the system, of whose answers only those count that a request may lead to.
pub(super) struct Guarded(pub(super) Reach);

/// The error of a name that stands for no place that a request may lead to.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(super) struct Refused(pub(super) FetchErrorKind);

/// What a name stands for, by `/etc/resolv.conf` and `/etc/hosts` as they are now.
///
/// The C library is not asked. It would load the modules that `/etc/nsswitch.conf` names, which a static program must not
/// get from a machine with another C library, nor from an image that brings modules of its own.
async fn addresses(name: &str) -> Result<LookupIp, NetError> {
    TokioResolver::builder_tokio()?.build()?.lookup_ip(name).await
}

impl Resolve for Guarded {
    fn resolve(&self, name: Name) -> Resolving {
        let reach = self.0;
        Box::pin(async move {
            let found = addresses(name.as_str()).await?;
            let mut refused = None;
            let permitted: Vec<SocketAddr> = found
                .iter()
                .map(|address| SocketAddr::new(address, 0))
                .filter(|address| match reach.permit(Place::of_address(address.ip())) {
                    Ok(()) => true,
                    Err(kind) => {
                        refused = Some(kind);
                        false
                    }
                })
                .collect();
            match (permitted.is_empty(), refused) {
                (true, Some(kind)) => Err(Refused(kind).into()),
                _ => Ok(Box::new(permitted.into_iter()) as Addrs),
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_an_address_is() {
        use Place::{Forbidden, Loopback, Outside, Private};
        let rows = [
            ("http://127.0.0.1/", Some(Loopback)),
            ("http://0x7f.1/", Some(Loopback)),
            ("http://2130706433/", Some(Loopback)),
            ("http://[::1]/", Some(Loopback)),
            ("http://[::ffff:127.0.0.1]/", Some(Loopback)),
            ("http://0.0.0.0/", Some(Loopback)),
            ("http://localhost/", Some(Loopback)),
            ("http://LOCALHOST./", Some(Loopback)),
            ("http://a.localhost/", Some(Loopback)),
            ("http://localhost.example/", None),
            ("http://10.1.2.3/", Some(Private)),
            ("http://192.168.0.1/", Some(Private)),
            ("http://[fd00::1]/", Some(Private)),
            ("http://100.64.0.1/", Some(Private)),
            ("http://169.254.169.254/", Some(Forbidden)),
            ("http://[fe80::1]/", Some(Forbidden)),
            ("http://[fd00:ec2::254]/", Some(Forbidden)),
            ("http://[::ffff:169.254.169.254]/", Some(Forbidden)),
            ("http://[64:ff9b::169.254.169.254]/", Some(Forbidden)),
            ("http://100.100.100.200/", Some(Forbidden)),
            ("http://93.184.215.14/", Some(Outside)),
            ("http://[2606:2800::1]/", Some(Outside)),
            ("http://example.com/", None),
        ];
        for (url, expected) in rows {
            assert_eq!(Place::of_url(&Url::parse(url).unwrap()), expected, "{url}");
        }
    }

    #[test]
    fn once_outside_no_redirect_leads_back() {
        use Place::{Forbidden, Loopback, Outside, Private};
        let rows: [(&[Place], bool); 9] = [
            (&[Loopback, Loopback], true),
            (&[Private, Loopback], true),
            (&[Loopback, Outside], true),
            (&[Outside, Outside], true),
            (&[Outside, Loopback], false),
            (&[Outside, Private], false),
            (&[Private, Outside, Private], false),
            (&[Forbidden], false),
            (&[Loopback, Forbidden], false),
        ];
        for (chain, permitted) in rows {
            let mut reach = Reach::Anywhere;
            let all = chain.iter().all(|place| {
                let answer = reach.permit(*place).is_ok();
                reach = reach.after(*place);
                answer
            });
            assert_eq!(all, permitted, "{chain:?}");
        }
    }

    #[tokio::test]
    async fn a_name_is_judged_by_what_it_stands_for() {
        let resolve = |reach| Guarded(reach).resolve("localhost".parse().unwrap());
        assert!(
            resolve(Reach::Anywhere)
                .await
                .is_ok_and(|mut found| found.next().is_some())
        );
        let refused = resolve(Reach::Outside).await.err().unwrap();
        let refused = refused.downcast::<Refused>().unwrap();
        assert!(matches!(refused.0, FetchErrorKind::RedirectInside));
    }
}
