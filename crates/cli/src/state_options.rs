//! Stores and databases of a start: where those are that nobody configured, and what is put into them before guests run.
//!
//! ```text
//! --state-dir, SPIN_STATE_DIR, state_dir of the runtime config file ─────► StateDir ─┐
//! labels of components, of `--key-value` and of `--sqlite` ──────────────────────────┼─► InitialState
//! --key-value KEY=VALUE, --sqlite SQL, --sqlite @FILE ───────────────────────────────┘
//! ```
//!
//! Nothing is opened here. As with Spin, pairs and statements alone are for the label `default`, whether or not a component
//! lists it.

use std::ffi::OsString;
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::LazyLock;

use clap::Args;
use clap::builder::OsStringValueParser;
use outport_check::Diagnostic;
use outport_manifest::{
    ClientConnections, DEFAULT_LABEL, Database, KeyValueBackend, RuntimeConfig, SqliteBackend, StateDir,
    Stores, parse_label,
};
use outport_policy::{Label, LabelKind, Location, text};

use crate::configuration::Given;
use crate::files::{read_text, unreadable};

/// Options for what components keep.
#[derive(Debug, Clone, Args)]
pub(crate) struct StateOptions {
    /// Keep stores and databases that are configured nowhere in this directory; an empty name keeps them in memory.
    /// `SPIN_STATE_DIR` names one as with Spin, and so does `state_dir` of the runtime config file [default of `up`:
    /// `.spin` beside the manifest, else in memory]
    #[arg(long, value_name = "DIR", value_parser = OsStringValueParser::new())]
    state_dir: Option<OsString>,

    /// Set a pair in the key-value store `default` before guests run; may be given several times
    #[arg(long, value_name = "KEY=VALUE")]
    key_value: Vec<Pair>,

    /// Run SQL in the database `default` before guests run, or the SQL of a file in the database LABEL; may be given
    /// several times
    #[arg(long, value_name = "SQL|@FILE[:LABEL]")]
    sqlite: Vec<SqlArgument>,
}

/// What the stores and databases of a start are, and what is put into them.
pub(crate) struct InitialState {
    /// What every label leads to.
    pub(crate) stores: Stores,
    /// For the key-value store `default`, in the order in which they were given.
    pub(crate) pairs: Vec<Pair>,
    /// In the order in which they were given.
    pub(crate) statements: Vec<Statements>,
    /// How many connections each component may have to servers.
    pub(crate) connections: ClientConnections,
}

/// A pair of a key-value store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Pair {
    pub(crate) key: String,
    pub(crate) value: String,
}

/// SQL for a database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Statements {
    /// The label of the database.
    pub(crate) label: String,
    pub(crate) sql: String,
    /// The file that it was read from, for messages.
    pub(crate) file: Option<PathBuf>,
    /// The place where it or its file is named.
    pub(crate) location: Location,
}

/// `SQL`, `@FILE` or `@FILE:LABEL`.
#[derive(Debug, Clone, PartialEq, Eq)]
enum SqlArgument {
    Text(String),
    File { path: PathBuf, label: String },
}

static KEY_VALUE_OPTION: LazyLock<Location> = LazyLock::new(|| option("--key-value"));

static SQLITE_OPTION: LazyLock<Location> = LazyLock::new(|| option("--sqlite"));

