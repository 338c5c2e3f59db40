//! The bytes that a component may send and receive (BUD-3): rates, which slow it down, and a bound, which ends what it has.
//!
//! ```text
//! ByteBudgets ─┬─ every   for each component ───────────┐
//!              └─ named   for one, beside the other ────┴─▶ BudgetInForce: the smaller rate, and each bound
//! ```
//!
//! Here is what was configured. Who sends and receives keeps count of it, and says by [`Usage`] what has left
//! in the time that runs.

use std::collections::BTreeMap;
use std::fmt;
use std::num::NonZeroU64;
use std::sync::Arc;
use std::time::Duration;

use crate::Usage;

/// The budget of one component. By default nothing bounds it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ByteBudget {
    /// Bytes a second that it may send. Default: no limit.
    pub send_rate: Option<NonZeroU64>,
    /// Bytes a second that it may receive. Default: no limit.
    pub receive_rate: Option<NonZeroU64>,
    /// The bytes that it may send in a time. Default: no limit.
    pub sent: Option<SentBound>,
}

/// So many bytes, in a time that begins with the first one that is sent and ends the count when it is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SentBound {
    /// Bytes.
    pub bytes: NonZeroU64,
    /// The time, which is not zero.
    pub time: Duration,
}

/// The budgets of all components. By default there are none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ByteBudgets {
    every: ByteBudget,
    /// None where there is no budget at all, so that whoever decides looks once.
    named: Option<Arc<BTreeMap<Box<str>, ByteBudget>>>,
}

/// What holds for one component: the smaller of the rates, and each bound.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BudgetInForce {
    /// Bytes a second that it may send.
    pub send_rate: Option<NonZeroU64>,
    /// Bytes a second that it may receive.
    pub receive_rate: Option<NonZeroU64>,
    /// The bound that every component has, and its own.
    pub sent: [Option<SentBound>; 2],
}

impl ByteBudgets {
    /// The budget `every` for each component, and beside it those of the components that are named.
    pub fn new(every: ByteBudget, named: impl IntoIterator<Item = (Box<str>, ByteBudget)>) -> Self {
        let named: BTreeMap<_, _> = named.into_iter().collect();
        let nothing = every.is_none() && named.values().all(ByteBudget::is_none);
        Self {
            every,
            named: (!nothing).then(|| Arc::new(named)),
        }
    }

    /// True if no component has one.
    pub fn are_none(&self) -> bool {
        self.named.is_none()
    }

    /// What holds for the component called `component`: what is said of all, and what is said of it.
    pub fn of(&self, component: &str) -> BudgetInForce {
        let own = self.named.as_ref().and_then(|named| named.get(component));
        let (every, own) = (self.every, own.copied().unwrap_or_default());
        BudgetInForce {
            send_rate: least(every.send_rate, own.send_rate),
            receive_rate: least(every.receive_rate, own.receive_rate),
            sent: [every.sent, own.sent],
        }
    }

    /// The budget that every component has.
    pub fn of_every(&self) -> &ByteBudget {
        &self.every
    }

    /// The budgets of components that are named, in the order of their names.
    pub fn named(&self) -> impl Iterator<Item = (&str, &ByteBudget)> {
        let named = self.named.iter().flat_map(|named| named.iter());
        named.map(|(component, budget)| (&**component, budget))
    }
}

impl ByteBudget {
    /// True if it bounds nothing.
    pub fn is_none(&self) -> bool {
        *self == Self::default()
    }
}

impl BudgetInForce {
    /// True if no more, or not what is about to be sent, may leave: of the bound of every component, and of its own.
    pub(crate) fn used_up(&self, usage: &Usage) -> [bool; 2] {
        let wanted = usage.about_to_send.max(1);
        [0, 1].map(|place: usize| {
            let sent = usage.sent_of_component[place].saturating_add(wanted);
            self.sent[place].is_some_and(|bound| sent > bound.bytes.get())
        })
    }
}

fn least(one: Option<NonZeroU64>, other: Option<NonZeroU64>) -> Option<NonZeroU64> {
    match (one, other) {
        (Some(one), Some(other)) => Some(one.min(other)),
        (one, other) => one.or(other),
    }
}

/// The bound as it is written: `1073741824B/3600s`, in the largest units that say it exactly: `1GiB/1h`.
impl fmt::Display for SentBound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", Bytes(self.bytes.get()), Time(self.time))
    }
}

/// What holds, for people, as a [`ByteBudget`] is shown.
impl fmt::Display for BudgetInForce {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        show(f, self.send_rate, self.receive_rate, &self.sent)
    }
}

/// The budget for people: `sends 1MiB/s, receives 10MiB/s, sends no more than 1GiB/1h`; empty where it bounds nothing.
impl fmt::Display for ByteBudget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        show(f, self.send_rate, self.receive_rate, &[self.sent])
    }
}

