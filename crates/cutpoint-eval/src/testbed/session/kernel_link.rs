//! The link made by the kernel: `tbf` holds the rate and the queue, `netem` the delay and the loss.
//!
//! Device and server each have a virtual cable to a router. Each end's own queue holds its rate;
//! the router's queues, towards the other end, add the delay, so that packets waiting for the rate
//! and packets on their way are not counted in one limit.

use crate::testbed::host::command::run;
use crate::testbed::host::netns::Netns;
use crate::testbed::link_shape::LinkShape;
use anyhow::ensure;
use cutpoint_plan::units::Time;
use std::fmt::Display;

/// The addresses of device and server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Addresses {
    pub(crate) device: &'static str,
    pub(crate) server: &'static str,
}

const ADDRESSES: Addresses = Addresses { device: "10.78.0.1", server: "10.78.0.6" };
/// Bytes that may leave at once; more would let small messages ride the burst.
const BURST_BYTES: u64 = 5_000;
/// Packets in flight; `netem` takes memory only for those that are.
const IN_FLIGHT_PACKETS: u64 = 1_000_000;

/// Whether this kernel can delay packets, tried on the loopback of a namespace of ours.
pub(crate) fn has_netem(netns: &Netns) -> bool {
    run(&format!("tc -n {netns} qdisc add dev lo root netem delay 1ms")).is_ok()
        && run(&format!("tc -n {netns} qdisc del dev lo root")).is_ok()
}

/// Joins `device` and `server` through `router`.
///
/// # Errors
///
/// For jitter, which `netem` would turn into reordering, and where the kernel refuses.
pub(super) fn join(
    device: &Netns,
    server: &Netns,
    router: &Netns,
    shape: &LinkShape,
) -> anyhow::Result<Addresses> {
    ensure!(
        shape.uplink.jitter == Time::ZERO,
        "the kernel's link would reorder packets under --jitter-ms\n\nhint: use --link emulator"
    );
    router.set_kernel(&[("ipv4/ip_forward", "1")])?;
    for line in lines(device, server, router, shape) {
        run(&line)?;
    }
    Ok(ADDRESSES)
}

/// The commands that make the link between namespaces of these names.
fn lines<N: Display>(device: N, server: N, router: N, shape: &LinkShape) -> Vec<String> {
    let mut lines = Vec::new();
    let ends = [
        (&device, "link0", "device0", ADDRESSES.device, "10.78.0.2"),
        (&server, "link0", "server0", ADDRESSES.server, "10.78.0.5"),
    ];
    for (end, port, router_port, address, gateway) in ends {
        lines.extend([
            format!("ip -n {end} link add {port} type veth peer name {router_port} netns {router}"),
            format!("ip -n {end} addr add {address}/30 dev {port}"),
            format!("ip -n {router} addr add {gateway}/30 dev {router_port}"),
            // Packets as small as on a wire, so that the queue drops single ones.
            format!("ip -n {end} link set {port} gso_max_segs 1 up"),
            format!("ip -n {router} link set {router_port} up"),
            format!("ip -n {end} route add default via {gateway}"),
        ]);
    }
    let directions = [(&device, "server0", &shape.uplink), (&server, "device0", &shape.downlink)];
    for (sender, towards, pipe) in directions {
        lines.push(format!(
            "tc -n {sender} qdisc add dev link0 root tbf rate {}bit burst {BURST_BYTES} limit {}",
            pipe.bit_per_s,
            pipe.queue_bytes.max(BURST_BYTES)
        ));
        if pipe.one_way > Time::ZERO || pipe.loss > 0.0 {
            lines.push(format!(
                "tc -n {router} qdisc add dev {towards} root netem limit {IN_FLIGHT_PACKETS} \
                 delay {}us loss {}%",
                pipe.one_way.nanoseconds() / 1_000,
                pipe.loss * 100.0
            ));
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testbed::link_shape::PipeShape;

    #[test]
    fn each_sender_holds_its_rate_and_the_router_delays_towards_the_other_end() {
        let uplink = PipeShape {
            bit_per_s: 1_100_000,
            one_way: Time::from_nanoseconds(50_000_000),
            queue_bytes: 131_072,
            loss: 0.01,
            jitter: Time::ZERO,
        };
        let downlink =
            PipeShape { bit_per_s: 40_000_000, one_way: Time::ZERO, loss: 0.0, ..uplink };
        let shape = LinkShape { uplink, downlink, seed: 1 };
        let lines = lines("d", "s", "r", &shape);
        let queues: Vec<&str> =
            lines.iter().filter(|line| line.starts_with("tc")).map(String::as_str).collect();
        assert_eq!(
            queues,
            [
                "tc -n d qdisc add dev link0 root tbf rate 1100000bit burst 5000 limit 131072",
                "tc -n r qdisc add dev server0 root netem limit 1000000 delay 50000us loss 1%",
                "tc -n s qdisc add dev link0 root tbf rate 40000000bit burst 5000 limit 131072",
            ]
        );
        let routes: Vec<&str> =
            lines.iter().filter(|line| line.contains("route")).map(String::as_str).collect();
        assert_eq!(
            routes,
            ["ip -n d route add default via 10.78.0.2", "ip -n s route add default via 10.78.0.5"]
        );
    }
}
