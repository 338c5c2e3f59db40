//! The effective policy of an app: what each component may reach, minus what, because of whom.
//!
//! As JSON it is a document that can be committed. It holds entries and the operator's side in full, so that a
//! later policy can be compared with it exactly; what is left of the entries is worked out again then. For people it
//! shows the beginnings of long entries.

use std::fmt::Write;

use outport_policy::{
    EgressProxy, Entry, EntryScheme, HostPattern, KeptOut, KeptOutBy, Left, Limit, Operator, Policy, Reason,
    Share, TlsNames, Transport, share, text,
};
use serde::{Deserialize, Serialize};

use super::permits_nothing;
use crate::renderer::wrap;
use crate::wording;

/// The policy of all components.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EffectivePolicy {
    /// Always 1.
    pub version: u32,
    /// The settings that hold for all of them.
    pub operator: OperatorSummary,
    /// The components, in the order of the manifest.
    pub components: Vec<EffectiveComponent>,
}

/// The operator's side.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OperatorSummary {
    /// Layer 2: entries, in canonical spelling.
    pub disallowed_outbound_hosts: Vec<String>,
    /// Layer 2: networks.
    pub block_networks: Vec<String>,
    /// Layer 3: whether UDP is lifted.
    pub allow_udp: bool,
    /// Layer 3: loopback ports below 1024 that are lifted; empty: none.
    pub allow_loopback_ports: String,
    /// Layer 3: whether link-local and instance-metadata addresses are lifted.
    pub allow_link_local: bool,
    /// True if names other than `localhost` may resolve to loopback.
    pub allow_loopback_answers: bool,
    /// By which layers names are held to TLS: `off`, `denied`, `allowed` or `required`.
    #[serde(default = "by_the_deny_list", skip_serializing_if = "is_by_the_deny_list")]
    pub tls_names: String,
    /// The egress proxies that connections go through, as `HOST:PORT`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub egress_proxy: Vec<String>,
}

/// One component.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EffectiveComponent {
    /// Its id.
    pub id: String,
    /// The component whose list has to permit as well what the entries of this part of it permit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub within: Option<String>,
    /// Its entries, in the order of the manifest. None: it reaches nothing.
    pub entries: Vec<EffectiveEntry>,
    /// The stores, databases and models that it may open, as they are asked about: `key-value:default`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub labels: Vec<String>,
}

/// One entry and what is left of it.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EffectiveEntry {
    /// The entry in canonical spelling; of one that holds a secret what is shown instead.
    pub entry: String,
    /// True if the entry holds a secret: then nothing can be compared but how it is written.
    #[serde(default, skip_serializing_if = "is_false")]
    pub concealed: bool,
    /// The part that is left of it.
    pub left: LeftOfEntry,
    /// For an entry of a part that its component's list has only some of: the entries that have it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub only: Vec<String>,
    /// The parts that are taken out of it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub minus: Vec<Minus>,
}

/// The part that is left of an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LeftOfEntry {
    /// All of it.
    Whole,
    /// A part.
    Narrowed,
    /// Nothing.
    Blocked,
}

/// A part that is taken out of an entry.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Minus {
    /// The part, in words.
    pub what: String,
    /// Because of whom.
    pub because: String,
}

/// Parts that are told of one entry.
const MOST_PARTS: usize = 16;

impl EffectivePolicy {
    /// The effective policy of components that have one operator.
    pub fn of(policies: &[Policy], operator: &Operator) -> Self {
        let kept_out = KeptOut::of(operator);
        let components = policies.iter().map(|policy| EffectiveComponent {
            id: policy.component().to_owned(),
            within: policy.within().map(|whole| whole.component().to_owned()),
            entries: policy
                .allow()
                .entries()
                .iter()
                .map(|entry| match policy.within() {
                    Some(whole) => inherited(entry, whole, &kept_out),
                    None => effective(entry, &kept_out),
                })
                .collect(),
            labels: policy
                .allow()
                .labels()
                .iter()
                .map(|label| format!("{}:{}", label.kind().prefix(), label.as_str()))
                .collect(),
        });
        Self {
            version: 1,
            operator: OperatorSummary::from(operator),
            components: components.collect(),
        }
    }

    /// As one JSON document with its line end; `docs/schema/effective-policy.json` says what it looks like.
    pub fn to_json(&self) -> String {
        serde_json::to_string_pretty(self).expect("INVARIANT: strings are JSON") + "\n"
    }

