//! An HTTP guest of Spin's first interface, which has no version: requests and responses are given whole.
//!
//! | path | answer |
//! | --- | --- |
//! | `/show` | method, path and query, headers, the number of parameters and the length of the body, a line each |
//! | `/echo` | the body |
//! | `/large/N` | so many bytes |
//! | `/status/N` | that status, whatever it is |
//! | `/header/NAME/VALUE` | that header; `%0A` in it is a line end |
//! | `/nothing` | 200, without headers and body |
//! | `/count` | how many requests the instance has had |
//! | `/config/KEY` | the variable of that name, or the error |
//! | `/fetch/URL` | status and body of what is there, or the error |
//! | `/trap` | none |
//! | `/loop` | none, ever |

use std::cell::Cell;

use crate::bindings::exports::fermyon::spin::inbound_http::Guest;
use crate::bindings::fermyon::spin::http_types::{Method, Request, Response};
use crate::bindings::fermyon::spin::{config, http};

#[allow(missing_docs)]
mod bindings {
    wit_bindgen::generate!({ world: "inbound", path: "wit" });
}

struct InboundHttp;

bindings::export!(InboundHttp with_types_in bindings);

impl Guest for InboundHttp {
    fn handle_request(request: Request) -> Response {
        thread_local! {
            static COUNT: Cell<u32> = const { Cell::new(0) };
        }
        COUNT.set(COUNT.get() + 1);
        let path = request.uri.split('?').next().unwrap_or_default().to_owned();
        let path = path.strip_prefix('/').unwrap_or(&path);
        let (first, rest) = path.split_once('/').unwrap_or((path, ""));
        match first {
            "show" => text(shown(&request)),
            "echo" => whole(200, None, request.body),
            "large" => text(".".repeat(rest.parse().unwrap_or(0))),
            "status" => whole(rest.parse().unwrap_or(0), None, None),
            "header" => {
                let (name, value) = rest.split_once('/').unwrap_or((rest, ""));
                let header = (name.replace("%0A", "\n"), value.replace("%0A", "\n"));
                whole(200, Some(vec![header]), Some(b"there\n".to_vec()))
            }
            "nothing" => whole(200, None, None),
            "count" => text(format!("{}\n", COUNT.get())),
            "config" => text(match config::get_config(rest) {
                Ok(value) => value,
                Err(error) => format!("{error:?}"),
            }),
            "fetch" => text(fetched(rest)),
            "trap" => panic!("it was asked to"),
            "loop" => loop {
                std::hint::black_box(());
            },
            _ => whole(404, None, None),
        }
    }
}

fn shown(request: &Request) -> String {
    let mut lines = format!("{:?} {}\n", request.method, request.uri);
    for (name, value) in &request.headers {
        lines += &format!("{name}: {value}\n");
    }
    let body = request.body.as_ref().map(Vec::len);
    lines + &format!("{} parameters, body {body:?}\n", request.params.len())
}

fn fetched(uri: &str) -> String {
    let request = Request {
        method: Method::Get,
        uri: uri.to_owned(),
        headers: Vec::new(),
        params: Vec::new(),
        body: None,
    };
    match http::send_request(&request) {
        Ok(answer) => {
            let body = answer.body.unwrap_or_default();
            format!("{} {}", answer.status, String::from_utf8_lossy(&body))
        }
        Err(error) => error.name().to_owned(),
    }
}

fn text(text: String) -> Response {
    let kind = ("content-type".to_owned(), "text/plain; charset=utf-8".to_owned());
    whole(200, Some(vec![kind]), Some(text.into_bytes()))
}

fn whole(status: u16, headers: Option<Vec<(String, String)>>, body: Option<Vec<u8>>) -> Response {
    Response { status, headers, body }
}
