//! The message of remote write 1.0: protobuf, packed with snappy's block format.
//! (prometheus.io/docs/specs/prw/remote_write_spec, `prometheus.WriteRequest`.)

use prost::Message;

/// One series with its samples.
#[derive(Clone, PartialEq, Message)]
pub struct Series {
    /// Sorted by name, the metric's name among them.
    #[prost(message, repeated, tag = "1")]
    pub labels: Vec<Label>,
    #[prost(message, repeated, tag = "2")]
    pub samples: Vec<Sample>,
}

#[derive(Clone, PartialEq, Message)]
pub struct Label {
    #[prost(string, tag = "1")]
    pub name: String,
    #[prost(string, tag = "2")]
    pub value: String,
}

/// A value at a time in Unix milliseconds. The stale marker travels as its own bits.
#[derive(Clone, PartialEq, Message)]
pub struct Sample {
    #[prost(double, tag = "1")]
    pub value: f64,
    #[prost(int64, tag = "2")]
    pub timestamp: i64,
}

#[derive(Clone, PartialEq, Message)]
struct WriteRequest {
    #[prost(message, repeated, tag = "1")]
    timeseries: Vec<Series>,
}

/// A request's body.
pub fn encode(series: &[Series]) -> Vec<u8> {
    let request = WriteRequest {
        timeseries: series.to_vec(),
    };
    let plain = request.encode_to_vec();
    // It fails only beyond 4 GiB.
    snap::raw::Encoder::new().compress_vec(&plain).unwrap_or_default()
}

/// Why a body is none.
#[derive(Debug, thiserror::Error)]
pub enum BadBody {
    #[error("the body is not packed with snappy's block format: {0}")]
    Snappy(#[from] snap::Error),
    #[error("the body unpacks to {length} bytes, {most} are allowed; send smaller requests")]
    Large { length: usize, most: usize },
    #[error("the body is no prometheus.WriteRequest: {0}")]
    Protobuf(#[from] prost::DecodeError),
}

/// Reads a request's body of at most `most` bytes when unpacked.
///
/// # Errors
/// A body that is too large or none.
pub fn decode(body: &[u8], most: usize) -> Result<Vec<Series>, BadBody> {
    let length = snap::raw::decompress_len(body)?;
    if length > most {
        return Err(BadBody::Large { length, most });
    }
    let plain = snap::raw::Decoder::new().decompress_vec(body)?;
    Ok(WriteRequest::decode(plain.as_slice())?.timeseries)
}

#[cfg(test)]
mod tests {
    use podscope_model::sample::{STALE, is_stale};

    use super::*;

    #[test]
    fn what_is_written_is_read_with_the_stale_marker_as_it_was() {
        let label = |name: &str, value: &str| Label {
            name: name.to_owned(),
            value: value.to_owned(),
        };
        let series = Series {
            labels: vec![label("__name__", "up"), label("instance", "n1")],
            samples: [(1.5, 1000), (STALE, 2000)]
                .map(|(value, timestamp)| Sample { value, timestamp })
                .to_vec(),
        };
        let body = encode(std::slice::from_ref(&series));
        let read = decode(&body, 1000).expect("own output");
        assert_eq!(read[0].labels, series.labels);
        assert!(is_stale(read[0].samples[1].value));
        assert!(matches!(decode(&body, 3), Err(BadBody::Large { .. })));
    }

    #[test]
    fn bytes_that_are_no_request_are_an_error_and_no_panic() {
        let mut random = 0x9e37_79b9_7f4a_7c15_u64;
        let good = encode(&[Series {
            labels: Vec::new(),
            samples: vec![Sample {
                value: 1.0,
                timestamp: 1,
            }],
        }]);
        for _ in 0..2000 {
            let mut bytes = good.clone();
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            let at = (random >> 33) as usize % bytes.len();
            bytes[at] ^= (random >> 20) as u8;
            drop(decode(&bytes, 1 << 20));
            drop(decode(&bytes[..at], 1 << 20));
        }
        assert!(decode(b"", 10).is_err() && decode(b"{\"json\": 1}", 1000).is_err());
    }
}
