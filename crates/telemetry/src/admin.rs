//! The admin listener, for an operator's tools.
