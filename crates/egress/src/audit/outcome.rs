//! The outcome of something that was permitted, as it is written down (RSN-6).

use std::fmt;
use std::sync::Arc;

use outport_policy::text;
use serde::Serialize;

use super::event::as_text;
use super::timestamp::Timestamp;
use crate::trace::TraceContext;

/// The stage that it came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Stage {
    /// Success: a connection is established, a name has addresses, the head of an answer is there.
    Succeeded,
    /// Failure: it did not come about.
    Failed,
    /// The end of what had come about.
    Ended,
}

/// The reason why something that had come about is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum EndedBy {
    /// An answer was passed on to its end.
    Complete,
    /// The guest closed it, or stopped reading.
    Guest,
    /// The peer closed it.
    Peer,
    /// The peer, or something on the way, broke it off.
    Reset,
    /// A time limit ran out.
    Timeout,
    /// Another error, which `error` names.
    Error,
    /// The operator's list forbids it now.
    Policy,
    /// Its component has sent as many bytes as it may in a time (BUD-3).
    Quota,
    /// The instance ended.
    Instance,
    /// Nobody needed it any more, or the process stops.
    Host,
}

/// One outcome of a permitted attempt. As JSON an object of one line, members in the order of the fields, absent ones
/// left out. Its `Display` is the line for a terminal, for what failed:
///
/// ```text
/// failed: component `web` tcp 10.0.0.5:5432 [connection-refused] it is allowed, but nobody listens there
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct AuditOutcome {
    /// The time of the outcome.
    pub ts: Timestamp,
    /// The `id` of the decision that permitted it; left out where that was told to nobody.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub decision: Option<u64>,
    /// The component whose code asked.
    #[serde(serialize_with = "as_text")]
    pub component: Arc<str>,
    /// The number of the instance.
    pub instance: u64,
    /// The kind of attempt, as in the decision.
    pub attempt: &'static str,
    /// The destination, as in the decision.
    pub destination: String,
    /// The name that the destination was looked up by, where it failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The stage that it came to.
    pub outcome: Stage,
    /// The status of an answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// The error, as the guest was told it: `connection-refused`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// The words for the error, where there are better ones than what it says to everybody. They may be those of a peer, so
    /// they are for people only.
    #[serde(skip)]
    pub said: Option<String>,
    /// The proxy that the connection goes through, as `SCHEME://HOST:PORT`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub via: Option<String>,
    /// Of a look-up, the name whose grants made room for this one's (DNS-12).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub evicted: Option<String>,
    /// Milliseconds since the decision.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub duration_ms: Option<u64>,
    /// Bytes (of a request: of its body) to the peer; datagrams of a UDP socket.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sent: Option<u64>,
    /// The same from the peer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub received: Option<u64>,
    /// The reason why it is over.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ended_by: Option<EndedBy>,
    /// The place in a trace at which its instance was, if there is one.
    #[serde(skip)]
    pub trace: Option<TraceContext>,
}

impl AuditOutcome {
    /// That something of `component` came so far, now.
    pub(crate) fn new(
        (component, instance): (&Arc<str>, u64),
        decision: Option<u64>,
        attempt: &'static str,
        destination: &str,
        outcome: Stage,
    ) -> Self {
        Self {
            ts: Timestamp::now(),
            decision,
            component: component.clone(),
            instance,
            attempt,
            destination: destination.to_owned(),
            name: None,
            outcome,
            status: None,
            error: None,
            said: None,
            via: None,
            evicted: None,
            duration_ms: None,
            sent: None,
            received: None,
            ended_by: None,
            trace: None,
        }
    }

    /// True if somebody who looks at a terminal should know: not of what was given up by the guest itself, nor of
    /// refusals, which are told as such, unless it was not us who refused.
    pub fn is_a_failure(&self) -> bool {
        let told_otherwise = [
            ABANDONED,
            "http-request-denied",
            "destination-ip-prohibited",
            "connection-limit-reached",
            "http-request-uri-invalid",
            "access-denied",
            "new-socket-limit",
            "lookup-quota",
        ];
        let error = self.error.as_deref().unwrap_or_default();
        self.outcome == Stage::Failed
            && !is_dial(self.attempt)
            && (self.said.is_some() || !told_otherwise.contains(&error))
    }
}

impl fmt::Display for AuditOutcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let protocol = self.attempt.split('.').next().unwrap_or(self.attempt);
        let word = match self.outcome {
            Stage::Succeeded => "succeeded",
            Stage::Failed => "failed",
            Stage::Ended => "ended",
        };
        write!(
            f,
            "{word}: component `{}` {protocol} {}",
            text::message(&self.component),
            self.destination
        )?;
        if let Some(name) = &self.name {
            write!(f, " ({name})")?;
        }
        let Some(error) = &self.error else {
            return Ok(());
        };
        let said = match &self.said {
            Some(said) => text::log(said),
            None => sentence(error).into(),
        };
        write!(f, " [{error}] it is allowed, but {said}")
    }
}

