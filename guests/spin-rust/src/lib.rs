//! The hello-world, outgoing-HTTP and key-value apps of Spin's Rust SDK in one, as its documentation writes them.

use spin_sdk::http::body::IncomingBodyExt;
use spin_sdk::http::{IntoResponse, Request, StatusCode, get};
use spin_sdk::key_value::{self, Store};
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
        "/count" => told(count(&query).await),
        "/keys" => told(keys().await),
        "/open" => told(Store::open(&query).await.map(|_| "opened".to_owned())),
        "/send" => fetch(&query).await,
        _ => (StatusCode::NOT_FOUND, "nothing here".to_owned()),
    };
    (status, text)
}

async fn count(name: &str) -> Result<String, key_value::Error> {
    let store = Store::open_default().await?;
    let before = store.get(name).await?.unwrap_or_default();
    let number: u64 = String::from_utf8_lossy(&before).parse().unwrap_or_default();
    let number = (number + 1).to_string();
    store.set(name, &number).await?;
    Ok(number)
}

async fn keys() -> Result<String, key_value::Error> {
    let store = Store::open_default().await?;
    Ok(store.get_keys().await.collect().await?.join(","))
}

fn told(result: Result<String, key_value::Error>) -> (StatusCode, String) {
    match result {
        Ok(text) => (StatusCode::OK, text),
        Err(error) => (StatusCode::FORBIDDEN, format!("{error:?}")),
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
