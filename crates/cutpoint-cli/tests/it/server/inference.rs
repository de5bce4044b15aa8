//! Jobs that succeed: whole, in parts, from several clients, over a shaped link.

use super::*;
use cutpoint::encoding::{Encoded, Encoder, Encoding, Form};
use cutpoint::link::Part;
use cutpoint::profile::ProfileOptions;
use cutpoint_plan::units::Bandwidth;
use std::collections::BTreeMap;

fn receive(receiver: &mut StreamReceiver) -> (String, Vec<(String, Tensor)>) {
    match next_reply(receiver) {
        Some(StreamReply::Done(reply)) => (reply.id, reply.outputs),
        other => panic!("no reply: {other:?}"),
    }
}

#[test]
fn a_server_returns_the_outputs_of_the_engine() {
    let server = start(options(1));
    let client = connect(&server);
    let hello = client.hello().unwrap().expect("it is our own server");
    assert_eq!((hello.executors, hello.threads), (1, 1));
    assert_eq!(hello.engine, Rten::new().name());
    assert_eq!(hello.models[0].sha256, fork().model().sha256());
    assert!(client.model_ready("fork").unwrap());
    assert!(!client.model_ready("spoon").unwrap());
    let reply = client.infer("fork", &[("x".into(), input(1).into())]).unwrap();
    assert_eq!(reply.outputs, [("y".to_owned(), expected(1))]);
    assert!(!reply.compute.is_zero());
}

#[test]
fn a_stream_answers_every_job_once_under_its_id() {
    let server = start(options(2));
    let (mut sender, mut receiver) = connect(&server).open_stream().unwrap();
    let mut end = None;
    for job in 0..50 {
        let sent = sender.send(&request(job)).unwrap();
        assert!(end.is_none_or(|end| end <= sent.start) && sent.start <= sent.end);
        assert!(sent.bytes > 32, "more than the tensor");
        end = Some(sent.end);
    }
    drop(sender);
    let mut replies = BTreeMap::new();
    while let Some(reply) = next_reply(&mut receiver) {
        let StreamReply::Done(reply) = reply else { panic!("{reply:?}") };
        assert!(replies.insert(reply.id, reply.outputs).is_none());
    }
    assert_eq!(replies.len(), 50);
    for job in 0..50 {
        assert_eq!(replies[&job.to_string()], [("y".to_owned(), expected(job))]);
    }
}

#[test]
fn a_job_in_parts_is_computed_by_the_suffix_that_the_server_cut() {
    let server = start(options(1));
    let client = connect(&server);
    let model = fork();
    let suffix = suffix_of(&model);
    assert_eq!(suffix.device_layers.len(), 2);
    client.load_suffix("fork-tail", &suffix).unwrap();
    // Asked again, it is there already.
    client.load_suffix("fork-tail", &suffix).unwrap();
    let prefix = model.prefix(&model.cut_at(&["left_out", "right_out"]).unwrap()).unwrap();
    let (mut sender, mut receiver) = client.open_stream().unwrap();
    let jobs = 5;
    // The tensors of all jobs interleave.
    for index in [1, 0] {
        for job in 0..jobs {
            let frontier = run_here(&prefix.onnx, &[("x", &input(job))]);
            assert_eq!(frontier.len(), 2);
            let part = Part { index: index as u32, count: 2 };
            let request = InferRequest {
                model: "fork-tail".into(),
                id: job.to_string(),
                part: Some(part),
                tensors: vec![(frontier[index].0.clone(), frontier[index].1.clone().into())],
            };
            sender.send(&request).unwrap();
        }
    }
    for _ in 0..jobs {
        let (id, outputs) = receive(&mut receiver);
        let difference =
            cutpoint::tensor::relative_difference(&outputs[0].1, &expected(id.parse().unwrap()));
        assert!(difference.unwrap() < 1e-6, "job {id}: {difference:?}");
    }
}

#[test]
fn tensors_in_every_encoding_are_decoded_before_they_are_computed_on() {
    let server = start(options(1));
    let client = connect(&server);
    let (mut sender, mut receiver) = client.open_stream().unwrap();
    let mut encoder = Encoder::new().unwrap();
    let wide = |encoding: Encoding| !encoding.name().starts_with("u8-channel");
    let encodings = Encoding::ALL.into_iter().filter(|&e| wide(e));
    for (job, encoding) in encodings.enumerate() {
        let form = Form::Encoded(encoder.encode(encoding, &input(job)).unwrap());
        let unary = client.infer("fork", &[("x".into(), form.clone())]).unwrap();
        sender.send(&InferRequest { tensors: vec![("x".into(), form)], ..request(job) }).unwrap();
        let (_, streamed) = receive(&mut receiver);
        assert_eq!(unary.outputs, streamed, "{encoding}");
        if encoding.is_exact() {
            assert_eq!(streamed[0].1, expected(job));
        } else {
            let off = cutpoint::tensor::relative_difference(&streamed[0].1, &expected(job));
            assert!(off.unwrap() < 0.05, "{encoding}: {off:?}");
        }
    }
    // The header is whole and what is compressed is not: this job fails, and no other.
    let whole = encoder.encode(Encoding::ZSTD, &input(0)).unwrap();
    let mut bytes = whole.bytes().to_vec();
    bytes.truncate(bytes.len() - 1);
    let broken = Form::Encoded(Encoded::read(Encoding::ZSTD, bytes.into()).unwrap());
    let error = client.infer("fork", &[("x".into(), broken)]).unwrap_err();
    assert!(error.to_string().contains("tensor `x`: encoding zstd: the compressed"), "{error}");
    // An encoding says more than the model takes.
    let longer = Tensor::from_f32(vec![1, 9], &[0.5; 9]).unwrap();
    let longer = Form::Encoded(encoder.encode(Encoding::U8, &longer).unwrap());
    let error = client.infer("fork", &[("x".into(), longer)]).unwrap_err();
    assert!(error.to_string().contains("[1, 9]"), "{error}");
    client.infer("fork", &[("x".into(), input(1).into())]).unwrap();
}

