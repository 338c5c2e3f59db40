//! How many connections of one interface the instances of each component may have open together.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use outport_egress::AuthorizedDestination;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// The places of all components.
#[derive(Default)]
pub(crate) struct Places {
    most: Option<u32>,
    of_components: Mutex<HashMap<String, Arc<Semaphore>>>,
}

/// A place that is taken until it is dropped; none where there is no bound.
pub(crate) type Place = Option<OwnedSemaphorePermit>;

/// All places are taken.
pub(crate) struct NoPlace;

impl Places {
    /// So many for each component, or without a bound.
    pub(crate) fn new(most: Option<u32>) -> Self {
        Self {
            most,
            of_components: Mutex::default(),
        }
    }

    /// A place for a connection to `authorized`. That there is none is told to the operator.
    pub(crate) fn take<'a>(
        &self,
        authorized: AuthorizedDestination<'a>,
    ) -> Result<(AuthorizedDestination<'a>, Place), NoPlace> {
        match self.place_of(authorized.component()) {
            Ok(place) => Ok((authorized, place)),
            Err(NoPlace) => {
                authorized.refuse_for_want_of_a_place();
                Err(NoPlace)
            }
        }
    }

    fn place_of(&self, component: &str) -> Result<Place, NoPlace> {
        let Some(most) = self.most else {
            return Ok(None);
        };
        let mut places = self.of_components.lock().unwrap_or_else(PoisonError::into_inner);
        let all = match places.get(component) {
            Some(all) => Arc::clone(all),
            None => {
                let all = Arc::new(Semaphore::new(most as usize));
                places.insert(component.to_owned(), Arc::clone(&all));
                all
            }
        };
        drop(places);
        all.try_acquire_owned().map(Some).map_err(|_| NoPlace)
    }
}
