//! Jobs, messages and peers that are at fault.

use super::protocol::grpc_inference_service_client::GrpcInferenceServiceClient;
use super::protocol::model_infer_request::InferInputTensor;
use super::protocol::{
    InferParameter, InferTensorContents, ModelInferRequest, ModelMetadataRequest,
    RepositoryModelLoadRequest, ServerLiveRequest, infer_parameter::ParameterChoice,
};
use super::*;
use cutpoint::error::ErrorKind;
use cutpoint::link::Part;
use cutpoint::tensor::ElementType;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::thread::JoinHandle;
use tonic::Code;
use tonic::transport::{Channel, Endpoint};

fn failure(reply: Option<StreamReply>) -> (String, String) {
    match reply {
        Some(StreamReply::Failed { id, message, .. }) => (id, message),
        other => panic!("no failure: {other:?}"),
    }
}

#[test]
fn a_bad_job_fails_alone() {
    let server = start(options(1));
    let client = connect(&server);
    let (mut sender, mut receiver) = client.open_stream().unwrap();
    let short = Tensor::from_f32(vec![1, 7], &[0.0; 7]).unwrap();
    let bytes = Tensor::new(ElementType::U8, vec![1, 8], Bytes::from_static(&[0; 8])).unwrap();
    let cases = [
        ("spoon", vec![("x".into(), input(0).into())], "unknown model"),
        ("fork", vec![("x".into(), short.into())], "[1, 7]"),
        ("fork", vec![("x".into(), bytes.into())], "UINT8"),
        ("fork", vec![("z".into(), input(0).into())], "unknown input"),
        ("fork", vec![], "missing"),
    ];
    for (index, (model, tensors, reason)) in cases.into_iter().enumerate() {
        let job = InferRequest { model: model.into(), tensors, ..request(index) };
        let error = client.infer(model, &job.tensors).expect_err(reason);
        assert_eq!(error.kind(), ErrorKind::Protocol);
        assert!(error.to_string().contains(reason), "{reason}: {error}");
        sender.send(&job).unwrap();
        let (id, message) = failure(next_reply(&mut receiver));
        assert_eq!(id, index.to_string());
        assert!(message.contains(reason), "{reason}: {message}");
    }
    sender.send(&request(9)).unwrap();
    let reply = next_reply(&mut receiver);
    assert!(matches!(reply, Some(StreamReply::Done(ref r)) if r.id == "9"), "{reply:?}");
}

#[test]
fn a_malformed_tensor_fails_its_job_exactly_once() {
    let server = start(options(1));
    let (mut sender, mut receiver) = connect(&server).open_stream().unwrap();
    let part =
        |id: usize, index, count| InferRequest { part: Some(Part { index, count }), ..request(id) };
    sender.send(&part(1, 0, 3)).unwrap();
    sender.send(&part(1, 0, 3)).unwrap();
    sender.send(&part(1, 1, 3)).unwrap();
    sender.send(&part(1, 2, 3)).unwrap();
    sender.send(&part(2, 5, 2)).unwrap();
    sender.send(&request(3)).unwrap();
    let (id, message) = failure(next_reply(&mut receiver));
    assert!(id == "1" && message.contains("came twice"), "{id}: {message}");
    let (id, message) = failure(next_reply(&mut receiver));
    assert!(id == "2" && message.contains("part 5 of 2"), "{id}: {message}");
    let reply = next_reply(&mut receiver);
    assert!(matches!(reply, Some(StreamReply::Done(ref r)) if r.id == "3"), "{reply:?}");
}

