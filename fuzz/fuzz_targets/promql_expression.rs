#![no_main]
libfuzzer_sys::fuzz_target!(|bytes: &[u8]| podscope_promql::fuzz_bodies::expression(bytes));
