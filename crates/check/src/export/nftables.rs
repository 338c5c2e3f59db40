//! The policy as a table of nftables.
//!
//! ```text
//! chain output    what is attached (a user, a cgroup, the whole namespace) goes on to egress; all else is accepted
//! chain egress    replies ─► accept      what visitors of the app are answered
//!                 what the process needs ─► accept
//!                 denied networks ─► drop      before anything that guests may reach, and before what is open
//!                 denied embedded addresses ─► drop      bits under a mask
//!                 denied names' sets ─► drop
//!                 what is open ─► accept      it outlives the look-up that it is from (DNS-6)
//!                 permitted networks ─► accept
//!                 loopback, link-local ─► drop      no answer for a name is one of these (DNS-9)
//!                 permitted names' sets ─► accept
//!                 drop
//! ```
//!
//! Names have sets that begin empty, `name_1_v4` and `name_1_v6`: whoever resolves them fills these. The sets of networks are
//! of intervals, one for each family and set of ports. Loading it again replaces the table as a whole, in one transaction.

use std::fmt::{self, Write};
use std::net::Ipv6Addr;
use std::str::FromStr;

use outport_policy::{Host, HostPattern, PortSet, Transport, text};

use super::embedded::{Embedded, MaskedForm};
use super::flow::Flow;
use super::line::Line;
use super::named::Named;
use super::request::{Need, NeededHost};
use super::space::{Group, Range};
use super::{Exported, told_lines};

/// Whose packets the rules are for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Attached {
    /// Everybody's in the network namespace in which they are loaded.
    Namespace,
    /// Those of the processes of this user, a name or a number.
    User(String),
    /// Those of the processes of this cgroup (version 2), a path below its root.
    Cgroup(String),
}

/// The user whom packages and the unit run it as.
impl Default for Attached {
    fn default() -> Self {
        Self::User("outport".to_owned())
    }
}

/// `user=NAME`, `cgroup=PATH` or `namespace`.
impl fmt::Display for Attached {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Namespace => f.write_str("namespace"),
            Self::User(name) => write!(f, "user={name}"),
            Self::Cgroup(path) => write!(f, "cgroup={path}"),
        }
    }
}

/// A text that says none of these.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{}` is not `namespace`, `user=NAME` or `cgroup=PATH`", text::quote(.0))]
pub struct AttachedError(String);

/// `namespace`, `user=outport`, `cgroup=system.slice/outport.service`.
impl FromStr for Attached {
    type Err = AttachedError;

    fn from_str(text: &str) -> Result<Self, AttachedError> {
        // What is quoted in the document, whose strings have no escapes.
        let is_plain = |text: &str| {
            !text.is_empty()
                && text
                    .bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || b"._-@:\\/+".contains(&byte))
        };
        let error = || AttachedError(text.to_owned());
        match text.split_once('=') {
            None if text == "namespace" => Ok(Self::Namespace),
            Some(("user", name)) if is_plain(name) && !name.contains('/') => Ok(Self::User(name.to_owned())),
            Some(("cgroup", path)) => {
                let path = path.trim_matches('/');
                let is_path = is_plain(path) && path.split('/').all(|part| !matches!(part, "" | "." | ".."));
                is_path.then(|| Self::Cgroup(path.to_owned())).ok_or_else(error)
            }
            _ => Err(error()),
        }
    }
}

impl Attached {
    /// What a rule asks, before it goes on.
    fn condition(&self) -> String {
        match self {
            Self::Namespace => String::new(),
            Self::User(name) if name.bytes().all(|byte| byte.is_ascii_digit()) => {
                format!("meta skuid {name} ")
            }
            Self::User(name) => format!("meta skuid \"{name}\" "),
            Self::Cgroup(path) => {
                format!("socket cgroupv2 level {} \"{path}\" ", path.split('/').count())
            }
        }
    }
}

/// The sets and the rules, while they are written.
#[derive(Default)]
struct Table {
    sets: String,
    rules: String,
}

/// What becomes of a packet.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Verdict {
    Accept,
    Drop,
}

