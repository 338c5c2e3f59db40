//! One decision as it is written down.

use std::fmt;
use std::sync::Arc;

use outport_policy::text::{into_log as escaped, log as escape, sentence_into_log};
use outport_policy::{
    Attempt, Denial, Entry, Host, Name, Permit, Reason, RemedyWords, Rule, ServerName, text,
};
use serde::{Serialize, Serializer};

use super::timestamp::Timestamp;
use crate::trace::TraceContext;

/// The verdict on an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// The attempt may go ahead.
    Allow,
    /// The attempt was refused.
    Deny,
}

/// A decision with everything that led to it, owned and escaped (RSN-1, RSN-2, RSN-4); but for the component, whose
/// name is the true one, to be found by, and is escaped where it is shown.
///
/// As JSON an object of one line, members in the order of the fields, absent ones left out. Its `Display` is the
/// line for a terminal:
///
/// ```text
/// denied: component `web` tcp 10.0.0.5:5432 (db.example.com) [allow.port] …; add "*://10.0.0.5:5432" to …
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct AuditEvent {
    /// The time of the decision.
    pub ts: Timestamp,
    /// The number of the decision, unique in the process; its outcomes name it.
    pub id: u64,
    /// The component whose code asked.
    #[serde(serialize_with = "as_text")]
    pub component: Arc<str>,
    /// The number of the instance, unique in the process.
    pub instance: u64,
    /// The kind of attempt: `tcp.connect`, `udp.send`, `dns.lookup`, …
    pub attempt: &'static str,
    /// Address and port, name, or URL without its path.
    pub destination: String,
    /// The name that the destination was looked up by, if any.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The number of the decision that permitted the look-up which this is an answer to, of a `dns.answer`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lookup: Option<u64>,
    /// The verdict.
    pub verdict: Verdict,
    /// The stable code of the reason, on denial.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<&'static str>,
    /// The reason in words, on denial.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detail: Option<&'static str>,
    /// The rule that decided: the entry, or the operator's network, and its place; none where nothing was needed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rule: Option<String>,
    /// The entry that came closest to permitting it, on denial.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub closest: Option<String>,
    /// The remedy that would permit it, on denial, in the words of the host: the entry to add or the operator's setting. At
    /// most 1000 characters, and ASCII like all members but `component`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub remedy: Option<String>,
    /// The further layers that refuse it, on denial: it is still denied when the remedy alone is applied.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub also: Vec<AlsoRefused>,
    /// The place in a trace at which it was asked, if there is one. It is for sinks that know traces.
    #[serde(skip)]
    pub trace: Option<TraceContext>,
}

/// Another layer that refuses what one has refused already (RSN-5).
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct AlsoRefused {
    /// The stable code of its reason.
    pub reason: &'static str,
    /// The reason in words.
    pub detail: &'static str,
    /// The operator's entry or network that refuses, if one does.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rule: Option<String>,
    /// The remedy that would permit it as far as this layer goes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub remedy: Option<String>,
}

impl AlsoRefused {
    fn of(denial: &Denial<'_>, attempt: &Attempt<'_>, words: &dyn RemedyWords) -> Self {
        Self {
            reason: denial.reason().code(),
            detail: denial.sentence(attempt),
            rule: denial.cited().map(escaped),
            remedy: remedy(denial, attempt, words),
        }
    }
}

impl AuditEvent {
    /// That `attempt` is permitted.
    pub(crate) fn allowed(
        id: u64,
        whose: (&Arc<str>, u64),
        attempt: &Attempt<'_>,
        permit: &Permit<'_>,
    ) -> Self {
        let mut event = Self::about(id, whose, attempt);
        // That nothing was needed is not an entry.
        if !matches!(permit.rule(), Rule::Harmless) {
            event.rule = Some(escaped(permit.rule().to_string()));
        }
        if let Rule::Grant { name, .. } = permit.rule() {
            event.name = Some(name.to_string());
        }
        event
    }

