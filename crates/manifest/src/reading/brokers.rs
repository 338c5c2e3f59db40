//! The servers that triggers listen to, where the operator configures them: `[trigger.redis]`, `[trigger.mqtt]` and
//! `[trigger.sqs]` of the runtime config file.
//!
//! | table | key | |
//! | --- | --- | --- |
//! | `[trigger.redis]` | `address` | the server of all channels, whatever the manifest says |
//! | `[trigger.mqtt]` | `address` | the broker of all topics, likewise |
//! | | `client_id` | what the client identifiers of all triggers begin with, so that their sessions outlive the process |
//! | `[trigger.sqs]` | `endpoint` | the server of all queues, instead of those that their URLs name |
//! | | `region` | the region of queues whose URLs name none |
//!
//! Spin has none of them. An address here is the operator's (HI-6).

use crate::reading::fields::{Fields, Node};
use crate::report::findings::Findings;
use crate::report::mistake::Mistake;
use crate::source::Located;
use crate::values::server_url::ServerUrl;

/// What the operator says about brokers and queues. What is not written is `None`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BrokerSettings {
    /// `[trigger.redis] address`: `redis://` or `rediss://`.
    pub redis: Option<Located<ServerUrl>>,
    /// `[trigger.mqtt] address`: `mqtt://` or `mqtts://`.
    pub mqtt: Option<Located<ServerUrl>>,
    /// `[trigger.mqtt] client_id`: what a client identifier begins with.
    pub mqtt_client_id: Option<Located<String>>,
    /// `[trigger.sqs] endpoint`: `http://` or `https://`.
    pub sqs_endpoint: Option<Located<ServerUrl>>,
    /// `[trigger.sqs] region`
    pub sqs_region: Option<Located<String>>,
}

impl BrokerSettings {
    /// The servers, each with the table that it is of.
    pub fn servers(&self) -> impl Iterator<Item = (&'static str, &Located<ServerUrl>)> {
        [
            ("trigger.redis", &self.redis),
            ("trigger.mqtt", &self.mqtt),
            ("trigger.sqs", &self.sqs_endpoint),
        ]
        .into_iter()
        .filter_map(|(table, server)| Some((table, server.as_ref()?)))
    }
}

/// Reads `trigger`.
pub(crate) fn read_broker_settings(found: &mut Findings, node: Node<'_>) -> Option<BrokerSettings> {
    let mut tables = node.table(found, "`[trigger]`")?;
    let mut settings = BrokerSettings::default();
    if let Some(mut fields) = table(found, &mut tables, "redis") {
        settings.redis = read_server(found, &mut fields, "address", &ServerUrl::REDIS);
        fields.finish(found);
    }
    if let Some(mut fields) = table(found, &mut tables, "mqtt") {
        settings.mqtt = read_server(found, &mut fields, "address", &ServerUrl::MQTT);
        settings.mqtt_client_id = fields
            .get("client_id")
            .and_then(|node| node.filled_string(found))
            .filter(|id| is_client_id(found, id));
        fields.finish(found);
    }
    if let Some(mut fields) = table(found, &mut tables, "sqs") {
        let endpoint = read_server(found, &mut fields, "endpoint", &HTTP);
        settings.sqs_endpoint = endpoint.filter(|url| has_a_path_alone(found, url));
        settings.sqs_region = fields.get("region").and_then(|node| node.filled_string(found));
        fields.finish(found);
    }
    tables.finish(found);
    Some(settings)
}

fn table<'n>(found: &mut Findings, tables: &mut Fields<'n>, name: &'static str) -> Option<Fields<'n>> {
    tables.get(name)?.table(found, format!("`[trigger.{name}]`"))
}

fn read_server(
    found: &mut Findings,
    fields: &mut Fields<'_>,
    key: &'static str,
    schemes: &[(&str, u16)],
) -> Option<Located<ServerUrl>> {
    let text = fields.get(key)?.filled_string(found)?;
    match ServerUrl::parse(&text.value, schemes) {
        Ok(url) => Some(Located::new(url, text.span)),
        Err(error) => {
            let scheme = schemes[0].0;
            let mistake = Mistake::Value {
                key: key.to_owned(),
                wrong: error.to_string(),
                help: Some(format!("write `{scheme}://HOST` or `{scheme}://HOST:PORT`")),
            };
            found.report(&text.span, mistake);
            None
        }
    }
}

fn has_a_path_alone(found: &mut Findings, url: &Located<ServerUrl>) -> bool {
    let Err(error) = url.value.clone().with_path_alone() else {
        return true;
    };
    let mistake = Mistake::Value {
        key: "endpoint".to_owned(),
        wrong: error.to_string(),
        help: Some("credentials of AWS are those of the environment".to_owned()),
    };
    found.report(&url.span, mistake);
    false
}

fn is_client_id(found: &mut Findings, id: &Located<String>) -> bool {
    let is_short = id.value.len() <= MOST_OF_A_CLIENT_ID;
    if is_short && !id.value.contains(char::is_control) {
        return true;
    }
    let mistake = Mistake::Value {
        key: "client_id".to_owned(),
        wrong: format!("has control characters, or more than {MOST_OF_A_CLIENT_ID} bytes"),
        help: Some("the id of the trigger is put behind it".to_owned()),
    };
    found.report(&id.span, mistake);
    false
}

/// Bytes of what a client identifier begins with, so that there is room for the rest.
const MOST_OF_A_CLIENT_ID: usize = 1024;

const HTTP: [(&str, u16); 2] = [("http", 80), ("https", 443)];
