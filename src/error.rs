//! What can go wrong with a query, with which HTTP status Grafana shows it, and whose fault it is.

use podscope_fanout::FleetError;
use podscope_model::leaf::ApiErrorKind;
use podscope_promql::ParseError;

use crate::frames::EncodeError;
use crate::settings::SettingsError;

/// Who has to do something about a failure. Grafana counts them apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorSource {
    /// The query, the settings, the network or an agent.
    Downstream,
    /// This program.
    Plugin,
}

impl ErrorSource {
    /// The word in the protocol.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Downstream => "downstream",
            Self::Plugin => "plugin",
        }
    }
}

/// Why one query has no frames.
#[derive(Clone, Debug, thiserror::Error)]
pub enum QueryError {
    #[error("the request names no data source; Grafana should have sent its settings")]
    NoDataSource,
    #[error(transparent)]
    Settings(#[from] SettingsError),
    #[error("reading the query: {0}")]
    Model(String),
    /// A request that names no person, from a data source that shows each person only what is theirs.
    #[error(
        "this data source shows everybody only what is theirs, and the request does not say who asks; sign in (an anonymous viewer, or \
         one without the name the data source goes by, sees nothing)"
    )]
    Nobody,
    #[error(
        "the query type {0:?} is not supported; this data source answers \"promql\", \"events\" and \"inventory\""
    )]
    QueryType(String),
    #[error("the query has no expression; write PromQL into `expr`")]
    EmptyExpression,
    #[error("the time range ends before it starts")]
    TimeRange,
    #[error("`{field}`: {problem}")]
    Field { field: &'static str, problem: String },
    #[error("{0}")]
    Parse(ParseError),
    #[error("{0}")]
    Shape(String),
    /// Even at 60 points per series the answer would be too large for a browser.
    #[error(
        "the query answers {series} series; {points} points each are {cells} values and the panel may have {max}; \
         aggregate (sum by, avg by), take the top few (topk), or select fewer"
    )]
    TooManyCells {
        series: u64,
        points: u64,
        cells: u64,
        max: u64,
    },
    /// An alert must not decide on part of the fleet.
    #[error("{notice}; that is below the completeness this data source demands of alerts ({threshold})")]
    Incomplete { notice: String, threshold: f64 },
    #[error(
        "this data source shows everybody only what is theirs, and the store {0:?} cannot tell whose its series are; ask for a shorter time or for the nodes' own series"
    )]
    StoreScope(String),
    #[error(transparent)]
    Store(crate::sources::store::StoreError),
    #[error(
        "this data source shows everybody only what is theirs, and the VAST server {0:?} cannot tell whose its series are; ask an Admin to make \
         the metric public, or look at the nodes' own series"
    )]
    VastScope(String),
    #[error("the VAST server {name:?} {error}")]
    Vast {
        name: String,
        #[source]
        error: podscope_vms::VmsError,
    },
    #[error(transparent)]
    Fleet(#[from] FleetError),
    #[error("encoding the answer failed: {0}")]
    Encode(String),
    #[error("the query stopped unexpectedly; the plugin's log says more")]
    Stopped,
}

impl From<EncodeError> for QueryError {
    fn from(error: EncodeError) -> Self {
        Self::Encode(chain(&error))
    }
}

impl QueryError {
    /// The HTTP status of the query within Grafana's answer; never 0.
    pub fn status(&self) -> u16 {
        match self {
            Self::NoDataSource
            | Self::Model(_)
            | Self::QueryType(_)
            | Self::EmptyExpression
            | Self::TimeRange
            | Self::Field { .. }
            | Self::Parse(_)
            | Self::Shape(_)
            | Self::Settings(_) => 400,
            Self::Nobody | Self::StoreScope(_) | Self::VastScope(_) => 403,
            Self::TooManyCells { .. } => 422,
            Self::Incomplete { .. } | Self::Vast { .. } => 502,
            Self::Store(error) => error.status,
            Self::Fleet(error) => match error.kind() {
                // A 401 of ours would read as "your Grafana session ended".
                ApiErrorKind::Unauthorized => 502,
                kind => kind.status(),
            },
            Self::Encode(_) | Self::Stopped => 500,
        }
    }

    /// Whose fault it is: the one place that decides.
    pub fn source_kind(&self) -> ErrorSource {
        match self {
            Self::Encode(_) | Self::Stopped | Self::NoDataSource => ErrorSource::Plugin,
            Self::Fleet(FleetError::RootStopped) => ErrorSource::Plugin,
            _ => ErrorSource::Downstream,
        }
    }

    /// The error with its causes, as the panel shows it.
    pub fn text(&self) -> String {
        chain(self)
    }
}

/// An error and its causes in one line. A cause that the text before already ends with (`transparent`) is not repeated.
pub fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        let more = inner.to_string();
        if !text.ends_with(&more) {
            text.push_str(": ");
            text.push_str(&more);
        }
        cause = inner.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_of_the_asker_is_downstream_and_a_fault_of_ours_is_not() {
        assert_eq!(QueryError::EmptyExpression.source_kind(), ErrorSource::Downstream);
        assert_eq!(
            QueryError::Fleet(FleetError::NoTargets).source_kind(),
            ErrorSource::Downstream
        );
        assert_eq!(QueryError::Stopped.source_kind(), ErrorSource::Plugin);
    }

    #[test]
    fn every_error_has_a_status_that_is_an_error() {
        let errors = [
            QueryError::EmptyExpression,
            QueryError::Stopped,
            QueryError::Fleet(FleetError::NoTargets),
            QueryError::TooManyCells {
                series: 1,
                points: 60,
                cells: 60,
                max: 1,
            },
        ];
        for error in errors {
            assert!(error.status() >= 400, "{error}");
        }
    }
}
