//! What the host's own code may do when it is called in the midst of a decision: nothing that it does hangs.

use std::net::TcpListener;
use std::sync::{Arc, Mutex, OnceLock, mpsc};
use std::time::Duration;

use futures::FutureExt;
use outport_policy::{Operator, Remedy, RemedyWords, Scheme};
use tokio::io::AsyncReadExt;

use crate::audit::{AuditEvent, AuditSink, Verdict};
use crate::ctx::GateCtx;
use crate::dial::{Destination, DialError, HostConnection};
use crate::egress::Egress;
use crate::testing::{Script, World, allow, deny};

/// A sink that does something with the egress once, at the first denial of a port.
struct Acts {
    port: u16,
    act: Mutex<Option<Act>>,
}

type Act = Box<dyn FnOnce() + Send>;

impl AuditSink for Acts {
    fn wants(&self, verdict: Verdict) -> bool {
        verdict == Verdict::Deny
    }

    fn record(&self, event: &AuditEvent) {
        let of_port = event.destination.ends_with(&format!(":{}", self.port));
        let act = of_port.then(|| self.act.lock().unwrap().take()).flatten();
        if let Some(act) = act {
            act();
        }
    }
}

impl Acts {
    fn at(port: u16) -> Arc<Self> {
        let act = Mutex::new(None);
        Arc::new(Self { port, act })
    }

    fn then(&self, act: impl FnOnce() + Send + 'static) {
        *self.act.lock().unwrap() = Some(Box::new(act));
    }
}

/// Runs it on a thread of its own, and fails where it does not come to an end.
fn ends(test: impl AsyncFnOnce() + Send + 'static) {
    let (over, ended) = mpsc::channel();
    let thread = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(test());
        drop(over);
    });
    let ended = ended.recv_timeout(Duration::from_secs(60));
    assert_eq!(
        ended,
        Err::<(), _>(mpsc::RecvTimeoutError::Disconnected),
        "it hangs"
    );
    thread.join().unwrap();
}

fn listener() -> (TcpListener, u16) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    (listener, port)
}

async fn connect(instance: &GateCtx, port: u16) -> Result<HostConnection, DialError> {
    let there = Destination::new(Scheme::parse("redis").unwrap(), "127.0.0.1", port).unwrap();
    instance.dialer().connect(&there).await
}

fn denying(egress: &Egress, port: u16) -> Operator {
    Operator {
        deny: deny(&[&format!("*://127.0.0.1:{port}")]),
        ..(*egress.operator()).clone()
    }
}

/// A port that no list has.
const NOT_LISTED: u16 = 1025;

// proves: DL-9
#[test]
fn a_sink_may_replace_the_policy_and_what_that_forbids_is_closed() {
    ends(async || {
        let (_listener, port) = listener();
        let acts = Acts::at(NOT_LISTED);
        let egress = Egress::builder().sink(acts.clone()).build().unwrap();
        let gate = egress.gate("shop", allow(&[&format!("redis://127.0.0.1:{port}")]));
        let (own, other) = (gate.open(), gate.open());
        let mut open = [
            connect(&own, port).await.unwrap(),
            connect(&other, port).await.unwrap(),
        ];
        let acting = egress.clone();
        acts.then(move || acting.replace_operator(denying(&acting, port)));
        assert!(connect(&own, NOT_LISTED).await.is_err());
        for connection in &mut open {
            assert_eq!(connection.read(&mut [0; 8]).await.unwrap(), 0, "it is closed");
        }
        for instance in [&own, &other] {
            assert!(
                connect(instance, port)
                    .await
                    .is_err_and(|error| error.is_refused())
            );
        }
        assert_eq!(egress.metrics().denied["deny.host"], 2);
    });
}

// proves: ORD-4
#[test]
fn what_a_sink_attempts_is_refused_and_hangs_nobody() {
    ends(async || {
        let (_listener, port) = listener();
        let acts = Acts::at(NOT_LISTED);
        let egress = Egress::builder().sink(acts.clone()).build().unwrap();
        let gate = egress.gate("shop", allow(&[&format!("redis://127.0.0.1:{port}")]));
        let own = Arc::new(gate.open());
        let (asked, other) = (own.clone(), gate.open());
        let answers = Arc::new(Mutex::new(Vec::new()));
        let told = answers.clone();
        acts.then(move || {
            for instance in [&*asked, &other] {
                let answer = connect(instance, port).now_or_never();
                let refused = answer.is_some_and(|answer| answer.is_err_and(|error| error.is_refused()));
                told.lock().unwrap().push(refused);
            }
        });
        assert!(connect(&own, NOT_LISTED).await.is_err());
        assert_eq!(*answers.lock().unwrap(), [true, true]);
        assert!(connect(&own, port).await.is_ok(), "afterwards all is as it was");
    });
}

/// Words that replace the policy when they are asked for.
struct Words(Arc<OnceLock<Egress>>, u16);

impl RemedyWords for Words {
    fn sentence(&self, _remedy: &Remedy) -> Option<String> {
        let egress = self.0.get()?;
        egress.replace_operator(denying(egress, self.1));
        None
    }
}

// proves: DL-9
#[test]
fn words_may_replace_the_policy_too() {
    ends(async || {
        let (_listener, port) = listener();
        let acting = Arc::new(OnceLock::new());
        let world = World::new(Script::new());
        let egress = Egress::builder()
            .sink(world.events.clone())
            .remedies(Words(acting.clone(), port));
        let egress = egress.build().unwrap();
        let own = egress
            .gate("shop", allow(&[&format!("redis://127.0.0.1:{port}")]))
            .open();
        let mut open = connect(&own, port).await.unwrap();
        let _ = acting.set(egress.clone());
        assert!(connect(&own, NOT_LISTED).await.is_err());
        assert_eq!(open.read(&mut [0; 8]).await.unwrap(), 0, "it is closed");
    });
}

// proves: ORD-4, DL-9
#[test]
fn an_instance_whose_sink_panicked_is_refused_everything_and_loses_what_a_new_list_finds_open() {
    ends(async || {
        let (_listener, port) = listener();
        let acts = Acts::at(NOT_LISTED);
        let egress = Egress::builder().sink(acts.clone()).build().unwrap();
        let gate = egress.gate("shop", allow(&[&format!("redis://127.0.0.1:{port}")]));
        let (own, other) = (gate.open(), gate.open());
        let mut open = connect(&own, port).await.unwrap();
        acts.then(|| panic!("on purpose"));
        let attempt = std::panic::AssertUnwindSafe(connect(&own, NOT_LISTED));
        assert!(attempt.catch_unwind().await.is_err());
        assert!(connect(&own, port).await.is_err_and(|error| error.is_refused()));
        let unharmed = connect(&other, port).await.unwrap();
        egress.replace_operator(Operator::default());
        assert_eq!(
            open.read(&mut [0; 8]).await.unwrap(),
            0,
            "nobody can say that it is permitted"
        );
        assert!(unharmed.handle().is_open());
    });
}
