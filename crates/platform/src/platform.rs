//! What labels stand for, one for all components of a process.

#[cfg(any(feature = "key-value", feature = "sqlite"))]
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use outport_policy::LabelKind;

#[cfg(feature = "key-value")]
use crate::key_value::{KeyValueDefinition, KeyValueStore};
#[cfg(feature = "llm")]
use crate::llm::ModelServer;
#[cfg(feature = "mqtt")]
use crate::mqtt::Mqtt;
#[cfg(feature = "mysql")]
use crate::mysql::Mysql;
#[cfg(feature = "postgres")]
use crate::postgres::Postgres;
#[cfg(feature = "redis")]
use crate::redis::Redis;
#[cfg(feature = "sqlite")]
use crate::sqlite::{SqliteDatabase, SqliteDefinition};

/// The stores of a process by their labels. Cheap to clone; clones share everything.
#[derive(Clone, Default)]
pub struct Platform(Arc<PlatformInner>);

#[derive(Default)]
struct PlatformInner {
    #[cfg(feature = "key-value")]
    key_value_stores: BTreeMap<String, KeyValueStore>,
    #[cfg(feature = "mqtt")]
    mqtt: Mqtt,
    #[cfg(feature = "mysql")]
    mysql: Mysql,
    #[cfg(feature = "postgres")]
    postgres: Postgres,
    #[cfg(feature = "redis")]
    redis: Redis,
    #[cfg(feature = "llm")]
    model_server: Option<ModelServer>,
    #[cfg(feature = "sqlite")]
    sqlite_databases: BTreeMap<String, SqliteDatabase>,
}

/// Collects what labels stand for.
#[derive(Default)]
pub struct PlatformBuilder {
    #[cfg(feature = "key-value")]
    key_value_stores: BTreeMap<String, KeyValueDefinition>,
    #[cfg(all(feature = "key-value", feature = "redis"))]
    on_redis: BTreeMap<String, KeyValueStore>,
    #[cfg(feature = "mqtt")]
    mqtt_max_connections: Option<u32>,
    #[cfg(feature = "mysql")]
    mysql_max_connections: Option<u32>,
    #[cfg(feature = "postgres")]
    postgres_max_connections: Option<u32>,
    #[cfg(feature = "redis")]
    redis_max_connections: Option<u32>,
    #[cfg(feature = "llm")]
    model_server: Option<ModelServer>,
    #[cfg(feature = "sqlite")]
    sqlite_databases: BTreeMap<String, SqliteDefinition>,
    #[cfg(feature = "sqlite")]
    on_servers: BTreeMap<String, SqliteDatabase>,
}

impl Platform {
    /// Without any label.
    pub fn builder() -> PlatformBuilder {
        PlatformBuilder::default()
    }

    /// Whether somebody defines the label. One that nobody does is refused before anything runs (HI-5).
    pub fn defines(&self, kind: LabelKind, label: &str) -> bool {
        let _ = label;
        match kind {
            #[cfg(feature = "key-value")]
            LabelKind::KeyValueStore => self.0.key_value_stores.contains_key(label),
            // All models are those of one server, which alone knows what it runs.
            #[cfg(feature = "llm")]
            LabelKind::AiModel => self.0.model_server.is_some(),
            #[cfg(feature = "sqlite")]
            LabelKind::SqliteDatabase => self.0.sqlite_databases.contains_key(label),
            #[cfg(not(all(feature = "key-value", feature = "llm", feature = "sqlite")))]
            _ => false,
        }
    }

    /// The key-value store of that label.
    #[cfg(feature = "key-value")]
    pub fn key_value_store(&self, label: &str) -> Option<&KeyValueStore> {
        self.0.key_value_stores.get(label)
    }

    /// The connections to MQTT brokers.
    #[cfg(feature = "mqtt")]
    pub(crate) fn mqtt(&self) -> &Mqtt {
        &self.0.mqtt
    }

    /// The connections to MySQL servers.
    #[cfg(feature = "mysql")]
    pub(crate) fn mysql(&self) -> &Mysql {
        &self.0.mysql
    }

    /// The connections to PostgreSQL servers.
    #[cfg(feature = "postgres")]
    pub(crate) fn postgres(&self) -> &Postgres {
        &self.0.postgres
    }

    /// The connections to Redis servers.
    #[cfg(feature = "redis")]
    pub(crate) fn redis(&self) -> &Redis {
        &self.0.redis
    }

    /// Who runs models.
    #[cfg(feature = "llm")]
    pub fn model_server(&self) -> Option<&ModelServer> {
        self.0.model_server.as_ref()
    }

    /// The database of that label.
    #[cfg(feature = "sqlite")]
    pub fn sqlite_database(&self, label: &str) -> Option<&SqliteDatabase> {
        self.0.sqlite_databases.get(label)
    }
}

/// The labels; what they stand for may hold a secret.
impl fmt::Debug for Platform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("Platform");
        #[cfg(feature = "key-value")]
        shown.field("key_value_stores", &self.0.key_value_stores.keys());
        #[cfg(feature = "llm")]
        shown.field("has_model_server", &self.0.model_server.is_some());
        #[cfg(feature = "sqlite")]
        shown.field("sqlite_databases", &self.0.sqlite_databases.keys());
        shown.finish()
    }
}

