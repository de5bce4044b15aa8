//! Times every layer as a segment of its own, for engines without a clock on single nodes.

use super::{Measured, Method};
use crate::engine::{Engine, EngineOptions, ProfileRuns};
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
        let mut times = Vec::with_capacity(runs.repeats);
        let mut outputs = Vec::new();
        for run in 0..runs.warm_up + runs.repeats {
            let start = Instant::now();
            outputs = session.run(&read).map_err(|e| e.at(&layer.name))?;
            if run >= runs.warm_up {
                times.push(start.elapsed().as_secs_f64() * 1e3);
            }
        }
        layers.push(times);
        tensors.extend(outputs);
        tensors.retain(|name, _| last_reader.get(name.as_str()).is_some_and(|&last| last > index));
    }
    Ok(Measured { method: Method::Segments, layers })
}
