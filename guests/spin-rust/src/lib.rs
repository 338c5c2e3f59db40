//! The hello-world and outgoing-HTTP apps of Spin's Rust SDK in one, as its documentation writes them.

use spin_sdk::http::body::IncomingBodyExt;
use spin_sdk::http::{IntoResponse, Request, StatusCode, get};
use spin_sdk::{http_service, variables};

#[http_service]
async fn handle(request: Request) -> impl IntoResponse {
    let query = request.uri().query().unwrap_or_default().to_owned();
    let (status, text) = match request.uri().path() {
        "/hello" => (StatusCode::OK, "Hello from Rust!".to_owned()),
        "/variable" => match variables::get(&query).await {
            Ok(value) => (StatusCode::OK, value),
            Err(error) => (StatusCode::NOT_FOUND, format!("{error:?}")),
        },
        "/send" => fetch(&query).await,
        _ => (StatusCode::NOT_FOUND, "nothing here".to_owned()),
    };
    (status, text)
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
