//! A connection of a guest's, made or taken from the pool, and what may be kept of it.
//!
//! What one instance did with it must not reach the next one. So a connection goes back into the pool only when everything
//! that was asked is answered, and the server has made a new session of it. This is done when the guest has dropped it, so
//! nobody waits for it.

use std::sync::Arc;

use outport_egress::{AuthorizedDestination, Dialer, HostCalls, HostInterface, Pool};
use tokio::runtime::Handle;
use tokio::sync::{Mutex, OwnedMutexGuard};
use tokio::time::timeout;

use super::address::MysqlAddress;
use super::failure::Failure;
use super::server::{At, Server};
use super::statement::ANSWER_TIME;
use crate::not_opened::NotOpened;
use crate::places::Place;

/// What guests are given as a connection: cheap to clone, and back in the pool when the last clone is dropped.
#[derive(Clone)]
#[allow(unreachable_pub, reason = "the bindings re-export it")]
pub struct Client(Arc<ClientInner>);

struct ClientInner {
    /// Statements have their turn one after the other. Until it is dropped.
    server: Option<Arc<Mutex<Server>>>,
    key: String,
    pool: Pool<Server>,
    calls: HostCalls,
    /// A place among those that guests have open, and not among those that a new session is made of.
    _place: Place,
}

impl Client {
    /// A connection to `address`, where `authorized` permits to go.
    pub(super) async fn open(
        dialer: &Dialer,
        authorized: AuthorizedDestination<'_>,
        pool: &Pool<Server>,
        address: &MysqlAddress,
        place: Place,
    ) -> Result<Self, NotOpened> {
        let key = address.key();
        let server = match pool.take(&key, authorized) {
            Ok(server) => server,
            Err(authorized) => {
                let introduction = |connection| Server::over(dialer, connection, address.clone());
                let secret = Some(&*address.password);
                authorized.introduce(None, secret, introduction).await?
            }
        };
        Ok(Self(Arc::new(ClientInner {
            server: Some(Arc::new(Mutex::new(server))),
            key,
            pool: pool.clone(),
            calls: dialer.calls(HostInterface::Mysql),
            _place: place,
        })))
    }

    /// The calls by the guest that has it.
    pub(super) fn calls(&self) -> &HostCalls {
        &self.0.calls
    }

    /// The connection, when no other statement is at work on it.
    pub(super) async fn turn(&self) -> Result<OwnedMutexGuard<Server>, Failure> {
        let server = self.0.server.as_ref().ok_or(Failure::GivenUp)?;
        let turn = timeout(ANSWER_TIME, Arc::clone(server).lock_owned()).await;
        turn.map_err(|_| Failure::Busy)
    }
}

impl Drop for ClientInner {
    fn drop(&mut self) {
        // Whoever has its turn has a client too, so nobody has one now.
        let Some(server) = self.server.take().and_then(Arc::into_inner) else {
            return;
        };
        let mut server = server.into_inner();
        let (key, pool) = (std::mem::take(&mut self.key), self.pool.clone());
        if server.at != At::Rest {
            return;
        }
        if !server.is_used {
            return pool.put(&key, server);
        }
        // Outside of a runtime there is no next use.
        if Handle::try_current().is_err() {
            return;
        }
        let handle = server.handle.clone();
        handle.drive(async move {
            if server.is_renewed().await {
                pool.put(&key, server);
            }
        });
    }
}
