//! Why a fleet query has no answer at all.

use std::sync::Arc;

use podscope_model::leaf::{ApiError, ApiErrorKind};
use podscope_promql::EvalError;

use crate::answer::Completeness;

/// Why a query has no answer. Cloned to everybody who asked the same.
#[derive(Clone, Debug, thiserror::Error)]
pub enum FleetError {
    /// The target list or its security settings cannot be used.
    #[error("{0}")]
    Config(String),
    #[error("no agents are configured; add at least one agent or hub URL to the data source's settings")]
    NoTargets,
    /// The expression is wrong, not supported, or passed a limit at the root.
    #[error(transparent)]
    Eval(Arc<EvalError>),
    /// A leaf refused the question itself: malformed, or a limit was passed there.
    #[error("{instance}: {error}")]
    Leaf {
        instance: String,
        url: String,
        error: ApiError,
    },
    #[error("no agent answered; {}", .0.notice().unwrap_or_default())]
    NoneAnswered(Completeness),
    /// Only for alerts: the answer would mean something else without the missing leaves.
    #[error("the answer of this expression depends on every node, but {}", .0.notice().unwrap_or_default())]
    Incomplete(Completeness),
    /// Two stores answer under one name.
    #[error(
        "two different agents answer as {instance}: {first} and {second}; give them different instance names in the target list"
    )]
    SameIdentity {
        instance: String,
        first: String,
        second: String,
    },
    #[error("the root's evaluation stopped unexpectedly; the plugin's log says more")]
    RootStopped,
}

impl FleetError {
    /// The error's class in the agent API's terms: [`ApiErrorKind::BadData`] and [`ApiErrorKind::Limit`] are the asker's.
    pub fn kind(&self) -> ApiErrorKind {
        match self {
            Self::Config(_) | Self::NoTargets | Self::SameIdentity { .. } => ApiErrorKind::BadData,
            Self::Eval(error) => eval_kind(error),
            Self::Leaf { error, .. } => error.kind,
            Self::NoneAnswered(_) | Self::Incomplete(_) => ApiErrorKind::Unreachable,
            Self::RootStopped => ApiErrorKind::Internal,
        }
    }
}

fn eval_kind(error: &EvalError) -> ApiErrorKind {
    use podscope_model::source::{BudgetError, SourceError};
    let budget = |error: &BudgetError| match error {
        BudgetError::Samples { .. }
        | BudgetError::Series { .. }
        | BudgetError::Cells { .. }
        | BudgetError::Memory { .. } => ApiErrorKind::Limit,
        BudgetError::Time { .. } => ApiErrorKind::Timeout,
        BudgetError::Cancelled => ApiErrorKind::Cancelled,
    };
    match error {
        EvalError::Parse(_) | EvalError::NotSupported(_) | EvalError::Execution(_) => ApiErrorKind::BadData,
        EvalError::Budget(error) | EvalError::Source(SourceError::Budget(error)) => budget(error),
        EvalError::Source(SourceError::Read { .. }) => ApiErrorKind::Unreachable,
        EvalError::Source(SourceError::Resolution(_)) => ApiErrorKind::BadData,
    }
}

impl From<EvalError> for FleetError {
    fn from(error: EvalError) -> Self {
        Self::Eval(Arc::new(error))
    }
}
