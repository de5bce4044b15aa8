//! The page: head, navigation and sections; and the policy under which browsers run none but its
//! own script and load nothing.

use crate::report::Report;
use crate::report::markup::Markup;
use crate::report::sections;
use crate::report::verdict::{title, verdict};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest as _, Sha256};

const STYLE: &str = include_str!("style.css");
const SCRIPT: &str = include_str!("script.js");

/// The report as one HTML page.
pub(super) fn page(report: &Report<'_>) -> String {
    let models = sections::models_in_use(report);
    let mut m = Markup::default();
    m.literal("<!DOCTYPE html>\n");
    m.element("html", &[("lang", &"en")], |m| {
        m.element("head", &[], |m| head(m, report));
        m.element("body", &[], |m| {
            m.literal("<a class=\"skip\" href=\"#main\">Skip to the charts</a>");
            verdict(m, report);
            navigation(m, report);
            m.element("main", &[("id", &"main")], |m| {
                sections::policies(m, report);
                sections::timelines(m, report);
                sections::machines(m, report);
                sections::errors(m, report);
                sections::models(m, report, &models);
                sections::planes(m, report, &models);
                sections::job_list(m, report, &models);
                sections::conditions(m, report);
            });
            m.literal("<div id=\"tip\" role=\"status\" hidden></div>");
            m.element("script", &[], |m| m.literal(SCRIPT));
        });
    });
    m.literal("\n");
    m.into_html()
}

fn head(m: &mut Markup, report: &Report<'_>) {
    let policy = format!(
        "default-src 'none'; style-src {}; script-src {}; base-uri 'none'; form-action 'none'",
        source_hash(STYLE),
        source_hash(SCRIPT)
    );
    m.literal("<meta charset=\"utf-8\">");
    m.start("meta", &[("http-equiv", &"Content-Security-Policy"), ("content", &policy)]);
    m.literal(
        "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\
         <meta name=\"color-scheme\" content=\"light dark\">",
    );
    m.leaf("title", &[], format_args!("Cutpoint: {}", title(report)));
    m.element("style", &[], |m| m.literal(STYLE));
}

/// What permits exactly this inline text in a content security policy.
fn source_hash(text: &str) -> String {
    format!("'sha256-{}'", STANDARD.encode(Sha256::digest(text)))
}

fn navigation(m: &mut Markup, report: &Report<'_>) {
    let mut entries =
        vec![("#policies", "Policies"), ("#timeline", "Timeline"), ("#machines", "Machines")];
    if report.measured.is_some() {
        entries.push(("#errors", "Errors"));
    }
    entries.extend([
        ("#models", "Cuts"),
        ("#plane", "Why"),
        ("#jobs", "Jobs"),
        ("#conditions", "Conditions"),
    ]);
    m.element("nav", &[("aria-label", &"Sections")], |m| {
        for (target, name) in entries {
            m.leaf("a", &[("href", &target)], name);
        }
    });
}
