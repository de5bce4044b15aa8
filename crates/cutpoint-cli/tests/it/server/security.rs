//! TLS, tokens, and where a server may listen.

use super::*;
use cutpoint::error::{Error, ErrorKind};
use cutpoint::link::Tls;
use cutpoint::server::TlsIdentity;

const CERTIFICATE: &[u8] = include_bytes!("../../../../../testdata/tls/certificate.pem");
const KEY: &[u8] = include_bytes!("../../../../../testdata/tls/key.pem");

fn guarded() -> ServerOptions {
    let identity = TlsIdentity { certificate_pem: CERTIFICATE.into(), key_pem: KEY.into() };
    let security = Security { tls: Some(identity), token: Some("sesame".into()), is_open: false };
    ServerOptions { security, ..options(1) }
}

fn try_connect(server: &Server, tls: Option<Tls>, token: Option<&str>) -> Result<Client, Error> {
    let token = token.map(str::to_owned);
    let options = ConnectOptions { tls, token, ..ConnectOptions::default() };
    Client::connect(&server.address().to_string(), options)
}

fn trust() -> Option<Tls> {
    Some(Tls { authority_pem: CERTIFICATE.into(), server_name: None })
}

#[test]
fn a_server_with_tls_and_token_serves_clients_with_both() {
    let server = start(guarded());
    let client = try_connect(&server, trust(), Some("sesame")).unwrap();
    let reply = client.infer("fork", &[("x".into(), input(3).into())]).unwrap();
    assert_eq!(reply.outputs[0].1, expected(3));
    let (mut sender, mut receiver) = client.open_stream().unwrap();
    for job in 0..5 {
        let sent = sender.send(&request(job)).unwrap();
        assert!(sent.start <= sent.end);
    }
    drop(sender);
    let mut count = 0;
    while next_reply(&mut receiver).is_some() {
        count += 1;
    }
    assert_eq!(count, 5);
}

#[test]
fn a_server_with_tls_and_token_refuses_clients_without_them() {
    let server = start(guarded());
    for token in [None, Some("sesam"), Some("")] {
        let error = try_connect(&server, trust(), token).err().expect("refused");
        assert_eq!(error.kind(), ErrorKind::Protocol);
        assert!(error.advice().unwrap().contains("--token-file"), "{error:?}");
    }
    let error = try_connect(&server, None, Some("sesame")).err().expect("refused");
    assert!(matches!(error.kind(), ErrorKind::Protocol | ErrorKind::Network), "{error:?}");
    assert!(error.advice().unwrap().contains("certificate"), "{error:?}");
    let wrong_name = Tls { server_name: Some("elsewhere".into()), ..trust().unwrap() };
    let error = try_connect(&server, Some(wrong_name), Some("sesame")).err().expect("refused");
    assert_eq!(error.kind(), ErrorKind::Protocol);
    assert!(error.to_string().contains("not accepted"), "{error:?}");
}

#[test]
fn a_tls_client_is_told_that_the_server_has_no_tls() {
    let server = start(options(1));
    let error = try_connect(&server, trust(), None).err().expect("refused");
    assert!(error.to_string().contains("TLS"), "{error:?}");
}

#[test]
fn a_public_address_requires_tls_and_a_token_or_an_explicit_flag() {
    let everywhere = SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0));
    let error = Server::start(ServerOptions { listen: everywhere, ..options(1) }, vec![])
        .err()
        .expect("refused");
    assert_eq!(error.kind(), ErrorKind::Usage);
    assert!(error.advice().unwrap().contains("--insecure"), "{error:?}");
    let security = Security { is_open: true, ..Security::default() };
    let open = ServerOptions { listen: everywhere, security, ..options(1) };
    Server::start(open, vec![]).unwrap().stop();
    Server::start(ServerOptions { listen: everywhere, ..guarded() }, vec![]).unwrap().stop();
}
