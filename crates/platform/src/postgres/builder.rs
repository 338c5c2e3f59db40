//! A connection that is to be made: an address, and whom to trust.

use std::sync::Arc;

use outport_egress::Dialer;

use super::address::PostgresAddress;
use super::connection::Client;
use super::{Postgres, Trust};
use crate::address::BadAddress;
use crate::ctx::PlatformCtx;
use crate::not_opened::NotOpened;

/// What guests are given as a connection builder. Cheap to clone; clones are the same one as it was then.
#[derive(Clone)]
#[allow(unreachable_pub, reason = "the bindings re-export it")]
pub struct Builder {
    address: Arc<Result<PostgresAddress, BadAddress>>,
    trust: Option<Arc<Trust>>,
    /// Counts it among those of its instance.
    _counted: Arc<()>,
}

impl Builder {
    /// For `address`, which is judged when it is connected to. None where the instance has as many as it may.
    pub(super) fn new(ctx: &PlatformCtx, address: &str) -> Option<Self> {
        let counted = ctx.postgres_builders();
        if Arc::strong_count(counted) > MOST {
            return None;
        }
        Some(Self {
            address: Arc::new(PostgresAddress::parse(address)),
            trust: None,
            _counted: Arc::clone(counted),
        })
    }

    /// Trusts the authorities in `pem`, and no others.
    pub(super) fn trust(&mut self, dialer: &Dialer, pem: String) -> Result<(), String> {
        if pem.len() > LONGEST_PEM {
            return Err("the certificate is larger than 64 KiB".to_owned());
        }
        let tls = dialer
            .tls_config_trusting(pem.as_bytes())
            .map_err(|error| error.to_string())?;
        self.trust = Some(Arc::new(Trust { tls, pem }));
        Ok(())
    }

    pub(super) async fn build(self, postgres: &Postgres, dialer: &Dialer) -> Result<Client, NotOpened> {
        postgres
            .connect(dialer, self.address.as_ref().as_ref(), self.trust.as_deref())
            .await
    }
}

/// Builders that an instance has at a time, and copies of them that are at work.
const MOST: usize = 64;

/// Bytes of certificates.
const LONGEST_PEM: usize = 64 << 10;