#[test]
fn a_malformed_suffix_is_refused() {
    let server = start(options(1));
    let client = connect(&server);
    let good = suffix_of(&fork());
    let layers = |names: &[&str]| names.iter().map(|&n| n.to_owned()).collect::<Vec<_>>();
    let all = fork().layers().layers.iter().map(|l| l.name.clone()).collect::<Vec<_>>();
    let last = all.last().unwrap().clone();
    let cases = [
        (Suffix { source_sha256: "00".into(), ..good.clone() }, "no model with SHA-256"),
        (Suffix { device_layers: layers(&["nothing"]), ..good.clone() }, "nothing"),
        (Suffix { device_layers: vec![last], ..good.clone() }, "is on the device"),
        (Suffix { device_layers: all, ..good.clone() }, "no layer is left"),
        (Suffix { shapes: [("x".into(), vec![2, 8])].into(), ..good }, "--shape"),
    ];
    for (suffix, reason) in cases {
        let error = client.load_suffix("tail", &suffix).expect_err(reason);
        assert_eq!(error.kind(), ErrorKind::Protocol);
        assert!(error.to_string().contains(reason), "{reason}: {error}");
    }
    let error = client.push_model("noise", Bytes::from_static(b"not a model")).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Protocol, "{error}");
    assert!(!client.model_ready("noise").unwrap());
}

#[test]
fn a_message_that_is_too_long_is_refused() {
    let server = start(ServerOptions { message_bytes_max: Some(10_000), ..options(1) });
    let client = connect(&server);
    let big = Tensor::new(ElementType::U8, vec![20_000], Bytes::from(vec![0; 20_000])).unwrap();
    let error = client.infer("fork", &[("x".into(), big.clone().into())]).unwrap_err();
    assert!(error.to_string().contains("10000"), "{error}");
    let (mut sender, mut receiver) = client.open_stream().unwrap();
    let job = InferRequest { tensors: vec![("x".into(), big.into())], ..request(0) };
    // Whether the refusal comes before the last byte is sent is open; the stream ends either way.
    let _ = sender.send(&job);
    let error = receiver.recv_timeout(PATIENCE).unwrap_err();
    assert!(error.to_string().contains("10000"), "{error}");
    assert!(sender.send(&job).is_err());
    client.infer("fork", &[("x".into(), input(0).into())]).unwrap();
}

async fn channel(server: &Server) -> Channel {
    let endpoint = Endpoint::from_shared(format!("http://{}", server.address())).unwrap();
    endpoint.connect().await.unwrap()
}

/// Calls that our own client never makes.
fn with_raw_client<T>(
    server: &Server,
    work: impl AsyncFnOnce(GrpcInferenceServiceClient<Channel>) -> T,
) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async { work(GrpcInferenceServiceClient::new(channel(server).await)).await })
}

#[test]
fn hostile_requests_are_refused() {
    let server = start(options(1));
    with_raw_client(&server, async |mut client| {
        let x = |datatype: &str, shape: &[i64]| InferInputTensor {
            name: "x".into(),
            datatype: datatype.into(),
            shape: shape.to_vec(),
            ..Default::default()
        };
        let good = ModelInferRequest {
            model_name: "fork".into(),
            inputs: vec![x("FP32", &[1, 8])],
            raw_input_contents: vec![Bytes::from(vec![0; 32])],
            ..Default::default()
        };
        let parameter = |choice| InferParameter { parameter_choice: Some(choice) };
        let with_inputs = |inputs| ModelInferRequest { inputs, ..good.clone() };
        let with_part = |part: ParameterChoice| ModelInferRequest {
            parameters: [("cutpoint_part".to_owned(), parameter(part))].into(),
            ..good.clone()
        };
        let requests = [
            with_inputs(vec![x("FP32", &[i64::MAX, i64::MAX])]),
            with_inputs(vec![x("FP32", &[1 << 62])]),
            with_inputs(vec![x("FP32", &[-1, 8])]),
            with_inputs(vec![x("FP32", &[1; 1000])]),
            with_inputs(vec![x("BYTES", &[1])]),
            with_inputs(vec![x("\u{1b}[31m", &[1])]),
            with_inputs(vec![x("FP32", &[1, 8]); 2]),
            with_inputs(vec![]),
            ModelInferRequest {
                raw_input_contents: vec![Bytes::from(vec![0; 31])],
                ..good.clone()
            },
            ModelInferRequest { raw_input_contents: vec![], ..good.clone() },
            with_part(ParameterChoice::Int64Param(-1)),
            with_part(ParameterChoice::DoubleParam(f64::NAN)),
            with_part(ParameterChoice::Int64Param(0)),
        ];
        for request in requests {
            let status = client.model_infer(request.clone()).await.expect_err("hostile");
            assert_eq!(status.code(), Code::InvalidArgument, "{request:?}: {status}");
        }
        let other_version = ModelInferRequest { model_version: "2".into(), ..good.clone() };
        let status = client.model_infer(other_version).await.expect_err("no such version");
        assert_eq!(status.code(), Code::NotFound);
        let nameless = RepositoryModelLoadRequest::default();
        let status = client.repository_model_load(nameless).await.expect_err("no name");
        assert_eq!(status.code(), Code::InvalidArgument);
        client.model_infer(good).await.unwrap();
    });
}

