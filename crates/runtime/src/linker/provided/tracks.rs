//! The table of what is provided: WASI, its snapshots, Spin's interfaces of each age, and those of the platform as far as it
//! was built.

use super::VersionTrack;
use crate::wasi_2023::OCTOBER;

pub(super) const PROVIDED: &[VersionTrack] = &[
    VersionTrack {
        package: "wasi:io",
        versions: "0.2.",
        interfaces: &["error", "poll", "streams"],
    },
    VersionTrack {
        package: "wasi:clocks",
        versions: "0.2.",
        interfaces: &["monotonic-clock", "wall-clock"],
    },
    VersionTrack {
        package: "wasi:random",
        versions: "0.2.",
        interfaces: RANDOM,
    },
    VersionTrack {
        package: "wasi:filesystem",
        versions: "0.2.",
        interfaces: FILESYSTEM,
    },
    VersionTrack {
        package: "wasi:cli",
        versions: "0.2.",
        interfaces: CLI,
    },
    VersionTrack {
        package: "wasi:sockets",
        versions: "0.2.",
        interfaces: &[
            "network",
            "instance-network",
            "ip-name-lookup",
            "tcp",
            "tcp-create-socket",
            "udp",
            "udp-create-socket",
        ],
    },
    VersionTrack {
        package: "wasi:http",
        versions: "0.2.",
        interfaces: &["types", "outgoing-handler"],
    },
    VersionTrack {
        package: "wasi:io",
        versions: OCTOBER,
        interfaces: &["poll", "streams"],
    },
    VersionTrack {
        package: "wasi:clocks",
        versions: OCTOBER,
        interfaces: &["monotonic-clock"],
    },
    VersionTrack {
        package: "wasi:filesystem",
        versions: OCTOBER,
        interfaces: &["types"],
    },
    VersionTrack {
        package: "wasi:sockets",
        versions: OCTOBER,
        interfaces: &[
            "ip-name-lookup",
            "tcp",
            "tcp-create-socket",
            "udp",
            "udp-create-socket",
        ],
    },
    VersionTrack {
        package: "wasi:http",
        versions: OCTOBER,
        interfaces: &["types", "outgoing-handler"],
    },
    VersionTrack {
        package: "wasi:http",
        versions: "0.2.0-rc-2023-11-10",
        interfaces: &["types"],
    },
    VersionTrack {
        package: "wasi:clocks",
        versions: "0.3.",
        interfaces: &["types", "monotonic-clock", "system-clock"],
    },
    VersionTrack {
        package: "wasi:random",
        versions: "0.3.",
        interfaces: RANDOM,
    },
    VersionTrack {
        package: "wasi:filesystem",
        versions: "0.3.",
        interfaces: FILESYSTEM,
    },
    VersionTrack {
        package: "wasi:cli",
        versions: "0.3.",
        interfaces: CLI,
    },
    VersionTrack {
        package: "wasi:cli",
        versions: "0.3.",
        interfaces: &["types"],
    },
    VersionTrack {
        package: "wasi:sockets",
        versions: "0.3.",
        interfaces: &["types", "ip-name-lookup"],
    },
    VersionTrack {
        package: "wasi:http",
        versions: "0.3.",
        interfaces: &["types", "client"],
    },
    VersionTrack {
        package: "fermyon:spin",
        versions: "",
        interfaces: &["config", "http", "http-types"],
    },
    #[cfg(feature = "key-value")]
    VersionTrack {
        package: "fermyon:spin",
        versions: "",
        interfaces: &["key-value"],
    },
    #[cfg(feature = "mysql")]
    VersionTrack {
        package: "fermyon:spin",
        versions: "",
        interfaces: &["mysql"],
    },
    #[cfg(feature = "postgres")]
    VersionTrack {
        package: "fermyon:spin",
        versions: "",
        interfaces: &["postgres"],
    },
    #[cfg(any(feature = "mysql", feature = "postgres"))]
    VersionTrack {
        package: "fermyon:spin",
        versions: "",
        interfaces: &["rdbms-types"],
    },
    #[cfg(feature = "redis")]
    VersionTrack {
        package: "fermyon:spin",
        versions: "",
        interfaces: &["redis", "redis-types"],
    },
    #[cfg(feature = "sqlite")]
    VersionTrack {
        package: "fermyon:spin",
        versions: "",
        interfaces: &["sqlite"],
    },
    VersionTrack {
        package: "fermyon:spin",
        versions: "2.0.0",
        interfaces: &["variables"],
    },
    #[cfg(feature = "key-value")]
    VersionTrack {
        package: "fermyon:spin",
        versions: "2.0.0",
        interfaces: &["key-value"],
    },
    #[cfg(feature = "llm")]
    VersionTrack {
        package: "fermyon:spin",
        // An import without a version is made one of these.
        versions: "2.0.",
        interfaces: &["llm"],
    },
    #[cfg(feature = "mqtt")]
    VersionTrack {
        package: "fermyon:spin",
        versions: "2.0.0",
        interfaces: &["mqtt"],
    },
    #[cfg(feature = "mysql")]
    VersionTrack {
        package: "fermyon:spin",
        versions: "2.0.0",
        interfaces: &["mysql"],
    },
    #[cfg(feature = "postgres")]
    VersionTrack {
        package: "fermyon:spin",
        versions: "2.0.0",
        interfaces: &["postgres"],
    },
    #[cfg(any(feature = "mysql", feature = "postgres"))]
    VersionTrack {
        package: "fermyon:spin",
        versions: "2.0.0",
        interfaces: &["rdbms-types"],
    },
    #[cfg(feature = "redis")]
    VersionTrack {
        package: "fermyon:spin",
        versions: "2.0.0",
        interfaces: &["redis"],
    },
    #[cfg(feature = "sqlite")]
    VersionTrack {
        package: "fermyon:spin",
        versions: "2.0.0",
        interfaces: &["sqlite"],
    },
    #[cfg(feature = "key-value")]
    VersionTrack {
        package: "spin:key-value",
        versions: "3.0.0",
        interfaces: &["key-value"],
    },
    #[cfg(feature = "mqtt")]
    VersionTrack {
        package: "spin:mqtt",
        versions: "3.0.0",
        interfaces: &["mqtt"],
    },
    #[cfg(feature = "mysql")]
    VersionTrack {
        package: "spin:mysql",
        versions: "3.0.0",
        interfaces: &["mysql"],
    },
    #[cfg(feature = "postgres")]
    VersionTrack {
        package: "spin:postgres",
        versions: "3.0.0",
        interfaces: &["postgres"],
    },
    #[cfg(feature = "postgres")]
    VersionTrack {
        package: "spin:postgres",
        versions: "4.0.0",
        interfaces: &["postgres"],
    },
    #[cfg(feature = "postgres")]
    VersionTrack {
        package: "spin:postgres",
        versions: "4.1.0",
        interfaces: &["postgres"],
    },
    #[cfg(feature = "postgres")]
    VersionTrack {
        package: "spin:postgres",
        versions: "4.2.0",
        interfaces: &["postgres"],
    },
    #[cfg(feature = "redis")]
    VersionTrack {
        package: "spin:redis",
        versions: "3.0.0",
        interfaces: &["redis"],
    },
    #[cfg(feature = "sqlite")]
    VersionTrack {
        package: "spin:sqlite",
        versions: "3.0.0",
        interfaces: &["sqlite"],
    },
    #[cfg(feature = "sqlite")]
    VersionTrack {
        package: "spin:sqlite",
        versions: "3.1.0",
        interfaces: &["sqlite"],
    },
    #[cfg(feature = "key-value")]
    VersionTrack {
        package: "wasi:keyvalue",
        versions: "0.2.0-draft2",
        interfaces: &["store", "batch", "atomics"],
    },
    #[cfg(feature = "tls")]
    VersionTrack {
        package: "wasi:tls",
        versions: "0.2.0-draft",
        interfaces: &["types"],
    },
    #[cfg(feature = "tls")]
    VersionTrack {
        package: "wasi:tls",
        versions: "0.3.0-draft",
        interfaces: &["types", "client"],
    },
    VersionTrack {
        package: "spin:variables",
        versions: "3.0.0",
        interfaces: &["variables"],
    },
    VersionTrack {
        package: "wasi:config",
        versions: "0.2.0-rc.1",
        interfaces: &["store"],
    },
    VersionTrack {
        package: "wasi:config",
        versions: "0.2.0-draft",
        interfaces: &["store"],
    },
    VersionTrack {
        package: "wasi:config",
        versions: "0.2.0-draft-2024-09-27",
        interfaces: &["store"],
    },
];

const RANDOM: &[&str] = &["random", "insecure", "insecure-seed"];

const FILESYSTEM: &[&str] = &["types", "preopens"];

const CLI: &[&str] = &[
    "environment",
    "exit",
    "stdin",
    "stdout",
    "stderr",
    "terminal-input",
    "terminal-output",
    "terminal-stdin",
    "terminal-stdout",
    "terminal-stderr",
];
