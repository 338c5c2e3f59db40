//! A server of the operator's that is spoken to by HTTP: what runs models, or keeps a database (HI-6).
//!
//! Its address is the operator's, so neither an author's list nor the deny list is held against it; the gate connects, counts
//! and records all the same, in the name of what it is for. No redirect is followed, and nobody but the server learns the
//! token. Connections are kept for the component that they were made for (HI-4).

mod address;
mod bounded_list;
mod connection;
mod said;
mod token;

use std::io;

pub use address::ServerError;
pub(crate) use address::{destination, host_header};
pub(crate) use bounded_list::BoundedList;
#[cfg(all(test, feature = "llm"))]
pub(crate) use bounded_list::MOST as MOST_ENTRIES;
use bytes::Bytes;
pub(crate) use connection::{Answer, NoExchange, ServerConnection, Stream};
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HOST, USER_AGENT};
use http::{HeaderValue, Request, StatusCode};
use http_body_util::Full;
use outport_egress::trace::Trace;
use outport_egress::{AuthorizedDestination, Destination, DialError, Dialer, Egress, Pool};
use outport_policy::{Location, Scheme, text};
pub(crate) use said::message_of;
use token::Token;
use url::Url;

/// A server, and the connections to it.
pub(crate) struct OperatorServer {
    destination: Destination,
    /// No slash at its end.
    path: String,
    host: HeaderValue,
    token: Token,
    dialer: Dialer,
    pool: Pool<ServerConnection>,
    /// Bytes of an answer.
    most_answer: usize,
}

/// A request as it is sent.
pub(crate) type ServerRequest = Request<Full<Bytes>>;

/// When a request is sent once more that a connection from the pool has lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Repeat {
    /// If it was not sent.
    Unsent,
    /// If nothing of an answer came: what it asks for changes nothing.
    Unanswered,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    #[error("it cannot be reached: {0}")]
    Dial(#[from] DialError),
    /// What is wrong with a certificate names the server, which is the operator's to know.
    #[error("TLS with it failed")]
    Tls(#[source] io::Error),
    #[error(transparent)]
    Exchange(#[from] NoExchange),
}

impl OperatorServer {
    /// The server at `url`, which was written at `location` and is spoken to for `purpose`. Nothing is connected to yet.
    ///
    /// # Errors
    ///
    /// What is wrong with its address or its token.
    pub(crate) fn new(
        egress: &Egress,
        purpose: &str,
        (url, token): (&str, &str),
        location: Location,
        most_answer: usize,
    ) -> Result<Self, ServerError> {
        let url = Url::parse(url).map_err(ServerError::Url)?;
        let destination = destination(&url)?;
        let dialer = egress
            .operator_dialer(purpose, &destination, location)
            .map_err(ServerError::Place)?;
        Ok(Self {
            path: url.path().trim_end_matches('/').to_owned(),
            host: host_header(&url, &destination)?,
            token: Token::new(token)?,
            pool: dialer.pool(),
            dialer,
            destination,
            most_answer,
        })
    }

    /// The path of its address, without a slash at the end.
    pub(crate) fn path(&self) -> &str {
        &self.path
    }

    /// Scheme, host and port, for the operator.
    pub(crate) fn destination(&self) -> &Destination {
        &self.destination
    }

    /// Whether `url` is the same address.
    #[cfg(feature = "sqlite")]
    pub(crate) fn is_at(&self, url: &str) -> bool {
        let Ok(url) = Url::parse(url) else {
            return false;
        };
        let path = url.path().trim_end_matches('/');
        path == self.path && destination(&url).is_ok_and(|destination| destination == self.destination)
    }

    /// A request with JSON to `path`, which is that of a URL, with the context of `trace`.
    pub(crate) fn request(&self, path: String, body: Vec<u8>, trace: &Trace) -> ServerRequest {
        let mut request = Request::post(path)
            .header(HOST, &self.host)
            .header(USER_AGENT, concat!("outport/", env!("CARGO_PKG_VERSION")))
            .header(CONTENT_TYPE, "application/json")
            .header(ACCEPT, "application/json");
        if let Some(token) = self.token.header() {
            request = request.header(AUTHORIZATION, token);
        }
        let body = Full::new(Bytes::from(body));
        let mut request = request
            .body(body)
            .expect("INVARIANT: the path of a URL is one of a request");
        if let Some(context) = trace.context() {
            context.put_into(request.headers_mut());
        }
        request
    }

    /// Sends a request for `component`, on a connection that waits or a new one.
    pub(crate) async fn exchange(
        &self,
        component: &str,
        request: ServerRequest,
        repeat: Repeat,
    ) -> Result<Answer, Failure> {
        let authorized = self.dialer.authorize(&self.destination)?;
        // All connections are the operator's; each belongs to the component that it was made for.
        let authorized = match self.pool.take(component, authorized) {
            Ok(mut connection) => match connection.exchange(request.clone(), self.most_answer).await {
                // It was closed while it waited.
                Err(NoExchange::Unsent) => self.dialer.authorize(&self.destination)?,
                Err(NoExchange::Unanswered) if repeat == Repeat::Unanswered => {
                    self.dialer.authorize(&self.destination)?
                }
                answered => return self.keep(component, connection, answered).await,
            },
            Err(authorized) => authorized,
        };
        let mut connection = self.connect(authorized).await?;
        let answered = connection.exchange(request, self.most_answer).await;
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

    /// That it answered with `status` and says `said`, for the guest and for the operator. What it says may be about what a
    /// guest has asked, so the operator is told the status alone.
    pub(crate) fn refusal(&self, status: StatusCode, said: &str) -> Refusal {
        let about = if status.is_redirection() {
            ", and where it leads is not followed"
        } else {
            ""
        };
        let said = self.hidden_in(said.trim());
        let colon = if said.is_empty() { "" } else { ": " };
        Refusal {
            for_guest: format!("answered with `{status}`{about}{colon}{}", text::quote(&said)),
            for_operator: format!("it answered with `{status}`{about}"),
        }
    }

    /// `said` without the token.
    pub(crate) fn hidden_in(&self, said: &str) -> String {
        self.token.hidden_in(said)
    }
}

/// An answer that is a failure.
pub(crate) struct Refusal {
    /// What the server did.
    pub(crate) for_guest: String,
    pub(crate) for_operator: String,
}

impl Answer {
    /// What it says where it is a failure.
    pub(crate) fn said(&self) -> String {
        message_of(&self.body).unwrap_or_else(|| String::from_utf8_lossy(&self.body).into_owned())
    }
}