#[test]
fn the_server_measures_the_layers_of_a_model() {
    let server = start(options(1));
    let client = connect(&server);
    let how = ProfileOptions { warm_up: 1, repeats: 3, budget: PATIENCE };
    let profile = client.profile("fork", &how).unwrap();
    profile.check(&fork()).unwrap();
    client.load_suffix("tail", &suffix_of(&fork())).unwrap();
    let error = client.profile("tail", &how).expect_err("it is a suffix");
    assert!(error.to_string().contains("suffix"), "{error}");
}

#[test]
fn clients_do_not_disturb_each_other() {
    let server = start(options(2));
    std::thread::scope(|scope| {
        for client in 0..4 {
            let server = &server;
            scope.spawn(move || {
                let link = connect(server);
                let (mut sender, mut receiver) = link.open_stream().unwrap();
                for job in 0..10 {
                    sender.send(&request(client * 100 + job)).unwrap();
                    let unary = link.infer("fork", &[("x".into(), input(job).into())]).unwrap();
                    assert_eq!(unary.outputs[0].1, expected(job));
                }
                for _ in 0..10 {
                    let (id, outputs) = receive(&mut receiver);
                    let id: usize = id.parse().unwrap();
                    assert_eq!(id / 100, client);
                    assert_eq!(outputs[0].1, expected(id));
                }
            });
        }
    });
}

#[test]
fn a_model_can_be_pushed_replaced_and_unloaded() {
    let server = start(options(1));
    let client = connect(&server);
    let model = fork();
    let onnx = Bytes::from(model.whole().unwrap().onnx);
    client.push_model("mine", onnx).unwrap();
    let reply = client.infer("mine", &[("x".into(), input(2).into())]).unwrap();
    assert_eq!(reply.outputs[0].1, expected(2));
    let tail = model.suffix(&model.cut_at(&["left_out", "right_out"]).unwrap()).unwrap();
    client.push_model("mine", Bytes::from(tail.onnx)).unwrap();
    client.infer("mine", &[("x".into(), input(2).into())]).expect_err("the model is another now");
    client.unload_model("mine").unwrap();
    assert!(!client.model_ready("mine").unwrap());
    let error = client.unload_model("fork").expect_err("it was given at the start");
    assert!(error.to_string().contains("stays"), "{error}");
    let error = client.load_suffix("fork", &suffix_of(&model)).expect_err("the name is taken");
    assert!(error.to_string().contains("other content"), "{error}");
}

#[test]
fn a_limited_uplink_delivers_everything_within_its_limit() {
    let server = start(options(1));
    let mbit_per_s = 20.0;
    let connect_options = ConnectOptions {
        uplink_limit: Bandwidth::from_mbit_per_s(mbit_per_s),
        ..ConnectOptions::default()
    };
    let address = server.address().to_string();
    let client = Client::connect(&address, connect_options).unwrap();
    // A model that does not exist: the server reads the tensor before it finds out.
    let values = vec![0x3C; 250_000];
    let count = values.len();
    let tensor =
        Tensor::new(cutpoint::tensor::ElementType::U8, vec![count], values.into()).unwrap();
    let (mut sender, mut receiver) = client.open_stream().unwrap();
    let request = InferRequest {
        model: "spoon".into(),
        id: "7".into(),
        part: None,
        tensors: vec![("x".into(), tensor.into())],
    };
    let sent = sender.send(&request).unwrap();
    // 250,000 B at 20 Mbit/s take 100 ms; the timer aims 0.5 ms early, and a pause
    // of 0.5 ms before is bridged.
    assert!(sent.end - sent.start >= Duration::from_millis(98), "{sent:?}");
    let reply = next_reply(&mut receiver);
    assert!(matches!(reply, Some(StreamReply::Failed { ref id, .. }) if id == "7"), "{reply:?}");
    let measured = client.measure_link(Duration::from_millis(500)).unwrap();
    assert!(measured.uplink.mbit_per_s() < 1.2 * mbit_per_s, "{measured:?}");
    assert!(measured.downlink.is_some());
}
