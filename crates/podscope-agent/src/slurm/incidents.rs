//! The open incident, as the agent's own events know it.

use std::sync::Arc;

use podscope_collect::slurm::slo::Incidents;

use crate::events::Inbox;
use crate::schedule::now_ms;

/// Looks among the events of the agent that owns the inbox.
#[derive(Debug)]
pub struct EventIncidents(Arc<Inbox>);

impl EventIncidents {
    pub fn new(inbox: Arc<Inbox>) -> Self {
        Self(inbox)
    }
}

impl Incidents for EventIncidents {
    fn opened_ms(&self) -> Option<i64> {
        self.0.open_incident_ms(now_ms())
    }
}
