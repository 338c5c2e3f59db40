//! The parts that a guest answers by whose instance answers one request, and the log of guests that do not answer, or with
//! an error.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use http_body_util::BodyExt;
use outport_policy::text;
use tokio::sync::oneshot;
use tracing::Level;

use super::holding_body::{Held, HoldingBody};
use super::http_component::Answer;
use super::inbound_http::{self, Outcome};
use crate::failure_log::FailureLog;
use crate::guest_pre::GuestPre;

/// The log of guests that answered with an error, or not in time.
pub(super) struct GuestErrorLog {
    component: GuestPre,
    failures: Arc<FailureLog>,
}

impl GuestErrorLog {
    pub(super) fn new(component: GuestPre, failures: Arc<FailureLog>) -> Self {
        Self { component, failures }
    }

    pub(super) fn log(&self, code: &dyn std::fmt::Debug) {
        let component = self.component.name();
        let code = text::begin(format_args!("{code:?}"));
        let what = format!("component `{component}` answered with the error {code}");
        self.failures.add(Level::WARN, what);
    }

    fn log_no_response(&self, none: &inbound_http::NotAResponse) {
        let component = self.component.name();
        let what = format!("component `{component}` answered with {none}");
        self.failures.add(Level::WARN, what);
    }

    pub(super) fn log_too_slow(&self) {
        let (component, limit) = (self.component.name(), self.component.limits().response_timeout);
        let limit = limit.unwrap_or_default().as_secs_f32();
        let what = format!("component `{component}` gave no response within {limit} s");
        self.failures.add(Level::WARN, what);
    }
}

/// The parts that a guest answers by whose instance answers one request.
pub(super) struct ResponseParts {
    sender: oneshot::Sender<Answer>,
    answered: Arc<AtomicBool>,
    guest_errors: GuestErrorLog,
    held: Arc<Held>,
}

impl ResponseParts {
    /// Answers go to `sender`; that there was one, or none, is noted in `answered`.
    pub(super) fn new(
        sender: oneshot::Sender<Answer>,
        answered: Arc<AtomicBool>,
        guest_errors: GuestErrorLog,
        held: Arc<Held>,
    ) -> Self {
        Self {
            sender,
            answered,
            guest_errors,
            held,
        }
    }

    /// Passes on what a guest answered that is given requests whole.
    pub(super) fn take(self, outcome: Outcome) {
        match outcome {
            Outcome::Answer(answer) | Outcome::Refused(answer) => self.answer(answer),
            Outcome::NoAnswer(none) => self.guest_errors.log_no_response(&none),
        }
    }

    /// Answers, with a body that holds what the instance holds.
    pub(super) fn answer(self, answer: Answer) {
        self.answered.store(true, Ordering::Relaxed);
        let answer = answer.map(|body| HoldingBody::new(body, self.held).boxed_unsync());
        // That nobody waits for it any more is the client's choice.
        drop(self.sender.send(answer));
    }

    pub(super) fn fail(self, code: &dyn std::fmt::Debug) {
        self.answered.store(true, Ordering::Relaxed);
        self.guest_errors.log(code);
    }
}
