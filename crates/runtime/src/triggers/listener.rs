//! Drives a connector: events go from it to instances of a component, and what became of them goes back.
//!
//! | | |
//! | --- | --- |
//! | order | events of one lane are handled one at a time, as they came |
//! | bound | as many as the [connector](Connector::concurrency) says are under way, those that wait for their lane or for a slot among them; beyond, nothing is asked for |
//! | a connection is lost, or refused | tried again after a wait that grows, and at once when the operator's policy is replaced; said once for each reason, as is that it is there again, by an event or since it holds; what is under way ends first, so that nothing overtakes it |
//! | the app stops | nothing more is asked for; what runs has the server's time of grace, and is settled when it ends; what is cut off or not begun is said, and the connector says good-bye |

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use futures::StreamExt;
use futures::future::BoxFuture;
use futures::stream::FuturesUnordered;
use outport_egress::Replacements;
use tokio::sync::watch;
use tokio::time::{Duration, Instant, sleep, sleep_until, timeout};

use super::connector::{Connector, ConnectorError, Delivery, Outcome, Receipt};
use super::event::Event;
use super::event_component::{EventComponent, EventError};
use super::handler::Handled;
use super::waits::Waits;
use super::workers::Workers;
use crate::http::{Leave, Phase, Router};

/// A trigger that is ready to listen.
pub struct Listener {
    /// The component that gets its events.
    pub component: EventComponent,
    /// Where they come from.
    pub connector: Box<dyn Connector>,
}

/// Where a listener runs.
pub(crate) struct Place {
    pub(crate) router: Arc<Router>,
    pub(crate) workers: Arc<Workers>,
    pub(crate) stopping: watch::Receiver<Phase>,
    /// How long what runs may go on once the server stops.
    pub(crate) grace: Duration,
    /// Held until it is at its end.
    pub(crate) leave: Leave,
    /// Held until no more events are asked for.
    pub(crate) asks: Leave,
}

/// A connector that is driven, whatever its events are handed to.
struct Driver {
    /// The component's name.
    component: String,
    connector: Box<dyn Connector>,
    hand_over: HandOver,
    grace: Duration,
    /// Why there are no events, if there are none: what was told of it.
    outage: Option<Vec<String>>,
    /// What the operator's new list permits is tried at once.
    replacements: Replacements,
    /// Given up once no more events are asked for.
    asks: Option<Leave>,
}

/// Begins to handle an event; the answer says what became of it.
type HandOver = Box<dyn Fn(Event) -> BoxFuture<'static, Outcome> + Send + Sync>;

/// How it ends that a connection is served.
enum End {
    Stopped,
    Lost(ConnectorError),
}

/// An event at its end.
type Ended = (Receipt, Option<Vec<u8>>, Outcome);

impl Listener {
    /// Listens until the server stops.
    pub(crate) async fn run(self, place: Place) {
        let Self { component, connector } = self;
        let Place {
            router,
            workers,
            stopping,
            grace,
            leave,
            asks,
        } = place;
        let (handler, stop) = (component.clone(), stopping.clone());
        let driver = Driver {
            component: component.guest().name().to_owned(),
            connector,
            hand_over: Box::new(move |event| {
                let (router, handler, stop) = (Arc::clone(&router), handler.clone(), stop.clone());
                // On one thread after the other, whichever it is that the connector is on.
                let counted = handler.clone();
                let run = workers.spawn(async move { hand_over(&router, &handler, event, stop).await });
                Box::pin(async move {
                    let outcome = match run {
                        // The thread is at its end, and the instance with it.
                        Some(run) => run.await.unwrap_or(Outcome::Failed),
                        None => Outcome::NotBegun,
                    };
                    counted.count(outcome);
                    outcome
                })
            }),
            grace,
            outage: None,
            replacements: component.guest().egress().replacements(),
            asks: Some(asks),
        };
        driver.drive(stopping).await;
        component.sum_up();
        drop(leave);
    }
}

impl Driver {
    /// Connects, hands over what comes, and connects again, until the server stops.
    async fn drive(mut self, mut stopping: watch::Receiver<Phase>) {
        let mut waits = Waits::default();
        loop {
            self.replacements.see();
            let connected = tokio::select! {
                biased;
                () = stopped(&mut stopping) => break,
                connected = self.connector.connect() => connected,
            };
            let since = Instant::now();
            let error = match connected {
                Err(error) => error,
                Ok(()) => {
                    if self.outage.is_none() {
                        let (component, source) = (&self.component, self.connector.listens_to());
                        tracing::info!("component `{component}` listens to {source}");
                    }
                    match self.serve(&mut stopping).await {
                        End::Stopped => break,
                        End::Lost(error) => error,
                    }
                }
            };
            self.say_lost(&error);
            let wait = waits.next(since.elapsed(), error.again, rand::random());
            tokio::select! {
                biased;
                () = stopped(&mut stopping) => break,
                () = sleep(wait) => {}
                () = self.replacements.next() => waits = Waits::default(),
            }
        }
        self.asks = None;
        // A server that does not answer is left all the same.
        let _ = timeout(CLOSE_TIME, self.connector.close()).await;
    }

