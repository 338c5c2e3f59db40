//! A model server of the test's own, which behaves as it likes.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};

use outport_egress::trace::TraceContext;
use outport_policy::Location;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tracing::Span;

use super::*;

/// What a server does with a request that it has read.
#[derive(Clone)]
enum Deed {
    /// Says this, and waits for the next one.
    Say(String),
    /// Says this, and closes.
    SayAndClose(String),
    /// Says this, and the second text for as long as anybody reads.
    SayWithoutEnd(String, String),
    /// Says nothing, and waits.
    Nothing,
}

/// What a server got and saw so far.
#[derive(Default)]
struct Seen {
    requests: Mutex<Vec<String>>,
    connections: AtomicUsize,
    open: AtomicUsize,
}

impl Seen {
    fn requests(&self) -> Vec<String> {
        self.requests.lock().unwrap().clone()
    }

    fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }
}

async fn serve(deed: impl Fn(usize) -> Deed + Send + Sync + 'static) -> (SocketAddr, Arc<Seen>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (seen, deed) = (Arc::new(Seen::default()), Arc::new(deed));
    let noted = Arc::clone(&seen);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            seen.connections.fetch_add(1, Ordering::SeqCst);
            seen.open.fetch_add(1, Ordering::SeqCst);
            let (seen, deed) = (Arc::clone(&seen), Arc::clone(&deed));
            tokio::spawn(async move {
                answer(stream, &seen, &*deed).await;
                seen.open.fetch_sub(1, Ordering::SeqCst);
            });
        }
    });
    (address, noted)
}

async fn answer(mut stream: TcpStream, seen: &Seen, deed: &(dyn Fn(usize) -> Deed + Send + Sync)) {
    while let Some(request) = read_request(&mut stream).await {
        let number = {
            let mut requests = seen.requests.lock().unwrap();
            requests.push(request);
            requests.len() - 1
        };
        match deed(number) {
            Deed::Say(said) => drop(stream.write_all(said.as_bytes()).await),
            Deed::SayAndClose(said) => {
                let _ = stream.write_all(said.as_bytes()).await;
                return;
            }
            Deed::SayWithoutEnd(said, again) => {
                let _ = stream.write_all(said.as_bytes()).await;
                while stream.write_all(again.as_bytes()).await.is_ok() {}
                return;
            }
            Deed::Nothing => {}
        }
    }
}

async fn read_request(stream: &mut TcpStream) -> Option<String> {
    let mut request = Vec::new();
    loop {
        if stream.read_buf(&mut request).await.ok()? == 0 {
            return None;
        }
        let text = String::from_utf8_lossy(&request);
        let Some((head, body)) = text.split_once("\r\n\r\n") else {
            continue;
        };
        let length = head
            .lines()
            .find_map(|line| line.strip_prefix("content-length: "));
        if body.len() == length.unwrap().parse::<usize>().unwrap() {
            return Some(text.into_owned());
        }
    }
}

/// A whole answer of the server's.
fn ok(body: &str) -> String {
    format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len())
}

fn model(at: SocketAddr, time: Duration) -> ModelServer {
    let egress = Egress::builder().build().unwrap();
    let url = format!("http://{at}/base/");
    let definition = ModelServerDefinition::new(&url, "hunter2", ModelApi::Spin, Location::Code);
    ModelServer::new(&egress, ModelServerDefinition { time, ..definition }).unwrap()
}

fn caller(component: &str) -> Caller {
    Caller {
        trace: Trace::none(),
        component: component.to_owned(),
        account: None,
    }
}

async fn infer(model: &ModelServer, component: &str) -> Result<String, ModelError> {
    let (caller, sampling) = (caller(component), Sampling::default());
    let inferred = model.infer(&caller, ("llama2-chat", "hi"), &sampling).await;
    inferred.map(|inferred| inferred.text)
}

#[tokio::test]
async fn the_server_is_told_of_which_trace_a_call_is_part() {
    let (at, seen) = serve(|_| Deed::Say(ok("{\"text\":\"\"}"))).await;
    let model = model(at, LONG);
    let parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    let brought = TraceContext::parse(parent);
    for (trace, sent) in [
        (Trace::begin(None, brought, Span::none), true),
        (Trace::none(), false),
    ] {
        let caller = Caller {
            trace,
            ..caller("web")
        };
        let sampling = Sampling::default();
        model.infer(&caller, ("m", "hi"), &sampling).await.unwrap();
        let request = seen.requests().pop().unwrap();
        let header = format!("traceparent: {parent}\r\n");
        assert_eq!(request.contains(&header), sent, "{request}");
    }
}

const LONG: Duration = Duration::from_secs(30);

