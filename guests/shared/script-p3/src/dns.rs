//! Look-ups of WASI 0.3.

use std::net::IpAddr;
use std::pin::Pin;
use std::vec;

use futures_util::future::poll_immediate;
use script::Code;
use wasip3::sockets::ip_name_lookup::{ErrorCode, resolve_addresses};
use wasip3::sockets::types::IpAddress;

use crate::address;

type Answer = Result<Vec<IpAddress>, ErrorCode>;

/// A look-up under way, or the addresses of its answer that were not asked for yet.
pub enum Lookup {
    /// The host has been asked.
    Pending(Pin<Box<dyn Future<Output = Answer>>>),
    /// The host has answered.
    Answered(vec::IntoIter<IpAddress>),
}

impl Lookup {
    /// Asks the host. A future does nothing until it is polled, so this polls it once.
    pub(crate) async fn start(name: &str) -> Result<Self, Code> {
        let mut pending: Pin<Box<dyn Future<Output = Answer>>> = Box::pin(resolve_addresses(name.to_owned()));
        match poll_immediate(&mut pending).await {
            None => Ok(Self::Pending(pending)),
            Some(answer) => Self::answered(answer),
        }
    }

    fn answered(answer: Answer) -> Result<Self, Code> {
        let addresses = answer.map_err(|code| Code::of_variant(&code))?;
        Ok(Self::Answered(addresses.into_iter()))
    }
}

impl script::Lookup for Lookup {
    async fn next(&mut self) -> Result<Option<IpAddr>, Code> {
        if let Self::Pending(answer) = self {
            let answer = answer.await;
            *self = Self::Answered(Vec::new().into_iter());
            *self = Self::answered(answer)?;
        }
        match self {
            Self::Answered(addresses) => Ok(addresses.next().map(address::ip)),
            Self::Pending(_) => unreachable!("the answer has just been awaited"),
        }
    }
}
