//! Key-value stores in the three interfaces. The verbs that all have:
//!
//! | statement | result |
//! | --- | --- |
//! | `open LABEL` | `ok`: the store of the statements that follow |
//! | `hold LABEL` | `ok`: one more handle, that nothing uses |
//! | `get KEY` | the value, its length if it is long, or `none` |
//! | `set KEY VALUE` | `ok`; without a VALUE the empty one |
//! | `fill KEY LENGTH` | `ok`: a value of so many bytes |
//! | `delete KEY` | `ok` |
//! | `exists KEY` | `true` or `false` |
//! | `keys` | all of them in the order in which they came, or their number if they are many |
//!
//! An error is its name, and `other: TEXT`.

pub(crate) mod spin_v2;
pub(crate) mod spin_v3;
pub(crate) mod wasi;

use crate::interpreter::Outcome;
use crate::text::{shown, unescape};

fn done<E>(result: Result<(), E>) -> Outcome
where
    String: Told<E>,
{
    result.map(|()| "ok".to_owned()).map_err(String::told)
}

fn value<E>(result: Result<Option<Vec<u8>>, E>) -> Outcome
where
    String: Told<E>,
{
    match result {
        Ok(Some(value)) => Ok(shown(&value)),
        Ok(None) => Ok("none".to_owned()),
        Err(error) => Err(String::told(error)),
    }
}

fn exists<E>(result: Result<bool, E>) -> Outcome
where
    String: Told<E>,
{
    result.map(|exists| exists.to_string()).map_err(String::told)
}

/// The error of an interface as it is shown.
trait Told<E> {
    fn told(error: E) -> Self;
}

/// The value of `set` or `fill`; `None` if the words are none.
fn given(verb: &str, words: &[&str]) -> Option<Vec<u8>> {
    match (verb, words) {
        ("set", []) => Some(Vec::new()),
        ("set", words) => Some(unescape(&words.join(" "))),
        ("fill", [length]) => Some(vec![b'.'; length.parse().ok()?]),
        _ => None,
    }
}

fn not_open() -> Outcome {
    Err("nothing is open".to_owned())
}
