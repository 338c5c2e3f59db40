//! The rows of a statement, which are taken from the server one by one; it waits while nobody takes them.

use tokio::sync::OwnedMutexGuard;

use super::columns::Column;
use super::connection::Client;
use super::failure::Failure;
use super::server::{At, Server};
use super::values::{Encoding, row};
use crate::rdbms::types::{self, DbValue, ParameterValue, RowSet};
use crate::room::{MOST_IN_A_RESULT, Room};

/// Rows that are still to come.
pub(super) struct Rows {
    columns: Vec<Column>,
    encoding: Encoding,
    room: Room,
    /// Until the last row was taken. Before the client, which gives the connection back when nobody has its turn.
    server: Option<OwnedMutexGuard<Server>>,
    _client: Client,
}

impl Client {
    /// Begins a statement of which the rows are wanted.
    pub(super) async fn rows(&self, statement: &str, values: Vec<ParameterValue>) -> Result<Rows, Failure> {
        let begun = self.begin_rows(statement, values);
        self.calls().call("query", None, begun).await
    }

    async fn begin_rows(&self, statement: &str, values: Vec<ParameterValue>) -> Result<Rows, Failure> {
        let mut server = self.turn().await?;
        let answer = server.run(statement, &values).await?;
        Ok(Rows {
            columns: answer.columns,
            encoding: answer.encoding,
            room: Room::new(MOST_IN_A_RESULT),
            server: Some(server).filter(|server| server.at != At::Rest),
            _client: self.clone(),
        })
    }

    /// Runs a statement of which no rows are wanted.
    pub(super) async fn execute(&self, statement: &str, values: Vec<ParameterValue>) -> Result<(), Failure> {
        let executed = self.execute_whole(statement, values);
        self.calls().call("execute", None, executed).await
    }

    async fn execute_whole(&self, statement: &str, values: Vec<ParameterValue>) -> Result<(), Failure> {
        let mut server = self.turn().await?;
        server.run(statement, &values).await?;
        while server.next_row().await?.is_some() {}
        Ok(())
    }

    /// All rows of a statement at once.
    pub(super) async fn row_set(
        &self,
        statement: &str,
        values: Vec<ParameterValue>,
    ) -> Result<RowSet, Failure> {
        let mut rows = self.rows(statement, values).await?;
        let columns = rows.columns();
        let mut all = Vec::new();
        while let Some(row) = rows.next().await? {
            all.push(row);
        }
        Ok(RowSet { columns, rows: all })
    }
}

impl Rows {
    pub(super) fn columns(&self) -> Vec<types::Column> {
        let columns = self.columns.iter().map(|column| types::Column {
            name: column.name.clone(),
            data_type: column.of,
        });
        columns.collect()
    }

    /// The next row, or none if that was the last.
    pub(super) async fn next(&mut self) -> Result<Option<Vec<DbValue>>, Failure> {
        let Some(server) = &mut self.server else {
            return Ok(None);
        };
        let packet = server.next_row().await;
        if server.at != At::Rows {
            self.server = None;
        }
        let Some(packet) = packet? else {
            return Ok(None);
        };
        row(&self.columns, self.encoding, &packet, &mut self.room).map(Some)
    }
}