    /// For people, broken at so many columns.
    pub fn to_text(&self, columns: usize) -> String {
        let mut text = String::new();
        for component in &self.components {
            let _ = writeln!(text, "{}", text::terminal(&component.id));
            match &component.within {
                Some(_) if component.entries.is_empty() => {
                    text.push_str("  reaches nothing: its list has no entries\n");
                }
                Some(whole) => {
                    let line = format!("of what `{}` reaches:", text::terminal(whole));
                    let _ = writeln!(text, "{}", wrap(&line, (2, 4), columns));
                }
                // A part that has no list of its own has the component's, if it inherits that.
                None if component.entries.is_empty() && component.id.contains('/') => {
                    text.push_str("  reaches nothing: it inherits no hosts\n");
                }
                None => {}
            }
            if component.entries.is_empty() && component.within.is_none() && !component.id.contains('/') {
                text.push_str("  reaches nothing: it has no entries\n");
            }
            for entry in &component.entries {
                entry.write_to(component.within.as_deref(), columns, &mut text);
            }
            if !component.labels.is_empty() {
                let labels: Vec<_> = component
                    .labels
                    .iter()
                    .map(|label| text::excerpt(label))
                    .collect();
                let line = format!("may open {}", text::terminal(&labels.join(", ")));
                let _ = writeln!(text, "{}", wrap(&line, (2, 4), columns));
            }
            text.push('\n');
        }
        text.push_str(&self.operator.to_text(columns));
        text
    }
}

/// An entry of a part, of which the component's list has to permit as well what is left.
fn inherited(entry: &Entry, whole: &Policy, kept_out: &KeptOut<'_>) -> EffectiveEntry {
    let by = match share(entry, whole.allow().entries()) {
        Share::Whole => return effective(entry, kept_out),
        Share::Nothing => return not_inherited(entry, whole),
        Share::Of(by) => by,
    };
    let own = effective(entry, kept_out);
    let uncut = by.iter().all(|entry| effective(entry, kept_out).minus.is_empty());
    EffectiveEntry {
        left: match own.left {
            LeftOfEntry::Blocked => LeftOfEntry::Blocked,
            LeftOfEntry::Whole | LeftOfEntry::Narrowed => LeftOfEntry::Narrowed,
        },
        // What a secret has in common with others would tell what it is.
        only: if own.concealed {
            Vec::new()
        } else {
            by.iter().map(ToString::to_string).collect()
        },
        // What is taken out lies beside what is left then.
        minus: if uncut && own.left == LeftOfEntry::Narrowed {
            Vec::new()
        } else {
            own.minus
        },
        ..own
    }
}

/// An entry of a part that the component's list has nothing of.
fn not_inherited(entry: &Entry, whole: &Policy) -> EffectiveEntry {
    EffectiveEntry {
        entry: entry.to_string(),
        concealed: entry.is_concealed(),
        only: Vec::new(),
        left: LeftOfEntry::Blocked,
        minus: vec![Minus {
            what: "all of it".to_owned(),
            because: format!("the entries of {} have nothing of it", whole.component()),
        }],
    }
}

fn effective(entry: &Entry, kept_out: &KeptOut<'_>) -> EffectiveEntry {
    let cuts = kept_out.direct_cuts(entry).filter(|cut| match cut.by {
        KeptOutBy::Limit(Reason::RuntimeUdp | Reason::RuntimeUdpProxied) => {
            entry.schemes().contains(&EntryScheme::Socket(Transport::Udp))
        }
        // Who writes `*` speaks of no component of the app.
        KeptOutBy::Limit(Reason::DnsNameNotAllowed) => !entry.hosts().contains(&HostPattern::Any),
        _ => true,
    });
    let mut minus: Vec<Minus> = cuts
        .take(MOST_PARTS)
        .map(|cut| Minus {
            what: wording::left_out(&cut, entry),
            because: wording::by(&cut.by),
        })
        .collect();
    minus.dedup();
    if entry.is_concealed() {
        minus.truncate(1);
        minus.iter_mut().for_each(Minus::conceal);
    }
    if permits_nothing(entry) && !entry.is_concealed() {
        return EffectiveEntry {
            entry: entry.to_string(),
            concealed: false,
            only: Vec::new(),
            left: LeftOfEntry::Blocked,
            minus: vec![Minus {
                what: "all of it".to_owned(),
                because: "Outport has no interface that speaks its scheme, and it permits no socket"
                    .to_owned(),
            }],
        };
    }
    let left = match kept_out.left(entry) {
        Left::Nothing => LeftOfEntry::Blocked,
        Left::Part { .. } if !minus.is_empty() => LeftOfEntry::Narrowed,
        Left::Part { .. } | Left::Whole => LeftOfEntry::Whole,
    };
    EffectiveEntry {
        entry: entry.to_string(),
        concealed: entry.is_concealed(),
        only: Vec::new(),
        left,
        minus,
    }
}

