//! The other services: health and metrics, resources, and streams, of which there are none yet.

use std::sync::Arc;

use futures_util::stream;
use grafana_plugin_sdk::pluginv2;
use pluginv2::check_health_response::HealthStatus;
use pluginv2::collect_metrics_response::Payload;
use pluginv2::diagnostics_server::Diagnostics;
use pluginv2::resource_server::Resource;
use pluginv2::stream_server::Stream;
use tonic::{Request, Response, Status, async_trait};

use super::convert;
use crate::plugin::Plugin;

/// Everything but queries.
#[derive(Clone, Debug)]
pub(super) struct Services {
    plugin: Arc<Plugin>,
}

impl Services {
    pub(super) fn new(plugin: Arc<Plugin>) -> Self {
        Self { plugin }
    }
}

#[async_trait]
impl Diagnostics for Services {
    async fn check_health(
        &self,
        request: Request<pluginv2::CheckHealthRequest>,
    ) -> Result<Response<pluginv2::CheckHealthResponse>, Status> {
        let context = convert::context(request.into_inner().plugin_context);
        let health = self.plugin.check_health(&context).await;
        let status = if health.ok {
            HealthStatus::Ok
        } else {
            HealthStatus::Error
        };
        Ok(Response::new(pluginv2::CheckHealthResponse {
            status: status as i32,
            message: health.message,
            json_details: health.details.to_string().into_bytes(),
        }))
    }

    async fn collect_metrics(
        &self,
        _request: Request<pluginv2::CollectMetricsRequest>,
    ) -> Result<Response<pluginv2::CollectMetricsResponse>, Status> {
        let prometheus = self.plugin.collect_metrics().into_bytes();
        Ok(Response::new(pluginv2::CollectMetricsResponse {
            metrics: Some(Payload { prometheus }),
        }))
    }
}

#[async_trait]
impl Resource for Services {
    type CallResourceStream =
        stream::Once<std::future::Ready<Result<pluginv2::CallResourceResponse, Status>>>;

    async fn call_resource(
        &self,
        request: Request<pluginv2::CallResourceRequest>,
    ) -> Result<Response<Self::CallResourceStream>, Status> {
        let response = self
            .plugin
            .call_resource(convert::resource_request(request.into_inner()))
            .await;
        let message = convert::resource_response(response);
        Ok(Response::new(stream::once(std::future::ready(Ok(message)))))
    }
}

#[async_trait]
impl Stream for Services {
    async fn subscribe_stream(
        &self,
        _request: Request<pluginv2::SubscribeStreamRequest>,
    ) -> Result<Response<pluginv2::SubscribeStreamResponse>, Status> {
        let status = pluginv2::subscribe_stream_response::Status::NotFound as i32;
        Ok(Response::new(pluginv2::SubscribeStreamResponse {
            status,
            data: Vec::new(),
        }))
    }

    type RunStreamStream = stream::Empty<Result<pluginv2::StreamPacket, Status>>;

    async fn run_stream(
        &self,
        _request: Request<pluginv2::RunStreamRequest>,
    ) -> Result<Response<Self::RunStreamStream>, Status> {
        Err(Status::unimplemented("this data source has no streams"))
    }

    async fn publish_stream(
        &self,
        _request: Request<pluginv2::PublishStreamRequest>,
    ) -> Result<Response<pluginv2::PublishStreamResponse>, Status> {
        let status = pluginv2::publish_stream_response::Status::PermissionDenied as i32;
        Ok(Response::new(pluginv2::PublishStreamResponse {
            status,
            data: Vec::new(),
        }))
    }
}
