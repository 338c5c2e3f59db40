//! A client of MySQL as a command: `mysql ITEM` takes one of that item out of a stock and prints what is left.
//!
//! `DATABASE_URL` says where the server is, `mysql://USER:PASSWORD@HOST:PORT/DATABASE`. The driver looks the host up and connects
//! by itself. An item that the stock has not had yet begins with ten; one that is used up is an error, and stays as it is.

use std::env;

use anyhow::{Context, Result, bail};
use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Opts, TxOpts};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let item = env::args().nth(1).context("usage: mysql ITEM")?;
    let url = env::var("DATABASE_URL").context("DATABASE_URL")?;
    let mut connection = Conn::new(Opts::from_url(&url)?).await?;
    connection
        .query_drop("CREATE TABLE IF NOT EXISTS stock (item VARCHAR(80) PRIMARY KEY, amount INT NOT NULL) CHARACTER SET utf8mb4")
        .await?;
    let left = take(&mut connection, &item).await?;
    println!("{item}: {left} left");
    Ok(connection.disconnect().await?)
}

async fn take(connection: &mut Conn, item: &str) -> Result<i32> {
    let mut transaction = connection.start_transaction(TxOpts::default()).await?;
    transaction
        .exec_drop("INSERT IGNORE INTO stock VALUES (?, 10)", (item,))
        .await?;
    let amount: Option<i32> = transaction
        .exec_first("SELECT amount FROM stock WHERE item = ? FOR UPDATE", (item,))
        .await?;
    let left = amount.context("no row of the item")? - 1;
    if left < 0 {
        bail!("no {item} left");
    }
    transaction
        .exec_drop("UPDATE stock SET amount = ? WHERE item = ?", (left, item))
        .await?;
    transaction.commit().await?;
    Ok(left)
}