impl Minus {
    /// Leaves out what would tell what the entry holds.
    fn conceal(&mut self) {
        self.what = "a part of it".to_owned();
        self.because = "the operator or a limit keeps it out".to_owned();
    }
}

fn is_false(flag: &bool) -> bool {
    !flag
}

impl EffectiveEntry {
    /// `whole` is the component, for an entry of a part.
    fn write_to(&self, whole: Option<&str>, columns: usize, text: &mut String) {
        let entry = text::terminal(&text::excerpt(&self.entry));
        let _ = match self.left {
            LeftOfEntry::Blocked => writeln!(text, "  {entry}  permits nothing"),
            LeftOfEntry::Whole | LeftOfEntry::Narrowed => writeln!(text, "  {entry}"),
        };
        if let (Some(whole), [_, ..], false) =
            (whole, self.only.as_slice(), self.left == LeftOfEntry::Blocked)
        {
            let shown = self
                .only
                .iter()
                .take(MOST_PARTS)
                .map(|entry| text::excerpt(entry));
            let mut shown: Vec<_> = shown.collect();
            if let more @ 1.. = self.only.len() - shown.len() {
                shown.push(format!("and {more} more").into());
            }
            let line = format!("only what `{whole}` has of it: {}", shown.join(", "));
            let _ = writeln!(text, "{}", wrap(&text::terminal(&line), (4, 6), columns));
        }
        for minus in &self.minus {
            let line = match self.left {
                LeftOfEntry::Blocked => text::terminal(&minus.because),
                _ => text::terminal(&format!("without {}: {}", minus.what, minus.because)),
            };
            let _ = writeln!(text, "{}", wrap(&line, (4, 6), columns));
        }
    }
}

impl From<&Operator> for OperatorSummary {
    fn from(operator: &Operator) -> Self {
        let limits = &operator.limits;
        Self {
            disallowed_outbound_hosts: operator.deny.entries().iter().map(Entry::to_string).collect(),
            block_networks: operator
                .deny
                .blocked_networks()
                .iter()
                .map(ToString::to_string)
                .collect(),
            allow_udp: limits.udp == Limit::Lifted,
            allow_loopback_ports: limits.loopback_ports.to_string(),
            allow_link_local: limits.link_local == Limit::Lifted,
            allow_loopback_answers: limits.loopback_answers == Limit::Lifted,
            tls_names: operator.tls_names.to_string(),
            egress_proxy: operator
                .egress_proxy
                .iter()
                .flat_map(EgressProxy::named)
                .map(|(host, port)| format!("{host}:{port}"))
                .collect(),
        }
    }
}

fn by_the_deny_list() -> String {
    TlsNames::default().to_string()
}

fn is_by_the_deny_list(tls_names: &str) -> bool {
    tls_names == TlsNames::default().as_str()
}

impl OperatorSummary {
    /// What holds for the names of TLS; nothing where that is what always does.
    fn held_to_tls(&self) -> String {
        match self.tls_names.parse().unwrap_or_default() {
            TlsNames::Denied => "",
            TlsNames::Off => "its server name is judged by nothing",
            TlsNames::Allowed => "its server name has to be on the list, too, if a name opened the connection",
            TlsNames::Required => {
                "it has to name a server, and that has to be on the list, too, if a name opened the connection"
            }
        }
        .to_owned()
    }

    /// The destinations that no component reaches, whatever its entries.
    fn to_text(&self, columns: usize) -> String {
        let denied: Vec<_> = self
            .disallowed_outbound_hosts
            .iter()
            .chain(&self.block_networks)
            .map(|text| text::excerpt(text))
            .collect();
        let ports = match self.allow_loopback_ports.as_str() {
            "" => Some("loopback ports below 1024".to_owned()),
            "*" | "1-1023" => None,
            lifted => Some(format!("loopback ports below 1024 but {lifted}")),
        };
        let shut: Vec<String> = [
            (!self.allow_udp || !self.egress_proxy.is_empty()).then(|| "UDP".to_owned()),
            ports,
            (!self.allow_link_local).then(|| "link-local and instance-metadata addresses".to_owned()),
        ]
        .into_iter()
        .flatten()
        .collect();
        let mut text = String::new();
        for (title, what) in [
            ("Denied to all", denied.join(", ")),
            ("Shut for all", shut.join(", ")),
            (
                "Reached through the egress proxy at",
                self.egress_proxy.join(", "),
            ),
            ("Where TLS is opened", self.held_to_tls()),
        ] {
            if !what.is_empty() {
                let _ = writeln!(
                    text,
                    "{}",
                    wrap(&format!("{title}: {}", text::terminal(&what)), (0, 2), columns)
                );
            }
        }
        text
    }
}
