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
use crate::problem::{Loads, Pricer};
use crate::workload::{LayerId, TensorId};

/// A model whose cheapest cuts are asked for.
pub(crate) struct CutPricer<'p, 'm> {
    pricer: &'p Pricer<'m>,
    /// For each tensor, its forms with encode, transfer and decode time.
    forms: Vec<Vec<(Upload, [u64; 3])>>,
    /// For each layer, the bytes of model outputs it writes, as downlink time rounded down.
    download: Vec<u64>,
    /// How many executors share the server's time; 0 if it costs nothing.
    server_share: u64,
}

/// A cut with a form for each tensor of its frontier.
pub(crate) type PricedCut = (LayerSet, Vec<Upload>);

impl<'p, 'm> CutPricer<'p, 'm> {
    /// `executors` is how many jobs share the server's time; `None` if it costs nothing.
    pub(crate) fn new(pricer: &'p Pricer<'m>, executors: Option<u64>) -> CutPricer<'p, 'm> {
        let model = pricer.model;
        let forms = (0..model.tensors.len()).map(|t| {
            let tensor = TensorId::at(t);
            let encodings = 0..model.tensors[t].encodings.len();
            let all = std::iter::once(None).chain(encodings.map(Some));
            all.filter_map(|encoding| {
                let upload = Upload { tensor, encoding };
                let (encode, transfer, decode) = pricer.crossing(&upload)?;
                Some((upload, [encode, transfer, decode].map(|t| t.nanoseconds())))
            })
            .collect()
        });
        let forms = forms.collect();
        let mut download = vec![0; model.layers.len()];
        for output in &model.outputs {
            let tensor = &model.tensors[output.index()];
            if let Some(producer) = tensor.producer {
                let time = pricer.downlink_time(tensor.bytes).map_or(u64::MAX, |t| t.nanoseconds());
                // A sum of rounded times may exceed the time of the sum by half a nanosecond each.
                let time = time.saturating_sub(1);
                download[producer.index()] = time.saturating_add(download[producer.index()]);
            }
        }
        CutPricer { pricer, forms, download, server_share: executors.unwrap_or(0) }
    }

    /// The cheapest way across for a tensor: its price, and its form; none if nothing gets through.
    fn crossing(&self, tensor: usize, prices: Prices) -> (u128, Option<&Upload>) {
        let price = |times: &[u64; 3]| {
            prices.device * u128::from(times[0])
                + prices.uplink * u128::from(times[1])
                + self.server_price(times[2], prices)
        };
        let forms = self.forms[tensor].iter().map(|(upload, times)| (price(times), Some(upload)));
        forms.min_by_key(|(price, _)| *price).unwrap_or((INFINITE, None))
    }

    fn server_price(&self, time: u64, prices: Prices) -> u128 {
        prices.server * u128::from(time.checked_div(self.server_share).unwrap_or(0))
    }

    /// What it costs to leave a layer to the server.
    fn outside(&self, layer: usize, prices: Prices) -> u128 {
        let server = self.pricer.model.layers[layer].server.nanoseconds();
        self.server_price(server, prices) + prices.downlink * u128::from(self.download[layer])
    }

    /// The cheapest cut, and its price; the largest set of those that are equally cheap.
    pub(crate) fn cheapest(&self, prices: Loads) -> (u128, PricedCut) {
        let [device, uplink, server, downlink] = prices.map(u128::from);
        let prices = Prices { device, uplink, server, downlink };
        let model = self.pricer.model;
        let set = self.between(&LayerSet::none(model), &LayerSet::all(model), prices);
        self.priced(set, prices)
    }

    /// A cut with the cheapest form of each tensor, and its price.
    fn priced(&self, set: LayerSet, prices: Prices) -> (u128, PricedCut) {
        let model = self.pricer.model;
        let mut price = 0u128;
        for (l, layer) in model.layers.iter().enumerate() {
            price += match set.contains(LayerId::at(l)) {
                true => prices.device * u128::from(layer.device.nanoseconds()),
                false => self.outside(l, prices),
            };
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
    fn between(&self, inner: &LayerSet, outer: &LayerSet, prices: Prices) -> LayerSet {
        let model = self.pricer.model;
        let mut network = Network::new();
        let mut node = vec![usize::MAX; model.layers.len()];
        let middle: Vec<LayerId> = outer.iter().filter(|&l| !inner.contains(l)).collect();
        for &l in &middle {
            node[l.index()] = network.add_node();
            let device = u128::from(model.layers[l.index()].device.nanoseconds());
            network.add_arc(node[l.index()], SINK, prices.device * device);
            network.add_arc(SOURCE, node[l.index()], self.outside(l.index(), prices));
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
        let only = |device, uplink| Prices { device, uplink, server: 0, downlink: 0 };
        // The ends: least uplink time, and least device time, each the better in the other.
        let whole = LayerSet::all(model);
        let nothing = LayerSet::none(model);
        let least_uplink = self.between(&nothing, &whole, only(1, 1 << 40));
        let least_device = self.between(&nothing, &least_uplink, only(1 << 40, 1));
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
            let prices = only(u128::from(fall), u128::from(rise));
            let cost =
                |t: (u64, u64)| prices.device * u128::from(t.0) + prices.uplink * u128::from(t.1);
            let middle = self.between(&small, &large, prices);
            let is_lower = cost(self.times(&middle)) < cost(a);
            if rise > 0 && fall > 0 && is_lower && middle != small && middle != large {
                open.push((middle.clone(), large));
                open.push((small, middle));
            } else {
                found.push(large);
            }
        }
        let prices = only(1, 1);
        found.into_iter().map(|set| self.priced(set, prices).1).collect()
    }

    /// Device and uplink time of a cut, its tensors in their quickest forms.
    fn times(&self, set: &LayerSet) -> (u64, u64) {
        let model = self.pricer.model;
        let device = set.iter().map(|l| model.layers[l.index()].device.nanoseconds()).sum();
        let uplink = frontier(model, set).into_iter().map(|t| {
            let forms = self.forms[t.index()].iter().map(|(_, times)| times[1]);
            forms.min().unwrap_or(u64::MAX)
        });
        (device, uplink.fold(0, u64::saturating_add))
    }
}

/// The worth of a nanosecond on each machine.
#[derive(Clone, Copy, Debug)]
struct Prices {
    device: u128,
    uplink: u128,
    server: u128,
    downlink: u128,
}
