//! Who may run at a time: one place for each request, which its instance holds until it has ended or is idle.
//!
//! An instance that waits for a further request holds none, so that it keeps nobody waiting. How many there are is
//! bounded by [`IDLE_INSTANCES`]; one for which there is no room ends.
//!
//! | asks | waits for |
//! | --- | --- |
//! | a visitor | a place |
//! | a component that calls another | one of the places for calls, which are half of all, and then a place |
//!
//! However components call each other, then, half of the places are never theirs. A call holds its caller's place as
//! well as its own, so there is a limit to how deep calls may be nested: [`DEEPEST_CALL`]. The depth is carried with
//! the instance, never with the request, which is the guest's to write.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

use crate::engine::IDLE_INSTANCES;

/// The places of a site.
pub(super) struct Places {
    all: Arc<Semaphore>,
    number: u32,
    for_calls: Arc<Semaphore>,
    idle: Arc<Semaphore>,
}

/// The place of one request, for as long as it is held.
pub(super) struct Place {
    depth: u32,
    idle: Arc<Semaphore>,
    _call: Option<OwnedSemaphorePermit>,
    _place: OwnedSemaphorePermit,
}

/// The right of an instance to be idle.
pub(super) struct IdlePlace {
    _permit: OwnedSemaphorePermit,
}

/// Why there is no place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NoPlace {
    /// None became free in time.
    Full,
    /// The calls are nested too deep.
    TooDeep,
}

/// How deep calls may be nested: a visitor's request is at depth 0, what its instance calls at depth 1.
pub(super) const DEEPEST_CALL: u32 = 16;

/// How long a request waits for a place among the running ones before it is answered with 503.
const PATIENCE: Duration = Duration::from_secs(10);

impl Places {
    /// So many, half of them also for calls; at least one of each.
    pub(super) fn new(number: u32) -> Places {
        let number = number.max(1);
        Places {
            all: Arc::new(Semaphore::new(number as usize)),
            number,
            for_calls: Arc::new(Semaphore::new((number as usize / 2).max(1))),
            idle: Arc::new(Semaphore::new(IDLE_INSTANCES as usize)),
        }
    }

    /// A place for a request that `depth` calls led to.
    pub(super) async fn take(&self, depth: u32) -> Result<Place, NoPlace> {
        if depth > DEEPEST_CALL {
            return Err(NoPlace::TooDeep);
        }
        match timeout(PATIENCE, self.wait(depth)).await {
            Ok(Some(place)) => Ok(place),
            Ok(None) | Err(_) => Err(NoPlace::Full),
        }
    }

    /// Waits until all places are free.
    pub(super) async fn quiet(&self) {
        let _all = self.all.acquire_many(self.number).await;
    }

    async fn wait(&self, depth: u32) -> Option<Place> {
        let call = match depth {
            0 => None,
            _ => Some(Arc::clone(&self.for_calls).acquire_owned().await.ok()?),
        };
        Some(Place {
            depth,
            idle: Arc::clone(&self.idle),
            _call: call,
            _place: Arc::clone(&self.all).acquire_owned().await.ok()?,
        })
    }
}

impl Place {
    /// How many calls led to the request.
    pub(super) fn depth(&self) -> u32 {
        self.depth
    }

    /// Gives the place up for one among the idle instances, or back if there is none.
    pub(super) fn into_idle(self) -> Result<IdlePlace, Place> {
        match Arc::clone(&self.idle).try_acquire_owned() {
            Ok(permit) => Ok(IdlePlace { _permit: permit }),
            Err(_) => Err(self),
        }
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::*;

    // proves: Q-3
    #[tokio::test]
    async fn calls_leave_half_of_the_places_to_visitors() {
        // (places, of these for calls)
        for (number, for_calls) in [(2, 1), (4, 2), (5, 2), (10, 5)] {
            let places = Places::new(number);
            let at_once = |depth| places.wait(depth).now_or_never().flatten();
            let mut held = Vec::new();
            for _ in 0..for_calls {
                held.push(at_once(1).expect("half are for calls"));
            }
            assert!(at_once(2).is_none(), "{number}");
            for _ in for_calls..number {
                held.push(at_once(0).expect("the others are for visitors"));
            }
            assert!(at_once(0).is_none(), "{number}");
            drop(held);
            places.quiet().await;
            assert!(at_once(1).is_some(), "{number}: places are given back");
        }
    }

    // proves: Q-3
    #[tokio::test]
    async fn idle_instances_hold_no_place_and_are_few() {
        let places = Places::new(1);
        let mut idle = Vec::new();
        for _ in 0..IDLE_INSTANCES {
            let Ok(place) = places.take(0).await else {
                panic!("the one before holds none any more");
            };
            idle.push(place.into_idle().ok().expect("there is room"));
        }
        let Ok(place) = places.take(0).await else {
            panic!("the place is free");
        };
        assert!(place.into_idle().is_err());
        places.quiet().await;
        idle.pop();
        let Ok(place) = places.take(0).await else {
            panic!("the place is free");
        };
        assert!(place.into_idle().is_ok());
    }

    // proves: Q-3
    #[tokio::test]
    async fn calls_are_nested_to_a_limit() {
        let places = Places::new(4);
        let Ok(place) = places.take(DEEPEST_CALL).await else {
            panic!("this is not too deep");
        };
        assert_eq!(place.depth(), DEEPEST_CALL);
        assert_eq!(places.take(DEEPEST_CALL + 1).await.err(), Some(NoPlace::TooDeep));
        assert_eq!(places.take(u32::MAX).await.err(), Some(NoPlace::TooDeep));
    }
}
