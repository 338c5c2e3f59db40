//! A script guest for `wasi:tls`: the body of a request brings statements, a line each, its answer the results
//! (`1 tls2.secure localhost => ok`). As a dependency it exports `outport:callee/interpreter`.
//!
//! A statement is `INTERFACE.VERB WORDS`; `tls2` is WASI 0.2 ([`v2`]) and `tls3` WASI 0.3 ([`v3`]).
//!
//! | verb | what is done |
//! | --- | --- |
//! | `connect ADDRESS` | a TCP connection, the current one from now on |
//! | `secure NAME` | TLS on it |
//! | `send TEXT` | the text is sent, `\r\n` in it being an end of line |
//! | `receive` | what comes next: text, `end`, or an error |
//! | `fill BYTES` | so many bytes are sent, for a second at most; how many were taken |
//! | `close` | the end is sent in TLS |
//! | `hold` | what is current is kept, and nothing is current any more |
//! | `flood N NAME` | N handshakes over streams on which nobody answers; what came of each |
//! | `start NAME` | a handshake over such streams that nobody waits for |
//!
//! `repeat N STATEMENT` performs it N times. A refusal is a result like any other. All is kept until the script ends.

mod v2;
mod v3;

use wasip3::exports::http::handler::Guest as Handler;
use wasip3::http::types::{ErrorCode, Fields, Request, Response};
use wasip3::wit_bindgen::spawn_local;
use wasip3::{wit_future, wit_stream};

use crate::v2::V2;
use crate::v3::V3;

mod bindings {
    wit_bindgen::generate!({
        world: "tls",
        path: "wit",
        with: {
            "wasi:io/error@0.2.12": wasip2::io::error,
            "wasi:io/poll@0.2.12": wasip2::io::poll,
            "wasi:io/streams@0.2.12": wasip2::io::streams,
            "wasi:tls/types@0.2.0-draft": generate,
            "wasi:tls/types@0.3.0-draft": generate,
            "wasi:tls/client@0.3.0-draft": generate,
        },
    });
}

/// This component as the dependency of another one.
mod exported {
    wit_bindgen::generate!({ world: "callee", path: "../shared/script/wit" });
}

struct Tls;

wasip3::http::service::export!(Tls);
exported::export!(Tls with_types_in exported);

impl Handler for Tls {
    async fn handle(request: Request) -> Result<Response, ErrorCode> {
        let (consumed, result) = wit_future::new(|| Ok(()));
        drop(consumed);
        let (body, _trailers) = Request::consume_body(request, result);
        let script = String::from_utf8_lossy(&body.collect().await).into_owned();
        let results = perform(&script).await;
        let (mut body, contents) = wit_stream::new();
        let (trailers, no_trailers) = wit_future::new(|| Ok(None));
        drop(trailers);
        let (response, _sent) = Response::new(Fields::new(), Some(contents), no_trailers);
        spawn_local(async move {
            body.write_all(results.into_bytes()).await;
        });
        Ok(response)
    }
}

impl exported::exports::outport::callee::interpreter::Guest for Tls {
    async fn perform(script: String) -> String {
        perform(&script).await
    }
}

/// What a statement got: a result, or what was wrong. Both are shown in the same way.
type Outcome = Result<String, String>;

async fn perform(script: &str) -> String {
    let (mut two, mut three) = (V2::default(), V3::default());
    let mut lines = String::new();
    let statements = script.lines().map(str::trim).filter(|line| !line.is_empty());
    for (index, statement) in statements.enumerate() {
        let (times, one) = repeated(statement).unwrap_or((1, statement));
        let mut results = Counts::default();
        for _ in 0..times {
            results.add(perform_one(&mut two, &mut three, one).await);
        }
        lines += &format!("{} {statement} => {}\n", index + 1, results.shown());
    }
    lines
}

async fn perform_one(two: &mut V2, three: &mut V3, statement: &str) -> String {
    let (verb, rest) = statement.split_once(' ').unwrap_or((statement, ""));
    let outcome = match verb.split_once('.') {
        Some(("tls2", verb)) => two.perform(verb, rest).await,
        Some(("tls3", verb)) => three.perform(verb, rest).await,
        _ => None,
    };
    let outcome = outcome.unwrap_or_else(|| Err("not a statement".to_owned()));
    outcome.unwrap_or_else(|wrong| wrong)
}

/// `repeat N STATEMENT`.
fn repeated(statement: &str) -> Option<(usize, &str)> {
    number_and_rest(statement.strip_prefix("repeat ")?)
}

fn number_and_rest(text: &str) -> Option<(usize, &str)> {
    let (number, rest) = text.split_once(' ')?;
    Some((number.parse().ok()?, rest))
}

/// The text of `send`.
fn text(rest: &str) -> Vec<u8> {
    rest.replace("\\r\\n", "\r\n").into_bytes()
}

/// Bytes as one line.
fn shown(bytes: &[u8]) -> String {
    bytes.escape_ascii().to_string()
}

fn ok<T>(_: T) -> String {
    "ok".to_owned()
}

/// Results and how often each came.
#[derive(Default)]
struct Counts(Vec<(String, usize)>);

impl Counts {
    fn add(&mut self, result: String) {
        match self.0.iter_mut().find(|(other, _)| *other == result) {
            Some((_, count)) => *count += 1,
            None => self.0.push((result, 1)),
        }
    }

    /// `ok`, or the most frequent first: `ok x30, no x2`.
    fn shown(mut self) -> String {
        self.0.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
        if let [(result, 1)] = &self.0[..] {
            return result.clone();
        }
        let counts: Vec<_> = self
            .0
            .iter()
            .map(|(result, count)| format!("{result} x{count}"))
            .collect();
        counts.join(", ")
    }
}
