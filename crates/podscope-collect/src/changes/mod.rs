//! Changes nobody announced: settings and versions are read again and again, and every difference is an event of kind
//! `change` with the old value, the new one, and the interval in which it happened.
//!
//! | module | what it holds |
//! | --- | --- |
//! | [`book`] | what was seen last, kept over restarts, and the differences |
//! | [`local`] | kernel, GPU driver and firmware of this machine |
//! | [`slurm_conf`] | Slurm's configuration file |
//! | [`vast`] | the settings in VMS's answer about its clusters |
//! | [`collector`] | the collector that reads the local ones and says how it went |

pub mod book;
pub mod collector;
pub mod local;
pub mod slurm_conf;
pub mod vast;

pub use book::{ChangeBook, SharedBook, Values};
pub use collector::{ChangesCollector, NAME};
