//! The page: the verdict as HTML, the data, and the one script that browsers may run; they load
//! nothing.

use super::contents::Report;
use super::data::data;
use super::text::{escaped, json_for_script};
use super::verdict::{title, verdict};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use cutpoint_plan::explain::render_summary;
use sha2::{Digest as _, Sha256};

const STYLE: &str = include_str!("style.css");
const SCRIPT: &str = include_str!("script.js");

/// More lines of the summary than this are left out.
const SUMMARY_LINES_MAX: usize = 200;

/// The report as one HTML page.
pub(super) fn page(report: &Report<'_>) -> String {
    format!(
        "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; \
         style-src {style_hash}; script-src {script_hash}; base-uri 'none'; form-action 'none'\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n\
         <title>Cutpoint: {title}</title>\n<style>{STYLE}</style></head>\n<body>\n{verdict}\
         <noscript><p>The charts need JavaScript.</p>\n<pre>{summary}</pre></noscript>\n\
         <script type=\"application/json\" id=\"data\">{data}</script>\n\
         <script>{SCRIPT}</script>\n</body></html>\n",
        style_hash = source_hash(STYLE),
        script_hash = source_hash(SCRIPT),
        title = escaped(&title(report)),
        verdict = verdict(report),
        summary = escaped(&summary(report)),
        data = json_for_script(&data(report)),
    )
}

/// What permits exactly this inline text in a content security policy.
fn source_hash(text: &str) -> String {
    format!("'sha256-{}'", STANDARD.encode(Sha256::digest(text)))
}

/// The plan in words, for browsers without JavaScript.
fn summary(report: &Report<'_>) -> String {
    let others = report.policies.iter().filter(|o| o.policy != report.plan.policy);
    let others: Vec<_> =
        others.map(|o| (o.policy, o.plan.as_ref().ok().map(|plan| plan.makespan))).collect();
    let text = render_summary(report.workload, report.plan, &others);
    text.lines().take(SUMMARY_LINES_MAX).collect::<Vec<_>>().join("\n")
}
