//! Pictures as inputs: sent as files or pixels, they give what the unsplit model gives; a bad one
//! fails its own job.

use crate::encodings::{run_arguments, workload};
use crate::run::{
    Served, cutpoint, difference, end_server_in_mid_run, outputs, path, run, squeezenet, stderr,
};
use image::codecs::jpeg::JpegEncoder;
use image::{Rgb, RgbImage};
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Output;

/// A synthetic photograph: gradients and a grain that differs from one to the next.
fn photo(number: u32) -> RgbImage {
    let grain = |x: u32, y: u32| ((x * 31 + y * 17 + number * 13) % 23) as u8;
    let pixel = |x: u32, y: u32| {
        Rgb([(x / 2) as u8 ^ grain(x, y), (y / 2) as u8, (x + y + number * 40) as u8 / 2])
    };
    RgbImage::from_fn(300 + 40 * number, 260, pixel)
}

/// `count` JPEG files and one PNG file.
fn photos(folder: &Path, count: u32) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for number in 0..count {
        let file = folder.join(format!("photo{number}.jpg"));
        let mut bytes = Vec::new();
        JpegEncoder::new_with_quality(&mut bytes, 85).encode_image(&photo(number)).unwrap();
        std::fs::write(&file, bytes).unwrap();
        files.push(file);
    }
    files.push(folder.join("photo.png"));
    photo(count).save(files.last().unwrap()).unwrap();
    files
}

/// The outputs of the jobs that have any.
fn by_job(output: &Output) -> BTreeMap<u64, Vec<f64>> {
    let text = String::from_utf8(output.stdout.clone()).unwrap();
    let line = |line: &str| {
        let value: Value = serde_json::from_str(line).unwrap();
        let data = value["outputs"].as_object().unwrap().values();
        let data = data.flat_map(|t| t["data"].as_array().unwrap());
        (value["job"].as_u64().unwrap(), data.map(|v| v.as_f64().unwrap()).collect())
    };
    text.lines().map(line).collect()
}

const ALONE: [&str; 4] = ["--engine", "rten", "--threads", "1"];
const NORMALISED: [&str; 4] =
    ["--image-mean", "0.485,0.456,0.406", "--image-std", "0.229,0.224,0.225"];

#[test]
fn images_sent_as_files_or_pixels_give_the_outputs_of_the_unsplit_model() {
    let folder = tempfile::tempdir().unwrap();
    let model = squeezenet(folder.path());
    photos(folder.path(), 3);
    let jobs = folder.path().join("photo*").to_string_lossy().into_owned();
    let alone = run(&[&["run", path(&model), &jobs][..], &ALONE, &NORMALISED].concat());
    let expected = outputs(&alone);
    assert_eq!(expected.len(), 4, "{}", stderr(&alone));
    let server = Served::start(&model);
    let workload = workload(&model, folder.path(), "file");
    let text = std::fs::read_to_string(&workload).unwrap();
    for encoding in ["file", "pixels", "pixels+zstd"] {
        std::fs::write(&workload, text.replace("\"file\"", &format!("{encoding:?}"))).unwrap();
        let mut arguments = run_arguments(&model, &jobs, &workload, &server, "50");
        arguments.extend(["--policy", "server-only"]);
        arguments.extend(NORMALISED);
        let ran = run(&arguments);
        assert!(ran.status.success(), "{}", stderr(&ran));
        assert!(!stderr(&ran).contains("sent raw"), "{}", stderr(&ran));
        assert!(!stderr(&ran).contains("fell back"), "{}", stderr(&ran));
        assert!(difference(&outputs(&ran), &expected) <= 1e-5, "{encoding}");
    }
}

#[test]
fn the_device_decodes_image_files_when_the_server_is_lost() {
    let folder = tempfile::tempdir().unwrap();
    let model = squeezenet(folder.path());
    photos(folder.path(), 5);
    let jobs = folder.path().join("photo*").to_string_lossy().into_owned();
    let expected = outputs(&run(&[&["run", path(&model), &jobs][..], &ALONE].concat()));
    let workload = workload(&model, folder.path(), "file");
    let server = Served::start(&model);
    let mut arguments = run_arguments(&model, &jobs, &workload, &server, "0.2");
    arguments.extend(["--policy", "server-only"]);
    let output = end_server_in_mid_run(cutpoint(&arguments), server);
    let said = stderr(&output);
    assert!(output.status.success() && said.contains("finished on the device"), "{said}");
    assert!(difference(&outputs(&output), &expected) <= 1e-5);
}