#[test]
fn typed_contents_are_answered_with_typed_contents() {
    let server = start(options(1));
    with_raw_client(&server, async |mut client| {
        let typed = InferInputTensor {
            name: "x".into(),
            datatype: "FP32".into(),
            shape: vec![1, 8],
            contents: Some(InferTensorContents {
                fp32_contents: input(4).to_f32().unwrap(),
                ..Default::default()
            }),
            ..Default::default()
        };
        let request = ModelInferRequest {
            model_name: "fork".into(),
            id: "four".into(),
            inputs: vec![typed],
            ..Default::default()
        };
        let reply = client.model_infer(request).await.unwrap().into_inner();
        assert!(reply.raw_output_contents.is_empty());
        assert_eq!((reply.id.as_str(), reply.model_version.as_str()), ("four", "1"));
        let [y] = &reply.outputs[..] else { panic!("{reply:?}") };
        assert_eq!(
            (y.name.as_str(), y.datatype.as_str(), &y.shape[..]),
            ("y", "FP32", &[1, 3][..])
        );
        let found = &y.contents.as_ref().unwrap().fp32_contents;
        assert_eq!(*found, expected(4).to_f32().unwrap());
        let request = ModelMetadataRequest { name: "fork".into(), version: "1".into() };
        let metadata = client.model_metadata(request).await.unwrap().into_inner();
        assert_eq!((metadata.inputs[0].shape.as_slice(), metadata.inputs.len()), (&[1, 8][..], 1));
    });
}

#[test]
fn random_bytes_on_the_port_do_not_stop_the_server() {
    let server = start(options(1));
    let preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
    let with_frame = |frame: &[u8]| [preface.as_slice(), frame].concat();
    let noise: [Vec<u8>; 6] = [
        b"GET / HTTP/1.1\r\n\r\n".to_vec(),
        vec![0xFF; 4096],
        with_frame(&[0xFF; 9]),
        // DATA on a stream that was never opened, longer than a frame may be.
        with_frame(&[0xFF, 0xFF, 0xFF, 0, 0, 0, 0, 0, 1]),
        // HEADERS that cannot be decoded.
        with_frame(&[0, 0, 4, 1, 5, 0, 0, 0, 1, 0xFF, 0xFF, 0xFF, 0xFF]),
        preface.clone(),
    ];
    for bytes in noise {
        let mut socket = TcpStream::connect(server.address()).unwrap();
        // The server may close before everything is written.
        let _ = socket.write_all(&bytes);
        let _ = socket.shutdown(std::net::Shutdown::Write);
        let _ = socket.read_to_end(&mut Vec::new());
    }
    connect(&server).infer("fork", &[("x".into(), input(0).into())]).unwrap();
}

