//! One connection at a time for a client identifier.
//!
//! A broker ends the connection of a client when another one comes by the same identifier (MQTT 3.1.1, 3.1.4). Two instances
//! of a component that connect by one identifier would end each other's in the middle of a message. So
//!
//! - whoever of an instance opens what the instance has open already shares that connection ([`OwnSessions`]);
//! - other instances of the component wait until it is free, 5 seconds at most ([`Sessions`]), and mostly get the connection
//!   itself, from the pool.
//!
//! What waits in the pool has no turn: nobody uses it, and a broker may end it for another one. A component that leaves the
//! identifier out has a connection for each instance. Other components, processes and machines are nobody's here to stop.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use outport_egress::Destination;
use tokio::sync::{OwnedMutexGuard, OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

use super::connection::{Client, WeakClient};
use crate::not_opened::NotOpened;

/// The client identifiers of all components.
#[derive(Default)]
pub(super) struct Sessions(Mutex<HashMap<String, Weak<Semaphore>>>);

/// The right to connect by an identifier, until it is dropped.
pub(super) type Turn = OwnedSemaphorePermit;

impl Sessions {
    /// The turn to connect to `destination` by `client_id` for `component`.
    pub(super) async fn turn(
        &self,
        component: &str,
        destination: &Destination,
        client_id: &str,
    ) -> Result<Turn, NotOpened> {
        let turns = self.turns(format!("{component:?} {destination:?} {client_id:?}"));
        match timeout(LONGEST_WAIT, turns.acquire_owned()).await {
            Ok(Ok(turn)) => Ok(turn),
            Ok(Err(_)) | Err(_) => Err(NotOpened::TooMany),
        }
    }

    fn turns(&self, key: String) -> Arc<Semaphore> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(turns) = all.get(&key).and_then(Weak::upgrade) {
            return turns;
        }
        all.retain(|_, turns| turns.strong_count() > 0);
        let turns = Arc::new(Semaphore::new(1));
        all.insert(key, Arc::downgrade(&turns));
        turns
    }
}

/// The turn of a connection. It ends with the connection, or when nobody uses it any more.
#[derive(Clone)]
pub(super) struct CurrentTurn(Arc<Mutex<State>>);

enum State {
    Free,
    Taken(#[expect(dead_code, reason = "it counts until it is dropped")] Turn),
    Ended,
}

impl CurrentTurn {
    pub(super) fn new(turn: Option<Turn>) -> Self {
        let current = Self(Arc::new(Mutex::new(State::Free)));
        current.begin(turn);
        current
    }

    /// Somebody uses the connection.
    pub(super) fn begin(&self, turn: Option<Turn>) {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let (State::Free, Some(turn)) = (&*state, turn) {
            *state = State::Taken(turn);
        }
    }

    /// Nobody uses it.
    pub(super) fn free(&self) {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let State::Taken(_) = *state {
            *state = State::Free;
        }
    }

    /// The connection is no more.
    pub(super) fn end(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = State::Ended;
    }
}

/// The connections by a client identifier that one instance has open.
#[derive(Clone, Default)]
pub(crate) struct OwnSessions(Arc<Mutex<HashMap<String, OwnPlace>>>);

/// Where one of them is, once it is open.
type OwnPlace = Arc<tokio::sync::Mutex<Option<WeakClient>>>;

/// The place of one connection among them, which nobody else looks at meanwhile.
pub(super) struct Shared(OwnedMutexGuard<Option<WeakClient>>);

impl OwnSessions {
    /// The place of the connection that is told from others by `key`.
    pub(super) async fn lock(&self, key: &str) -> Shared {
        Shared(self.place(key).lock_owned().await)
    }

    fn place(&self, key: &str) -> OwnPlace {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(place) = all.get(key) {
            return Arc::clone(place);
        }
        all.retain(|_, place| {
            let is_idle = |place: &mut Option<WeakClient>| place.as_ref().is_none_or(WeakClient::is_gone);
            Arc::get_mut(place).is_none_or(|place| !is_idle(place.get_mut()))
        });
        let place = OwnPlace::default();
        all.insert(key.to_owned(), Arc::clone(&place));
        place
    }
}

impl Shared {
    /// The connection, if the instance has it and it still is one.
    pub(super) fn client(&self) -> Option<Client> {
        self.0.as_ref()?.upgrade()
    }

    pub(super) fn share(&mut self, client: &Client) {
        *self.0 = Some(client.downgrade());
    }
}

/// How long another one's use of the same client identifier is waited for.
const LONGEST_WAIT: Duration = Duration::from_secs(5);
