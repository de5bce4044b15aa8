use super::*;
use crate::encoding::Encoding;
use crate::error::ErrorKind;
use crate::onnx::Boundary;
use crate::profile::statistics::evenly;
use crate::tensor::Tensor;
use std::collections::BTreeMap;

fn tensor(values: &[f32]) -> Tensor {
    Tensor::from_f32(vec![1, values.len()], values).unwrap()
}

fn effect(found: &[f32], expected: &[f32]) -> Effect {
    let named = |values| vec![("y".to_owned(), tensor(values))];
    Effect::between(&named(found), &named(expected))
}

#[test]
fn an_effect_says_how_far_outputs_moved() {
    let none = effect(&[1.0, 2.0], &[1.0, 2.0]);
    assert_eq!((none.max_abs, none.top1), (0.0, 1.0));
    assert!((none.cosine - 1.0).abs() < 1e-12);
    // (3, 4) against (4, 3): 24 of 25, and the largest number changes its place.
    let moved = effect(&[3.0, 4.0], &[4.0, 3.0]);
    assert!((moved.cosine - 0.96).abs() < 1e-12);
    assert_eq!((moved.max_abs, moved.top1), (1.0, 0.0));
    assert!((none.and(moved).top1 - 0.5).abs() < 1e-12, "half of the rows");
    assert!(none.worse(moved).top1.abs() < 1e-12, "not the mean");
    let broken = effect(&[f32::NAN, 1.0], &[0.0, 1.0]);
    assert_eq!((broken.max_abs, broken.cosine), (f64::INFINITY, 0.0));
    let nothing = effect(&[0.0, 0.0], &[0.0, 0.0]);
    assert_eq!((nothing.max_abs, nothing.cosine), (0.0, 1.0));
}

#[test]
fn rows_are_along_the_last_axis() {
    let two =
        |values: &[f32]| vec![("y".to_owned(), Tensor::from_f32(vec![2, 2], values).unwrap())];
    let effect = Effect::between(&two(&[1.0, 2.0, 1.0, 2.0]), &two(&[1.0, 2.0, 2.0, 1.0]));
    assert!((effect.top1 - 0.5).abs() < 1e-12);
}

#[test]
fn every_bound_of_an_accuracy_budget_must_hold() {
    let budget: AccuracyBudget = "max_abs=0.5,cosine=0.9".parse().unwrap();
    assert_eq!(budget.to_string(), "max_abs=0.5,cosine=0.9");
    assert!(budget.allows(&effect(&[1.0, 2.0], &[1.0, 2.1])));
    assert!(!budget.allows(&effect(&[1.0, 2.0], &[1.0, 2.6])), "too far");
    assert!(!budget.allows(&effect(&[0.1, 0.0], &[0.0, 0.1])), "at a right angle");
    let exact: AccuracyBudget = "exact".parse().unwrap();
    assert!(exact.is_exact() && !exact.allows(&effect(&[1.0], &[1.0])));
    for wrong in ["", "max_abs", "max_abs=x", "max_abs=-1", "top1=1.1", "cosine=NaN", "mse=1"] {
        let error = wrong.parse::<AccuracyBudget>().expect_err(wrong);
        assert_eq!(error.kind(), ErrorKind::Usage);
    }
}

#[test]
fn only_cuts_that_send_less_in_some_form_are_candidates() {
    // Sizes raw and in one encoding.
    let sizes =
        [("x", [100, 50]), ("a", [400, 60]), ("b", [300, 40]), ("c", [90, 90]), ("d", [92, 40])];
    let values: BTreeMap<String, Tensor> = sizes
        .iter()
        .map(|(name, [raw, _])| ((*name).to_owned(), tensor(&vec![0.0; raw / 4])))
        .collect();
    let cut = |device_layers: usize, frontier: &[&str]| Boundary {
        device_layers,
        frontier: frontier.iter().map(|name| (*name).to_owned()).collect(),
    };
    let cuts = vec![
        cut(0, &["x"]),
        cut(1, &["a"]),
        cut(2, &["b"]),
        cut(3, &["c"]),
        cut(4, &["d"]),
        cut(5, &["c", "d"]),
    ];
    let size = |value: &Tensor| {
        let found = sizes.iter().find(|(_, [raw, _])| raw / 4 == value.count());
        found.map(|(_, forms)| forms.map(|size| size as u64).to_vec()).unwrap()
    };
    // `b` is smaller encoded, `c` raw; `d` is as large as what came before in both forms.
    let chosen = candidates::promising(cuts, &values, size);
    assert_eq!(chosen.iter().map(|cut| cut.device_layers).collect::<Vec<_>>(), [0, 2, 3]);
}

#[test]
fn an_encoding_must_be_within_the_budget_at_every_cut_of_its_tensor() {
    let cost = |encoding, bytes| EncodingCost { encoding, bytes, encode_ms: 1.0, decode_ms: 1.0 };
    let cuts =
        [(1, vec!["a"]), (2, vec!["a", "b"]), (3, vec!["b"])].map(|(device_layers, names)| {
            Boundary { device_layers, frontier: names.into_iter().map(str::to_owned).collect() }
        });
    let moved = |device_layers, found: f32| CutEffect {
        device_layers,
        encoding: Encoding::U8,
        effect: effect(&[found], &[1.0]),
    };
    let costs = vec![cost(Encoding::ZSTD, 96), cost(Encoding::U8, 30), cost(Encoding::U8_ZSTD, 20)];
    let mut profile = EncodingProfile {
        raw_bytes: [("a".to_owned(), 100), ("b".to_owned(), 120)].into(),
        costs: [("a".to_owned(), costs.clone()), ("b".to_owned(), costs)].into(),
        effects: vec![moved(1, 3.0), moved(2, 1.1), moved(3, 1.1)],
        ..EncodingProfile::default()
    };
    profile.admit(&cuts, &"max_abs=0.5".parse().unwrap());
    // `a` moves the outputs too far at the first cut, and compression saves it too little.
    let names = |name: &str| -> Vec<&str> {
        let admitted = profile.admitted.get(name);
        admitted.into_iter().flatten().map(|cost| cost.encoding.name()).collect()
    };
    assert!(names("a").is_empty());
    assert_eq!(names("b"), ["zstd", "u8", "u8+zstd"]);
    let mut held = profile.clone();
    held.server_over_here = [(Encoding::U8, 0.5)].into();
    let told = &held.for_device(0.25)["b"][1];
    assert!((told.encode_ms - 4.0).abs() < 1e-12 && (told.decode_ms - 0.5).abs() < 1e-12);
}

#[test]
fn positions_are_chosen_evenly() {
    assert_eq!(evenly(10, 4), [0, 2, 5, 7]);
    assert_eq!(evenly(2, 4), [0, 1]);
    assert!(evenly(0, 4).is_empty());
}
