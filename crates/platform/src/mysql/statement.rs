//! A statement on a connection: prepared, run with its values, and its answer.
//!
//! ```text
//! COM_STMT_PREPARE ──▶ an id, and how many parameters ──▶ COM_STMT_EXECUTE, COM_STMT_CLOSE ──▶ done, or columns and rows
//!        └── it cannot be prepared, and has no values ──▶ COM_QUERY ──────────────────────────▶ the same, rows as text
//! ```
//!
//! A procedure may have several results. The first one is given to the guest, the others are read and dropped.

use std::time::Duration;

use bytes::Bytes;
use mysql_common::constants::{Command, StatusFlags};
use mysql_common::io::ParseBuf;
use tokio::time::timeout;

use super::columns::Column;
use super::failure::Failure;
use super::greeting::{ERROR, Said};
use super::packets::Ended;
use super::server::{At, Server};
use super::values::{Encoding, append};
use crate::rdbms::types::ParameterValue;
use crate::room::MOST_IN_A_RESULT;

/// What a server answers to a statement.
pub(super) struct Answer {
    /// None where there are no rows.
    pub(super) columns: Vec<Column>,
    pub(super) encoding: Encoding,
}

/// A statement that the server knows.
struct Prepared {
    id: [u8; 4],
    parameters: usize,
}

/// The first packet of a result.
enum Outcome {
    /// There are no rows.
    Done(StatusFlags),
    /// So many columns.
    Columns(usize),
}

impl Server {
    /// Runs a statement, and gives what is known of its answer before the first row.
    pub(super) async fn run(
        &mut self,
        statement: &str,
        values: &[ParameterValue],
    ) -> Result<Answer, Failure> {
        self.rest().await?;
        self.is_used = true;
        self.at = At::Unknown;
        let answer = self.answer(statement, values).await;
        if let Err(Failure::Said(_) | Failure::Parameters { .. }) = &answer {
            self.at = At::Rest;
        }
        answer
    }

    async fn answer(&mut self, statement: &str, values: &[ParameterValue]) -> Result<Answer, Failure> {
        let prepared = match self.prepare(statement).await {
            Err(Failure::Said(said)) if said.code == CANNOT_BE_PREPARED && values.is_empty() => {
                return self.query(statement).await;
            }
            prepared => prepared?,
        };
        let close = command(Command::COM_STMT_CLOSE, &prepared.id);
        if prepared.parameters != values.len() {
            self.packets.command(&close, 0).await?;
            return Err(Failure::Parameters {
                wanted: prepared.parameters,
                given: values.len(),
            });
        }
        let mut execute = command(Command::COM_STMT_EXECUTE, &prepared.id);
        execute.extend([NO_CURSOR, 1, 0, 0, 0]);
        append(&mut execute, values);
        self.packets
            .commands(&[&execute, &close], MOST_IN_A_RESULT)
            .await?;
        self.first_result(Encoding::Binary).await
    }

    async fn prepare(&mut self, statement: &str) -> Result<Prepared, Failure> {
        let prepare = command(Command::COM_STMT_PREPARE, statement.as_bytes());
        self.packets.command(&prepare, MOST_IN_A_RESULT).await?;
        let packet = self.read(LONGEST_PACKET).await?;
        if packet.first() == Some(&ERROR) {
            return Err(Failure::Said(Said::parse(&packet)));
        }
        let (id, columns, parameters) = of_prepared(&packet).ok_or(Ended::NotUnderstood)?;
        for definitions in [parameters, columns] {
            if definitions > 0 {
                self.pass_over(definitions).await?;
            }
        }
        Ok(Prepared { id, parameters })
    }

    async fn query(&mut self, statement: &str) -> Result<Answer, Failure> {
        let query = command(Command::COM_QUERY, statement.as_bytes());
        self.packets.command(&query, MOST_IN_A_RESULT).await?;
        self.first_result(Encoding::Text).await
    }

    async fn first_result(&mut self, encoding: Encoding) -> Result<Answer, Failure> {
        let mut columns = Vec::new();
        match self.result().await? {
            Outcome::Done(status) => {
                self.other_results(status).await?;
                self.at = At::Rest;
            }
            Outcome::Columns(number) => {
                for _ in 0..number {
                    let packet = self.read(LONGEST_DEFINITION).await?;
                    columns.push(Column::parse(&packet).ok_or(Ended::NotUnderstood)?);
                }
                self.end_of_definitions().await?;
                self.at = At::Rows;
            }
        }
        Ok(Answer { columns, encoding })
    }

    /// The next row, or none if that was the last. It may be given up, and asked for again.
    pub(super) async fn next_row(&mut self) -> Result<Option<Bytes>, Failure> {
        if self.at != At::Rows {
            return Ok(None);
        }
        let row = self.row().await;
        match row {
            Ok(Row::Values(values)) => Ok(Some(values)),
            Ok(Row::End(status)) => {
                self.at = At::Unknown;
                let others = self.other_results(status).await;
                if let Ok(()) | Err(Failure::Said(_)) = others {
                    self.at = At::Rest;
                }
                others.map(|()| None)
            }
            Err(why) => {
                self.at = match why {
                    Failure::Said(_) => At::Rest,
                    _ => At::Unknown,
                };
                Err(why)
            }
        }
    }

