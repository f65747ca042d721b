//! The calls.

use std::collections::{BTreeMap, HashMap};

use bytes::Bytes;
use grafana_plugin_sdk::pluginv2;
use pluginv2::check_health_response::HealthStatus;
use pluginv2::diagnostics_client::DiagnosticsClient;
use pluginv2::resource_client::ResourceClient;
use serde_json::Value;
use tonic::transport::Channel;

use super::messages::{Empty, QueryDataResponse};
use super::request::{QueryRequest, Source};
use super::{HostError, PluginHost};
use crate::frames::{self, DecodedFrame};

/// One query's answer.
#[derive(Clone, Debug)]
pub struct QueryAnswer {
    pub status: i32,
    /// Empty when there is none.
    pub error: String,
    /// `downstream`, `plugin` or empty.
    pub error_source: String,
    pub frames: Vec<DecodedFrame>,
    /// The same frames as they came.
    pub raw_frames: Vec<Bytes>,
}

/// The answer to a health check.
#[derive(Clone, Debug)]
pub struct Health {
    pub ok: bool,
    pub message: String,
    pub details: Value,
}

/// The answer to a resource request.
#[derive(Clone, Debug)]
pub struct ResourceAnswer {
    pub status: i32,
    /// Names in lower case.
    pub headers: BTreeMap<String, String>,
    pub body: Bytes,
}

impl ResourceAnswer {
    /// The body as JSON; `null` when it is none.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }
}

fn call(call: &'static str) -> impl Fn(tonic::Status) -> HostError {
    move |status| HostError::Call {
        call,
        status: Box::new(status),
    }
}

impl PluginHost {
    /// `QueryData`.
    ///
    /// # Errors
    /// When the call itself fails or a frame cannot be decoded; a query's own error is in its answer.
    pub async fn query_data(
        &self,
        request: &QueryRequest,
    ) -> Result<BTreeMap<String, QueryAnswer>, HostError> {
        let mut grpc = tonic::client::Grpc::new(self.channel.clone()).max_decoding_message_size(usize::MAX);
        grpc.ready().await?;
        let codec = tonic::codec::ProstCodec::<pluginv2::QueryDataRequest, QueryDataResponse>::default();
        let path = tonic::codegen::http::uri::PathAndQuery::from_static("/pluginv2.Data/QueryData");
        let response = grpc
            .unary(tonic::Request::new(request.message()), path, codec)
            .await
            .map_err(call("QueryData"))?
            .into_inner();
        response
            .responses
            .into_iter()
            .map(|(ref_id, response)| {
                let frames = response
                    .frames
                    .iter()
                    .map(|bytes| frames::decode(bytes))
                    .collect::<Result<_, _>>()
                    .map_err(|source| HostError::Frame {
                        ref_id: ref_id.clone(),
                        source,
                    })?;
                let answer = QueryAnswer {
                    status: response.status,
                    error: response.error,
                    error_source: response.error_source,
                    frames,
                    raw_frames: response.frames,
                };
                Ok((ref_id, answer))
            })
            .collect()
    }

    /// `CheckHealth`.
    ///
    /// # Errors
    /// When the call fails.
    pub async fn check_health(&self, source: &Source) -> Result<Health, HostError> {
        let request = pluginv2::CheckHealthRequest {
            plugin_context: Some(source.context()),
            headers: HashMap::new(),
        };
        let response = DiagnosticsClient::new(self.channel.clone())
            .check_health(request)
            .await
            .map_err(call("CheckHealth"))?
            .into_inner();
        Ok(Health {
            ok: response.status == HealthStatus::Ok as i32,
            message: response.message,
            details: serde_json::from_slice(&response.json_details).unwrap_or_default(),
        })
    }

    /// `CollectMetrics`: the Prometheus text.
    ///
    /// # Errors
    /// When the call fails.
    pub async fn collect_metrics(&self) -> Result<String, HostError> {
        let response = DiagnosticsClient::new(self.channel.clone())
            .collect_metrics(pluginv2::CollectMetricsRequest { plugin_context: None })
            .await
            .map_err(call("CollectMetrics"))?
            .into_inner();
        let bytes = response
            .metrics
            .map(|metrics| metrics.prometheus)
            .unwrap_or_default();
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    /// `CallResource`; `path` may carry a query string. A body is sent as a form.
    ///
    /// # Errors
    /// When the call fails.
    pub async fn call_resource(
        &self,
        source: &Source,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: impl Into<Bytes>,
    ) -> Result<ResourceAnswer, HostError> {
        let list = |value: &str| pluginv2::StringList {
            values: vec![value.to_owned()],
        };
        let request = pluginv2::CallResourceRequest {
            plugin_context: Some(source.context()),
            path: path.split('?').next().unwrap_or_default().to_owned(),
            method: method.to_owned(),
            url: path.to_owned(),
            headers: headers
                .iter()
                .map(|(name, value)| ((*name).to_owned(), list(value)))
                .collect(),
            body: body.into(),
        };
        let mut stream = ResourceClient::new(self.channel.clone())
            .max_decoding_message_size(usize::MAX)
            .call_resource(request)
            .await
            .map_err(call("CallResource"))?
            .into_inner();
        let mut answer = ResourceAnswer {
            status: 0,
            headers: BTreeMap::new(),
            body: Bytes::new(),
        };
        let mut body = Vec::new();
        while let Some(part) = stream.message().await.map_err(call("CallResource"))? {
            if answer.status == 0 {
                answer.status = part.code;
                answer.headers = part
                    .headers
                    .into_iter()
                    .map(|(name, list)| (name.to_ascii_lowercase(), list.values.join(", ")))
                    .collect();
            }
            body.extend_from_slice(&part.body);
        }
        answer.body = Bytes::from(body);
        Ok(answer)
    }
}

/// `plugin.GRPCController/Shutdown`.
pub(super) async fn shutdown(channel: Channel) -> Result<(), HostError> {
    let mut grpc = tonic::client::Grpc::new(channel);
    grpc.ready().await?;
    let codec = tonic::codec::ProstCodec::<Empty, Empty>::default();
    let path = tonic::codegen::http::uri::PathAndQuery::from_static("/plugin.GRPCController/Shutdown");
    grpc.unary(tonic::Request::new(Empty {}), path, codec)
        .await
        .map_err(call("Shutdown"))?;
    Ok(())
}