// proves: HI-4
#[tokio::test]
async fn connections_are_kept_for_their_component_and_replaced_when_the_server_closed_them() {
    let (at, seen) = serve(|number| match number {
        // The second request of `a` gets no answer: that is how a connection looks that is closed when it is used again.
        3 => Deed::SayAndClose(String::new()),
        number => Deed::Say(ok(&format!("{{\"text\":\"{number}\"}}"))),
    })
    .await;
    let model = model(at, LONG);
    for (component, text, connections) in [
        ("a", "0", 1),
        ("b", "1", 2),
        ("b", "2", 2),
        ("a", "4", 3),
        ("a", "5", 3),
        ("b", "6", 3),
    ] {
        assert_eq!(infer(&model, component).await.as_deref(), Ok(text));
        assert_eq!(seen.connections(), connections, "{text} of {component}");
    }
    let request = seen.requests().remove(0);
    assert!(request.starts_with("POST /base/infer HTTP/1.1\r\n"), "{request}");
    for header in [
        &format!("host: {at}\r\n"),
        "authorization: Bearer hunter2\r\n",
        "content-type: application/json\r\n",
    ] {
        assert!(request.contains(header), "no {header} in {request}");
    }
    assert!(
        request.contains("\r\n\r\n{\"model\":\"llama2-chat\",\"prompt\":\"hi\","),
        "{request}"
    );
}

#[tokio::test]
async fn embeddings_come_as_they_were_asked_for() {
    let (at, seen) = serve(|_| Deed::Say(ok("{\"embeddings\":[[1],[2,3]]}"))).await;
    let texts = ["a".to_owned(), "b".to_owned()];
    let model = model(at, LONG);
    let embedded = model.embed(&caller("a"), ("m", &texts)).await.unwrap();
    assert_eq!(embedded.embeddings, [vec![1.0], vec![2.0, 3.0]]);
    assert!(seen.requests()[0].starts_with("POST /base/embed "));
}

// proves: HI-1
#[tokio::test]
async fn whatever_a_server_does_the_guest_gets_an_error_in_time_and_never_the_token() {
    let (elsewhere, of_elsewhere) = serve(|_| Deed::Say(ok("{\"text\":\"no\"}"))).await;
    let failure = |status: &str, body: &str| {
        let length = body.len();
        Deed::Say(format!(
            "HTTP/1.1 {status}\r\nContent-Length: {length}\r\n\r\n{body}"
        ))
    };
    let head = |rest: &str| format!("HTTP/1.1 200 OK\r\n{rest}\r\n\r\n");
    let chunked = head("Transfer-Encoding: chunked");
    let long = "x".repeat(100_000);
    let rows = [
        (Deed::Nothing, "it did not answer within 1 s"),
        (
            Deed::Say("HTTP/1.1 200 OK\r\n".into()),
            "it did not answer within 1 s",
        ),
        (
            Deed::Say(head("Content-Length: 50") + "{"),
            "it did not answer within 1 s",
        ),
        (
            Deed::SayWithoutEnd(String::new(), "HTTP/1.1 103 Early Hints\r\n\r\n".into()),
            "it did not answer within 1 s",
        ),
        (
            Deed::SayWithoutEnd(head("Content-Length: 1073741824"), long.clone()),
            "its answer is longer than 16 MiB",
        ),
        (
            Deed::SayWithoutEnd(chunked.clone(), format!("186a0\r\n{long}\r\n")),
            "its answer is longer than 16 MiB",
        ),
        (
            Deed::SayWithoutEnd(String::new(), "X-Head: without an end\r\n".into()),
            "it answered something that is not HTTP",
        ),
        (
            Deed::SayWithoutEnd("HTTP/1.1 200 OK\r\n".into(), format!("X-Head: {long}\r\n")),
            "it answered something that is not HTTP",
        ),
        (
            Deed::Say("220 mail.example ESMTP\r\n\r\n".into()),
            "it answered something that is not HTTP",
        ),
        (
            Deed::SayAndClose(String::new()),
            "it closed the connection without an answer",
        ),
        (
            Deed::SayAndClose(head("Content-Length: 50") + "{"),
            "its answer broke off",
        ),
        (Deed::SayAndClose(chunked + "5\r\n{"), "its answer broke off"),
        (
            Deed::Say(ok("<html>hunter2")),
            "what it answered is not what a model answers, at line 1, column 1",
        ),
        (
            Deed::Say(ok("{\"error\":{\"message\":\"no hunter2 here\"}}")),
            "answered with `200 OK`: no *** here",
        ),
        (
            failure(
                "401 Unauthorized",
                "{\"error\":{\"message\":\"hunter2 is not a key\"}}",
            ),
            "answered with `401 Unauthorized`: *** is not a key",
        ),
        (
            failure("500 Oh", "\x1b[1mhunter2\r\n"),
            "answered with `500 Internal Server Error`: ",
        ),
        (
            Deed::SayWithoutEnd("HTTP/1.1 503 No\r\n\r\n".into(), long.clone()),
            "answered with `503 Service Unavailable`: xxxx",
        ),
        (
            failure(&format!("302 Found\r\nLocation: http://{elsewhere}/infer"), ""),
            "answered with `302 Found`, and where it leads is not followed",
        ),
        (
            failure(
                &format!("307 Temporary Redirect\r\nLocation: http://{elsewhere}/infer"),
                "see",
            ),
            "answered with `307 Temporary Redirect`, and where it leads is not followed: see",
        ),
    ];
    for (deed, expected) in rows {
        let (at, seen) = serve(move |_| deed.clone()).await;
        let start = Instant::now();
        let answered = infer(&model(at, Duration::from_secs(1)), "a").await;
        let Err(ModelError::Failed(why)) = answered else {
            panic!("{expected}: {answered:?}");
        };
        assert!(why.contains(expected), "{why}\n{expected}");
        assert!(!why.contains("hunter2") && !why.contains('\x1b'), "{why}");
        assert!(why.len() < 300, "{why}");
        assert!(start.elapsed() < Duration::from_secs(20), "{expected}");
        assert_eq!(seen.connections(), 1, "{expected}");
    }
    assert_eq!(of_elsewhere.connections(), 0, "nothing is followed");
}

