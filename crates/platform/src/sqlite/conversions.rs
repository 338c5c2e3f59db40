//! Between the types of one version and those that all share. Each version has types of its own that look the same, so this
//! is written once, for the `sqlite` of whoever asks for it.

macro_rules! conversions {
    () => {
        impl From<super::session::NotOpened> for sqlite::Error {
            fn from(why: super::session::NotOpened) -> Self {
                use super::session::NotOpened;
                match why {
                    NotOpened::Denied => Self::AccessDenied,
                    NotOpened::Undefined => Self::NoSuchDatabase,
                    NotOpened::TooMany => Self::Io("too many connections are open".to_owned()),
                }
            }
        }

        impl From<super::SqliteError> for sqlite::Error {
            fn from(error: super::SqliteError) -> Self {
                match error {
                    super::SqliteError::Full => Self::DatabaseFull,
                    super::SqliteError::Other(text) => Self::Io(text),
                }
            }
        }

        impl From<sqlite::Value> for super::Value {
            fn from(value: sqlite::Value) -> Self {
                match value {
                    sqlite::Value::Integer(number) => Self::Integer(number),
                    sqlite::Value::Real(number) => Self::Real(number),
                    sqlite::Value::Text(text) => Self::Text(text),
                    sqlite::Value::Blob(bytes) => Self::Blob(bytes),
                    sqlite::Value::Null => Self::Null,
                }
            }
        }

        impl From<super::Value> for sqlite::Value {
            fn from(value: super::Value) -> Self {
                match value {
                    super::Value::Integer(number) => Self::Integer(number),
                    super::Value::Real(number) => Self::Real(number),
                    super::Value::Text(text) => Self::Text(text),
                    super::Value::Blob(bytes) => Self::Blob(bytes),
                    super::Value::Null => Self::Null,
                }
            }
        }

        impl From<super::Row> for sqlite::RowResult {
            fn from(row: super::Row) -> Self {
                Self {
                    values: row.into_iter().map(Into::into).collect(),
                }
            }
        }

        /// Executes a statement, and answers all of its rows.
        async fn execute(
            session: super::session::Session,
            statement: String,
            parameters: Vec<sqlite::Value>,
        ) -> Result<sqlite::QueryResult, sqlite::Error> {
            let parameters = parameters.into_iter().map(Into::into).collect();
            let (columns, rows) = session.execute_whole(statement, parameters).await?;
            Ok(sqlite::QueryResult {
                columns,
                rows: rows.into_iter().map(Into::into).collect(),
            })
        }
    };
}

pub(super) use conversions;
