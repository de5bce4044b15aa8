//! `cutpoint serve`: models behind the Open Inference Protocol.

use crate::args::engine::EngineArgs;
use crate::args::model::parse_shape;
use anyhow::{Context, bail};
use cutpoint::onnx::{Model, ReadOptions};
use cutpoint::server::{Security, ServedModel, Server, ServerOptions, TlsIdentity};
use std::io::Write;
use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Serve models, whole or cut, to devices and to any client of the Open Inference Protocol.
///
/// Prints the address on standard output once it listens, and serves until it is interrupted.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// ONNX files; each is served under its name without the ending.
    #[arg(value_name = "MODEL")]
    models: Vec<PathBuf>,

    /// Where to listen; port 0 for any that is free.
    #[arg(long, value_name = "IP:PORT", default_value = "127.0.0.1:7070")]
    listen: SocketAddr,

    /// How many jobs are computed at the same time; each takes the memory of all models again.
    #[arg(long, value_name = "COUNT", default_value = "1")]
    executors: NonZeroUsize,

    #[command(flatten)]
    engine: EngineArgs,

    /// The shape of an input, instead of the one in the files. Repeatable.
    #[arg(long = "shape", value_name = "NAME=1x3x224x224", value_parser = parse_shape)]
    shapes: Vec<(String, Vec<usize>)>,

    /// The certificate chain, in PEM.
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    tls_cert: Option<PathBuf>,

    /// The certificate's private key, in PEM.
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    tls_key: Option<PathBuf>,

    /// A file with the token that clients must present.
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,

    /// Listen beyond this machine without TLS and a token.
    #[arg(long)]
    insecure: bool,

    /// The longest message that is read, in MiB; a model that is pushed is one message.
    #[arg(long, value_name = "MIB", default_value = "1024",
          value_parser = clap::value_parser!(u32).range(1..=2047))]
    message_mib: u32,
}

pub(crate) fn run(args: Args) -> anyhow::Result<ExitCode> {
    let (engine, engine_options) = args.engine.select()?;
    let options = ReadOptions { shapes: args.shapes.iter().cloned().collect() };
    let mut models = Vec::new();
    for path in &args.models {
        let model = Model::load(path, &options)?.into_layers(&*engine)?;
        models.push(ServedModel { name: model_name(path)?, model });
    }
    let tls = match (&args.tls_cert, &args.tls_key) {
        (Some(certificate), Some(key)) => {
            Some(TlsIdentity { certificate_pem: read(certificate)?, key_pem: read(key)? })
        }
        _ => None,
    };
    let token = args.token_file.as_deref().map(read_token).transpose()?;
    let options = ServerOptions {
        listen: args.listen,
        executors: args.executors,
        engine,
        engine_options,
        security: Security { tls, token, is_open: args.insecure },
        message_bytes_max: Some((args.message_mib as usize) << 20),
    };
    let mut server = Server::start(options, models)?;
    let mut stdout = std::io::stdout().lock();
    // Whoever started this may read only the address.
    let _ = writeln!(stdout, "{}", server.address()).and_then(|()| stdout.flush());
    drop(stdout);
    server.wait_for_signal()?;
    log::info!("stopping");
    server.stop();
    Ok(ExitCode::SUCCESS)
}

fn model_name(path: &Path) -> anyhow::Result<String> {
    let name = path.file_stem().and_then(|stem| stem.to_str());
    Ok(name.with_context(|| format!("{}: no name for the model", path.display()))?.to_owned())
}

fn read(path: &Path) -> anyhow::Result<Vec<u8>> {
    std::fs::read(path).with_context(|| format!("{}: cannot be read", path.display()))
}

fn read_token(path: &Path) -> anyhow::Result<String> {
    let text = String::from_utf8(read(path)?);
    let text = text.with_context(|| format!("{}: the token is not text", path.display()))?;
    let token = text.trim();
    if token.is_empty() || !token.bytes().all(|b| b.is_ascii_graphic()) {
        bail!("{}: expected one token of printable ASCII characters", path.display());
    }
    Ok(token.to_owned())
}
