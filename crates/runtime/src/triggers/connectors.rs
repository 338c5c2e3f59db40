//! The connector of a trigger, by its type.

use outport_manifest::{EventKind, EventSource};

use super::connector::Connector;
use super::cron::CronConnector;
use super::event_component::EventComponent;

/// The reason why a trigger has no connector.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NoConnector {
    /// This build has none for triggers of that type.
    #[error("triggers of type `{}` are not served by this build", .kind.name())]
    NotServed {
        /// The type.
        kind: EventKind,
    },
}

/// What listens to the source of a trigger, for a component.
///
/// # Errors
///
/// When nothing can.
pub fn connector(
    source: &EventSource,
    component: &EventComponent,
) -> Result<Box<dyn Connector>, NoConnector> {
    match source {
        EventSource::Cron(schedule) => Ok(Box::new(CronConnector::new(schedule, component.failures()))),
        other => Err(NoConnector::NotServed { kind: other.kind() }),
    }
}
