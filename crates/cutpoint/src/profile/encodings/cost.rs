//! Costs of encodings, tensor by tensor.

use super::coder::Coder;
use super::encoding_profile::{EncodingCost, EncodingProfile, Sample};
use crate::encoding::{Encoded, Encoding};
use crate::input::{Input, Inputs};
use crate::profile::statistics::median;
use crate::tensor::Tensor;
use std::collections::BTreeMap;
use std::time::Instant;

/// How often each tensor is encoded and decoded; the fastest counts, as the others were disturbed.
const TURNS: usize = 3;

/// The samples for the server have at most this many raw bytes, where there is such a tensor.
const SAMPLE_BYTES: usize = 256 << 10;

/// A tensor in an encoding, measured once for each input.
#[derive(Default)]
struct Measured {
    bytes: Vec<f64>,
    encode_ms: Vec<f64>,
    decode_ms: Vec<f64>,
}

/// All that was measured.
#[derive(Default)]
pub(super) struct Samples {
    by_tensor: BTreeMap<String, BTreeMap<Encoding, Measured>>,
}

impl Samples {
    /// Measures a tensor, or a picture; an encoding that cannot hold it is left out.
    pub(super) fn take(
        &mut self,
        coder: &mut Coder,
        name: &str,
        encodings: &[Encoding],
        value: &Input,
    ) {
        let measured = self.by_tensor.entry(name.to_owned()).or_default();
        for &encoding in encodings {
            if let Some((encoded, encode_ms, decode_ms)) = timed(coder, encoding, value) {
                let entry = measured.entry(encoding).or_default();
                entry.bytes.push(encoded.bytes().len() as f64);
                entry.encode_ms.push(encode_ms);
                entry.decode_ms.push(decode_ms);
            }
        }
    }

    /// The medians of what could be measured on each of the given number of inputs.
    pub(super) fn medians(self, inputs: usize) -> BTreeMap<String, Vec<EncodingCost>> {
        let cost = |(encoding, m): (Encoding, Measured)| {
            (m.bytes.len() == inputs).then(|| EncodingCost {
                encoding,
                bytes: median(&m.bytes).round() as u64,
                encode_ms: median(&m.encode_ms),
                decode_ms: median(&m.decode_ms),
            })
        };
        let costs = |all: BTreeMap<Encoding, Measured>| all.into_iter().filter_map(cost).collect();
        self.by_tensor.into_iter().map(|(name, all)| (name, costs(all))).collect()
    }
}

/// A tensor in an encoding, and what it took there and back, in milliseconds; `None` if it cannot.
fn timed(coder: &mut Coder, encoding: Encoding, value: &Input) -> Option<(Encoded, f64, f64)> {
    let (mut encode_ms, mut decode_ms) = (f64::INFINITY, f64::INFINITY);
    let mut last = None;
    for _ in 0..TURNS {
        let start = Instant::now();
        let encoded = coder.encoder.encode_input(encoding, value).ok()?;
        encode_ms = encode_ms.min(start.elapsed().as_secs_f64() * 1e3);
        let start = Instant::now();
        coder.decoder.decode(&encoded).ok()?;
        decode_ms = decode_ms.min(start.elapsed().as_secs_f64() * 1e3);
        last = Some(encoded);
    }
    last.map(|encoded| (encoded, encode_ms, decode_ms))
}

/// For each encoding that a plan may use, a sample: the largest tensor of a small size; of pictures
/// the smallest in that encoding.
pub(super) fn samples(
    profile: &EncodingProfile,
    values: &[BTreeMap<String, Tensor>],
    inputs: &[&Inputs],
    coder: &mut Coder,
) -> Vec<Sample> {
    let is_admitted = |name: &str, encoding: Encoding| {
        let costs = profile.admitted.get(name);
        costs.is_some_and(|costs| costs.iter().any(|cost| cost.encoding == encoding))
    };
    let tensor = |encoding: Encoding| {
        let all = values.first()?.iter().filter(|(name, _)| is_admitted(name, encoding));
        let all: Vec<&Tensor> = all.map(|(_, value)| value).collect();
        let size = |value: &&&Tensor| value.bytes().len();
        let small = all.iter().filter(|v| size(v) <= SAMPLE_BYTES).max_by_key(size);
        let chosen = small.or_else(|| all.iter().min_by_key(size))?;
        Some(Input::Tensor((*chosen).clone()))
    };
    let mut sample = |encoding: Encoding| {
        let chosen = if encoding.is_of_pictures() {
            let all = inputs.iter().flat_map(|inputs| inputs.iter());
            let all =
                all.filter(|(name, _)| is_admitted(name, encoding)).filter_map(|(_, input)| {
                    let encoded = coder.encoder.encode_input(encoding, input).ok()?;
                    Some((encoded.bytes().len(), input))
                });
            all.min_by_key(|&(size, _)| size).map(|(_, input)| input.clone())?
        } else {
            tensor(encoding)?
        };
        let (encoded, _, here_ms) = timed(coder, encoding, &chosen)?;
        let sha256 = coder.decoder.decode(&encoded).ok()?.sha256();
        Some(Sample { encoded, here_ms, sha256 })
    };
    Encoding::every().filter_map(&mut sample).collect()
}
