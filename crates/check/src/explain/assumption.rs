//! The addresses that a name is assumed to resolve to: `db.example.com=10.0.0.5,10.0.0.6`.

use std::borrow::Cow;
use std::str::FromStr;
use std::sync::Arc;

use outport_policy::{Address, Host, LearnedAddresses, Name, NameError, Operator, Policy};

/// A name and its addresses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Assumption {
    /// The name.
    pub name: Name,
    /// Its addresses.
    pub addresses: Vec<Address>,
}

/// The reason why a text is no assumption.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AssumptionError {
    /// No `=`.
    #[error("write `NAME=ADDRESS`, such as `db.example.com=10.0.0.5`")]
    NoEquals,
    /// The text before the `=` is not a name.
    #[error("`{name}` is not a name: {error}")]
    Name {
        /// As it is written.
        name: String,
        /// The reason.
        error: NameError,
    },
    /// One of the addresses is none.
    #[error("`{0}` is not an address")]
    Address(String),
}

/// The policy once the operator's denied names were resolved to what they are assumed to resolve to.
pub(super) fn learned<'p>(policy: &'p Policy, assumed: &[Assumption]) -> Cow<'p, Policy> {
    let operator = policy.operator();
    let mut learned = LearnedAddresses::default();
    for name in operator.deny.exact_names() {
        let own = assumed.iter().filter(|assumption| assumption.name == name);
        learned.insert(
            &name,
            own.flat_map(|assumption| assumption.addresses.iter().copied()),
        );
    }
    if learned == LearnedAddresses::default() {
        return Cow::Borrowed(policy);
    }
    let operator = Operator {
        deny: operator.deny.with_learned(learned),
        ..operator.clone()
    };
    let allow = Arc::new(policy.allow().clone());
    Cow::Owned(Policy::new(policy.component(), allow, Arc::new(operator)))
}

impl Assumption {
    /// Puts one together from the text of its parts.
    ///
    /// # Errors
    ///
    /// When one of them is not what it should be.
    pub fn new<'t>(
        name: &str,
        addresses: impl IntoIterator<Item = &'t str>,
    ) -> Result<Self, AssumptionError> {
        let wrong = |error| AssumptionError::Name {
            name: name.to_owned(),
            error,
        };
        let addresses = addresses.into_iter().map(|text| match Host::parse(text.trim()) {
            Ok(Host::Address(address)) => Ok(address),
            _ => Err(AssumptionError::Address(text.to_owned())),
        });
        Ok(Self {
            name: Name::parse(name.trim()).map_err(wrong)?,
            addresses: addresses.collect::<Result<_, _>>()?,
        })
    }
}

impl FromStr for Assumption {
    type Err = AssumptionError;

    fn from_str(text: &str) -> Result<Self, AssumptionError> {
        let (name, addresses) = text.split_once('=').ok_or(AssumptionError::NoEquals)?;
        Self::new(name, addresses.split(','))
    }
}
