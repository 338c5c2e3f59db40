//! Entries that permit more, or less, than people mean by them (VAL-4).

use std::collections::HashSet;
use std::net::Ipv4Addr;

use ipnet::IpNet;
use outport_policy::{
    Entry, EntryPorts, EntryScheme, HostPattern, Name, PortRange, PortSet, PortSpec, Region, text,
};

use crate::code::Code;
use crate::diagnostic::Diagnostic;

/// Of the `needless` entries, which are to be taken out, only that they may not be what was meant.
pub(super) fn findings(entries: &[Entry], needless: &HashSet<usize>) -> Vec<Diagnostic> {
    let public = PublicNetworks::of(entries);
    let of = |entry| {
        [
            everything(entry),
            public_suffix(entry),
            any_address(entry),
            public.v4_only(entry),
        ]
    };
    let mut findings = Vec::new();
    for (number, entry) in entries.iter().enumerate() {
        if !needless.contains(&number) {
            findings.extend(of(entry).into_iter().flatten());
        }
        findings.extend(half_open(entry));
    }
    findings
}

fn everything(entry: &Entry) -> Option<Diagnostic> {
    let all_ports = entry.ports_for(&EntryScheme::Any).is_all();
    let everything = entry.schemes().contains(&EntryScheme::Any) && entry.hosts().contains(&HostPattern::Any);
    (everything && all_ports).then(|| {
        Diagnostic::new(
            Code::Everything,
            entry.location().clone(),
            format!(
                "`{}` permits every host on every port",
                text::excerpt(entry.text())
            ),
        )
        .helped_by("name the hosts that the component needs")
    })
}

/// `https://*` is wider than any suffix; what [`everything`] tells is not told twice.
fn public_suffix(entry: &Entry) -> Option<Diagnostic> {
    if entry.hosts().contains(&HostPattern::Any) {
        let message = format!(
            "`{}` covers every name that anybody registers",
            text::excerpt(entry.text())
        );
        let finding = Diagnostic::new(Code::PublicSuffix, entry.location().clone(), message);
        let finding = finding.helped_by("name the hosts that the component needs");
        return everything(entry).is_none().then_some(finding);
    }
    let apex = entry.hosts().iter().find_map(|host| match host {
        HostPattern::Subdomains(apex) if is_public_suffix(apex) => Some(apex),
        _ => None,
    })?;
    let message = format!(
        "`{}` covers every name that anybody registers below `{apex}`",
        text::excerpt(entry.text())
    );
    let finding = Diagnostic::new(Code::PublicSuffix, entry.location().clone(), message);
    Some(finding.helped_by(format!(
        "write the domain that is meant, such as `*.example.{apex}`"
    )))
}

/// True if anybody can register a name below this one.
pub(crate) fn is_public_suffix(name: &Name) -> bool {
    psl::suffix(name.as_str().as_bytes())
        .is_some_and(|suffix| suffix.is_known() && suffix.as_bytes() == name.as_str().as_bytes())
}

/// The warning about an entry for a network that covers addresses of this machine or link: it says that its author
/// means such addresses, so that a name may resolve to them (DNS-9). A network that is much wider hardly means that.
fn any_address(entry: &Entry) -> Option<Diagnostic> {
    let lifting = entry.hosts().iter().find_map(|host| match host {
        HostPattern::Network(net) => guarded_networks()
            .into_iter()
            .find(|guarded| net.contains(guarded) && net.prefix_len() < guarded.prefix_len()),
        _ => None,
    })?;
    let message = format!(
        "`{}` covers {lifting} too, so a name may resolve to addresses there",
        text::excerpt(entry.text())
    );
    let finding = Diagnostic::new(Code::AnyAddress, entry.location().clone(), message);
    Some(finding.helped_by(
        "write the networks that are meant; `*` as the host permits every address and keeps names away from this \
         machine and link",
    ))
}

