//! Does a profile cover every layer of a model, whatever the engine and the way of measuring?

use crate::engines::{OPTIONS, onnxruntime, zoo};
use cutpoint::encoding::Encoding;
use cutpoint::engine::Engine;
use cutpoint::engine::rten::Rten;
use cutpoint::error::ErrorKind;
use cutpoint::input::Inputs;
use cutpoint::onnx::LayeredModel;
use cutpoint::profile::{
    AccuracyBudget, Method, ModelProfile, ProfileOptions, profile_encodings, profile_model,
};
use cutpoint::zoo::Network;
use std::collections::BTreeSet;
use std::time::Duration;

const HOW: ProfileOptions =
    ProfileOptions { warm_up: 1, repeats: 4, budget: Duration::from_secs(600) };

fn measure(engine: &dyn Engine, network: Network) -> (LayeredModel, ModelProfile) {
    let model = zoo(network).into_layers(&Rten::new()).unwrap();
    let inputs = model.model().synthetic_inputs(0);
    let inputs: Vec<_> = inputs.iter().map(|(name, tensor)| (name.as_str(), tensor)).collect();
    let profile = profile_model(engine, OPTIONS, &model, &inputs, &HOW).unwrap();
    (model, profile)
}

/// What holds for every profile, however long things took.
fn check(engine: &dyn Engine, network: Network, method: Method) {
    let (model, profile) = measure(engine, network);
    let place = format!("{network} on {}", profile.engine);
    profile.check(&model).unwrap();
    assert_eq!(profile.engine, engine.name());
    assert_eq!((profile.method, profile.threads), (method, 1), "{place}");
    assert_eq!(profile.whole.runs, HOW.repeats, "{place}");
    for layer in &profile.layers {
        assert!(layer.median_ms > 0.0, "{place}: no time was found for {}", layer.name);
    }
    assert!(profile.whole.min_ms > 0.0 && profile.whole.min_ms <= profile.whole.median_ms);
    let sum: f64 = profile.layers.iter().map(|layer| layer.median_ms).sum();
    let expected = if profile.is_scaled { 1.0 } else { profile.sum_over_whole };
    assert!((sum / profile.whole.median_ms - expected).abs() < 1e-9, "{place}");
    assert!(profile.is_scaled || !profile.warnings.is_empty(), "{place}");
}

#[test]
fn rten_is_timed_by_its_own_clock_in_a_child_process() {
    let rten = Rten::new().with_profiler(env!("CARGO_BIN_EXE_cutpoint").into());
    for network in [Network::SqueezeNet, Network::ResNet18, Network::MobileNetV2] {
        check(&rten, network, Method::Clock);
    }
}

#[test]
fn rten_is_timed_layer_by_layer_without_a_profiler_program() {
    check(&Rten::new(), Network::SqueezeNet, Method::Segments);
}

#[test]
fn onnxruntime_is_timed_by_its_own_clock() {
    let Some(runtime) = onnxruntime() else { return };
    for network in [Network::SqueezeNet, Network::ResNet18, Network::MobileNetV2] {
        check(&runtime, network, Method::Clock);
    }
}

