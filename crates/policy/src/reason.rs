//! The reason why an attempt was refused: one closed list, with the code, the sentence and the layer side by side.

use std::fmt;

macro_rules! reasons {
    ($($(#[$doc:meta])* $variant:ident = $code:literal, $layer:ident, $sentence:literal;)*) => {
        /// The reason why an attempt was refused (RSN-1).
        ///
        /// The list may grow; a code is never renamed. The same code stands in the audit log, in metrics, and in
        /// what `check` and `explain` say.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[non_exhaustive]
        pub enum Reason {
            $($(#[$doc])* $variant,)*
        }

        impl Reason {
            /// Every reason there is.
            pub const ALL: &'static [Reason] = &[$(Reason::$variant),*];

            /// The stable code, such as `allow.no-match`.
            pub const fn code(self) -> &'static str {
                match self { $(Self::$variant => $code),* }
            }

            /// The meaning of the code, as a sentence without a full stop.
            pub const fn sentence(self) -> &'static str {
                match self { $(Self::$variant => $sentence),* }
            }

            /// The layer that refuses for this reason.
            pub const fn layer(self) -> Layer {
                match self { $(Self::$variant => Layer::$layer),* }
            }
        }
    };
}

reasons! {
    /// Listening (HL-1).
    HardListen = "hard.listen", Hard, "a guest cannot listen";
    /// Accepting (HL-2).
    HardAccept = "hard.accept", Hard, "a guest cannot accept connections";
    /// A chosen local address or port (HL-3).
    HardBind = "hard.bind", Hard, "a guest cannot choose a local address or port";
    /// Multicast and broadcast (HL-5).
    HardMulticast = "hard.multicast", Hard, "multicast and broadcast cannot be reached";
    /// A datagram that nobody was asked for (HL-4).
    HardUnsolicited = "hard.unsolicited", Hard, "a datagram came from where this instance has sent nothing";
    /// Port 0 (HL-6).
    HardPortZero = "hard.port-zero", Hard, "port 0 is not a destination";
    /// An unspecified address (HL-6).
    HardUnspecified = "hard.unspecified", Hard, "the unspecified address is not a destination";
    /// The operator's egress proxy, which a guest could ask for anything (PX-2).
    HardEgressProxy = "hard.egress-proxy", Hard,
        "this is the egress proxy, which would connect to anything for whoever speaks to it";

    /// A denied host (DL-1, DL-3, DL-8).
    DenyHost = "deny.host", DenyList, "the operator's deny list names this host";
    /// An address of a denied name (DL-5).
    DenyNameAddress = "deny.name-address", DenyList, "this is an address of a name on the operator's deny list";
    /// An alias of a denied name (DL-4).
    DenyCname = "deny.cname", DenyList, "the name is an alias of one on the operator's deny list";
    /// An address in a denied network (DL-6, DL-7).
    DenyNetwork = "deny.network", DenyList, "the address lies in a network that the operator denies";
    /// A denied server name in TLS (TLS-1, TLS-5).
    DenyTlsName = "deny.tls-name", DenyList, "the operator's deny list names this server of TLS";

    /// A privileged port of loopback (RL-1).
    RuntimeLoopbackPort = "runtime.loopback-port", RuntimeLimits,
        "loopback ports below 1024 stay shut until the operator lifts them";
    /// UDP, unless it is lifted (RL-2).
    RuntimeUdp = "runtime.udp", RuntimeLimits, "UDP stays shut until the operator lifts it";
    /// UDP where there is an egress proxy, lifted or not (PX-4).
    RuntimeUdpProxied = "runtime.udp-proxied", RuntimeLimits,
        "UDP cannot go through the operator's egress proxy, so it stays shut";
    /// A link-local or metadata address (RL-3).
    RuntimeLinkLocal = "runtime.link-local", RuntimeLimits,
        "link-local and instance-metadata addresses stay shut until the operator lifts them";

    /// An empty list (ORD-2).
    AllowNone = "allow.none", AllowList, "the allow list is empty";
    /// The code is that of a dependency, which has only what it inherits from its component.
    AllowNotInherited = "allow.not-inherited", AllowList,
        "this is a dependency that does not inherit this from its component";
    /// No entry covers the destination, and none comes close.
    AllowNoMatch = "allow.no-match", AllowList, "no entry of the allow list covers this";
    /// Another protocol than the entries are for (AL-3).
    AllowScheme = "allow.scheme", AllowList, "an entry names this host, but not this protocol";
    /// An entry names the host, but not the port.
    AllowPort = "allow.port", AllowList, "an entry names this host, but not this port";
    /// Clause HI-5.
    AllowLabel = "allow.label", AllowList, "the component does not list this label";
    /// An address of a name that the guest has not looked up: only a look-up grants it (DNS-3).
    AllowNameNotLookedUp = "allow.name-not-looked-up", AllowList,
        "entries name hosts by name, and this instance looked up none that answered with this address";
    /// A grant that a newer answer ended (DNS-4).
    GrantReplaced = "grant.replaced", AllowList,
        "a look-up granted this address once, and a newer answer for the name no longer has it";
    /// A grant that made room for newer ones (DNS-12).
    GrantEvicted = "grant.evicted", AllowList,
        "a look-up granted this address once, and so many names were looked up since that it made room for them";

    /// A server name in TLS that no entry permits, on a connection that a look-up opened (TLS-1).
    AllowTlsName = "allow.tls-name", AllowList,
        "TLS on a connection that was opened because of a name is for names that the allow list has, and this is for none";

    /// A name that no entry lets sockets have (DNS-1).
    DnsNameNotAllowed = "dns.name-not-allowed", AllowList,
        "no entry that sockets can use covers this name, so it cannot be looked up";
    /// An answer that leads to this machine or link (DNS-9).
    DnsRebinding = "dns.rebinding", AllowList,
        "a name that is not localhost answered with an address of this machine or link";

    /// The method CONNECT (AL-6).
    HttpConnectMethod = "http.connect-method", Hard, "the method CONNECT would relay anywhere";
    /// The URL of a request is for no host that can be judged, or reads as if it were for another.
    HttpHost = "http.host", Hard,
        "the URL of the request is not http(s)://HOST[:PORT]/PATH with a name or an address as its host";

    /// Clause HI-1: what is not understood of an address string leads nowhere.
    AddressInvalid = "address.invalid", Hard,
        "a part of the address string is not understood, or could lead to where nobody was asked about";

    /// Too many sockets.
    QuotaSockets = "quota.sockets", Quotas, "too many sockets are open";
    /// Too many look-ups (DNS-12).
    QuotaLookups = "quota.lookups", Quotas, "too many look-ups are in flight";
    /// Too many connections.
    QuotaConnections = "quota.connections", Quotas, "too many connections are open";
    /// As many bytes sent as the operator permits in a time (BUD-3).
    QuotaBytes = "quota.bytes", Quotas, "the component has sent as many bytes as it may in this time";

    /// Too many look-ups that left the machine (BUD-1).
    QuotaLookupRate = "quota.lookup-rate", Quotas,
        "the component has had as many names looked up by DNS servers as it may in a minute";
    /// Too many names below a wildcard (BUD-2).
    QuotaNames = "quota.names", Quotas,
        "the component has asked for as many names below this wildcard as it may in an hour";

    /// An audit log that cannot be written: whoever wants everything recorded wants nothing done that is not (RSN-6).
    AuditUnavailable = "audit.unavailable", Hard,
        "the audit log cannot be written, and nothing may pass that is not in it";
    /// An error of our own (ORD-4).
    ErrorInternal = "error.internal", Hard, "an error on the way to the decision, which denies";
}

/// The layers in the order in which they are asked (ORD-1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Layer {
    /// Limits that nobody can lift.
    Hard,
    /// The operator's deny list.
    DenyList,
    /// Limits that only the operator can lift.
    RuntimeLimits,
    /// The author's allow list and the grants that came of it.
    AllowList,
    /// Bounds on how much there is at once.
    Quotas,
}

impl Layer {
    /// All layers, in order.
    pub const ALL: [Self; 5] = [
        Self::Hard,
        Self::DenyList,
        Self::RuntimeLimits,
        Self::AllowList,
        Self::Quotas,
    ];
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

impl fmt::Display for Layer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Hard => "hard limits",
            Self::DenyList => "operator's deny list",
            Self::RuntimeLimits => "runtime limits",
            Self::AllowList => "author's allow list",
            Self::Quotas => "quotas",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // proves: RSN-1
    #[test]
    fn the_codes_are_stable_and_unique() {
        let codes: Vec<&str> = Reason::ALL.iter().map(|reason| reason.code()).collect();
        for code in [
            "hard.listen",
            "hard.accept",
            "hard.bind",
            "hard.multicast",
            "hard.unsolicited",
            "hard.egress-proxy",
            "deny.host",
            "deny.name-address",
            "deny.cname",
            "deny.network",
            "deny.tls-name",
            "runtime.loopback-port",
            "runtime.udp",
            "runtime.udp-proxied",
            "runtime.link-local",
            "allow.none",
            "allow.not-inherited",
            "allow.no-match",
            "allow.scheme",
            "allow.port",
            "allow.label",
            "allow.name-not-looked-up",
            "allow.tls-name",
            "grant.replaced",
            "grant.evicted",
            "dns.name-not-allowed",
            "dns.rebinding",
            "http.connect-method",
            "address.invalid",
            "quota.sockets",
            "quota.lookups",
            "quota.connections",
            "quota.lookup-rate",
            "quota.names",
            "quota.bytes",
            "audit.unavailable",
        ] {
            assert_eq!(codes.iter().filter(|own| **own == code).count(), 1, "{code}");
        }
        let shown: Vec<String> = Reason::ALL.iter().map(Reason::to_string).collect();
        assert_eq!(shown, codes);
        let mut unique = codes.clone();
        unique.sort_unstable();
        unique.dedup();
        assert_eq!(unique.len(), codes.len());
    }

    #[test]
    fn the_page_of_the_policy_lists_every_code_once() {
        // Not `include_str`: the page is no part of the crate, whose tests are to be built without it.
        let page = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/policy.md");
        let page = std::fs::read_to_string(page).expect("the page of the policy");
        let (_, table) = page
            .split_once("\n## Reason codes\n")
            .expect("the section is there");
        let rows = table.lines().filter_map(|line| line.strip_prefix("| `"));
        let mut listed: Vec<&str> = rows.filter_map(|row| row.split('`').next()).collect();
        listed.sort_unstable();
        let mut codes: Vec<&str> = Reason::ALL.iter().map(|reason| reason.code()).collect();
        codes.sort_unstable();
        assert_eq!(listed, codes);
    }

    // proves: ORD-1
    #[test]
    fn the_layers_have_names() {
        assert_eq!(
            Layer::ALL.map(|layer| layer.to_string()),
            [
                "hard limits",
                "operator's deny list",
                "runtime limits",
                "author's allow list",
                "quotas"
            ]
        );
    }
}
