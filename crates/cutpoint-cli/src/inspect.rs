//! `cutpoint inspect`: layers, shapes, sizes, and the cuts of a model.

use crate::args::format::Format;
use crate::args::model::ModelArgs;
use cutpoint::onnx::LayeredModel;
use cutpoint::tensor::{TensorSpec, shape_text};
use cutpoint_plan::units::count;
use serde::Serialize;
use std::collections::BTreeMap;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    model: ModelArgs,
    /// How to print the result.
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

pub(crate) fn run(args: Args) -> anyhow::Result<()> {
    let layered = args.model.load_layers()?;
    Ok(args.format.print(&Report::of(&layered), render_text)?)
}

#[derive(Serialize)]
struct Report<'a> {
    schema: &'static str,
    model: &'a str,
    sha256: &'a str,
    inputs: &'a [String],
    outputs: &'a [String],
    layers: Vec<LayerEntry<'a>>,
    tensors: BTreeMap<&'a str, TensorEntry<'a>>,
    cuts: Vec<CutEntry<'a>>,
}

#[derive(Serialize)]
struct LayerEntry<'a> {
    name: &'a str,
    operators: Vec<&'a str>,
    reads: &'a [String],
    writes: &'a [String],
    parameter_bytes: u64,
}

#[derive(Clone, Serialize)]
struct TensorEntry<'a> {
    name: &'a str,
    element_type: &'static str,
    shape: &'a [usize],
    bytes: u64,
}

#[derive(Serialize)]
struct CutEntry<'a> {
    after: &'a str,
    device_layers: usize,
    frontier: Vec<TensorEntry<'a>>,
    frontier_bytes: u64,
}

impl<'a> Report<'a> {
    fn of(layered: &'a LayeredModel) -> Report<'a> {
        let graph = layered.layers();
        let tensors: BTreeMap<&str, TensorEntry<'_>> =
            graph.tensors.iter().map(|(name, spec)| (name.as_str(), tensor(name, spec))).collect();
        let layers = graph.layers.iter().map(|layer| LayerEntry {
            name: &layer.name,
            operators: layer.nodes.iter().map(|node| node.op_type.as_str()).collect(),
            reads: &layer.reads,
            writes: &layer.writes,
            parameter_bytes: layer.parameter_bytes,
        });
        let cuts = layered.boundaries().into_iter().map(|boundary| {
            let crossing = boundary.frontier.iter().filter_map(|name| tensors.get(name.as_str()));
            let frontier: Vec<TensorEntry<'_>> = crossing.cloned().collect();
            CutEntry {
                after: &graph.layers[boundary.device_layers - 1].name,
                device_layers: boundary.device_layers,
                frontier_bytes: frontier.iter().map(|tensor| tensor.bytes).sum(),
                frontier,
            }
        });
        Report {
            schema: "cutpoint.inspect/1",
            model: layered.model().place(),
            sha256: layered.model().sha256(),
            inputs: &graph.inputs,
            outputs: &graph.outputs,
            layers: layers.collect(),
            cuts: cuts.collect(),
            tensors,
        }
    }
}

fn tensor<'a>(name: &'a str, spec: &'a TensorSpec) -> TensorEntry<'a> {
    TensorEntry {
        name,
        element_type: spec.element_type.protocol_name(),
        shape: &spec.shape,
        bytes: spec.bytes(),
    }
}

fn render_text(report: &Report<'_>) -> String {
    let described = |name: &String| match report.tensors.get(name.as_str()) {
        Some(t) => format!("{name} {} {} ({} bytes)", t.element_type, shape_text(t.shape), t.bytes),
        None => name.clone(),
    };
    let mut lines = vec![format!("{}  sha256 {}", report.model, report.sha256)];
    lines.extend(report.inputs.iter().map(|name| format!("input   {}", described(name))));
    lines.extend(report.outputs.iter().map(|name| format!("output  {}", described(name))));
    lines.push(format!("\n{}", count(report.layers.len(), "layer")));
    for (index, layer) in report.layers.iter().enumerate() {
        let operators = layer.operators.join(" ");
        let parameters = match layer.parameter_bytes {
            0 => String::new(),
            bytes => format!(", {bytes} bytes of parameters"),
        };
        lines.push(format!("{:>4}  {}  [{operators}]{parameters}", index + 1, layer.name));
        lines.extend(layer.writes.iter().map(|name| format!("        -> {}", described(name))));
    }
    lines.push(format!("\n{} along the topological order", count(report.cuts.len(), "cut")));
    for cut in &report.cuts {
        let names: Vec<&str> = cut.frontier.iter().map(|tensor| tensor.name).collect();
        let (count, bytes) = (cut.device_layers, cut.frontier_bytes);
        lines.push(format!("{count:>4}  {bytes:>10} bytes  {}", names.join(",")));
    }
    lines.push(String::new());
    lines.join("\n")
}
