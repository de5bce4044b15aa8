//! A workload file with one layer a line, so that profiles stay short and differences readable.

use cutpoint_plan::format::WORKLOAD_SCHEMA;
use cutpoint_plan::workload::{ModelBuilder, WorkloadBuilder};
use serde::Serialize;
use std::num::NonZeroU32;

/// The file as JSON.
pub(super) fn write(file: &WorkloadBuilder) -> String {
    let models: Vec<String> = file.models.iter().map(model).collect();
    format!(
        "{{\n\"schema\": {},\n\"link\": {},\n\"server\": {{\"executors\":{}}},\n\
         \"models\": {{\n{}\n}},\n\"jobs\": {}\n}}\n",
        json(&WORKLOAD_SCHEMA),
        json(&file.link),
        file.executors.map_or(0, NonZeroU32::get),
        models.join(",\n"),
        json(&file.jobs)
    )
}

fn model(model: &ModelBuilder) -> String {
    // The layers come last.
    let head = json(&ModelBuilder { layers: Vec::new(), ..model.clone() });
    let head = head.strip_suffix("]}").expect("the layers are a list");
    let layers: Vec<String> = model.layers.iter().map(json).collect();
    format!("{}: {head}\n{}\n]}}", json(&model.name), layers.join(",\n"))
}

fn json(value: &impl Serialize) -> String {
    serde_json::to_string(value).expect("keys are strings and numbers finite")
}

#[cfg(test)]
mod tests {
    use super::*;
    use cutpoint_plan::format::{read_workload, read_workload_builder};

    #[test]
    fn a_written_profile_is_read_back_unchanged() {
        let json = br#"{"schema":"cutpoint.workload/1","link":{"uplink_mbps":1.0},
            "server":{"executors":1},"models":{"m":{"inputs":{"x":12},"layers":[
            {"name":"a","reads":["x"],"device_ms":1.25,"server_ms":0.5,"writes":{"y":{"bytes":8,
             "encodings":{"f16":{"bytes":4,"encode_ms":0.1}}}}}]}},"jobs":[{"model":"m","count":3}]}"#;
        let file = read_workload_builder(json).unwrap();
        let text = write(&file);
        assert_eq!(read_workload_builder(text.as_bytes()).unwrap(), file);
        assert_eq!(read_workload(text.as_bytes()).unwrap().jobs().len(), 3);
        assert!(text.lines().any(|line| line.starts_with(r#"{"name":"a""#)), "{text}");
    }
}
