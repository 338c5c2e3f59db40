//! `[[trigger.redis]]`: what is published on a channel of a Redis server.
//!
//! A connection for each trigger, so that a component that is slow holds up nobody else's channel. Redis keeps nothing for
//! who is not there, and there is nothing to acknowledge: an event is handed over once, or never.

use std::sync::Arc;

use async_trait::async_trait;
use outport_manifest::RedisChannel;
use outport_platform::redis::{Subscriber, Subscription};

use super::brokers::{Route, Surroundings, filled, named, not_connected, too_long};
use super::connector::{Connector, ConnectorError, Delivery, Outcome, Receipt};
use super::connectors::NoConnector;
use super::event::Event;
use crate::failure_log::FailureLog;

pub(super) struct RedisConnector {
    subscriber: Subscriber,
    route: Route,
    listens_to: String,
    subscription: Option<Subscription>,
    last: u64,
}

impl RedisConnector {
    pub(super) fn new(
        channel: &RedisChannel,
        failures: &Arc<FailureLog>,
        around: &Surroundings<'_>,
    ) -> Result<Self, NoConnector> {
        let name = filled(&channel.channel, around.variables)?;
        let own = around.brokers.redis.as_ref();
        let address = match own {
            Some(own) => own.url.expose().to_owned(),
            None => filled(&channel.address, around.variables)?.expose().to_owned(),
        };
        let wrong = |error: &dyn std::fmt::Display| {
            let none = NoConnector::value("address", error, channel.address.span.clone());
            none.helped_by(Some(
                "write `redis://[USER:PASSWORD@]HOST[:PORT]`, or `rediss://…` for TLS",
            ))
        };
        let subscriber = Subscriber::new(&address, name.expose()).map_err(|error| wrong(&error))?;
        let destination = subscriber.destination();
        let route = Route::to(destination, "trigger.redis", own, around).map_err(|error| wrong(&error))?;
        let listens_to = named("channel", &name, destination, own.is_some());
        Ok(Self {
            subscriber: subscriber.telling(too_long(failures, &listens_to)),
            listens_to,
            route,
            subscription: None,
            last: 0,
        })
    }
}

#[async_trait]
impl Connector for RedisConnector {
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
        let payload = subscription.next().await?.to_vec();
        self.last += 1;
        Ok(Delivery {
            event: Event::Redis { payload },
            receipt: Receipt(self.last),
            lane: None,
        })
    }

    async fn settle(&mut self, _: Receipt, _: Outcome) -> Result<(), ConnectorError> {
        Ok(())
    }

    async fn close(&mut self) {
        if let Some(subscription) = self.subscription.take() {
            subscription.leave().await;
        }
    }
}
