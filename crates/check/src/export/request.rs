//! What is exported: whose policies, in which operator's limits, and what the process needs beside what its guests do.

use outport_policy::{Host, HostPattern, Operator, Policy, PortSet};

use super::nftables::Attached;

/// An app whose policy is to be said in other words.
#[derive(Debug)]
pub struct Request<'a> {
    /// The name of the app, of which the names in the document are made.
    pub app: &'a str,
    /// What the document's object is called instead: see [`is_name`](super::is_name).
    pub name: Option<&'a str>,
    /// The component that is meant alone, if one is.
    pub component: Option<&'a str>,
    /// nftables: whose packets the rules are for.
    pub attached: Attached,
    /// Kubernetes, Cilium: the labels of the pods that it is for. Empty: every pod of the namespace.
    pub labels: Vec<(String, String)>,
    /// The policies of its components that are meant: all in one process. Without those of parts, which are never wider.
    pub policies: &'a [Policy],
    /// The operator's side.
    pub operator: &'a Operator,
    /// What the process itself connects to.
    pub needs: Vec<Need>,
    /// Where there is an egress proxy what does not go through it, beside loopback; `None`: there is none.
    pub direct: Option<Vec<(HostPattern, PortSet)>>,
    /// True if the denied names are resolved ahead (DL-5).
    pub resolves_denied: bool,
}

impl<'a> Request<'a> {
    /// These policies and nothing else: without needs and proxy, for the default user and for every pod.
    pub fn new(app: &'a str, policies: &'a [Policy], operator: &'a Operator) -> Self {
        Self {
            app,
            name: None,
            component: None,
            attached: Attached::default(),
            labels: Vec::new(),
            policies,
            operator,
            needs: Vec::new(),
            direct: None,
            resolves_denied: true,
        }
    }
}

/// A destination of the process itself, not of its guests.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Need {
    /// What it is, and where it was said.
    pub what: String,
    /// The place.
    pub at: NeededHost,
    /// The port.
    pub port: u16,
    /// The protocols: TCP, or both.
    pub spoken: Spoken,
}

/// The protocols that the process speaks with what it needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Spoken {
    /// TCP alone.
    Tcp,
    /// Both: DNS.
    UdpAndTcp,
}

/// The place of what the process needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NeededHost {
    /// A name or an address.
    Host(Host),
    /// The name servers of a Kubernetes cluster, wherever they run.
    ClusterDns,
}

/// The words that a policy is said in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// A `NetworkPolicy` of Kubernetes.
    NetworkPolicy,
    /// A `CiliumNetworkPolicy`.
    Cilium,
    /// A table of nftables.
    Nftables,
}

impl Target {
    /// True if it can look at some bits of an address under a mask.
    pub(super) fn knows_masks(self) -> bool {
        self == Self::Nftables
    }
}
