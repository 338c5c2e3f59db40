//! Requests that stay inside the app (AL-7).

use futures::future::BoxFuture;
use http::{Request, Response};
use outport_policy::Name;
use wasmtime_wasi_http::{Error, WasiBody};

/// Where a request inside the app goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum InternalDestination {
    /// To the app itself: the hosts `self` and `self.alt`. The path finds the component, as for any visitor.
    App,
    /// To the component with this id: `http://ID.spin.internal`.
    Component(String),
}

/// Answers requests inside the app. It is asked only for what the allow list permits, and must not use the network.
pub trait Internal: Send + Sync + 'static {
    /// Lets the app answer `request`.
    ///
    /// # Errors
    ///
    /// [`Error::DestinationNotFound`] where the app has no such component.
    fn call(
        &self,
        destination: InternalDestination,
        request: Request<WasiBody>,
    ) -> BoxFuture<'static, Result<Response<WasiBody>, Error>>;
}

impl InternalDestination {
    /// The destination that `name` stands for, if it is one inside the app.
    pub(super) fn of(name: &Name) -> Option<InternalDestination> {
        if is_self(name) {
            return Some(InternalDestination::App);
        }
        let id = name.as_str().strip_suffix(".spin.internal")?;
        Some(InternalDestination::Component(id.to_owned()))
    }
}

/// `self`, and the name that Spin's SDKs give it, so that it can stand in a URL.
pub(super) fn is_self(name: &Name) -> bool {
    matches!(name.as_str(), "self" | "self.alt")
}
