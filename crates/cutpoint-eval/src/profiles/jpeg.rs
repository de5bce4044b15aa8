//! Pictures as inputs: which models take them, and what the file itself costs as a form of the input.

use anyhow::Context;
use cutpoint_plan::format::{EncodingFile, ModelFile, Quantity, WorkloadFile};
use image::imageops::FilterType;
use std::path::{Path, PathBuf};
use std::time::Instant;

/// The form of a picture as the file that it came as, here a JPEG.
pub(crate) const JPEG: &str = "file";

/// How often each file is decoded; the fastest counts.
const TURNS: usize = 9;

/// What `--inputs` says so that the model sees these photos; nothing if it takes no picture.
///
/// Models with several pictures see the photos in turn.
pub(super) fn inputs(file: &WorkloadFile, name: &str, photos: &[PathBuf]) -> Vec<String> {
    let found = file.models.0.iter().find(|(model, _)| model == name);
    let Some((_, model)) = found else { return Vec::new() };
    let names: Vec<&String> = model.inputs.0.iter().map(|(input, _)| input).collect();
    let is_picture = |size: &Quantity| square_side(size).is_some();
    if photos.is_empty() || !model.inputs.0.iter().all(|(_, size)| is_picture(&size.bytes)) {
        return Vec::new();
    }
    let shown = |path: &Path| path.display().to_string();
    let frame = |first: usize| match names.as_slice() {
        [_] => shown(&photos[first]),
        _ => {
            let pairs = names
                .iter()
                .enumerate()
                .map(|(i, name)| format!("{name}={}", shown(&photos[(first + i) % photos.len()])));
            pairs.collect::<Vec<_>>().join(",")
        }
    };
    (0..photos.len()).map(frame).collect()
}

/// The side of the square picture of three channels in 32 bits that has this size.
fn square_side(size: &Quantity) -> Option<u32> {
    let Quantity::Whole(bytes) = *size else { return None };
    let side = (bytes as f64 / 12.0).sqrt().round() as u64;
    (side >= 32 && side * side * 12 == bytes).then(|| u32::try_from(side).ok()).flatten()
}

/// Adds the file as it came to the forms of every picture, unless the profile has it already: medians
/// of the photos' sizes and of the time to decode and bring them into the form of a tensor.
pub(super) fn add(model: &mut ModelFile, photos: &[PathBuf]) -> anyhow::Result<()> {
    for (_, size) in &mut model.inputs.0 {
        let is_there = size.encodings.0.iter().any(|(name, _)| name == JPEG);
        let Some(side) = square_side(&size.bytes).filter(|_| !is_there) else { continue };
        let mut bytes = Vec::new();
        let mut times = Vec::new();
        for photo in photos {
            let file = std::fs::read(photo).with_context(|| photo.display().to_string())?;
            bytes.push(file.len() as f64);
            times.push(decode_ms(&file, side).with_context(|| photo.display().to_string())?);
        }
        let median = |values: &mut Vec<f64>| {
            values.sort_by(f64::total_cmp);
            values[values.len() / 2]
        };
        let form = EncodingFile {
            bytes: (median(&mut bytes) as u64).into(),
            encode_ms: 0.0,
            decode_ms: median(&mut times),
        };
        size.encodings.0.push((JPEG.to_owned(), form));
    }
    Ok(())
}

/// What it takes to make a normalised tensor of a file.
fn decode_ms(file: &[u8], side: u32) -> anyhow::Result<f64> {
    let mut fastest = f64::INFINITY;
    for _ in 0..TURNS {
        let start = Instant::now();
        let picture = image::load_from_memory(file)?;
        let picture = picture.resize_exact(side, side, FilterType::Triangle).to_rgb8();
        let area = (side * side) as usize;
        let mut tensor = vec![0.0f32; 3 * area];
        for (place, pixel) in picture.pixels().enumerate() {
            for channel in 0..3 {
                tensor[channel * area + place] = f32::from(pixel.0[channel]) / 255.0;
            }
        }
        std::hint::black_box(&tensor);
        fastest = fastest.min(start.elapsed().as_secs_f64() * 1e3);
    }
    Ok(fastest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_picture_is_known_by_its_size() {
        assert_eq!(square_side(&(224 * 224 * 3 * 4).into()), Some(224));
        assert_eq!(square_side(&(48 * 320 * 3 * 4).into()), None);
        assert_eq!(square_side(&Quantity::Other(0.5)), None);
    }
}