impl StateOptions {
    /// Finds what each label leads to, and reads what is put there. `labels` are those that components list, and
    /// `otherwise` is the state directory if nobody names one. What is wrong is put to the rest.
    pub(crate) fn resolve(
        &self,
        mut labels: Vec<Label>,
        config: Option<&RuntimeConfig>,
        otherwise: StateDir,
        wrong: &mut Vec<Diagnostic>,
    ) -> InitialState {
        if !self.key_value.is_empty() {
            let kind = LabelKind::KeyValueStore;
            labels.push(Label::new(kind, DEFAULT_LABEL, KEY_VALUE_OPTION.clone()));
        }
        let databases = self.sqlite.iter().map(SqlArgument::label);
        let kind = LabelKind::SqliteDatabase;
        labels.extend(databases.map(|label| Label::new(kind, label, SQLITE_OPTION.clone())));
        let state_dir = self.state_dir(config, otherwise);
        let stores = Stores::resolve(&labels, config, &state_dir);
        wrong.extend(stores.problems().iter().map(Diagnostic::from));
        let mut statements = Vec::new();
        let given = Given::of_the_process();
        for (argument, location) in self.sqlite.iter().zip(given.locations("sqlite")) {
            match argument.read(location) {
                Ok(read) => statements.push(read),
                Err(unreadable) => wrong.push(unreadable),
            }
        }
        InitialState {
            stores: stores.tentative().clone(),
            pairs: self.key_value.clone(),
            statements,
            connections: config.map_or_else(ClientConnections::default, |config| {
                config.client_connections.clone()
            }),
        }
    }

    /// Where stores and databases are that are configured nowhere.
    fn state_dir(&self, config: Option<&RuntimeConfig>, otherwise: StateDir) -> StateDir {
        match self.state_dir.clone() {
            Some(given) => StateDir::at(given),
            None => config
                .and_then(|config| config.state_dir.as_ref())
                .map_or(otherwise, |written| written.value.clone()),
        }
    }
}

impl InitialState {
    /// What each label leads to, for people: `key-value default` and `.spin/sqlite_key_value.db`. Of a server that the
    /// operator configured that is its address (HI-6).
    pub(crate) fn lines(&self) -> impl Iterator<Item = (String, String)> {
        let key_value = self.stores.key_value.iter().map(|store| {
            let shown = match &store.backend {
                KeyValueBackend::Local(database) => shown(database),
                KeyValueBackend::Redis(url) => url.to_string(),
            };
            (LabelKind::KeyValueStore, &store.label, shown)
        });
        let sqlite = self.stores.sqlite.iter().map(|store| {
            let shown = match &store.backend {
                SqliteBackend::Local(database) => shown(database),
                SqliteBackend::LibSql { url, .. } => url.to_string(),
            };
            (LabelKind::SqliteDatabase, &store.label, shown)
        });
        let models = self.stores.models.iter().flat_map(|models| {
            let server = &models.server.url;
            let shown = |name| (LabelKind::AiModel, name, server.to_string());
            models.names.iter().map(shown)
        });
        let all = key_value.chain(sqlite).chain(models);
        all.map(|(kind, label, leads_to)| (format!("{} {}", kind.prefix(), text::message(label)), leads_to))
    }
}

fn shown(database: &Database) -> String {
    match database {
        Database::Memory => "in memory".to_owned(),
        Database::File(path) => text::path(path).to_string(),
    }
}

impl SqlArgument {
    fn label(&self) -> &str {
        match self {
            Self::Text(_) => DEFAULT_LABEL,
            Self::File { label, .. } => label,
        }
    }

    fn read(&self, location: Location) -> Result<Statements, Diagnostic> {
        let (sql, file) = match self {
            Self::Text(sql) => (sql.clone(), None),
            Self::File { path, .. } => {
                let unreadable = |error| unreadable(path, "file of `--sqlite`", &error).at(location.clone());
                (read_text(path).map_err(unreadable)?, Some(path.clone()))
            }
        };
        Ok(Statements {
            label: self.label().to_owned(),
            sql,
            file,
            location,
        })
    }
}

impl FromStr for Pair {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, &'static str> {
        match text.split_once('=') {
            None => Err("write `KEY=VALUE`"),
            Some(("", _)) => Err("a pair needs a key before the `=`"),
            Some((key, value)) => Ok(Self {
                key: key.to_owned(),
                value: value.to_owned(),
            }),
        }
    }
}

