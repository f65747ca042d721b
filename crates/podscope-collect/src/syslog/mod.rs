//! Syslog from switches, storage and nodes: RFC 3164 and 5424, and which lines are events. Receiving is the agent's work;
//! nothing here opens a socket.
//!
//! | module | what it holds |
//! | --- | --- |
//! | [`framing`] | lines out of a TCP stream: counted octets or newlines (RFC 6587) |
//! | [`line`] | one line: when, who, how bad, what |
//! | [`known`] | what is known in it: links, BGP, EVPN, XIDs, drops, storage, fans |
//! | [`classify`] | from a line to an event, or to nothing |
//! | [`gate`] | so many lines per second and sender |

pub mod classify;
pub mod framing;
pub mod gate;
pub mod known;
pub mod line;

pub use classify::{Classifier, ClassifierOptions};
pub use framing::Framing;
pub use gate::Gate;
pub use line::Line;
