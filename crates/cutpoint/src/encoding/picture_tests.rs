//! Pictures in encodings: the same bits on both sides, and nothing else believed.

use super::*;
use crate::error::ErrorKind;
use crate::input::testing::{jpeg, png, resized_jpeg};
use crate::input::{ImageLayout, Input, Picture, Preparation};
use crate::tensor::{ElementType, Tensor};
use bytes::Bytes;
use proptest::prelude::*;
use std::sync::Arc;

/// Version, type and rank; four dimensions; resizing and layout; means and deviations.
const HEADER_BYTES: usize = 3 + 4 * 4 + 2 + 6 * 4;

const MEAN: [f32; 3] = [0.485, 0.456, 0.406];
const STD: [f32; 3] = [0.229, 0.224, 0.225];

fn picture(file: Vec<u8>, element_type: ElementType, shape: &[usize]) -> Input {
    let preparation = Preparation::new(element_type, shape, None, MEAN, STD).unwrap();
    Input::Picture(Arc::new(Picture::new(file.into(), preparation, "p".into()).unwrap()))
}

fn small() -> Input {
    picture(jpeg(20, 12), ElementType::F32, &[1, 3, 8, 6])
}

fn encoded(encoding: Encoding, input: &Input) -> Vec<u8> {
    Encoder::new().unwrap().encode_input(encoding, input).unwrap().bytes().to_vec()
}

fn decoded(encoding: Encoding, bytes: &[u8]) -> crate::error::Result<Tensor> {
    let arrived = Encoded::read(encoding, Bytes::copy_from_slice(bytes))?;
    let tensor = Decoder::default().decode(&arrived)?;
    assert_eq!((tensor.shape(), tensor.element_type()), (arrived.shape(), arrived.element_type()));
    assert_eq!(tensor.bytes().len(), arrived.raw_bytes());
    Ok(tensor)
}

fn refusal(encoding: Encoding, bytes: &[u8]) -> String {
    let error = decoded(encoding, bytes).expect_err("to be refused");
    assert_eq!(error.kind(), ErrorKind::Input);
    error.to_string()
}

#[test]
fn the_server_makes_the_bits_that_the_device_makes() {
    let shapes = [[1, 3, 16, 24], [1, 16, 24, 3], [1, 1, 9, 9], [1, 40, 48, 1]];
    for file in [jpeg(48, 40), png(48, 40), jpeg(24, 16), png(5, 3)] {
        for (shape, element_type) in
            shapes.into_iter().zip([ElementType::F32, ElementType::U8].into_iter().cycle())
        {
            let input = picture(file.clone(), element_type, &shape);
            let expected = input.tensor().unwrap();
            for encoding in Encoding::PICTURES {
                let found = decoded(encoding, &encoded(encoding, &input)).unwrap();
                // Floating point numbers are compared by their bytes here.
                assert_eq!(found.bytes(), expected.bytes(), "{encoding} {shape:?}");
                assert_eq!(found.sha256(), expected.sha256());
            }
        }
    }
}

#[test]
fn a_file_crosses_the_link_undecoded_and_as_it_came() {
    // What is behind the headers is damaged: nobody notices who does not decode.
    let mut file = png(40, 40);
    let middle = file.len() / 2;
    file[middle] ^= 0xFF;
    let input = picture(file.clone(), ElementType::F32, &[1, 3, 8, 8]);
    let sent = encoded(Encoding::FILE, &input);
    assert!(sent.ends_with(&file));
    assert!(refusal(Encoding::FILE, &sent).starts_with("encoding file: not a usable JPEG or PNG"));
    assert!(input.tensor().is_err());
}

#[test]
fn pixels_take_a_quarter_of_the_tensor_and_less_when_compressed() {
    let input = picture(jpeg(64, 64), ElementType::F32, &[1, 3, 32, 32]);
    let raw = input.tensor().unwrap().bytes().len();
    let pixels = encoded(Encoding::PIXELS, &input).len();
    assert_eq!(pixels, raw / 4 + HEADER_BYTES);
    assert_ne!(encoded(Encoding::PIXELS_ZSTD, &input).len(), pixels);
}

#[test]
fn images_can_be_sent_as_tensors_but_tensors_not_as_images() {
    let tensor = Input::Tensor(small().tensor().unwrap().clone());
    let mut encoder = Encoder::new().unwrap();
    for encoding in Encoding::PICTURES {
        let error = encoder.encode_input(encoding, &tensor).unwrap_err();
        assert!(error.to_string().contains("is for pictures"), "{error}");
    }
    let found = encoder.encode_input(Encoding::ZSTD, &small()).unwrap();
    assert_eq!(Decoder::default().decode(&found).unwrap(), *small().tensor().unwrap());
}

