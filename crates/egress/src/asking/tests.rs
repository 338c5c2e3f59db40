use std::future::poll_fn;
use std::sync::Mutex;

use outport_policy::Usage;
use tokio::sync::oneshot;

use super::*;
use crate::egress::Egress;
use crate::lookup::{Lookup, LookupError};
use crate::sockets::{Family, TcpSocket, UdpSocket};
use crate::testing::{Script, World, allow, answer, instance};

/// Somebody who answers by script, in turn, and then says no. What was asked is noted.
#[derive(Default)]
struct Author {
    replies: Mutex<Vec<Reply>>,
    asked: Mutex<Vec<String>>,
    /// The next question waits for this.
    held: Mutex<Option<oneshot::Receiver<()>>>,
}

impl Author {
    fn who_says(replies: &[Reply]) -> Arc<Self> {
        Arc::new(Self {
            replies: Mutex::new(replies.to_vec()),
            ..Self::default()
        })
    }

    fn asked(&self) -> Vec<String> {
        std::mem::take(&mut self.asked.lock().unwrap())
    }
}

impl Questioner for Author {
    fn ask(&self, question: Question) -> PendingReply {
        let addition = match &question.addition {
            Addition::Entry(entry) => entry.text().to_owned(),
            Addition::Lookup(lookup) => format!("look-up of {}", lookup.name()),
        };
        self.asked.lock().unwrap().push(format!(
            "{} {} in {}: {addition}",
            question.attempt, question.destination, question.list
        ));
        let mut replies = self.replies.lock().unwrap();
        let reply = if replies.is_empty() {
            Reply::No
        } else {
            replies.remove(0)
        };
        let held = self.held.lock().unwrap().take();
        Box::pin(async move {
            if let Some(held) = held {
                held.await.ok();
            }
            reply
        })
    }

    fn location(&self) -> Location {
        Location::Option { name: "--ask".into() }
    }
}

fn egress(world: &World, author: &Arc<Author>) -> Egress {
    let egress = Egress::builder()
        .operator(world.operator.clone())
        .resolver(world.script.clone())
        .sink(world.events.clone())
        .questioner(author.clone());
    egress.build().unwrap()
}

async fn connected(enforcer: &Arc<Enforcer>, remote: &str) -> bool {
    let remote = remote.parse().unwrap();
    let attempt = Attempt::Connect {
        transport: Transport::Tcp,
        remote: Endpoint::from(remote),
    };
    let pass = enforcer.ask_first(&attempt).await;
    pass.with(|| enforcer.authorize_connect(Transport::Tcp, remote))
        .is_ok()
}

async fn looked_up(enforcer: &Arc<Enforcer>, name: &str) -> Result<usize, LookupError> {
    let question = Lookup::question(enforcer, name);
    let answer = match question {
        Some(question) => Lookup::once_asked(enforcer.clone(), name.to_owned(), question).await,
        None => match Lookup::start(enforcer, name)? {
            Lookup::Known(addresses) => Ok(addresses),
            Lookup::Pending(pending) => pending.answer().await,
        },
    };
    answer.map(|addresses| addresses.len())
}

// proves: RSN-5
#[tokio::test]
async fn what_was_agreed_to_for_the_run_holds_for_every_instance_and_for_nothing_wider() {
    let world = World::new(Script::new());
    let author = Author::who_says(&[Reply::Run]);
    let egress = egress(&world, &author);
    let gate = egress.gate("web", allow(&[]));
    let [one, other] = [gate.open().enforcer.clone(), gate.open().enforcer.clone()];
    assert!(connected(&one, "10.0.0.1:80").await);
    assert_eq!(
        author.asked(),
        ["tcp.connect 10.0.0.1:80 in web: *://10.0.0.1:80"]
    );
    assert_eq!(
        world.events.drain()[0].rule.as_deref(),
        Some("*://10.0.0.1:80 (--ask)")
    );
    // Instances that were there before, and such as come later.
    assert!(connected(&other, "10.0.0.1:80").await);
    assert!(connected(&gate.open().enforcer.clone(), "10.0.0.1:80").await);
    assert!(author.asked().is_empty());
    // Nothing wider, and another component has its own list.
    for remote in ["10.0.0.1:81", "10.0.0.2:80"] {
        assert!(!connected(&one, remote).await, "{remote}");
    }
    assert!(!connected(&instance(&egress, &[]), "10.0.0.1:80").await);
    assert_eq!(author.asked().len(), 3);
}

