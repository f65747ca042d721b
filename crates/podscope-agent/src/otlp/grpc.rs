//! OTLP/gRPC: `opentelemetry.proto.collector.metrics.v1.MetricsService/Export`, HTTP/2 at an address of its own, with the
//! agent's certificate where it has one. Who may send is decided as for every writer.

use std::future::{Ready, ready};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener};
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::{ConnectInfo, Request, State};
use axum::response::Response;
use axum::routing::post;
use axum_server::Handle;
use axum_server::tls_rustls::RustlsConfig;
use tokio::task::JoinHandle;
use tonic::codec::{CompressionEncoding, ProstCodec};
use tonic::server::{Grpc, UnaryService};
use tonic::{Code, Status};

use super::message::{ExportRequest, ExportResponse};
use crate::http::may_write;
use crate::state::AgentState;

const EXPORT: &str = "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export";
/// The largest message, unpacked.
const MAX_MESSAGE: usize = 64 << 20;

/// The running server. Dropping it ends it.
#[derive(Debug)]
pub struct GrpcServer {
    /// Where it listens; the port is real even where the configuration said 0.
    pub addr: SocketAddr,
    handle: Handle<SocketAddr>,
    task: JoinHandle<()>,
}

impl Drop for GrpcServer {
    fn drop(&mut self) {
        self.handle.shutdown();
        self.task.abort();
    }
}

impl GrpcServer {
    /// Serves on a bound listener. Call it inside a tokio runtime.
    ///
    /// # Errors
    /// When the listener cannot be served from.
    pub fn start(
        listener: TcpListener,
        tls: Option<Arc<rustls::ServerConfig>>,
        state: &Arc<AgentState>,
    ) -> std::io::Result<Self> {
        let addr = listener.local_addr()?;
        let handle = Handle::new();
        let app = router(Arc::clone(state)).into_make_service_with_connect_info::<SocketAddr>();
        let task = match tls {
            Some(tls) => {
                let mut tls = (*tls).clone();
                tls.alpn_protocols = vec![b"h2".to_vec()];
                let tls = RustlsConfig::from_config(Arc::new(tls));
                let server = axum_server::from_tcp_rustls(listener, tls)?.handle(handle.clone());
                tokio::spawn(async move { drop(server.serve(app).await) })
            }
            None => {
                let server = axum_server::from_tcp(listener)?.handle(handle.clone());
                tokio::spawn(async move { drop(server.serve(app).await) })
            }
        };
        Ok(Self { addr, handle, task })
    }
}

fn router(state: Arc<AgentState>) -> Router {
    Router::new()
        .route(EXPORT, post(export))
        .fallback(|| async { refusal(Code::Unimplemented, "only the export of metrics is served here") })
        .with_state(state)
}

fn refusal(code: Code, message: &str) -> Response {
    Status::new(code, message).into_http().map(Body::new)
}

async fn export(State(state): State<Arc<AgentState>>, request: Request) -> Response {
    let peer = request
        .extensions()
        .get::<ConnectInfo<SocketAddr>>()
        .map(|ConnectInfo(addr)| addr.ip());
    if let Err(reason) = may_write(request.headers(), peer, &state.live()) {
        return refusal(Code::Unauthenticated, reason);
    }
    let codec = ProstCodec::<ExportResponse, ExportRequest>::default();
    let mut grpc = Grpc::new(codec)
        .accept_compressed(CompressionEncoding::Gzip)
        .max_decoding_message_size(MAX_MESSAGE);
    let service = Export {
        state,
        peer: peer.unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED)),
    };
    let answer = grpc.unary(service, request).await;
    answer.map(Body::new)
}

struct Export {
    state: Arc<AgentState>,
    peer: IpAddr,
}

impl UnaryService<ExportRequest> for Export {
    type Response = ExportResponse;
    type Future = Ready<Result<tonic::Response<ExportResponse>, Status>>;

    fn call(&mut self, request: tonic::Request<ExportRequest>) -> Self::Future {
        let request = request.into_inner();
        let answer = self.state.otlp().take(&request, self.peer, self.state.receiver());
        ready(Ok(tonic::Response::new(answer)))
    }
}