#[test]
fn encodings_are_admitted_by_their_effect_on_the_outputs() {
    let rten = Rten::new();
    let model = zoo(Network::SqueezeNet).into_layers(&rten).unwrap();
    let made = |seed| -> Inputs {
        let made = model.model().synthetic_inputs(seed).into_iter();
        made.map(|(name, tensor)| (name, tensor.into())).collect()
    };
    let inputs: Vec<_> = (0..2).map(made).collect();
    let measure = |budget: &str| {
        let budget: AccuracyBudget = budget.parse().unwrap();
        profile_encodings(&rten, OPTIONS, &model, &inputs, &budget).unwrap()
    };
    let names = |profile: &cutpoint::profile::EncodingProfile| -> BTreeSet<&'static str> {
        profile.admitted.values().flatten().map(|cost| cost.encoding.name()).collect()
    };
    let exact = measure("exact");
    assert!(exact.effects.is_empty());
    assert_eq!(names(&exact), BTreeSet::from(["zstd"]), "rectified tensors compress");
    assert_eq!(exact.inputs, 2);

    let wide = measure("max_abs=1000000");
    let all: BTreeSet<&str> = Encoding::ALL.map(Encoding::name).into();
    assert_eq!(names(&wide), all);
    // One effect for each lossy precision at every cut whose tensors it can hold; never none.
    assert!(wide.effects.len() > 2 * wide.cuts, "{} at {} cuts", wide.effects.len(), wide.cuts);
    assert!(wide.effects.iter().all(|e| e.effect.max_abs > 0.0 && e.effect.cosine > 0.9));
    for costs in wide.admitted.values() {
        for cost in costs.iter().filter(|cost| cost.encoding == Encoding::U8) {
            assert!(cost.encode_ms > 0.0 && cost.decode_ms > 0.0);
        }
    }
    for (name, raw) in &wide.raw_bytes {
        let u8 = wide.costs[name].iter().find(|cost| cost.encoding == Encoding::U8).unwrap();
        assert!(u8.bytes > raw / 4 && u8.bytes < raw / 4 + 64, "{name}: {} of {raw}", u8.bytes);
    }
    // A bound between what 16 bits and what 8 bits for a whole tensor do admits the one alone.
    let worst = |encoding| {
        let of = wide.effects.iter().filter(|e| e.encoding == encoding);
        of.map(|e| e.effect.max_abs).fold(0.0, f64::max)
    };
    let least = |encoding| {
        let of = wide.effects.iter().filter(|e| e.encoding == encoding);
        of.map(|e| e.effect.max_abs).fold(f64::INFINITY, f64::min)
    };
    let (half, byte) = (worst(Encoding::F16), least(Encoding::U8));
    assert!(half < byte, "{half} {byte}");
    let between = measure(&format!("max_abs={}", (half * byte).sqrt()));
    let found = names(&between);
    assert!(found.is_superset(&BTreeSet::from(["zstd", "f16", "f16+zstd"])), "{found:?}");
    assert!(found.is_disjoint(&BTreeSet::from(["u8", "u8+zstd"])), "{found:?}");
}

#[test]
fn a_profiler_that_prints_no_profile_is_an_error() {
    let model = zoo(Network::SqueezeNet).into_layers(&Rten::new()).unwrap();
    let inputs = model.model().synthetic_inputs(0);
    let inputs: Vec<_> = inputs.iter().map(|(name, tensor)| (name.as_str(), tensor)).collect();
    for program in ["/bin/true", "/bin/false", "/nonexistent/cutpoint"] {
        let rten = Rten::new().with_profiler(program.into());
        let error = profile_model(&rten, OPTIONS, &model, &inputs, &HOW).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Engine);
        assert!(error.to_string().starts_with("cannot profile in a child process: "), "{error}");
    }
}

#[test]
fn a_profile_of_another_model_or_with_impossible_numbers_is_refused() {
    let (model, profile) = measure(&Rten::new(), Network::SqueezeNet);
    let refused = |change: &dyn Fn(&mut ModelProfile)| {
        let mut changed = profile.clone();
        change(&mut changed);
        let error = changed.check(&model).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Protocol);
        error.to_string()
    };
    assert_eq!(refused(&|p| p.sha256.clear()), "profile: it is of another model file");
    assert!(refused(&|p| p.schema.push('2')).starts_with("profile: schema"));
    assert!(refused(&|p| p.layers.truncate(1)).starts_with("profile: it has 1 layers"));
    assert!(refused(&|p| p.layers.swap(0, 1)).starts_with("profile: layer "));
    assert!(refused(&|p| p.layers[0].median_ms = f64::NAN).contains("median_ms is NaN"));
    assert!(refused(&|p| p.whole.median_ms = -1.0).contains("whole.median_ms is -1"));
}
