//! The part that the outgoing requests of a component share: whom to trust, idle connections, and the app itself.

use std::sync::{Arc, OnceLock};

use http::Response;
use wasmtime_wasi_http::{Error, WasiBody};

use super::authorized::InternalRequest;
use super::internal::Internal;
use super::pool::Pool;
use super::tls::{Tls, TlsProfile};
use crate::process::{IdleConnections, ProcessUsage};

/// The outgoing HTTP of one component.
pub(crate) struct Outgoing {
    tls: Arc<Tls>,
    pool: Arc<Pool>,
    internal: OnceLock<Arc<dyn Internal>>,
}

impl Outgoing {
    pub(crate) fn new(usage: &ProcessUsage) -> Self {
        Self::of(Tls::default(), OnceLock::new(), usage)
    }

    /// The same with other TLS profiles, and no connection yet.
    pub(crate) fn with_tls(&self, profiles: Vec<Arc<TlsProfile>>, usage: &ProcessUsage) -> Self {
        Self::of(Tls::new(profiles), self.internal.clone(), usage)
    }

    fn of(tls: Tls, internal: OnceLock<Arc<dyn Internal>>, usage: &ProcessUsage) -> Self {
        let pool = Arc::new(Pool::new(usage));
        let idle: Arc<dyn IdleConnections> = pool.clone();
        usage.note_idle(Arc::downgrade(&idle));
        Self {
            tls: Arc::new(tls),
            pool,
            internal,
        }
    }

    /// Sets the app that answers requests inside the app. Can be set once.
    pub(crate) fn set_internal(&self, app: Arc<dyn Internal>) {
        let _ = self.internal.set(app);
    }

    /// Lets the app answer a request that is permitted.
    pub(super) async fn call_internal(
        &self,
        request: InternalRequest,
        depth: u32,
    ) -> Result<Response<WasiBody>, Error> {
        let (destination, request) = request.into_parts();
        match self.internal.get() {
            Some(app) => app.call(destination, depth, request).await,
            None => Err(Error::DestinationNotFound),
        }
    }

    pub(super) fn tls(&self) -> &Arc<Tls> {
        &self.tls
    }

    /// The idle connections of the component.
    pub(super) fn pool(&self) -> &Arc<Pool> {
        &self.pool
    }
}
