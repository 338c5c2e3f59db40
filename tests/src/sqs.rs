//! A server that has a queue of SQS, as far as who receives from it needs one.

use std::collections::BTreeMap;
use std::io::{self, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::http::{read_head, read_request_body};

/// One queue on 127.0.0.1. What is received is not seen by others for [`VISIBILITY`], and comes again unless it was deleted.
/// A queue by a name that ends in `.fifo` keeps the order of each group. It lives as long as the test.
#[derive(Debug)]
pub struct Queue {
    address: SocketAddr,
    state: Arc<Mutex<State>>,
}

/// A request for a queue.
#[derive(Clone, Debug)]
pub struct Asked {
    /// `ReceiveMessage`
    pub action: String,
    /// The header of that name.
    pub authorization: String,
    /// The header `x-amz-date`.
    pub date: String,
    /// What is asked.
    pub body: Value,
}

#[derive(Debug, Default)]
struct State {
    /// By their numbers.
    messages: BTreeMap<u64, Message>,
    last: u64,
    asked: Vec<Asked>,
}

#[derive(Debug)]
struct Message {
    body: String,
    group: String,
    visible_from: Instant,
    received: u64,
}

/// How long somebody may work on a message.
pub const VISIBILITY: Duration = Duration::from_secs(2);

impl Queue {
    /// An empty queue on a free port.
    ///
    /// # Panics
    ///
    /// If there is none.
    pub fn start() -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a free TCP port");
        let queue = Self {
            address: listener.local_addr().expect("a bound listener has an address"),
            state: Arc::default(),
        };
        let state = Arc::clone(&queue.state);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let state = Arc::clone(&state);
                // Who hangs up gets no answer.
                thread::spawn(move || answer(stream, &state));
            }
        });
        queue
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Puts a message into it, as one of `group`.
    pub fn send(&self, group: &str, body: &str) {
        let mut state = locked(&self.state);
        state.last += 1;
        let message = Message {
            body: body.to_owned(),
            group: group.to_owned(),
            visible_from: Instant::now(),
            received: 0,
        };
        let number = state.last;
        state.messages.insert(number, message);
    }

    /// The texts of what is in it.
    pub fn bodies(&self) -> Vec<String> {
        locked(&self.state)
            .messages
            .values()
            .map(|own| own.body.clone())
            .collect()
    }

    /// Every request so far.
    pub fn asked(&self) -> Vec<Asked> {
        locked(&self.state).asked.clone()
    }
}

fn locked(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

fn answer(stream: TcpStream, state: &Mutex<State>) -> io::Result<()> {
    let mut stream = BufReader::new(stream);
    loop {
        let head = read_head(&mut stream)?;
        let body = read_request_body(&mut stream, &head)?;
        let header = |name| head.value(name).unwrap_or_default().to_owned();
        let asked = Asked {
            action: header("x-amz-target").replace("AmazonSQS.", ""),
            authorization: header("authorization"),
            date: header("x-amz-date"),
            body: serde_json::from_slice(&body)?,
        };
        locked(state).asked.push(asked.clone());
        let answer = deed(&asked, state).to_string();
        let length = answer.len();
        let stream = stream.get_mut();
        write!(
            stream,
            "HTTP/1.1 200 OK\r\nContent-Type: application/x-amz-json-1.0\r\nContent-Length: {length}\r\n\r\n{answer}"
        )?;
    }
}

fn deed(asked: &Asked, state: &Mutex<State>) -> Value {
    let number = |value: &Value| {
        let handle = value["ReceiptHandle"].as_str().unwrap_or_default();
        handle
            .split('-')
            .next()
            .and_then(|number| number.parse::<u64>().ok())
            .unwrap_or_default()
    };
    let change = |entry: &Value| {
        let seconds = entry["VisibilityTimeout"].as_u64().unwrap_or_default();
        if let Some(message) = locked(state).messages.get_mut(&number(entry)) {
            message.visible_from = Instant::now() + Duration::from_secs(seconds);
        }
    };
    match asked.action.as_str() {
        "GetQueueAttributes" => {
            json!({"Attributes": {"VisibilityTimeout": VISIBILITY.as_secs().to_string()}})
        }
        "ReceiveMessage" => {
            let wait = Duration::from_secs(asked.body["WaitTimeSeconds"].as_u64().unwrap_or_default());
            let until = Instant::now() + wait;
            loop {
                let messages = receive(asked, &mut locked(state));
                if !messages.is_empty() || Instant::now() >= until {
                    return json!({"Messages": messages});
                }
                thread::sleep(Duration::from_millis(10));
            }
        }
        "DeleteMessage" => {
            locked(state).messages.remove(&number(&asked.body));
            json!({})
        }
        "ChangeMessageVisibility" => {
            change(&asked.body);
            json!({})
        }
        "ChangeMessageVisibilityBatch" => {
            asked.body["Entries"]
                .as_array()
                .into_iter()
                .flatten()
                .for_each(change);
            json!({"Successful": [], "Failed": []})
        }
        action => json!({"__type": "com.amazonaws.sqs#UnsupportedOperation", "message": action}),
    }
}

fn receive(asked: &Asked, state: &mut State) -> Vec<Value> {
    let most = asked.body["MaxNumberOfMessages"].as_u64().unwrap_or(1);
    let keeps_order = asked.body["QueueUrl"]
        .as_str()
        .is_some_and(|url| url.ends_with(".fifo"));
    let now = Instant::now();
    let mut messages = Vec::new();
    let mut busy: Vec<String> = Vec::new();
    for (number, message) in &mut state.messages {
        let waits = keeps_order && busy.contains(&message.group);
        if message.visible_from > now || waits {
            busy.push(message.group.clone());
            continue;
        }
        if messages.len() as u64 == most {
            break;
        }
        message.visible_from = now + VISIBILITY;
        message.received += 1;
        messages.push(json!({
            "MessageId": format!("id-{number}"),
            "ReceiptHandle": format!("{number}-{}", message.received),
            "Body": message.body,
            "Attributes": {"MessageGroupId": message.group},
            "MessageAttributes": {"colour": {"DataType": "String", "StringValue": "green"}},
        }));
    }
    messages
}
