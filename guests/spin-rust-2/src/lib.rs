//! An app of version 2 of Spin's Rust SDK, as its template writes it, with a route that sends a request.

use spin_sdk::http::{self, IntoResponse, Method, Request, Response};
use spin_sdk::{http_component, variables};

#[http_component]
async fn handle(request: Request) -> anyhow::Result<impl IntoResponse> {
    let query = request.query().to_owned();
    let (status, body) = match request.path() {
        "/send" => fetch(&query).await,
        "/variable" => match variables::get(&query) {
            Ok(value) => (200, value.into()),
            Err(error) => (404, error.to_string().into()),
        },
        "/echo" => {
            println!("{}", request.uri());
            let method = request.method().to_string();
            let word = request
                .header("x-word")
                .and_then(|value| value.as_str())
                .unwrap_or("-");
            (
                201,
                [method.as_bytes(), b" ", word.as_bytes(), b" ", request.body()].concat(),
            )
        }
        _ => (200, b"Hello from Rust!".to_vec()),
    };
    Ok(Response::builder()
        .status(status)
        .header("content-type", "text/plain")
        .body(body)
        .build())
}

async fn fetch(url: &str) -> (u16, Vec<u8>) {
    let request = Request::builder().method(Method::Get).uri(url).build();
    let answer: Result<Response, _> = http::send(request).await;
    match answer {
        Ok(answer) => (*answer.status(), answer.into_body()),
        Err(error) => (502, error.to_string().into_bytes()),
    }
}
