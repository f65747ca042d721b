//! Grafana's backend plugin protocol (hashicorp/go-plugin over gRPC), and the only place that knows
//! `grafana-plugin-sdk`.
//!
//! Grafana starts the executable without arguments, with a magic cookie in the environment and little else, and waits
//! for one line on stdout that says where the gRPC server listens. stdout carries that line and nothing else; stderr
//! carries hclog JSON. When Grafana is done it calls `plugin.GRPCController/Shutdown` and kills the process two seconds
//! later; when Grafana itself is killed nobody says anything, so the parent is watched.
//!
//! The SDK supplies messages, servers and the log layer. Its high-level traits are not used: they reject the role
//! `None`, log decrypted secrets on a failed conversion, and fail a whole request for one bad query.

mod convert;
mod data;
mod life;
mod listen;
mod log;
mod messages;
mod services;

use std::io::Write;
use std::sync::Arc;

use grafana_plugin_sdk::pluginv2::diagnostics_server::DiagnosticsServer;
use grafana_plugin_sdk::pluginv2::resource_server::ResourceServer;
use grafana_plugin_sdk::pluginv2::stream_server::StreamServer;
use tokio_stream::wrappers::UnixListenerStream;
use tonic::transport::Server;

use crate::plugin::Plugin;

/// Why the plugin could not start or had to stop.
#[derive(Debug, thiserror::Error)]
pub enum HostError {
    #[error(
        "this is a Grafana plugin and is started by Grafana; put its folder under Grafana's plugins path and allow \
         podscope-warroom-app and podscope-fleet-datasource in allow_loading_unsigned_plugins"
    )]
    NotStartedByGrafana,
    #[error("making a private socket in {dir}: {source}")]
    Socket { dir: String, source: std::io::Error },
    #[error("writing the handshake to stdout: {0}")]
    Handshake(std::io::Error),
    #[error("starting the runtime: {0}")]
    Runtime(std::io::Error),
    #[error("serving gRPC: {0}")]
    Serve(tonic::transport::Error),
}

/// go-plugin's cookie: proof that Grafana, and not a person, started the executable.
const COOKIE: (&str, &str) = ("grafana_plugin_type", "datasource");

/// The largest message taken: an alert rule or a resource POST may be large, the SDK's 4 MiB are not enough.
const MAX_MESSAGE: usize = 64 << 20;

/// Runs the plugin until Grafana ends it.
///
/// # Errors
/// What kept it from starting or serving.
pub fn main() -> Result<(), HostError> {
    if std::env::var(COOKIE.0).as_deref() != Ok(COOKIE.1) {
        return Err(HostError::NotStartedByGrafana);
    }
    let parent = rustix::process::getppid();
    let socket = listen::Socket::bind()?;
    let mut out = std::io::stdout().lock();
    out.write_all(socket.handshake().as_bytes())
        .and_then(|()| out.flush())
        .map_err(HostError::Handshake)?;
    drop(out);
    // Everything slow comes after the handshake.
    log::start();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .thread_name("gpx_podscope")
        .build()
        .map_err(HostError::Runtime)?;
    let served = runtime.block_on(serve(socket, parent));
    // Work that is still under way has nobody left to answer to.
    runtime.shutdown_background();
    served
}

async fn serve(socket: listen::Socket, parent: Option<rustix::process::Pid>) -> Result<(), HostError> {
    let plugin = Arc::new(Plugin::new());
    let life = life::Life::watch(parent);
    let (health, health_service) = tonic_health::server::health_reporter();
    health_set(health).await;
    let services = services::Services::new(Arc::clone(&plugin));
    let incoming = UnixListenerStream::new(socket.listener().map_err(|source| HostError::Socket {
        dir: socket.path().display().to_string(),
        source,
    })?);
    tracing::info!(version = env!("CARGO_PKG_VERSION"), "podscope plugin started");
    let server = Server::builder()
        .add_service(health_service)
        .add_service(life.controller())
        .add_service(data::DataServer::new(plugin))
        .add_service(DiagnosticsServer::new(services.clone()).max_decoding_message_size(MAX_MESSAGE))
        .add_service(ResourceServer::new(services.clone()).max_decoding_message_size(MAX_MESSAGE))
        .add_service(StreamServer::new(services).max_decoding_message_size(MAX_MESSAGE))
        .serve_with_incoming_shutdown(incoming, life.ended());
    tokio::select! {
        served = server => served.map_err(HostError::Serve)?,
        // Requests under way get a moment, and no more: Grafana kills after two seconds.
        () = life.overdue() => {}
    }
    tracing::info!(reason = %life.reason(), "podscope plugin stopped");
    Ok(())
}

/// go-plugin asks for the service `plugin`.
async fn health_set(mut reporter: tonic_health::server::HealthReporter) {
    reporter
        .set_service_status("plugin", tonic_health::ServingStatus::Serving)
        .await;
}
