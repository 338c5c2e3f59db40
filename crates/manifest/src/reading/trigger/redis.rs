//! `[[trigger.redis]]`: what is published on a channel of a Redis server.
//!
//! | key | |
//! | --- | --- |
//! | `channel` | the channel, by its name |
//! | `address` | the server; without it that of `[application.trigger.redis]` |
//!
//! Both may have variables.

use std::fmt;

use crate::reading::component::read_template;
use crate::reading::fields::Fields;
use crate::reading::trigger::event::{Setting, require_filled_template};
use crate::report::findings::Findings;
use crate::source::Located;
use crate::template::Template;

/// A channel of a Redis server. `Debug` does not show the address, which may have a password in it.
#[derive(Clone)]
pub struct RedisChannel {
    /// The name of the channel.
    pub channel: Located<Template>,
    /// The URL of the server: the trigger's own, or the app's.
    pub address: Located<Template>,
}

impl fmt::Debug for RedisChannel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("RedisChannel");
        shown.field("channel", &self.channel).finish_non_exhaustive()
    }
}

/// Reads `[application.trigger.redis]`: the server of triggers that name none.
pub(crate) fn read_settings(found: &mut Findings, mut fields: Fields<'_>) -> Setting<Located<Template>> {
    let address = require_filled_template(found, &mut fields, "address");
    fields.finish(found);
    Setting::of(address)
}

pub(crate) fn read_channel(
    found: &mut Findings,
    fields: &mut Fields<'_>,
    of_app: &Setting<Located<Template>>,
) -> Option<RedisChannel> {
    let channel = require_filled_template(found, fields, "channel");
    let address = match (fields.get("address"), of_app) {
        (Some(node), _) => node
            .filled_string(found)
            .and_then(|text| read_template(found, &text)),
        (None, Setting::Read(address)) => Some(address.clone()),
        (None, Setting::Wrong) => None,
        (None, Setting::Absent) => {
            fields.require(found, "address");
            None
        }
    };
    Some(RedisChannel {
        channel: channel?,
        address: address?,
    })
}