    /// Tells why there are no events, unless that was told since there last were some.
    fn say_lost(&mut self, error: &ConnectorError) {
        let told = self.outage.get_or_insert_default();
        if told.len() == MOST_REASONS || told.contains(&error.message) {
            return;
        }
        told.push(error.message.clone());
        let (component, source) = (&self.component, self.connector.listens_to());
        tracing::warn!(
            outport.component = component.as_str(),
            "component `{component}` gets no events from {source}: {error}; trying again until it does"
        );
    }

    /// Tells that there are events again, if there were none.
    fn say_found(&mut self) {
        if self.outage.take().is_some() {
            let (component, source) = (&self.component, self.connector.listens_to());
            tracing::warn!(
                outport.component = component.as_str(),
                "component `{component}` gets events from {source} again"
            );
        }
    }

    /// Tells what became of events when the server stopped, if they were not handled.
    fn say_unhandled(&self, cut_off: usize, not_begun: usize) {
        let (component, source) = (&self.component, self.connector.listens_to());
        let events = |number| if number == 1 { "event" } else { "events" };
        if cut_off > 0 {
            tracing::warn!(
                outport.component = component.as_str(),
                "component `{component}`: {cut_off} {} from {source} had not ended after {:?}, and {} cut off",
                events(cut_off),
                self.grace,
                if cut_off == 1 { "was" } else { "were" }
            );
        }
        if not_begun > 0 {
            tracing::warn!(
                outport.component = component.as_str(),
                "component `{component}`: {not_begun} {} from {source} {} not begun",
                events(not_begun),
                if not_begun == 1 { "was" } else { "were" }
            );
        }
    }

    /// Hands over what comes by one connection, until that is lost or the server stops and all that began has ended.
    async fn serve(&mut self, stopping: &mut watch::Receiver<Phase>) -> End {
        let most = self.connector.concurrency().max(1);
        let mut running = FuturesUnordered::new();
        let mut lanes = Lanes::default();
        let mut end = None;
        // The server stops: when what runs is cut off.
        let mut due = None;
        let mut not_begun = 0;
        let holds = Instant::now() + HOLDS;
        loop {
            let under_way = running.len() + lanes.waiting();
            let is_cut_off = due.is_some_and(|due| Instant::now() >= due);
            if (running.is_empty() || is_cut_off)
                && let Some(end) = end
            {
                if due.is_some() {
                    self.say_unhandled(running.len(), not_begun + lanes.waiting());
                }
                let _ = timeout(CLOSE_TIME, self.leave_waiting(&mut lanes)).await;
                return end;
            }
            let takes = end.is_none() && under_way < most;
            tokio::select! {
                biased;
                () = stopped(stopping), if due.is_none() => {
                    self.asks = None;
                    let now = Instant::now();
                    due = Some(now.checked_add(self.grace).unwrap_or(now + FOREVER));
                    end.get_or_insert(End::Stopped);
                }
                Some((receipt, lane, outcome)) = running.next() => {
                    not_begun += usize::from(outcome == Outcome::NotBegun);
                    let settled = self.connector.settle(receipt, outcome).await;
                    if let (Err(error), None | Some(End::Stopped)) = (settled, &end) {
                        end = Some(End::Lost(error));
                    }
                    // What waits once there is an end, is given back.
                    if end.is_none()
                        && let Some(next) = lanes.leave(lane)
                    {
                        running.push(self.start(next));
                    }
                }
                () = sleep_until(due.unwrap_or(holds)), if due.is_some() => {}
                () = sleep_until(holds), if end.is_none() && self.outage.is_some() => self.say_found(),
                came = take(&mut *self.connector, takes), if !matches!(end, Some(End::Lost(_))) => match came {
                    Ok(delivery) => {
                        self.say_found();
                        if let Some(delivery) = lanes.enter(delivery) {
                            running.push(self.start(delivery));
                        }
                    }
                    // What the server has is of no interest any more, once everything that began has ended.
                    Err(error) => end = Some(End::Lost(error)),
                },
            }
        }
    }

