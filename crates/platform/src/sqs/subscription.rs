//! The messages of a queue that are held, and those that are worked on.

use std::collections::{HashMap, VecDeque};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use outport_egress::Dialer;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep, sleep_until, timeout};

use super::answer::{GROUP, Item, Message, QueueAttributes, Received};
use super::exchange::{Exchange, Failure};
use super::queue::Queue;
use crate::listening::{Lost, NotListening};
use crate::operator_server::NoExchange;

/// A queue that is listened to.
pub struct Subscription {
    queue: Arc<Queue>,
    /// What asks for messages, unless it does right now: a question that nobody waits for any more goes on when somebody
    /// does, since what it receives is not to be lost.
    receiver: Option<Exchange>,
    receiving: Option<Receiving>,
    /// What says what became of them.
    teller: Exchange,
    /// The time that a message may be worked on.
    visibility: Duration,
    /// Received and not handed out.
    held: VecDeque<Item>,
    /// Handed out and not settled.
    current: HashMap<u64, Current>,
    last: u64,
    /// When what is held is to be held for longer.
    due: Instant,
    /// The last answer was longer than any may be, so one message is asked for at a time.
    one_by_one: bool,
}

type Receiving = Pin<Box<dyn Future<Output = (Result<Received, Failure>, Exchange)> + Send>>;

struct Current {
    receipt: Option<String>,
    group: Option<String>,
}

/// What becomes of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Settled {
    /// It is deleted.
    Delete,
    /// It comes again when its time is over.
    Leave,
    /// It was not worked on, and may come again at once.
    GiveBack,
}

/// Why a server was not told what became of a message, which comes once more.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NotSettled {
    /// It does not take it, and others it may.
    #[error("{0}")]
    Refused(String),
    /// It cannot be asked.
    #[error(transparent)]
    Lost(Lost),
}

impl Subscription {
    /// Connects, and asks how long a message may be worked on.
    pub(super) async fn begin(queue: Arc<Queue>, dialer: Dialer) -> Result<Self, NotListening> {
        let mut teller = Exchange::new(Arc::clone(&queue), dialer.clone());
        let wanted = json!({"AttributeNames": ["VisibilityTimeout"]});
        let asked = teller.ask::<QueueAttributes>("GetQueueAttributes", wanted, Duration::ZERO);
        let visibility = match asked.await {
            Ok(attributes) => attributes.visibility_timeout(),
            // Whoever may receive may well not be told this.
            Err(Failure::Refused(why)) if why.contains("AccessDenied") => None,
            Err(error) => return Err(error.into()),
        };
        let visibility = visibility.map_or(DEFAULT_VISIBILITY, |seconds| Duration::from_secs(seconds.into()));
        Ok(Self {
            receiver: Some(Exchange::new(Arc::clone(&queue), dialer)),
            receiving: None,
            queue,
            teller,
            visibility: visibility.min(LONGEST_VISIBILITY),
            held: VecDeque::new(),
            current: HashMap::new(),
            last: 0,
            due: Instant::now(),
            one_by_one: false,
        })
    }

    /// The next message that none of its group is before, and its number. A future that is dropped has lost none.
    ///
    /// # Errors
    ///
    /// The server cannot be reached, or refuses.
    pub async fn next(&mut self) -> Result<(u64, Message), NotListening> {
        loop {
            if let Some(message) = self.take() {
                return Ok(message);
            }
            let due = self.due;
            let is_in_use = !(self.held.is_empty() && self.current.is_empty());
            // What is held is all of groups that wait for what is worked on.
            let receives = self.held.is_empty();
            tokio::select! {
                received = self.receive(), if receives => received?,
                () = sleep_until(due), if is_in_use => self.renew().await,
            }
        }
    }

    /// Keeps what is held from coming again while messages are worked on. It does not end.
    pub async fn attend(&mut self) {
        loop {
            sleep_until(self.due).await;
            self.renew().await;
        }
    }

    /// Says what becomes of the message of that number.
    ///
    /// # Errors
    ///
    /// The server cannot be reached, or refuses. The message comes once more.
    pub async fn settle(&mut self, number: u64, settled: Settled) -> Result<(), NotSettled> {
        let Some(current) = self.current.remove(&number) else {
            return Ok(());
        };
        let asked = match (settled, &current.receipt) {
            (Settled::Leave, _) | (_, None) => Ok(Value::Null),
            (Settled::Delete, Some(receipt)) => {
                let wanted = json!({"ReceiptHandle": receipt});
                self.teller.ask("DeleteMessage", wanted, Duration::ZERO).await
            }
            (Settled::GiveBack, Some(receipt)) => {
                let wanted = json!({"ReceiptHandle": receipt, "VisibilityTimeout": 0});
                self.teller
                    .ask("ChangeMessageVisibility", wanted, Duration::ZERO)
                    .await
            }
        };
        // What is of the group of a message that stays comes once more, behind it.
        if (settled != Settled::Delete || asked.is_err())
            && let Some(group) = &current.group
        {
            self.held.retain(|item| item.group() != Some(group));
        }
        asked.map(drop).map_err(|error| match error {
            Failure::Refused(_) | Failure::NotUnderstood => NotSettled::Refused(error.to_string()),
            error => NotSettled::Lost(Lost(error.to_string())),
        })
    }

