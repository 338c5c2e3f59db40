//! Spin's own API.

use serde::{Deserialize, Serialize};

use crate::llm;
use crate::llm::sampling::Sampling;
use crate::operator_server::BoundedList;

pub(super) const INFER: &str = "/infer";

pub(super) const EMBED: &str = "/embed";

#[derive(Serialize)]
pub(super) struct Infer<'a> {
    model: &'a str,
    prompt: &'a str,
    options: Options,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Options {
    max_tokens: u32,
    repeat_penalty: f32,
    repeat_penalty_last_n_token_count: u32,
    temperature: f32,
    top_k: u32,
    top_p: f32,
}

#[derive(Deserialize)]
pub(super) struct Inferred {
    text: String,
    #[serde(default)]
    usage: Usage,
}

#[derive(Deserialize)]
pub(super) struct Embedded {
    embeddings: BoundedList<Vec<f32>>,
    #[serde(default)]
    usage: Usage,
}

/// Not every server counts.
#[derive(Deserialize, Default)]
#[serde(default, rename_all = "camelCase")]
struct Usage {
    prompt_token_count: u32,
    generated_token_count: u32,
}

impl<'a> Infer<'a> {
    pub(super) fn new(model: &'a str, prompt: &'a str, sampling: &Sampling) -> Self {
        let Sampling {
            max_tokens,
            repeat_penalty,
            repeat_penalty_last_n_token_count,
            temperature,
            top_k,
            top_p,
        } = *sampling;
        Self {
            model,
            prompt,
            options: Options {
                max_tokens,
                repeat_penalty,
                repeat_penalty_last_n_token_count,
                temperature,
                top_k,
                top_p,
            },
        }
    }
}

impl From<Inferred> for llm::Inferred {
    fn from(answer: Inferred) -> Self {
        Self {
            text: answer.text,
            prompt_tokens: answer.usage.prompt_token_count,
            generated_tokens: answer.usage.generated_token_count,
        }
    }
}

impl From<Embedded> for llm::Embedded {
    fn from(answer: Embedded) -> Self {
        Self {
            embeddings: answer.embeddings.into(),
            prompt_tokens: answer.usage.prompt_token_count,
        }
    }
}
