//! The arguments that say which encodings a plan may use, and what is said about those measured.

use cutpoint::input::Supply;
use cutpoint::profile::{AccuracyBudget, Effect, EncodingProfile, EncodingSummary};
use cutpoint::session::EncodingRequest;
use cutpoint_plan::units::count;

/// Flattened into the subcommands that measure.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct EncodingArgs {
    /// How far outputs may change when tensors are sent in encodings: exact (lossless compression
    /// only), or bounds that must all hold, as in max_abs=0.01,cosine=0.999,top1=0.99.
    #[arg(long, value_name = "BOUNDS")]
    accuracy: Option<AccuracyBudget>,

    /// Send every tensor unencoded, and measure no encodings.
    #[arg(long, conflicts_with = "accuracy")]
    raw: bool,
}

impl EncodingArgs {
    /// Whether the user has said anything about accuracy.
    pub(crate) fn is_given(&self) -> bool {
        self.accuracy.is_some()
    }

    /// What to measure on inputs of each model; `None` for nothing.
    pub(crate) fn request<'a>(
        &self,
        inputs: impl Iterator<Item = &'a dyn Supply>,
        without_server: bool,
    ) -> Option<EncodingRequest<'a>> {
        let budget = self.accuracy.unwrap_or_default();
        let inputs = inputs.collect();
        (!self.raw).then_some(EncodingRequest { budget, inputs, without_server })
    }
}

/// Says on standard error what encodings make of a model's tensors.
pub(crate) fn report(model: &str, profile: &EncodingProfile) {
    let summaries = profile.summaries();
    if summaries.is_empty() {
        return;
    }
    let (tensors, cuts, inputs) = (profile.raw_bytes.len(), profile.cuts, profile.inputs);
    eprintln!(
        "{model}: encodings of {} at {} on {}; medians, ms per MB of raw bytes",
        count(tensors, "tensor"),
        count(cuts, "cut"),
        count(inputs, "input"),
    );
    eprintln!(
        "{:<16} {:>6} {:>7} {:>7} {:>8}  worst effect on the outputs",
        "encoding", "ratio", "encode", "decode", "in use"
    );
    summaries.iter().for_each(|summary| eprintln!("{}", row(summary)));
    if !profile.admitted.is_empty() && profile.server_over_here.is_empty() {
        eprintln!("decode times on the server were not measured; assuming the device's");
    }
}

fn row(summary: &EncodingSummary) -> String {
    let effect = match summary.worst {
        Some(Effect { max_abs, cosine, top1, .. }) => {
            format!("max_abs {max_abs:.2e}, cosine {cosine:.6}, top1 {top1:.3}")
        }
        None if summary.encoding.is_exact() => "none".to_owned(),
        None => "not measured".to_owned(),
    };
    format!(
        "{:<16} {:>5.2}x {:>7.2} {:>7.2} {:>4} of {:<3} {effect}",
        summary.encoding.name(),
        summary.ratio,
        summary.encode_ms_per_mb,
        summary.decode_ms_per_mb,
        summary.admitted,
        summary.tensors,
    )
}
