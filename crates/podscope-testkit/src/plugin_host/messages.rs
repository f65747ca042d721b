//! The answer to a query with its `errorSource`, which the SDK's message lacks; and go-plugin's empty message.

use std::collections::HashMap;

use bytes::Bytes;

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct QueryDataResponse {
    #[prost(map = "string, message", tag = "1")]
    pub(super) responses: HashMap<String, DataResponse>,
}

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

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Empty {}
