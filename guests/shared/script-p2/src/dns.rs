//! Look-ups of WASI 0.2.

use std::net::IpAddr;

use script::Code;
use wasip2::sockets::instance_network::instance_network;
use wasip2::sockets::ip_name_lookup::{ResolveAddressStream, resolve_addresses};

use crate::{address, code, wait};

/// A look-up under way.
pub struct Lookup(ResolveAddressStream);

impl Lookup {
    pub(crate) fn start(name: &str) -> Result<Self, Code> {
        resolve_addresses(&instance_network(), name)
            .map(Self)
            .map_err(code)
    }
}

impl script::Lookup for Lookup {
    async fn next(&mut self) -> Result<Option<IpAddr>, Code> {
        let next = wait(&self.0.subscribe(), || self.0.resolve_next_address())?;
        Ok(next.map(address::ip))
    }
}
