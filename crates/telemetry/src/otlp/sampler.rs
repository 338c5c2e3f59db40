//! Which requests have spans. It is decided before any span is made, so that a request without spans costs next to nothing.

use opentelemetry::trace::{SpanId, TraceId};
use opentelemetry_sdk::trace::{IdGenerator, RandomIdGenerator};
use outport_egress::trace::TraceContext;
use rand::random;

/// Which requests have spans.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sampler {
    /// The choice for a trace that begins here; for every trace unless parents are heeded.
    pub root: Root,
    /// A client that says whether it records the trace has decided.
    pub heeds_parent: bool,
}

/// The choice for a trace that begins here.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Root {
    /// It has spans.
    Always,
    /// It has none.
    Never,
    /// So many of all have, by the number of the trace: everybody who has the same share makes the same choice.
    Ratio(f64),
}

impl Default for Sampler {
    fn default() -> Self {
        Self {
            root: Root::Always,
            heeds_parent: true,
        }
    }
}

impl Sampler {
    /// True if there are to be spans for a request that brought `incoming`.
    pub(super) fn samples(self, incoming: Option<&TraceContext>) -> bool {
        match (self.root, incoming) {
            (_, Some(context)) if self.heeds_parent => context.sampled,
            (Root::Always, _) => true,
            (Root::Never, _) => false,
            (Root::Ratio(ratio), Some(context)) => half(context.trace_id) < bound(ratio),
            // The number is chosen among those that are to have spans.
            (Root::Ratio(ratio), None) => random::<u64>() >> 1 < bound(ratio),
        }
    }

    /// The context of a request that brought none and for which the choice was no. Whoever is asked below it and chooses by
    /// the number of the trace says no too, so that no trace has spans without those above them.
    pub(super) fn unsampled(self) -> TraceContext {
        let context = TraceContext::unsampled();
        let Root::Ratio(ratio) = self.root else {
            return context;
        };
        let least = bound(ratio);
        // None are left where all have spans.
        let Some(low) = half(context.trace_id).checked_rem((1 << 63) - least) else {
            return context;
        };
        TraceContext {
            trace_id: with_half(context.trace_id, least + low),
            ..context
        }
    }
}

/// Numbers of traces that begin here, which somebody who has the same share chooses too.
#[derive(Debug)]
pub(super) struct SampledIds(pub(super) Sampler);

impl IdGenerator for SampledIds {
    fn new_trace_id(&self) -> TraceId {
        let number: u128 = random();
        let number = match self.0.root {
            Root::Ratio(ratio) if bound(ratio) > 0 => with_half(number, half(number) % bound(ratio)),
            Root::Always | Root::Never | Root::Ratio(_) => number,
        };
        // 0 is no number.
        TraceId::from(number.max(1))
    }

    fn new_span_id(&self) -> SpanId {
        RandomIdGenerator::default().new_span_id()
    }
}

/// The part of a number by which it is decided, as the SDKs of OpenTelemetry do: 63 bits.
fn half(trace_id: u128) -> u64 {
    (trace_id as u64) >> 1
}

/// The number with another such part.
fn with_half(trace_id: u128, half: u64) -> u128 {
    trace_id & !u128::from(u64::MAX) | u128::from(half << 1) | trace_id & 1
}

/// The least of these numbers that has no spans.
fn bound(ratio: f64) -> u64 {
    (ratio.clamp(0.0, 1.0) * (1_u64 << 63) as f64) as u64
}

#[cfg(test)]
mod tests {
    use opentelemetry::trace::SpanKind;
    use opentelemetry_sdk::trace::{Sampler as SdkSampler, SamplingDecision, ShouldSample};

    use super::*;

    fn context(trace_id: u128, sampled: bool) -> TraceContext {
        TraceContext {
            trace_id,
            sampled,
            ..TraceContext::unsampled()
        }
    }

    #[test]
    fn who_has_spans() {
        use Root::{Always, Never, Ratio};
        // The choice without a context, with one that is not recorded, and with one that is.
        let rows = [
            (Always, true, [true, false, true]),
            (Never, true, [false, false, true]),
            (Ratio(0.0), true, [false, false, true]),
            (Ratio(1.0), true, [true, false, true]),
            (Always, false, [true, true, true]),
            (Never, false, [false, false, false]),
            (Ratio(0.0), false, [false, false, false]),
            (Ratio(1.0), false, [true, true, true]),
        ];
        for (root, heeds_parent, expected) in rows {
            let sampler = Sampler { root, heeds_parent };
            let (dark, lit) = (context(7, false), context(7, true));
            let found = [None, Some(&dark), Some(&lit)].map(|incoming| sampler.samples(incoming));
            assert_eq!(found, expected, "{sampler:?}");
        }
    }

    #[test]
    fn a_share_of_traces_is_what_other_sdks_choose() {
        for ratio in [0.01, 0.25, 0.9, 0.999_999] {
            let sdk = SdkSampler::TraceIdRatioBased(ratio);
            let chooses = |id: u128| {
                let result = sdk.should_sample(None, TraceId::from(id), "a", &SpanKind::Server, &[], &[]);
                result.decision == SamplingDecision::RecordAndSample
            };
            let own = Sampler {
                root: Root::Ratio(ratio),
                heeds_parent: false,
            };
            let ids = SampledIds(own);
            let mut chosen = 0;
            for _ in 0..20_000 {
                let id = random::<u128>().max(1);
                assert_eq!(own.samples(Some(&context(id, false))), chooses(id), "{id:x}");
                chosen += u32::from(own.samples(None));
                let begun = u128::from_be_bytes(ids.new_trace_id().to_bytes());
                assert!(chooses(begun), "{begun:x}");
                let dark = own.unsampled();
                assert!(!chooses(dark.trace_id) && !dark.sampled, "{dark}");
                assert!(!own.samples(Some(&dark)), "{dark}");
            }
            // Nine standard deviations.
            let expected = 20_000.0 * ratio;
            let spread = 9.0 * (expected * (1.0 - ratio)).sqrt();
            assert!((f64::from(chosen) - expected).abs() < spread, "{ratio}: {chosen}");
        }
    }
}