impl PlatformBuilder {
    /// Lets `label` stand for a key-value store. The later of two definitions counts.
    #[cfg(feature = "key-value")]
    #[must_use]
    pub fn key_value_store(mut self, label: impl Into<String>, definition: KeyValueDefinition) -> Self {
        self.key_value_stores.insert(label.into(), definition);
        self
    }

    /// Lets `label` stand for the keys of a Redis server, in the database that `url` names: `redis://…` or `rediss://…`, as a
    /// guest writes them. The address is the operator's, who wrote it at `location` (HI-6): `egress` connects to it
    /// whatever guests may not reach, and the audit log has that of `key_value_store.LABEL (operator)`. It is not
    /// connected to before it is used.
    ///
    /// # Errors
    ///
    /// A part of `url` is not understood.
    #[cfg(all(feature = "key-value", feature = "redis"))]
    pub fn redis_key_value_store(
        mut self,
        label: &str,
        egress: &outport_egress::Egress,
        url: &str,
        location: outport_policy::Location,
    ) -> Result<Self, crate::key_value::RedisUrlError> {
        let store = KeyValueStore::on_redis(egress, label, url, location)?;
        self.on_redis.insert(label.to_owned(), store);
        Ok(self)
    }

    /// How many connections to MQTT brokers the instances of one component may have open together. One more is refused with
    /// `too-many-connections`. Default: as many as they may have sockets.
    #[cfg(feature = "mqtt")]
    #[must_use]
    pub fn mqtt_max_connections(mut self, number: u32) -> Self {
        self.mqtt_max_connections = Some(number);
        self
    }

    /// How many connections to MySQL servers the instances of one component may have open together. One more is refused
    /// with `connection-failed`. Default: as many as they may have sockets.
    #[cfg(feature = "mysql")]
    #[must_use]
    pub fn mysql_max_connections(mut self, number: u32) -> Self {
        self.mysql_max_connections = Some(number);
        self
    }

    /// How many connections to PostgreSQL servers the instances of one component may have open together. One more is refused
    /// with `connection-failed`. Default: as many as they may have sockets.
    #[cfg(feature = "postgres")]
    #[must_use]
    pub fn postgres_max_connections(mut self, number: u32) -> Self {
        self.postgres_max_connections = Some(number);
        self
    }

    /// How many connections to Redis servers the instances of one component may have open together. One more is refused with
    /// `too-many-connections`. Default: as many as they may have sockets.
    #[cfg(feature = "redis")]
    #[must_use]
    pub fn redis_max_connections(mut self, number: u32) -> Self {
        self.redis_max_connections = Some(number);
        self
    }

    /// Has this server run all models. The later of two counts.
    #[cfg(feature = "llm")]
    #[must_use]
    pub fn model_server(mut self, server: ModelServer) -> Self {
        self.model_server = Some(server);
        self
    }

    /// Lets `label` stand for an SQLite database. The later of two definitions counts.
    #[cfg(feature = "sqlite")]
    #[must_use]
    pub fn sqlite_database(mut self, label: impl Into<String>, definition: SqliteDefinition) -> Self {
        self.sqlite_databases.insert(label.into(), definition);
        self
    }

    /// Lets `label` stand for the database of a libSQL server at `url`, `http://…` or `https://…`, which knows its client by
    /// `token` if that is not empty. The address is the operator's, who wrote it at `location` (HI-6): `egress` connects to it
    /// whatever guests may not reach, and the audit log has that of `sqlite_database.LABEL (operator)`. It is not connected
    /// to before it is used. It counts before a definition of the same label.
    ///
    /// # Errors
    ///
    /// The address or the token is not one.
    #[cfg(feature = "sqlite")]
    pub fn libsql_database(
        mut self,
        label: &str,
        egress: &outport_egress::Egress,
        (url, token): (&str, &str),
        location: outport_policy::Location,
    ) -> Result<Self, crate::ServerError> {
        let database = SqliteDatabase::on_server(egress, label, (url, token), location)?;
        self.on_servers.insert(label.to_owned(), database);
        Ok(self)
    }

    /// The platform. Nothing is opened yet: a file is when it is first used.
    pub fn build(self) -> Platform {
        #[cfg(feature = "key-value")]
        let key_value_stores = KeyValueStore::all(self.key_value_stores);
        #[cfg(all(feature = "key-value", feature = "redis"))]
        let key_value_stores = key_value_stores.into_iter().chain(self.on_redis).collect();
        #[cfg(feature = "sqlite")]
        let sqlite_databases = {
            let mut databases = SqliteDatabase::all(self.sqlite_databases);
            databases.extend(self.on_servers);
            databases
        };
        Platform(Arc::new(PlatformInner {
            #[cfg(feature = "key-value")]
            key_value_stores,
            #[cfg(feature = "mqtt")]
            mqtt: Mqtt::new(self.mqtt_max_connections),
            #[cfg(feature = "mysql")]
            mysql: Mysql::new(self.mysql_max_connections),
            #[cfg(feature = "postgres")]
            postgres: Postgres::new(self.postgres_max_connections),
            #[cfg(feature = "redis")]
            redis: Redis::new(self.redis_max_connections),
            #[cfg(feature = "llm")]
            model_server: self.model_server,
            #[cfg(feature = "sqlite")]
            sqlite_databases,
        }))
    }
}
