//! The hello-world, outgoing-HTTP and key-value apps of Spin's Rust SDK in one, as its documentation writes them, and those of
//! what else the host has ([`services`]).

mod services;

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
        "/embed" => services::told(services::embedded(&query)),
        "/infer" => services::told(services::inferred(&query)),
        "/postgres" => services::told(services::kept_in_postgres(&query).await),
        "/redis" => services::told(services::kept_in_redis(&query).await),
        "/sqlite" => services::told(services::kept_in_sqlite(&query).await),
        "/wasi-keyvalue" => services::told(services::kept_in_a_bucket(&query)),
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
