//! What comes in from the network, mutated.

use std::path::PathBuf;

use podscope_collect::fuzz_bodies;
use podscope_testkit::mutations;

fn corpus(body: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("fuzz-corpus")
        .join(body)
}

#[test]
fn no_packet_harms_the_receiver_of_traps() {
    assert!(mutations::run(&corpus("snmp_packet"), fuzz_bodies::snmp_packet) > 2000);
}

#[test]
fn no_stream_harms_the_receiver_of_syslog() {
    assert!(mutations::run(&corpus("syslog_stream"), fuzz_bodies::syslog_stream) > 500);
}
