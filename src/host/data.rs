//! `pluginv2.Data` with an own response message (see [`super::messages`]).

use std::convert::Infallible;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures_util::future::BoxFuture;
use grafana_plugin_sdk::pluginv2::QueryDataRequest;
use tonic::body::BoxBody;
use tonic::codegen::Service;
use tonic::server::{NamedService, UnaryService};

use super::messages::QueryDataResponse;
use super::{MAX_MESSAGE, convert};
use crate::plugin::Plugin;

/// The gRPC service.
#[derive(Clone, Debug)]
pub(super) struct DataServer {
    plugin: Arc<Plugin>,
}

impl DataServer {
    pub(super) fn new(plugin: Arc<Plugin>) -> Self {
        Self { plugin }
    }
}

impl NamedService for DataServer {
    const NAME: &'static str = "pluginv2.Data";
}

impl UnaryService<QueryDataRequest> for DataServer {
    type Response = QueryDataResponse;
    type Future = BoxFuture<'static, Result<tonic::Response<QueryDataResponse>, tonic::Status>>;

    fn call(&mut self, request: tonic::Request<QueryDataRequest>) -> Self::Future {
        let plugin = Arc::clone(&self.plugin);
        Box::pin(async move {
            // When Grafana cancels, this future is dropped, and with it everything asked on its behalf.
            let answers = plugin
                .query_data(convert::query_request(request.into_inner()))
                .await;
            Ok(tonic::Response::new(convert::query_response(answers)))
        })
    }
}

impl Service<http::Request<BoxBody>> for DataServer {
    type Response = http::Response<BoxBody>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<BoxBody>) -> Self::Future {
        let server = self.clone();
        Box::pin(async move {
            // `QueryChunkedData` of newer protocols ends here too: Grafana then falls back to `QueryData`.
            if request.uri().path() != "/pluginv2.Data/QueryData" {
                return Ok(tonic::Status::unimplemented("no such call").into_http());
            }
            let codec = tonic::codec::ProstCodec::<QueryDataResponse, QueryDataRequest>::default();
            let mut grpc = tonic::server::Grpc::new(codec).max_decoding_message_size(MAX_MESSAGE);
            Ok(grpc.unary(server, request).await)
        })
    }
}
