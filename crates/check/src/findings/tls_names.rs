//! Entries that make names void where connections are held to them (TLS-1): one for an address, a network or every host
//! permits TLS with any name on its ports, since no name opened the connection.

use std::collections::HashSet;

use outport_policy::{Entry, EntryScheme, HostPattern, PortSet, TlsNames, Transport, text};

use crate::code::Code;
use crate::diagnostic::Diagnostic;
use crate::wording;

/// Of the `needless` entries nothing is told, which are to be taken out.
pub(super) fn findings(entries: &[Entry], needless: &HashSet<usize>, mode: TlsNames) -> Vec<Diagnostic> {
    if !mode.asks_the_author() {
        return Vec::new();
    }
    let named = entries.iter().filter(|entry| entry.hosts().iter().any(is_name));
    let ranges = named.flat_map(|entry| ports_of_tcp(entry).ranges().to_vec());
    let named: PortSet = ranges.collect();
    let told = (0..)
        .zip(entries)
        .filter(|(number, _)| !needless.contains(number));
    told.filter_map(|(_, entry)| void(entry, &named, mode)).collect()
}

fn void(entry: &Entry, named: &PortSet, mode: TlsNames) -> Option<Diagnostic> {
    let host = entry.hosts().iter().find(|host| is_address(host))?;
    let ports = ports_of_tcp(entry).intersection(named);
    if ports.is_empty() {
        return None;
    }
    let message = format!(
        "`{}` holds connections to `{host}` on {} to no names: `--tls-names {mode}` is for those that a name opened",
        text::excerpt(entry.text()),
        wording::ports(&ports),
    );
    Some(
        Diagnostic::new(Code::UnheldNames, entry.location().clone(), message)
            .helped_by("name the hosts that are meant, or keep this entry to ports that no named host has"),
    )
}

/// The ports on which the entry permits TCP sockets.
fn ports_of_tcp(entry: &Entry) -> PortSet {
    let schemes = entry.schemes().iter();
    let schemes =
        schemes.filter(|scheme| matches!(scheme, EntryScheme::Any | EntryScheme::Socket(Transport::Tcp)));
    let ranges = schemes.flat_map(|scheme| entry.ports_for(scheme).ranges().to_vec());
    ranges.collect()
}

fn is_name(host: &HostPattern) -> bool {
    matches!(host, HostPattern::Name(_) | HostPattern::Subdomains(_))
}

fn is_address(host: &HostPattern) -> bool {
    matches!(
        host,
        HostPattern::Any | HostPattern::Address(_) | HostPattern::Network(_)
    )
}
