//! A component that is handed events of one type: an instance for each, within the limits of a request.
//!
//! An instance ends when its handler returns, whatever it left behind. There is no response that somebody waits for, so
//! that [`max_time`](crate::limits::GuestLimits::max_time) bounds the handler, and the time to a response does not.

use std::pin::{Pin, pin};
use std::sync::Arc;
use std::time::Duration;

use outport_egress::GateView;
use outport_manifest::EventKind;
use outport_policy::text;
use tokio::time::timeout;
use tracing::Level;

use super::connector::Outcome;
use super::event::Event;
use super::event_counts::EventCounts;
use super::event_trace::begin_trace;
use super::handler::{GuestError, Handled, HandlerPre, NotAnEventComponent};
use crate::account::Account;
use crate::failure_log::FailureLog;
use crate::guest_pre::GuestPre;
use crate::http::RequestSlot;
use crate::instance_counts::{InstanceEnd, LiveInstance};
use crate::trap::Trap;

/// A component that is ready to handle events. Cheap to clone; clones share everything.
#[derive(Clone)]
pub struct EventComponent {
    guest: GuestPre,
    handler: HandlerPre,
    failures: Arc<FailureLog>,
    counts: Arc<EventCounts>,
}

/// The reason why an event was not handled.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EventError {
    /// The handler returned an error.
    #[error("component `{component}` answered with the error `{message}`")]
    Answer {
        /// The component.
        component: String,
        /// The guest's text, as messages show it.
        message: String,
    },
    /// The instance was stopped.
    #[error(transparent)]
    Trap(#[from] Trap),
    /// The instance lived as long as it may, and was ended.
    #[error("component `{component}` was ended after {} s", .limit.as_secs_f32())]
    OutOfTime {
        /// The component.
        component: String,
        /// The time that it may live.
        limit: Duration,
    },
    /// The instance was not started, since all guests together have as much memory as they may have.
    #[error("component `{component}` was not started: there is no memory for it (`--max-memory-total`)")]
    NoMemory {
        /// The component.
        component: String,
    },
}

impl EventComponent {
    /// Takes a component that exports the function for events of this type.
    ///
    /// # Errors
    ///
    /// When it does not, or with another type.
    pub fn new(guest: GuestPre, kind: EventKind) -> Result<Self, NotAnEventComponent> {
        let handler = HandlerPre::of(&guest, kind)?;
        let failures = Arc::new(FailureLog::of(guest.name()));
        let counts = EventCounts::of(guest.egress().meter(), guest.id(), kind);
        Ok(Self {
            guest,
            handler,
            failures,
            counts: Arc::new(counts),
        })
    }

    /// The component.
    pub fn guest(&self) -> &GuestPre {
        &self.guest
    }

    /// The type of events that it handles.
    pub fn kind(&self) -> EventKind {
        self.handler.kind()
    }

    /// The log of what goes wrong with it.
    pub(crate) fn failures(&self) -> &Arc<FailureLog> {
        &self.failures
    }

    /// Room for a further instance, if there is memory for one.
    pub(super) fn admit(&self) -> Result<Arc<Account>, EventError> {
        self.guest.admit().ok_or_else(|| EventError::NoMemory {
            component: self.guest.name().to_owned(),
        })
    }

    /// Has a new instance that was admitted handle an event.
    ///
    /// # Errors
    ///
    /// When it was not handled, for whatever reason.
    pub(super) async fn handle(
        &self,
        event: Event,
        account: Arc<Account>,
        slot: RequestSlot,
    ) -> Result<Handled, EventError> {
        let live = self.guest.count_instance();
        let trace = begin_trace(&self.guest, &event);
        let mut store = self.guest.store_at(slot.depth(), &account);
        store.data_mut().gate().ctx.trace().set(trace.clone());
        let run = pin!(self.handler.call(store, event));
        let handled = self.run(run, &account, live).await;
        if handled.is_err() {
            trace.span().record("otel.status_code", "ERROR");
        }
        handled
    }

    async fn run(
        &self,
        run: Pin<&mut (impl Future<Output = wasmtime::Result<Result<Handled, GuestError>>> + Send)>,
        account: &Account,
        live: LiveInstance,
    ) -> Result<Handled, EventError> {
        let run = self.guest.engine().interrupting(account, run);
        let ended = match self.guest.limits().max_time {
            None => run.await,
            Some(limit) => match timeout(limit, run).await {
                Ok(ended) => ended,
                Err(_) => {
                    live.ended(InstanceEnd::MaxTime);
                    return Err(EventError::OutOfTime {
                        component: self.guest.name().to_owned(),
                        limit,
                    });
                }
            },
        };
        live.ended(InstanceEnd::of(&ended));
        match ended {
            Ok(Ok(handled)) => Ok(handled),
            Ok(Err(GuestError(message))) => Err(EventError::Answer {
                component: self.guest.name().to_owned(),
                message: text::excerpt(&message).into_owned(),
            }),
            Err(error) => Err(Trap::of(&error, self.guest.name(), self.handler.export()).into()),
        }
    }

    /// Counts an event of which that became.
    pub(super) fn count(&self, outcome: Outcome) {
        self.counts.add(outcome);
    }

    /// Tells of an event that was not handled, or counts it.
    pub(super) fn log(&self, error: &EventError) {
        let level = match error {
            EventError::Trap(_) => Level::ERROR,
            _ => Level::WARN,
        };
        let told = if tracing::enabled!(tracing::Level::DEBUG) {
            format!("{error:#}")
        } else {
            error.to_string()
        };
        self.failures.add(level, told);
    }

    /// Tells what went wrong so often that it was only counted so far.
    pub(crate) fn sum_up(&self) {
        self.failures.sum_up();
    }
}
