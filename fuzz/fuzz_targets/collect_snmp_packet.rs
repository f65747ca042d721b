#![no_main]
libfuzzer_sys::fuzz_target!(|bytes: &[u8]| podscope_collect::fuzz_bodies::snmp_packet(bytes));
