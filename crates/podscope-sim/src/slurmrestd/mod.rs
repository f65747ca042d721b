//! A simulated slurmrestd: the answers have the shapes of the real one's, versions 0.0.38 and 0.0.40 to 0.0.42; what they tell
//! comes from a [`SlurmWorld`].
//!
//! | module | what it holds |
//! | --- | --- |
//! | [`world`] | [`SlurmWorld`], a fixed one, and a world as a source of the collector |
//! | [`pod`] | the scenario's pod as a world |
//! | [`server`] | [`Slurmrestd`]: routes, credentials, faults |
//! | `shapes`, `modern` | the answers, and how later versions differ |

mod modern;
pub mod pod;
pub mod server;
mod shapes;
pub mod world;

pub use pod::PodWorld;
pub use server::{SlurmFault, Slurmrestd, SlurmrestdOptions};
pub use world::{FixedWorld, SlurmWorld, WorldSource};
