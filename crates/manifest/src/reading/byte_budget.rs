//! The bytes that components may send and receive (BUD-3): keys of `[outbound_networking]` for all, of `[component.ID]` for
//! one. The narrower holds.

use std::num::NonZeroU64;

use outport_policy::{ByteBudget, ByteBudgets, SentBound};

use crate::reading::fields::{Fields, Node};
use crate::report::findings::Findings;
use crate::report::mistake::Mistake;
use crate::runtime_config::RuntimeConfig;
use crate::source::Located;
use crate::values::byte_limits::{ByteLimitError, ByteRate, SentLimit};

/// `max_send_rate`, `max_receive_rate` and `max_sent`. A key that is not written is `None`.
#[derive(Debug, Clone, Default)]
pub struct ByteLimits {
    /// Bytes a second.
    pub max_send_rate: Option<Located<NonZeroU64>>,
    /// Bytes a second.
    pub max_receive_rate: Option<Located<NonZeroU64>>,
    /// Bytes in a time.
    pub max_sent: Option<Located<SentBound>>,
}

impl ByteLimits {
    /// What is written, without its place.
    pub fn budget(&self) -> ByteBudget {
        ByteBudget {
            send_rate: self.max_send_rate.as_ref().map(|rate| rate.value),
            receive_rate: self.max_receive_rate.as_ref().map(|rate| rate.value),
            sent: self.max_sent.as_ref().map(|bound| bound.value),
        }
    }
}

impl RuntimeConfig {
    /// The budgets of bytes, where `every` is that of each component.
    pub fn byte_budgets(&self, every: ByteBudget) -> ByteBudgets {
        let named = self.components.iter().map(|limits| {
            let component = limits.component.value.to_string().into_boxed_str();
            (component, limits.bytes.budget())
        });
        ByteBudgets::new(every, named)
    }
}

pub(crate) fn read_byte_limits(found: &mut Findings, fields: &mut Fields<'_>) -> ByteLimits {
    let rate = |found: &mut Findings, node: Option<Node<'_>>| {
        let rate = read::<ByteRate>(found, node?)?;
        Some(rate.map(|ByteRate(rate)| rate))
    };
    ByteLimits {
        max_send_rate: rate(found, fields.get("max_send_rate")),
        max_receive_rate: rate(found, fields.get("max_receive_rate")),
        max_sent: fields
            .get("max_sent")
            .and_then(|node| read::<SentLimit>(found, node))
            .map(|limit| limit.map(|SentLimit(bound)| bound)),
    }
}

/// A text, or a whole number of bytes.
fn read<T: std::str::FromStr<Err = ByteLimitError>>(
    found: &mut Findings,
    node: Node<'_>,
) -> Option<Located<T>> {
    let text = match node.integer() {
        Some(number) => Located::new(number.to_string(), node.span()),
        None if node.is_string() => node.string(found)?,
        None => return node.wrong_type(found, "a number of bytes, or a text such as \"64M\""),
    };
    match text.value.parse() {
        Ok(value) => Some(Located::new(value, text.span)),
        Err(error) => {
            let (key, wrong) = (node.key().to_owned(), format!("cannot be `{}`", text.value));
            let help = Some(error.to_string());
            found.report(&text.span, Mistake::Value { key, wrong, help });
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::{Reading, SourceFile};

    fn read(text: &str) -> Reading<RuntimeConfig> {
        RuntimeConfig::parse(&SourceFile::new("runtime.toml", text.to_owned()))
    }

    // proves: BUD-3
    #[test]
    fn a_file_bounds_all_components_and_one_of_them() {
        let text = "[outbound_networking]\nmax_send_rate = \"1M\"\nmax_receive_rate = 1500\nmax_sent = \"1G/1h\"\n\
                    [component.web]\nmax_send_rate = \"2M\"\nmax_sent = \"10M/1m\"\n[component.api]\n";
        let (config, notes) = read(text).complete().unwrap();
        assert!(notes.is_empty(), "{notes:?}");
        let budgets = config.byte_budgets(config.networking.bytes.budget());
        let number = |number| NonZeroU64::new(number);
        let bound = |bytes, seconds| SentBound {
            bytes: NonZeroU64::new(bytes).unwrap(),
            time: Duration::from_secs(seconds),
        };
        let web = budgets.of("web");
        assert_eq!((web.send_rate, web.receive_rate), (number(1 << 20), number(1500)));
        assert_eq!(web.sent, [Some(bound(1 << 30, 3600)), Some(bound(10 << 20, 60))]);
        assert_eq!(budgets.of("api").sent, [Some(bound(1 << 30, 3600)), None]);
        let (config, _) = read("").complete().unwrap();
        assert!(config.byte_budgets(ByteBudget::default()).are_none());
    }

    // proves: BUD-3
    #[test]
    fn what_is_no_budget_is_a_mistake_at_its_place() {
        for (text, wrong) in [
            ("[outbound_networking]\nmax_send_rate = 0", "0"),
            ("[outbound_networking]\nmax_sent = \"1G\"", "1G"),
            ("[component.web]\nmax_receive_rate = \"fast\"", "fast"),
            ("[component.web]\nmax_receive_rate = true", "true"),
            ("[component.web]\nmax_sent = \"1G/0s\"", "1G/0s"),
            ("[component.web]\nmax_send_rates = 5", "max_send_rates"),
            ("[component.\"not an id\"]\nmax_send_rate = 5", "not an id"),
            ("component = 5", "5"),
        ] {
            let reading = read(text);
            let problems = reading.problems();
            assert_eq!(problems.len(), 1, "{text}: {problems:?}");
            let outport_policy::Location::File { line, .. } = &problems[0].location else {
                panic!("{text}: {problems:?}");
            };
            let line = text.lines().nth(*line as usize - 1).unwrap();
            assert!(line.contains(wrong), "{text}: {problems:?}");
        }
    }
}
