//! The operator's side of the network, in force: the wall that every gate is in, told to whoever listens.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use outport_egress::{AuditLog, DenialReporter, Refresher, Resolver, Wall, WallBuilder};
use outport_runtime::descriptors;

use crate::failure::Failure;
use crate::operator_options::OperatorSide;
use crate::paint::{Colour, Paint, harmless};
use crate::terminal::Terminal;

/// The wall, and what runs beside it. Dropping it tells what is still to be told.
pub(crate) struct Network {
    wall: Wall,
    _refresher: Option<Refresher>,
}

/// How long a start waits for the addresses of the denied names.
const FIRST_ROUND: Duration = Duration::from_secs(5);

impl Network {
    /// Puts the operator's side in force. Where denied names are to be resolved, waits until each was tried.
    pub(crate) fn open(side: &OperatorSide, terminal: Terminal) -> Result<Network, Failure> {
        let mut operator = side.operator.clone();
        let half_the_files = u32::try_from(descriptors::raise_limit() / 2).unwrap_or(u32::MAX);
        operator.quotas.sockets_per_process = operator.quotas.sockets_per_process.min(half_the_files);
        let resolve = side.resolve_disallowed && !operator.deny.exact_names().is_empty();

        let mut builder = Wall::builder()
            .operator(operator)
            .resolver(Arc::new(resolver(&side.dns_servers)?));
        if !terminal.is_quiet() {
            let report = DenialReporter::new(move |line| terminal.insist(&painted(line, terminal.paint())))?;
            builder = builder.sink(Arc::new(report));
        }
        if let Some(path) = &side.audit_log {
            builder = with_audit_log(builder, path)?;
        }
        let wall = builder.build()?;
        let refresher = match resolve {
            true => Some(Refresher::start(&wall)?),
            false => None,
        };
        if let Some(refresher) = &refresher {
            refresher.first_round(FIRST_ROUND);
        }
        Ok(Network {
            wall,
            _refresher: refresher,
        })
    }

    pub(crate) fn wall(&self) -> &Wall {
        &self.wall
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        self.wall.flush();
    }
}

fn resolver(servers: &[SocketAddr]) -> Result<Resolver, Failure> {
    match servers {
        [] => Ok(Resolver::system()?),
        servers => Ok(Resolver::with_servers(servers)?),
    }
}

fn with_audit_log(builder: WallBuilder, path: &Path) -> Result<WallBuilder, Failure> {
    let log = match path == Path::new("-") {
        true => AuditLog::stderr(),
        false => AuditLog::create(path),
    };
    Ok(builder.sink(Arc::new(log?)))
}

/// A denial's line, its first word coloured.
fn painted(line: &str, paint: Paint) -> String {
    match line.split_once(':') {
        Some((label, rest)) => format!("{}:{}", paint.with(Colour::Red, label), harmless(rest)),
        None => harmless(line),
    }
}
