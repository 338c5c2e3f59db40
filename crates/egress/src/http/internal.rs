//! Requests that stay inside the app (AL-7).

use futures::future::BoxFuture;
use http::{Request, Response};
use outport_policy::Name;
use wasmtime_wasi_http::{Error, WasiBody};

/// The destination of a request inside the app.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum InternalDestination {
    /// To the app itself: the hosts `self` and `self.alt`. The path finds the component, as for any client.
    App,
    /// To the component with this id: `http://ID.spin.internal`.
    Component(String),
}

/// Answers requests inside the app. It is asked only for what the allow list permits, and must not use the network.
pub trait Internal: Send + Sync + 'static {
    /// Lets the app answer `request` of an instance that was opened at `depth`
    /// ([`Gate::open_at`](crate::Gate::open_at)).
    ///
    /// # Errors
    ///
    /// [`Error::DestinationNotFound`] where the app has no such component.
    fn call(
        &self,
        destination: InternalDestination,
        depth: u32,
        request: Request<WasiBody>,
    ) -> BoxFuture<'static, Result<Response<WasiBody>, Error>>;
}

impl InternalDestination {
    /// The destination that `name` stands for, if it is one inside the app.
    pub(crate) fn of(name: &Name) -> Option<Self> {
        if name.is_the_app_itself() {
            return Some(Self::App);
        }
        if !name.is_service_chaining() {
            return None;
        }
        // `spin.internal` itself is nobody's name, and no reason to ask a DNS server either.
        let id = name.as_str().strip_suffix(".spin.internal");
        Some(Self::Component(id.unwrap_or_default().to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // proves: AL-7
    #[test]
    fn no_name_inside_the_app_is_one_outside() {
        let component = |id: &str| Some(InternalDestination::Component(id.to_owned()));
        let rows = [
            ("self", Some(InternalDestination::App)),
            ("self.alt", Some(InternalDestination::App)),
            ("back.spin.internal", component("back")),
            ("a.b.spin.internal", component("a.b")),
            ("spin.internal", component("")),
            ("notspin.internal", None),
            ("spin.internal.example", None),
            ("myself", None),
        ];
        for (text, expected) in rows {
            assert_eq!(
                InternalDestination::of(&Name::parse(text).unwrap()),
                expected,
                "{text}"
            );
        }
    }
}
