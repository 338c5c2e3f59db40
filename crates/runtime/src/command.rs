//! Runs a command: one instance of a component that exports `wasi:cli/run`, to its end.
//!
//! A command ends with an exit code: the one it gave to `wasi:cli/exit`, else 0 or 1 as `run` answers. Anything
//! else is a [`Trap`].

use std::time::Duration;

use outport_egress::GateView;
use outport_egress::trace::{SPANS, Trace};
use tracing::field::Empty;
use wasmtime::Store;
use wasmtime_wasi::I32Exit;
use wasmtime_wasi::p2::bindings as p2;
use wasmtime_wasi::p3::bindings as p3;

use crate::component::{Export, list};
use crate::guest::Guest;
use crate::guest_pre::GuestPre;
use crate::instance_counts::InstanceEnd;
use crate::trap::Trap;

/// A component that is ready to run as a command.
pub struct Command {
    guest: GuestPre,
    pre: RunPre,
}

/// The command of a component, of WASI 0.2 or 0.3; of both, that of 0.3.
#[derive(Clone)]
pub(crate) enum RunPre {
    P2(p2::CommandPre<Guest>),
    P3(p3::CommandPre<Guest>),
}

/// The reason why a component cannot run as a command.
#[derive(Debug, thiserror::Error)]
#[error("component `{component}` is not a command: it does not export `wasi:cli/run`, but {}", list(.exports))]
#[non_exhaustive]
pub struct NotACommand {
    /// The component.
    pub component: String,
    /// The exports that it has instead.
    pub exports: Vec<String>,
}

/// The reason why a command did not end with an exit code.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CommandError {
    /// The command was stopped.
    #[error(transparent)]
    Trap(#[from] Trap),
    /// The command lived as long as it may, and was ended.
    #[error("component `{component}` was ended after {} s", .limit.as_secs_f32())]
    OutOfTime {
        /// The component.
        component: String,
        /// The time that it may live.
        limit: Duration,
    },
    /// The command was not started, since all guests together have as much memory as they may have.
    #[error("component `{component}` was not started: there is no memory for it (`--max-memory-total`)")]
    NoMemory {
        /// The component.
        component: String,
    },
}

/// The export that a command runs, as reports call it.
pub(crate) const EXPORT: &str = "wasi:cli/run";

impl Command {
    /// Takes a component that exports `wasi:cli/run` of WASI 0.2 or 0.3.
    ///
    /// # Errors
    ///
    /// When it does not.
    pub fn new(guest: GuestPre) -> Result<Self, NotACommand> {
        let pre = RunPre::of(&guest)?;
        Ok(Self { guest, pre })
    }

    /// The component.
    pub fn guest(&self) -> &GuestPre {
        &self.guest
    }

    /// Runs a new instance to its end, and answers its exit code.
    ///
    /// # Errors
    ///
    /// When the guest traps or runs out of time.
    pub async fn run(&self) -> Result<i32, CommandError> {
        let account = self.guest.admit().ok_or_else(|| CommandError::NoMemory {
            component: self.guest.name().to_owned(),
        })?;
        let live = self.guest.count_instance();
        let trace = self.begin_trace();
        let mut store = self.guest.store_at(0, &account);
        store.data_mut().gate().ctx.trace().set(trace.clone());
        let run = self.pre.run(&mut store);
        let run = self.guest.engine().interrupting(&account, run);
        let outcome = match self.guest.limits().max_time {
            None => run.await,
            Some(limit) => match tokio::time::timeout(limit, run).await {
                Ok(outcome) => outcome,
                Err(_) => {
                    drop(store);
                    live.ended(InstanceEnd::MaxTime);
                    trace.span().record("otel.status_code", "ERROR");
                    return Err(CommandError::OutOfTime {
                        component: self.guest.name().to_owned(),
                        limit,
                    });
                }
            },
        };
        drop(store);
        let outcome = exit_code(outcome);
        live.ended(InstanceEnd::of(&outcome));
        match &outcome {
            Ok(code) => drop(trace.span().record("process.exit.code", *code)),
            Err(_) => drop(trace.span().record("otel.status_code", "ERROR")),
        }
        outcome.map_err(|error| Trap::of(&error, self.guest.name(), EXPORT).into())
    }
}

impl Command {
    /// One span a run.
    fn begin_trace(&self) -> Trace {
        let component = self.guest.id();
        Trace::begin(self.guest.egress().tracer(), None, || {
            let span = tracing::info_span!(
                target: SPANS,
                "command",
                otel.name = Empty,
                otel.kind = "internal",
                otel.status_code = Empty,
                outport.component = component,
                process.exit.code = Empty,
            );
            span.record("otel.name", format!("run {component}"));
            span
        })
    }
}

impl RunPre {
    /// The command that a component exports.
    ///
    /// # Errors
    ///
    /// When it exports none.
    pub(crate) fn of(guest: &GuestPre) -> Result<Self, NotACommand> {
        let not_a_command = |_| NotACommand {
            component: guest.name().to_owned(),
            exports: guest.exports().collect(),
        };
        let instance = guest.instance().clone();
        Ok(if guest.has(Export::CommandP3) {
            Self::P3(p3::CommandPre::new(instance).map_err(not_a_command)?)
        } else {
            Self::P2(p2::CommandPre::new(instance).map_err(not_a_command)?)
        })
    }

    /// Makes an instance in `store` and runs it to its end, of which [`exit_code`] makes a number.
    pub(crate) async fn run(&self, store: &mut Store<Guest>) -> wasmtime::Result<Result<(), ()>> {
        match self {
            Self::P2(command) => run_p2(command, store).await,
            Self::P3(command) => run_p3(command, store).await,
        }
    }
}

/// The exit code of a command that ended so.
///
/// # Errors
///
/// When it did not end by itself.
pub(crate) fn exit_code(ended: wasmtime::Result<Result<(), ()>>) -> wasmtime::Result<i32> {
    match ended {
        Ok(Ok(())) => Ok(0),
        Ok(Err(())) => Ok(1),
        Err(error) => match error.downcast_ref::<I32Exit>() {
            Some(I32Exit(code)) => Ok(*code),
            None => Err(error),
        },
    }
}

async fn run_p2(
    command: &p2::CommandPre<Guest>,
    store: &mut Store<Guest>,
) -> wasmtime::Result<Result<(), ()>> {
    let command = command.instantiate_async(&mut *store).await?;
    command.wasi_cli_run().call_run(store).await
}

async fn run_p3(
    command: &p3::CommandPre<Guest>,
    store: &mut Store<Guest>,
) -> wasmtime::Result<Result<(), ()>> {
    let command = command.instantiate_async(&mut *store).await?;
    store
        .run_concurrent(async |store| command.wasi_cli_run().call_run(store).await)
        .await?
}
