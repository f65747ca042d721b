//! Functions of bytes that must not panic, whatever the bytes: what comes in from the network. Called with seeded mutations by
//! the tests and by the targets in `fuzz/`.

use std::sync::LazyLock;

use crate::snmp::names::Names;
use crate::snmp::packet::{self, Reader};
use crate::snmp::usm::{AuthProtocol, Privacy, User, Users};
use crate::syslog::{Classifier, Framing, Line};

/// Making keys takes a while; the users of [`USER_SEEDS`] are made once.
static USERS: LazyLock<Vec<User>> = LazyLock::new(|| {
    let users = [
        ("none", AuthProtocol::None, Privacy::None),
        ("md5", AuthProtocol::Md5, Privacy::Des),
        ("sha", AuthProtocol::Sha1, Privacy::Aes128),
    ];
    let user = |(name, auth, privacy)| User::new(name, (auth, USER_SEEDS), (privacy, USER_SEEDS)).ok();
    users.into_iter().filter_map(user).collect()
});

/// The password of every user that the fuzzed receiver knows.
pub const USER_SEEDS: &str = "correct horse";

/// A datagram for the receiver of traps: what is made of it can be stored.
pub fn snmp_packet(bytes: &[u8]) {
    let mut reader = Reader::new(None, true, Users::new(USERS.clone()));
    if let Ok(trap) = reader.read(bytes) {
        let event = crate::snmp::event::event(&trap, "fuzzed", &Names::default(), 0);
        assert_eq!(event.check(), Ok(()), "an event that cannot be stored");
    }
    drop(packet::acknowledgement(bytes));
    drop(packet::as_v2c(bytes));
}

/// A connection's bytes for the receiver of syslog, in two pieces.
pub fn syslog_stream(bytes: &[u8]) {
    let (first, rest) = bytes.split_at(bytes.len() / 2);
    let mut framing = Framing::default();
    let mut classifier = Classifier::default();
    for part in [first, rest] {
        framing.push(part);
        while let Some(frame) = framing.next_frame() {
            let line = Line::parse(&frame, 1_795_247_592_000);
            if let Some(event) = classifier.event(&line, "fuzzed", 1_795_247_592_000) {
                assert_eq!(event.check(), Ok(()), "an event that cannot be stored");
            }
        }
    }
}
