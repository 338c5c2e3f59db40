//! The notes of an export: everything that its target says otherwise.

use std::sync::Arc;

use outport_policy::{Entry, HostPattern, PortSet};

use super::flow::{Flow, addresses_of};
use super::named::Named;
use super::notes::{Area, Differs, Note};
use super::request::{Need, NeededHost, Request, Target};
use super::space::Space;
use super::{Exported, Masks, direct_space};

/// All notes: those of the author's entries, of the operator's, of what the process needs, and of the target itself.
pub(super) fn notes(exported: &Exported, request: &Request<'_>) -> Vec<Note> {
    let mut notes = Vec::new();
    for entry in request
        .policies
        .iter()
        .flat_map(|policy| policy.allow().entries())
    {
        notes.extend(of_entry(exported, entry));
    }
    notes.extend(
        exported
            .permitted
            .iter()
            .flat_map(|named| of_name(exported, named)),
    );
    notes.extend(of_denied_names(exported));
    for flow in exported.flows() {
        notes.extend(of_embedded(exported, flow));
        notes.extend(of_proxied(exported, flow, request));
    }
    notes.extend(of_search_domains(exported));
    notes.extend(exported.needs.iter().flat_map(|need| of_need(exported, need)));
    notes.extend(of_components(request));
    notes.extend(of_target(exported));
    notes
}

/// What passes because of an entry, and not by sockets.
fn of_entry(exported: &Exported, entry: &Entry) -> Option<Note> {
    let areas = exported.flows().map(|flow| {
        let wider = flow.passes().difference(&flow.by_socket);
        let wider = addresses_of(entry, flow.transport).intersection(&wider);
        Area::of(flow.transport, wider).outside(&said_masks(exported, flow))
    });
    let why = if !entry.permits_sockets() {
        "Outport permits only its own interfaces of this scheme, by which it sees what is requested; the layer below lets any \
         TCP pass to these ports"
    } else if entry.hosts().iter().any(is_localhost) {
        "Outport permits 127.0.0.1 and ::1 to guests that have looked the name up; the layer below knows no look-ups"
    } else {
        "the operator denies raw sockets there, and leaves some interface that speaks TCP; the layer below cannot tell these \
         apart"
    };
    let note = Note::new(Differs::Wider, entry.cited().to_string(), why).in_areas(areas);
    (!note.areas.is_empty()).then_some(note)
}

fn is_localhost(pattern: &HostPattern) -> bool {
    matches!(pattern, HostPattern::Name(name) | HostPattern::Subdomains(name) if name.is_localhost())
}

/// A name that is permitted.
fn of_name(exported: &Exported, named: &Named) -> Vec<Note> {
    let mut notes = Vec::new();
    let mut say = |differs, why: String| notes.push(Note::new(differs, named.cited.clone(), why));
    let pattern = &named.pattern;
    match exported.target {
        Target::NetworkPolicy => say(
            Differs::Narrower,
            format!("`{pattern}` is a name, and a NetworkPolicy knows none: nothing passes to it"),
        ),
        Target::Nftables => say(
            Differs::Narrower,
            format!(
                "`{pattern}` is a name, and nftables knows none: nothing passes until its addresses are put into the sets \
                 that are there for it"
            ),
        ),
        Target::Cilium => {
            if matches!(pattern, HostPattern::Subdomains(_)) {
                say(
                    Differs::Narrower,
                    format!(
                        "`{pattern}` is every depth: `**.` says that to Cilium, and versions that do not know it match one \
                         label only"
                    ),
                );
            }
        }
    }
    if named.by_url_alone && exported.target != Target::NetworkPolicy {
        say(
            Differs::Wider,
            format!(
                "Outport permits only its own interfaces of this scheme to `{pattern}`; the layer below lets any TCP pass to \
                 its addresses"
            ),
        );
    }
    notes
}

