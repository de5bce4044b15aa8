//! `cutpoint serve`: models behind the Open Inference Protocol.

use crate::args::connect::replace;
use crate::args::engine::{EngineArgs, select_engine};
use crate::args::model::ShapeArgs;
use cutpoint::config::Config;
use cutpoint::server::{ServedModel, Server, ServerOptions};
use std::io::Write;
use std::net::{Ipv4Addr, SocketAddr};
use std::num::NonZeroUsize;
use std::path::PathBuf;

/// Where a server listens that is not told.
const LISTEN: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 7070);

/// Serve models, whole or cut, to devices and to any client of the Open Inference Protocol.
///
/// Prints the address on standard output once it listens, and serves until it is interrupted.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// ONNX files; each is served under its name without the extension.
    #[arg(value_name = "MODEL")]
    models: Vec<PathBuf>,

    /// A configuration: its models are served too, each with its own name and shapes, and its settings
    /// apply unless an argument replaces them.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,

    /// Where to listen; port 0 for any free port [default: 127.0.0.1:7070].
    #[arg(long, value_name = "IP:PORT")]
    listen: Option<SocketAddr>,

    /// How many jobs are computed at the same time; each takes the memory of all models again
    /// [default: 1].
    #[arg(long, value_name = "COUNT")]
    executors: Option<NonZeroUsize>,

    #[command(flatten)]
    engine: EngineArgs,

    #[command(flatten)]
    shapes: ShapeArgs,

    /// The certificate chain, in PEM.
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    tls_cert: Option<PathBuf>,

    /// The certificate's private key, in PEM.
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    tls_key: Option<PathBuf>,

    /// A file with the token that clients must present.
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,

    /// Allow other machines to connect without TLS and a token.
    #[arg(long)]
    insecure: bool,

    /// The longest message accepted, in MiB; a model that is pushed is one message [default: 1024].
    #[arg(long, value_name = "MIB", value_parser = clap::value_parser!(u32).range(1..=2047))]
    message_mib: Option<u32>,
}

impl Args {
    /// The configuration with what the arguments add and replace.
    fn config(&self) -> anyhow::Result<Config> {
        let mut config = self.config.as_deref().map(Config::load).transpose()?.unwrap_or_default();
        config.models.extend(self.models.iter().map(|path| self.shapes.model(path)));
        self.engine.apply(&mut config.device);
        let server = &mut config.server;
        replace(&mut server.listen, &self.listen);
        replace(&mut server.executors, &self.executors);
        replace(&mut server.tls_cert, &self.tls_cert);
        replace(&mut server.tls_key, &self.tls_key);
        replace(&mut server.token_file, &self.token_file);
        server.insecure |= self.insecure;
        replace(&mut config.limits.message_mib, &self.message_mib);
        Ok(config)
    }
}

pub(crate) fn run(args: Args) -> anyhow::Result<()> {
    let config = args.config()?;
    let (engine, engine_options) = select_engine(&config.device)?;
    let mut models = Vec::new();
    for model in &config.models {
        let layered = model.load()?.into_layers(&*engine)?;
        models.push(ServedModel { name: model.name(), model: layered });
    }
    let options = ServerOptions {
        listen: config.server.listen.unwrap_or(LISTEN),
        executors: config.server.executors.unwrap_or(NonZeroUsize::MIN),
        engine,
        engine_options,
        security: config.server.security()?,
        message_bytes_max: Some((config.limits.message_mib.unwrap_or(1024) as usize) << 20),
    };
    let mut server = Server::start(options, models)?;
    let mut stdout = std::io::stdout().lock();
    // Whoever started this may read only the address.
    let _ = writeln!(stdout, "{}", server.address()).and_then(|()| stdout.flush());
    drop(stdout);
    server.wait_for_signal()?;
    log::info!("stopping");
    server.stop();
    Ok(())
}
