//! An app as versions 1.4 and 1.5 of Spin's Rust SDK made them: by the bindings that they consisted of, for interfaces of Spin's
//! that have no version yet. It answers like those of the versions after it.

use exports::fermyon::spin::inbound_http::{InboundHttp, Request, Response};
use fermyon::spin::{config, http, http_types};

wit_bindgen::generate!("http-trigger");

struct App;

impl InboundHttp for App {
    fn handle_request(request: Request) -> Response {
        let (path, query) = request.uri.split_once('?').unwrap_or((&request.uri, ""));
        let (status, body) = match path {
            "/send" => fetch(query),
            "/variable" => match config::get_config(query) {
                Ok(value) => (200, value.into_bytes()),
                Err(error) => (404, format!("{error:?}").into_bytes()),
            },
            "/echo" => {
                println!("{}", request.uri);
                let word = request.headers.iter().find(|(name, _)| name == "x-word");
                let word = word.map_or("-", |(_, value)| value);
                let body = request.body.as_deref().unwrap_or_default();
                let method = format!("{:?}", request.method)
                    .replace("Method::", "")
                    .to_uppercase();
                (
                    201,
                    [method.as_bytes(), b" ", word.as_bytes(), b" ", body].concat(),
                )
            }
            _ => (200, b"Hello from Rust!".to_vec()),
        };
        Response {
            status,
            headers: Some(vec![("content-type".to_owned(), "text/plain".to_owned())]),
            body: Some(body),
        }
    }
}

fn fetch(url: &str) -> (u16, Vec<u8>) {
    let request = http_types::Request {
        method: http_types::Method::Get,
        uri: url.to_owned(),
        headers: Vec::new(),
        params: Vec::new(),
        body: None,
    };
    match http::send_request(&request) {
        Ok(answer) => (answer.status, answer.body.unwrap_or_default()),
        Err(error) => (502, format!("{error:?}").into_bytes()),
    }
}

export_http_trigger!(App);
