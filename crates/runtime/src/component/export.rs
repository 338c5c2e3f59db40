//! What a component can be started for, by the names of what it exports.

/// The export of a component that Outport can start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Export {
    /// `wasi:cli/run` of WASI 0.2.
    CommandP2,
    /// `wasi:cli/run` of WASI 0.3.
    CommandP3,
    /// `wasi:http/incoming-handler` of WASI 0.2.
    HttpP2,
    /// `wasi:http/handler` of WASI 0.3.
    HttpP3,
    /// `fermyon:spin/inbound-http` of Spin's first interfaces, which have no version.
    InboundHttp,
    /// `fermyon:spin/inbound-redis` of Spin's first interfaces, which have no version.
    InboundRedis,
    /// `spin:redis/inbound-redis` of version 3.
    InboundRedisV3,
    /// `handle-cron-event`, a function of the component itself.
    CronEvent,
    /// `handle-message`, a function of the component itself: a message of MQTT.
    MqttMessage,
    /// `handle-queue-message`, a function of the component itself: a message of SQS.
    QueueMessage,
}

impl Export {
    /// What an export of this name is, if it can be started.
    pub fn of(export: &str) -> Option<Self> {
        ALL.into_iter().find(|known| known.is_in(export))
    }

    /// What it is started for: `answers HTTP (WASI 0.2)`.
    pub fn purpose(self) -> &'static str {
        match self {
            Self::CommandP2 => "runs as a command (WASI 0.2)",
            Self::CommandP3 => "runs as a command (WASI 0.3)",
            Self::HttpP2 => "answers HTTP (WASI 0.2)",
            Self::HttpP3 => "answers HTTP (WASI 0.3)",
            Self::InboundHttp => "answers HTTP (Spin's first interface)",
            Self::InboundRedis => "handles messages of Redis (Spin's first interface)",
            Self::InboundRedisV3 => "handles messages of Redis",
            Self::CronEvent => "handles events of a clock",
            Self::MqttMessage => "handles messages of MQTT",
            Self::QueueMessage => "handles messages of SQS",
        }
    }

    /// Whether it is started for requests.
    pub fn answers_http(self) -> bool {
        matches!(self, Self::HttpP2 | Self::HttpP3 | Self::InboundHttp)
    }

    /// Whether it is run once, to its end.
    pub fn runs_as_command(self) -> bool {
        matches!(self, Self::CommandP2 | Self::CommandP3)
    }

    /// Whether it is started for events.
    pub fn handles_events(self) -> bool {
        matches!(
            self,
            Self::InboundRedis
                | Self::InboundRedisV3
                | Self::CronEvent
                | Self::MqttMessage
                | Self::QueueMessage
        )
    }

    /// What a message calls it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::CommandP2 | Self::CommandP3 => "wasi:cli/run",
            Self::HttpP2 => "wasi:http/incoming-handler",
            Self::HttpP3 => "wasi:http/handler",
            Self::InboundHttp => INBOUND_HTTP,
            Self::InboundRedis => INBOUND_REDIS,
            Self::InboundRedisV3 => "spin:redis/inbound-redis",
            Self::CronEvent => "handle-cron-event",
            Self::MqttMessage => "handle-message",
            Self::QueueMessage => "handle-queue-message",
        }
    }

    pub(super) fn is_in(self, export: &str) -> bool {
        let (interface, version) = export.split_once('@').unwrap_or((export, ""));
        let track = match self {
            Self::CommandP2 | Self::HttpP2 => "0.2.",
            Self::CommandP3 | Self::HttpP3 => "0.3.",
            Self::InboundRedisV3 => "3.",
            // Without a version.
            _ => return export == self.name(),
        };
        // A release candidate is another interface: its functions may differ.
        interface == self.name() && version.starts_with(track) && !version.contains('-')
    }
}

const ALL: [Export; 10] = [
    Export::CommandP2,
    Export::CommandP3,
    Export::HttpP2,
    Export::HttpP3,
    Export::InboundHttp,
    Export::InboundRedis,
    Export::InboundRedisV3,
    Export::CronEvent,
    Export::MqttMessage,
    Export::QueueMessage,
];

/// Spin's first interface of components that answer HTTP.
pub(crate) const INBOUND_HTTP: &str = "fermyon:spin/inbound-http";

/// The same for messages of Redis.
pub(crate) const INBOUND_REDIS: &str = "fermyon:spin/inbound-redis";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_export_is_an_interface_of_one_track_of_wasi() {
        // (export, expected)
        let cases: &[(&str, &[Export])] = &[
            ("wasi:cli/run@0.2.0", &[Export::CommandP2]),
            ("wasi:cli/run@0.2.12", &[Export::CommandP2]),
            ("wasi:cli/run@0.3.0", &[Export::CommandP3]),
            ("wasi:cli/run@0.3.0-rc-2026-03-15", &[]),
            ("wasi:cli/run", &[]),
            ("wasi:http/incoming-handler@0.2.6", &[Export::HttpP2]),
            ("wasi:http/handler@0.3.0", &[Export::HttpP3]),
            ("wasi:http/handler@0.4.0", &[]),
            ("fermyon:spin/inbound-http", &[Export::InboundHttp]),
            ("fermyon:spin/inbound-http@2.0.0", &[]),
            ("fermyon:spin/inbound-redis", &[Export::InboundRedis]),
            ("fermyon:spin/inbound-redis@2.0.0", &[]),
            ("spin:redis/inbound-redis@3.0.0", &[Export::InboundRedisV3]),
            ("spin:redis/inbound-redis", &[]),
            ("handle-cron-event", &[Export::CronEvent]),
            ("handle-message", &[Export::MqttMessage]),
            ("handle-queue-message", &[Export::QueueMessage]),
            ("a:b/handle-message", &[]),
        ];
        for (export, expected) in cases {
            let found: Vec<_> = ALL.into_iter().filter(|known| known.is_in(export)).collect();
            assert_eq!(found, *expected, "{export}");
        }
    }
}
