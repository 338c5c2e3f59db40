//! A guestbook with Spin's Rust SDK: `POST /NAME` signs it, `DELETE /NAME` takes that back, and `GET /` shows all of it.
//!
//! What a guest says is the value of his name in the key-value store `default`. So two who sign at the same time are in
//! nobody's way, and who signs again has one entry.

use spin_sdk::http::body::IncomingBodyExt;
use spin_sdk::http::{IntoResponse, Method, Request, StatusCode};
use spin_sdk::http_service;
use spin_sdk::key_value::{Error, Store};

#[http_service]
async fn handle(request: Request) -> impl IntoResponse {
    let (method, name) = (request.method().clone(), name_in(request.uri().path()));
    let done = match (method, name) {
        (Method::GET, None) => all_entries().await,
        (Method::POST, Some(name)) => match request.into_body().bytes().await {
            Ok(words) => sign(&name, &words).await,
            Err(_) => return (StatusCode::BAD_REQUEST, "Your words broke off.\n".to_owned()),
        },
        (Method::DELETE, Some(name)) => take_back(&name).await,
        _ => return (StatusCode::NOT_FOUND, USAGE.to_owned()),
    };
    match done {
        Ok(text) => (StatusCode::OK, text),
        Err(error) => (
            StatusCode::INTERNAL_SERVER_ERROR,
            format!("The guestbook is closed: {error}\n"),
        ),
    }
}

const USAGE: &str = "POST words to /NAME to sign, GET / to read.\n";

async fn all_entries() -> Result<String, Error> {
    let store = Store::open_default().await?;
    let mut text = String::new();
    for name in store.get_keys().await.collect().await? {
        // Whoever takes his words back meanwhile has none any more.
        if let Some(words) = store.get(&name).await? {
            text += &format!("{name}: {}\n", String::from_utf8_lossy(&words));
        }
    }
    if text.is_empty() {
        text = format!("Nobody has signed yet. {USAGE}");
    }
    Ok(text)
}

async fn sign(name: &str, words: &[u8]) -> Result<String, Error> {
    Store::open_default().await?.set(name, words).await?;
    Ok(format!("Thank you, {name}.\n"))
}

async fn take_back(name: &str) -> Result<String, Error> {
    Store::open_default().await?.delete(name).await?;
    Ok(format!("Good-bye, {name}.\n"))
}

/// The name in `/NAME`.
fn name_in(path: &str) -> Option<String> {
    let name = path.strip_prefix('/')?;
    (!name.is_empty() && !name.contains('/')).then(|| name.to_owned())
}
