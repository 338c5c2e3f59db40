//! What Outport's command calls the settings that remedies speak of: its options, and keys of `spin.toml` and of the runtime
//! config file.

use std::borrow::Cow;

use outport_policy::{Remedy, RemedyWords, Setting};

/// The words of the command `outport`, for a gate and for explanations.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CommandWords;

impl RemedyWords for CommandWords {
    fn name(&self, setting: Setting) -> Cow<'static, str> {
        match setting {
            Setting::AllowList => "allowed_outbound_hosts".into(),
            Setting::Labels(kind) => kind.list().into(),
            Setting::LoopbackPort(port) => format!("`--allow-loopback-ports {port}`").into(),
            Setting::Udp => "`--allow-udp`".into(),
            Setting::LinkLocal => "`--allow-link-local`".into(),
            Setting::LoopbackAnswers => "`--allow-loopback-answers`".into(),
            Setting::TlsNames(mode) => format!("`--tls-names {mode}`").into(),
            Setting::NoEgressProxy => "`--egress-proxy none`".into(),
            Setting::EgressProxyCredentials => "`--egress-proxy-credentials FILE`".into(),
            Setting::SocketsPerInstance => "`--max-sockets-per-instance`".into(),
            Setting::SocketsPerProcess => "`--max-sockets`".into(),
            Setting::SocketsPerComponent => "`max_socket_connections`".into(),
            Setting::TotalConnections => "`max_total_connections`".into(),
            Setting::LookupsPerMinute => "`--max-lookups-per-minute`".into(),
            Setting::NamesPerWildcard => "`--max-names-per-wildcard`".into(),
            Setting::SentBytes => "`--max-sent`".into(),
            Setting::OwnLookupsPerMinute => of_component("max_lookups_per_minute"),
            Setting::OwnNamesPerWildcard => of_component("max_names_per_wildcard"),
            Setting::OwnSentBytes => of_component("max_sent"),
            other => other.neutral(),
        }
    }

    fn sentence(&self, remedy: &Remedy) -> Option<String> {
        match remedy {
            Remedy::Inherit(list) => Some(format!(
                "add \"{}\" to `inherit_configuration` of the dependency",
                self.name(*list)
            )),
            _ => None,
        }
    }
}

/// A key that the operator has written for the component alone.
fn of_component(key: &str) -> Cow<'static, str> {
    format!("`{key}` of the component's own `[component.ID]` in the runtime config file").into()
}

#[cfg(test)]
mod tests {
    use outport_policy::LabelKind;

    use super::*;

    #[test]
    fn a_remedy_names_options_and_keys() {
        for (remedy, words) in [
            (
                Remedy::AddEntry("*://a:1".into()),
                "add \"*://a:1\" to allowed_outbound_hosts",
            ),
            (
                Remedy::AddLabel {
                    kind: LabelKind::AiModel,
                    label: "llama".into(),
                },
                "add \"llama\" to ai_models",
            ),
            (
                Remedy::Inherit(Setting::AllowList),
                "add \"allowed_outbound_hosts\" to `inherit_configuration` of the dependency",
            ),
            (
                Remedy::Inherit(Setting::Labels(LabelKind::SqliteDatabase)),
                "add \"sqlite_databases\" to `inherit_configuration` of the dependency",
            ),
            (
                Remedy::Lift(Setting::LoopbackPort(22)),
                "the operator can lift this with `--allow-loopback-ports 22`",
            ),
            (
                Remedy::Lift(Setting::NoEgressProxy),
                "the operator can lift this with `--egress-proxy none`",
            ),
            (
                Remedy::Lift(Setting::LookupsPerMinute),
                "the operator can lift this with `--max-lookups-per-minute`",
            ),
            (
                Remedy::Lift(Setting::OwnSentBytes),
                "the operator can lift this with `max_sent` of the component's own `[component.ID]` in the runtime \
                 config file",
            ),
            (
                Remedy::Lift(Setting::NamesPerWildcard),
                "the operator can lift this with `--max-names-per-wildcard`",
            ),
        ] {
            assert_eq!(remedy.in_words_of(&CommandWords).to_string(), words);
        }
    }
}
