//! The scheduler: what slurmrestd tells of jobs, nodes and itself, and what can be made of it.
//!
//! | module | what it holds |
//! | --- | --- |
//! | [`poll`], `split`, `value` | asking, one gentle round at a time; reading answers as they arrive |
//! | [`job`], [`node`], [`cluster`] | jobs, nodes, partitions, statistics and shares, of all versions alike |
//! | [`hostlist`], `gres` | `n[1-3,7]`, `gpu:h100:8(IDX:0-7)` |
//! | [`reason`] | why a job waits, in classes |
//! | [`track`], [`spells`], [`supply`] | from one look to the next: waits, arrivals, starts, ends |
//! | [`wait`] | quantiles of waits, those that still wait included |
//! | [`book`] | all of that, shared; the thread that asks |
//! | [`collector`], `rows` | as series |
//! | [`table`] | as a table of jobs |
//! | [`slo`] | the promise about waits, and what breaking it costs |

pub mod book;
pub mod cluster;
pub mod collector;
mod error;
mod gres;
pub mod hostlist;
pub mod job;
pub mod node;
pub mod poll;
pub mod reason;
mod rows;
pub mod slo;
pub mod spells;
mod split;
pub mod supply;
pub mod table;
pub mod track;
mod value;
pub mod wait;

use crate::collector::Descriptor;

/// What the collectors of this module are.
pub fn descriptors() -> [&'static Descriptor; 2] {
    [&collector::DESCRIPTOR, &slo::collector::DESCRIPTOR]
}

pub use book::{BookOptions, Clock, PollHealth, SlurmBook, SlurmSource, SlurmWatch, SystemClock};
pub use cluster::{Diag, Partition, Rpc, Share, Snapshot};
pub use collector::SlurmCollector;
pub use error::SlurmError;
pub use job::{Job, JobState};
pub use node::{Node, NodeState};
pub use poll::{Head, PollOptions, Poller, SlurmApi};
pub use reason::Class;
