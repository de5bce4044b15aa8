//! A model from input to output: the graph, what each layer takes on the device and on the server,
//! the size of what it passes on, and the cuts in use as lines across all of that.

use crate::report::cuts::CutInUse;
use crate::report::markup::{Markup, shortened};
use crate::report::model_layout::{
    Slice, Unit, common_name, lanes, layer_order, prefix_length, units,
};
use crate::report::scale::{Percent, bytes, time};
use cutpoint_plan::units::Time;
use cutpoint_plan::workload::{LayerId, Model, TensorId};
use std::collections::BTreeSet;
use std::fmt::Display;

const ROW: f64 = 28.0;
const CUT_ROW: f64 = 32.0;

/// The lanes of a graph take at most this width.
const LANES_WIDTH_MAX: f64 = 170.0;

/// More cuts than this are not drawn.
pub(super) const CUTS_DRAWN: usize = 12;

/// A full list of layers is added for models of up to this many.
const LAYERS_LISTED: usize = 600;

/// The chart of one model with the cuts in use.
pub(super) fn model_chart(m: &mut Markup, model: &Model, cuts: &[CutInUse]) {
    let cuts = &cuts[..cuts.len().min(CUTS_DRAWN)];
    let order = layer_order(model, cuts);
    let units = units(model, &order, cuts);
    let chart = Chart::new(model, cuts, &order, &units);
    let label = format!("Layers of {}", shortened(&model.name, 60));
    let scroll: &[(_, &dyn Display)] =
        &[("class", &"scroll"), ("tabindex", &"0"), ("role", &"region"), ("aria-label", &label)];
    m.element("div", scroll, |m| {
        m.element("table", &[("class", &"model")], |m| {
            m.literal(
                "<thead><tr><th class=\"lane\" scope=\"col\"><span class=\"hidden\">Graph</span>\
                 </th><th scope=\"col\">Layer</th><th class=\"r\" scope=\"col\">Passes on</th>\
                 <th scope=\"col\">On the device</th><th scope=\"col\">On the server</th></tr>\
                 </thead>",
            );
            m.element("tbody", &[], |m| chart.rows(m));
        });
    });
    if units.len() < order.len() && order.len() <= LAYERS_LISTED {
        all_layers(m, model, &order);
    }
}

struct Chart<'a> {
    model: &'a Model,
    cuts: &'a [CutInUse],
    order: &'a [LayerId],
    units: &'a [Unit],
    slices: Vec<Slice>,
    lanes: usize,
    bytes_max: u64,
    time_max: Time,
}