#[test]
fn a_bad_input_fails_its_own_job_and_the_others_finish() {
    let folder = tempfile::tempdir().unwrap();
    let model = squeezenet(folder.path());
    let good = photos(folder.path(), 2);
    let named = |name: &str| folder.path().join(name);
    let whole = std::fs::read(&good[0]).unwrap();
    std::fs::write(named("truncated.jpg"), &whole[..whole.len() / 2]).unwrap();
    std::fs::write(named("text.jpg"), "hello").unwrap();
    let mut damaged = std::fs::read(&good[2]).unwrap();
    let middle = damaged.len() / 2;
    damaged[middle] ^= 0xFF;
    std::fs::write(named("damaged.png"), damaged).unwrap();
    let made =
        run(&[&["run", path(&model), "synthetic:1"][..], &ALONE, &["-o", path(&named("made"))]]
            .concat());
    assert!(made.status.success(), "{}", stderr(&made));
    // An output has another shape than the input.
    let other = std::fs::read_dir(named("made")).unwrap().next().unwrap().unwrap().path();
    std::fs::copy(other, named("shape.npy")).unwrap();
    let bad = ["truncated.jpg", "text.jpg", "damaged.png", "shape.npy"].map(named);
    let files: Vec<&PathBuf> =
        bad.iter().zip(&good).flat_map(|(b, g)| [b, g]).chain([&bad[3]]).collect();
    let files: Vec<&str> = files.into_iter().map(|file| path(file)).collect();
    let good: Vec<&str> = good.iter().map(|file| path(file)).collect();
    let expected = outputs(&run(&[&["run", path(&model)][..], &good, &ALONE].concat()));
    let check = |ran: &Output| {
        let said = stderr(ran);
        assert_eq!(ran.status.code(), Some(1), "{said}");
        for file in &bad {
            assert!(said.contains(path(file)), "{}: {said}", file.display());
        }
        assert!(said.contains("the JPEG file is truncated"), "{said}");
        let found = by_job(ran);
        assert_eq!(found.keys().copied().collect::<Vec<_>>(), [1, 3, 5], "{said}");
        let found: Vec<Vec<f64>> = found.into_values().collect();
        assert!(difference(&found, &expected) <= 1e-5);
    };
    check(&run(&[&["run", path(&model)][..], &files, &ALONE].concat()));
    let server = Served::start(&model);
    let workload = workload(&model, folder.path(), "file");
    let mut arguments = run_arguments(&model, files[0], &workload, &server, "50");
    arguments.splice(3..3, files[1..].iter().copied());
    arguments.extend(["--policy", "server-only"]);
    check(&run(&arguments));
}

#[test]
fn a_profile_offers_file_and_pixel_encodings_for_images_only() {
    let folder = tempfile::tempdir().unwrap();
    let model = squeezenet(folder.path());
    let files = photos(folder.path(), 2);
    let server = Served::start(&model);
    let offered = |inputs: &[&str]| -> Value {
        let inputs: Vec<&str> = inputs.iter().flat_map(|file| ["--inputs", file]).collect();
        let arguments = ["profile", path(&model), "--server", &server.address];
        let made = run(&[&arguments[..], &ALONE, &NORMALISED, &inputs].concat());
        assert!(made.status.success(), "{}", stderr(&made));
        let workload: Value = serde_json::from_slice(&made.stdout).unwrap();
        workload["models"]["squeezenet"]["inputs"]["data"].clone()
    };
    let pictures = offered(&[path(&files[0]), path(&files[1])]);
    let raw = 3 * 224 * 224 * 4;
    assert_eq!(pictures["bytes"], raw);
    let file = &pictures["encodings"]["file"];
    let sizes = [0, 1].map(|i| std::fs::metadata(&files[i]).unwrap().len());
    let bytes = file["bytes"].as_u64().unwrap();
    assert!((sizes[0].min(sizes[1])..=sizes[0].max(sizes[1]) + 64).contains(&bytes), "{file}");
    assert!(file["decode_ms"].as_f64().unwrap() > 0.0);
    let pixels = pictures["encodings"]["pixels"]["bytes"].as_u64().unwrap();
    assert!((raw / 4..raw / 4 + 64).contains(&pixels));
    let made = offered(&["synthetic:2"]);
    assert!(made["encodings"]["file"].is_null() && made["encodings"]["pixels"].is_null());
}
