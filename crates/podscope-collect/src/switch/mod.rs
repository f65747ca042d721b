//! Switches: what NVUE's REST answers mean, as readings, rows and events. Asking the switches is the agent's work; nothing
//! here opens a connection.
//!
//! | module | what it holds |
//! | --- | --- |
//! | [`reading`] | one switch at one time |
//! | [`nvue`] | from NVUE's JSON to a reading |
//! | `quantity` | numbers as switches write them: `693`, `"13.47 MB"`, `"400G"` |
//! | [`rows`] | from a reading to a row |
//! | [`news`] | what two readings of a switch say that one does not: failovers, neighbours lost, a restart |

pub mod news;
pub mod nvue;
mod quantity;
pub mod reading;
pub mod rows;

pub use reading::{
    BgpNeighbor, ClassReading, GroupReading, InterfaceReading, PauseReading, Segment, SwitchReading,
};
pub use rows::{PauseUnit, SwitchLabels};
