//! Which commands leave a connection in another state than a new one has. One on which such a command was sent is not used
//! again: the next instance would be in another database, subscribed, or inside of a transaction.

/// Whether the command may do that. What is not a plain word is taken for one that does.
pub(super) fn changes_the_connection(command: &str) -> bool {
    let is_word = !command.is_empty()
        && command
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b".-_".contains(&byte));
    !is_word
        || STATEFUL
            .iter()
            .any(|stateful| stateful.eq_ignore_ascii_case(command))
}

/// Those of connections, transactions, subscriptions, replication and debugging.
const STATEFUL: [&str; 30] = [
    "ASKING",
    "AUTH",
    "CLIENT",
    "DEBUG",
    "DISCARD",
    "EXEC",
    "HELLO",
    "MONITOR",
    "MULTI",
    "PSUBSCRIBE",
    "PSYNC",
    "PUNSUBSCRIBE",
    "QUIT",
    "READONLY",
    "READWRITE",
    "REPLCONF",
    "REPLICAOF",
    "RESET",
    "SCRIPT",
    "SELECT",
    "SHUTDOWN",
    "SLAVEOF",
    "SSUBSCRIBE",
    "SUBSCRIBE",
    "SUNSUBSCRIBE",
    "SYNC",
    "UNSUBSCRIBE",
    "UNWATCH",
    "WAITAOF",
    "WATCH",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_that_changes_its_connection_is_known_in_any_case() {
        for (command, changes) in [
            ("GET", false),
            ("lpush", false),
            ("JSON.GET", false),
            ("SELECT", true),
            ("select", true),
            ("Client", true),
            ("MULTI", true),
            ("subscribe", true),
            ("", true),
            ("SELECT 1", true),
            ("get\r\nselect", true),
        ] {
            assert_eq!(changes_the_connection(command), changes, "{command:?}");
        }
    }
}
