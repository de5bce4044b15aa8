//! Do the two engines compute the same, and is a library that cannot be used reported?

use cutpoint::engine::onnxruntime::OnnxRuntime;
use cutpoint::engine::rten::Rten;
use cutpoint::engine::{Engine, EngineOptions};
use cutpoint::onnx::{OnnxModel, ReadOptions};
use cutpoint::tensor::relative_difference;
use cutpoint::zoo::Network;
use std::io::{Write, stderr};
use std::num::NonZeroUsize;
use std::path::Path;
use std::process::{Command, Output};

pub(crate) const OPTIONS: EngineOptions = EngineOptions { threads: NonZeroUsize::MIN };

/// ONNX Runtime, or `None`, said on standard error.
pub(crate) fn onnxruntime() -> Option<OnnxRuntime> {
    if OnnxRuntime::is_present() {
        return Some(OnnxRuntime::find(None).unwrap());
    }
    // Not with eprintln, which the test harness keeps to itself.
    let _ = writeln!(
        stderr(),
        "skipped for ONNX Runtime: no library at ORT_DYLIB_PATH or in the cache"
    );
    None
}

pub(crate) fn zoo(network: Network) -> OnnxModel {
    let options = ReadOptions::default();
    OnnxModel::from_bytes(network.to_onnx(1).into(), network.name(), &options).unwrap()
}

#[test]
fn both_engines_compute_the_same_on_the_zoo() {
    let Some(runtime) = onnxruntime() else { return };
    // VGG-16 has no operator that AlexNet lacks, and 550 MB of weights.
    for network in Network::ALL.into_iter().filter(|&network| network != Network::Vgg16) {
        let model = zoo(network);
        let inputs = model.synthetic_inputs(7);
        let inputs: Vec<_> = inputs.iter().map(|(name, tensor)| (name.as_str(), tensor)).collect();
        let onnx = model.to_onnx().unwrap();
        let run = |engine: &dyn Engine| {
            engine.load(&onnx, OPTIONS).unwrap().run(&inputs).unwrap().remove(0)
        };
        let (by_rten, by_runtime) = (run(&Rten::new()), run(&runtime));
        assert_eq!(by_rten.0, by_runtime.0);
        let difference = relative_difference(&by_rten.1, &by_runtime.1).unwrap();
        assert!(difference < 1e-4, "{network}: {difference}");
    }
}

fn cutpoint(arguments: &[&str], library: Option<&Path>, cache: &Path) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_cutpoint"));
    command.args(arguments).env_remove("ORT_DYLIB_PATH").env("XDG_CACHE_HOME", cache);
    if let Some(library) = library {
        command.env("ORT_DYLIB_PATH", library);
    }
    command.output().unwrap()
}

#[test]
fn the_embedded_engine_is_the_default_without_onnxruntime() {
    let cache = tempfile::tempdir().unwrap();
    let output = cutpoint(&["engine", "list", "--format", "json"], None, cache.path());
    assert!(output.status.success());
    let list: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let engines = list["engines"].as_array().unwrap();
    assert_eq!(engines[0]["problem"], "no ONNX Runtime library is installed");
    assert!(engines[0]["advice"].as_str().unwrap().contains("cutpoint engine install"));
    assert_eq!(engines[1]["is_default"], true);
    assert!(engines[1]["engine"].as_str().unwrap().starts_with("rten "));
}

#[test]
fn an_old_onnxruntime_is_an_error_if_requested_and_a_warning_otherwise() {
    let folder = tempfile::tempdir().unwrap();
    let library = folder.path().join("libonnxruntime.so");
    std::fs::write(&library, b"\x7fELF\0VERS_1.22.1\0").unwrap();
    let model = folder.path().join("squeezenet.onnx");
    std::fs::write(&model, Network::SqueezeNet.to_onnx(1)).unwrap();
    let model = model.to_str().unwrap();
    let bench = ["engine", "bench", model, "--threads", "1", "--repeats", "1"];
    let asked = [&bench[..], &["--engine", "onnxruntime"]].concat();
    let output = cutpoint(&asked, Some(&library), folder.path());
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("ONNX Runtime 1.22.1 is too old, expected 1.23.0 or later"), "{said}");
    assert!(said.contains("hint: ") && output.stdout.is_empty(), "{said}");

    let output = cutpoint(&bench, Some(&library), folder.path());
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{said}");
    assert!(said.contains("falling back to rten") && said.contains("engine: rten "), "{said}");
    assert!(String::from_utf8(output.stdout).unwrap().starts_with("rten "));
}
