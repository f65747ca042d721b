//! podscope-testkit
