use super::*;
use crate::error::ErrorKind;
use crate::limits::TENSOR_BYTES_MAX;
use crate::tensor::{ElementType, Tensor};
use bytes::Bytes;
use proptest::prelude::*;

fn coded(encoding: Encoding, tensor: &Tensor) -> Tensor {
    let encoded = Encoder::new().unwrap().encode(encoding, tensor).unwrap();
    // As it arrives: only the name and the bytes.
    let arrived = Encoded::read(encoding, encoded.bytes().clone()).unwrap();
    assert_eq!(arrived, encoded);
    Decoder::default().decode(&arrived).unwrap()
}

fn refusal(encoding: Encoding, bytes: &[u8]) -> String {
    let encoded = Encoded::read(encoding, Bytes::copy_from_slice(bytes));
    let error = encoded.and_then(|e| Decoder::default().decode(&e)).expect_err("to be refused");
    assert_eq!(error.kind(), ErrorKind::Input);
    error.to_string()
}

fn coded_bytes(encoding: Encoding, tensor: &Tensor) -> Vec<u8> {
    Encoder::new().unwrap().encode(encoding, tensor).unwrap().bytes().to_vec()
}

/// A tensor of shape [1, 3, 2, 2].
fn small() -> Tensor {
    let values: Vec<f32> = (0..12u8).map(|i| (f32::from(i) * 1.7).sin() * 4.0).collect();
    Tensor::from_f32(vec![1, 3, 2, 2], &values).unwrap()
}

/// What an 8-bit number may be off by: half a step, and what is lost where a step is added to a
/// much larger number.
fn byte_tolerance(values: &[f32]) -> f64 {
    let least = values.iter().copied().fold(f32::INFINITY, f32::min);
    let greatest = values.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let largest = f64::from(least.abs().max(greatest.abs()));
    let step = (f64::from(greatest) - f64::from(least)) / 255.0;
    step * 0.5 * 1.001
        + largest * 2.0 * f64::from(f32::EPSILON)
        + f64::from(f32::MIN_POSITIVE) * 255.0
}

#[test]
fn every_name_leads_back_to_its_encoding() {
    for encoding in Encoding::ALL {
        assert_eq!(Encoding::from_name(encoding.name()), Some(encoding));
    }
    assert_eq!(Encoding::from_name("raw"), None);
    assert_eq!(Encoding::from_name("u4"), None);
}

#[test]
fn the_ends_of_a_range_and_zero_in_a_rectified_tensor_are_exact() {
    let tensor = Tensor::from_f32(vec![1, 1, 1, 4], &[0.0, 2.5, 1.0, 0.0]).unwrap();
    for encoding in [Encoding::U8, Encoding::U8_CHANNEL, Encoding::U8_ZSTD] {
        let found = coded(encoding, &tensor).to_f32().unwrap();
        assert_eq!((found[0].to_bits(), found[3].to_bits()), (0, 0));
        assert!((found[1] - 2.5).abs() < 1e-6, "{}", found[1]);
        assert!((found[2] - 1.0).abs() <= 2.5 / 255.0 / 2.0, "{}", found[2]);
    }
}

#[test]
fn equal_numbers_come_back_as_they_were() {
    let tensor = Tensor::from_f32(vec![1, 2, 3], &[-7.25; 6]).unwrap();
    for encoding in Encoding::ALL {
        assert_eq!(coded(encoding, &tensor), tensor, "{encoding}");
    }
}

#[test]
fn a_channel_has_a_range_of_its_own() {
    // The second channel is a thousand times larger than the first, in both items of the batch.
    let values = [0.001, 0.002, 1.0, 2.0, 0.003, 0.004, 3.0, 4.0];
    let tensor = Tensor::from_f32(vec![2, 2, 2], &values).unwrap();
    let found = coded(Encoding::U8_CHANNEL, &tensor).to_f32().unwrap();
    for (found, expected) in found.iter().zip(values) {
        let span = if expected < 0.5 { 0.003 } else { 3.0 };
        assert!((found - expected).abs() <= span / 255.0, "{found} for {expected}");
    }
    let flat = coded(Encoding::U8, &tensor).to_f32().unwrap();
    assert_eq!(flat[0].to_bits(), flat[1].to_bits(), "one range for all cannot tell these apart");
}

