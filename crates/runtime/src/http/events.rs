//! Events among the requests of an app: the slots in which instances run that handle them.
//!
//! A component that is handed events has slots of its own, as one with a route has, which it shares with its route. All
//! events together have at most half of the slots of each pool, as if they came from one client. They wait for a slot as
//! long as it takes: whoever hands them over asks for no further ones meanwhile.

use std::net::{IpAddr, Ipv4Addr};

use super::concurrency_limit::{ConcurrencyLimit, OwnPool, RequestSlot};
use super::router::Router;
use crate::triggers::EventComponent;

impl Router {
    /// The same beside components that are handed events.
    pub fn with_event_components(mut self, components: impl IntoIterator<Item = EventComponent>) -> Self {
        for component in components {
            let next = self.pools.len();
            self.pools
                .entry(component.guest().name().to_owned())
                .or_insert(next);
            self.event_components.push(component);
        }
        self.concurrency = ConcurrencyLimit::new(self.instances, self.pools.len());
        self
    }

    /// A slot for an instance that handles an event.
    pub(crate) async fn event_slot(&self, component: &EventComponent) -> RequestSlot {
        let pool = self.pools.get(component.guest().name());
        let client = self.clients().at(EVENTS);
        // One that the router does not know has the common slots alone.
        let pool = pool.map_or(OwnPool::NONE, |number| OwnPool::of(*number));
        self.concurrency.take_patiently(&client, pool).await
    }
}

/// The address of a client that nobody has.
const EVENTS: IpAddr = IpAddr::V4(Ipv4Addr::UNSPECIFIED);