pub(super) fn document(exported: &Exported) -> String {
    let name = format!("outport_{}", exported.title.replace('-', "_"));
    let mut table = Table::default();
    table.remark("What visitors are answered, and errors about what is open.");
    table.rule("ct direction reply ct state established accept");
    table.rule("ct state related accept");
    table.remark("The kernel's own, without which IPv6 does not work.");
    table.rule("icmpv6 type { nd-router-solicit, nd-neighbor-solicit, nd-neighbor-advert, mld2-listener-report } accept");
    for (number, need) in (1..).zip(&exported.needs) {
        table.need(number, need);
    }
    table.remark("Denied, whatever is permitted below.");
    let used: Vec<&Flow> = exported
        .flows()
        .into_iter()
        .filter(|flow| exported.uses(flow))
        .collect();
    for flow in &used {
        let denied = exported.denied_where_it_matters(flow);
        table.networks(flow.transport, "denied", &denied.groups(), Verdict::Drop);
        table.embedded(
            "embedded",
            flow.transport,
            &exported.masked_where_it_matters(flow),
        );
    }
    for (number, named) in (1..).zip(&exported.denied).filter(|_| !used.is_empty()) {
        table.named("denied_name", number, named, Verdict::Drop);
    }
    table.remark("What is open and not denied.");
    table.rule("ct state established accept");
    table.remark("Permitted.");
    for flow in &used {
        table.networks(
            flow.transport,
            "permitted",
            &flow.accepted.groups(),
            Verdict::Accept,
        );
    }
    if !exported.permitted.is_empty() {
        table.remark("No name resolves to these: this machine and its link.");
    }
    for (flow, guard) in exported.flows().into_iter().zip(&exported.guards) {
        let (guarded, masked) = guard.on(&exported.ports_of_names(flow.transport));
        table.networks(flow.transport, "guarded", &guarded.groups(), Verdict::Drop);
        table.embedded("guarded_embedded", flow.transport, &masked);
    }
    for (number, named) in (1..).zip(&exported.permitted) {
        table.named("name", number, named, Verdict::Accept);
    }
    table.rule("counter drop");
    let mut document = String::from("#!/usr/sbin/nft -f\n");
    for line in told_lines(exported) {
        let _ = writeln!(document, "#{}{line}", if line.is_empty() { "" } else { " " });
    }
    let _ = writeln!(
        document,
        "\ntable inet {name}\ndelete table inet {name}\n\ntable inet {name} {{\n{}\tchain output {{\n\t\ttype filter hook \
         output priority filter; policy accept;\n\t\t{}jump egress\n\t}}\n\n\tchain egress {{\n{}\t}}\n}}",
        table.sets,
        exported.attached.condition(),
        table.rules,
    );
    document
}

impl Table {
    fn rule(&mut self, rule: &str) {
        let _ = writeln!(self.rules, "\t\t{rule}");
    }

    fn remark(&mut self, remark: &str) {
        let _ = writeln!(self.rules, "\n\t\t# {}", text::message(remark));
    }

    /// A set of intervals.
    fn set(&mut self, name: &str, family: &str, elements: &[String]) {
        let elements = elements.join(",\n\t\t\t");
        let _ = writeln!(
            self.sets,
            "\tset {name} {{\n\t\ttype {family}_addr\n\t\tflags interval\n\t\telements = {{\n\t\t\t{elements}\n\t\t}}\n\t}}\n"
        );
    }

    /// A set that somebody else fills.
    fn set_to_fill(&mut self, name: &str, family: &str, whose: &str) {
        let _ = writeln!(
            self.sets,
            "\t# The addresses of {}\n\tset {name} {{\n\t\ttype {family}_addr\n\t\tflags timeout\n\t}}\n",
            text::message(whose)
        );
    }

    fn networks(&mut self, transport: Transport, what: &str, groups: &[Group], verdict: Verdict) {
        for (number, group) in (1..).zip(groups) {
            for (family, ranges) in [("ipv4", &group.v4), ("ipv6", &group.v6)] {
                if ranges.is_empty() {
                    continue;
                }
                let set = format!("{what}_{transport}_{number}_{}", &family[2..]);
                let elements: Vec<String> = ranges.iter().map(element).collect();
                self.set(&set, family, &elements);
                let rule = reach(family, &set, transport, &group.ports, verdict);
                self.rule(&rule);
            }
        }
    }

    /// IPv6 addresses by the bits in which they embed others.
    fn embedded(&mut self, what: &str, transport: Transport, masked: &Embedded) {
        for (number, form) in (1..).zip(&masked.forms) {
            for (part, (ports, values)) in (1..).zip(by_ports(&form.values)) {
                let set = format!("{what}_{transport}_{number}_{part}");
                self.set(&set, "ipv6", &values);
                let rule = format!(
                    "{}ip6 daddr & {} @{set} {} drop",
                    condition(form),
                    Ipv6Addr::from(form.layout),
                    destination_ports(transport, &ports)
                );
                self.rule(&rule);
            }
        }
    }

    fn named(&mut self, what: &str, number: usize, named: &Named, verdict: Verdict) {
        let cited = &named.cited;
        self.remark(&format!("{}: {cited}", pattern_in_words(&named.pattern)));
        for family in ["ipv4", "ipv6"] {
            let set = format!("{what}_{number}_{}", &family[2..]);
            self.set_to_fill(&set, family, &pattern_in_words(&named.pattern));
            for transport in [Transport::Tcp, Transport::Udp] {
                if !named.ports(transport).is_empty() {
                    let rule = reach(family, &set, transport, named.ports(transport), verdict);
                    self.rule(&rule);
                }
            }
        }
    }

