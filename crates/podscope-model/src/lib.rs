//! The words every part of Podscope speaks: the metric catalog, labels, samples, the storage trait PromQL is evaluated
//! over, and the wire types of the agent API. Nothing here does I/O.
//!
//! | module | what it holds |
//! | --- | --- |
//! | [`catalog`] | one declaration per metric: name, kind, unit, help, labels, origin |
//! | [`labels`], [`matcher`] | sorted label sets and the four PromQL matchers |
//! | [`sample`] | timestamps, the stale marker, series as columns |
//! | [`batch`] | what a collector hands to the history: one row of a stream |
//! | [`cells`] | samples of a minute or an hour summed up; which resolution serves a query |
//! | [`source`] | the storage trait behind PromQL, with its budget |
//! | [`event`] | what happened: events, their selector, and where collectors put them |
//! | [`leaf`] | the agent API: request and answer of a leaf query, the [`leaf::AgentApi`] trait |
//! | [`inventory`] | what a leaf has, and which leaves lie behind a hub |
//! | [`jobs`] | the jobs of a scheduler |

pub mod batch;
pub mod catalog;
pub mod cells;
pub mod event;
pub mod fuzz_bodies;
pub mod inventory;
pub mod jobs;
pub mod labels;
pub mod leaf;
pub mod matcher;
pub mod sample;
pub mod scope;
pub mod source;
pub mod wire;
