//! The script guest behind HTTP: a request brings the statements, its answer the results.
//!
//! | last part of the path | answer |
//! | --- | --- |
//! | `hello` | `hello`, at once |
//! | `headers` | the request's method, path and headers, a line each |
//! | `env` | the environment variables, a line each |
//! | `count` | the length of the request's body in bytes |
//! | `zeroes` | as many zero bytes as the query says |
//! | anything else | the results of the script in the body, or else in the query |
//!
//! Sockets and look-ups are kept within the request. A script with a mistake is answered with status 400.

mod exchange;

use script::{Interpreter, Script};
use script_p2::{P2, run};
use wasip2::cli::environment::get_environment;
use wasip2::exports::http::incoming_handler::Guest;
use wasip2::http::types::{IncomingRequest, ResponseOutparam};

use crate::exchange::{Answer, Call};

struct HttpScriptGuest;

wasip2::http::proxy::export!(HttpScriptGuest);

impl Guest for HttpScriptGuest {
    fn handle(request: IncomingRequest, outparam: ResponseOutparam) {
        let call = Call::new(request);
        answer(call).send(outparam);
    }
}

fn answer(call: Call) -> Answer {
    match call.target().last_segment() {
        "hello" => Answer::text("hello\n"),
        "headers" => Answer::text(call.headers()),
        "env" => Answer::text(lines(
            get_environment()
                .iter()
                .map(|(name, value)| format!("{name}={value}")),
        )),
        "count" => Answer::text(format!("{}\n", call.count_body())),
        "zeroes" => match call.target().query().parse() {
            Ok(length) => Answer::zeroes(length),
            Err(_) => Answer::mistake("the query of `zeroes` is how many bytes to send"),
        },
        _ => run_script(call),
    }
}

fn run_script(call: Call) -> Answer {
    let from_query = call.target().query().to_owned();
    let body = call.text_body();
    let text = if body.trim().is_empty() { from_query } else { body };
    let script = match Script::parse([text]) {
        Ok(script) => script,
        Err(mistake) => return Answer::mistake(mistake),
    };
    Answer::text(run(async {
        let mut interpreter = Interpreter::new(P2);
        let mut results = Vec::new();
        for statement in script.statements() {
            results.push(statement.report(&interpreter.perform(statement.action()).await));
        }
        lines(results)
    }))
}

fn lines(lines: impl IntoIterator<Item = String>) -> String {
    lines.into_iter().map(|line| line + "\n").collect()
}
