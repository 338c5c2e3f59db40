//! How text is generated, as a guest wants it.

use super::ModelError;
use super::bindings::fermyon::spin::llm::InferencingParams;

/// Parameters that make sense: every number is finite, and a probability is one. What a server has no use for, or would
/// refuse, is not known here.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Sampling {
    pub(super) max_tokens: u32,
    /// Not below 0; 1 penalises nothing.
    pub(super) repeat_penalty: f32,
    pub(super) repeat_penalty_last_n_token_count: u32,
    /// Not below 0.
    pub(super) temperature: f32,
    pub(super) top_k: u32,
    /// From 0 to 1.
    pub(super) top_p: f32,
}

/// Those of Spin, where a guest says nothing. Its SDKs fill in the same.
impl Default for Sampling {
    fn default() -> Self {
        Self {
            max_tokens: 100,
            repeat_penalty: 1.1,
            repeat_penalty_last_n_token_count: 64,
            temperature: 0.8,
            top_k: 40,
            top_p: 0.9,
        }
    }
}

impl Sampling {
    pub(super) fn new(params: Option<InferencingParams>) -> Result<Self, ModelError> {
        let Some(params) = params else {
            return Ok(Self::default());
        };
        let amount = |number: f32| number.is_finite() && number >= 0.0;
        if !amount(params.temperature) {
            return Err(ModelError::Invalid("the temperature is not a number from 0 on"));
        }
        if !amount(params.repeat_penalty) {
            return Err(ModelError::Invalid(
                "the repeat penalty is not a number from 0 on",
            ));
        }
        if !(0.0..=1.0).contains(&params.top_p) {
            return Err(ModelError::Invalid("top-p is not a probability, from 0 to 1"));
        }
        Ok(Self {
            max_tokens: params.max_tokens,
            repeat_penalty: params.repeat_penalty,
            repeat_penalty_last_n_token_count: params.repeat_penalty_last_n_token_count,
            temperature: params.temperature,
            top_k: params.top_k,
            top_p: params.top_p,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn params() -> InferencingParams {
        InferencingParams {
            max_tokens: 100,
            repeat_penalty: 1.1,
            repeat_penalty_last_n_token_count: 64,
            temperature: 0.8,
            top_k: 40,
            top_p: 0.9,
        }
    }

    #[test]
    fn a_guest_that_says_nothing_gets_what_sdks_fill_in() {
        assert_eq!(Sampling::new(None), Ok(Sampling::default()));
        assert_eq!(Sampling::new(Some(params())), Ok(Sampling::default()));
    }

    #[test]
    fn a_number_that_makes_no_sense_is_refused() {
        type Change = fn(&mut InferencingParams, f32);
        let temperature: Change = |params, number| params.temperature = number;
        let penalty: Change = |params, number| params.repeat_penalty = number;
        let top_p: Change = |params, number| params.top_p = number;
        for (change, number, makes_sense) in [
            (temperature, 0.0, true),
            (temperature, 2.0, true),
            (temperature, -0.1, false),
            (temperature, f32::NAN, false),
            (temperature, f32::INFINITY, false),
            (penalty, 0.0, true),
            (penalty, -1.0, false),
            (penalty, f32::NAN, false),
            (top_p, 0.0, true),
            (top_p, 1.0, true),
            (top_p, 1.01, false),
            (top_p, -0.01, false),
            (top_p, f32::NAN, false),
        ] {
            let mut params = params();
            change(&mut params, number);
            let read = Sampling::new(Some(params));
            assert_eq!(read.is_ok(), makes_sense, "{params:?}");
            assert!(makes_sense || matches!(read, Err(ModelError::Invalid(_))));
        }
    }
}