/// What the operator denies by name, if there is anything that may lead to it.
fn of_denied_names(exported: &Exported) -> Vec<Note> {
    let passes = exported.flows().iter().any(|flow| !flow.passes().is_empty());
    if !passes && exported.permitted.is_empty() {
        return Vec::new();
    }
    let why = |pattern: &HostPattern| match exported.target {
        Target::Nftables => format!(
            "`{pattern}` is denied by name: its addresses pass until they are put into the sets that are there for it"
        ),
        Target::NetworkPolicy | Target::Cilium => format!(
            "`{pattern}` is denied by name, which the layer below cannot say: its addresses pass where something else lets \
             them"
        ),
    };
    let denied = exported.denied.iter();
    denied
        .map(|named| Note::new(Differs::Wider, named.cited.clone(), why(&named.pattern)))
        .collect()
}

/// IPv6 addresses that embed what is denied, as far as that is not said.
fn of_embedded(exported: &Exported, flow: &Flow) -> Option<Note> {
    if exported.target.knows_masks() && !flow.sockets_are_masked_more {
        return None;
    }
    let space = flow.passes().intersection(&flow.by_socket);
    let near = flow.masked_for_sockets.near(&space.v6);
    if near.is_empty() {
        return None;
    }
    let v6 = Space {
        v6: space.v6,
        ..Space::default()
    };
    let area = Area::of(flow.transport, v6)
        .within(&Arc::new(near))
        .outside(&said_masks(exported, flow));
    let note = Note::new(
        Differs::Wider,
        format!(
            "IPv6 addresses that embed an IPv4 address which is denied, by {}",
            flow.transport.to_string().to_uppercase()
        ),
        "the address is not behind a prefix but further down (ISATAP, the client of Teredo, local NAT64), so that it is no \
         network",
    );
    Some(note.in_areas([area]))
}

/// What goes through the proxy.
fn of_proxied(exported: &Exported, flow: &Flow, request: &Request<'_>) -> Option<Note> {
    let direct = direct_space(request.direct.as_ref()?);
    let needed = exported.needed(flow.transport);
    let proxied = flow.by_socket.difference(&direct).difference(&needed);
    let area = Area::of(flow.transport, proxied).outside(&flow.masked_for_sockets);
    let note = Note::new(
        Differs::Narrower,
        "--egress-proxy",
        "guests reach these through the proxy, and so the process connects to the proxy alone",
    );
    let note = note.in_areas([area]);
    (!note.areas.is_empty()).then_some(note)
}

/// Names without a dot, which are asked for with the search domains behind them; who runs the pod knows these.
fn of_search_domains(exported: &Exported) -> Vec<Note> {
    if exported.target != Target::Cilium || exported.any_name {
        return Vec::new();
    }
    let asked = exported.asked.iter().filter_map(|(pattern, about)| match pattern {
        HostPattern::Name(name) if !name.has_dot() => Some(Note::new(
            Differs::Narrower,
            about.clone(),
            format!(
                "`{name}` has no dot, and is asked for with the search domains of the pod behind it, which Cilium does not let \
                 through: write the whole name (`{name}.NAMESPACE.svc.cluster.local`)"
            ),
        )),
        _ => None,
    });
    asked.collect()
}