#[test]
fn values_out_of_range_for_an_encoding_are_refused_by_name() {
    let mut encoder = Encoder::new().unwrap();
    let mut refused = |encoding: Encoding, tensor: Tensor| {
        let error = encoder.encode(encoding, &tensor).expect_err("to be refused");
        assert_eq!(error.kind(), ErrorKind::Input);
        error.to_string()
    };
    let line = |values: &[f32]| Tensor::from_f32(vec![1, 1, values.len()], values).unwrap();
    for encoding in Encoding::ALL.into_iter().filter(|e| !e.is_exact()) {
        for wrong in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            let message = refused(encoding, line(&[1.0, wrong, 2.0]));
            assert_eq!(message, format!("encoding {encoding}: a number is infinite or NaN"));
        }
        let whole = Tensor::new(ElementType::I64, vec![1], vec![0; 8].into()).unwrap();
        assert!(refused(encoding, whole).contains("is for FP32, found INT64"));
    }
    assert!(refused(Encoding::F16, line(&[65505.0])).contains("beyond 16-bit numbers"));
    assert!(refused(Encoding::U8, line(&[-3e38, 3e38])).contains("8-bit numbers from"));
    let plane = Tensor::from_f32(vec![2, 2], &[0.0; 4]).unwrap();
    assert!(refused(Encoding::U8_CHANNEL, plane).contains("at least 3 dimensions"));
    let nothing = Tensor::from_f32(vec![1, 9, 0], &[]).unwrap();
    assert!(refused(Encoding::U8_CHANNEL, nothing).contains("no numbers"));
}

#[test]
fn tensors_without_elements_or_dimensions_come_back() {
    let nothing = Tensor::from_f32(vec![2, 0, 3], &[]).unwrap();
    let single = Tensor::from_f32(vec![], &[3.5]).unwrap();
    for encoding in [Encoding::ZSTD, Encoding::F16, Encoding::F16_ZSTD, Encoding::U8_ZSTD] {
        assert_eq!(coded(encoding, &nothing), nothing, "{encoding}");
        assert_eq!(coded(encoding, &single), single, "{encoding}");
    }
}

#[test]
fn truncated_data_is_refused_at_any_length() {
    for encoding in Encoding::ALL {
        let whole = coded_bytes(encoding, &small());
        for length in 0..whole.len() {
            refusal(encoding, &whole[..length]);
        }
        let mut longer = whole.clone();
        longer.push(0);
        refusal(encoding, &longer);
    }
}

#[test]
fn data_that_decodes_to_more_than_its_shape_is_refused() {
    // A small header before the compressed numbers of a large tensor.
    let large = Tensor::from_f32(vec![1, 1, 1 << 20], &vec![0.0; 1 << 20]).unwrap();
    for encoding in [Encoding::ZSTD, Encoding::F16_ZSTD, Encoding::U8_ZSTD] {
        let (small, large) = (coded_bytes(encoding, &small()), coded_bytes(encoding, &large));
        let ranges = if encoding == Encoding::U8_ZSTD { 1 } else { 0 };
        let (short, long) = (3 + 4 * 4 + 8 * ranges, 3 + 4 * 3 + 8 * ranges);
        let bomb = [&small[..short], &large[long..]].concat();
        assert!(refusal(encoding, &bomb).contains("asks for"), "{encoding}");
        // Two zstd frames, each of the size that is asked for.
        let twice = [&small[..], &small[short..]].concat();
        assert!(refusal(encoding, &twice).contains("damaged"), "{encoding}");
    }
}

#[test]
fn invalid_headers_are_refused_before_any_allocation() {
    let (f32_number, u8_number) = (1u8, 2u8);
    let header = |version, number, dims: &[u32], rest: &[u8]| {
        let rank = u8::try_from(dims.len()).unwrap();
        let dims: Vec<u8> = dims.iter().flat_map(|d| d.to_le_bytes()).collect();
        [&[version, number, rank], &dims[..], rest].concat()
    };
    let range = |least: f32, step: f32| [least.to_le_bytes(), step.to_le_bytes()].concat();
    let four = [1, 2, 3, 4];
    assert!(refusal(Encoding::F16, &header(2, f32_number, &[2], &four)).contains("version 2"));
    assert!(refusal(Encoding::F16, &header(1, 99, &[2], &four)).contains("element type 99"));
    assert!(refusal(Encoding::F16, &header(1, u8_number, &[2], &four)).contains("found UINT8"));
    assert!(refusal(Encoding::F16, &header(1, f32_number, &[1; 17], &four)).contains("17 dim"));
    let huge = u32::try_from(TENSOR_BYTES_MAX / 4 + 1).unwrap();
    for dims in [vec![huge], vec![u32::MAX; 16], vec![u32::MAX, 0]] {
        let message = refusal(Encoding::F16, &header(1, f32_number, &dims, &four));
        assert!(message.contains("more than"), "{dims:?}: {message}");
    }
    let channels = header(1, f32_number, &[1, 1 << 20, 1], &four);
    assert!(refusal(Encoding::U8_CHANNEL, &channels).contains("ends within its header"));
    let flat = header(1, f32_number, &[4], &[&range(0.0, 1.0)[..], &four].concat());
    assert!(refusal(Encoding::U8_CHANNEL, &flat).contains("at least 3"));
    for (least, step) in [(f32::NAN, 1.0), (0.0, f32::NAN), (0.0, -1.0), (0.0, f32::MAX)] {
        let bytes = header(1, f32_number, &[4], &[&range(least, step)[..], &four].concat());
        assert!(refusal(Encoding::U8, &bytes).contains("8-bit numbers from"), "{least} {step}");
    }
    let plain = header(1, f32_number, &[1], &four);
    assert!(refusal(Encoding::ZSTD, &plain).contains("no zstd frame"));
}

