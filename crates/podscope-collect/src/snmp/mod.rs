//! SNMP notifications: v1 and v2c traps, v3 traps of users that are known (RFC 3411 to 3416, RFC 3584), and what they mean.
//! Receiving them is the agent's work; nothing here opens a socket.
//!
//! | module | what it holds |
//! | --- | --- |
//! | [`packet`] | from a datagram to a [`Trap`] |
//! | [`usm`] | users, keys, authenticity and secrecy of v3 |
//! | [`names`] | what object identifiers are called |
//! | [`event`] | what a trap is as an event |

pub mod event;
pub mod names;
pub mod packet;
pub mod usm;

pub use packet::{BadPacket, Reader, Trap, Variable, Version};
pub use usm::{AuthProtocol, Privacy, User};
