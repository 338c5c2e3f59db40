//! An app of version 6 of Spin's Rust SDK, as its documentation writes it, with a route that sends a request. It is a component of
//! a release candidate of WASI 0.3.

use spin_sdk::http::body::IncomingBodyExt;
use spin_sdk::http::{IntoResponse, Request, StatusCode, get};
use spin_sdk::{http_service, variables};

#[http_service]
async fn handle(request: Request) -> impl IntoResponse {
    let query = request.uri().query().unwrap_or_default().to_owned();
    match request.uri().path() {
        "/send" => fetch(&query).await,
        "/variable" => match variables::get(&query).await {
            Ok(value) => (StatusCode::OK, value),
            Err(error) => (StatusCode::NOT_FOUND, format!("{error:?}")),
        },
        _ => (StatusCode::OK, "Hello from Rust!".to_owned()),
    }
}

async fn fetch(url: &str) -> (StatusCode, String) {
    let answer = match get(url).await {
        Ok(answer) => answer,
        Err(error) => return (StatusCode::BAD_GATEWAY, format!("{error:?}")),
    };
    let status = answer.status();
    match answer.into_body().bytes().await {
        Ok(body) => (status, String::from_utf8_lossy(&body).into_owned()),
        Err(error) => (StatusCode::BAD_GATEWAY, format!("{error:?}")),
    }
}
