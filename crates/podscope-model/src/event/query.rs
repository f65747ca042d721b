//! A question for events and its answer.

use serde::{Deserialize, Serialize};

use super::{EventFilter, StoredEvent};
use crate::leaf::Target;
use crate::scope::Scope;

/// Events one answer may hold at most.
pub const MAX_EVENTS: u32 = 10_000;

/// Which events are wanted. An event counts when any instant it covers lies within the range, both ends included.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EventQuery {
    #[serde(default)]
    pub filter: EventFilter,
    pub start_ms: i64,
    pub end_ms: i64,
    /// The newest so many; at most [`MAX_EVENTS`].
    pub limit: u32,
    /// Only versions the store took after this instant of its own clock: what is new since the last question.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stored_after_ms: Option<i64>,
    #[serde(default)]
    pub target: Target,
    /// Only events whose `user` label is this person's (rule 11 of the design); absent: everything.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<Scope>,
    pub timeout_ms: u64,
}

impl EventQuery {
    /// Every event of a range, the newest 1,000, within 10 s.
    pub fn new(filter: EventFilter, start_ms: i64, end_ms: i64) -> Self {
        Self {
            filter,
            start_ms,
            end_ms,
            limit: 1000,
            stored_after_ms: None,
            target: Target::default(),
            user: None,
            timeout_ms: 10_000,
        }
    }
}

/// The newest events that match, newest first. They carry the node's labels beside their own.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EventAnswer {
    pub leaf_id: String,
    pub instance: String,
    pub events: Vec<StoredEvent>,
    /// There are more than the limit; the older ones are left out.
    pub truncated: bool,
    /// The store's clock.
    pub now_ms: i64,
}
