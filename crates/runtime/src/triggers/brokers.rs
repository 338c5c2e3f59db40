//! The servers that triggers listen to: by whose right they are connected to, and what the operator says of them.
//!
//! | the address is | connected to as | judged by |
//! | --- | --- | --- |
//! | the manifest's | an attempt of the trigger's component (HI-1) | the deny list, the limits, the component's list |
//! | the operator's | one of `trigger.KIND (operator)` (HI-6) | quotas |

#[cfg(any(feature = "mqtt", feature = "redis"))]
use std::sync::Arc;

use outport_egress::{Destination, Dialer, Egress, Gate, GateCtx};
use outport_manifest::{Located, Secret, Template, VariableText, Variables};
#[cfg(any(feature = "mqtt", feature = "redis", feature = "sqs"))]
use outport_platform::listening::{Lost, NotListening};
#[cfg(any(feature = "mqtt", feature = "redis"))]
use outport_platform::listening::{MOST_MESSAGE, TooLong};
use outport_policy::{EntryError, Location, text};
#[cfg(any(feature = "mqtt", feature = "redis"))]
use tracing::Level;

use super::connector::ConnectorError;
use super::connectors::NoConnector;
#[cfg(any(feature = "mqtt", feature = "redis"))]
use crate::failure_log::FailureLog;

/// What the operator says of brokers and queues, over what the manifest says.
#[derive(Debug, Clone, Default)]
pub struct Brokers {
    /// The Redis server of all channels.
    pub redis: Option<OwnServer>,
    /// The MQTT broker of all topics.
    pub mqtt: Option<OwnServer>,
    /// What the client identifiers of all MQTT triggers begin with. Default: the app's name, and a part that is new in each
    /// process.
    pub mqtt_client_id: Option<String>,
    /// The region, server and credentials for queues.
    #[cfg(feature = "sqs")]
    pub sqs: outport_platform::sqs::Access,
}

/// A server of the operator's.
#[derive(Debug, Clone)]
pub struct OwnServer {
    /// Its URL, which may have a password.
    pub url: Secret,
    /// Where he wrote it.
    pub location: Location,
}

/// What a trigger is made of, besides its source.
pub(crate) struct Surroundings<'a> {
    /// The id of the trigger.
    pub(crate) id: &'a str,
    /// The name of the app.
    pub(crate) app: &'a str,
    pub(crate) gate: &'a Gate,
    pub(crate) egress: &'a Egress,
    pub(crate) variables: &'a Variables,
    pub(crate) brokers: &'a Brokers,
}

/// The right by which a trigger connects.
pub(super) struct Route {
    pub(super) dialer: Dialer,
    /// The instance that the component's connections are counted and recorded for: they outlive those of events.
    _instance: Option<GateCtx>,
}

impl Route {
    pub(super) fn of_component(gate: &Gate) -> Self {
        let instance = gate.open();
        Self {
            dialer: instance.dialer(),
            _instance: Some(instance),
        }
    }

    pub(super) fn of_operator(dialer: Dialer) -> Self {
        Self {
            dialer,
            _instance: None,
        }
    }

    /// The operator's, where the address is his, and else the component's.
    pub(super) fn to(
        destination: &Destination,
        label: &str,
        own: Option<&OwnServer>,
        around: &Surroundings<'_>,
    ) -> Result<Self, EntryError> {
        let Some(own) = own else {
            return Ok(Self::of_component(around.gate));
        };
        let location = own.location.clone();
        let dialer = around.egress.operator_dialer(label, destination, location)?;
        Ok(Self::of_operator(dialer))
    }
}

/// A value that may have variables, with them filled in.
pub(super) fn filled(
    template: &Located<Template>,
    variables: &Variables,
) -> Result<VariableText, NoConnector> {
    let filled = template.value.resolve(variables);
    filled.map_err(|error| NoConnector::Variable {
        error,
        span: template.span.clone(),
    })
}

/// What is listened to, for people.
pub(super) fn named(what: &str, name: &VariableText, at: &Destination, is_operators: bool) -> String {
    let whose = if is_operators { " (operator)" } else { "" };
    if name.is_secret() {
        format!("a {what} of {at}{whose}")
    } else {
        format!("{what} `{}` of {at}{whose}", text::excerpt(name.expose()))
    }
}

#[cfg(any(feature = "mqtt", feature = "redis", feature = "sqs"))]
impl From<NotListening> for ConnectorError {
    fn from(error: NotListening) -> Self {
        match error {
            NotListening::Denied => Self::refused("it is not permitted, and the audit log has why"),
            error => Self::lost(text::message(&error.to_string()).to_string()),
        }
    }
}

#[cfg(any(feature = "mqtt", feature = "redis", feature = "sqs"))]
impl From<Lost> for ConnectorError {
    fn from(error: Lost) -> Self {
        Self::lost(text::message(&error.to_string()).to_string())
    }
}

/// What tells of messages that are too long to be handed over, or counts them.
#[cfg(any(feature = "mqtt", feature = "redis"))]
pub(super) fn too_long(failures: &Arc<FailureLog>, listens_to: &str) -> TooLong {
    let component = failures.component();
    let told = format!(
        "component `{component}` was not handed a message from {listens_to}: it is larger than {} MiB",
        MOST_MESSAGE >> 20
    );
    let failures = Arc::clone(failures);
    Arc::new(move || failures.add(Level::WARN, told.clone()))
}

/// A connector that is asked before it is connected.
pub(super) fn not_connected() -> ConnectorError {
    ConnectorError::lost("there is no connection")
}
