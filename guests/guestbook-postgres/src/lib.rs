//! The guestbook on a PostgreSQL server: `POST /NAME` signs it, `DELETE /NAME` takes that back, and `GET /` shows all of it.
//!
//! What guests say is a row of the table `entries`, one for each name, so that who signs again has one entry. The address of
//! the server is the variable `database`.

use std::error::Error;

use spin_sdk::http::body::IncomingBodyExt;
use spin_sdk::http::{IntoResponse, Method, Request, StatusCode};
use spin_sdk::pg::Connection;
use spin_sdk::{http_service, variables};

#[http_service]
async fn handle(request: Request) -> impl IntoResponse {
    let (method, name) = (request.method().clone(), name_in(request.uri().path()));
    let done = match (method, name) {
        (Method::GET, None) => all_entries().await,
        (Method::POST, Some(name)) => match request.into_body().bytes().await {
            Ok(words) => sign(name, &words).await,
            Err(_) => return (StatusCode::BAD_REQUEST, "Your words broke off.\n".to_owned()),
        },
        (Method::DELETE, Some(name)) => take_back(name).await,
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
    let query = "SELECT name, words FROM entries ORDER BY number";
    let mut entries = open().await?.query(query, &[]).await?;
    let mut text = String::new();
    while let Some(row) = entries.next().await {
        let (name, words) = (row.get::<String>("name"), row.get::<String>("words"));
        text += &format!("{}: {}\n", name.unwrap_or_default(), words.unwrap_or_default());
    }
    // Whether those were all is known at the end.
    entries.result().await?;
    if text.is_empty() {
        text = format!("Nobody has signed yet. {USAGE}");
    }
    Ok(text)
}

async fn sign(name: String, words: &[u8]) -> Done {
    let words = String::from_utf8_lossy(words).into_owned();
    let insert = "INSERT INTO entries (name, words) VALUES ($1, $2) ON CONFLICT (name) DO UPDATE SET words = excluded.words";
    open()
        .await?
        .execute(insert, &[name.clone().into(), words.into()])
        .await?;
    Ok(format!("Thank you, {name}.\n"))
}

async fn take_back(name: String) -> Done {
    let delete = "DELETE FROM entries WHERE name = $1";
    open().await?.execute(delete, &[name.clone().into()]).await?;
    Ok(format!("Good-bye, {name}.\n"))
}

/// A connection to the server, with the table.
async fn open() -> Result<Connection, Box<dyn Error>> {
    let connection = Connection::open(variables::get("database").await?).await?;
    let create =
        "CREATE TABLE IF NOT EXISTS entries (number serial, name text PRIMARY KEY, words text NOT NULL)";
    connection.execute(create, &[]).await?;
    Ok(connection)
}

/// The name in `/NAME`.
fn name_in(path: &str) -> Option<String> {
    let name = path.strip_prefix('/')?;
    (!name.is_empty() && !name.contains('/')).then(|| name.to_owned())
}
