//! OTLP metrics from others: over HTTP at `/v1/metrics` (protobuf and JSON), over gRPC at an address of its own. Names and labels
//! are those Prometheus makes; the samples go the way of remote write.
//!
//! | module | what it holds |
//! | --- | --- |
//! | `message`, `json` | the messages, in both forms |
//! | `names` | names and units |
//! | `translate` | from a request to series |
//! | `deltas` | deltas added up |
//! | [`switches`] | which switch a push comes from |
//! | [`grpc`] | the gRPC server |

mod deltas;
pub mod grpc;
mod json;
pub mod message;
mod names;
pub mod switches;
mod translate;

use std::collections::BTreeMap;
use std::io::Read;
use std::net::IpAddr;
use std::sync::{Arc, Mutex};
use std::time::Instant;

use prost::Message;

use crate::config::{Config, OtlpConfig};
use crate::ingest::Receiver;
use crate::schedule::now_ms;
use crate::stream::lock;
use deltas::Deltas;
use message::{ExportRequest, ExportResponse, PartialSuccess};
pub use switches::SwitchBook;
use translate::{Counted, Translator};

/// Points of one metric whose times differ by less belong to one row: a switch reads its ports one after the other.
const SAME_ROW_MS: i64 = 900;

/// Takes requests.
#[derive(Debug)]
pub struct Otlp {
    attributes: Vec<String>,
    switches: Arc<SwitchBook>,
    deltas: Mutex<Deltas>,
    totals: Mutex<Counted>,
}

/// Why a body is no request.
#[derive(Debug, thiserror::Error)]
pub enum BadRequest {
    #[error("the content type is {0:?}; OTLP/HTTP has application/x-protobuf and application/json")]
    ContentType(String),
    #[error("the content encoding is {0:?}; gzip, or none, is taken")]
    Encoding(String),
    #[error("the body cannot be unpacked: {0}")]
    Gzip(std::io::Error),
    #[error("the body unpacks to more than {0} bytes; send smaller requests")]
    Large(usize),
    #[error("the body is no ExportMetricsServiceRequest: {0}")]
    Protobuf(#[from] prost::DecodeError),
    #[error("the body is no ExportMetricsServiceRequest: {0}")]
    Json(#[from] serde_json::Error),
}

/// What an answer to HTTP is written in: as the question was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    Protobuf,
    Json,
}

impl Form {
    pub fn content_type(self) -> &'static str {
        match self {
            Self::Protobuf => "application/x-protobuf",
            Self::Json => "application/json",
        }
    }

    /// An answer's body.
    pub fn encode(self, answer: &ExportResponse) -> Vec<u8> {
        match (self, &answer.partial_success) {
            (Self::Protobuf, _) => answer.encode_to_vec(),
            (Self::Json, None) => b"{}".to_vec(),
            (Self::Json, Some(partial)) => serde_json::json!({ "partialSuccess": {
                "rejectedDataPoints": partial.rejected_data_points.to_string(),
                "errorMessage": partial.error_message } })
            .to_string()
            .into_bytes(),
        }
    }
}

impl Default for Otlp {
    fn default() -> Self {
        Self::new(&OtlpConfig::default(), Arc::default())
    }
}

impl Otlp {
    pub fn new(config: &OtlpConfig, switches: Arc<SwitchBook>) -> Self {
        Self {
            attributes: config.resource_attributes.clone(),
            switches,
            deltas: Mutex::new(Deltas::new(
                usize::try_from(config.max_series).unwrap_or(usize::MAX),
            )),
            totals: Mutex::default(),
        }
    }

    pub fn of_config(config: &Config) -> Self {
        let switches = SwitchBook::new(config.switches.as_deref().unwrap_or_default());
        Self::new(&config.otlp, Arc::new(switches))
    }

    pub fn switches(&self) -> &Arc<SwitchBook> {
        &self.switches
    }

    /// Points taken, and dropped by reason, since the start.
    pub fn totals(&self) -> (u64, BTreeMap<&'static str, u64>) {
        let totals = lock(&self.totals);
        (totals.taken, totals.dropped.clone())
    }

    /// Reads a body of OTLP/HTTP of at most `most` bytes when unpacked.
    ///
    /// # Errors
    /// Why it is none.
    pub fn read_http(
        content_type: &str,
        encoding: &str,
        body: &[u8],
        most: usize,
    ) -> Result<(ExportRequest, Form), BadRequest> {
        let form = match content_type.split(';').next().unwrap_or_default().trim() {
            "application/x-protobuf" | "application/protobuf" => Form::Protobuf,
            "application/json" => Form::Json,
            other => return Err(BadRequest::ContentType(other.to_owned())),
        };
        let unpacked;
        let body = match encoding.trim() {
            "" | "identity" => body,
            "gzip" => {
                let mut out = Vec::new();
                flate2::read::MultiGzDecoder::new(body)
                    .take(most as u64 + 1)
                    .read_to_end(&mut out)
                    .map_err(BadRequest::Gzip)?;
                unpacked = out;
                unpacked.as_slice()
            }
            other => return Err(BadRequest::Encoding(other.to_owned())),
        };
        if body.len() > most {
            return Err(BadRequest::Large(most));
        }
        let request = match form {
            Form::Protobuf => ExportRequest::decode(body)?,
            Form::Json => serde_json::from_slice(body)?,
        };
        Ok((request, form))
    }

    /// Takes a request of a peer; what is left out is said in the answer.
    pub fn take(&self, request: &ExportRequest, peer: IpAddr, receiver: &Receiver) -> ExportResponse {
        let counted = {
            let mut deltas = lock(&self.deltas);
            let mut translator = Translator {
                deltas: &mut deltas,
                switches: &self.switches,
                attributes: &self.attributes,
                peer,
                now_ms: now_ms(),
                series: Vec::new(),
                counted: Counted::default(),
            };
            translator.request(request);
            receiver.take_described(&translator.series, Instant::now(), SAME_ROW_MS);
            translator.counted
        };
        let mut totals = lock(&self.totals);
        totals.taken += counted.taken;
        for (reason, points) in &counted.dropped {
            *totals.dropped.entry(reason).or_default() += points;
        }
        drop(totals);
        let dropped = counted.all_dropped();
        let partial_success = (dropped > 0).then(|| {
            let reasons: Vec<String> = counted
                .dropped
                .iter()
                .map(|(reason, points)| format!("{points} {reason}"))
                .collect();
            PartialSuccess {
                rejected_data_points: i64::try_from(dropped).unwrap_or(i64::MAX),
                error_message: format!("points left out: {}", reasons.join(", ")),
            }
        });
        ExportResponse { partial_success }
    }
}

#[cfg(test)]
mod tests;
