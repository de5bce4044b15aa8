//! A workload file with one layer a line, so that profiles stay short and differences readable.

use cutpoint_plan::format::WorkloadFile;
use serde::Serialize;
use std::fmt::Write;

/// The file as JSON.
pub(super) fn write(file: &WorkloadFile) -> String {
    let mut text = format!(
        "{{\n\"schema\": {},\n\"link\": {},\n\"server\": {},\n\"models\": {{\n",
        json(&file.schema),
        json(&file.link),
        json(&file.server)
    );
    for (m, (name, model)) in file.models.0.iter().enumerate() {
        let comma = if m > 0 { ",\n" } else { "" };
        let inputs = json(&model.inputs);
        let _ = writeln!(text, "{comma}{}: {{\n\"inputs\": {inputs},", json(name));
        if let Some(outputs) = &model.outputs {
            let _ = writeln!(text, "\"outputs\": {},", json(outputs));
        }
        let lines: Vec<String> = model.layers.iter().map(json).collect();
        let _ = write!(text, "\"layers\": [\n{}\n] }}", lines.join(",\n"));
    }
    let _ = writeln!(text, "\n}},\n\"jobs\": {}\n}}", json(&file.jobs));
    text
}

fn json(value: &impl Serialize) -> String {
    serde_json::to_string(value).expect("keys are strings and numbers finite")
}

#[cfg(test)]
mod tests {
    use super::*;
    use cutpoint_plan::format::{read_workload, read_workload_file};

    #[test]
    fn what_is_written_reads_back_as_it_was() {
        let json = br#"{"schema":"cutpoint.workload/1","link":{"uplink_mbps":1.0},
            "server":{"executors":1},"models":{"m":{"inputs":{"x":12},"layers":[
            {"name":"a","reads":["x"],"device_ms":1.25,"server_ms":0.5,"writes":{"y":{"bytes":8,
             "encodings":{"f16":{"bytes":4,"encode_ms":0.1}}}}}]}},"jobs":[{"model":"m","count":3}]}"#;
        let file = read_workload_file(json).unwrap();
        let text = write(&file);
        assert_eq!(read_workload_file(text.as_bytes()).unwrap(), file);
        assert_eq!(read_workload(text.as_bytes()).unwrap().jobs().len(), 3);
        assert!(text.lines().any(|line| line.starts_with(r#"{"name":"a""#)), "{text}");
    }
}
