//! The server that runs models for guests, as its operator configured it.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use http::StatusCode;
use outport_egress::Egress;
use outport_egress::trace::Trace;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout_at};

use super::api::{ModelApi, NoAnswer};
use super::definition::{ModelServerDefinition, base};
use super::sampling::Sampling;
use super::{Embedded, Inferred, ModelError};
use crate::operator_server::{Failure, OperatorServer, Repeat, ServerError, message_of};
use crate::trouble::Trouble;
use crate::work::{Account, NotDone, Workers};

/// A server that runs models. Cheap to clone; clones are the same server.
#[derive(Clone)]
pub struct ModelServer(Arc<ModelServerInner>);

struct ModelServerInner {
    server: OperatorServer,
    /// What stands before the paths of the API; no slash at its end.
    base: String,
    api: ModelApi,
    time: Duration,
    /// For the calls of each component.
    places: Mutex<HashMap<String, Arc<Semaphore>>>,
    readers: Workers,
    trouble: Trouble,
}

/// Who calls.
pub(super) struct Caller {
    pub(super) component: String,
    pub(super) account: Account,
    /// The point of the call.
    pub(super) trace: Trace,
}

impl ModelServer {
    /// The server of a definition. Nothing is connected to yet.
    ///
    /// # Errors
    ///
    /// What is wrong with its address or its token.
    pub fn new(egress: &Egress, definition: ModelServerDefinition<'_>) -> Result<Self, ServerError> {
        let address = (definition.url, definition.token);
        let server = OperatorServer::new(egress, "llm_compute", address, definition.location, MOST_ANSWER)?;
        Ok(Self(Arc::new(ModelServerInner {
            base: base(server.path(), definition.api).to_owned(),
            server,
            api: definition.api,
            time: definition.time,
            places: Mutex::default(),
            readers: Workers::default(),
            trouble: Trouble::default(),
        })))
    }

    /// Has a model go on with a prompt.
    pub(super) async fn infer(
        &self,
        caller: &Caller,
        asked: (&str, &str),
        sampling: &Sampling,
    ) -> Result<Inferred, ModelError> {
        let api = self.0.api;
        let request = api.infer(asked, sampling);
        self.call(caller, (api.infer_path(), request), move |answer| {
            api.inferred(answer)
        })
        .await
    }

    /// Has a model embed texts.
    pub(super) async fn embed(
        &self,
        caller: &Caller,
        (model, texts): (&str, &[String]),
    ) -> Result<Embedded, ModelError> {
        let (api, asked) = (self.0.api, texts.len());
        let request = api.embed(model, texts);
        self.call(caller, (api.embed_path(), request), move |answer| {
            api.embedded(answer, asked)
        })
        .await
    }

    /// Sends a request to a path of the API, and reads the answer on another thread.
    async fn call<T: Send + 'static>(
        &self,
        caller: &Caller,
        (path, request): (&str, Vec<u8>),
        read: impl FnOnce(&[u8]) -> Result<T, NoAnswer> + Send + 'static,
    ) -> Result<T, ModelError> {
        let inner = &*self.0;
        let deadline = Instant::now() + inner.time;
        let _place = inner.place(&caller.component, deadline).await?;
        let path = format!("{}{path}", inner.base);
        let request = inner.server.request(path, request, &caller.trace);
        // Asking a model changes nothing, and may be done again.
        let exchange = inner
            .server
            .exchange(&caller.component, request, Repeat::Unanswered);
        let answer = match timeout_at(deadline, exchange).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(Failure::Tls(why))) => {
                // What is wrong with a certificate names the server, which is the operator's to know.
                inner.tell(&format_args!("TLS with it failed: {why}"));
                return Err(ModelError::Failed(
                    "the model server failed: TLS with it failed".to_owned(),
                ));
            }
            Ok(Err(failure)) => return Err(inner.failed(&failure)),
            Err(_) => {
                let seconds = inner.time.as_secs();
                return Err(inner.failed(&format_args!("it did not answer within {seconds} s")));
            }
        };
        if !answer.status.is_success() {
            return Err(inner.said(answer.status, &answer.said()));
        }
        let reading = inner.readers.run(caller.account.clone(), move || {
            let read = read(&answer.body);
            read.map_err(|error| (error, message_of(&answer.body)))
        });
        match reading.await {
            Ok(Ok(read)) => Ok(read),
            // Some say that they failed with a status that says that they did not.
            Ok(Err((_, Some(said)))) => Err(inner.said(StatusCode::OK, &said)),
            Ok(Err((error, None))) => Err(inner.failed(&error)),
            Err(NotDone) => Err(inner.failed(&"its answer was not read")),
        }
    }
}

impl ModelServerInner {
    /// A place among the calls of a component, which is waited for.
    async fn place(&self, component: &str, deadline: Instant) -> Result<OwnedSemaphorePermit, ModelError> {
        let places = {
            // What is counted wrong after a panic is better than a second one.
            let mut places = self.places.lock().unwrap_or_else(PoisonError::into_inner);
            let new = || Arc::new(Semaphore::new(CALLS_OF_A_COMPONENT));
            Arc::clone(places.entry(component.to_owned()).or_insert_with(new))
        };
        match timeout_at(deadline, places.acquire_owned()).await {
            Ok(Ok(place)) => Ok(place),
            Ok(Err(_)) | Err(_) => Err(ModelError::Failed(format!(
                "the component has {CALLS_OF_A_COMPONENT} calls of models under way, and none of them ended in time"
            ))),
        }
    }

    /// The server says that it failed.
    fn said(&self, status: StatusCode, said: &str) -> ModelError {
        let refusal = self.server.refusal(status, said);
        self.tell(&refusal.for_operator);
        ModelError::Failed(format!("the model server {}", refusal.for_guest))
    }

    fn failed(&self, why: &dyn fmt::Display) -> ModelError {
        self.tell(why);
        ModelError::Failed(format!("the model server failed: {why}"))
    }

    fn tell(&self, why: &dyn fmt::Display) {
        self.trouble.warn(format!(
            "the model server at {} failed: {why}",
            self.server.destination()
        ));
    }
}

/// Bytes of an answer: 16 MiB.
const MOST_ANSWER: usize = 16 << 20;

/// Calls of one component that are under way at a time.
const CALLS_OF_A_COMPONENT: usize = 16;

#[cfg(test)]
mod tests;