#[tokio::test]
async fn once_is_this_very_attempt_alone() {
    let world = World::new(Script::new());
    let author = Author::who_says(&[Reply::Once]);
    let enforcer = instance(&egress(&world, &author), &["*://10.0.0.9:1"]);
    assert!(connected(&enforcer, "10.0.0.1:80").await);
    let events = world.events.drain();
    assert_eq!(events[0].rule.as_deref(), Some("*://10.0.0.1:80 (--ask)"));
    // Neither the next one, which is asked about again, nor one that asks nobody.
    let remote = "10.0.0.1:80".parse().unwrap();
    assert!(enforcer.authorize_connect(Transport::Tcp, remote).is_err());
    assert!(!connected(&enforcer, "10.0.0.1:80").await);
    assert_eq!(author.asked().len(), 2);
}

// proves: ORD-1
#[tokio::test]
async fn what_another_layer_refuses_is_never_asked_about() {
    let world = World::new(Script::new()).deny(&["*://10.0.0.1:*"]);
    let author = Author::who_says(&[Reply::Run; 9]);
    let egress = egress(&world, &author);
    let enforcer = instance(&egress, &[]);
    for remote in [
        "10.0.0.1:80",
        "127.0.0.1:22",
        "169.254.169.254:80",
        "224.0.0.1:80",
        "0.0.0.0:80",
    ] {
        assert!(!connected(&enforcer, remote).await, "{remote}");
    }
    // Nor is what the author has listed.
    assert!(connected(&instance(&egress, &["*://10.0.0.2:80"]), "10.0.0.2:80").await);
    assert!(author.asked().is_empty());
    // What is denied after it was agreed to is denied.
    assert!(connected(&enforcer, "10.0.0.3:80").await);
    let mut operator = world.operator.clone();
    operator.deny = crate::testing::deny(&["*://10.0.0.3:*"]);
    egress.replace_operator(operator);
    assert!(!connected(&enforcer, "10.0.0.3:80").await);
}

// proves: DNS-1, DNS-3
#[tokio::test]
async fn a_lookup_is_asked_about_before_a_query_leaves_and_its_addresses_once_there_is_a_port() {
    let world = World::new(Script::new().then("db.example", answer(&["10.0.0.1"])));
    let author = Author::who_says(&[Reply::No, Reply::Once, Reply::No, Reply::Run]);
    let enforcer = instance(&egress(&world, &author), &[]);
    assert_eq!(looked_up(&enforcer, "db.example").await, Err(LookupError::Denied));
    assert!(world.script.questions().is_empty(), "no query leaves");
    assert_eq!(looked_up(&enforcer, "db.example").await, Ok(1));
    assert_eq!(
        author.asked(),
        ["dns.lookup db.example in web: look-up of db.example"; 2]
    );
    // The grant opens nothing by itself.
    assert!(!connected(&enforcer, "10.0.0.1:5432").await);
    assert!(connected(&enforcer, "10.0.0.1:5432").await);
    assert_eq!(
        author.asked(),
        ["tcp.connect 10.0.0.1:5432 in web: *://db.example:5432"; 2]
    );
    assert!(!connected(&enforcer, "10.0.0.1:5433").await);
    assert_eq!(
        author.asked(),
        ["tcp.connect 10.0.0.1:5433 in web: *://db.example:5433"]
    );
    // The entry is for the look-up as well.
    assert_eq!(looked_up(&enforcer, "db.example").await, Ok(1));
    assert!(author.asked().is_empty());
}

// proves: DNS-3
#[tokio::test]
async fn a_name_may_be_looked_up_for_the_run_without_being_connected_to() {
    let world = World::new(Script::new().then("db.example", answer(&["10.0.0.1"])));
    let author = Author::who_says(&[Reply::Run]);
    let enforcer = instance(&egress(&world, &author), &[]);
    for _ in 0..2 {
        assert_eq!(looked_up(&enforcer, "db.example").await, Ok(1));
    }
    let events = world.events.drain();
    let rule = "look-up of db.example alone (--ask)";
    assert!(
        events.iter().all(|event| event.rule.as_deref() == Some(rule)),
        "{events:?}"
    );
    assert_eq!(author.asked().len(), 1);
    assert!(!connected(&enforcer, "10.0.0.1:5432").await);
}

