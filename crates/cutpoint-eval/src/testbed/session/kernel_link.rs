//! The link made by the kernel: `tbf` holds the rate and the queue, `netem` the delay and the loss.
//!
//! Device and server each have a virtual cable to a router. Each end's own queue holds its rate;
//! the router's queues, towards the other end, add the delay, so that packets waiting for the rate
//! and packets on their way are not counted in one limit.

use super::addresses::Addresses;
use crate::testbed::host::command::{Line, tc};
use crate::testbed::host::netns::Netns;
use crate::testbed::link_shape::{LinkShape, PipeShape};
use anyhow::ensure;
use cutpoint_plan::units::Time;

const ADDRESSES: Addresses = Addresses { device: "10.78.0.1", server: "10.78.0.6" };
/// Bytes that may leave at once; more would let small messages ride the burst.
const BURST_BYTES: u64 = 5_000;
/// Packets in flight; `netem` takes memory only for those that are.
const IN_FLIGHT_PACKETS: u64 = 1_000_000;

/// Whether this kernel can delay packets, tried on the loopback of our namespace `netns`.
pub(crate) fn has_netem(netns: &str) -> bool {
    tc(&format!("-n {netns} qdisc add dev lo root netem delay 1ms")).is_ok()
        && tc(&format!("-n {netns} qdisc del dev lo root")).is_ok()
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
    for line in lines(device.name(), server.name(), router.name(), shape) {
        line.run()?;
    }
    Ok(ADDRESSES)
}

fn lines(device: &str, server: &str, router: &str, shape: &LinkShape) -> Vec<Line> {
    let mut lines = Vec::new();
    let ends = [
        (device, "link0", "device0", ADDRESSES.device, "10.78.0.2"),
        (server, "link0", "server0", ADDRESSES.server, "10.78.0.5"),
    ];
    for (end, port, router_port, address, gateway) in ends {
        let mut ip = |words: String| lines.push(Line::new("ip", &words));
        ip(format!("-n {end} link add {port} type veth peer name {router_port} netns {router}"));
        ip(format!("-n {end} addr add {address}/30 dev {port}"));
        ip(format!("-n {router} addr add {gateway}/30 dev {router_port}"));
        // Packets as small as on a wire, so that the queue drops single ones.
        ip(format!("-n {end} link set {port} gso_max_segs 1 up"));
        ip(format!("-n {router} link set {router_port} up"));
        ip(format!("-n {end} route add default via {gateway}"));
    }
    let directions = [(device, "server0", &shape.uplink), (server, "device0", &shape.downlink)];
    for (sender, towards, pipe) in directions {
        lines.push(rate(sender, pipe));
        if pipe.one_way > Time::ZERO || pipe.loss > 0.0 {
            lines.push(delay(router, towards, pipe));
        }
    }
    lines
}

fn rate(sender: &str, pipe: &PipeShape) -> Line {
    Line::new(
        "tc",
        &format!(
            "-n {sender} qdisc add dev link0 root tbf rate {}bit burst {BURST_BYTES} limit {}",
            pipe.bit_per_s,
            pipe.queue_bytes.max(BURST_BYTES)
        ),
    )
}

fn delay(router: &str, port: &str, pipe: &PipeShape) -> Line {
    let us = pipe.one_way.nanoseconds() / 1_000;
    let loss = pipe.loss * 100.0;
    Line::new(
        "tc",
        &format!(
            "-n {router} qdisc add dev {port} root netem limit {IN_FLIGHT_PACKETS} \
             delay {us}us loss {loss}%"
        ),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

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
        let lines: Vec<String> = lines("d", "s", "r", &shape).iter().map(Line::to_string).collect();
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