#[tokio::test]
async fn a_server_that_is_not_there_is_an_error_without_its_address() {
    let at = TcpListener::bind("127.0.0.1:0")
        .await
        .unwrap()
        .local_addr()
        .unwrap();
    let answered = infer(&model(at, LONG), "a").await;
    let why = "the model server failed: it cannot be reached: nobody listens there";
    assert_eq!(answered, Err(ModelError::Failed(why.into())));
}

// proves: ISO-1
#[tokio::test]
async fn a_component_has_so_many_calls_at_a_time_and_no_other_one_waits_for_them() {
    let (at, seen) = serve(|number| {
        if number < CALLS_OF_A_COMPONENT {
            Deed::Nothing
        } else {
            Deed::Say(ok("{\"text\":\"hello\"}"))
        }
    })
    .await;
    let model = model(at, Duration::from_secs(20));
    let mut calls = JoinSet::new();
    for _ in 0..CALLS_OF_A_COMPONENT {
        let model = model.clone();
        calls.spawn(async move { infer(&model, "greedy").await });
    }
    while seen.requests().len() < CALLS_OF_A_COMPONENT {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert_eq!(infer(&model, "modest").await.as_deref(), Ok("hello"));
    let mut waiting = {
        let model = model.clone();
        tokio::spawn(async move { infer(&model, "greedy").await })
    };
    let early = tokio::time::timeout(Duration::from_millis(200), &mut waiting).await;
    assert!(early.is_err(), "{early:?}");
    // A guest that ends takes its calls with it, and gives their places back.
    calls.abort_all();
    assert_eq!(waiting.await.unwrap().as_deref(), Ok("hello"));
    while seen.open.load(Ordering::SeqCst) > 2 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[test]
fn a_definition_says_what_is_wrong_with_it_and_nothing_secret() {
    let egress = Egress::builder().build().unwrap();
    let wrong = |url: &str, token: &str| {
        let definition = ModelServerDefinition::new(url, token, ModelApi::Spin, Location::Code);
        let error = ModelServer::new(&egress, definition).err();
        assert!(
            !error
                .as_ref()
                .is_some_and(|error| error.to_string().contains("hunter2"))
        );
        error
    };
    use ServerError::*;
    for (url, token, error) in [
        ("https://models.internal", "hunter2", None),
        ("http://[::1]:8080/v1/", "", None),
        (
            "models.internal",
            "",
            Some(Url(url::ParseError::RelativeUrlWithoutBase)),
        ),
        ("ftp://models.internal", "", Some(Scheme)),
        ("https://hunter2@models.internal", "", Some(UserInfo)),
        ("https://models.internal/?key=hunter2", "", Some(Query)),
        ("https://models.internal/#hunter2", "", Some(Query)),
        ("https://models.internal", "hunter2\r\nx: y", Some(Token)),
        ("https://models.internal", "hunter2\u{e4}", Some(Token)),
    ] {
        assert_eq!(wrong(url, token), error, "{url}");
    }
    assert!(matches!(wrong("http://models.internal:0", ""), Some(Place(_))));
}

#[test]
fn the_paths_of_the_api_are_below_that_of_the_address() {
    use ModelApi::{OpenAi, Spin};
    let egress = Egress::builder().build().unwrap();
    let base_of = |url, api| {
        let definition = ModelServerDefinition::new(url, "", api, Location::Code);
        ModelServer::new(&egress, definition).unwrap().0.base.clone()
    };
    for (url, api, expected) in [
        ("https://a", Spin, ""),
        ("https://a/", Spin, ""),
        ("https://a/b/", Spin, "/b"),
        ("https://a/v1", Spin, "/v1"),
        ("https://a/v1", OpenAi, ""),
        ("https://a/v1/", OpenAi, ""),
        ("https://a/openai/v1", OpenAi, "/openai"),
        ("https://a/openai", OpenAi, "/openai"),
    ] {
        assert_eq!(base_of(url, api), expected, "{url}");
    }
}
