//! What the host connects to on a guest's behalf, and how worlds and attempts are written for all of it at once.

use serde::Deserialize;

use super::table::{Attempt, World};

/// A service that has an interface of its own: its worlds and attempts are those of the file, in which stands
///
/// | written | for |
/// | --- | --- |
/// | `{scheme}`, `{port}` | its scheme in entries, and its port |
/// | `{other}` | another port, where somebody is who sends away those that wait to be spoken to |
/// | `{to}`, `{end}` | the statement up to the place, and what follows it: `{to}good.test{end}` is `redis2.open redis://good.test` |
/// | `{refused}` | what the guest gets for a place that it may not go to |
/// | `{malformed}` | what it gets for an address string that is refused |
/// | `{opened}` | what it gets where the world outside answers |
/// | `{close}` | the step after which the connection is used by nobody else; none where there is none |
/// | `{open}`, `{of}` | the statement without an address, and its interface: `redis2.open`, `redis2` |
///
/// A new interface is a table, and its statements in the guest `stores`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Service {
    pub(crate) name: String,
    scheme: String,
    port: u16,
    /// The statements that open a connection, in each version of the interface.
    opens: Vec<String>,
    /// An address string, with `{place}` for host and port.
    address: String,
    refused: String,
    malformed: String,
    opened: String,
    #[serde(default)]
    close: String,
    #[serde(default = "sent_away")]
    other: u16,
}

fn sent_away() -> u16 {
    3307
}

impl Service {
    /// The world with this service in it, and each of its attempts once for each statement that opens a connection.
    pub(crate) fn world(&self, world: &World) -> World {
        let put = |text: &String| self.put(text);
        let all = |texts: &[String]| texts.iter().map(put).collect::<Vec<_>>();
        let attempts = self.opens.iter().flat_map(|open| {
            let (to, end) = self
                .address
                .split_once("{place}")
                .expect("an address has a place");
            let to = format!("{open} {to}");
            let (of, _) = open.split_once('.').expect("a verb of an interface");
            let put = move |text: &String| {
                self.put(text)
                    .replace("{close}", &self.close)
                    .replace("{to}", &to)
                    .replace("{end}", end)
                    .replace("{open}", open)
                    .replace("{of}", of)
            };
            world.attempt.iter().map(move |attempt| Attempt {
                guest: format!("{} ({open})", attempt.guest),
                each: attempt.each.iter().map(&put).collect(),
                does: attempt
                    .does
                    .iter()
                    .map(&put)
                    .filter(|step| !step.is_empty())
                    .collect(),
                ..attempt.clone()
            })
        });
        World {
            name: format!("{} ({})", world.name, self.name),
            guest: Some("stores".to_owned()),
            allow: all(&world.allow),
            deny: all(&world.deny),
            attempt: attempts.collect(),
            ..world.clone()
        }
    }

    fn put(&self, text: &str) -> String {
        text.replace("{scheme}", &self.scheme)
            .replace("{port}", &self.port.to_string())
            .replace("{other}", &self.other.to_string())
            .replace("{refused}", &self.refused)
            .replace("{malformed}", &self.malformed)
            .replace("{opened}", &self.opened)
    }
}
