//! Key-value stores on a Redis server, as Spin's are: a key is a key of the server's, in the database of its URL.
//!
//! The address is the operator's (HI-6): it is connected to by a dialer of the operator's, which no list of an author is asked
//! about. What guests do there is bounded as by the [Redis interface](crate::redis).
//!
//! | | on the server |
//! | --- | --- |
//! | get, set, delete, exists | `GET`, `SET` or `MSET`, `DEL`, `EXISTS` |
//! | keys | `SCAN` from its start for each piece of [`PIECE`] keys, since a server gives them in no order; what is no UTF-8 is no key of a guest's |
//! | add | `INCRBY`: the number is text, as other programs write it there |
//! | swap | `SET … NX`, or a script that compares |

use std::collections::BTreeSet;

use async_trait::async_trait;
use outport_egress::{Dialer, Egress, Pool};
use outport_policy::{EntryError, Location, text};
use redis::Value;

use super::{Backend, Change, Changed, StoreError};
use crate::not_opened::NotOpened;
use crate::redis::{Answer, Argument, Client, Failure, RedisAddress, Server};
use crate::trouble::Trouble;
use crate::work::Account;

/// A store on a server.
pub(crate) struct RedisStore {
    /// What it is called in messages.
    name: String,
    dialer: Dialer,
    pool: Pool<Server>,
    address: RedisAddress,
    trouble: Trouble,
}