    /// Gives back what was not handed out. What is being worked on comes again when its time is over.
    pub async fn leave(mut self) {
        self.current.clear();
        // A server that does not answer is left all the same.
        let _ = timeout(LEAVE_TIME, self.hold_for(Duration::ZERO)).await;
    }

    /// A message that may be worked on.
    fn take(&mut self) -> Option<(u64, Message)> {
        let is_free = |item: &Item| {
            let group = item.group().filter(|_| self.queue.is_fifo());
            group.is_none_or(|group| {
                self.current
                    .values()
                    .all(|own| own.group.as_deref() != Some(group))
            })
        };
        let at = self.held.iter().position(is_free)?;
        let mut item = self.held.remove(at)?;
        let group = item.group().filter(|_| self.queue.is_fifo()).map(str::to_owned);
        let tells_group = asks_for(&self.queue.options.system_attributes, GROUP);
        self.last += 1;
        let receipt = item.receipt_handle.take();
        self.current.insert(self.last, Current { receipt, group });
        Some((self.last, item.message(tells_group)))
    }

    async fn receive(&mut self) -> Result<(), NotListening> {
        if self.receiving.is_none() {
            let Some(receiver) = self.receiver.take() else {
                return Err(NotListening::Failed("the queue was given up".to_owned()));
            };
            self.receiving = Some(self.question(receiver));
        }
        let Some(receiving) = &mut self.receiving else {
            return Ok(());
        };
        let (received, receiver) = receiving.await;
        self.receiving = None;
        self.receiver = Some(receiver);
        let received = match received {
            Err(Failure::Exchange(NoExchange::TooLong(_))) if !self.one_by_one => {
                self.one_by_one = true;
                return Ok(());
            }
            received => received?,
        };
        if self.current.is_empty() {
            self.due = Instant::now() + self.renewal();
        }
        self.one_by_one = false;
        self.held = received.messages.map(|few| few.0).unwrap_or_default().into();
        Ok(())
    }

    /// Asks for messages, and waits for some.
    fn question(&self, mut receiver: Exchange) -> Receiving {
        let options = &self.queue.options;
        let wait = options.idle_wait.clamp(SHORTEST_POLL, LONGEST_POLL);
        let idle = options.idle_wait.max(SHORTEST_POLL);
        let mut systems = options.system_attributes.clone();
        if self.queue.is_fifo() && !asks_for(&systems, GROUP) {
            systems.push(GROUP.to_owned());
        }
        let wanted = json!({
            "MaxNumberOfMessages": if self.one_by_one { 1 } else { options.max_messages.clamp(1, 10) },
            "WaitTimeSeconds": wait.as_secs(),
            "MessageSystemAttributeNames": systems,
            "MessageAttributeNames": options.message_attributes,
        });
        Box::pin(async move {
            let asked = Instant::now();
            let received = receiver.ask::<Received>("ReceiveMessage", wanted, wait).await;
            // Not every server waits as it was asked to.
            if received.as_ref().is_ok_and(Received::is_empty) {
                sleep(idle.saturating_sub(asked.elapsed())).await;
            }
            (received, receiver)
        })
    }

    /// Holds everything for longer. If that fails it may come again, and that is all.
    async fn renew(&mut self) {
        self.due = Instant::now() + self.renewal();
        if let Err(error) = self.hold_for(self.visibility).await {
            tracing::debug!("messages are not held for longer: {error}");
        }
    }

    fn renewal(&self) -> Duration {
        (self.visibility / 3).max(SHORTEST_RENEWAL)
    }

    /// Keeps what is held for so long from now.
    async fn hold_for(&mut self, time: Duration) -> Result<(), Failure> {
        let current = self
            .current
            .values()
            .filter_map(|current| current.receipt.as_deref());
        let held = self.held.iter().filter_map(|item| item.receipt_handle.as_deref());
        let seconds = time.as_secs();
        let entries: Vec<Value> = current
            .chain(held)
            .enumerate()
            .map(|(at, receipt)| {
                json!({"Id": at.to_string(), "ReceiptHandle": receipt, "VisibilityTimeout": seconds})
            })
            .collect();
        for entries in entries.chunks(MOST_IN_A_BATCH) {
            let wanted = json!({"Entries": entries});
            let asked = self
                .teller
                .ask::<Value>("ChangeMessageVisibilityBatch", wanted, Duration::ZERO);
            asked.await?;
        }
        Ok(())
    }
}

/// True if the attribute of that name is among those that were asked for.
fn asks_for(names: &[String], name: &str) -> bool {
    names.iter().any(|own| own == name || own == "All")
}

/// How long taking leave may take.
const LEAVE_TIME: Duration = Duration::from_secs(2);

/// The least and the most that SQS may be asked to wait for a message; not to wait would be to ask without end.
const SHORTEST_POLL: Duration = Duration::from_secs(1);
const LONGEST_POLL: Duration = Duration::from_secs(20);

/// The time that a message may be worked on, where the queue does not say.
const DEFAULT_VISIBILITY: Duration = Duration::from_secs(30);

/// The longest that SQS knows.
const LONGEST_VISIBILITY: Duration = Duration::from_secs(43_200);

/// Nobody is asked more often to hold messages for longer.
const SHORTEST_RENEWAL: Duration = Duration::from_secs(1);

/// Messages of one request.
const MOST_IN_A_BATCH: usize = 10;
