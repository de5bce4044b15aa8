//! Times every layer as a segment of its own, for engines without a clock on single nodes. The
//! whole model is run before the layers and after them.

use super::model_profile::{Measured, Method};
use crate::engine::timing::WaitClock;
use crate::engine::{Engine, EngineOptions, InferenceSession, ProfileRuns};
use crate::error::{Error, ErrorKind, Result};
use crate::onnx::LayeredModel;
use crate::tensor::Tensor;
use std::collections::HashMap;
use std::time::Instant;

/// Runs the layers one after the other, each as often as `runs` says, on the tensors that the
/// layers before it made. A tensor is kept until its last reader has run.
pub(super) fn measure(
    engine: &dyn Engine,
    options: EngineOptions,
    model: &LayeredModel,
    inputs: &[(&str, &Tensor)],
    runs: ProfileRuns,
) -> Result<Measured> {
    let clock = WaitClock::start();
    let onnx = model.whole()?.onnx;
    let mut session = engine.load(&onnx, options)?;
    let before = ProfileRuns { repeats: runs.repeats / 2, ..runs };
    let after = ProfileRuns { repeats: runs.repeats - before.repeats, ..runs };
    let (mut whole, _) = time(session.as_mut(), inputs, before)?;
    let layers = measure_layers(engine, options, model, inputs, runs)?;
    whole.extend(time(session.as_mut(), inputs, after)?.0);
    let waiting = clock.share(options.threads);
    Ok(Measured { method: Method::Segments, layers, whole, waiting })
}

/// Tensors by name.
type Outputs = Vec<(String, Tensor)>;

/// The times of the runs that count, in milliseconds, and the outputs of the last one.
pub(super) fn time(
    session: &mut dyn InferenceSession,
    inputs: &[(&str, &Tensor)],
    runs: ProfileRuns,
) -> Result<(Vec<f64>, Outputs)> {
    let mut times = Vec::with_capacity(runs.warm_up + runs.repeats);
    let mut outputs = Vec::new();
    for _ in 0..runs.warm_up + runs.repeats {
        let start = Instant::now();
        outputs = session.run(inputs)?;
        times.push(start.elapsed().as_secs_f64() * 1e3);
    }
    Ok((times.split_off(runs.warm_up), outputs))
}

fn measure_layers(
    engine: &dyn Engine,
    options: EngineOptions,
    model: &LayeredModel,
    inputs: &[(&str, &Tensor)],
    runs: ProfileRuns,
) -> Result<Vec<Vec<f64>>> {
    let graph = model.layers();
    let mut last_reader: HashMap<&str, usize> = HashMap::new();
    for (index, layer) in graph.layers.iter().enumerate() {
        last_reader.extend(layer.reads.iter().map(|name| (name.as_str(), index)));
    }
    let given = inputs.iter().map(|(name, tensor)| ((*name).to_owned(), (*tensor).clone()));
    let mut tensors: HashMap<String, Tensor> = given.collect();
    let mut layers = Vec::with_capacity(graph.layers.len());
    for (index, layer) in graph.layers.iter().enumerate() {
        let segment = model.segment(&[index])?;
        let read = segment.inputs.iter().map(|name| match tensors.get(name) {
            Some(tensor) => Ok((name.as_str(), tensor)),
            None => Err(Error::new(ErrorKind::Input, format!("input {name:?} is missing"))),
        });
        let read = read.collect::<Result<Vec<_>>>()?;
        let mut session = engine.load(&segment.onnx, options).map_err(|e| e.at(&layer.name))?;
        let timed = time(session.as_mut(), &read, runs);
        let (times, outputs) = timed.map_err(|e| e.at(&layer.name))?;
        layers.push(times);
        tensors.extend(outputs);
        tensors.retain(|name, _| last_reader.get(name.as_str()).is_some_and(|&last| last > index));
    }
    Ok(layers)
}