/// Finite numbers of all sizes, many of them zero as after a rectifier.
fn numbers() -> impl Strategy<Value = Vec<f32>> {
    let number = prop_oneof![
        3 => Just(0.0f32),
        4 => -8.0f32..8.0,
        1 => -60000.0f32..60000.0,
        1 => proptest::num::f32::NORMAL | proptest::num::f32::SUBNORMAL | proptest::num::f32::ZERO,
    ];
    proptest::collection::vec(number, 1..300)
}

proptest! {
    #[test]
    fn exact_encodings_bring_every_bit_back(
        type_index in 0..ElementType::all().count(),
        bytes in proptest::collection::vec(any::<u8>(), 0..600),
    ) {
        let element_type = ElementType::all().nth(type_index).unwrap();
        let count = bytes.len() / element_type.size();
        let bytes = Bytes::from(bytes).slice(..count * element_type.size());
        let tensor = Tensor::new(element_type, vec![1, count], bytes).unwrap();
        prop_assert_eq!(coded(Encoding::ZSTD, &tensor), tensor);
    }

    #[test]
    fn bytes_are_within_half_a_step(values in numbers(), batch in 1usize..3, channels in 1usize..5) {
        let plane = values.len() / (batch * channels);
        prop_assume!(plane > 0);
        let shape = vec![batch, channels, plane];
        let values = &values[..batch * channels * plane];
        let tensor = Tensor::from_f32(shape, values).unwrap();
        let is_wide = |values: &[f32]| byte_tolerance(values) > f64::from(f32::MAX) / 256.0;
        prop_assume!(!is_wide(values));
        for encoding in [Encoding::U8, Encoding::U8_ZSTD] {
            let found = coded(encoding, &tensor).to_f32().unwrap();
            let tolerance = byte_tolerance(values);
            for (a, b) in found.iter().zip(values) {
                prop_assert!((f64::from(*a) - f64::from(*b)).abs() <= tolerance, "{a} for {b}");
            }
        }
        for encoding in [Encoding::U8_CHANNEL, Encoding::U8_CHANNEL_ZSTD] {
            let found = coded(encoding, &tensor).to_f32().unwrap();
            for c in 0..channels {
                let of_channel = |values: &[f32]| -> Vec<f32> {
                    let planes = values.chunks(plane).skip(c).step_by(channels);
                    planes.flatten().copied().collect()
                };
                let (found, values) = (of_channel(&found), of_channel(values));
                let tolerance = byte_tolerance(&values);
                for (a, b) in found.iter().zip(&values) {
                    prop_assert!((f64::from(*a) - f64::from(*b)).abs() <= tolerance, "{a} for {b}");
                }
            }
        }
    }

    #[test]
    fn halves_are_the_nearest_16_bit_numbers(mut values in numbers()) {
        values.retain(|v| v.abs() <= 65504.0);
        let tensor = Tensor::from_f32(vec![values.len()], &values).unwrap();
        for encoding in [Encoding::F16, Encoding::F16_ZSTD] {
            let found = coded(encoding, &tensor).to_f32().unwrap();
            for (a, b) in found.iter().zip(&values) {
                // 11 significant bits, or steps of 2^-24 near zero.
                let tolerance = (f64::from(b.abs()) / 2048.0).max(2f64.powi(-25));
                prop_assert!((f64::from(*a) - f64::from(*b)).abs() <= tolerance, "{a} for {b}");
            }
        }
    }

    #[test]
    fn arbitrary_bytes_are_decoded_or_refused(
        which in 0..Encoding::ALL.len(),
        made in 0..Encoding::ALL.len(),
        noise in proptest::collection::vec(any::<u8>(), 0..80),
        changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4),
    ) {
        let (read_as, made_as) = (Encoding::ALL[which], Encoding::ALL[made]);
        let mut changed = coded_bytes(made_as, &small());
        for (index, value) in changes {
            let at = index.index(changed.len());
            changed[at] = value;
        }
        for bytes in [noise, changed] {
            if let Ok(encoded) = Encoded::read(read_as, bytes.into())
                && let Ok(tensor) = Decoder::default().decode(&encoded)
            {
                prop_assert_eq!(tensor.shape(), encoded.shape());
                prop_assert_eq!(tensor.element_type(), encoded.element_type());
                prop_assert_eq!(tensor.bytes().len(), encoded.raw_bytes());
            }
        }
    }
}
