//! The operator's part of a policy as a runtime config file gives it.

use outport_policy::{ByteBudgets, Limit, PortSet, Quotas, RuntimeLimits};

use crate::runtime_config::OutboundNetworking;
use crate::source::Located;

impl OutboundNetworking {
    /// The runtime limits with what the file lifts. A key that is not written lifts nothing.
    pub fn limits(&self) -> RuntimeLimits {
        let lifted =
            |flag: &Option<Located<bool>>| Limit::lifted_if(flag.as_ref().is_some_and(|flag| flag.value));
        RuntimeLimits {
            udp: lifted(&self.allow_udp),
            loopback_ports: self
                .allow_loopback_ports
                .as_ref()
                .map_or(PortSet::EMPTY, |ports| ports.value.clone()),
            link_local: lifted(&self.allow_link_local),
            loopback_answers: lifted(&self.allow_loopback_answers),
        }
    }

    /// The quotas with what the file sets. A key that is not written leaves the default.
    pub fn quotas(&self) -> Quotas {
        let written = |limit: &Option<Located<u32>>| limit.as_ref().map(|limit| limit.value);
        let defaults = Quotas::default();
        Quotas {
            sockets_per_instance: written(&self.max_sockets_per_instance)
                .unwrap_or(defaults.sockets_per_instance),
            sockets_per_process: written(&self.max_sockets).unwrap_or(defaults.sockets_per_process),
            sockets_per_component: written(&self.max_socket_connections),
            total_connections: written(&self.max_total_connections),
            lookups_per_minute: written(&self.max_lookups_per_minute).unwrap_or(defaults.lookups_per_minute),
            names_per_wildcard: written(&self.max_names_per_wildcard).unwrap_or(defaults.names_per_wildcard),
            bytes: ByteBudgets::new(self.bytes.budget(), []),
            ..defaults
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{RuntimeConfig, SourceFile};

    fn networking(lines: &str) -> OutboundNetworking {
        let file = SourceFile::new("runtime.toml", format!("[outbound_networking]\n{lines}"));
        let (config, _) = RuntimeConfig::parse(&file).complete().expect(lines);
        config.networking
    }

    #[test]
    fn a_file_that_lifts_and_sets_nothing_leaves_every_default() {
        for lines in [
            "",
            "allow_udp = false\nallow_link_local = false\nallow_loopback_ports = []",
        ] {
            assert_eq!(networking(lines).limits(), RuntimeLimits::default(), "{lines}");
            assert_eq!(networking(lines).quotas(), Quotas::default(), "{lines}");
        }
    }

    // proves: RL-1, RL-2, RL-3, DNS-9
    #[test]
    fn each_key_lifts_its_own_limit_and_no_other() {
        let default = RuntimeLimits::default();
        let rows = [
            (
                "allow_udp = true",
                RuntimeLimits {
                    udp: Limit::Lifted,
                    ..default.clone()
                },
            ),
            (
                "allow_link_local = true",
                RuntimeLimits {
                    link_local: Limit::Lifted,
                    ..default.clone()
                },
            ),
            (
                "allow_loopback_answers = true",
                RuntimeLimits {
                    loopback_answers: Limit::Lifted,
                    ..default.clone()
                },
            ),
            (
                "allow_loopback_ports = [53, \"80-90\"]",
                RuntimeLimits {
                    loopback_ports: PortSet::parse("53,80-90").unwrap(),
                    ..default.clone()
                },
            ),
            (
                "allow_loopback_ports = \"53\"",
                RuntimeLimits {
                    loopback_ports: PortSet::parse("53").unwrap(),
                    ..default.clone()
                },
            ),
            (
                "allow_loopback_ports = 53",
                RuntimeLimits {
                    loopback_ports: PortSet::parse("53").unwrap(),
                    ..default.clone()
                },
            ),
        ];
        for (lines, expected) in rows {
            assert_eq!(networking(lines).limits(), expected, "{lines}");
        }
    }

    // proves, BUD-1, BUD-2
    #[test]
    fn each_key_sets_its_own_quota_and_no_other() {
        let default = Quotas::default();
        let rows = [
            (
                "max_sockets = 7",
                Quotas {
                    sockets_per_process: 7,
                    ..default.clone()
                },
            ),
            (
                "max_sockets_per_instance = 7",
                Quotas {
                    sockets_per_instance: 7,
                    ..default.clone()
                },
            ),
            (
                "max_socket_connections = 7",
                Quotas {
                    sockets_per_component: Some(7),
                    ..default.clone()
                },
            ),
            (
                "max_total_connections = 0",
                Quotas {
                    total_connections: Some(0),
                    ..default.clone()
                },
            ),
            (
                "max_lookups_per_minute = 7",
                Quotas {
                    lookups_per_minute: 7,
                    ..default.clone()
                },
            ),
            (
                "max_names_per_wildcard = 0",
                Quotas {
                    names_per_wildcard: 0,
                    ..default.clone()
                },
            ),
        ];
        for (lines, expected) in rows {
            assert_eq!(networking(lines).quotas(), expected, "{lines}");
        }
    }
}