#[test]
fn an_image_file_that_the_server_cannot_decode_is_not_sent_as_a_file() {
    // 17 MB for an input of a few bytes; decoding it here is another matter.
    let large = picture(png(2400, 2400), ElementType::U8, &[1, 1, 2, 2]);
    let error = Encoder::new().unwrap().encode_input(Encoding::FILE, &large).unwrap_err();
    assert!(error.to_string().contains("a server allows"), "{error}");
}

#[test]
fn an_image_with_a_huge_declared_size_is_refused_before_decoding() {
    let sent = encoded(Encoding::FILE, &small());
    let file = jpeg(20, 12);
    let header = &sent[..sent.len() - file.len()];
    let bomb = [header, &resized_jpeg(file, [30_000; 2])].concat();
    assert!(refusal(Encoding::FILE, &bomb).contains("too large here"));
    let text = [header, b"no picture at all"].concat();
    assert!(refusal(Encoding::FILE, &text).contains("neither a JPEG nor a PNG"));
}

#[test]
fn truncated_data_is_refused_at_any_length() {
    for encoding in Encoding::PICTURES {
        let whole = encoded(encoding, &small());
        for length in 0..whole.len() {
            refusal(encoding, &whole[..length]);
        }
    }
    for encoding in [Encoding::PIXELS, Encoding::PIXELS_ZSTD] {
        let longer = [&encoded(encoding, &small())[..], &[0]].concat();
        refusal(encoding, &longer);
    }
}

#[test]
fn invalid_headers_are_refused() {
    let whole = encoded(Encoding::PIXELS, &small());
    // Version, type and rank, four dimensions; then resizing, layout, means, deviations.
    let (resizing, layout, mean, std) = (19, 20, 21, 33);
    let changed = |at: usize, bytes: &[u8]| {
        let mut changed = whole.clone();
        changed[at..at + bytes.len()].copy_from_slice(bytes);
        refusal(Encoding::PIXELS, &changed)
    };
    assert!(changed(resizing, &[1]).contains("unknown resize method 1"));
    assert!(changed(layout, &[2]).contains("unknown order of an image's axes"));
    assert!(changed(layout, &[1]).contains("does not take images"), "[1, 3, 8, 6] is not NHWC");
    assert!(changed(mean, &f32::NAN.to_le_bytes()).contains("not usable"));
    assert!(changed(std, &0f32.to_le_bytes()).contains("not usable"));
    assert!(changed(1, &[7]).contains("is for FP32 and UINT8, found INT64"));
    assert!(changed(2, &[3]).contains("encoding pixels"));
}

#[test]
fn pixels_that_decode_to_more_than_the_shape_says_are_refused() {
    let head = HEADER_BYTES;
    let large = picture(jpeg(64, 64), ElementType::F32, &[1, 3, 512, 512]);
    let (small, large) =
        (encoded(Encoding::PIXELS_ZSTD, &small()), encoded(Encoding::PIXELS_ZSTD, &large));
    let bomb = [&small[..head], &large[head..]].concat();
    assert!(refusal(Encoding::PIXELS_ZSTD, &bomb).contains("asks for"));
}

#[test]
fn an_encoded_file_carries_its_image_preparation() {
    let preparation =
        Preparation::new(ElementType::F32, &[1, 3, 4, 3], Some(ImageLayout::Nhwc), MEAN, STD);
    let picture = Picture::new(jpeg(9, 9).into(), preparation.unwrap(), "p".into()).unwrap();
    let expected = picture.preparation().clone();
    let sent = encoded(Encoding::FILE, &Input::Picture(Arc::new(picture)));
    let arrived = Encoded::read(Encoding::FILE, sent.into()).unwrap();
    assert_eq!(arrived.header.preparation.as_ref(), Some(&expected));
}

proptest! {
    #[test]
    fn arbitrary_bytes_are_decoded_or_refused(
        read_as in 0..Encoding::PICTURES.len(),
        made_as in 0..Encoding::PICTURES.len(),
        noise in proptest::collection::vec(any::<u8>(), 0..80),
        changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..6),
    ) {
        let (read_as, made_as) = (Encoding::PICTURES[read_as], Encoding::PICTURES[made_as]);
        let mut changed = encoded(made_as, &small());
        for (index, value) in changes {
            let at = index.index(changed.len());
            changed[at] = value;
        }
        let header = encoded(made_as, &small())[..HEADER_BYTES].to_vec();
        for bytes in [changed, [&header[..], &noise].concat(), noise] {
            if let Err(error) = decoded(read_as, &bytes) {
                prop_assert_eq!(error.kind(), ErrorKind::Input);
            }
        }
    }
}
