//! The part that all instances of a component share of what goes out by the host: whom to trust, and of outgoing HTTP idle
//! connections and the app itself. Without the features of the crate for either there is nothing in it.

use std::sync::Arc;
#[cfg(feature = "http")]
use std::sync::OnceLock;

#[cfg(feature = "http")]
use http::Response;
#[cfg(feature = "http")]
use wasmtime_wasi_http::{Error, WasiBody};

#[cfg(feature = "http")]
use crate::http::{Internal, InternalRequest, Pool};
#[cfg(feature = "http")]
use crate::process::IdleConnections;
use crate::process::ProcessUsage;
use crate::tls::Tls;
#[cfg(feature = "tls")]
use crate::tls::TlsProfile;

/// What the instances of one component go out by.
pub(crate) struct Outgoing {
    tls: Arc<Tls>,
    #[cfg(feature = "http")]
    pool: Arc<Pool>,
    #[cfg(feature = "http")]
    internal: OnceLock<Arc<dyn Internal>>,
}

/// Without outgoing HTTP.
#[cfg(not(feature = "http"))]
impl Outgoing {
    pub(crate) fn new(_usage: &ProcessUsage) -> Self {
        Self { tls: Arc::default() }
    }

    /// The same with other TLS profiles.
    #[cfg(feature = "tls")]
    pub(crate) fn with_tls(&self, profiles: Vec<Arc<TlsProfile>>, _usage: &ProcessUsage) -> Self {
        Self {
            tls: Arc::new(Tls::new(profiles)),
        }
    }
}

impl Outgoing {
    pub(crate) fn tls(&self) -> &Arc<Tls> {
        &self.tls
    }
}

#[cfg(feature = "http")]
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
    pub(crate) async fn call_internal(
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

    /// The idle connections of the component.
    pub(crate) fn pool(&self) -> &Arc<Pool> {
        &self.pool
    }
}