    /// Begins to handle an event.
    fn start(&self, delivery: Delivery) -> BoxFuture<'static, Ended> {
        let Delivery { event, receipt, lane } = delivery;
        let run = (self.hand_over)(event);
        Box::pin(async move { (receipt, lane, run.await) })
    }

    /// Gives back what waited for others of its lane.
    async fn leave_waiting(&mut self, lanes: &mut Lanes) {
        for receipt in lanes.drain() {
            // Its connection may be gone.
            let _ = self.connector.settle(receipt, Outcome::NotBegun).await;
        }
    }
}

/// Waits until the server stops.
async fn stopped(stopping: &mut watch::Receiver<Phase>) {
    // The sender is only gone when nobody waits for a graceful end.
    let _ = stopping.wait_for(|phase| *phase == Phase::Stopping).await;
}

/// The next event where there is room for one, and else nothing, for as long as the connection is there.
async fn take(connector: &mut dyn Connector, takes: bool) -> Result<Delivery, ConnectorError> {
    if takes {
        connector.next().await
    } else {
        Err(connector.attend().await)
    }
}

/// Has an instance handle an event, as soon as there are a slot and memory for one.
async fn hand_over(
    router: &Router,
    component: &EventComponent,
    event: Event,
    mut stopping: watch::Receiver<Phase>,
) -> Outcome {
    let begin = async {
        loop {
            let slot = router.event_slot(component).await;
            match component.admit() {
                Ok(account) => return (slot, account),
                Err(none) => component.log(&none),
            }
            drop(slot);
            sleep(NO_MEMORY).await;
        }
    };
    let (slot, account) = tokio::select! {
        biased;
        () = stopped(&mut stopping) => return Outcome::NotBegun,
        begun = begin => begun,
    };
    match component.handle(event, account, slot).await {
        Ok(handled) => handled.into(),
        Err(error) => {
            component.log(&error);
            Outcome::Failed
        }
    }
}

impl From<Handled> for Outcome {
    fn from(handled: Handled) -> Self {
        match handled {
            Handled::Done => Self::Done,
            Handled::Leave => Self::Leave,
        }
    }
}

impl Router {
    /// Has an instance of one of the [components](Router::with_event_components) handle an event, at once.
    ///
    /// # Errors
    ///
    /// When it was not handled, for whatever reason.
    pub async fn hand_over(&self, component: &EventComponent, event: Event) -> Result<Handled, EventError> {
        let slot = self.event_slot(component).await;
        let handled = match component.admit() {
            Ok(account) => component.handle(event, account, slot).await,
            Err(none) => Err(none),
        };
        component.count(match &handled {
            Ok(handled) => (*handled).into(),
            Err(_) => Outcome::Failed,
        });
        handled
    }
}

/// The lanes in which an event is under way, each with what waits for it.
#[derive(Default)]
struct Lanes(HashMap<Vec<u8>, VecDeque<Delivery>>);

impl Lanes {
    /// An event comes: it is to be started, or waits.
    fn enter(&mut self, delivery: Delivery) -> Option<Delivery> {
        let Some(lane) = &delivery.lane else {
            return Some(delivery);
        };
        match self.0.get_mut(lane) {
            None => {
                self.0.insert(lane.clone(), VecDeque::new());
                Some(delivery)
            }
            Some(waiting) => {
                waiting.push_back(delivery);
                None
            }
        }
    }

    /// An event of that lane has ended: the next one is to be started.
    fn leave(&mut self, lane: Option<Vec<u8>>) -> Option<Delivery> {
        let lane = lane?;
        let next = self.0.get_mut(&lane)?.pop_front();
        if next.is_none() {
            self.0.remove(&lane);
        }
        next
    }

    fn waiting(&self) -> usize {
        self.0.values().map(VecDeque::len).sum()
    }

    /// Those that wait.
    fn drain(&mut self) -> Vec<Receipt> {
        let waiting = self.0.drain().flat_map(|(_, waiting)| waiting);
        waiting.map(|delivery| delivery.receipt).collect()
    }
}

/// How long a server may take to hear that nobody listens any more.
pub(crate) const CLOSE_TIME: Duration = Duration::from_secs(3);

/// A connection that was lost is there again once it holds so long, even if no event came.
const HOLDS: Duration = Duration::from_secs(5);

/// Longer than anybody waits.
const FOREVER: Duration = Duration::from_secs(60 * 60 * 24 * 365);

/// Reasons that are told while there are no events.
const MOST_REASONS: usize = 8;

/// The time after which memory for an instance is looked for again.
const NO_MEMORY: Duration = Duration::from_millis(200);

#[cfg(test)]
mod tests;
