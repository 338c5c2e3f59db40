//! The effective policy of an app in the words of the layer below: Kubernetes, Cilium, nftables.
//!
//! ```text
//! policies, operator ─► Flow (TCP), Flow (UDP)   what passes, by address and port, exactly
//!                   ├─► Named                    what is only known by name
//! what it needs ────┤                            name servers, stores, the egress proxy
//!                   ▼
//!            Exported ─┬─► nftables, network_policy, cilium: the document
//!                      └─► Notes: each difference, with its entry, its direction and its destinations
//! ```
//!
//! The layer below knows addresses and ports. What Outport judges beside that (names, schemes, who looked what up) it cannot
//! say, and where it cannot, a [`Note`] does: the document is never silently wider or narrower. *Wider* and *narrower* are
//! against what sockets of guests may reach, without a look-up. A test holds both against each other: every difference
//! between [`Policy::decide`](outport_policy::Policy::decide) and the exported rules is in a note, and everything that a note
//! is about is a difference.
//!
//! Everything here is pure: nothing is resolved, read or asked.

mod beyond;
mod cilium;
mod embedded;
mod flow;
mod guard;
mod json;
mod line;
mod named;
mod network_policy;
mod nftables;
mod notes;
mod request;
mod sliced;
mod space;
mod title;
mod told;
mod yaml;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use outport_policy::{Endpoint, Host, HostPattern, KeptOut, PortSet, Transport};

use self::flow::Flow;
use self::guard::Guard;
use self::json::lines as told_lines;
use self::named::Named;
pub use self::nftables::{Attached, AttachedError};
pub use self::notes::{Differs, Note};
pub use self::request::{Need, NeededHost, Request, Spoken, Target};
use self::space::Space;
pub use self::title::{default_label, is_name};

/// A policy in other words.
#[derive(Debug)]
pub struct Exported {
    target: Target,
    app: String,
    /// What its object is called: a label of DNS.
    title: String,
    attached: Attached,
    labels: Vec<(String, String)>,
    tcp: Flow,
    udp: Flow,
    /// What no name resolves to, for TCP and for UDP.
    guards: [Guard; 2],
    /// What is permitted by name.
    permitted: Vec<Named>,
    /// What the operator denies by name.
    denied: Vec<Named>,
    needs: Vec<Need>,
    /// The names that are asked for, each with what it is of.
    asked: Vec<(HostPattern, String)>,
    /// True if guests may look up every name.
    any_name: bool,
    notes: Vec<Note>,
}

/// A policy that has too much in it for the target.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the policy would have {count} {what}, more than the {most} that are written")]
pub struct TooLarge {
    count: usize,
    most: usize,
    what: &'static str,
}

impl Exported {
    /// Says a policy in the words of a target.
    ///
    /// # Errors
    ///
    /// There would be more rules than anybody can load: 10,000 networks for Kubernetes and Cilium, 100,000 elements of sets
    /// for nftables.
    pub fn of(request: Request<'_>, target: Target) -> Result<Self, TooLarge> {
        let kept_out = KeptOut::of(request.operator);
        let mut tcp = Flow::of(Transport::Tcp, &request, &kept_out, target)?;
        let mut udp = Flow::of(Transport::Udp, &request, &kept_out, target)?;
        if let Some(direct) = &request.direct {
            let direct = direct_space(direct);
            for flow in [&mut tcp, &mut udp] {
                flow.accepted = flow.accepted.intersection(&direct);
            }
        }
        let mut exported = Self {
            target,
            app: request.app.to_owned(),
            title: title::title(&request),
            attached: request.attached.clone(),
            labels: request.labels.clone(),
            guards: [Transport::Tcp, Transport::Udp].map(|transport| Guard::of(transport, &request)),
            permitted: named::permitted(&request, &kept_out, request.direct.as_deref()),
            asked: named::asked(&request, &kept_out),
            denied: named::denied(request.operator.deny.entries()),
            needs: request.needs.clone(),
            any_name: (request
                .policies
                .iter()
                .flat_map(|policy| policy.allow().entries()))
            .any(|entry| entry.hosts().contains(&HostPattern::Any)),
            notes: Vec::new(),
            tcp,
            udp,
        };
        exported.check_size()?;
        exported.notes = told::notes(&exported, &request);
        exported.notes.extend(beyond::notes(&exported, &request));
        Ok(exported)
    }

    /// What the target cannot say, in the order of the entries.
    pub fn notes(&self) -> &[Note] {
        &self.notes
    }

    /// A document of these rules and the notes as one JSON document with its line end; `docs/schema/export.json` says what it
    /// looks like.
    pub fn to_json(&self, document: &str) -> String {
        json::json(self, document)
    }