/// What the process needs, and its guests may not have.
fn of_need(exported: &Exported, need: &Need) -> Vec<Note> {
    let why = "the process itself connects to it, not its guests; the layer below cannot tell them apart";
    let wider = Note::new(Differs::Wider, need.what.clone(), why);
    let Some(endpoint) = need.endpoint() else {
        let mut notes = vec![wider];
        if let NeededHost::Host(host) = &need.at
            && exported.target != Target::Cilium
        {
            let how = match exported.target {
                Target::Nftables => "until its addresses are put into the sets that are there for it",
                Target::NetworkPolicy | Target::Cilium => "so name it by an address, or add a rule",
            };
            notes.push(Note::new(
                Differs::Narrower,
                need.what.clone(),
                format!(
                    "`{host}` is a name, which the layer below does not know: nothing passes to it, {how}"
                ),
            ));
        }
        return notes;
    };
    let areas = exported
        .flows()
        .into_iter()
        .filter(|flow| need.speaks(flow.transport));
    let areas = areas.flat_map(|flow| {
        let space = Space::of_endpoints([endpoint]);
        let closed = space.difference(&flow.by_socket);
        let masked = space.intersection(&flow.by_socket);
        let near = flow.masked_for_sockets.near(&masked.v6);
        let masked = Space {
            v6: masked.v6,
            ..Space::default()
        };
        [
            Area::of(flow.transport, closed),
            Area::of(flow.transport, masked).within(&Arc::new(near)),
        ]
    });
    let note = wider.in_areas(areas);
    // What guests may reach anyway is no difference.
    (!note.areas.is_empty()).then_some(note).into_iter().collect()
}

/// Several lists in one process.
fn of_components(request: &Request<'_>) -> Option<Note> {
    let [first, others @ ..] = request.policies else {
        return None;
    };
    let texts = |policy: &outport_policy::Policy| -> Vec<String> {
        policy.allow().entries().iter().map(ToString::to_string).collect()
    };
    let of_first = texts(first);
    if others.iter().all(|other| texts(other) == of_first) {
        return None;
    }
    let ids: Vec<String> = request
        .policies
        .iter()
        .map(|policy| format!("`{}`", outport_policy::text::excerpt(policy.component())))
        .collect();
    Some(Note::new(
        Differs::Wider,
        format!("the lists of {}", ids.join(", ")),
        "all components are one process to the layer below, and what one of them may reach passes for all; `--component` \
         exports one, which has to run alone (`outport up --component`)",
    ))
}

/// What the target does in any case.
fn of_target(exported: &Exported) -> Vec<Note> {
    let passes = || exported.flows().into_iter();
    match exported.target {
        Target::Nftables => Vec::new(),
        Target::NetworkPolicy | Target::Cilium => {
            let loopback = || {
                let nets = ["127.0.0.0/8", "::1/128"].map(|net| {
                    let net = net.parse().expect("INVARIANT: it is a network");
                    (net, PortSet::all())
                });
                Space::of(nets)
            };
            let areas = passes().map(|flow| {
                let open = flow.passes().union(&exported.needed(flow.transport));
                Area::of(
                    flow.transport,
                    loopback().difference(&flow.by_socket).difference(&open),
                )
            });
            let mut notes = vec![
                Note::new(
                    Differs::Wider,
                    "loopback",
                    "what stays inside a pod is not looked at: Kubernetes has no policy for it",
                )
                .in_areas(areas),
            ];
            if exported.target == Target::Cilium && !exported.permitted.is_empty() {
                notes.push(Note::new(
                    Differs::Wider,
                    "names",
                    "Cilium lets pass to whatever addresses a name had in an answer, for the whole process and for some time; \
                     Outport for the instance that looked it up, until it looks it up again",
                ));
            }
            if passes().any(|flow| !flow.passes().is_empty()) {
                let why = match exported.target {
                    Target::Cilium => {
                        "Cilium matches networks against addresses outside of the cluster only, unless its \
                         `policy-cidr-match-mode` says otherwise: pods and nodes are selected by labels and entities"
                    }
                    _ => {
                        "network plugins differ in whether networks match pods and services, whose addresses are translated \
                         on the way: reach them by `podSelector` where yours does not"
                    }
                };
                notes.push(Note::new(Differs::Narrower, "addresses inside the cluster", why));
            }
            notes
        }
    }
}

/// The masks that the target says.
fn said_masks(exported: &Exported, flow: &Flow) -> Masks {
    if exported.target.knows_masks() {
        Arc::clone(&flow.masked)
    } else {
        Arc::default()
    }
}
