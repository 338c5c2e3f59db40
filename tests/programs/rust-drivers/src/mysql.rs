//! MySQL and MariaDB: `mysql://USER:PASSWORD@HOST:PORT/DATABASE`.

use anyhow::Result;
use mysql_async::{Conn, Opts, params, prelude::Queryable};

pub async fn mysql_async(url: &str) -> Result<()> {
    let mut connection = Conn::new(Opts::from_url(url)?).await?;
    connection.query_drop("DROP TABLE IF EXISTS notes").await?;
    connection
        .query_drop("CREATE TABLE notes (id INT PRIMARY KEY, text VARCHAR(80)) CHARACTER SET utf8mb4")
        .await?;
    for id in 0..10 {
        let text = format!("note {id}: é");
        connection
            .exec_drop("INSERT INTO notes VALUES (:id, :text)", params! { id, text })
            .await?;
        println!("inserted {}", connection.affected_rows());
    }
    for id in 0..10 {
        let text: Option<String> = connection
            .exec_first("SELECT text FROM notes WHERE id = ?", (id,))
            .await?;
        println!("{text:?}");
    }
    let failed = connection
        .query_drop("INSERT INTO notes VALUES (0, 'again')")
        .await;
    println!("{}", failed.expect_err("a key twice"));
    Ok(connection.disconnect().await?)
}
