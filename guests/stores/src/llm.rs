//! `fermyon:spin/llm@2.0.0`.
//!
//! | statement | result |
//! | --- | --- |
//! | `infer MODEL PROMPT` | what the model says |
//! | `embed MODEL TEXT…` | how many vectors there are |

use crate::bindings::fermyon::spin::llm::{generate_embeddings, infer};
use crate::interpreter::Outcome;
use crate::text::{named, shown, unescape_text};

pub(crate) fn perform(verb: &str, words: &[&str]) -> Option<Outcome> {
    let (model, words) = words.split_first()?;
    let model = unescape_text(model);
    let answer = match verb {
        "infer" => {
            infer(&model, &unescape_text(&words.join(" ")), None).map(|answer| shown(answer.text.as_bytes()))
        }
        "embed" => {
            let texts: Vec<String> = words.iter().map(|word| unescape_text(word)).collect();
            generate_embeddings(&model, &texts).map(|answer| format!("{} vectors", answer.embeddings.len()))
        }
        _ => return None,
    };
    Some(answer.map_err(|error| named(&error)))
}
