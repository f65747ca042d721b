//! podscope-sim