    /// That `attempt` is refused by `denial`, which is the first of `all`, with remedies in the host's `words`.
    pub(crate) fn denied(
        id: u64,
        whose: (&Arc<str>, u64),
        attempt: &Attempt<'_>,
        denial: &Denial<'_>,
        all: &[Denial<'_>],
        words: &dyn RemedyWords,
    ) -> Self {
        let mut event = Self::about(id, whose, attempt);
        event.verdict = Verdict::Deny;
        event.reason = Some(denial.reason().code());
        event.detail = Some(denial.sentence(attempt));
        event.rule = denial.cited().map(escaped);
        event.closest = denial.closest().map(cited);
        event.remedy = remedy(denial, attempt, words);
        event.name = denial.name().map(|name| name.to_string()).or(event.name.take());
        let others = all.iter().skip(1);
        event.also = others
            .map(|denial| AlsoRefused::of(denial, attempt, words))
            .collect();
        event
    }

    /// A refusal of what never became an attempt.
    pub(crate) fn refused(
        id: u64,
        whose: (&Arc<str>, u64),
        what: &'static str,
        destination: &str,
        reason: Reason,
    ) -> Self {
        let mut event = Self::bare(id, whose, what, destination);
        event.verdict = Verdict::Deny;
        event.reason = Some(reason.code());
        event.detail = Some(reason.sentence());
        event
    }

    fn about(id: u64, whose: (&Arc<str>, u64), attempt: &Attempt<'_>) -> Self {
        let mut event = Self::bare(id, whose, attempt.operation(), &destination(attempt));
        event.name = match attempt {
            Attempt::ClientHello { server, .. } => server_name(*server),
            _ => name(attempt).map(ToString::to_string),
        };
        event
    }

    fn bare(id: u64, (component, instance): (&Arc<str>, u64), what: &'static str, destination: &str) -> Self {
        Self {
            ts: Timestamp::now(),
            id,
            component: component.clone(),
            instance,
            attempt: what,
            destination: escape(destination).into_owned(),
            name: None,
            lookup: None,
            verdict: Verdict::Allow,
            reason: None,
            detail: None,
            rule: None,
            closest: None,
            remedy: None,
            also: Vec::new(),
            trace: None,
        }
    }
}

fn cited(entry: &Entry) -> String {
    escaped(entry.cited().to_string())
}

fn remedy(denial: &Denial<'_>, attempt: &Attempt<'_>, words: &dyn RemedyWords) -> Option<String> {
    let remedy = denial.remedy(attempt)?;
    Some(sentence_into_log(remedy.in_words_of(words).to_string()))
}

pub(super) fn as_text<S: Serializer>(text: &Arc<str>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(text)
}

/// The destination of the attempt, in the spelling of addresses, names and URLs.
pub(crate) fn destination(attempt: &Attempt<'_>) -> String {
    match attempt {
        Attempt::CreateSocket { transport } => transport.to_string(),
        Attempt::Bind { local, .. } | Attempt::Listen { local } => local.to_string(),
        Attempt::Accept { peer } => peer.to_string(),
        Attempt::Connect { remote, .. }
        | Attempt::Send { remote }
        | Attempt::Receive { peer: remote }
        | Attempt::Dial { remote, .. }
        | Attempt::ClientHello { remote, .. } => remote.to_string(),
        Attempt::Lookup { name } | Attempt::Resolve { name } => name.to_string(),
        Attempt::Answer { address, .. } => address.to_string(),
        Attempt::Request {
            scheme, host, port, ..
        } => format!("{scheme}://{host}:{port}"),
        // Ports only where it is one: which of several was meant is not known.
        Attempt::Tls {
            server,
            remotes: [first, rest @ ..],
        } if rest.iter().all(|other| other.port == first.port) => format!("{server}:{}", first.port),
        Attempt::Tls { server, .. } => server.to_string(),
        Attempt::Open { label, .. } => text::excerpt(label).to_string(),
    }
}

/// The name that the attempt itself speaks of.
fn name<'a>(attempt: &Attempt<'a>) -> Option<&'a Name> {
    match *attempt {
        Attempt::Answer { name, .. }
        | Attempt::Dial {
            host: Host::Name(name),
            ..
        } => Some(name),
        _ => None,
    }
}

