//! Words for regions and for those who keep something out.

use outport_policy::{Cut, Entry, KeptOutBy, PortSet, Reason, Region, text};

/// The party that keeps something out, for the middle of a sentence.
pub(crate) fn by(by: &KeptOutBy<'_>) -> String {
    match by {
        KeptOutBy::Entry(entry) => format!("the operator denies `{}`", text::excerpt(entry.text())),
        KeptOutBy::Blocked(blocked) => format!("the operator blocks `{blocked}`"),
        // The reason is worded for a name that nothing covers.
        KeptOutBy::Limit(Reason::DnsNameNotAllowed) => {
            "names below `spin.internal` are components of the app, which only requests by HTTP reach"
                .to_owned()
        }
        KeptOutBy::Limit(reason) => reason.sentence().to_owned(),
    }
}

/// The operator's switch that lifts a limit.
pub(crate) fn switch(reason: Reason, ports: &PortSet) -> Option<String> {
    match reason {
        Reason::RuntimeUdp => Some("--allow-udp".to_owned()),
        Reason::RuntimeUdpProxied => Some("--egress-proxy none".to_owned()),
        Reason::RuntimeLinkLocal => Some("--allow-link-local".to_owned()),
        Reason::RuntimeLoopbackPort => Some(format!("--allow-loopback-ports {ports}")),
        _ => None,
    }
}

/// The part that is left out of an entry: only what differs from the entry itself, so that `*://example.com:*` without
/// `*://example.com:8080` is `port 8080`.
pub(crate) fn left_out(cut: &Cut<'_>, entry: &Entry) -> String {
    let region = &cut.region;
    let whole = Region::permitted_by(entry);
    let one_host = whole.iter().all(|own| own.hosts == region.hosts);
    let same_protocols = whole.iter().any(|own| own.protocols == region.protocols);
    let same_ports = whole.iter().any(|own| own.ports == region.ports);
    let mut parts = Vec::new();
    if !same_protocols {
        parts.push(region.protocols.to_string());
    }
    if !one_host || (same_protocols && same_ports) {
        let preposition = if same_protocols { "" } else { "to " };
        parts.push(format!("{preposition}`{}`", region.hosts));
    }
    if !same_ports {
        let preposition = if parts.is_empty() { "" } else { "on " };
        parts.push(format!("{preposition}{}", ports(&region.ports)));
    }
    parts.join(" ")
}

/// `port 8080`, `ports 80-90,443`, `every port`.
pub(crate) fn ports(ports: &PortSet) -> String {
    match ports.ranges() {
        _ if ports.is_all() => "every port".to_owned(),
        [one] if one.first() == one.last() => format!("port {ports}"),
        _ => format!("ports {ports}"),
    }
}
