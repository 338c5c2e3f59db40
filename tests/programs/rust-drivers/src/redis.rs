//! Redis: `redis://HOST:PORT`.

use anyhow::Result;
use redis::{AsyncTypedCommands, TypedCommands};

pub fn blocking(url: &str) -> Result<()> {
    let mut connection = redis::Client::open(url)?.get_connection()?;
    let _ = TypedCommands::del(&mut connection, "counter")?;
    for number in 0..10 {
        println!("{}", TypedCommands::incr(&mut connection, "counter", number)?);
        TypedCommands::set(&mut connection, format!("key {number}"), "é\r\n")?;
    }
    for number in 0..10 {
        println!(
            "{:?}",
            TypedCommands::get(&mut connection, format!("key {number}"))?
        );
    }
    let failed: redis::RedisResult<i64> = redis::cmd("LLEN").arg("counter").query(&mut connection);
    println!("{:?}", failed.expect_err("the wrong type").code());
    Ok(())
}

pub async fn asynchronous(url: &str) -> Result<()> {
    let url = crate::with_address(url)?;
    let mut connection = redis::Client::open(url)?
        .get_multiplexed_async_connection()
        .await?;
    let _ = AsyncTypedCommands::del(&mut connection, "counter").await?;
    for number in 0..10 {
        println!(
            "{}",
            AsyncTypedCommands::incr(&mut connection, "counter", number).await?
        );
        AsyncTypedCommands::set(&mut connection, format!("key {number}"), "é\r\n").await?;
    }
    for number in 0..10 {
        println!(
            "{:?}",
            AsyncTypedCommands::get(&mut connection, format!("key {number}")).await?
        );
    }
    Ok(())
}