/// The server that a ClientHello names; as it was written, where that is no name.
fn server_name(server: ServerName<'_>) -> Option<String> {
    match server {
        ServerName::Host(host) | ServerName::Piece(host) => Some(host.to_string()),
        ServerName::Malformed(written) | ServerName::Unread(written) if !written.is_empty() => {
            Some(escape(&String::from_utf8_lossy(written)).into_owned())
        }
        _ => None,
    }
}

impl fmt::Display for AuditEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let verdict = match self.verdict {
            Verdict::Allow => "allowed",
            Verdict::Deny => "denied",
        };
        let protocol = self.attempt.split('.').next().unwrap_or(self.attempt);
        write!(
            f,
            "{verdict}: component `{}` {protocol} {}",
            text::message(&self.component),
            self.destination
        )?;
        if let Some(name) = &self.name {
            write!(f, " ({name})")?;
        }
        if let Some(reason) = self.reason {
            write!(f, " [{reason}]")?;
        }
        if let Some(detail) = self.detail {
            write!(f, " {detail}")?;
        }
        if let Some(remedy) = &self.remedy {
            write!(f, "; {remedy}")?;
        }
        for other in &self.also {
            write!(f, "; also [{}]", other.reason)?;
            if let Some(remedy) = &other.remedy {
                write!(f, " {remedy}")?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
pub(super) mod tests {
    use std::time::UNIX_EPOCH;

    use super::*;

    pub(in crate::audit) fn denial(component: &str, destination: &str) -> AuditEvent {
        AuditEvent {
            ts: Timestamp::from(UNIX_EPOCH),
            id: 3,
            component: component.into(),
            instance: 7,
            attempt: "tcp.connect",
            destination: destination.to_owned(),
            name: Some("db.example.com".to_owned()),
            lookup: None,
            verdict: Verdict::Deny,
            reason: Some("allow.port"),
            detail: Some("an entry names the host, but not this port"),
            rule: None,
            closest: Some("*://db.example.com:5431 (spin.toml:12:5)".to_owned()),
            remedy: Some("add \"*://db.example.com:5432\" to its allowed_outbound_hosts".to_owned()),
            also: Vec::new(),
            trace: None,
        }
    }

    // proves: RSN-5
    #[test]
    fn what_refuses_besides_is_told_in_the_same_line() {
        let mut event = denial("web", "127.0.0.1:80");
        event.also = vec![AlsoRefused {
            reason: "runtime.loopback-port",
            detail: "loopback ports below 1024 stay shut until the operator lifts them",
            rule: None,
            remedy: Some("the operator can lift this with `--allow-loopback-ports 80`".to_owned()),
        }];
        let line = event.to_string();
        let end =
            "; also [runtime.loopback-port] the operator can lift this with `--allow-loopback-ports 80`";
        assert!(line.ends_with(end), "{line}");
        let json = serde_json::to_value(&event).unwrap();
        assert_eq!(json["also"][0]["reason"], "runtime.loopback-port");
    }

    // proves: RSN-2
    #[test]
    fn a_denial_reads_as_one_line_with_the_line_to_add() {
        assert_eq!(
            denial("web", "10.0.0.5:5432").to_string(),
            "denied: component `web` tcp 10.0.0.5:5432 (db.example.com) [allow.port] an entry names the host, but \
             not this port; add \"*://db.example.com:5432\" to its allowed_outbound_hosts",
        );
    }

    // proves: RSN-1
    #[test]
    fn an_event_is_one_json_object_with_fixed_members() {
        let mut event = denial("web", "10.0.0.5:5432");
        event.closest = None;
        assert_eq!(
            serde_json::to_string(&event).unwrap(),
            "{\"ts\":\"1970-01-01T00:00:00.000Z\",\"id\":3,\"component\":\"web\",\"instance\":7,\
             \"attempt\":\"tcp.connect\",\"destination\":\"10.0.0.5:5432\",\"name\":\"db.example.com\",\
             \"verdict\":\"deny\",\"reason\":\"allow.port\",\"detail\":\"an entry names the host, but not this port\",\
             \"remedy\":\"add \\\"*://db.example.com:5432\\\" to its allowed_outbound_hosts\"}",
        );
    }
}
