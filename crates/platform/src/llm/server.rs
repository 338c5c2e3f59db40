//! The server that runs models for guests, as its operator configured it.

use std::collections::HashMap;
use std::fmt;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HOST, USER_AGENT};
use http::{HeaderValue, Request, StatusCode};
use http_body_util::Full;
use outport_egress::{AuthorizedDestination, Destination, DialError, Dialer, Egress, Pool};
use outport_policy::{Scheme, text};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout_at};
use url::Url;

use super::api::{ModelApi, NoAnswer, message_of};
use super::connection::{Answer, NoExchange, ServerConnection, Stream};
use super::definition::{ModelServerDefinition, ModelServerError, base, destination, host_header};
use super::sampling::Sampling;
use super::token::Token;
use super::{Embedded, Inferred, ModelError};
use crate::trouble::Trouble;
use crate::work::{Account, NotDone, Workers};

/// A server that runs models. Cheap to clone; clones are the same server.
#[derive(Clone)]
pub struct ModelServer(Arc<ModelServerInner>);

struct ModelServerInner {
    destination: Destination,
    /// What stands before the paths of the API; no slash at its end.
    base: String,
    host: HeaderValue,
    token: Token,
    api: ModelApi,
    time: Duration,
    dialer: Dialer,
    pool: Pool<ServerConnection>,
    /// For the calls of each component.
    places: Mutex<HashMap<String, Arc<Semaphore>>>,
    readers: Workers,
    trouble: Trouble,
}

/// Who calls.
pub(super) struct Caller {
    pub(super) component: String,
    pub(super) account: Account,
}

/// Why a call failed.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error("it cannot be reached: {0}")]
    Dial(#[from] DialError),
    #[error("TLS with it failed")]
    Tls(#[source] io::Error),
    #[error(transparent)]
    Exchange(#[from] NoExchange),
}

impl ModelServer {
    /// The server of a definition. Nothing is connected to yet.
    ///
    /// # Errors
    ///
    /// What is wrong with its address or its token.
    pub fn new(egress: &Egress, definition: ModelServerDefinition<'_>) -> Result<Self, ModelServerError> {
        let url = Url::parse(definition.url).map_err(ModelServerError::Url)?;
        let destination = destination(&url)?;
        let dialer = egress
            .operator_dialer("llm_compute", &destination, definition.location)
            .map_err(ModelServerError::Place)?;
        Ok(Self(Arc::new(ModelServerInner {
            base: base(&url, definition.api).to_owned(),
            host: host_header(&url, &destination)?,
            token: Token::new(definition.token)?,
            api: definition.api,
            time: definition.time,
            pool: dialer.pool(),
            dialer,
            destination,
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
        let exchange = inner.exchange(&caller.component, inner.request(path, request));
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
            return Err(inner.refused(&answer));
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

    fn request(&self, path: &str, body: Vec<u8>) -> Request<Full<Bytes>> {
        let mut request = Request::post(format!("{}{path}", self.base))
            .header(HOST, &self.host)
            .header(USER_AGENT, concat!("outport/", env!("CARGO_PKG_VERSION")))
            .header(CONTENT_TYPE, "application/json")
            .header(ACCEPT, "application/json");
        if let Some(token) = self.token.header() {
            request = request.header(AUTHORIZATION, token);
        }
        let body = Full::new(Bytes::from(body));
        request
            .body(body)
            .expect("INVARIANT: the path of a URL is one of a request")
    }

    /// Sends a request on a connection that waits, or a new one.
    async fn exchange(&self, component: &str, request: Request<Full<Bytes>>) -> Result<Answer, Failure> {
        let authorized = self.dialer.authorize(&self.destination)?;
        // All connections are the operator's; each belongs to the component that it was made for (HI-4).
        let authorized = match self.pool.take(component, authorized) {
            Ok(mut connection) => match connection.exchange(request.clone()).await {
                // It was closed while it waited. Asking a model changes nothing, and may be done again.
                Err(NoExchange::Unanswered) => self.dialer.authorize(&self.destination)?,
                answered => return self.keep(component, connection, answered).await,
            },
            Err(authorized) => authorized,
        };
        let mut connection = self.connect(authorized).await?;
        let answered = connection.exchange(request).await;
        self.keep(component, connection, answered).await
    }

    async fn keep(
        &self,
        component: &str,
        mut connection: ServerConnection,
        answered: Result<Answer, NoExchange>,
    ) -> Result<Answer, Failure> {
        if answered.is_ok() && connection.is_reusable().await {
            self.pool.put(component, connection);
        }
        Ok(answered?)
    }

    async fn connect(&self, authorized: AuthorizedDestination<'_>) -> Result<ServerConnection, Failure> {
        let connection = authorized.connect().await?;
        let handle = connection.handle();
        let stream: Box<dyn Stream> = if *self.destination.scheme() == Scheme::HTTPS {
            let secured = self.dialer.secure(connection, self.destination.host()).await;
            Box::new(secured.map_err(Failure::Tls)?)
        } else {
            Box::new(connection)
        };
        Ok(ServerConnection::new(stream, handle).await?)
    }

    /// The server answered with a status that is not one of success.
    fn refused(&self, answer: &Answer) -> ModelError {
        let said = message_of(&answer.body);
        let said = said.unwrap_or_else(|| String::from_utf8_lossy(&answer.body).into_owned());
        self.said(answer.status, &said)
    }

    /// The server says that it failed. The operator is told that, and what it says may be about what a guest has asked.
    fn said(&self, status: StatusCode, said: &str) -> ModelError {
        let about = if status.is_redirection() {
            ", and where it leads is not followed"
        } else {
            ""
        };
        self.tell(&format_args!("it answered with `{status}`{about}"));
        let said = self.token.hidden_in(said.trim());
        let colon = if said.is_empty() { "" } else { ": " };
        ModelError::Failed(format!(
            "the model server answered with `{status}`{about}{colon}{}",
            text::quote(&said)
        ))
    }

    fn failed(&self, why: &dyn fmt::Display) -> ModelError {
        self.tell(why);
        ModelError::Failed(format!("the model server failed: {why}"))
    }

    fn tell(&self, why: &dyn fmt::Display) {
        self.trouble
            .warn(format!("the model server at {} failed: {why}", self.destination));
    }
}

/// Calls of one component that are under way at a time.
const CALLS_OF_A_COMPONENT: usize = 16;

#[cfg(test)]
mod tests;