impl FromStr for SqlArgument {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text.trim().is_empty() {
            return Err("there is no SQL in it".into());
        }
        let Some(named) = text.strip_prefix('@') else {
            return Ok(Self::Text(text.to_owned()));
        };
        let (path, label) = match named.rsplit_once(':') {
            // A colon before a `/` or `.` is part of the name of the file.
            Some((path, label)) if !label.contains(['/', '.']) => {
                let kind = LabelKind::SqliteDatabase;
                let label = parse_label(kind, label, SQLITE_OPTION.clone())
                    .map_err(|error| format!("`{label}` is not the label of a database: {error}"))?;
                (path, label.as_str().to_owned())
            }
            _ => (named, DEFAULT_LABEL.to_owned()),
        };
        if path.is_empty() {
            return Err("write `@FILE` or `@FILE:LABEL`".into());
        }
        let path = PathBuf::from(path);
        Ok(Self::File { path, label })
    }
}

/// The place of what an option says.
fn option(name: &str) -> Location {
    Location::Option { name: name.into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_are_split_at_the_first_equals_sign() {
        let read = |text: &str| text.parse::<Pair>().map(|pair| (pair.key, pair.value));
        assert_eq!(read("a=b=c"), Ok(("a".into(), "b=c".into())));
        assert_eq!(read("a="), Ok(("a".into(), String::new())));
        read("=b").expect_err("it has no key");
        read("a").expect_err("it has no value");
    }

    #[test]
    fn sql_is_given_by_itself_or_in_a_file_for_a_label() {
        let file = |path: &str, label: &str| {
            Ok(SqlArgument::File {
                path: path.into(),
                label: label.into(),
            })
        };
        let sql = "INSERT INTO t VALUES ('a:b@c')";
        for (text, expected) in [
            (sql, Ok(SqlArgument::Text(sql.into()))),
            ("@init.sql", file("init.sql", "default")),
            ("@init.sql:orders", file("init.sql", "orders")),
            ("@a:b/init.sql", file("a:b/init.sql", "default")),
            ("@a:b/init.sql:orders", file("a:b/init.sql", "orders")),
        ] {
            assert_eq!(text.parse::<SqlArgument>(), expected, "{text}");
        }
        for text in ["", " ", "@", "@:orders", "@init.sql:", "@init.sql:Not Ok"] {
            assert!(text.parse::<SqlArgument>().is_err(), "{text}");
        }
    }

    #[test]
    fn what_pairs_and_statements_are_for_is_resolved_though_no_component_lists_it() {
        let options = StateOptions {
            state_dir: Some("state".into()),
            key_value: vec!["a=b".parse().expect("a pair")],
            sqlite: vec![
                "SELECT 1".parse().expect("SQL"),
                "@none.sql:orders".parse().expect("a file"),
            ],
        };
        let mut wrong = Vec::new();
        let state = options.resolve(Vec::new(), None, StateDir::None, &mut wrong);
        let lines: Vec<_> = state.lines().collect();
        let expected = [
            ("key-value default", "state/sqlite_key_value.db"),
            ("sqlite default", "state/sqlite_db.db"),
        ];
        assert_eq!(
            lines,
            expected.map(|(label, file)| (label.to_owned(), file.to_owned()))
        );
        let wrong: Vec<&str> = wrong.iter().map(|wrong| wrong.message.as_str()).collect();
        assert_eq!(
            wrong,
            [
                "nothing defines `orders` of `sqlite_databases`",
                "there is no file of `--sqlite` `none.sql`"
            ]
        );
    }

    #[test]
    fn the_option_counts_before_the_file_and_an_empty_one_is_no_directory() {
        let file = outport_manifest::SourceFile::new("runtime.toml", "state_dir = \"of-the-file\"");
        let (config, _) = RuntimeConfig::parse(&file).complete().expect("a config");
        for (option, config, expected) in [
            (Some("given"), Some(&config), StateDir::at("given")),
            (Some(""), Some(&config), StateDir::None),
            (None, Some(&config), StateDir::at("of-the-file")),
            (None, None, StateDir::at(".spin")),
        ] {
            let options = StateOptions {
                state_dir: option.map(OsString::from),
                key_value: Vec::new(),
                sqlite: Vec::new(),
            };
            let found = options.state_dir(config, StateDir::at(".spin"));
            assert_eq!(found, expected, "{option:?}");
        }
    }
}
