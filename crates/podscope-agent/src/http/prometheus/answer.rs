//! The envelope of every answer: `{"status":"success","data":...}` or `{"status":"error",...}`.

use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use podscope_fanout::FleetError;
use podscope_model::leaf::{Annotation, ApiErrorKind};
use podscope_model::source::{BudgetError, SourceError};
use podscope_promql::{EvalError, ParseError};
use serde::Serialize;

use crate::queries::RunError;

/// The error types of the Prometheus API.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FaultKind {
    BadData,
    Execution,
    Timeout,
    Canceled,
    Internal,
}

impl FaultKind {
    fn name(self) -> &'static str {
        match self {
            Self::BadData => "bad_data",
            Self::Execution => "execution",
            Self::Timeout => "timeout",
            Self::Canceled => "canceled",
            Self::Internal => "internal",
        }
    }

    fn status(self) -> StatusCode {
        match self {
            Self::BadData => StatusCode::BAD_REQUEST,
            Self::Execution => StatusCode::UNPROCESSABLE_ENTITY,
            Self::Timeout => StatusCode::SERVICE_UNAVAILABLE,
            // nginx's "client closed request", which Prometheus uses too; it has no name in the standard.
            Self::Canceled => StatusCode::from_u16(499).unwrap_or(StatusCode::BAD_REQUEST),
            Self::Internal => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }
}

/// Why a request has no answer.
#[derive(Debug)]
pub(crate) struct ApiFault {
    kind: FaultKind,
    message: String,
}

impl ApiFault {
    pub(super) fn new(kind: FaultKind, message: impl Into<String>) -> Self {
        Self {
            kind,
            message: message.into(),
        }
    }

    pub(super) fn bad_data(message: impl Into<String>) -> Self {
        Self::new(FaultKind::BadData, message)
    }

    pub(super) fn parameter(name: &str, reason: &str) -> Self {
        Self::bad_data(format!("invalid parameter {name:?}: {reason}"))
    }

    pub(super) fn of_parse(parameter: &str, error: &ParseError) -> Self {
        Self::parameter(parameter, &crate::chain(error))
    }

    pub(super) fn of_budget(error: &BudgetError) -> Self {
        let kind = match error {
            BudgetError::Samples { .. }
            | BudgetError::Series { .. }
            | BudgetError::Cells { .. }
            | BudgetError::Memory { .. } => FaultKind::Execution,
            BudgetError::Time { .. } => FaultKind::Timeout,
            BudgetError::Cancelled => FaultKind::Canceled,
        };
        Self::new(kind, error.to_string())
    }

    pub(super) fn of_source(error: &SourceError) -> Self {
        match error {
            SourceError::Budget(error) => Self::of_budget(error),
            SourceError::Read { .. } => Self::new(FaultKind::Internal, crate::chain(error)),
            SourceError::Resolution(text) => Self::new(FaultKind::Execution, text.clone()),
        }
    }

    pub(super) fn of_eval(error: &EvalError) -> Self {
        match error {
            EvalError::Parse(error) => Self::of_parse("query", error),
            EvalError::NotSupported(_) => Self::parameter("query", &error.to_string()),
            EvalError::Execution(_) => Self::new(FaultKind::Execution, crate::chain(error)),
            EvalError::Budget(error) => Self::of_budget(error),
            EvalError::Source(error) => Self::of_source(error),
        }
    }

    /// A query of a hub that has no answer.
    pub(super) fn of_fleet(error: &FleetError) -> Self {
        if let FleetError::Eval(error) = error {
            return Self::of_eval(error);
        }
        let kind = match error.kind() {
            ApiErrorKind::BadData => FaultKind::BadData,
            ApiErrorKind::Limit => FaultKind::Execution,
            ApiErrorKind::Timeout => FaultKind::Timeout,
            ApiErrorKind::Cancelled => FaultKind::Canceled,
            ApiErrorKind::Unauthorized
            | ApiErrorKind::WrongInstance
            | ApiErrorKind::Unreachable
            | ApiErrorKind::Internal => FaultKind::Internal,
        };
        Self::new(kind, crate::chain(error))
    }

    pub(super) fn of_run(error: &RunError) -> Self {
        match error {
            RunError::Budget(error) => Self::of_budget(error),
            RunError::Panicked => Self::new(FaultKind::Internal, error.to_string()),
        }
    }
}

impl IntoResponse for ApiFault {
    fn into_response(self) -> Response {
        #[derive(Serialize)]
        #[serde(rename_all = "camelCase")]
        struct Body {
            status: &'static str,
            error_type: &'static str,
            error: String,
        }
        let body = Body {
            status: "error",
            error_type: self.kind.name(),
            error: self.message,
        };
        (self.kind.status(), axum::Json(body)).into_response()
    }
}

/// What a handler answers.
pub(crate) type Answer = Result<Response, ApiFault>;

/// `data` in the envelope, with the remarks made on the way.
pub(super) fn success(data: impl Serialize, annotations: &[Annotation]) -> Answer {
    #[derive(Serialize)]
    struct Body<T> {
        status: &'static str,
        data: T,
        #[serde(skip_serializing_if = "Vec::is_empty")]
        warnings: Vec<String>,
        #[serde(skip_serializing_if = "Vec::is_empty")]
        infos: Vec<String>,
    }
    let mut body = Body {
        status: "success",
        data,
        warnings: Vec::new(),
        infos: Vec::new(),
    };
    for annotation in annotations {
        match annotation {
            Annotation::Warning(text) => body.warnings.push(text.clone()),
            Annotation::Info(text) => body.infos.push(text.clone()),
        }
    }
    let text =
        serde_json::to_vec(&body).map_err(|error| ApiFault::new(FaultKind::Internal, error.to_string()))?;
    Ok(json(text))
}

/// A whole body that is JSON already.
pub(super) fn json(text: Vec<u8>) -> Response {
    ([(CONTENT_TYPE, "application/json")], text).into_response()
}