    fn need(&mut self, number: usize, need: &Need) {
        self.remark(&need.what);
        let transports = [Transport::Tcp, Transport::Udp];
        let spoken = transports.into_iter().filter(|transport| need.speaks(*transport));
        match &need.at {
            NeededHost::Host(Host::Address(address)) => {
                let family = if address.ip().is_ipv4() { "ip" } else { "ip6" };
                for transport in spoken {
                    let rule = format!("{family} daddr {address} {transport} dport {} accept", need.port);
                    self.rule(&rule);
                }
            }
            NeededHost::Host(Host::Name(name)) => {
                for family in ["ipv4", "ipv6"] {
                    let set = format!("needed_{number}_{}", &family[2..]);
                    self.set_to_fill(&set, family, &format!("`{name}`"));
                    let ports: PortSet = outport_policy::PortRange::one(need.port).into_iter().collect();
                    for transport in spoken.clone() {
                        let rule = reach(family, &set, transport, &ports, Verdict::Accept);
                        self.rule(&rule);
                    }
                }
            }
            // Of a cluster, which has no table of its own.
            NeededHost::ClusterDns => {}
        }
    }
}

fn reach(family: &str, set: &str, transport: Transport, ports: &PortSet, verdict: Verdict) -> String {
    let daddr = if family == "ipv4" { "ip" } else { "ip6" };
    let verdict = match verdict {
        Verdict::Accept => "accept",
        Verdict::Drop => "drop",
    };
    let ports = destination_ports(transport, ports);
    format!("{daddr} daddr @{set} {ports} {verdict}")
}

/// `tcp dport { 80, 8000-8100 }`
fn destination_ports(transport: Transport, ports: &PortSet) -> String {
    let ranges = ports.ranges().iter().map(|range| {
        if range.first() == range.last() {
            range.first().to_string()
        } else {
            format!("{}-{}", range.first(), range.last())
        }
    });
    let ranges: Vec<String> = ranges.collect();
    match ranges.as_slice() {
        [one] => format!("{transport} dport {one}"),
        several => format!("{transport} dport {{ {} }}", several.join(", ")),
    }
}

/// The bits that an address of the form has.
fn condition(form: &MaskedForm) -> String {
    let mut condition = format!(
        "ip6 daddr & {} == {} ",
        Ipv6Addr::from(form.mask),
        Ipv6Addr::from(form.value)
    );
    if !form.except.is_empty() {
        let nets: Vec<String> = form.except.iter().map(ToString::to_string).collect();
        let _ = write!(condition, "ip6 daddr != {{ {} }} ", nets.join(", "));
    }
    condition
}

/// The values of a line for each set of ports.
fn by_ports(line: &Line) -> Vec<(PortSet, Vec<String>)> {
    let mut found: Vec<(PortSet, Vec<String>)> = Vec::new();
    for span in line.spans() {
        let (first, last) = (Ipv6Addr::from(span.first), Ipv6Addr::from(span.last));
        let element = element(&Range {
            first: first.into(),
            last: last.into(),
        });
        match found.iter_mut().find(|(ports, _)| *ports == span.ports) {
            Some((_, elements)) => elements.push(element),
            None => found.push((span.ports.clone(), vec![element])),
        }
    }
    found
}

fn element(range: &Range) -> String {
    if range.first == range.last {
        return range.first.to_string();
    }
    match range.network() {
        Some(net) => net.to_string(),
        None => format!("{}-{}", range.first, range.last),
    }
}

fn pattern_in_words(pattern: &HostPattern) -> String {
    format!("`{pattern}`")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_place_is_read_or_refused() {
        for (text, expected) in [
            ("namespace", Some(Attached::Namespace)),
            ("user=outport", Some(Attached::User("outport".to_owned()))),
            (
                "cgroup=/system.slice/outport.service",
                Some(Attached::Cgroup("system.slice/outport.service".to_owned())),
            ),
            ("user=", None),
            ("user=a\" accept", None),
            ("user=a/b", None),
            ("cgroup=/", None),
            ("cgroup=a//b", None),
            ("cgroup=../../x", None),
            ("cgroup=a/./b", None),
            ("cgroup=a\nb", None),
            ("outport", None),
        ] {
            assert_eq!(text.parse::<Attached>().ok(), expected, "{text}");
        }
        let cgroup: Attached = "cgroup=system.slice/outport.service".parse().unwrap();
        assert_eq!(
            cgroup.condition(),
            "socket cgroupv2 level 2 \"system.slice/outport.service\" "
        );
    }
}
