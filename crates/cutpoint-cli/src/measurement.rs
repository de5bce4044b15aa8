//! Prints measurements in words on standard error.

use crate::args::encoding;
use cutpoint::profile::ModelProfile;
use cutpoint::session::{Measurement, SessionModel};
use cutpoint_plan::units::count;

/// Says on standard error what was measured, and what not to trust.
pub(crate) fn report(models: &[SessionModel], measurement: &Measurement) {
    for (m, model) in models.iter().enumerate() {
        one(model.name(), "device", &measurement.device[m]);
        if let Some(server) = measurement.server.get(m) {
            one(model.name(), "server", server);
        }
        if let Some(encodings) = measurement.encodings.get(m) {
            encoding::report(model.name(), encodings);
        }
    }
    if let Some(link) = &measurement.link {
        log::info!(
            "link: uplink {:.2} Mbit/s (spread {:.1} %), downlink {}, round trip {:.2} ms, {:.3} ms \
             for each message",
            link.uplink.mbit_per_s(),
            link.spread * 100.0,
            link.downlink
                .map_or("not measured".to_owned(), |d| format!("{:.1} Mbit/s", d.mbit_per_s())),
            link.round_trip.as_secs_f64() * 1e3,
            link.message_overhead.as_secs_f64() * 1e3,
        );
    }
}

fn one(model: &str, side: &str, profile: &ModelProfile) {
    log::info!(
        "{model} on the {side}: {:.2} ms (spread {:.1} %) on {}, {}; its {} layers sum to {:.0} % of that",
        profile.whole.median_ms,
        profile.whole.spread * 100.0,
        profile.engine,
        count(profile.threads, "thread"),
        profile.layers.len(),
        100.0 * profile.sum_over_whole,
    );
    for warning in &profile.warnings {
        log::warn!("{model} on the {side}: {warning}");
    }
}
