//! Tests of the configuration: what is read, and what is refused with which words.

use super::*;

const FULL: &str = r#"
[server]
address = "10.0.0.2:7070"
uplink_limit_mbps = 20
connect_timeout_s = 2.5
tls_ca = "ca.pem"
token_file = "token"
listen = "0.0.0.0:7070"
executors = 2
tls_cert = "/etc/cert.pem"
tls_key = "key.pem"
insecure = true

[device]
engine = "rten"
threads = 2
optimization = "basic"
fraction = 0.25

[limits]
patience_s = 5
message_mib = 64

[[models]]
name = "detector"
path = "a.onnx"
shapes = { x = [1, 3, 8, 8] }
samples = ["frames/*.jpg", "synthetic:2"]
image = { size = [224, 320], mean = [0.5, 0.5, 0.5], std = [2, 2, 2], layout = "NHWC" }

[[jobs]]
model = "detector"
inputs = ["synthetic:2", "x=one.npy,y=two.npy"]

[[jobs]]
model = "b.onnx"
inputs = "synthetic:1"
"#;

fn refused(text: &str) -> String {
    Config::parse(text, Path::new("")).unwrap_err().to_string()
}

#[test]
fn every_key_is_read_and_paths_are_relative_to_the_file() {
    let config = Config::parse(FULL, Path::new("data")).unwrap();
    let server = &config.server;
    assert_eq!(server.address(), Some("10.0.0.2:7070"));
    assert_eq!(server.uplink_limit.unwrap().mbit_per_s() as u32, 20);
    assert_eq!(server.connect_timeout, Some(Duration::from_millis(2500)));
    let files = [&server.tls_ca, &server.token_file, &server.tls_cert, &server.tls_key];
    let files = files.map(|file| file.as_deref().unwrap());
    let expected = ["data/ca.pem", "data/token", "/etc/cert.pem", "data/key.pem"];
    assert_eq!(files, expected.map(Path::new));
    assert_eq!(server.listen.unwrap().port(), 7070);
    assert_eq!((server.executors.unwrap().get(), server.insecure), (2, true));
    let device = &config.device;
    assert_eq!((&device.engine, device.optimization), (&EngineChoice::Rten, Optimization::Basic));
    assert_eq!((device.threads.unwrap().get(), device.fraction.value()), (2, 0.25));
    let limits = LimitsConfig { patience: Some(Duration::from_secs(5)), message_mib: Some(64) };
    assert_eq!(config.limits, limits);
    let model = &config.models[0];
    assert_eq!((model.path.as_path(), model.name()), (Path::new("data/a.onnx"), "detector".into()));
    assert_eq!(model.shapes["x"], [1, 3, 8, 8]);
    assert_eq!(model.samples, ["data/frames/*.jpg", "synthetic:2"]);
    assert_eq!(model.image.size, Some([224, 320]));
    assert_eq!(model.image.layout, Some(ImageLayout::Nhwc));

    let jobs = config.model_jobs().unwrap();
    assert_eq!(jobs[0].model, *model);
    let pair = [("x", "data/one.npy"), ("y", "data/two.npy")];
    let pair = pair.map(|(name, file)| (name.to_owned(), PathBuf::from(file)));
    assert_eq!(jobs[0].frames[2], Frame::Files(pair.into()));
    assert_eq!(jobs[1].model.path, Path::new("data/b.onnx"));
    assert_eq!((jobs[1].model.name().as_str(), jobs[1].frames.len()), ("b", 1));
}

#[test]
fn a_jobs_file_with_an_address_in_place_of_the_server_table_is_read() {
    let text = "server = \"local\"\n[[jobs]]\nmodel = \"a.onnx\"\ninputs = \"synthetic:1\"\n";
    let config = Config::parse(text, Path::new("")).unwrap();
    assert_eq!(config.server.address(), None);
    assert_eq!(config.server.address.as_deref(), Some("local"));
    assert_eq!(config.model_jobs().unwrap().len(), 1);
}

#[test]
fn jobs_of_one_model_are_joined_unless_they_load_images_differently() {
    let entry =
        |more: &str| format!("[[jobs]]\nmodel = \"a.onnx\"\ninputs = \"synthetic:2\"\n{more}\n");
    let text = [entry(""), entry("image = { layout = \"nhwc\" }"), entry("")].concat();
    let jobs = Config::parse(&text, Path::new("")).unwrap().model_jobs().unwrap();
    let found: Vec<_> = jobs.iter().map(|jobs| (jobs.model.name(), jobs.frames.len())).collect();
    assert_eq!(found, [("a".to_owned(), 4), ("a-2".to_owned(), 2)]);
}

