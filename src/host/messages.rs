//! Messages the SDK's version lacks or has without a field: `DataResponse.errorSource` came to Grafana's `backend.proto`
//! after the SDK's last release, and tells Grafana whether a failure is the plugin's or somebody else's.

use std::collections::HashMap;

use bytes::Bytes;

/// `pluginv2.QueryDataResponse`.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct QueryDataResponse {
    #[prost(map = "string, message", tag = "1")]
    pub(super) responses: HashMap<String, DataResponse>,
}

/// `pluginv2.DataResponse`. `status` must be set: 0 shows as 500.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct DataResponse {
    #[prost(bytes = "bytes", repeated, tag = "1")]
    pub(super) frames: Vec<Bytes>,
    #[prost(string, tag = "2")]
    pub(super) error: String,
    #[prost(int32, tag = "4")]
    pub(super) status: i32,
    #[prost(string, tag = "5")]
    pub(super) error_source: String,
}

/// `plugin.Empty` of go-plugin.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Empty {}
