//! One round of questions to one switch: four or five calls, and where its answer about all interfaces lacks the queues, one or
//! two more per interface.

use futures_util::stream::{self, StreamExt};
use podscope_collect::switch::nvue::{self, RoceClass};
use podscope_collect::switch::{InterfaceReading, SwitchReading};
use serde_json::Value;

use super::client::{NvueClient, NvueError};

/// Operational state; without it a collection answers its configuration.
const OPERATIONAL: (&str, &str) = ("rev", "operational");
/// Interfaces of one switch that are asked at the same time.
const AT_ONCE: usize = 4;

/// How this switch wants to be asked; found out once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Queues {
    #[default]
    Unknown,
    /// In the answer about all interfaces.
    Together,
    /// `/interface/{id}/counters/qos`, from 5.5 on.
    Single,
    /// `/interface/{id}/qos/counters`, up to 5.4.
    SingleOld,
    Nowhere,
}

/// What a round brought.
#[derive(Debug)]
pub(super) struct Round {
    /// When the interfaces were read.
    pub(super) at_ms: i64,
    pub(super) reading: SwitchReading,
    pub(super) skew_seconds: Option<f64>,
    /// Questions that were not answered while others were.
    pub(super) problems: Vec<NvueError>,
}

/// Asks everything.
pub(super) async fn round(
    client: &NvueClient,
    queues: &mut Queues,
    roce: RoceClass,
    most_single: usize,
) -> Result<Round, NvueError> {
    let mut reading = SwitchReading::default();
    let mut problems = Vec::new();
    let system = client.get("system", &[OPERATIONAL]).await?;
    let mut skew_seconds = None;
    if let Some((answer, skew)) = &system {
        nvue::system(answer, &mut reading);
        skew_seconds = *skew;
    }
    let interfaces = interfaces(client).await?;
    let at_ms = crate::schedule::now_ms();
    nvue::interfaces(&interfaces, roce, &mut reading);
    let together = reading
        .interfaces
        .values()
        .any(|one| one.classes.values().any(|class| class.tx_frames.is_some()));
    if together {
        *queues = Queues::Together;
    } else if *queues != Queues::Nowhere {
        single(client, queues, roce, most_single, &mut reading, &mut problems).await;
    }
    for (path, read) in [
        (
            "vrf/default/router/bgp/neighbor",
            nvue::neighbors as fn(&Value, &mut SwitchReading),
        ),
        ("evpn/multihoming/esi", nvue::segments),
    ] {
        match client.get(path, &[OPERATIONAL]).await {
            Ok(Some((answer, _))) => read(&answer, &mut reading),
            Ok(None) => {}
            Err(error) => problems.push(error),
        }
    }
    match client.get("revision", &[]).await {
        Ok(Some((answer, _))) => reading.applied_revision = nvue::applied_revision(&answer),
        Ok(None) => {}
        Err(error) => problems.push(error),
    }
    Ok(Round {
        at_ms,
        reading,
        skew_seconds,
        problems,
    })
}

/// All interfaces, narrowed to what is needed where the switch can do that.
async fn interfaces(client: &NvueClient) -> Result<Value, NvueError> {
    let wanted = [
        OPERATIONAL,
        ("include", "/*/type"),
        ("include", "/*/link"),
        ("include", "/*/lldp"),
        ("include", "/*/counters"),
        ("include", "/*/qos"),
    ];
    match client.get("interface", &wanted).await {
        Ok(Some((answer, _))) => Ok(answer),
        Ok(None) => Ok(Value::Null),
        // A release that does not know `include`, or not these.
        Err(error) if error.is_about_path() => {
            let plain = client.get("interface", &[OPERATIONAL]).await?;
            Ok(plain.map_or(Value::Null, |(answer, _)| answer))
        }
        Err(error) => Err(error),
    }
}

async fn single(
    client: &NvueClient,
    queues: &mut Queues,
    roce: RoceClass,
    most: usize,
    reading: &mut SwitchReading,
    problems: &mut Vec<NvueError>,
) {
    let names: Vec<String> = reading
        .interfaces
        .iter()
        .filter(|(name, one)| one.up == Some(true) && name.starts_with("swp"))
        .map(|(name, _)| name.clone())
        .take(most)
        .collect();
    let Some(first) = names.first() else { return };
    if *queues == Queues::Unknown {
        *queues = match client.get(&qos_path(Queues::Single, first), &[OPERATIONAL]).await {
            Ok(Some(_)) => Queues::Single,
            Ok(None) => Queues::SingleOld,
            Err(error) if error.is_about_path() => Queues::SingleOld,
            Err(error) => return problems.push(error),
        };
        if *queues == Queues::SingleOld {
            match client
                .get(&qos_path(Queues::SingleOld, first), &[OPERATIONAL])
                .await
            {
                Ok(Some(_)) => {}
                Ok(None) => *queues = Queues::Nowhere,
                Err(error) if error.is_about_path() => *queues = Queues::Nowhere,
                Err(error) => return problems.push(error),
            }
        }
    }
    let form = *queues;
    if form == Queues::Nowhere {
        return;
    }
    let answers = stream::iter(names)
        .map(|name| async move {
            let qos = client.get(&qos_path(form, &name), &[OPERATIONAL]).await;
            let path = format!("interface/{name}/qos/roce/counters");
            let counters = client.get(&path, &[OPERATIONAL]).await;
            (name, qos, counters)
        })
        .buffer_unordered(AT_ONCE);
    let answers: Vec<_> = answers.collect().await;
    for (name, qos, counters) in answers {
        let into: &mut InterfaceReading = reading.interfaces.entry(name).or_default();
        match qos {
            Ok(Some((answer, _))) => nvue::qos_counters(&answer, into),
            Ok(None) => {}
            Err(error) => problems.push(error),
        }
        match counters {
            Ok(Some((answer, _))) => nvue::roce_counters(&answer, roce, into),
            Ok(None) => {}
            Err(error) if error.is_about_path() => {}
            Err(error) => problems.push(error),
        }
    }
}

fn qos_path(form: Queues, interface: &str) -> String {
    match form {
        Queues::SingleOld => format!("interface/{interface}/qos/counters"),
        _ => format!("interface/{interface}/counters/qos"),
    }
}
