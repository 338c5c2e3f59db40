//! The codes of findings: one closed list, with the severity and the meaning side by side.

use std::fmt;

use outport_manifest::Severity;

macro_rules! codes {
    ($($(#[$doc:meta])* $variant:ident = $code:literal, $severity:ident, $meaning:literal;)*) => {
        /// A finding from holding entries, operator and components against each other.
        ///
        /// Mistakes in the files themselves have codes of their own, such as `manifest.unknown-key`. The list may
        /// grow; a code is never renamed. `docs/findings.md` has a section for each.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[non_exhaustive]
        pub enum Code {
            $($(#[$doc])* $variant,)*
        }

        impl Code {
            /// Every code there is.
            pub const ALL: &'static [Code] = &[$(Code::$variant),*];

            /// The stable text, such as `entry.blocked`.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $code),* }
            }

            /// The severity, unless the finding says otherwise.
            pub const fn severity(self) -> Severity {
                match self { $(Self::$variant => Severity::$severity),* }
            }

            /// The meaning, as a sentence without a full stop.
            pub const fn meaning(self) -> &'static str {
                match self { $(Self::$variant => $meaning),* }
            }
        }
    };
}

codes! {
    /// An entry that is kept out (VAL-2).
    Blocked = "entry.blocked", Warning, "an entry permits nothing, since all of it is kept out";
    /// An entry that is kept out in part (VAL-2).
    Narrowed = "entry.narrowed", Warning, "a part of an entry is kept out";
    /// An entry that an answer keeps out or does not (VAL-3).
    Undecided = "entry.undecided", Note, "whether an entry is kept out depends on what its name resolves to";
    /// An entry that others make needless (VAL-4).
    Redundant = "entry.redundant", Warning, "an entry adds nothing to the others";
    /// An entry for names that anybody can register (VAL-4).
    PublicSuffix = "entry.public-suffix", Warning, "an entry covers names that anybody can register";
    /// An entry for everything (VAL-4).
    Everything = "entry.everything", Warning, "an entry permits everything";
    /// An entry that switches the rebinding guard off (DNS-9).
    AnyAddress = "entry.any-address", Warning,
        "an entry for a wide network lets any name lead to this machine or link";
    /// An entry for addresses on ports that names have, where these hold connections (TLS-1).
    UnheldNames = "entry.unheld-names", Warning,
        "an entry for addresses lets TLS be for any name on a port where connections are held to names";
    /// An IPv4 network without one for IPv6 (VAL-4).
    V4Only = "entry.v4-only", Warning, "an entry for a public IPv4 network has none for IPv6 beside it";
    /// A range of ports that leaves its end out (VAL-4).
    HalfOpen = "entry.half-open", Warning, "a range of ports leaves its last number out";
    /// An entry that is not in its canonical spelling (AL-1).
    Spelling = "entry.spelling", Note, "an entry is not in its canonical spelling";
    /// An entry of a part that permits nothing of what the part inherits.
    NotInherited = "entry.not-inherited", Warning,
        "an entry of a dependency or middleware permits nothing, since it does not inherit any of it";
    /// An entry for a protocol without an interface (AL-9).
    NoEffect = "entry.no-effect", Warning, "an entry is for a protocol that the component has no interface for";
    /// Clause HI-2.
    SocketOnly = "entry.socket-only", Warning,
        "an entry is for sockets, and the component imports the interface of what is there";
    /// An entry by name where no name may be asked for (BUD-1, BUD-2).
    NoNames = "entry.no-names", Warning,
        "an entry needs names that are looked up, and the operator leaves no budget for these";
    /// Sockets without an entry for them (VAL-4).
    NoSocketEntry = "component.no-socket-entry", Warning,
        "a component imports sockets, and its entries permit URLs only";
    /// Entries that nothing uses (VAL-4).
    UnusedEntries = "component.unused-entries", Warning, "a component has entries and imports nothing to use them";
    /// Sockets without entries (VAL-4).
    NoEntries = "component.no-entries", Warning, "a component imports sockets and has no entries";
    /// A component is started by a trigger that it has no function for.
    MissingExport = "component.missing-export", Error, "a component lacks the export that its trigger calls";
    /// Clause HI-1: what a trigger connects to is its component's attempt.
    DeniedTrigger = "trigger.denied", Error, "a trigger listens to a server that its component may not connect to";
    /// A component is granted what Outport has not, and imports it.
    UnservedGrant = "component.unserved-grant", Warning,
        "a component is granted a store, database or model that Outport does not provide";
    /// Clause HI-5.
    UnusedGrant = "component.unused-grant", Warning,
        "a component is granted a store, database or model and imports nothing to use it";
    /// Clause HI-5.
    NoGrant = "component.no-grant", Warning,
        "a component imports stores, databases or models and is granted none";
    /// A component imports what Outport has not.
    TrappedImport = "component.trapped-import", Note, "a component imports what traps when it is called";
    /// A component was built with a snapshot of WASI whose sockets are not served.
    RefusedSockets = "component.refused-sockets", Warning,
        "a component imports sockets of an old snapshot of WASI, which are refused";
    /// The file of a component cannot be used.
    Unusable = "component.unusable", Error, "the file of a component cannot be used";
    /// A component cannot be put together with what it needs.
    NotLinked = "component.not-linked", Error, "a component cannot be linked, composed or given what it asks for";
    /// A component gets less files than its manifest names.
    NoFiles = "component.no-files", Warning, "no file matches a pattern of `files`";
    /// A denied wildcard, whose names cannot be resolved ahead (DL-5).
    WildcardDeny = "operator.wildcard-deny", Note,
        "the addresses of names below a denied wildcard are not known in advance";
    /// Clause HI-6.
    OwnAddress = "operator.own-address", Warning,
        "the operator denies to guests where he keeps a store, database or model of theirs";
    /// Clause BUD-3.
    Budget = "operator.budget", Warning, "a budget is one that no run can keep, nobody's, or wider than that of all";
    /// The command line or the environment has something that cannot be used.
    Input = "operator.input", Error, "an option, an environment variable or a file that was given cannot be used";
    /// A file with expectations cannot be read.
    TestFile = "test.file", Error, "the file of policy tests cannot be read";
    /// An expectation is not met.
    TestFailed = "test.failed", Error, "the policy does not do what a policy test expects";
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