#[test]
fn an_unknown_method_is_unimplemented() {
    let server = start(options(1));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let channel = channel(&server).await;
        for path in ["/inference.GRPCInferenceService/TraceSetting", "/spoon.Spoon/Bend", "/x"] {
            let mut client = tonic::client::Grpc::new(channel.clone());
            client.ready().await.unwrap();
            let codec = tonic_prost::ProstCodec::<ServerLiveRequest, ServerLiveRequest>::default();
            let request = tonic::Request::new(ServerLiveRequest {});
            let path = path.parse().unwrap();
            let status = client.unary(request, path, codec).await.expect_err("no such method");
            assert_eq!(status.code(), Code::Unimplemented);
        }
    });
}

/// A server that says `greeting` to everyone and hangs up.
fn stranger(greeting: &'static [u8]) -> (SocketAddr, JoinHandle<()>) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = listener.local_addr().unwrap();
    let thread = std::thread::spawn(move || {
        let (mut socket, _) = listener.accept().unwrap();
        socket.read_exact(&mut [0; 24]).unwrap();
        socket.write_all(greeting).unwrap();
        socket.shutdown(std::net::Shutdown::Write).unwrap();
        let _ = socket.read_to_end(&mut Vec::new());
    });
    (address, thread)
}

fn refusal(address: SocketAddr, options: ConnectOptions) -> cutpoint::error::Error {
    Client::connect(&address.to_string(), options).err().expect("nobody serves there")
}

#[test]
fn the_error_names_a_peer_that_is_not_a_server() {
    let cases: [(&[u8], ErrorKind, &str); 4] = [
        (b"SSH-2.0-OpenSSH_9.2\r\n", ErrorKind::Protocol, "SSH-2.0-OpenSSH_9.2"),
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", ErrorKind::Protocol, "HTTP/1.1 400"),
        (&[21, 3, 3, 0, 2, 2, 70], ErrorKind::Protocol, "speaks TLS"),
        (b"", ErrorKind::Network, "without sending anything"),
    ];
    for (greeting, kind, reason) in cases {
        let (address, thread) = stranger(greeting);
        let error = refusal(address, ConnectOptions::default());
        assert_eq!(error.kind(), kind, "{error:?}");
        assert!(error.to_string().contains(reason), "{reason}: {error:?}");
        assert!(error.to_string().contains(&address.to_string()) && error.advice().is_some());
        thread.join().unwrap();
    }
}

#[test]
fn an_unreachable_server_is_an_error_with_advice() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = listener.local_addr().unwrap();
    let silent =
        ConnectOptions { connect_timeout: Duration::from_millis(200), ..ConnectOptions::default() };
    let error = refusal(address, silent);
    assert_eq!(error.kind(), ErrorKind::Network);
    assert!(error.to_string().contains("does not answer"), "{error:?}");
    drop(listener);
    let error = refusal(address, ConnectOptions::default());
    assert_eq!(error.kind(), ErrorKind::Network);
    assert!(error.advice().unwrap().contains("cutpoint serve"), "{error:?}");
}

#[test]
fn a_server_that_stops_ends_its_streams() {
    let server = start(options(1));
    let (mut sender, mut receiver) = connect(&server).open_stream().unwrap();
    sender.send(&request(0)).unwrap();
    assert!(next_reply(&mut receiver).is_some());
    server.stop();
    let end = receiver.recv_timeout(PATIENCE);
    assert!(!matches!(end, Ok(Waited::Reply(_))), "{end:?}");
    assert_eq!(sender.send(&request(1)).unwrap_err().kind(), ErrorKind::Network);
}

#[test]
fn dropping_a_client_or_half_a_stream_does_not_hang() {
    let server = start(options(1));
    let client = connect(&server);
    let (mut sender, receiver) = client.open_stream().unwrap();
    sender.send(&request(0)).unwrap();
    drop(receiver);
    let error = sender.send(&request(1)).expect_err("nobody listens any more");
    assert_eq!(error.kind(), ErrorKind::Network, "{error:?}");
    let (sender, mut receiver) = client.open_stream().unwrap();
    drop(client);
    drop(sender);
    assert!(matches!(receiver.recv_timeout(PATIENCE), Ok(Waited::Ended)));
}
