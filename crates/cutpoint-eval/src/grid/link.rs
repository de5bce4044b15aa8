//! The links of a grid between device and server.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// The link between device and server.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum GridLink {
    Shaped {
        uplink_mbps: f64,
        rtt_ms: f64,
    },
    /// One loopback for both, which nothing slows down.
    Loopback,
}

/// Below this an uplink is slow.
const SLOW_MBPS: f64 = 2.0;

impl GridLink {
    /// Whether a raw picture takes seconds.
    pub(super) fn is_slow(self) -> bool {
        matches!(self, GridLink::Shaped { uplink_mbps, .. } if uplink_mbps < SLOW_MBPS)
    }
}

impl fmt::Display for GridLink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            GridLink::Shaped { uplink_mbps, rtt_ms } => {
                write!(f, "{uplink_mbps} Mbit/s, {rtt_ms} ms")
            }
            GridLink::Loopback => f.write_str("loopback"),
        }
    }
}

impl FromStr for GridLink {
    type Err = String;

    /// `MBPS:MS` or `loopback`.
    fn from_str(text: &str) -> Result<GridLink, String> {
        if text == "loopback" {
            return Ok(GridLink::Loopback);
        }
        let parts = text.split_once(':').and_then(|(mbps, ms)| {
            let (uplink_mbps, rtt_ms): (f64, f64) = (mbps.parse().ok()?, ms.parse().ok()?);
            let is_valid =
                uplink_mbps > 0.0 && uplink_mbps.is_finite() && rtt_ms >= 0.0 && rtt_ms.is_finite();
            is_valid.then_some(GridLink::Shaped { uplink_mbps, rtt_ms })
        });
        parts.ok_or_else(|| "expected MBPS:MS, for example 5.85:50, or loopback".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_are_read() {
        assert_eq!("loopback".parse(), Ok(GridLink::Loopback));
        let shaped = GridLink::Shaped { uplink_mbps: 5.85, rtt_ms: 50.0 };
        assert_eq!("5.85:50".parse(), Ok(shaped));
        for bad in ["", "5.85", "0:1", "-1:1", "1:-1", "nan:1", "1:inf"] {
            assert!(bad.parse::<GridLink>().is_err(), "{bad}");
        }
    }
}