/// Why an address cannot be that of a store.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RedisUrlError {
    /// A part of it is not understood. The message does not quote the address, which may have a password.
    #[error("the address of the Redis server has {0}, which is not understood")]
    Part(&'static str),
    /// It is no place that anybody could be permitted to go to.
    #[error(transparent)]
    Place(#[from] EntryError),
}

impl RedisStore {
    pub(crate) fn new(
        egress: &Egress,
        label: &str,
        url: &str,
        location: Location,
    ) -> Result<Self, RedisUrlError> {
        let address = RedisAddress::parse(url).map_err(|bad| RedisUrlError::Part(bad.part()))?;
        let name = format!("key_value_store.{label}");
        let dialer = egress.operator_dialer(&name, &address.destination, location)?;
        Ok(Self {
            pool: dialer.pool(),
            dialer,
            address,
            name,
            trouble: Trouble::default(),
        })
    }

    async fn client(&self, account: &Account) -> Result<Client, StoreError> {
        let opened = async {
            let authorized = self.dialer.authorize(&self.address.destination)?;
            Client::open(&self.dialer, authorized, &self.pool, &self.address, None).await
        };
        match opened.await {
            Ok(client) => {
                client.charge_to(account.as_ref());
                Ok(client)
            }
            Err(why) => {
                let why: NotOpened = why;
                Err(self.failed(why.to_string()))
            }
        }
    }

    /// What the server says to one command.
    async fn ask(
        &self,
        account: &Account,
        command: &str,
        arguments: impl IntoIterator<Item = Argument>,
    ) -> Result<Value, StoreError> {
        let client = self.client(account).await?;
        let answer = client.ask_any(command, arguments.into_iter().collect()).await;
        answer.map_err(|failure| self.failed(said(failure)))
    }

    /// Tells the operator, and has the words for the guest.
    fn failed(&self, why: String) -> StoreError {
        let shown = text::message(&why);
        self.trouble.warn(format!(
            "{}: the Redis server at {}: {shown}",
            self.name, self.address.destination
        ));
        StoreError(format!("the store cannot be used: {why}"))
    }

    fn unexpected<T>(&self) -> Result<T, StoreError> {
        Err(self.failed("it answered with something else".to_owned()))
    }
}

#[async_trait]
impl Backend for RedisStore {
    async fn get(&self, key: &str, account: Account) -> Result<Option<Vec<u8>>, StoreError> {
        match self.ask(&account, "GET", [word(key)]).await? {
            Value::Nil => Ok(None),
            Value::BulkString(value) => Ok(Some(value)),
            _ => self.unexpected(),
        }
    }

    async fn exists(&self, key: &str, account: Account) -> Result<bool, StoreError> {
        match self.ask(&account, "EXISTS", [word(key)]).await? {
            Value::Int(number) => Ok(number > 0),
            _ => self.unexpected(),
        }
    }

    async fn keys(&self, after: Option<String>, account: Account) -> Result<Vec<String>, StoreError> {
        let client = self.client(&account).await?;
        let mut first = BTreeSet::new();
        let mut cursor = b"0".to_vec();
        loop {
            let arguments = vec![Argument::Bytes(cursor), word("COUNT"), Argument::Number(SCANNED)];
            let answers = client.execute("SCAN", arguments).await;
            let mut answers = answers.map_err(|failure| self.failed(said(failure)))?.into_iter();
            let Some(Answer::Bytes(next)) = answers.next() else {
                return self.unexpected();
            };
            let keys = answers.filter_map(|answer| match answer {
                Answer::Bytes(key) => String::from_utf8(key).ok(),
                _ => None,
            });
            first.extend(keys.filter(|key| after.as_ref().is_none_or(|after| key > after)));
            while first.len() > PIECE {
                first.pop_last();
            }
            if next == b"0" {
                return Ok(first.into_iter().collect());
            }
            cursor = next;
        }
    }

    async fn change(&self, change: Change, account: Account) -> Result<Changed, StoreError> {
        let answer = match change {
            Change::Set(pairs) if pairs.is_empty() => return Ok(Changed::Done),
            Change::Delete(keys) if keys.is_empty() => return Ok(Changed::Done),
            Change::Set(pairs) => {
                let arguments = pairs
                    .into_iter()
                    .flat_map(|(key, value)| [bytes(key), Argument::Bytes(value)]);
                self.ask(&account, "MSET", arguments).await?
            }
            Change::Delete(keys) => self.ask(&account, "DEL", keys.into_iter().map(bytes)).await?,
            Change::Add { key, delta } => {
                let arguments = [bytes(key), Argument::Number(delta)];
                match self.ask(&account, "INCRBY", arguments).await? {
                    Value::Int(number) => return Ok(Changed::Number(number)),
                    _ => return self.unexpected(),
                }
            }
            Change::Swap { key, from: None, to } => {
                let arguments = [bytes(key), Argument::Bytes(to), word("NX")];
                match self.ask(&account, "SET", arguments).await? {
                    Value::Nil => return Ok(Changed::Not),
                    answer => answer,
                }
            }
            Change::Swap {
                key,
                from: Some(from),
                to,
            } => {
                let one_key = Argument::Number(1);
                let arguments = [
                    word(SWAP),
                    one_key,
                    bytes(key),
                    Argument::Bytes(from),
                    Argument::Bytes(to),
                ];
                match self.ask(&account, "EVAL", arguments).await? {
                    Value::Int(0) => return Ok(Changed::Not),
                    answer => answer,
                }
            }
        };
        match answer {
            Value::Okay | Value::Int(_) => Ok(Changed::Done),
            _ => self.unexpected(),
        }
    }
}

fn word(text: &str) -> Argument {
    Argument::Bytes(text.as_bytes().to_vec())
}

fn bytes(text: String) -> Argument {
    Argument::Bytes(text.into_bytes())
}

fn said(failure: Failure) -> String {
    match failure {
        Failure::Type => "the value is of another type".to_owned(),
        Failure::Other(why) => why,
    }
}

/// Keys that are given at once.
const PIECE: usize = 10_000;

/// Keys that the server looks at for one answer.
const SCANNED: i64 = 1_000;

/// Sets a key if it has the value that is expected. Scripts of a server are done one at a time.
const SWAP: &str = "if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end \
                    redis.call('SET', KEYS[1], ARGV[2]) return 1";

#[cfg(test)]
mod tests;
