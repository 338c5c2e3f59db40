//! The bytes that a component may send and receive (BUD-3).

use clap::Args;
use outport_check::Diagnostic;
use outport_manifest::{ByteRate, RuntimeConfig, SentLimit};
use outport_policy::{ByteBudget, ByteBudgets};

use crate::configuration::Given;

/// Budgets of every component.
#[derive(Debug, Clone, Args)]
pub(crate) struct ByteOptions {
    /// Bytes a second that each component may send over the network, such as `1M`; more waits [default: no limit]
    #[arg(long, value_name = "SIZE")]
    max_send_rate: Option<ByteRate>,

    /// Bytes a second that each component may receive; more waits [default: no limit]
    #[arg(long, value_name = "SIZE")]
    max_receive_rate: Option<ByteRate>,

    /// Bytes that each component may send in a time, such as `1GiB/1h`; then its connections are closed, and new ones
    /// refused until the time is over [default: no limit]
    #[arg(long, value_name = "SIZE/TIME")]
    max_sent: Option<SentLimit>,
}

impl ByteOptions {
    /// With what the runtime config file says: of all components it is beaten by an option, and what it says of one narrows
    /// either.
    /// A bound that no run can keep is put to the remarks; `check` says so of one in the file.
    pub(crate) fn read(
        &self,
        config: Option<&RuntimeConfig>,
        given: &Given,
        remarks: &mut Vec<Diagnostic>,
    ) -> ByteBudgets {
        let small = self
            .max_sent
            .and_then(|SentLimit(bound)| outport_check::small_bound(bound, || given.location("max-sent")));
        remarks.extend(small);
        let written = config
            .map(|config| config.networking.bytes.budget())
            .unwrap_or_default();
        let every = ByteBudget {
            send_rate: self
                .max_send_rate
                .map(|ByteRate(rate)| rate)
                .or(written.send_rate),
            receive_rate: self
                .max_receive_rate
                .map(|ByteRate(rate)| rate)
                .or(written.receive_rate),
            sent: self.max_sent.map(|SentLimit(bound)| bound).or(written.sent),
        };
        match config {
            Some(config) => config.byte_budgets(every),
            None => ByteBudgets::new(every, []),
        }
    }
}
