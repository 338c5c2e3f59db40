//! A command that answers requests by CGI, as with Spin's executor `wagi`: a fresh instance for each.
//!
//! ```text
//! request ─┬─ head ─► variables: arguments, environment ─┐
//!          └─ body ─► input ────────── standard input ───┴─► wasi:cli/run
//!                                                                │
//! response ◄─ output ◄─ head, then the body ◄──── standard output ┘   standard error ─► the component's output
//! ```
//!
//! Neither body is collected. The response begins when its head is complete, and its body goes as it is written; a
//! guest that writes more than its client reads waits. All limits are those of any instance that answers one request.
//!
//! | the guest | |
//! | --- | --- |
//! | ends, whatever its exit code, with a head | that is the response, and its body ends; a code other than 0 is told |
//! | ends, traps or is ended before its head is complete, or its head is no valid one | no response, and the reason is told |
//! | traps or is ended in its body | the body breaks off |
//! | writes on when its client is gone | a write fails, and the instance is ended [`GRACE`] later |

mod head;
mod input;
mod output;
mod variables;

use std::sync::Arc;
use std::time::Duration;

use http::Request;
use http_body_util::BodyExt;
use outport_egress::{GateCtx, GateView};
use outport_manifest::WagiArguments;
use tokio::time::sleep;
use tracing::Level;

use self::input::Input;
use self::output::{End, Output};
use self::variables::Exchange;
use super::holding_body::Held;
use super::http_component::RequestBody;
use super::request_trace::RequestTrace;
use super::response_parts::ResponseParts;
use crate::command::{NotACommand, RunPre, exit_code};
use crate::failure_log::FailureLog;
use crate::guest_env::GuestEnv;
use crate::guest_pre::GuestPre;
use crate::instance_counts::InstanceEnd;

/// A command, ready to answer requests.
pub(super) struct WagiPre {
    command: RunPre,
    arguments: WagiArguments,
}

impl WagiPre {
    /// The command of a component.
    ///
    /// # Errors
    ///
    /// When it exports none.
    pub(super) fn new(guest: &GuestPre, arguments: WagiArguments) -> Result<Self, NotACommand> {
        Ok(Self {
            command: RunPre::of(guest)?,
            arguments,
        })
    }

    /// The whole life of an instance. What it came to is told, but for a trap, which is the answer.
    pub(super) async fn live<B: RequestBody>(
        &self,
        guest: &GuestPre,
        failures: &Arc<FailureLog>,
        parts: ResponseParts,
        request: Request<B>,
        trace: RequestTrace,
        held: &Held,
    ) -> wasmtime::Result<InstanceEnd> {
        // Broken off where this is dropped, or left early.
        let output = End::of(Output::new(parts, Arc::clone(failures)));
        let run = guest.engine().interrupting(&held.account, async {
            let (head, body) = request.into_parts();
            let body = body.map_err(Into::into).boxed_unsync();
            let exchange = Exchange::of(&head, &body, &self.arguments, guest.guest_env());
            let wasi = |env: &GuestEnv, gate: &GateCtx| {
                env.context_with(gate, |wasi| {
                    wasi.args(&exchange.arguments)
                        .envs(&exchange.environment)
                        .stdin(Input::new(body))
                        .stdout(output.stream());
                })
            };
            let mut store = guest.store_with(wasi, held.slot.depth(), &held.account);
            drop(exchange);
            trace.enter(store.data_mut().gate().ctx, &held.stay);
            exit_code(self.command.run(&mut store).await)
        });
        let abandoned = async {
            output.stream().refused().await;
            sleep(GRACE).await;
        };
        let ended = tokio::select! {
            biased;
            ended = run => ended,
            () = abandoned => return Ok(InstanceEnd::CutOff),
        };
        match ended? {
            0 => {}
            code => {
                let what = format!("component `{}` ended with the exit code {code}", guest.name());
                failures.add(Level::WARN, what);
            }
        }
        output.whole();
        Ok(InstanceEnd::Completed)
    }
}

/// For a guest to end by itself that was told that nobody reads on.
const GRACE: Duration = Duration::from_secs(1);