#[test]
fn an_unknown_key_is_refused_with_its_line_and_the_closest_known_one() {
    let job = "[[jobs]]\nmodel = \"a.onnx\"\ninputs = \"synthetic:1\"\n";
    let cases = [
        (format!("{job}imagge = {{}}\n"), "line 4: ", "`imagge`: did you mean `image`?"),
        (format!("{job}[jobs.image]\nmeen = [0, 0, 0]\n"), "line 5: ", "did you mean `mean`?"),
        ("[server]\nadress = \"a:1\"\n".into(), "line 2: ", "did you mean `address`?"),
        ("[devise]\n".into(), "line 1: ", "did you mean `device`?"),
        ("[limits]\nqqq = 1\n".into(), "line 2: ", "expected one of patience_s, message_mib"),
    ];
    for (text, line, advice) in cases {
        let error = refused(&text);
        assert!(error.starts_with(line) && error.contains(advice), "{text}: {error}");
    }
}

#[test]
fn an_invalid_value_is_refused_with_its_line_and_key() {
    let job = "[[jobs]]\nmodel = \"a.onnx\"\ninputs = \"synthetic:1\"\n";
    let cases = [
        (
            format!("{job}image = {{ std = [1.0, 0.0, 1.0] }}\n"),
            "line 4: jobs[0].image.std",
            "above 0",
        ),
        (
            format!("{job}image = {{ mean = [nan, 0.0, 1.0] }}\n"),
            "line 4: jobs[0].image.mean",
            "three",
        ),
        (
            format!("{job}image = {{ layout = \"chw\" }}\n"),
            "line 4: jobs[0].image.layout",
            "nchw or nhwc",
        ),
        (format!("{job}shapes = {{ x = [0] }}\n"), "line 4: jobs[0].shapes.x", "nonzero"),
        ("[[jobs]]\nmodel = \"a.onnx\"\n".into(), "line 1: jobs[0]", "inputs"),
        ("server = 3\n".into(), "line 1: server", "HOST:PORT"),
        ("[device]\nengine = \"tensor\"\n".into(), "line 2: device.engine", "rten"),
        ("[device]\nfraction = 2\n".into(), "line 2: device.fraction", "0.001 to 1"),
        ("[device]\nthreads = 0\n".into(), "line 2: device.threads", "nonzero"),
        (
            "[server]\nuplink_limit_mbps = -1\n".into(),
            "line 2: server.uplink_limit_mbps",
            "above 0",
        ),
        ("[limits]\npatience_s = -1\n".into(), "line 2: limits.patience_s", "at least 0"),
        ("[limits]\nmessage_mib = 4096\n".into(), "line 2: limits.message_mib", "2047"),
        (
            "[[models]]\npath = \"a.onnx\"\n[[models]]\npath = \"x\"\nname = \"a\"\n".into(),
            "line 5: models[1].name",
            "two models",
        ),
        (
            format!(
                "[[models]]\npath = \"m.onnx\"\nname = \"a.onnx\"\n{job}shapes = {{ x = [1] }}\n"
            ),
            "line 7: jobs[0].shapes",
            "belong to its [[models]] entry",
        ),
        ("a = \n".into(), "line 1: ", ""),
    ];
    for (text, place, reason) in cases {
        let error = refused(&text);
        assert!(error.starts_with(place) && error.contains(reason), "{text}: {error}");
    }
}

#[test]
fn jobs_without_inputs_are_refused_with_their_place() {
    for (inputs, reason) in [("no/such/*.jpg", "no file matches"), ("synthetic:0", "no inputs")] {
        let text = format!("[[jobs]]\nmodel = \"a.onnx\"\ninputs = \"{inputs}\"\n");
        let error = Config::parse(&text, Path::new("")).unwrap().model_jobs().unwrap_err();
        let shown = error.to_string();
        assert!(shown.starts_with("jobs[0].inputs") && shown.contains(reason), "{shown}");
    }
}

#[test]
fn tls_with_a_certificate_but_no_key_is_refused() {
    let server = ServerConfig { tls_cert: Some("cert.pem".into()), ..ServerConfig::default() };
    assert!(server.security().unwrap_err().to_string().contains("both"));
}