fn show(
    f: &mut fmt::Formatter<'_>,
    send_rate: Option<NonZeroU64>,
    receive_rate: Option<NonZeroU64>,
    sent: &[Option<SentBound>],
) -> fmt::Result {
    let rate =
        |does: &str, rate: Option<NonZeroU64>| rate.map(|rate| format!("{does} {}/s", Bytes(rate.get())));
    let rates = [rate("sends", send_rate), rate("receives", receive_rate)];
    let bounds = sent
        .iter()
        .flatten()
        .map(|bound| format!("sends no more than {bound}"));
    let parts: Vec<String> = rates.into_iter().flatten().chain(bounds).collect();
    f.write_str(&parts.join(", "))
}

struct Bytes(u64);

impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let units = [(30, "GiB"), (20, "MiB"), (10, "KiB")];
        let exact = units
            .iter()
            .find(|(shift, _)| self.0 != 0 && self.0.trailing_zeros() >= *shift);
        match exact {
            Some((shift, unit)) => write!(f, "{}{unit}", self.0 >> shift),
            None => write!(f, "{}B", self.0),
        }
    }
}

struct Time(Duration);

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (seconds, rest) = (self.0.as_secs(), self.0.subsec_millis());
        match seconds {
            _ if rest != 0 => write!(f, "{}ms", self.0.as_millis()),
            _ if seconds != 0 && seconds.is_multiple_of(3600) => write!(f, "{}h", seconds / 3600),
            _ if seconds != 0 && seconds.is_multiple_of(60) => write!(f, "{}m", seconds / 60),
            _ => write!(f, "{seconds}s"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(number: u64) -> Option<NonZeroU64> {
        NonZeroU64::new(number)
    }

    fn bound(number: u64, seconds: u64) -> SentBound {
        SentBound {
            bytes: bytes(number).unwrap(),
            time: Duration::from_secs(seconds),
        }
    }

    // proves: BUD-3
    #[test]
    fn of_what_is_said_of_all_and_of_one_the_narrower_holds() {
        let every = ByteBudget {
            send_rate: bytes(1000),
            receive_rate: None,
            sent: Some(bound(3600, 3600)),
        };
        let web = ByteBudget {
            send_rate: bytes(2000),
            receive_rate: bytes(50),
            sent: Some(bound(30, 60)),
        };
        let budgets = ByteBudgets::new(every, [("web".into(), web)]);
        let of_web = BudgetInForce {
            send_rate: bytes(1000),
            receive_rate: bytes(50),
            sent: [every.sent, web.sent],
        };
        assert_eq!(budgets.of("web"), of_web, "a component is never wider than all");
        let of_api = BudgetInForce {
            send_rate: bytes(1000),
            receive_rate: None,
            sent: [every.sent, None],
        };
        assert_eq!(budgets.of("api"), of_api);
        assert!(!budgets.are_none());
        assert_eq!(budgets.named().collect::<Vec<_>>(), [("web", &web)]);
        let only_web = ByteBudgets::new(ByteBudget::default(), [("web".into(), web)]);
        assert_eq!(only_web.of("api"), BudgetInForce::default());
        assert_eq!(only_web.of("web").sent, [None, web.sent]);
        assert!(!only_web.are_none());
        for none in [
            ByteBudgets::default(),
            ByteBudgets::new(ByteBudget::default(), []),
        ] {
            assert!(none.are_none());
        }
    }

    // proves: BUD-3
    #[test]
    fn each_bound_is_reached_with_its_last_byte_and_not_before() {
        let budget = BudgetInForce {
            sent: [Some(bound(100, 1)), Some(bound(200, 5))],
            ..BudgetInForce::default()
        };
        for (sent, about_to_send, reached) in [
            ([0, 0], 0, false),
            ([99, 99], 0, false),
            ([100, 100], 0, true),
            ([101, 0], 0, true),
            ([60, 60], 40, false),
            ([60, 60], 41, true),
            ([0, 199], 1, false),
            ([0, 199], 2, true),
            ([0, 200], 0, true),
            ([u64::MAX; 2], u64::MAX, true),
        ] {
            let usage = Usage {
                sent_of_component: sent,
                about_to_send,
                ..Usage::default()
            };
            assert_eq!(budget.used_up(&usage).contains(&true), reached, "{usage:?}");
            assert_eq!(
                BudgetInForce::default().used_up(&usage),
                [false; 2],
                "there is no bound"
            );
        }
    }

    #[test]
    fn a_budget_is_shown_as_it_is_written() {
        let budget = ByteBudget {
            send_rate: bytes(1 << 20),
            receive_rate: bytes(1500),
            sent: Some(bound(1 << 30, 3600)),
        };
        assert_eq!(
            budget.to_string(),
            "sends 1MiB/s, receives 1500B/s, sends no more than 1GiB/1h"
        );
        assert_eq!(ByteBudget::default().to_string(), "");
        assert_eq!(bound(3 << 10, 90).to_string(), "3KiB/90s");
        assert_eq!(bound(1, 120).to_string(), "1B/2m");
        let short = SentBound {
            time: Duration::from_millis(1500),
            ..bound(1, 1)
        };
        assert_eq!(short.to_string(), "1B/1500ms");
    }
}
