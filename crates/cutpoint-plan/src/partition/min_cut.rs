//! The cheapest cut of a model at given prices of device, uplink, server and downlink time.
//!
//! Layers on the source's side of a minimum cut stay on the device. A layer there pays for its
//! device time, another one for its server time; an infinite arc from each layer to those it reads
//! from keeps the set downward closed. Each tensor has a node of its own, so that it is paid for
//! once however many layers read it on the other side.
//!
//! With only the price of device time rising, the cheapest cuts shrink and are nested, so the lower
//! hull of all (device, uplink) times is a chain of cuts, found by halving: between two neighbours
//! only the layers in one and not in the other are undecided.
//!
//! Paper: Thm 4. Source: Gallo, Grigoriadis and Tarjan (1989), doi:10.1137/0218003.

use crate::cut::{LayerSet, frontier};
use crate::partition::max_flow::{INFINITE, Network, SINK, SOURCE};
use crate::plan::Upload;
use crate::problem::{Form, Loads, Pricer, Times, loads, weighted};
use crate::units::Time;
use crate::workload::{Layer, LayerId, TensorId};

/// A model whose cheapest cuts are asked for.
pub(crate) struct CutPricer<'p, 'm> {
    pricer: &'p Pricer<'m>,
    /// For each tensor, its forms and what they load the machines with.
    forms: Vec<Vec<(Loads, Upload)>>,
    /// For each layer, what it loads the machines with on the device, and on the server.
    layers: Vec<(Loads, Loads)>,
}

/// A cut with a form for each tensor of its frontier.
pub(crate) type PricedCut = (LayerSet, Vec<Upload>);

impl<'p, 'm> CutPricer<'p, 'm> {
    /// `executors` is how many jobs share the server's time; `None` if it costs nothing.
    pub(crate) fn new(pricer: &'p Pricer<'m>, executors: Option<u64>) -> CutPricer<'p, 'm> {
        let model = pricer.model;
        let loads = |device: Time, uplink: Time, server: Time| {
            loads(&Times { device, uplink, server, ..Times::default() }, executors)
        };
        let form = |form: Form| (loads(form.encode, form.transfer, form.decode), form.upload);
        let tensors = (0..model.tensors.len()).map(TensorId::at);
        let forms = tensors.map(|tensor| pricer.forms(tensor).map(form).collect());
        let layer = |layer: &Layer| {
            let zero = Time::ZERO;
            (loads(layer.device, zero, zero), loads(zero, zero, layer.server))
        };
        let mut layers: Vec<(Loads, Loads)> = model.layers.iter().map(layer).collect();
        for output in &model.outputs {
            let tensor = &model.tensors[output.index()];
            if let Some(producer) = tensor.producer {
                let time = pricer.downlink_time(tensor.bytes).map_or(u64::MAX, Time::nanoseconds);
                // A sum of rounded times may exceed the time of the sum by half a nanosecond each.
                let downlink = &mut layers[producer.index()].1[3];
                *downlink = downlink.saturating_add(time.saturating_sub(1));
            }
        }
        CutPricer { pricer, forms: forms.collect(), layers }
    }

    /// The cheapest way across for a tensor: its price, and its form; none if nothing gets through.
    fn crossing(&self, tensor: usize, prices: Loads) -> (u128, Option<&Upload>) {
        let forms =
            self.forms[tensor].iter().map(|(l, upload)| (weighted(prices, *l), Some(upload)));
        forms.min_by_key(|(price, _)| *price).unwrap_or((INFINITE, None))
    }

    /// The cheapest cut, and its price; the largest set of those that are equally cheap.
    pub(crate) fn cheapest(&self, prices: Loads) -> (u128, PricedCut) {
        let model = self.pricer.model;
        let set = self.between(&LayerSet::none(model), &LayerSet::all(model), prices);
        self.priced(set, prices)
    }

    /// A cut with the cheapest form of each tensor, and its price.
    fn priced(&self, set: LayerSet, prices: Loads) -> (u128, PricedCut) {
        let model = self.pricer.model;
        let mut price = 0u128;
        for (l, &(inside, outside)) in self.layers.iter().enumerate() {
            let is_inside = set.contains(LayerId::at(l));
            price += weighted(prices, if is_inside { inside } else { outside });
        }
        let mut uploads = Vec::new();
        for tensor in frontier(model, &set) {
            let (cost, upload) = self.crossing(tensor.index(), prices);
            price = price.saturating_add(cost);
            uploads.extend(upload.cloned());
        }
        (price, (set, uploads))
    }