    /// Passes over the rows that nobody has taken.
    pub(super) async fn rest(&mut self) -> Result<(), Failure> {
        while self.at == At::Rows {
            match self.next_row().await {
                // Of a statement that nobody asks about any more.
                Ok(_) | Err(Failure::Said(_)) => {}
                Err(why) => return Err(why),
            }
        }
        match self.at {
            At::Rest => Ok(()),
            At::Rows | At::Unknown => Err(Failure::GivenUp),
        }
    }

    async fn other_results(&mut self, mut status: StatusFlags) -> Result<(), Failure> {
        while status.contains(StatusFlags::SERVER_MORE_RESULTS_EXISTS) {
            status = match self.result().await? {
                Outcome::Done(status) => status,
                Outcome::Columns(number) => {
                    self.pass_over(number).await?;
                    loop {
                        if let Row::End(status) = self.row().await? {
                            break status;
                        }
                    }
                }
            };
        }
        Ok(())
    }

    async fn result(&mut self) -> Result<Outcome, Failure> {
        let packet = self.read(LONGEST_PACKET).await?;
        let mut rest = ParseBuf(&packet);
        match packet.first() {
            Some(&OK) => {
                let status = of_ok(&packet).ok_or(Ended::NotUnderstood)?;
                Ok(Outcome::Done(status))
            }
            Some(&ERROR) => Err(Failure::Said(Said::parse(&packet))),
            Some(&FILE) => Err(Failure::File),
            _ => match rest.checked_eat_lenenc_int() {
                Some(number @ 1..=MOST_COLUMNS) if rest.is_empty() => {
                    let number = usize::try_from(number).map_err(|_| Ended::NotUnderstood)?;
                    Ok(Outcome::Columns(number))
                }
                _ => Err(Ended::NotUnderstood.into()),
            },
        }
    }

    async fn row(&mut self) -> Result<Row, Failure> {
        let packet = self.read(MOST_IN_A_RESULT).await?;
        if packet.first() == Some(&ERROR) {
            return Err(Failure::Said(Said::parse(&packet)));
        }
        Ok(match of_end(&packet) {
            Some(status) => Row::End(status),
            None => Row::Values(packet),
        })
    }

    /// Passes over so many definitions of columns or parameters, and what ends them.
    async fn pass_over(&mut self, definitions: usize) -> Result<(), Failure> {
        for _ in 0..definitions {
            self.read(LONGEST_DEFINITION).await?;
        }
        self.end_of_definitions().await
    }

    async fn end_of_definitions(&mut self) -> Result<(), Failure> {
        let packet = self.read(LONGEST_PACKET).await?;
        match of_end(&packet) {
            Some(_) => Ok(()),
            None => Err(Ended::NotUnderstood.into()),
        }
    }

    async fn read(&mut self, most: usize) -> Result<Bytes, Failure> {
        let read = timeout(ANSWER_TIME, self.packets.read(most)).await;
        Ok(read.map_err(|_| Failure::Silent)??)
    }
}

/// What comes where a row may.
enum Row {
    Values(Bytes),
    End(StatusFlags),
}

fn command(kind: Command, content: &[u8]) -> Vec<u8> {
    [&[kind as u8], content].concat()
}

/// The id of a prepared statement, and how many columns and parameters it has.
fn of_prepared(packet: &[u8]) -> Option<([u8; 4], usize, usize)> {
    let mut rest = ParseBuf(packet);
    if rest.checked_eat_u8()? != OK {
        return None;
    }
    let id = rest.checked_eat_u32_le()?.to_le_bytes();
    let columns = rest.checked_eat_u16_le()?.into();
    let parameters = rest.checked_eat_u16_le()?.into();
    Some((id, columns, parameters))
}

/// The status that a packet says which begins with [`OK`].
fn of_ok(packet: &[u8]) -> Option<StatusFlags> {
    let mut rest = ParseBuf(packet.get(1..)?);
    let _rows = rest.checked_eat_lenenc_int()?;
    let _id = rest.checked_eat_lenenc_int()?;
    let status = rest.checked_eat_u16_le()?;
    Some(StatusFlags::from_bits_truncate(status))
}

/// The status that a packet says which ends rows or definitions. No row that is so short begins like it.
fn of_end(packet: &[u8]) -> Option<StatusFlags> {
    let mut rest = ParseBuf(packet);
    if rest.len() >= 9 || rest.checked_eat_u8()? != END {
        return None;
    }
    let _warnings = rest.checked_eat_u16_le()?;
    let status = rest.checked_eat_u16_le()?;
    Some(StatusFlags::from_bits_truncate(status))
}

/// First bytes of packets.
const OK: u8 = 0x00;
const FILE: u8 = 0xfb;
const END: u8 = 0xfe;

/// All rows come at once, as fast as they are read.
const NO_CURSOR: u8 = 0;

/// The error of a server that knows the statement, but only where it is not prepared.
const CANNOT_BE_PREPARED: u16 = 1295;

/// Columns of a result, as many as a table can have.
const MOST_COLUMNS: u64 = 4096;

/// Bytes of a packet that is no row, and of the definition of a column.
const LONGEST_PACKET: usize = 1 << 20;
const LONGEST_DEFINITION: usize = 64 << 10;

/// How long the server may say nothing.
pub(super) const ANSWER_TIME: Duration = Duration::from_secs(60);