/// True if it is a connection of the host's to one address: what fails because of that is told by itself.
pub(crate) fn is_dial(attempt: &str) -> bool {
    attempt.ends_with(".dial")
}

/// The meaning of an error.
fn sentence(error: &str) -> &'static str {
    match error {
        "connection-refused" => "nobody listens there",
        "timeout" | "connection-timeout" => "nobody answered in time",
        "connection-read-timeout" | "http-response-timeout" => "the answer did not come in time",
        "remote-unreachable" | "destination-ip-unroutable" => "there is no route to it",
        "name-unresolvable" | "dns-error" => "the name does not exist, or has no address",
        "dns-timeout" | "temporary-resolver-failure" => "the name servers failed or were silent",
        "lookup-quota" => "the component has asked for as many names, or as often, as it may",
        "permanent-resolver-failure" => "the name servers refuse to answer for it",
        "tls-certificate-error" => "its certificate is not valid for this name, or not trusted",
        "tls-protocol-error" | "tls-alert-received" => "the TLS handshake failed",
        "connection-reset" | "connection-aborted" | "connection-broken" | "connection-terminated" => {
            "the connection was broken off"
        }
        "tls-not-offered" => "TLS is demanded, and the server has none",
        "protocol-error" => "the server does not speak the protocol",
        "server-refused" => "the server refuses",
        "http-response-incomplete" => "the answer was broken off",
        "destination-not-found" => "the app has no such component",
        _ => "it failed",
    }
}

/// The error of what was given up before it came about.
pub(crate) const ABANDONED: &str = "abandoned";

/// The code of an error, from the name of its variant: `ConnectionRefused` is `connection-refused`. Bounded by the
/// names that there are; no text of a peer gets in.
pub(crate) fn code_of(error: &impl fmt::Debug) -> String {
    let name = format!("{error:?}");
    let end = name
        .find(|c: char| !c.is_ascii_alphanumeric())
        .unwrap_or(name.len());
    let mut code = String::with_capacity(end + 4);
    for (index, c) in name[..end].char_indices() {
        if c.is_ascii_uppercase() && index > 0 {
            code.push('-');
        }
        code.push(c.to_ascii_lowercase());
    }
    code
}

#[cfg(test)]
pub(super) mod tests {
    use std::time::UNIX_EPOCH;

    use super::*;

    pub(in crate::audit) fn failure(component: &str, destination: &str) -> AuditOutcome {
        AuditOutcome {
            ts: Timestamp::from(UNIX_EPOCH),
            decision: Some(3),
            component: component.into(),
            instance: 7,
            attempt: "tcp.connect",
            destination: destination.to_owned(),
            name: Some("db.example.com".to_owned()),
            outcome: Stage::Failed,
            status: None,
            error: Some("connection-refused".to_owned()),
            said: None,
            via: None,
            evicted: None,
            duration_ms: Some(12),
            sent: None,
            received: None,
            ended_by: None,
            trace: None,
        }
    }

    // proves: RSN-6
    #[test]
    fn an_outcome_is_one_json_object_and_a_failure_one_line() {
        let failure = failure("web", "10.0.0.5:5432");
        assert_eq!(
            serde_json::to_string(&failure).unwrap(),
            "{\"ts\":\"1970-01-01T00:00:00.000Z\",\"decision\":3,\"component\":\"web\",\"instance\":7,\
             \"attempt\":\"tcp.connect\",\"destination\":\"10.0.0.5:5432\",\"name\":\"db.example.com\",\
             \"outcome\":\"failed\",\"error\":\"connection-refused\",\"duration_ms\":12}"
        );
        assert_eq!(
            failure.to_string(),
            "failed: component `web` tcp 10.0.0.5:5432 (db.example.com) [connection-refused] it is allowed, but \
             nobody listens there"
        );
    }

    #[test]
    fn the_code_of_an_error_is_its_name_and_nothing_of_what_it_holds() {
        use wasmtime_wasi_http::Error;
        let rcode = Some("\u{1b}[2J".to_owned());
        let rows = [
            (Error::TlsCertificateError, "tls-certificate-error"),
            (Error::ConnectionRefused, "connection-refused"),
            (
                Error::DnsError {
                    rcode,
                    info_code: None,
                },
                "dns-error",
            ),
            (
                Error::HttpResponseHeaderSectionSize(Some(7)),
                "http-response-header-section-size",
            ),
        ];
        for (error, code) in rows {
            assert_eq!(code_of(&error), code);
        }
    }
}