#[tokio::test]
async fn a_part_needs_both_lists_and_each_is_asked_about() {
    let world = World::new(Script::new());
    let author = Author::who_says(&[Reply::Once, Reply::Run, Reply::Once, Reply::No]);
    let gate = egress(&world, &author).gate("web", allow(&[]));
    let whole = gate.open();
    let part = gate.part("dep", allow(&[])).open(&whole).enforcer.clone();
    assert!(connected(&part, "10.0.0.1:80").await);
    let both = [
        "tcp.connect 10.0.0.1:80 in web/dep: *://10.0.0.1:80",
        "tcp.connect 10.0.0.1:80 in web: *://10.0.0.1:80",
    ];
    assert_eq!(author.asked(), both);
    // That of the component stays.
    assert!(connected(&part, "10.0.0.1:80").await);
    assert_eq!(author.asked(), both[..1]);
    assert!(connected(&whole.enforcer, "10.0.0.1:80").await);
    // A no to one of two is a no.
    author
        .replies
        .lock()
        .unwrap()
        .clone_from(&vec![Reply::Once, Reply::No]);
    assert!(!connected(&part, "10.0.0.2:80").await);
    assert_eq!(author.asked().len(), 2);
}

#[tokio::test]
async fn a_socket_connects_while_a_question_stands_and_fails_with_its_own_error() {
    let world = World::new(Script::new());
    let author = Author::who_says(&[Reply::No]);
    let enforcer = instance(&egress(&world, &author), &[]);
    let (release, held) = oneshot::channel();
    *author.held.lock().unwrap() = Some(held);
    let mut socket = TcpSocket::create(&enforcer, Family::V4).unwrap();
    socket.start_connect("10.0.0.1:80".parse().unwrap()).unwrap();
    let poll =
        |socket: &mut TcpSocket| socket.poll_connect(&mut Context::from_waker(std::task::Waker::noop()));
    assert!(poll(&mut socket).is_pending());
    assert!(poll(&mut socket).is_pending());
    assert_eq!(
        author.asked().len(),
        1,
        "asked once, however often it is looked at"
    );
    assert!(
        world.events.take().iter().all(|event| !event.contains("connect")),
        "nothing is judged meanwhile"
    );
    release.send(()).unwrap();
    let error = poll_fn(|cx| socket.poll_connect(cx)).await.unwrap_err();
    assert_eq!(format!("{error:?}"), "AccessDenied");
    assert_eq!(world.events.take(), ["tcp.connect 10.0.0.1:80 [allow.none]"]);
}

#[tokio::test]
async fn a_question_of_a_socket_that_is_dropped_is_withdrawn() {
    let world = World::new(Script::new());
    let author = Author::who_says(&[]);
    let enforcer = instance(&egress(&world, &author), &[]);
    let (release, held) = oneshot::channel();
    *author.held.lock().unwrap() = Some(held);
    let mut socket = TcpSocket::create(&enforcer, Family::V4).unwrap();
    socket.start_connect("10.0.0.1:80".parse().unwrap()).unwrap();
    assert!(
        socket
            .poll_connect(&mut Context::from_waker(std::task::Waker::noop()))
            .is_pending()
    );
    drop(socket);
    assert!(release.is_closed());
}

#[tokio::test]
async fn datagrams_are_permitted_for_the_run_and_never_once() {
    let world = World::new(Script::new());
    let author = Author::who_says(&[Reply::Once, Reply::Run]);
    let enforcer = instance(&egress(&world, &author), &[]);
    let receiver = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let remote = receiver.local_addr().unwrap();
    let socket = UdpSocket::create(&enforcer, Family::V4).unwrap();
    let refused = socket.send(b"a".to_vec(), Some(remote)).await.unwrap_err();
    assert_eq!(format!("{refused:?}"), "AccessDenied");
    for _ in 0..2 {
        socket.send(b"b".to_vec(), Some(remote)).await.unwrap();
    }
    let asked = format!("udp.send {remote} in web: udp://{remote}");
    assert_eq!(author.asked(), [asked.clone(), asked]);
    // And so are its answers (HL-4).
    let mut data = [0; 9];
    let (_, from) = receiver.recv_from(&mut data).unwrap();
    receiver.send_to(b"c", from).unwrap();
    assert_eq!(socket.receive().await.unwrap().0, b"c");
}

#[tokio::test]
async fn nobody_is_asked_where_there_is_nobody_and_a_full_quota_is_none_of_the_authors() {
    let mut world = World::new(Script::new());
    let attempt = Attempt::Connect {
        transport: Transport::Tcp,
        remote: Endpoint::from("10.0.0.1:80".parse::<std::net::SocketAddr>().unwrap()),
    };
    assert!(world.instance(&[]).question(&attempt).is_none());
    world.operator.quotas.lookups_in_flight = 0;
    let author = Author::who_says(&[Reply::Run]);
    let enforcer = instance(&egress(&world, &author), &[]);
    assert!(Lookup::question(&enforcer, "db.example").is_none());
    assert_eq!(
        enforcer.usage().lookups_of_instance,
        Usage::default().lookups_of_instance
    );
}
