//! From a stored query to data frames.
//!
//! | module | what it holds |
//! | --- | --- |
//! | [`model`] | the query as panels and rules store it |
//! | [`step`], [`macros`], [`duration`] | which steps it is evaluated at, and what the time macros stand for |
//! | [`run`](mod@run) | asking the fleet, within the cell budget |
//! | [`format`] | frames for panels, tables, heatmaps and expressions |
//! | [`events`] | what happened, as annotations, a table or log lines |
//! | [`inventory`], `jobs` | what is there now, as a table |
//! | [`unit`] | the unit of an expression's values |

pub mod duration;
pub mod events;
pub mod format;
pub mod inventory;
mod jobs;
pub mod macros;
pub mod model;
mod run;
pub mod step;
pub mod unit;

pub use run::{Answer, Asked, name_series, run};
