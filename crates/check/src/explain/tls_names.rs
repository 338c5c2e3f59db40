//! What holds where TLS is opened on the connection that a question is about (TLS-1). By default that is the deny list, and
//! goes without saying.

use std::net::Ipv4Addr;
use std::time::Instant;

use outport_policy::{
    Address, Attempt, Endpoint, Grants, Host, Layer, LayerAnswer, Name, Peers, Policy, ServerName, Situation,
    TlsNames, Transport, Usage,
};

use super::Question;

/// A note of it, where there is one to make.
pub(super) fn note(policy: &Policy, question: &Question) -> Option<String> {
    let Question::Socket {
        transport: Transport::Tcp,
        host,
        port,
        ..
    } = question
    else {
        return None;
    };
    let mode = policy.operator().tls_names;
    let said = match mode {
        TlsNames::Denied => return None,
        TlsNames::Off => "TLS on it may name any server, one that is denied, too",
        TlsNames::Allowed | TlsNames::Required if is_held_to_none(policy, host, *port) => {
            "an entry has the address itself or every host, so TLS on it may name any server that is not denied"
        }
        TlsNames::Allowed => "a server that TLS on it names has to be on the list, too",
        TlsNames::Required => "TLS on it has to name its server, which has to be on the list, too",
    };
    Some(format!("{said} (`--tls-names {mode}`)"))
}

/// True if the list holds TLS there to no names. Of a name that depends on its addresses, but for an entry for every host.
fn is_held_to_none(policy: &Policy, host: &Host, port: u16) -> bool {
    let address = match host {
        Host::Address(address) => *address,
        // For documentation alone (RFC 5737), so no entry means it.
        Host::Name(_) => Address::from(Ipv4Addr::new(192, 0, 2, 1)),
    };
    let name = Name::parse("held.invalid").expect("INVARIANT: it is a name");
    let attempt = Attempt::ClientHello {
        server: ServerName::Host(&Host::Name(name)),
        remote: Endpoint { address, port },
    };
    let quotas = &policy.operator().quotas;
    let situation = Situation {
        grants: &Grants::new(quotas.granted_names),
        peers: &Peers::from(quotas),
        usage: Usage::default(),
        now: Instant::now(),
    };
    matches!(
        policy.ask(Layer::AllowList, &attempt, &situation),
        LayerAnswer::Permits(_)
    )
}
