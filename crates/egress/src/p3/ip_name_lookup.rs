//! `wasi:sockets/ip-name-lookup` of WASI 0.3. A guest that drops the call gives the look-up up.

use wasmtime::component::Accessor;
use wasmtime_wasi::p3::bindings::sockets::ip_name_lookup::{ErrorCode, Host, HostWithStore};
use wasmtime_wasi::p3::bindings::sockets::types::IpAddress;

use crate::ctx::{GateCtxView, GateView, Gated};
use crate::lookup::{Lookup, LookupError};

impl Host for GateCtxView<'_> {}

impl<T: GateView + 'static> HostWithStore<T> for Gated {
    async fn resolve_addresses(
        store: &Accessor<T, Self>,
        name: String,
    ) -> wasmtime::Result<Result<Vec<IpAddress>, ErrorCode>> {
        let enforcer = store.with(|mut store| store.get().ctx.enforcer.clone());
        let addresses = match Lookup::question(&enforcer, &name) {
            Some(question) => Lookup::once_asked(enforcer, name, question).await,
            None => match Lookup::start(&enforcer, &name) {
                Ok(Lookup::Known(addresses)) => Ok(addresses),
                Ok(Lookup::Pending(asked)) => asked.answer().await,
                Err(error) => Err(error),
            },
        };
        Ok(addresses
            .map(|addresses| addresses.into_iter().map(|address| address.ip().into()).collect())
            .map_err(code))
    }
}

/// The error that the guest gets to know (DNS-5, RSN-3).
fn code(error: LookupError) -> ErrorCode {
    match error {
        LookupError::NotAName => ErrorCode::InvalidArgument,
        LookupError::Denied => ErrorCode::AccessDenied,
        LookupError::Unresolvable => ErrorCode::NameUnresolvable,
        LookupError::TooMany => ErrorCode::Other(Some("connection quota exhausted".to_owned())),
        LookupError::OverBudget | LookupError::TemporaryFailure => ErrorCode::TemporaryResolverFailure,
        LookupError::PermanentFailure => ErrorCode::PermanentResolverFailure,
    }
}
