//! The settings that a remedy speaks of, and what the host calls them.
//!
//! ```text
//! Denial ── remedy ─▶ Remedy, which names a Setting ── in the words of the host ─▶ a sentence for people
//!                                                       RemedyWords: its names, or its own sentence
//! ```
//!
//! A host has settings of its own: an option of a command line, a key of a file, a page of a console. The policy knows
//! what each of them does and not what it is called, so that nobody is sent to a setting that this host does not have.
//! [`NeutralWords`] name what this crate calls it.

use std::borrow::Cow;

use crate::{LabelKind, Remedy, TlsNames};

/// A setting of the host that decides over what a guest may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Setting {
    /// The author's entries, [`AllowList`](crate::AllowList).
    AllowList,
    /// The author's labels of a kind, [`AllowList::with_labels`](crate::AllowList::with_labels).
    Labels(LabelKind),
    /// [`RuntimeLimits::loopback_ports`](crate::RuntimeLimits::loopback_ports), with the port that is to be in it.
    LoopbackPort(u16),
    /// [`RuntimeLimits::udp`](crate::RuntimeLimits::udp).
    Udp,
    /// [`RuntimeLimits::link_local`](crate::RuntimeLimits::link_local).
    LinkLocal,
    /// [`RuntimeLimits::loopback_answers`](crate::RuntimeLimits::loopback_answers).
    LoopbackAnswers,
    /// [`Operator::tls_names`](crate::Operator::tls_names), with what it is to be.
    TlsNames(TlsNames),
    /// That there is no egress proxy, through which UDP does not go.
    NoEgressProxy,
    /// The user and the password for an egress proxy.
    EgressProxyCredentials,
    /// [`Quotas::sockets_per_instance`](crate::Quotas::sockets_per_instance).
    SocketsPerInstance,
    /// [`Quotas::sockets_per_process`](crate::Quotas::sockets_per_process).
    SocketsPerProcess,
    /// [`Quotas::sockets_per_component`](crate::Quotas::sockets_per_component).
    SocketsPerComponent,
    /// [`Quotas::total_connections`](crate::Quotas::total_connections).
    TotalConnections,
    /// [`Quotas::lookups_per_minute`](crate::Quotas::lookups_per_minute).
    LookupsPerMinute,
    /// [`Quotas::names_per_wildcard`](crate::Quotas::names_per_wildcard).
    NamesPerWildcard,
    /// [`ByteBudget::sent`](crate::ByteBudget::sent) of every component.
    SentBytes,
    /// [`NameLimits::lookups_per_minute`](crate::NameLimits::lookups_per_minute) of the component alone.
    OwnLookupsPerMinute,
    /// [`NameLimits::names_per_wildcard`](crate::NameLimits::names_per_wildcard) of the component alone.
    OwnNamesPerWildcard,
    /// [`ByteBudget::sent`](crate::ByteBudget::sent) of the component alone.
    OwnSentBytes,
}

impl Setting {
    /// What the crates call it, in the middle of a sentence.
    pub fn neutral(self) -> Cow<'static, str> {
        match self {
            Self::AllowList => "the allow list".into(),
            Self::Labels(kind) => format!("the labels of {kind}s").into(),
            Self::LoopbackPort(port) => format!("port {port} in `RuntimeLimits::loopback_ports`").into(),
            Self::Udp => "`RuntimeLimits::udp`".into(),
            Self::LinkLocal => "`RuntimeLimits::link_local`".into(),
            Self::LoopbackAnswers => "`RuntimeLimits::loopback_answers`".into(),
            Self::TlsNames(mode) => format!("`Operator::tls_names`, {mode}").into(),
            Self::NoEgressProxy => "no egress proxy".into(),
            Self::EgressProxyCredentials => "`ProxyServer::with`".into(),
            Self::SocketsPerInstance => "`Quotas::sockets_per_instance`".into(),
            Self::SocketsPerProcess => "`Quotas::sockets_per_process`".into(),
            Self::SocketsPerComponent => "`Quotas::sockets_per_component`".into(),
            Self::TotalConnections => "`Quotas::total_connections`".into(),
            Self::LookupsPerMinute => "`Quotas::lookups_per_minute`".into(),
            Self::NamesPerWildcard => "`Quotas::names_per_wildcard`".into(),
            Self::SentBytes => "`ByteBudget::sent`".into(),
            Self::OwnLookupsPerMinute => "`NameLimits::lookups_per_minute` of the component".into(),
            Self::OwnNamesPerWildcard => "`NameLimits::names_per_wildcard` of the component".into(),
            Self::OwnSentBytes => "`ByteBudget::sent` of the component".into(),
        }
    }
}

/// The words of a host for its own settings.
///
/// Words that are empty count as none. In events, and so in the audit log, a remedy is like all text of others: printable
/// ASCII as it is, all else as `\u{…}`, and no more than 1000 characters. Words for people who read another script are for
/// [`Remedy::in_words_of`], which escapes nothing.
///
/// A gate asks for them in the midst of a decision, on the thread of the guest: they must neither block nor panic.
///
/// ```
/// use std::borrow::Cow;
///
/// use outport_policy::{Remedy, RemedyWords, Setting};
///
/// struct MyHost;
///
/// impl RemedyWords for MyHost {
///     fn name(&self, setting: Setting) -> Cow<'static, str> {
///         match setting {
///             Setting::AllowList => "`egress` of plugin.json".into(),
///             other => other.neutral(),
///         }
///     }
/// }
///
/// let remedy = Remedy::AddEntry("*://10.0.0.5:6379".to_owned());
/// assert_eq!(remedy.in_words_of(&MyHost).to_string(), "add \"*://10.0.0.5:6379\" to `egress` of plugin.json");
/// ```
pub trait RemedyWords: Send + Sync {
    /// The name of a setting, in the middle of a sentence such as "add … to NAME" or "the operator can lift this with NAME".
    /// Default: [`Setting::neutral`].
    fn name(&self, setting: Setting) -> Cow<'static, str> {
        setting.neutral()
    }

    /// A sentence of the host's own for a remedy, in the place of the whole one. Without a full stop, and on one line.
    /// Default: none, and the names are put into the usual one.
    fn sentence(&self, _remedy: &Remedy) -> Option<String> {
        None
    }
}

/// The words of a host that gives none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct NeutralWords;

impl RemedyWords for NeutralWords {}