    /// The cheapest cut that holds `inner` and is held by `outer`.
    fn between(&self, inner: &LayerSet, outer: &LayerSet, prices: Loads) -> LayerSet {
        let model = self.pricer.model;
        let mut network = Network::new();
        let mut node = vec![usize::MAX; model.layers.len()];
        let middle: Vec<LayerId> = outer.iter().filter(|&l| !inner.contains(l)).collect();
        for &l in &middle {
            node[l.index()] = network.add_node();
            let (inside, outside) = self.layers[l.index()];
            network.add_arc(node[l.index()], SINK, weighted(prices, inside));
            network.add_arc(SOURCE, node[l.index()], weighted(prices, outside));
        }
        for (t, tensor) in model.tensors.iter().enumerate() {
            let from = match tensor.producer {
                None => SOURCE,
                Some(p) if inner.contains(p) => SOURCE,
                Some(p) if outer.contains(p) => node[p.index()],
                Some(_) => continue,
            };
            let undecided = tensor.readers.iter().map(|r| node[r.index()]);
            let readers: Vec<usize> = undecided.filter(|&n| n != usize::MAX).collect();
            if from != SOURCE {
                readers.iter().for_each(|&r| network.add_arc(r, from, INFINITE));
            }
            let price = self.crossing(t, prices).0;
            if tensor.readers.iter().any(|&r| !outer.contains(r)) {
                if from != SOURCE {
                    network.add_arc(from, SINK, price);
                }
            } else if let [reader] = readers[..] {
                network.add_arc(from, reader, price);
            } else if !readers.is_empty() {
                let tensor = network.add_node();
                network.add_arc(from, tensor, price);
                readers.iter().for_each(|&r| network.add_arc(tensor, r, INFINITE));
            }
        }
        let side = network.min_cut();
        let mut set = inner.clone();
        for l in middle.into_iter().filter(|l| side[node[l.index()]]) {
            set.insert(l);
        }
        set
    }

    /// The cuts on the lower hull of all (device, uplink) times, from the smallest to the largest
    /// set, at most `limit`.
    ///
    /// Exact for models without encodings; with them, a form's price has a part of each kind and
    /// the cuts found are still cuts, but some of the hull may be missing.
    pub(crate) fn hull(&self, limit: usize) -> Vec<PricedCut> {
        let model = self.pricer.model;
        // The ends: least uplink time, and least device time, each the better in the other.
        let whole = LayerSet::all(model);
        let nothing = LayerSet::none(model);
        let least_uplink = self.between(&nothing, &whole, [1, 1 << 40, 0, 0]);
        let least_device = self.between(&nothing, &least_uplink, [1 << 40, 1, 0, 0]);
        let mut found = vec![least_device.clone()];
        let mut open = vec![(least_device, least_uplink)];
        while let Some((small, large)) = open.pop() {
            if small == large {
                continue;
            }
            if found.len() + open.len() >= limit {
                found.push(large);
                continue;
            }
            let (a, b) = (self.times(&small), self.times(&large));
            let rise = b.0.saturating_sub(a.0);
            let fall = a.1.saturating_sub(b.1);
            let prices = [fall, rise, 0, 0];
            let cost = |(device, uplink)| weighted(prices, [device, uplink, 0, 0]);
            let middle = self.between(&small, &large, prices);
            let is_lower = cost(self.times(&middle)) < cost(a);
            if rise > 0 && fall > 0 && is_lower && middle != small && middle != large {
                open.push((middle.clone(), large));
                open.push((small, middle));
            } else {
                found.push(large);
            }
        }
        found.into_iter().map(|set| self.priced(set, [1, 1, 0, 0]).1).collect()
    }

    /// Device and uplink time of a cut, its tensors in their quickest forms.
    fn times(&self, set: &LayerSet) -> (u64, u64) {
        let model = self.pricer.model;
        let device = set.iter().map(|l| model.layers[l.index()].device.nanoseconds()).sum();
        let uplink = frontier(model, set).into_iter().map(|t| {
            let forms = self.forms[t.index()].iter().map(|(loads, _)| loads[1]);
            forms.min().unwrap_or(u64::MAX)
        });
        (device, uplink.fold(0, u64::saturating_add))
    }
}