/// Loopback and link-local addresses.
fn guarded_networks() -> [IpNet; 4] {
    ["127.0.0.0/8", "169.254.0.0/16", "::1/128", "fe80::/10"]
        .map(|net| net.parse().expect("INVARIANT: these are networks"))
}

/// A range of Spin's, which leaves its end out.
fn half_open(entry: &Entry) -> Option<Diagnostic> {
    let (spec, range) = half_open_range(entry)?;
    let end = u32::from(range.last()) + 1;
    let meant = crate::wording::ports(&[range].into_iter().collect());
    let message = format!(
        "`{spec}` in `{}` means {meant}, without {end}",
        text::excerpt(entry.text())
    );
    let finding = Diagnostic::new(Code::HalfOpen, entry.location().clone(), message);
    Some(finding.helped_by(format!(
        "write `{}-{end}` if {end} is meant too, else `{range}`",
        range.first()
    )))
}

/// The same in the deny list, where what is left out stays open.
pub(super) fn half_open_denial(entry: &Entry) -> Option<Diagnostic> {
    let (spec, range) = half_open_range(entry)?;
    let end = u32::from(range.last()) + 1;
    let meant = crate::wording::ports(&[range].into_iter().collect());
    let message = format!(
        "`{spec}` in `{}` denies {meant}, and leaves port {end} open",
        text::excerpt(entry.text())
    );
    let finding = Diagnostic::new(Code::HalfOpen, entry.location().clone(), message);
    Some(finding.helped_by(format!(
        "write `{}-{end}` if {end} is to be denied too, else `{range}`",
        range.first()
    )))
}

fn half_open_range(entry: &Entry) -> Option<(&PortSpec, PortRange)> {
    let EntryPorts::Written(specs) = entry.ports() else {
        return None;
    };
    specs.iter().find_map(|spec| match spec {
        PortSpec::HalfOpen(range) => Some((spec, *range)),
        PortSpec::Inclusive(_) => None,
    })
}

/// The ports on which the list names addresses of IPv6.
struct PublicNetworks {
    v6: PortSet,
}

impl PublicNetworks {
    fn of(entries: &[Entry]) -> Self {
        let regions = entries.iter().flat_map(|entry| {
            let has_v6 = entry.hosts().iter().any(is_v6);
            Region::permitted_by(entry).into_iter().filter(move |_| has_v6)
        });
        let ranges = regions.flat_map(|region| region.ports.ranges().to_vec());
        Self { v6: ranges.collect() }
    }

    fn v4_only(&self, entry: &Entry) -> Option<Diagnostic> {
        let net = entry.hosts().iter().find_map(public_v4)?;
        let ports = Region::permitted_by(entry).into_iter().next()?.ports;
        self.v6.intersection(&ports).is_empty().then(|| {
            let message = format!(
                "`{}` covers IPv4 only: if what is in {net} has IPv6 addresses too, they are refused",
                text::excerpt(entry.text())
            );
            Diagnostic::new(Code::V4Only, entry.location().clone(), message)
                .helped_by("list the IPv6 networks of the service beside it, if it has any")
        })
    }
}

fn is_v6(host: &HostPattern) -> bool {
    match host {
        HostPattern::Any => true,
        HostPattern::Address(address) => address.ip().is_ipv6(),
        HostPattern::Network(net) => matches!(net, IpNet::V6(_)),
        HostPattern::Name(_) | HostPattern::Subdomains(_) | HostPattern::ToSelf => false,
    }
}

/// An IPv4 network in the public part of the address space; those of private networks have IPv6 rarely.
fn public_v4(host: &HostPattern) -> Option<&IpNet> {
    let HostPattern::Network(net @ IpNet::V4(v4)) = host else {
        return None;
    };
    let ip = v4.network();
    let shared = Ipv4Addr::new(100, 64, 0, 0);
    let private = (ip.is_private()
        || ip.is_loopback()
        || ip.is_link_local()
        || ip.octets()[..2] == shared.octets()[..2])
        && v4.prefix_len() >= 8;
    (!private).then_some(net)
}