    /// The document for `kubectl apply -f`.
    ///
    /// # Errors
    ///
    /// See [`of`](Self::of).
    pub fn to_yaml(&self) -> Result<String, TooLarge> {
        match self.target {
            Target::Cilium => cilium::document(self),
            Target::NetworkPolicy | Target::Nftables => network_policy::document(self),
        }
    }

    /// The document for `nft -f`.
    pub fn to_nftables(&self) -> String {
        nftables::document(self)
    }

    fn flows(&self) -> [&Flow; 2] {
        [&self.tcp, &self.udp]
    }

    /// What is denied on a transport, as far as something would pass otherwise: all of it on the ports of names, whose
    /// addresses may be any.
    fn denied_where_it_matters(&self, flow: &Flow) -> Space {
        let ports = self.ports_of_names(flow.transport);
        let all = ["0.0.0.0/0", "::/0"].map(|net| {
            let net = net.parse().expect("INVARIANT: it is a network");
            (net, ports.clone())
        });
        flow.denied.intersection(&flow.accepted.union(&Space::of(all)))
    }

    /// What is denied by bits under masks, likewise.
    fn masked_where_it_matters(&self, flow: &Flow) -> Masks {
        if self.ports_of_names(flow.transport).is_empty() {
            Arc::new(flow.masked.near(&flow.passes().v6))
        } else {
            Arc::clone(&flow.masked)
        }
    }

    fn ports_of_names(&self, transport: Transport) -> PortSet {
        let names = self.permitted.iter();
        names.fold(PortSet::EMPTY, |sum, named| sum.union(named.ports(transport)))
    }

    /// True if anything of the transport may pass.
    fn uses(&self, flow: &Flow) -> bool {
        !self.ports_of_names(flow.transport).is_empty() || !flow.passes().is_empty()
    }

    /// The addresses that the process needs on a transport, as far as they are known.
    fn needed(&self, transport: Transport) -> Space {
        let needs = self.needs.iter().filter(|need| need.speaks(transport));
        Space::of_endpoints(needs.filter_map(Need::endpoint))
    }

    fn check_size(&self) -> Result<(), TooLarge> {
        let sizes = self.flows().map(|flow| flow.accepted.size() + flow.denied.size());
        let count = sizes.iter().sum::<usize>() + self.permitted.len();
        self.target.check(count)
    }
}

impl Target {
    /// Refuses more than anybody can load.
    fn check(self, count: usize) -> Result<(), TooLarge> {
        match self {
            Self::Nftables => check(count, MOST_ELEMENTS, "elements of sets"),
            Self::NetworkPolicy | Self::Cilium => check(count, MOST_NETWORKS, "networks"),
        }
    }
}

/// The most elements of sets of nftables.
const MOST_ELEMENTS: usize = 100_000;
/// The most networks of a policy of Kubernetes or Cilium.
const MOST_NETWORKS: usize = 10_000;

fn check(count: usize, most: usize, what: &'static str) -> Result<(), TooLarge> {
    if count > most {
        return Err(TooLarge { count, most, what });
    }
    Ok(())
}

impl Need {
    fn speaks(&self, transport: Transport) -> bool {
        transport == Transport::Tcp || self.spoken == Spoken::UdpAndTcp
    }

    /// Where it is, if that is an address.
    fn endpoint(&self) -> Option<Endpoint> {
        match &self.at {
            NeededHost::Host(Host::Address(address)) => Some(Endpoint::new(*address, self.port)),
            NeededHost::Host(Host::Name(_)) | NeededHost::ClusterDns => None,
        }
    }
}

/// What does not go through the proxy: loopback, and what the operator says.
fn direct_space(direct: &[(HostPattern, PortSet)]) -> Space {
    let loopback = ["127.0.0.0/8", "::1/128"].map(|net| {
        let net = net.parse().expect("INVARIANT: it is a network");
        (net, PortSet::all())
    });
    let said = direct.iter().flat_map(|(pattern, ports)| {
        let networks = match pattern {
            HostPattern::Any => ["0.0.0.0/0", "::/0"]
                .map(|net| net.parse().expect("INVARIANT: it is a network"))
                .to_vec(),
            HostPattern::Network(net) => vec![*net],
            HostPattern::Address(address) => vec![address.ip().into()],
            HostPattern::Name(_) | HostPattern::Subdomains(_) | HostPattern::ToSelf => Vec::new(),
        };
        networks.into_iter().map(|net| (net, ports.clone()))
    });
    Space::of(loopback.into_iter().chain(said))
}

/// The embedded addresses that both transports are denied.
type Masks = Arc<embedded::Embedded>;
