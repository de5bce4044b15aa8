//! evidence
fn main() {}
