use super::testing::{jpeg, png, resized_jpeg};
use super::*;
use crate::error::Error;
use crate::error::ErrorKind;
use crate::tensor::ElementType;
use proptest::prelude::*;
use std::sync::Arc;

const MEAN: [f32; 3] = [0.485, 0.456, 0.406];
const STD: [f32; 3] = [0.229, 0.224, 0.225];

fn preparation(shape: &[usize]) -> Preparation {
    Preparation::new(ElementType::F32, shape, None, MEAN, STD).unwrap()
}

/// Refused before anything is decoded, and again where it would be decoded.
fn refusal(file: &[u8], preparation: &Preparation) -> String {
    let most = preparation.decoded_bytes_max();
    let early = preparation.check_file(file, most).unwrap_err();
    let late = preparation.decode(file, most).unwrap_err();
    assert_eq!((early.kind(), early.to_string()), (ErrorKind::Input, late.to_string()));
    early.to_string()
}

#[test]
fn a_tensor_is_made_of_the_pixels_in_both_layouts() {
    for shape in [[1, 3, 4, 6], [1, 4, 6, 3]] {
        let preparation = preparation(&shape);
        let pixels: Vec<u8> = (0..72).map(|v| v * 3).collect();
        let values = preparation.tensor(&pixels).unwrap().to_f32().unwrap();
        for (position, &pixel) in pixels.iter().enumerate() {
            let (place, channel) = (position / 3, position % 3);
            let value = (f32::from(pixel) / 255.0 - MEAN[channel]) / STD[channel];
            let found = if shape[1] == 3 { values[channel * 24 + place] } else { values[position] };
            assert_eq!(found.to_bits(), value.to_bits());
        }
    }
}

#[test]
fn pixels_of_an_image_give_the_same_tensor_as_its_file() {
    for file in [jpeg(33, 20), png(33, 20)] {
        let made = || Picture::new(file.clone().into(), preparation(&[1, 3, 8, 8]), "p".into());
        let (one, other) = (made().unwrap(), made().unwrap());
        let pixels = one.pixels().unwrap().clone();
        assert_eq!(one.tensor().unwrap(), other.tensor().unwrap());
        assert_eq!(*other.tensor().unwrap(), preparation(&[1, 3, 8, 8]).tensor(&pixels).unwrap());
    }
}

#[test]
fn a_truncated_file_is_refused_at_any_length() {
    let preparation = preparation(&[1, 3, 8, 8]);
    let jpeg = jpeg(40, 40);
    for length in 3..jpeg.len() {
        assert!(refusal(&jpeg[..length], &preparation).contains("truncated"), "after {length}");
    }
    let png = png(40, 40);
    for length in (40..png.len() - 16).step_by(7) {
        let error = preparation.decode(&png[..length], preparation.decoded_bytes_max());
        assert_eq!(error.unwrap_err().kind(), ErrorKind::Input, "after {length}");
    }
}

#[test]
fn files_other_than_jpeg_and_png_are_refused() {
    let preparation = preparation(&[1, 3, 8, 8]);
    for file in [&b"hello"[..], b"", b"GIF89a\x01\x00\x01\x00", b"BM0000", b"RIFF0000WEBPVP8 "] {
        assert!(refusal(file, &preparation).contains("neither a JPEG nor a PNG"));
    }
}

#[test]
fn an_image_with_a_huge_declared_size_is_refused_before_decoding() {
    let preparation = preparation(&[1, 3, 8, 8]);
    let bomb = resized_jpeg(jpeg(40, 40), [0x7FFF; 2]);
    assert!(refusal(&bomb, &preparation).contains("too large here"));
    refusal(&resized_jpeg(bomb, [0xFFFF; 2]), &preparation);
    // The first chunk of a PNG begins with width and height; it ends with its checksum.
    let mut bomb = png(40, 40);
    bomb[16..24].copy_from_slice(&[0, 0, 0x7F, 0xFF, 0, 0, 0x7F, 0xFF]);
    let sum = crc32(&bomb[12..29]);
    bomb[29..33].copy_from_slice(&sum.to_be_bytes());
    assert!(refusal(&bomb, &preparation).contains("too large here"));
    // In the midst of being resized it would be large.
    let tall = Preparation::new(ElementType::U8, &[1, 1, 30_000, 1], None, MEAN, STD).unwrap();
    assert!(refusal(&png(4000, 1), &tall).contains("too large here"));
}

fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(u32::MAX, |sum, &byte| {
        (0..8).fold(sum ^ u32::from(byte), |sum, _| (sum >> 1) ^ (0xEDB8_8320 * (sum & 1)))
    })
}

#[test]
fn inputs_that_do_not_take_images_are_refused() {
    let new = |element_type, shape: &[usize], std| {
        Preparation::new(element_type, shape, None, MEAN, std).map_err(|e| e.to_string())
    };
    for shape in [&[1, 100][..], &[2, 3, 4, 4], &[1, 2, 4, 4], &[1, 3, 0, 4], &[1, 3, 40_000, 4]] {
        assert!(new(ElementType::F32, shape, STD).is_err(), "{shape:?}");
    }
    assert!(
        new(ElementType::I64, &[1, 3, 4, 4], STD).unwrap_err().contains("does not take images")
    );
    assert!(new(ElementType::F32, &[1, 3, 4, 4], [1.0, 0.0, 1.0]).is_err());
    assert!(new(ElementType::F32, &[1, 3, 4, 4], [1.0, f32::NAN, 1.0]).is_err());
    let error = preparation(&[1, 3, 4, 4]).tensor(&[0; 47]).unwrap_err();
    assert!(error.to_string().contains("47 bytes of pixels, expected 48"));
}

#[test]
fn an_unreadable_input_reports_its_error_to_every_reader() {
    let error = Error::new(ErrorKind::File, "gone").at("p.jpg").hint("look for it");
    let input = Input::Unusable(Arc::new(error));
    for _ in 0..2 {
        let error = input.tensor().unwrap_err();
        assert_eq!((error.kind(), error.to_string().as_str()), (ErrorKind::File, "p.jpg: gone"));
        assert_eq!(error.advice(), Some("look for it"));
    }
}

proptest! {
    #[test]
    fn damaged_files_are_decoded_or_refused(
        is_jpeg: bool,
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..8),
    ) {
        let mut file = if is_jpeg { jpeg(24, 17) } else { png(24, 17) };
        for (place, byte) in damage {
            let place = place.index(file.len());
            file[place] = byte;
        }
        let preparation = preparation(&[1, 3, 8, 8]);
        if let Ok(pixels) = preparation.decode(&file, preparation.decoded_bytes_max()) {
            prop_assert_eq!(pixels.len(), 192);
        }
    }

    #[test]
    fn arbitrary_bytes_are_refused(mut file in prop::collection::vec(any::<u8>(), 0..200), head: bool) {
        if head {
            file.splice(0..0, [0xFF, 0xD8, 0xFF]);
        }
        let preparation = preparation(&[1, 3, 8, 8]);
        prop_assert!(preparation.decode(&file, preparation.decoded_bytes_max()).is_err());
    }
}
