//! podscope-history
