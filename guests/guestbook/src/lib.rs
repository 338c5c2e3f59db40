//! A guestbook with Spin's Rust SDK: `POST /NAME` signs it, `DELETE /NAME` takes that back, and `GET /` shows all of it.
//!
//! What guests say is a row of a table in the SQLite database `default`, one for each name, so that who signs again has one
//! entry. How often it was looked at is a number in the key-value store `default`; of two who look at the same moment one may
//! not be counted.

use std::error::Error;

use spin_sdk::http::body::IncomingBodyExt;
use spin_sdk::http::{IntoResponse, Method, Request, StatusCode};
use spin_sdk::http_service;
use spin_sdk::key_value::Store;
use spin_sdk::sqlite::{Connection, Value};

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

type Done = Result<String, Box<dyn Error>>;

async fn all_entries() -> Done {
    let query = "SELECT name, words FROM entries ORDER BY rowid";
    let mut entries = open().await?.execute(query, []).await?;
    let mut text = String::new();
    while let Some(row) = entries.next().await {
        let (name, words) = (row.get::<&str>(0), row.get::<&str>(1));
        text += &format!("{}: {}\n", name.unwrap_or_default(), words.unwrap_or_default());
    }
    // Whether those were all is known at the end.
    entries.result().await?;
    if text.is_empty() {
        text = format!("Nobody has signed yet. {USAGE}");
    }
    Ok(format!("{text}Visits: {}\n", count().await?))
}

async fn sign(name: &str, words: &[u8]) -> Done {
    let words = String::from_utf8_lossy(words).into_owned();
    let insert = "INSERT INTO entries (name, words) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET words = excluded.words";
    let signed = open().await?.execute(insert, [name.into(), words.into()]).await?;
    signed.result().await?;
    Ok(format!("Thank you, {name}.\n"))
}

async fn take_back(name: &str) -> Done {
    let delete = "DELETE FROM entries WHERE name = ?";
    let taken = open().await?.execute(delete, [name.into()]).await?;
    taken.result().await?;
    Ok(format!("Good-bye, {name}.\n"))
}

/// The database, with its table.
async fn open() -> Result<Connection, Box<dyn Error>> {
    let connection = Connection::open_default().await?;
    let create = "CREATE TABLE IF NOT EXISTS entries (name TEXT UNIQUE NOT NULL, words TEXT NOT NULL)";
    connection
        .execute(create, Vec::<Value>::new())
        .await?
        .result()
        .await?;
    Ok(connection)
}

/// How often the guestbook was looked at, with this time.
async fn count() -> Result<u64, Box<dyn Error>> {
    let store = Store::open_default().await?;
    let before = store.get("visits").await?.unwrap_or_default();
    let visits = String::from_utf8_lossy(&before).parse().unwrap_or(0) + 1;
    store.set("visits", visits.to_string()).await?;
    Ok(visits)
}

/// The name in `/NAME`.
fn name_in(path: &str) -> Option<String> {
    let name = path.strip_prefix('/')?;
    (!name.is_empty() && !name.contains('/')).then(|| name.to_owned())
}
