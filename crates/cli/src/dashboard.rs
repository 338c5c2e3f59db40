//! `--dashboard`: the live page, for the person who runs a server.
//!
//! Its socket is opened before the kernel's sandbox closes, like all others; its URL is said once, on the terminal, before the
//! line that says what is served. The URL has the secret, so it goes to no log, no collector and no other process.

use std::net::SocketAddr;

use clap::Args;
use outport_check::Diagnostic;
use outport_runtime::engine::Allocation;
use outport_runtime::memory_ceiling::MemoryCeiling;
use outport_telemetry::dashboard::{Bounds, DashboardError, DashboardListener};

use crate::configuration::blame::not_listened_at;
use crate::failure::Failure;
use crate::service::address;

/// The options of the live page.
#[derive(Debug, Args)]
#[command(next_help_heading = "Observability")]
pub(crate) struct DashboardOptions {
    /// Show who talks to what on a live page, at this address of this machine; without one on a free port of 127.0.0.1
    ///
    /// The URL is printed before the server serves, and has a secret in it that is another one at each start.
    #[arg(
        long,
        value_name = "ADDR:PORT",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "127.0.0.1:0",
        value_parser = loopback
    )]
    dashboard: Option<SocketAddr>,
}

impl DashboardOptions {
    /// Listens for a browser, if there is to be a page.
    pub(crate) fn open(&self) -> Result<Option<DashboardListener>, Failure> {
        let Some(address) = self.dashboard else {
            return Ok(None);
        };
        match DashboardListener::bind(address) {
            Ok(listener) => Ok(Some(listener)),
            Err(error @ DashboardError::Unusable { .. }) => {
                let error =
                    format!("{error}; choose another address with `--dashboard=`: port 0 takes a free one");
                Err(not_listened_at("dashboard", &error).into())
            }
            Err(error) => Err(Failure::unusable(Diagnostic::error(error.to_string()))),
        }
    }
}

/// The bounds that the page shows.
pub(crate) fn bounds(allocation: Allocation, memory: &MemoryCeiling) -> Bounds {
    let mut bounds = Bounds::default();
    if let Allocation::Pool { instances } = allocation {
        bounds.instances = Some(instances.into());
    }
    bounds.memory = Some(memory.limit())
        .filter(|limit| *limit != usize::MAX)
        .map(|limit| limit as u64);
    bounds
}

/// The address of a page that no other machine can reach.
fn loopback(text: &str) -> Result<SocketAddr, String> {
    let address = address(text)?;
    if address.ip().to_canonical().is_loopback() {
        return Ok(address);
    }
    let port = match address.port() {
        0 => 9000,
        port => port,
    };
    Err(format!(
        "it shows what components do, and is for this machine alone: write `127.0.0.1:{port}` or `[::1]:{port}`, and from \
         another machine go there by `ssh -L {port}:127.0.0.1:{port} HOST`"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_this_machine_may_see_it() {
        for text in ["127.0.0.1:0", "127.9.9.9:80", "[::1]:9000", "localhost:9000"] {
            assert!(loopback(text).is_ok(), "{text}");
        }
        let rows = [
            ("0.0.0.0:9000", "ssh -L 9000:127.0.0.1:9000"),
            ("[::]:0", "ssh -L"),
            ("10.0.0.5:9000", "for this machine alone"),
            ("[::ffff:10.0.0.5]:9000", "for this machine alone"),
            ("example.com:9000", "`localhost` is the only name"),
            ("9000", "127.0.0.1:9000"),
            ("", "a port too"),
        ];
        for (text, part) in rows {
            let error = loopback(text).unwrap_err();
            assert!(error.contains(part), "{text}: {error}");
        }
    }
}
