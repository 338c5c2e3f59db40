//! Requests to a queue's server, and its answers, one after the other over a connection that is kept.

use std::sync::Arc;
use std::time::Duration;

use outport_egress::{Dialer, IntroductionFailure};
use outport_policy::{Scheme, text};
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::time::timeout;

use super::answer::Refusal;
use super::queue::{NotSigned, Queue};
use crate::listening::NotListening;
use crate::not_opened::NotOpened;
use crate::operator_server::{Answer, NoExchange, ServerConnection, ServerRequest, Stream};

/// What asks.
pub(super) struct Exchange {
    queue: Arc<Queue>,
    dialer: Dialer,
    /// Unless a request is under way, or was given up.
    connection: Option<ServerConnection>,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failure {
    #[error(transparent)]
    NotOpened(#[from] NotOpened),
    #[error("there are no credentials of AWS, or they cannot be sent")]
    NotSigned,
    #[error("the server did not answer in time")]
    Silent,
    #[error("the server refuses: {0}")]
    Refused(String),
    #[error("the server answers what is not of the protocol")]
    NotUnderstood,
    #[error("the server cannot be asked: {0}")]
    Exchange(#[from] NoExchange),
}

impl Exchange {
    pub(super) fn new(queue: Arc<Queue>, dialer: Dialer) -> Self {
        Self {
            queue,
            dialer,
            connection: None,
        }
    }

    /// What the server answers within `wait` and a while. A connection that was closed meanwhile is made anew, once.
    pub(super) async fn ask<T: DeserializeOwned>(
        &mut self,
        action: &str,
        wanted: Value,
        wait: Duration,
    ) -> Result<T, Failure> {
        let request = self.queue.request(action, wanted)?;
        let time = wait + ANSWER_TIME;
        let mut answered = Err(NoExchange::Unsent);
        if let Some(connection) = self.connection.take() {
            answered = self.exchange(connection, request.clone(), time).await?;
        }
        // Each of the requests may be made twice: what a first one received comes again.
        if let Err(NoExchange::Unsent | NoExchange::Unanswered) = answered {
            let connection = connect(&self.queue, &self.dialer).await?;
            answered = self.exchange(connection, request, time).await?;
        }
        self.read(&answered?)
    }

    async fn exchange(
        &mut self,
        mut connection: ServerConnection,
        request: ServerRequest,
        time: Duration,
    ) -> Result<Result<Answer, NoExchange>, Failure> {
        let exchange = connection.exchange(request, MOST_ANSWER);
        let answered = timeout(time, exchange).await.map_err(|_| Failure::Silent)?;
        if answered.is_ok() && connection.is_reusable().await {
            self.connection = Some(connection);
        }
        Ok(answered)
    }

    fn read<T: DeserializeOwned>(&self, answer: &Answer) -> Result<T, Failure> {
        if !answer.status.is_success() {
            return Err(Failure::Refused(self.refusal(answer)));
        }
        // Some answer what has nothing to say with nothing.
        let body: &[u8] = if answer.body.is_empty() {
            b"{}"
        } else {
            &answer.body
        };
        serde_json::from_slice(body).map_err(|_| Failure::NotUnderstood)
    }

    fn refusal(&self, answer: &Answer) -> String {
        let refusal: Refusal = serde_json::from_slice(&answer.body).unwrap_or_default();
        let kind = refusal.kind.rsplit('#').next().unwrap_or_default();
        let kind = self.queue.without_secrets(kind);
        let message = self.queue.without_secrets(&refusal.message);
        match (&*kind, &*message) {
            ("", "") => answer.status.to_string(),
            (kind, "") => text::excerpt(kind).to_string(),
            (kind, message) => format!("{}: {}", text::excerpt(kind), text::excerpt(message)),
        }
    }
}

async fn connect(queue: &Queue, dialer: &Dialer) -> Result<ServerConnection, NotOpened> {
    let authorized = dialer.authorize(&queue.destination)?;
    let introduced = authorized.introduce(None, None, async |connection| {
        let handle = connection.handle();
        let secured = async {
            let stream: Box<dyn Stream> = if *queue.destination.scheme() == Scheme::HTTPS {
                let secured = dialer.secure(connection, queue.destination.host()).await;
                Box::new(secured.map_err(|error| IntroductionFailure::tls(&error, ""))?)
            } else {
                Box::new(connection)
            };
            let connection = ServerConnection::new(stream, handle).await;
            connection.map_err(|error| IntroductionFailure::broken(error.to_string()))
        };
        let in_time = timeout(ANSWER_TIME, secured).await;
        let silent = |_| IntroductionFailure::silent("the server did not answer in time");
        Ok::<_, NotOpened>(in_time.map_err(silent)??)
    });
    introduced.await
}

impl From<NotSigned> for Failure {
    fn from(NotSigned: NotSigned) -> Self {
        Self::NotSigned
    }
}

impl From<Failure> for NotListening {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::NotOpened(error) => error.into(),
            failure => Self::Failed(failure.to_string()),
        }
    }
}

/// Bytes of an answer: ten messages of the largest size that SQS has, in half of it.
const MOST_ANSWER: usize = 16 << 20;

/// How long an answer may take, beyond the time that it was asked to wait.
const ANSWER_TIME: Duration = Duration::from_secs(20);
