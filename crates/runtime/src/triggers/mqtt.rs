//! `[[trigger.mqtt]]`: what is published on topics of an MQTT broker.
//!
//! A connection and a session for each trigger. A message is acknowledged when its handler has ended, however it ended: what
//! it could not handle once it would be handed for ever, and all that comes after it would wait. Who failed is told. What
//! was not begun, or was at work when the connection was lost, comes once more.

use std::sync::Arc;

use async_trait::async_trait;
use outport_manifest::{MqttTopic, Qos};
use outport_platform::mqtt::{QualityOfService, Subscriber, Subscription, TopicFilter};

use super::brokers::{Route, Surroundings, filled, named, not_connected, too_long};
use super::connector::{Connector, ConnectorError, Delivery, Outcome, Receipt};
use super::connectors::NoConnector;
use super::event::Event;
use crate::failure_log::FailureLog;

pub(super) struct MqttConnector {
    subscriber: Subscriber,
    route: Route,
    listens_to: String,
    subscription: Option<Subscription>,
    last: u64,
}

impl MqttConnector {
    pub(super) fn new(
        topic: &MqttTopic,
        failures: &Arc<FailureLog>,
        around: &Surroundings<'_>,
    ) -> Result<Self, NoConnector> {
        let (server, variables) = (&topic.server, around.variables);
        let name = filled(&topic.topic, variables)?;
        let filter = TopicFilter::parse(name.expose());
        let filter = filter.map_err(|error| NoConnector::value("topic", error, topic.topic.span.clone()))?;
        let own = around.brokers.mqtt.as_ref();
        let address = match own {
            Some(own) => own.url.expose().to_owned(),
            None => filled(&server.address, variables)?.expose().to_owned(),
        };
        let (user, password) = (
            filled(&server.username, variables)?,
            filled(&server.password, variables)?,
        );
        let qos = match topic.qos {
            Qos::AtMostOnce => QualityOfService::AtMostOnce,
            Qos::AtLeastOnce => QualityOfService::AtLeastOnce,
            Qos::ExactlyOnce => QualityOfService::ExactlyOnce,
        };
        let wrong = |error: &dyn std::fmt::Display| {
            let none = NoConnector::value("address", error, server.address.span.clone());
            none.helped_by(Some(
                "write `mqtt://HOST[:PORT]`, or `mqtts://…` for TLS; who the app is there stands in `username` and \
                 `password`",
            ))
        };
        let subscriber = Subscriber::new(
            (&address, user.expose(), password.expose()),
            server.keep_alive.as_secs(),
            (filter, qos),
            client_id(around),
        );
        let subscriber = subscriber.map_err(|error| wrong(&error))?;
        let destination = subscriber.destination();
        let route = Route::to(destination, "trigger.mqtt", own, around).map_err(|error| wrong(&error))?;
        let listens_to = named("topic", &name, destination, own.is_some());
        Ok(Self {
            subscriber: subscriber.telling(too_long(failures, &listens_to)),
            listens_to,
            route,
            subscription: None,
            last: 0,
        })
    }
}

/// The client identifier of a trigger, and whether a later process has the same.
fn client_id(around: &Surroundings<'_>) -> (String, bool) {
    match &around.brokers.mqtt_client_id {
        Some(own) => (format!("{own}-{}", around.id), true),
        None => {
            let app: String = around.app.chars().take(LONGEST_NAME).collect();
            let own = rand::random::<u64>();
            (format!("outport-{app}-{}-{own:016x}", around.id), false)
        }
    }
}

/// Characters of an app's name in a client identifier.
const LONGEST_NAME: usize = 64;

#[async_trait]
impl Connector for MqttConnector {
    fn listens_to(&self) -> String {
        self.listens_to.clone()
    }

    async fn connect(&mut self) -> Result<(), ConnectorError> {
        self.subscription = None;
        self.subscription = Some(self.subscriber.subscribe(&self.route.dialer).await?);
        Ok(())
    }

    async fn next(&mut self) -> Result<Delivery, ConnectorError> {
        let subscription = self.subscription.as_mut().ok_or_else(not_connected)?;
        let message = subscription.next().await?;
        self.last += 1;
        Ok(Delivery {
            event: Event::Mqtt {
                payload: message.payload.to_vec(),
                topic: message.topic,
            },
            receipt: Receipt(self.last),
            lane: None,
        })
    }

    async fn attend(&mut self) -> ConnectorError {
        match &mut self.subscription {
            Some(subscription) => subscription.attend().await.into(),
            None => not_connected(),
        }
    }

    async fn settle(&mut self, _: Receipt, outcome: Outcome) -> Result<(), ConnectorError> {
        let subscription = self.subscription.as_mut().ok_or_else(not_connected)?;
        match outcome {
            Outcome::Done | Outcome::Leave | Outcome::Failed => Ok(subscription.settle().await?),
            Outcome::NotBegun => Ok(()),
        }
    }

    async fn close(&mut self) {
        if let Some(subscription) = self.subscription.take() {
            subscription.leave().await;
        }
    }
}
