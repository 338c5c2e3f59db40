//! OpenAI's API, or as much of it as servers that are compatible with it have.
//!
//! It has no words for some of what a guest can say, and servers refuse what they have no words for. A prompt is the one
//! message of a user. How many tokens are chosen among, and how many count for a penalty, is not said. A penalty is added
//! there and multiplied with here, so that 1.5 is said as 0.5; more than 2 there is not. Temperature and probability are
//! said where they are not those that Spin's SDKs fill in by themselves, since some models take none but their own.

use serde::{Deserialize, Serialize};

use super::NoAnswer;
use crate::llm;
use crate::llm::sampling::Sampling;
use crate::operator_server::BoundedList;

pub(super) const CHAT_COMPLETIONS: &str = "/v1/chat/completions";

pub(super) const EMBEDDINGS: &str = "/v1/embeddings";

#[derive(Serialize)]
pub(super) struct ChatCompletion<'a> {
    model: &'a str,
    messages: [Message<'a>; 1],
    max_completion_tokens: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    temperature: Option<f32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    top_p: Option<f32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    frequency_penalty: Option<f32>,
}

#[derive(Serialize)]
struct Message<'a> {
    role: &'static str,
    content: &'a str,
}

#[derive(Deserialize)]
pub(super) struct ChatCompletionAnswer {
    choices: BoundedList<Choice>,
    #[serde(default)]
    usage: Option<Usage>,
}

#[derive(Deserialize)]
struct Choice {
    message: Said,
}

#[derive(Deserialize)]
struct Said {
    content: Option<String>,
}

#[derive(Deserialize)]
pub(super) struct EmbeddingsAnswer {
    data: BoundedList<Embedding>,
    #[serde(default)]
    usage: Option<Usage>,
}

#[derive(Deserialize)]
struct Embedding {
    /// Of which text it is, from 0 on; servers that leave it out keep the order.
    #[serde(default)]
    index: usize,
    embedding: Vec<f32>,
}

/// Not every server counts.
#[derive(Deserialize, Default)]
#[serde(default)]
struct Usage {
    prompt_tokens: u32,
    completion_tokens: u32,
}

impl<'a> ChatCompletion<'a> {
    pub(super) fn new(model: &'a str, prompt: &'a str, sampling: &Sampling) -> Self {
        let filled_in = Sampling::default();
        let chosen = |number: f32, otherwise: f32| (number != otherwise).then_some(number);
        Self {
            model,
            messages: [Message {
                role: "user",
                content: prompt,
            }],
            max_completion_tokens: sampling.max_tokens,
            temperature: chosen(sampling.temperature, filled_in.temperature),
            top_p: chosen(sampling.top_p, filled_in.top_p),
            frequency_penalty: chosen(sampling.repeat_penalty, filled_in.repeat_penalty)
                .map(|penalty| (penalty - 1.0).min(MOST_PENALTY)),
        }
    }
}

impl ChatCompletionAnswer {
    /// The text of the first choice; no other was asked for.
    pub(super) fn inferred(self) -> Result<llm::Inferred, NoAnswer> {
        let first = Vec::from(self.choices).into_iter().next();
        let usage = self.usage.unwrap_or_default();
        Ok(llm::Inferred {
            text: first
                .and_then(|choice| choice.message.content)
                .ok_or(NoAnswer::NoText)?,
            prompt_tokens: usage.prompt_tokens,
            generated_tokens: usage.completion_tokens,
        })
    }
}

impl From<EmbeddingsAnswer> for llm::Embedded {
    fn from(answer: EmbeddingsAnswer) -> Self {
        let mut data = Vec::from(answer.data);
        data.sort_by_key(|embedding| embedding.index);
        Self {
            embeddings: data.into_iter().map(|own| own.embedding).collect(),
            prompt_tokens: answer.usage.unwrap_or_default().prompt_tokens,
        }
    }
}

/// The highest that servers take.
const MOST_PENALTY: f32 = 2.0;
