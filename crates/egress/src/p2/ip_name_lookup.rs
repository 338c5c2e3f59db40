//! `wasi:sockets/ip-name-lookup` of WASI 0.2.
//!
//! `resolve-addresses` starts the look-up, and with it takes its place in the order of look-ups. It runs as a task
//! of its own, so that a guest which starts several waits for the slowest and not for their sum; the stream holds
//! it until the guest drops the stream, which gives an unfinished look-up up. The stream type that the bindings
//! name belongs to `wasmtime-wasi` and cannot be made here, so the table holds [`Addresses`] and the guest gets a
//! handle with its number. Where [somebody is asked](crate::asking) first, that is a part of the task, and the look-up takes
//! its place once there is an answer.

use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use outport_policy::Address;
use wasmtime::component::{Resource, ResourceTable};
use wasmtime_wasi::p2::bindings::sockets::ip_name_lookup::{
    Host, HostResolveAddressStream, ResolveAddressStream,
};
use wasmtime_wasi::p2::bindings::sockets::network::{ErrorCode, IpAddress, Network};
use wasmtime_wasi::p2::{DynPollable, Pollable, SocketError, SocketResult, subscribe};
use wasmtime_wasi::runtime::{AbortOnDropJoinHandle, spawn};

use crate::ctx::GateCtxView;
use crate::host_account::charged;
use crate::lookup::{Lookup, LookupError};

/// The addresses of one look-up, as far as they are known.
enum Addresses {
    Asking(AbortOnDropJoinHandle<Result<Vec<Address>, LookupError>>),
    Answered(std::vec::IntoIter<Address>),
    Failed(LookupError),
}

impl Addresses {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if let Self::Asking(answer) = self {
            *self = match std::task::ready!(Pin::new(answer).poll(cx)) {
                Ok(addresses) => Self::Answered(addresses.into_iter()),
                Err(error) => Self::Failed(error),
            };
        }
        Poll::Ready(())
    }

    fn next(&mut self) -> SocketResult<Option<IpAddress>> {
        // Whoever waits does so through `subscribe`; this only looks.
        let _ = self.poll(&mut Context::from_waker(Waker::noop()));
        match self {
            Self::Asking(_) => Err(ErrorCode::WouldBlock.into()),
            Self::Answered(addresses) => Ok(addresses.next().map(|address| address.ip().into())),
            Self::Failed(error) => Err(code(*error).into()),
        }
    }
}

#[async_trait::async_trait]
impl Pollable for Addresses {
    async fn ready(&mut self) {
        std::future::poll_fn(|cx| self.poll(cx)).await;
    }
}

impl Host for GateCtxView<'_> {
    fn resolve_addresses(
        &mut self,
        network: Resource<Network>,
        name: String,
    ) -> SocketResult<Resource<ResolveAddressStream>> {
        self.table.get(&network)?;
        let (enforcer, account) = (&self.ctx.enforcer, self.ctx.enforcer.account());
        let addresses = match Lookup::question(enforcer, &name) {
            Some(question) => {
                let asked = Lookup::once_asked(enforcer.clone(), name, question);
                Addresses::Asking(spawn(charged(account, asked)))
            }
            None => match Lookup::start(enforcer, &name).map_err(code)? {
                Lookup::Known(addresses) => Addresses::Answered(addresses.into_iter()),
                Lookup::Pending(asked) => Addresses::Asking(spawn(charged(account, asked.answer()))),
            },
        };
        let stream = self.table.push(addresses)?;
        Ok(Resource::new_own(stream.rep()))
    }
}

impl HostResolveAddressStream for GateCtxView<'_> {
    fn resolve_next_address(
        &mut self,
        stream: Resource<ResolveAddressStream>,
    ) -> SocketResult<Option<IpAddress>> {
        addresses(self.table, &stream)?.next()
    }

    fn subscribe(
        &mut self,
        stream: Resource<ResolveAddressStream>,
    ) -> wasmtime::Result<Resource<DynPollable>> {
        subscribe(self.table, Resource::<Addresses>::new_borrow(stream.rep()))
    }

    fn drop(&mut self, stream: Resource<ResolveAddressStream>) -> wasmtime::Result<()> {
        self.table.delete(Resource::<Addresses>::new_own(stream.rep()))?;
        Ok(())
    }
}

fn addresses<'a>(
    table: &'a mut ResourceTable,
    stream: &Resource<ResolveAddressStream>,
) -> Result<&'a mut Addresses, SocketError> {
    Ok(table.get_mut(&Resource::<Addresses>::new_borrow(stream.rep()))?)
}

/// The error that the guest gets to know (DNS-5, RSN-3).
fn code(error: LookupError) -> ErrorCode {
    match error {
        LookupError::NotAName => ErrorCode::InvalidArgument,
        LookupError::Denied => ErrorCode::AccessDenied,
        LookupError::Unresolvable => ErrorCode::NameUnresolvable,
        LookupError::TooMany => ErrorCode::NewSocketLimit,
        LookupError::OverBudget | LookupError::TemporaryFailure => ErrorCode::TemporaryResolverFailure,
        LookupError::PermanentFailure => ErrorCode::PermanentResolverFailure,
    }
}
