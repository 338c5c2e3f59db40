//! `[[trigger.sqs]]`: the messages of a queue of SQS.
//!
//! As many as are fetched at once are worked on at once; of a queue that keeps an order, one of each group. A message is
//! deleted when its handler says so. What it left, or failed at, comes again when the queue's time for it is over.

use std::sync::Arc;

use async_trait::async_trait;
use outport_manifest::SqsQueue;
use outport_platform::sqs::{
    AttributeValue, Message, NotSettled, Queue, QueueOptions, Settled, Subscription,
};
use outport_policy::text;
use tracing::Level;

use super::brokers::{Route, Surroundings, not_connected};
use super::connector::{Connector, ConnectorError, Delivery, Outcome, Receipt};
use super::connectors::NoConnector;
use super::event::{Event, SqsAttribute, SqsMessage, SqsValue};
use crate::failure_log::FailureLog;

pub(super) struct SqsConnector {
    queue: Arc<Queue>,
    route: Route,
    listens_to: String,
    subscription: Option<Subscription>,
    concurrency: u8,
    failures: Arc<FailureLog>,
}

impl SqsConnector {
    pub(super) fn new(
        queue: &SqsQueue,
        failures: &Arc<FailureLog>,
        around: &Surroundings<'_>,
    ) -> Result<Self, NoConnector> {
        let wrong = |error: &dyn std::fmt::Display| {
            NoConnector::value("queue_url", error, queue.queue_url.span.clone())
        };
        let access = &around.brokers.sqs;
        let url = queue.queue_url.value.expose();
        let concurrency = u8::try_from(queue.max_messages)
            .unwrap_or(MOST_AT_ONCE)
            .min(MOST_AT_ONCE);
        let options = QueueOptions {
            max_messages: concurrency,
            idle_wait: queue.idle_wait,
            system_attributes: queue.system_attributes.clone(),
            message_attributes: queue.message_attributes.clone(),
        };
        let queue = Queue::new(url, options, access);
        let queue = queue.map_err(|error| wrong(&error).helped_by(error.advice()))?;
        let mut listens_to = format!("queue `{}`", text::excerpt(url));
        let route = match &access.endpoint {
            Some(endpoint) => {
                listens_to += &format!(" of {} (operator)", endpoint.destination());
                let dialer = endpoint.dialer(around.egress, "trigger.sqs");
                Route::of_operator(dialer.map_err(|error| wrong(&error))?)
            }
            None => Route::of_component(around.gate),
        };
        Ok(Self {
            queue: Arc::new(queue),
            route,
            listens_to,
            subscription: None,
            concurrency,
            failures: Arc::clone(failures),
        })
    }
}

#[async_trait]
impl Connector for SqsConnector {
    fn listens_to(&self) -> String {
        self.listens_to.clone()
    }

    fn concurrency(&self) -> usize {
        self.concurrency.into()
    }

    async fn connect(&mut self) -> Result<(), ConnectorError> {
        // What the last one held and nobody was handed comes again at once, if its server is there.
        self.close().await;
        self.subscription = Some(self.queue.subscribe(&self.route.dialer).await?);
        Ok(())
    }

    async fn next(&mut self) -> Result<Delivery, ConnectorError> {
        let subscription = self.subscription.as_mut().ok_or_else(not_connected)?;
        let (number, message) = subscription.next().await?;
        Ok(Delivery {
            event: Event::Sqs(message.into()),
            receipt: Receipt(number),
            lane: None,
        })
    }

    async fn attend(&mut self) -> ConnectorError {
        if let Some(subscription) = &mut self.subscription {
            subscription.attend().await;
        }
        not_connected()
    }

    async fn settle(&mut self, receipt: Receipt, outcome: Outcome) -> Result<(), ConnectorError> {
        let subscription = self.subscription.as_mut().ok_or_else(not_connected)?;
        let settled = match outcome {
            Outcome::Done => Settled::Delete,
            Outcome::Leave | Outcome::Failed => Settled::Leave,
            Outcome::NotBegun => Settled::GiveBack,
        };
        match subscription.settle(receipt.0, settled).await {
            Ok(()) => Ok(()),
            Err(NotSettled::Lost(lost)) => Err(lost.into()),
            Err(refused) => {
                let (component, queue) = (self.failures.component(), &self.listens_to);
                let done = match settled {
                    Settled::GiveBack => "given back",
                    Settled::Delete | Settled::Leave => "deleted",
                };
                let why = text::message(&refused.to_string()).to_string();
                let told = format!(
                    "component `{component}`: a message from {queue} was not {done}, and comes again: {why}"
                );
                self.failures.add(Level::WARN, told);
                Ok(())
            }
        }
    }

    async fn close(&mut self) {
        if let Some(subscription) = self.subscription.take() {
            subscription.leave().await;
        }
    }
}

impl From<Message> for SqsMessage {
    fn from(message: Message) -> Self {
        let attributes = message.attributes.into_iter().map(|own| SqsAttribute {
            name: own.name,
            data_type: own.data_type,
            value: match own.value {
                AttributeValue::Text(text) => SqsValue::Text(text),
                AttributeValue::Binary(bytes) => SqsValue::Binary(bytes),
            },
        });
        Self {
            id: message.id,
            attributes: attributes.collect(),
            body: message.body,
        }
    }
}

/// Messages that a queue gives at once.
const MOST_AT_ONCE: u8 = 10;
