//! The past of the hub's switches: what asking them every half minute would have written, and what it would have told.

use std::sync::Arc;

use podscope_agent::AgentState;
use podscope_collect::switch::rows::{self, RowOptions};
use podscope_collect::switch::{PauseUnit, SwitchLabels, SwitchReading, news};
use podscope_model::batch::Row;
use podscope_model::catalog::Job;
use podscope_model::event::Event;

use crate::nvue::FabricWorld;
use crate::pod::Pod;
use crate::pod::fabric::PodFabric;
use crate::pod::model::story::{SPINE_OUT, SPINES_REPLACED};

/// Readings lie so far apart.
pub(crate) const EVERY_MS: i64 = 30_000;
/// So much of the past is filled: a reading of all switches has forty thousand counters.
const PAST_MS: i64 = 5 * 3_600_000;

/// The switches as the configuration names them: name, fabric, role.
pub(crate) fn switches(pod: &Pod) -> Vec<SwitchLabels> {
    let each = |switch: crate::pod::topology::Switch| SwitchLabels {
        switch: switch.name(),
        fabric: switch.fabric.name().to_owned(),
        role: match switch.tier {
            crate::pod::topology::Tier::Leaf => "leaf".to_owned(),
            crate::pod::topology::Tier::Spine => "spine".to_owned(),
        },
        more: Vec::new(),
    };
    pod.topology().switches().into_iter().map(each).collect()
}

/// Writes the readings of the hours before `to_ms`.
pub(crate) fn fill(pod: &Arc<Pod>, state: &Arc<AgentState>, (from_ms, to_ms): (i64, i64)) {
    let world = PodFabric(Arc::clone(pod));
    let options = RowOptions {
        pause_unit: Some(PauseUnit::MICROSECONDS),
        without_counters: false,
    };
    let interval = EVERY_MS.unsigned_abs();
    let mut asked: Vec<_> = switches(pod)
        .into_iter()
        .map(|who| {
            let stream = state.add_stream(&format!("switch:{}", who.switch), Job::Switch, interval);
            (who, stream, Row::new())
        })
        .collect();
    let summary = state.add_stream("switches", Job::Switch, interval);
    let mut up = Row::new();
    let from_ms = from_ms.max(to_ms - PAST_MS);
    let mut t_ms = from_ms - from_ms.rem_euclid(EVERY_MS) + EVERY_MS;
    while t_ms <= to_ms {
        up.begin();
        for (who, stream, row) in &mut asked {
            row.begin();
            let now = world.at(&who.switch, t_ms);
            rows::write_up(who, now.is_some(), &mut up);
            if let Some(now) = now {
                rows::write(&now.reading(), who, options, row);
            }
            if let Err(error) = stream.push(t_ms, row) {
                tracing::warn!(switch = who.switch, %error, "a row of a switch's past is lost");
            }
        }
        if let Err(error) = summary.push(t_ms, &up) {
            tracing::warn!(%error, "a row of the switches' past is lost");
        }
        t_ms += EVERY_MS;
    }
}

/// What the readings around the spines' replacement tell: sessions and segments that went and came.
pub(crate) fn told(pod: &Arc<Pod>) -> Vec<Event> {
    let world = PodFabric(Arc::clone(pod));
    let clock = pod.clock();
    let second = SPINES_REPLACED + SPINE_OUT + 240.0;
    let moments = [
        SPINES_REPLACED - 15.0,
        SPINES_REPLACED + 15.0,
        SPINES_REPLACED + SPINE_OUT - 15.0,
        SPINES_REPLACED + SPINE_OUT + 15.0,
        second - 15.0,
        second + 15.0,
        second + SPINE_OUT - 15.0,
        second + SPINE_OUT + 15.0,
    ];
    let mut events = Vec::new();
    for who in switches(pod) {
        let mut before: Option<(i64, SwitchReading)> = None;
        for at_ms in moments.map(|at| clock.wall_ms(at)) {
            let Some(state) = world.at(&who.switch, at_ms) else {
                continue;
            };
            let reading = state.reading();
            if let Some((was_ms, was)) = &before {
                let dated = |at_ms, reading| news::Dated { at_ms, reading };
                events.extend(news::between(&who, dated(*was_ms, was), dated(at_ms, &reading)));
            }
            before = Some((at_ms, reading));
        }
    }
    events
}