impl<'a> Chart<'a> {
    fn new(
        model: &'a Model,
        cuts: &'a [CutInUse],
        order: &'a [LayerId],
        units: &'a [Unit],
    ) -> Chart<'a> {
        let slices = lanes(model, order, units);
        let in_slice = |s: &Slice| {
            let all = s.through.iter().chain(&s.into).chain(&s.out).map(|&(lane, _)| lane);
            all.chain([s.node]).max().unwrap_or(0) + 1
        };
        let lanes = slices.iter().map(in_slice).max().unwrap_or(1);
        let bytes_max = model.tensors.iter().map(|t| t.bytes).max().unwrap_or(0).max(1);
        let longest = units.iter().map(|u| u.device.max(u.server)).max();
        let time_max = longest.unwrap_or_default();
        Chart { model, cuts, order, units, slices, lanes, bytes_max, time_max }
    }

    fn rows(&self, m: &mut Markup) {
        self.inputs(m);
        self.cuts_at(m, 0, 0);
        for (i, unit) in self.units.iter().enumerate() {
            self.unit(m, i, unit);
            self.cuts_at(m, unit.layers.end, i + 1);
        }
    }

    fn inputs(&self, m: &mut Markup) {
        let names: Vec<String> =
            self.model.inputs.iter().map(|t| self.tensor(*t).name.clone()).collect();
        let size: u64 = self.model.inputs.iter().map(|t| self.tensor(*t).bytes).sum();
        m.element("tr", &[("class", &"input")], |m| {
            m.element("td", &[("class", &"lane")], |m| self.lane_cell(m, 0, "input"));
            m.element("th", &[("scope", &"row")], |m| {
                m.text("input ");
                m.leaf("span", &[("class", &"dim")], shortened(&names.join(", "), 40));
            });
            m.leaf("td", &[("class", &"r")], bytes(size));
            m.literal("<td></td><td></td>");
        });
    }

    fn unit(&self, m: &mut Markup, index: usize, unit: &Unit) {
        let layers = &self.order[unit.layers.clone()];
        m.element("tr", &[], |m| {
            m.element("td", &[("class", &"lane")], |m| self.lane_cell(m, index + 1, "layer"));
            m.element("th", &[("scope", &"row")], |m| {
                let name = |l: LayerId, limit| shortened(&self.model.layers[l.index()].name, limit);
                match layers {
                    [only] => m.text(name(*only, 34)),
                    [first, .., last] => {
                        match common_name(self.model, layers) {
                            Some(common) => m.text(format_args!("{} ", shortened(common, 40))),
                            None => {
                                let ends = [name(*first, 20), name(*last, 20)];
                                m.text(format_args!("{} … {} ", ends[0], ends[1]));
                            }
                        }
                        m.leaf(
                            "span",
                            &[("class", &"dim")],
                            format_args!("{} layers", layers.len()),
                        );
                    }
                    [] => {}
                }
                self.badges(m, layers[0]);
            });
            m.leaf("td", &[("class", &"r")], self.passes_on(layers));
            self.bar(m, "device", unit.device);
            self.bar(m, "server", unit.server);
        });
    }

    /// Letters of the cuts that keep a layer on the device, for cuts that are no line across.
    fn badges(&self, m: &mut Markup, layer: LayerId) {
        for cut in self.cuts {
            let set = &cut.partition.device_layers;
            if prefix_length(self.order, set).is_none() && set.contains(layer) {
                m.text(" ");
                m.leaf("span", &[("class", &"letter")], &cut.letter);
            }
        }
    }

    /// The sizes of the tensors that leave `layers`.
    fn passes_on(&self, layers: &[LayerId]) -> String {
        let inside: BTreeSet<LayerId> = layers.iter().copied().collect();
        let writes = layers.iter().flat_map(|l| &self.model.layers[l.index()].writes);
        let leaves = |t: &&TensorId| {
            let readers = &self.tensor(**t).readers;
            readers.is_empty() || readers.iter().any(|r| !inside.contains(r))
        };
        let sizes: Vec<u64> = writes.filter(leaves).map(|t| self.tensor(*t).bytes).collect();
        match sizes.as_slice() {
            [a, b] => format!("{} + {}", bytes(*a), bytes(*b)),
            [_, _, ..] => format!("{} in {}", bytes(sizes.iter().sum()), sizes.len()),
            sizes => bytes(sizes.iter().sum()),
        }
    }

    fn bar(&self, m: &mut Markup, machine: &'static str, length: Time) {
        m.element("td", &[("class", &"bar")], |m| {
            m.element("div", &[], |m| {
                m.leaf("span", &[], time(length));
                m.element("svg", &[("class", &machine), ("aria-hidden", &"true")], |m| {
                    let width = Percent::of(length, self.time_max);
                    m.start("rect", &[("width", &width), ("height", &"100%")]);
                    m.literal("</rect>");
                });
            });
        });
    }

    /// The cuts that come before the layer at `position`, below the row `above`.
    fn cuts_at(&self, m: &mut Markup, position: usize, above: usize) {
        for cut in self.cuts {
            let set = &cut.partition.device_layers;
            match prefix_length(self.order, set) {
                Some(length) if length == position => self.cut(m, cut, above, true),
                None if self.order[..position].iter().filter(|&&l| set.contains(l)).count()
                    == set.count()
                    && position.checked_sub(1).is_some_and(|p| set.contains(self.order[p])) =>
                {
                    self.cut(m, cut, above, false);
                }
                _ => {}
            }
        }
    }

    fn cut(&self, m: &mut Markup, cut: &CutInUse, above: usize, is_line: bool) {
        m.element("tr", &[("class", &"cut")], |m| {
            m.element("td", &[("class", &"lane")], |m| self.cut_cell(m, above, is_line));
            m.element("td", &[("colspan", &4)], |m| {
                m.leaf("span", &[("class", &"letter")], &cut.letter);
                m.text(" ");
                let jobs = if cut.jobs.len() == 1 { "job" } else { "jobs" };
                m.leaf("strong", &[], format_args!("{} {jobs}", cut.jobs.len()));
                let cost = &cut.cost;
                if cut.partition.device_layers.count() == self.model.layers.len() {
                    let text = format!(" stay on the device: {} each", time(cost.device));
                    m.text(text);
                    return;
                }
                m.text(format_args!(" cut here, sending {}", cut.sent(self.model)));
                let times = format!(
                    " · device {} · uplink {} · server {}",
                    time(cost.device),
                    time(cost.uplink),
                    time(cost.server)
                );
                m.leaf("span", &[("class", &"dim")], times);
                if !is_line {
                    m.text(format_args!("; the layers marked {} are above it", cut.letter));
                }
            });
        });
    }

    fn tensor(&self, tensor: TensorId) -> &'a cutpoint_plan::workload::Tensor {
        &self.model.tensors[tensor.index()]
    }

    fn x(&self, lane: usize) -> f64 {
        let step = ((LANES_WIDTH_MAX - 24.0) / self.lanes as f64).min(17.0);
        12.0 + lane as f64 * step
    }

    fn lanes_svg(&self, m: &mut Markup, height: f64, draw: impl FnOnce(&mut Markup)) {
        let width = self.x(self.lanes - 1) + 12.0;
        let size: &[(_, &dyn Display)] =
            &[("width", &width), ("height", &height), ("aria-hidden", &"true")];
        m.element("svg", size, draw);
    }

    fn edge(&self, m: &mut Markup, tensor: TensorId, from: (f64, f64), to: (f64, f64)) {
        let (name, size) = (&self.tensor(tensor).name, self.tensor(tensor).bytes);
        let width = 1.5 + 6.0 * (size as f64 / self.bytes_max as f64).sqrt();
        let ((x1, y1), (x2, y2)) = (from, to);
        let middle = (y1 + y2) / 2.0;
        let path =
            format!("M{x1:.1} {y1:.1}C{x1:.1} {middle:.1} {x2:.1} {middle:.1} {x2:.1} {y2:.1}");
        let width = format!("{width:.1}");
        let title = format!("{}: {}", shortened(name, 60), bytes(size));
        m.shape("path", &[("d", &path), ("stroke-width", &width)], title);
    }

    fn lane_cell(&self, m: &mut Markup, row: usize, class: &'static str) {
        let slice = &self.slices[row];
        let (middle, node) = (ROW / 2.0, self.x(slice.node));
        self.lanes_svg(m, ROW, |m| {
            for &(lane, tensor) in &slice.through {
                self.edge(m, tensor, (self.x(lane), 0.0), (self.x(lane), ROW));
            }
            for &(lane, tensor) in &slice.into {
                self.edge(m, tensor, (self.x(lane), 0.0), (node, middle));
            }
            for &(lane, tensor) in &slice.out {
                self.edge(m, tensor, (node, middle), (self.x(lane), ROW));
            }
            let (cx, cy) = (format!("{node:.1}"), middle);
            m.start("circle", &[("class", &class), ("cx", &cx), ("cy", &cy), ("r", &5)]);
            m.literal("</circle>");
        });
    }

    fn cut_cell(&self, m: &mut Markup, above: usize, is_line: bool) {
        let slice = &self.slices[above];
        self.lanes_svg(m, CUT_ROW, |m| {
            for &(lane, tensor) in slice.through.iter().chain(&slice.out) {
                self.edge(m, tensor, (self.x(lane), 0.0), (self.x(lane), CUT_ROW));
            }
            let class = if is_line { "cutline" } else { "cutline partial" };
            let y = CUT_ROW / 2.0;
            let line: &[(_, &dyn Display)] =
                &[("class", &class), ("x1", &0), ("x2", &"100%"), ("y1", &y), ("y2", &y)];
            m.start("line", line);
            m.literal("</line>");
        });
    }
}

fn all_layers(m: &mut Markup, model: &Model, order: &[LayerId]) {
    m.element("details", &[], |m| {
        m.leaf("summary", &[], format_args!("All {} layers, one by one", order.len()));
        m.literal(
            "<div class=\"scroll\" tabindex=\"0\"><table class=\"plain\"><thead><tr><th \
             scope=\"col\">Layer</th><th class=\"r\" scope=\"col\">Writes</th><th class=\"r\" \
             scope=\"col\">Device</th><th class=\"r\" scope=\"col\">Server</th></tr></thead><tbody>",
        );
        for layer in order {
            let layer = &model.layers[layer.index()];
            let size = layer.writes.iter().map(|t| model.tensors[t.index()].bytes).sum();
            m.element("tr", &[], |m| {
                m.leaf("th", &[("scope", &"row")], shortened(&layer.name, 60));
                for cell in [bytes(size), time(layer.device), time(layer.server)] {
                    m.leaf("td", &[("class", &"r")], cell);
                }
            });
        }
        m.literal("</tbody></table></div>");
    });
}
