//! One job per node, all at once, collected in the nodes' order.

use std::future::Future;
use std::sync::Arc;

use podscope_model::leaf::{ApiError, ApiErrorKind};
use tokio::task::JoinSet;

use crate::answer::{Completeness, Missing};
use crate::node::Node;

/// Runs `job` for every node in a task of its own, so that bodies are decoded on all cores. Dropping the future aborts
/// all of them. Stops early when `fatal` recognises an error that makes the rest pointless.
pub(crate) async fn each<T, F>(
    nodes: &[Arc<Node>],
    job: impl Fn(Arc<Node>) -> F,
    fatal: impl Fn(&ApiError) -> bool,
) -> Result<Vec<Result<T, ApiError>>, (Arc<Node>, ApiError)>
where
    T: Send + 'static,
    F: Future<Output = Result<T, ApiError>> + Send + 'static,
{
    let mut tasks = JoinSet::new();
    for (at, node) in nodes.iter().enumerate() {
        let work = job(Arc::clone(node));
        tasks.spawn(async move { (at, work.await) });
    }
    let mut answers: Vec<Option<Result<T, ApiError>>> = Vec::new();
    answers.resize_with(nodes.len(), || None);
    while let Some(done) = tasks.join_next().await {
        // A task that panicked has lost its number; its place stays empty and is filled below.
        let Ok((at, answer)) = done else { continue };
        if let Err(error) = &answer
            && fatal(error)
        {
            return Err((Arc::clone(&nodes[at]), error.clone()));
        }
        answers[at] = Some(answer);
    }
    let unread = || {
        Err(ApiError::new(
            ApiErrorKind::Internal,
            "its answer could not be read because of a fault on our side; the log says more",
        ))
    };
    Ok(answers
        .into_iter()
        .map(|answer| answer.unwrap_or_else(unread))
        .collect())
}

/// Sorts answers from failures. A node whose store was reached another way (rule 1 of the design) is neither: it is
/// counted once.
pub(crate) fn sort_out<T>(
    nodes: &[Arc<Node>],
    answers: Vec<Result<T, ApiError>>,
    leaf_id: impl Fn(&T) -> &str,
) -> (Vec<(Arc<Node>, T)>, Completeness) {
    let mut seen = rustc_hash::FxHashSet::default();
    let mut kept = Vec::with_capacity(answers.len());
    let mut failed = Vec::new();
    for (node, answer) in nodes.iter().zip(answers) {
        match answer {
            Ok(value) => {
                if seen.insert(leaf_id(&value).to_owned()) {
                    kept.push((Arc::clone(node), value));
                }
            }
            Err(error) => failed.push((node, error)),
        }
    }
    let missing: Vec<Missing> = failed
        .into_iter()
        .filter(|(node, _)| !node.leaf_id().is_some_and(|id| seen.contains(&id)))
        .map(|(node, error)| Missing {
            instance: node.instance(),
            url: node.spec.url.clone(),
            kind: error.kind,
            reason: error.message,
        })
        .collect();
    let completeness = Completeness {
        expected: kept.len() + missing.len(),
        answered: kept.len(),
        missing,
    };
    (kept, completeness)
}
